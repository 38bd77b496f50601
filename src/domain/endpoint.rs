//! An endpoint as the operator configured it.

use std::path::PathBuf;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Uri, header};

use super::host;
use super::secret::Secret;

/// One upstream: where it is and how to speak to it. What was observed of it is in [`super::health`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Unique among the endpoints; used in logs, commands and the API.
    pub name: String,
    pub url: BaseUrl,
    /// Stands where the client wrote `/v1`: normalised to `""` or `/x/y` (one leading slash, no trailing one).
    pub path_prefix: String,
    pub auth: Auth,
    pub enabled: bool,
    /// Smaller is tried first; equals share the load.
    pub priority: i64,
    pub http: HttpVersion,
    /// `None`: the environment's `HTTPS_PROXY` and `NO_PROXY` decide.
    pub proxy: Option<ProxyUrl>,
    /// Extra root certificates in PEM, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// What a request to this endpoint authenticates with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key: V`
    ApiKey(Secret),
    /// `Authorization: Bearer V`
    Bearer(Secret),
    /// The client's own credentials go through.
    Passthrough,
}

impl Auth {
    /// The header to set, marked sensitive. `None` for passthrough, and for a value that cannot stand
    /// in a header (config loading refuses those).
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, text) = match self {
            Self::ApiKey(secret) => (HeaderName::from_static("x-api-key"), secret.expose().to_owned()),
            Self::Bearer(secret) => (header::AUTHORIZATION, format!("Bearer {}", secret.expose())),
            Self::Passthrough => return None,
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::ApiKey(secret) | Self::Bearer(secret) => Some(secret),
            Self::Passthrough => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// One broken connection ends one stream.
    #[default]
    Http1,
    Http2,
    /// Whatever TLS negotiates; HTTP/1.1 without TLS.
    Auto,
}

/// An `http://` or `https://` address with an optional base path, without user info, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// `""` or `/x/y`.
    path: String,
}

impl BaseUrl {
    /// # Errors
    /// A sentence that says what is wrong with the address; it never repeats user info.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('#') {
            return Err("a URL here has no #fragment".to_owned());
        }
        let uri: Uri = text.parse().map_err(|_| "this is not a URL, expected https://host[:port][/path]".to_owned())?;
        let scheme = uri.scheme().cloned().ok_or_else(|| "the URL must start with https:// or http://".to_owned())?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(format!("the scheme {scheme}:// is not supported, expected https:// or http://"));
        }
        let authority = uri.authority().cloned().ok_or_else(|| "the URL names no host".to_owned())?;
        if authority.as_str().contains('@') {
            return Err("credentials do not belong in the URL, use auth_type and auth_value".to_owned());
        }
        if authority.host().is_empty() {
            return Err("the URL names no host".to_owned());
        }
        if uri.query().is_some() {
            return Err("a URL here has no ?query".to_owned());
        }
        reachable(authority.host(), authority.as_str())?;
        if !uri.path().is_ascii() {
            return Err(
                "the URL's path holds a character that must be percent-encoded, such as %C3%A9 for é".to_owned()
            );
        }
        if !well_escaped(uri.path()) {
            return Err(
                "a % in the URL's path is not followed by two hex digits, write %25 for the sign itself".to_owned()
            );
        }
        Ok(Self { scheme, authority, path: normalise_path(uri.path()) })
    }

    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host as written, IPv6 in brackets.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// `host[:port]` for a `Host` header.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The whole address of a target on this server. `None` when that is no valid URI.
    pub fn uri(&self, target: PathAndQuery) -> Option<Uri> {
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(target).build().ok()
    }
}

/// Whether anything can be found at `host` and behind it in `address`, perhaps, a port.
fn reachable(host: &str, address: &str) -> Result<(), String> {
    let port = address.strip_prefix(host).unwrap_or_default();
    let is_port = |digits: &str| {
        digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match host::fault(host) {
        Some(fault) => Err(fault.to_owned()),
        None if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) => Ok(()),
        None => Err("the port must be a number from 1 to 65535".to_owned()),
    }
}

/// Whether each `%` begins an escape.
pub fn well_escaped(path: &str) -> bool {
    let mut rest = path.as_bytes().split(|byte| *byte == b'%').skip(1);
    rest.all(|behind| behind.get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)))
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// `""` or `/x/y`: one leading slash, single slashes inside, none at the end.
pub fn normalise_path(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).fold(String::new(), |joined, segment| joined + "/" + segment)
}

impl EndpointSpec {
    /// Where on the server a client's request for `/v1{rest}?query` goes. `rest` is empty or starts with a slash.
    /// `None` when that is no valid target.
    pub fn target(&self, rest: &str, query: Option<&str>) -> Option<PathAndQuery> {
        let path = [self.url.path.as_str(), &self.path_prefix, rest];
        let query = query.map_or(["", ""], |query| ["?", query]);
        let mut target = String::with_capacity(path.iter().chain(&query).map(|part| part.len()).sum::<usize>() + 1);
        target.extend(path);
        if target.is_empty() {
            target.push('/');
        }
        target.extend(query);
        PathAndQuery::try_from(target).ok()
    }
}

/// An outbound proxy: `http://`, `https://`, `socks5://` or `socks5h://`, with optional user info.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Uri);

