//! The address of a running proxy's admin API.

use crate::domain::secret::Secret;

/// The token for an address that was named by hand.
pub const TOKEN_VARIABLE: &str = "CLAUDE_PROXY_ADMIN_TOKEN";

/// Where a running proxy listens for operators, and why we think so.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`, IPv6 in brackets.
    pub address: String,
    pub token: Option<Secret>,
    /// Where the address comes from, for messages: `web_admin in /etc/config.yaml`.
    pub source: String,
    /// The command that starts a proxy there.
    pub start: String,
}

impl Target {
    /// A listener as the config names it; one on every interface is reached over loopback.
    pub fn of(host: &str, port: u16, source: &str) -> Self {
        let host = match host {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" | "[::]" => "[::1]".to_owned(),
            host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
            host => host.to_owned(),
        };
        Self::at(format!("{host}:{port}"), source)
    }

    /// `http://HOST:PORT`, with or without its scheme.
    ///
    /// # Errors
    /// What is wrong with the address, to stand behind it and a colon.
    pub fn parse(url: &str, source: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        if rest.starts_with("https://") {
            return Err("the admin API speaks plain http".to_owned());
        }
        let no_address = || "this is no address".to_owned();
        let uri: http::Uri = format!("http://{}", rest.trim_end_matches('/')).parse().map_err(|_| no_address())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(no_address)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err("an address has no path".to_owned());
        }
        match authority.port_u16() {
            Some(0) | None => Err("it names no port".to_owned()),
            Some(port) => Ok(Self::of(authority.host(), port, source)),
        }
    }

    fn at(address: String, source: &str) -> Self {
        Self { address, token: None, source: source.to_owned(), start: "claude-proxy serve".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_at_an_address_that_can_be_reached() {
        for (host, address) in [
            ("127.0.0.1", "127.0.0.1:8081"),
            ("0.0.0.0", "127.0.0.1:8081"),
            ("::", "[::1]:8081"),
            ("::1", "[::1]:8081"),
            ("[::1]", "[::1]:8081"),
            ("localhost", "localhost:8081"),
        ] {
            assert_eq!(Target::of(host, 8081, "").address, address);
        }
    }

    #[test]
    fn an_address_typed_by_hand_is_understood_or_said_to_be_wrong() {
        for (url, address) in [
            ("http://127.0.0.1:9", "127.0.0.1:9"),
            ("http://127.0.0.1:9/", "127.0.0.1:9"),
            ("localhost:9", "localhost:9"),
            ("http://[::1]:9", "[::1]:9"),
            ("http://0.0.0.0:9", "127.0.0.1:9"),
        ] {
            assert_eq!(Target::parse(url, "").unwrap().address, address);
        }
        for (url, why) in [
            ("https://a.example:9", "the admin API speaks plain http"),
            ("http://a.example", "it names no port"),
            ("http://a.example:0", "it names no port"),
            ("http://a.example:9/ui", "an address has no path"),
            ("http://a.example:9?x", "an address has no path"),
            ("http://me:hunter2@a.example:9", "this is no address"),
            ("http://a.example:99999", "it names no port"),
            ("not an address", "this is no address"),
            ("", "this is no address"),
        ] {
            assert_eq!(Target::parse(url, "").unwrap_err(), why, "{url}");
        }
    }
}
