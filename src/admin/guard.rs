//! Who may ask at all, decided by the request's head before any route sees it.
//!
//! A page of somebody else's, open in the operator's browser, can send requests to loopback, and a name of its own can be
//! made to point there. So the Host must be ours, and what changes something must come from our own page or from no
//! browser at all. The Host's port says nothing: a tunnel or a container has another one than we listen on, and a page of
//! somebody else's can choose neither.

use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::answer::Refusal;
use super::login::Sessions;
use crate::domain::secret::Secret;

/// What the page may do is said with every answer, an error's too: no page of ours ever runs or loads what is not ours.
pub const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Puts the headers on that every answer has.
pub fn secure(headers: &mut HeaderMap) {
    headers.extend(SECURITY.clone());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// What the door knows of us.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// `web_admin.host`, beside every loopback name.
    pub host: &'a str,
    pub token: Option<&'a Secret>,
    pub sessions: &'a Sessions,
}

impl Door<'_> {
    /// # Errors
    /// What the request is turned away with.
    pub fn admit(&self, parts: &Parts) -> Result<(), Refusal> {
        let host = self.host_of(parts)?;
        if changes(&parts.method) {
            same_origin(&parts.headers, &host)?;
        }
        if needs_token(parts.uri.path()) {
            not_embedded(&parts.headers)?;
            self.authorised(&parts.headers)?;
        }
        Ok(())
    }

    /// The authority that the request names, when it is one of ours.
    fn host_of(&self, parts: &Parts) -> Result<Authority, Refusal> {
        let mut values = parts.headers.get_all(header::HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::bad_request("bad_host", "a request names its host in one Host header"));
        };
        let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
        let authority = authority.filter(|authority| !authority.as_str().contains('@'));
        // A target that names another host than the header does is not to be trusted either.
        let agrees = parts.uri.authority().is_none_or(|target| Some(target) == authority.as_ref());
        match authority {
            Some(authority) if agrees && self.is_ours(&authority) => Ok(authority),
            _ => Err(Refusal::forbidden("this Host is not one that the admin server answers to")
                .hint("use 127.0.0.1, localhost, or the address in web_admin.host")),
        }
    }

    fn is_ours(&self, authority: &Authority) -> bool {
        let named = bare(authority.host());
        // The parser lets anything stand for a port.
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let is_number = port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
        is_number && (is_loopback(named) || same_host(named, bare(self.host)))
    }

    fn authorised(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = self.token else { return Ok(()) };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        if bearer.is_some_and(|presented| token.matches(presented)) || self.sessions.admits(headers) {
            return Ok(());
        }
        let message = if bearer.is_some() { "the token is not web_admin.auth_token" } else { "a token is needed" };
        Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .hint("send `Authorization: Bearer <web_admin.auth_token>`, or log in on the page"))
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The page's own files hold no secret, supervisors ask whether we live, and who logs in has no token yet.
fn needs_token(path: &str) -> bool {
    let below_api = path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path != "/api/login" && (below_api || path == "/metrics")
}

/// Browsers say where a request comes from; whoever says nothing is no browser.
fn same_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Refusal> {
    let foreign = |what: &str| {
        Err(Refusal::forbidden(format!("a change must come from the admin page itself, and {what} says otherwise"))
            .hint("open the page at this address, or use the command line"))
    };
    for origin in headers.get_all(header::ORIGIN) {
        let own = origin.to_str().is_ok_and(|origin| {
            origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
                .is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str()))
        });
        if !own {
            return foreign("Origin");
        }
    }
    for site in headers.get_all("sec-fetch-site") {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return foreign("Sec-Fetch-Site");
        }
    }
    Ok(())
}

/// Another page learns nothing from an answer of ours, but asking can keep us busy: event streams and searches are not for
/// it to open. A link that the operator follows is another matter.
fn not_embedded(headers: &HeaderMap) -> Result<(), Refusal> {
    let is = |name: &str, words: &[&[u8]]| headers.get_all(name).iter().any(|value| words.contains(&value.as_bytes()));
    if is("sec-fetch-site", &[b"cross-site", b"same-site"]) && !is("sec-fetch-dest", &[b"document"]) {
        return Err(Refusal::forbidden("another page asks for this, as Sec-Fetch-Site says")
            .hint("open the admin page itself, or use the command line"));
    }
    Ok(())
}

