//! Which headers go up and which come down. Values are never touched; order is kept as far as `HeaderMap` keeps it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::endpoint::Auth;
use super::secret::Secret;

/// Headers between two neighbours only (RFC 9110 section 7.6.1, and the old names still met).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The codings that we decode, and so may let an upstream use.
const DECODED: [&str; 6] = ["gzip", "x-gzip", "br", "zstd", "deflate", "identity"];

pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Seconds that a client built on Anthropic's SDKs waits for the answer's head.
pub const STAINLESS_TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-timeout");
pub const CLAUDE_CODE_SESSION: HeaderName = HeaderName::from_static("x-claude-code-session-id");

/// Shows `put` the client's headers as they go to an endpoint: without hop-by-hop ones, framing, `Host` and `Expect`,
/// with the endpoint's credential in place of both of the client's. `own` is our token: a passthrough endpoint never
/// gets it.
pub fn each_outbound(
    client: &HeaderMap,
    auth: &Auth,
    own: Option<&Secret>,
    mut put: impl FnMut(&HeaderName, &HeaderValue),
) {
    let named = named_by_connection(client);
    for (name, value) in client {
        let dropped = is_hop_by_hop(name)
            || named.contains(name)
            || matches!(*name, header::HOST | header::EXPECT | header::CONTENT_LENGTH)
            || (is_credential(name) && !passes(value, auth, own));
        if dropped {
            continue;
        }
        if *name == header::ACCEPT_ENCODING {
            put(name, &limit_codings(value));
        } else {
            put(name, value);
        }
    }
    if let Some((name, value)) = auth.header() {
        put(&name, &value);
    }
}

/// [`each_outbound`] as a map.
pub fn outbound(client: &HeaderMap, auth: &Auth, own: Option<&Secret>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.len() + 2);
    each_outbound(client, auth, own, |name, value| {
        headers.append(name, value.clone());
    });
    headers
}

/// An upstream's headers as they go down: without hop-by-hop ones, framing and the coding, for bodies go down decoded.
pub fn inbound(mut headers: HeaderMap) -> HeaderMap {
    let named = named_by_connection(&headers);
    let dropped = |name: &HeaderName| {
        is_hop_by_hop(name)
            || named.contains(name)
            || matches!(*name, header::CONTENT_LENGTH | header::CONTENT_ENCODING)
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| dropped(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    headers
}

/// A transfer coding beside `chunked`, which is the one that is taken off: with any other the body would go down coded
/// and without a word of it.
pub fn foreign_transfer_coding(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::TRANSFER_ENCODING).into_iter().map(|value| value.to_str().unwrap_or("?"));
    let mut codings = values.flat_map(|value| value.split(',')).map(str::trim);
    codings.find(|coding| !["", "chunked", "identity"].iter().any(|known| coding.eq_ignore_ascii_case(known)))
}

/// Moves all values into one piece of memory of their own. They are slices of the buffer that the head was read into,
/// and whoever keeps one keeps all of that: the record does for some time, a stream for minutes.
pub fn detach(headers: &mut HeaderMap) {
    let mut joined = Vec::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| joined.extend_from_slice(value.as_bytes()));
    let mut rest = Bytes::from(joined);
    for value in headers.values_mut() {
        if let Ok(mut moved) = HeaderValue::from_maybe_shared(rest.split_to(value.len())) {
            moved.set_sensitive(value.is_sensitive());
            *value = moved;
        }
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

fn is_credential(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION || *name == X_API_KEY
}

fn passes(value: &HeaderValue, auth: &Auth, own: Option<&Secret>) -> bool {
    *auth == Auth::Passthrough && !own.is_some_and(|own| own.matches(credential(value.as_bytes())))
}

/// The credential in an `x-api-key` or `Authorization` value: what stands behind `Bearer`, or all of it.
pub fn credential(value: &[u8]) -> &[u8] {
    bearer(value).unwrap_or(value.trim_ascii())
}

/// What stands behind `Bearer`.
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest.trim_ascii())
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// The client's own codings without those that we could not decode; untouched when there are none of those.
fn limit_codings(value: &HeaderValue) -> HeaderValue {
    let text = value.to_str().unwrap_or_default();
    let known = |coding: &&str| {
        let name = coding.split(';').next().unwrap_or_default().trim();
        DECODED.iter().any(|decoded| name.eq_ignore_ascii_case(decoded))
    };
    if !text.is_empty() && text.split(',').all(|coding| known(&coding)) {
        return value.clone();
    }
    let kept: Vec<&str> = text.split(',').filter(known).map(str::trim).collect();
    let limited = if kept.is_empty() { "identity".to_owned() } else { kept.join(", ") };
    HeaderValue::try_from(limited).unwrap_or(HeaderValue::from_static("identity"))
}

/// How long `retry-after` asks to wait: seconds, or until a date. `None` for anything else.
pub fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(u64::MAX));
    }
    if let Some(wait) = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        return Some(rounded_up(wait));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(rounded_up(at.duration_since(wall).unwrap_or_default()))
}