impl ProxyUrl {
    /// # Errors
    /// A sentence that says what is wrong; it never repeats user info.
    pub fn parse(text: &str) -> Result<Self, String> {
        let proxy = Self::read(text)?;
        let authority = proxy.0.authority().map_or("", |authority| authority.as_str());
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        reachable(proxy.0.host().unwrap_or_default(), address)?;
        if !matches!(proxy.0.path(), "" | "/") || proxy.0.query().is_some() || text.contains('#') {
            return Err("a proxy URL ends with its port: it has no path, ?query or #fragment".to_owned());
        }
        Ok(proxy)
    }

    /// As it may stand in the environment, which other programs read less strictly.
    ///
    /// # Errors
    /// As [`ProxyUrl::parse`].
    pub fn read(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "this is not a proxy URL, expected http://host:port".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https" | "socks5" | "socks5h")) {
            return Err("a proxy URL starts with http://, https:// or socks5://".to_owned());
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("the proxy URL names no host".to_owned());
        }
        Ok(Self(uri))
    }

    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// `user:password` as written, if the URL has any.
    pub fn user_info(&self) -> Option<&str> {
        self.0.authority().and_then(|a| a.as_str().rsplit_once('@')).map(|(user_info, _)| user_info)
    }
}

impl ProxyUrl {
    /// Its password, as written and as meant.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        let password = self.user_info().and_then(|user_info| user_info.split_once(':')).map(|(_, password)| password);
        password.into_iter().flat_map(|written| [Secret::new(written), Secret::new(percent_decoded(written))])
    }
}

/// The text with its `%41` as `A`; what is no such escape stays.
pub fn percent_decoded(text: &str) -> String {
    let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while i < bytes.len() {
        let escaped = bytes.get(i + 1..i + 3).filter(|_| bytes[i] == b'%').and_then(hex);
        out.push(escaped.unwrap_or(bytes[i]));
        i += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl std::fmt::Display for ProxyUrl {
    /// Without the user info.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authority = self.0.authority().map_or("", |a| a.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        write!(f, "{}://{host}", self.0.scheme_str().unwrap_or("http"))
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_replaces_v1_and_slashes_are_normalised() {
        let spec = |url: &str, prefix: &str| EndpointSpec {
            name: "e".into(),
            url: BaseUrl::parse(url).unwrap(),
            path_prefix: normalise_path(prefix),
            auth: Auth::Passthrough,
            enabled: true,
            priority: 1,
            http: HttpVersion::Http1,
            proxy: None,
            ca_file: None,
        };
        let target = |url, prefix, rest, query| {
            let spec = spec(url, prefix);
            spec.url.uri(spec.target(rest, query).unwrap()).unwrap().to_string()
        };
        assert_eq!(
            target("https://a.example", "/v1", "/messages", Some("beta=true")),
            "https://a.example/v1/messages?beta=true"
        );
        assert_eq!(target("https://a.example/", "v1/", "/messages", None), "https://a.example/v1/messages");
        assert_eq!(target("http://h:1/base//x/", "", "/messages", None), "http://h:1/base/x/messages");
        assert_eq!(target("http://h:1/base", "//a//b/", "/models/x", Some("")), "http://h:1/base/a/b/models/x?");
        assert_eq!(target("http://h:1", "", "", None), "http://h:1/");
    }

    #[test]
    fn a_bad_url_says_what_is_wrong_without_its_credentials() {
        for (text, word) in [
            ("api.example.com", "https://"),
            ("ftp://a", "ftp"),
            ("https://user:hunter2@a", "credentials"),
            ("https://a?x=1", "query"),
            ("https://a#x", "fragment"),
            ("https://a:99999", "port"),
            ("https://a:0", "port"),
            ("https://", "not a URL"),
            ("", "not a URL"),
            ("https://a b", "not a URL"),
            ("https://x:+1", "port"),
            ("https://*", "host"),
            ("https://.", "host"),
            ("https://a..b", "host"),
            ("https://256.1.1.1", "host"),
            ("https://x/%zz", "%25"),
            ("https://x/100%", "%25"),
            ("https://x/é", "percent-encoded"),
        ] {
            let said = BaseUrl::parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
            assert!(!said.contains("hunter2"));
        }
    }

    #[test]
    fn what_can_be_reached_stays_an_address() {
        for text in
            ["https://my_host:1/a%20b", "http://[::1]:8080", "https://xn--bcher-kva.example.", "http://127.1/%25"]
        {
            assert!(BaseUrl::parse(text).is_ok(), "{text}");
        }
        for text in ["http://p", "http://p:1/", "socks5://me:pw@[::1]:1080", "https://p.example:443"] {
            assert!(ProxyUrl::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_bad_proxy_says_what_is_wrong() {
        for (text, word) in [
            ("http://p:99999", "port"),
            ("http://p:0", "port"),
            ("http://p:x", "port"),
            ("http://p:-1", "port"),
            ("http://p:1/path", "path"),
            ("http://p:1?x=1", "query"),
            ("http://p:1#f", "fragment"),
            ("http://*:1", "host"),
            ("http://me:hunter2@a..b:1", "host"),
        ] {
            let said = ProxyUrl::parse(text).unwrap_err();
            assert!(said.contains(word) && !said.contains("hunter2"), "{text}: {said}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let proxy = ProxyUrl::parse("http://me:hunter2@proxy.example:3128").unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy.example:3128 http://proxy.example:3128");
        assert_eq!(proxy.user_info(), Some("me:hunter2"));
        let odd = ProxyUrl::parse("http://me:p%40ss%2@proxy.example").unwrap();
        assert_eq!(odd.secrets().map(|s| s.expose().to_owned()).collect::<Vec<_>>(), ["p%40ss%2", "p@ss%2"]);
        assert!(ProxyUrl::parse("ftp://x").is_err());
    }
}