/// What follows `Bearer `, whose letters' case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// Without the brackets of IPv6 and the dot of an absolute name.
fn bare(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn same_host(a: &str, b: &str) -> bool {
    match (a.parse::<IpAddr>(), b.parse::<IpAddr>()) {
        // Listening on every interface, the address that was dialled is one of this machine's: no name can be made to
        // look like it.
        (Ok(_), Ok(b)) if b.is_unspecified() => true,
        (Ok(a), Ok(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn status(host: &str, token: Option<&str>, parts: &Parts) -> u16 {
        let token = token.map(Secret::new);
        let sessions = Sessions::default();
        let door = Door { host, token: token.as_ref(), sessions: &sessions };
        door.admit(parts).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        for (configured, host, expected) in [
            ("127.0.0.1", "127.0.0.1:8081", 200),
            ("127.0.0.1", "localhost:8081", 200),
            ("127.0.0.1", "LOCALHOST", 200),
            ("127.0.0.1", "localhost.", 200),
            ("127.0.0.1", "[::1]:8081", 200),
            ("127.0.0.1", "127.3.2.1:8081", 200),
            ("127.0.0.1", "127.0.0.1", 200),
            ("127.0.0.1", "localhost:9999", 200),
            ("127.0.0.1", "127.0.0.1:", 200),
            ("127.0.0.1", "127.0.0.1:x", 403),
            ("127.0.0.1", "evil.example:8081", 403),
            ("127.0.0.1", "127.0.0.1.evil.example:8081", 403),
            ("127.0.0.1", "localhost.evil.example", 403),
            ("127.0.0.1", "evil@127.0.0.1:8081", 403),
            ("127.0.0.1", "192.168.1.5:8081", 403),
            ("192.168.1.5", "192.168.1.5:8081", 200),
            ("192.168.1.5", "192.168.1.6:8081", 403),
            ("gate.example", "gate.example:8081", 200),
            ("gate.example", "evil.example:8081", 403),
            ("0.0.0.0", "192.168.1.6:8081", 200),
            ("0.0.0.0", "evil.example:8081", 403),
            ("127.0.0.1", "", 403),
            ("127.0.0.1", "a b", 403),
        ] {
            let parts = asked("GET", "/api/status", &[("host", host)]);
            assert_eq!(status(configured, None, &parts), expected, "{configured} asked as {host}");
        }
        assert_eq!(status("127.0.0.1", None, &asked("GET", "/", &[])), 400, "no Host");
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert_eq!(status("127.0.0.1", None, &asked("GET", "/", &two)), 400, "two Hosts");
        let other = asked("GET", "http://evil.example/", &[("host", "127.0.0.1:8081")]);
        assert_eq!(status("127.0.0.1", None, &other), 403, "the target names another");
    }

    #[test]
    fn a_change_comes_from_our_own_page_or_from_no_browser() {
        let host = ("host", "127.0.0.1:8081");
        for (headers, expected) in [
            (vec![], 200),
            (vec![("origin", "http://127.0.0.1:8081")], 200),
            (vec![("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")], 200),
            (vec![("sec-fetch-site", "none")], 200),
            (vec![("origin", "null")], 403),
            (vec![("origin", "http://localhost:8081")], 403),
            (vec![("origin", "http://127.0.0.1:9000")], 403),
            (vec![("origin", "http://evil.example")], 403),
            (vec![("sec-fetch-site", "same-site")], 403),
            (vec![("sec-fetch-site", "cross-site")], 403),
            (vec![("origin", "http://127.0.0.1:8081"), ("origin", "http://evil.example")], 403),
        ] {
            let headers: Vec<_> = [host].into_iter().chain(headers).collect();
            for method in ["POST", "PATCH", "DELETE", "PUT"] {
                assert_eq!(status("127.0.0.1", None, &asked(method, "/api/endpoints", &headers)), expected);
            }
        }
    }

    #[test]
    fn another_page_cannot_keep_us_busy() {
        for (headers, expected) in [
            (vec![("origin", "http://evil.example")], 200),
            (vec![("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")], 200),
            (vec![("sec-fetch-site", "none"), ("sec-fetch-dest", "document")], 200),
            (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")], 200),
            (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "empty")], 403),
            (vec![("sec-fetch-site", "same-site"), ("sec-fetch-dest", "image")], 403),
            (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")], 403),
            (vec![("sec-fetch-site", "cross-site")], 403),
        ] {
            let headers: Vec<_> = [("host", "127.0.0.1:8081")].into_iter().chain(headers).collect();
            for path in ["/api/events", "/metrics"] {
                assert_eq!(status("127.0.0.1", None, &asked("GET", path, &headers)), expected, "{headers:?}");
            }
            assert_eq!(status("127.0.0.1", None, &asked("GET", "/", &headers)), 200);
        }
    }

    #[test]
    fn everything_that_tells_something_needs_the_token() {
        let host = ("host", "127.0.0.1:8081");
        for (path, open) in [
            ("/", true),
            ("/app.css", true),
            ("/healthz", true),
            ("/readyz", true),
            ("/api/login", true),
            ("/api/status", false),
            ("/api/nothing", false),
            ("/api", false),
            ("/api/", false),
            ("/api.js", true),
            ("/metrics", false),
        ] {
            let expected = if open { 200 } else { 401 };
            assert_eq!(status("127.0.0.1", Some("tok-123"), &asked("GET", path, &[host])), expected, "{path}");
            for (value, expected) in
                [("Bearer tok-123", 200), ("bearer  tok-123", 200), ("Bearer tok-124", expected), ("tok-123", expected)]
            {
                let parts = asked("GET", path, &[host, ("authorization", value)]);
                assert_eq!(status("127.0.0.1", Some("tok-123"), &parts), expected, "{path} {value}");
            }
        }
    }

    /// One of its files had a name that begins as the API does, and the page that asks for the token stayed empty.
    #[test]
    fn the_page_that_asks_for_the_token_needs_none() {
        for file in crate::admin::assets::FILES {
            let parts = asked("GET", file.path, &[("host", "127.0.0.1:8081")]);
            assert_eq!(status("127.0.0.1", Some("tok-123"), &parts), 200, "{}", file.path);
        }
    }
}