/// Whole seconds: a client that comes a moment early is limited again.
fn rounded_up(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// The media type of a body, lower case and without parameters; empty when none is named.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(v.as_bytes()).unwrap()))
            .collect()
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v.as_bytes()))).collect()
    }

    fn key(value: &str) -> Auth {
        Auth::ApiKey(Secret::new(value))
    }

    #[test]
    fn end_to_end_headers_go_up_in_order_and_untouched() {
        let client = map(&[
            ("anthropic-beta", "a,b ,c"),
            ("x-unknown", "caf\u{e9}"),
            ("anthropic-version", "2023-06-01"),
            ("x-claude-code-session-id", "s"),
            ("cookie", "a=b"),
            ("accept-encoding", "gzip,  deflate;q=0.5, br, zstd"),
            ("x-twice", "1"),
            ("x-twice", "2"),
        ]);
        assert_eq!(lines(&outbound(&client, &Auth::Passthrough, None)), lines(&client));
    }

    #[test]
    fn hop_by_hop_headers_framing_and_host_stay_here() {
        let client = map(&[
            ("connection", "keep-alive, X-Hop"),
            ("connection", "x-hop-two"),
            ("x-hop", "1"),
            ("x-hop-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "localhost"),
            ("expect", "100-continue"),
            ("content-length", "5"),
            ("x-stays", "yes"),
        ]);
        assert_eq!(lines(&outbound(&client, &Auth::Passthrough, None)), ["x-stays: yes"]);
    }

    #[test]
    fn both_credentials_are_replaced_by_the_endpoints_own() {
        let client = map(&[("x-api-key", "tok"), ("authorization", "Bearer tok"), ("x", "1")]);
        assert_eq!(lines(&outbound(&client, &key("sk-up"), None)), ["x: 1", "x-api-key: sk-up"]);
        let bearer = Auth::Bearer(Secret::new("sk-up"));
        assert_eq!(lines(&outbound(&client, &bearer, None)), ["x: 1", "authorization: Bearer sk-up"]);
    }

    #[test]
    fn passthrough_drops_only_what_holds_our_own_token() {
        let own = Secret::new("ours");
        let client = map(&[("x-api-key", "ours"), ("authorization", "Bearer theirs")]);
        assert_eq!(lines(&outbound(&client, &Auth::Passthrough, Some(&own))), ["authorization: Bearer theirs"]);
        let client = map(&[("authorization", "bearer  ours"), ("x-api-key", "theirs")]);
        assert_eq!(lines(&outbound(&client, &Auth::Passthrough, Some(&own))), ["x-api-key: theirs"]);
    }

    #[test]
    fn an_upstream_may_use_only_codings_that_we_decode() {
        for (sent, expected) in [
            ("gzip, br, zstd, deflate", "gzip, br, zstd, deflate"),
            ("gzip;q=1.0,snappy", "gzip;q=1.0"),
            ("compress", "identity"),
            ("*", "identity"),
            ("GZIP, *;q=0", "GZIP"),
        ] {
            let up = outbound(&map(&[("accept-encoding", sent)]), &Auth::Passthrough, None);
            assert_eq!(up[header::ACCEPT_ENCODING], expected, "{sent}");
        }
        assert!(outbound(&HeaderMap::new(), &Auth::Passthrough, None).is_empty());
    }

    #[test]
    fn a_record_of_headers_does_not_keep_the_buffer_that_they_were_read_into() {
        let buffer = Bytes::from(b"one two\xe9".repeat(100));
        let mut headers = HeaderMap::new();
        for (name, range) in [("a", 0..3), ("b", 3..3), ("a", 4..8)] {
            headers.append(name, HeaderValue::from_maybe_shared(buffer.slice(range)).unwrap());
        }
        let before = headers.clone();
        detach(&mut headers);
        assert_eq!(headers, before);
        drop(before);
        assert!(buffer.is_unique());
    }

    #[test]
    fn an_answers_framing_and_connection_headers_stay_behind() {
        let upstream = map(&[
            ("request-id", "req_1"),
            ("connection", "close, x-internal"),
            ("x-internal", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "9"),
            ("content-encoding", "gzip"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        let whole = ["request-id: req_1", "set-cookie: a=1", "set-cookie: b=2"];
        assert_eq!(lines(&inbound(upstream)), whole);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        for (text, expected) in [
            ("0", Some(0)),
            ("30", Some(30)),
            (" 7 ", Some(7)),
            ("1.2", Some(2)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400 - 784_111_777)),
            // Obsolete, and still to be read (RFC 9110 section 5.6.7).
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("-5", None),
            ("soon", None),
            ("Sun, 06 Foo 1994 08:50:37 GMT", None),
            ("Sun, 06 Nov 1994 08:50:37 CET", None),
            ("NaN", None),
            ("99999999999999999999999", Some(u64::MAX)),
        ] {
            let headers = map(&[("retry-after", text)]);
            assert_eq!(retry_after(&headers, wall).map(|d| d.as_secs()), expected, "{text}");
        }
    }
}
