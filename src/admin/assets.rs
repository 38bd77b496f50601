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

/// A file below `page/`, asked for by its name there unless it is given another path.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        file!(concat!("/", $name), $name, $content_type)
    };
    ($path:expr, $name:literal, $content_type:expr) => {
        File { path: $path, content_type: $content_type, content: include_bytes!(concat!("page/", $name)) }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Every file of the page, one line each.
pub const FILES: &[File] = &[
    file!("/", "index.html", HTML),
    file!("api.js", SCRIPT),
    file!("app.css", STYLE),
    file!("curl.js", SCRIPT),
    file!("events.js", SCRIPT),
    file!("first.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("i18n.js", SCRIPT),
    file!("icon.svg", PICTURE),
    file!("main.js", SCRIPT),
    file!("message.js", SCRIPT),
    file!("parts.css", STYLE),
    file!("prefs.js", SCRIPT),
    file!("record.js", SCRIPT),
    file!("route.js", SCRIPT),
    file!("sse.js", SCRIPT),
    file!("store.js", SCRIPT),
    file!("ui.js", SCRIPT),
    file!("views.css", STYLE),
    file!("yaml.js", SCRIPT),
    file!("i18n/en.js", SCRIPT),
    file!("i18n/zh.js", SCRIPT),
    file!("parts/attention.js", SCRIPT),
    file!("parts/dialog.js", SCRIPT),
    file!("parts/diff.js", SCRIPT),
    file!("parts/events-list.js", SCRIPT),
    file!("parts/field.js", SCRIPT),
    file!("parts/filter-box.js", SCRIPT),
    file!("parts/filter-help.js", SCRIPT),
    file!("parts/icons.js", SCRIPT),
    file!("parts/json-tree.js", SCRIPT),
    file!("parts/keys.js", SCRIPT),
    file!("parts/notes.js", SCRIPT),
    file!("parts/plot.js", SCRIPT),
    file!("parts/ribbon.js", SCRIPT),
    file!("parts/state.js", SCRIPT),
    file!("parts/text.js", SCRIPT),
    file!("parts/timeline.js", SCRIPT),
    file!("parts/virtual-list.js", SCRIPT),
    file!("parts/waterfall.js", SCRIPT),
    file!("vendor/LICENSE-htm.txt", TEXT),
    file!("vendor/LICENSE-preact.txt", TEXT),
    file!("vendor/LICENSE-signals.txt", TEXT),
    file!("vendor/LICENSE-uplot.txt", TEXT),
    file!("vendor/README.txt", TEXT),
    file!("vendor/htm.js", SCRIPT),
    file!("vendor/preact-hooks.js", SCRIPT),
    file!("vendor/preact.js", SCRIPT),
    file!("vendor/signals-core.js", SCRIPT),
    file!("vendor/signals.js", SCRIPT),
    file!("vendor/uplot.css", STYLE),
    file!("vendor/uplot.js", SCRIPT),
    file!("views/conversation.js", SCRIPT),
    file!("views/detail.js", SCRIPT),
    file!("views/endpoint-delete.js", SCRIPT),
    file!("views/endpoint-form.js", SCRIPT),
    file!("views/endpoints.js", SCRIPT),
    file!("views/login.js", SCRIPT),
    file!("views/overview.js", SCRIPT),
    file!("views/requests-log.js", SCRIPT),
    file!("views/requests.js", SCRIPT),
    file!("views/system.js", SCRIPT),
    file!("views/test-result.js", SCRIPT),
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
    use std::path::Path;

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

    /// The files below `folder`, by their names there.
    fn files_below(folder: &Path, lead: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{lead}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                files_below(&entry.path(), &name, found);
            } else {
                found.push(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_in_the_program() {
        let mut found = Vec::new();
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page"), "", &mut found);
        for name in found {
            let path = if name == "/index.html" { "/" } else { &name };
            let file = FILES.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{name} is missing"));
            let expected = match name.rsplit('.').next().unwrap() {
                "html" => HTML,
                "css" => STYLE,
                "js" => SCRIPT,
                "svg" => PICTURE,
                "txt" => TEXT,
                other => panic!("{name}: what type is .{other}?"),
            };
            assert_eq!(file.content_type, expected, "{name}");
        }
    }
}
