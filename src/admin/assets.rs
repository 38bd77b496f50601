//! The page's files, put into the program by the compiler.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::answer::typed;

/// One file of the page.
pub struct File {
    /// Where it is asked for.
    pub path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

/// A file below `page/`, by the path that it is asked for.
macro_rules! file {
    ($path:literal, $name:literal, $content_type:expr) => {
        File { path: $path, content_type: $content_type, content: include_bytes!(concat!("page/", $name)) }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// Every file of the page, one line each.
pub const FILES: &[File] = &[
    file!("/", "index.html", HTML),
    file!("/api.js", "api.js", JS),
    file!("/app.css", "app.css", CSS),
    file!("/curl.js", "curl.js", JS),
    file!("/events.js", "events.js", JS),
    file!("/first.js", "first.js", JS),
    file!("/format.js", "format.js", JS),
    file!("/i18n.js", "i18n.js", JS),
    file!("/icon.svg", "icon.svg", SVG),
    file!("/main.js", "main.js", JS),
    file!("/message.js", "message.js", JS),
    file!("/parts.css", "parts.css", CSS),
    file!("/prefs.js", "prefs.js", JS),
    file!("/record.js", "record.js", JS),
    file!("/route.js", "route.js", JS),
    file!("/sse.js", "sse.js", JS),
    file!("/store.js", "store.js", JS),
    file!("/ui.js", "ui.js", JS),
    file!("/views.css", "views.css", CSS),
    file!("/yaml.js", "yaml.js", JS),
    file!("/i18n/en.js", "i18n/en.js", JS),
    file!("/i18n/zh.js", "i18n/zh.js", JS),
    file!("/parts/attention.js", "parts/attention.js", JS),
    file!("/parts/dialog.js", "parts/dialog.js", JS),
    file!("/parts/diff.js", "parts/diff.js", JS),
    file!("/parts/events-list.js", "parts/events-list.js", JS),
    file!("/parts/field.js", "parts/field.js", JS),
    file!("/parts/filter-box.js", "parts/filter-box.js", JS),
    file!("/parts/filter-help.js", "parts/filter-help.js", JS),
    file!("/parts/icons.js", "parts/icons.js", JS),
    file!("/parts/json-tree.js", "parts/json-tree.js", JS),
    file!("/parts/keys.js", "parts/keys.js", JS),
    file!("/parts/notes.js", "parts/notes.js", JS),
    file!("/parts/plot.js", "parts/plot.js", JS),
    file!("/parts/ribbon.js", "parts/ribbon.js", JS),
    file!("/parts/state.js", "parts/state.js", JS),
    file!("/parts/text.js", "parts/text.js", JS),
    file!("/parts/virtual-list.js", "parts/virtual-list.js", JS),
    file!("/parts/waterfall.js", "parts/waterfall.js", JS),
    file!("/vendor/LICENSE-htm.txt", "vendor/LICENSE-htm.txt", TEXT),
    file!("/vendor/LICENSE-preact.txt", "vendor/LICENSE-preact.txt", TEXT),
    file!("/vendor/LICENSE-signals.txt", "vendor/LICENSE-signals.txt", TEXT),
    file!("/vendor/LICENSE-uplot.txt", "vendor/LICENSE-uplot.txt", TEXT),
    file!("/vendor/README.txt", "vendor/README.txt", TEXT),
    file!("/vendor/htm.js", "vendor/htm.js", JS),
    file!("/vendor/preact-hooks.js", "vendor/preact-hooks.js", JS),
    file!("/vendor/preact.js", "vendor/preact.js", JS),
    file!("/vendor/signals-core.js", "vendor/signals-core.js", JS),
    file!("/vendor/signals.js", "vendor/signals.js", JS),
    file!("/vendor/uplot.css", "vendor/uplot.css", CSS),
    file!("/vendor/uplot.js", "vendor/uplot.js", JS),
    file!("/views/conversation.js", "views/conversation.js", JS),
    file!("/views/detail.js", "views/detail.js", JS),
    file!("/views/endpoint-delete.js", "views/endpoint-delete.js", JS),
    file!("/views/endpoint-form.js", "views/endpoint-form.js", JS),
    file!("/views/endpoints.js", "views/endpoints.js", JS),
    file!("/views/login.js", "views/login.js", JS),
    file!("/views/overview.js", "views/overview.js", JS),
    file!("/views/requests-log.js", "views/requests-log.js", JS),
    file!("/views/requests.js", "views/requests.js", JS),
    file!("/views/system.js", "views/system.js", JS),
    file!("/views/test-result.js", "views/test-result.js", JS),
];

/// What is made of each file at its first use.
#[derive(Debug)]
pub struct Assets(Vec<OnceLock<Ready>>);

#[derive(Debug)]
struct Ready {
    tag: HeaderValue,
    /// Absent for what does not get smaller.
    zipped: Option<Bytes>,
}

impl Default for Assets {
    fn default() -> Self {
        Self(FILES.iter().map(|_| OnceLock::new()).collect())
    }
}

impl Assets {
    /// The file at this place in [`FILES`], as the request's headers ask for it.
    pub fn answer(&self, place: usize, asked: &HeaderMap) -> Response {
        let (Some(file), Some(ready)) = (FILES.get(place), self.0.get(place)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let ready = ready.get_or_init(|| Ready::of(file.content));
        let mut answer = match &ready.zipped {
            _ if is_known(asked, &ready.tag) => StatusCode::NOT_MODIFIED.into_response(),
            Some(zipped) if takes_gzip(asked) => {
                let mut answer = typed(file.content_type, zipped.clone());
                answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                answer
            }
            _ => typed(file.content_type, Bytes::from_static(file.content)),
        };
        let headers = answer.headers_mut();
        headers.insert(header::ETAG, ready.tag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        // Asked for again each time, and not sent again while it is the same: an update is seen at once.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer
    }
}

impl Ready {
    fn of(content: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        // Weak, because both codings have it.
        let tag = HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish()));
        Self { tag: tag.unwrap_or(HeaderValue::from_static("W/\"0\"")), zipped: zipped(content) }
    }
}

fn zipped(content: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).ok()?;
    let zipped = encoder.finish().ok()?;
    (zipped.len() < content.len()).then(|| zipped.into())
}

fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(own) = tag.to_str().map(bare) else { return false };
    let named = asked.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|tag| bare(tag) == own || tag.trim() == "*")
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asked(headers: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (value, taken) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("", false),
            ("xgzip", false),
        ] {
            assert_eq!(takes_gzip(&asked(&[(header::ACCEPT_ENCODING, value)])), taken, "{value}");
        }
        let content = b"hello ".repeat(100);
        let zipped = zipped(&content).unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*zipped).read_to_end(&mut back).unwrap();
        assert_eq!(back, content);
        assert_eq!(super::zipped(b"x"), None, "what would grow stays");
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let tag = HeaderValue::from_static("W/\"abc\"");
        for (value, known) in [
            ("W/\"abc\"", true),
            ("\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"x\"", false),
            ("", false),
        ] {
            assert_eq!(is_known(&asked(&[(header::IF_NONE_MATCH, value)]), &tag), known, "{value}");
        }
    }

    #[test]
    fn no_path_is_given_twice() {
        let mut paths: Vec<_> = FILES.iter().map(|file| file.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), FILES.len());
        assert!(paths.contains(&"/"));
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        let mut folders = vec![page.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&page).unwrap().to_str().unwrap();
                let asked = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
                assert!(FILES.iter().any(|file| file.path == asked), "{name} is in the folder and not in FILES");
            }
        }
    }
}
