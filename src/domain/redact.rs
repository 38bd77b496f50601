//! Takes credentials out of text: by value wherever they stand, and by the name of the header that carries them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use http::{HeaderMap, header};
use memchr::memmem::Finder;

use super::endpoint::percent_decoded;
use super::headers::X_API_KEY;
use super::secret::Secret;

/// What stands where a credential stood.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are ordinary words: replacing them would spoil every text. Only header names hide those.
const SHORTEST: usize = 4;
/// A cookie's value below this is a flag or a number, not a session; so is that of a header that may hold a credential.
const SHORTEST_VAGUE: usize = 8;
/// What stands before a credential and is none.
const SCHEMES: [&str; 3] = ["bearer", "basic", "token"];

/// Knows secrets by value, each also as JSON and percent-encoding write it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Known>);

#[derive(Default)]
struct Known {
    secrets: Vec<Secret>,
    needles: Vec<Finder<'static>>,
    longest: usize,
}

impl Redactor {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::default().with(secrets)
    }

    /// This one and more: itself, when it knows them all already.
    pub fn with<'a>(&self, more: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut unknown: Vec<&Secret> = Vec::new();
        for secret in more {
            let usable = secret.expose().len() >= SHORTEST;
            if usable && !self.0.secrets.contains(secret) && !unknown.contains(&secret) {
                unknown.push(secret);
            }
        }
        if unknown.is_empty() {
            return self.clone();
        }
        let mut known =
            Known { secrets: self.0.secrets.clone(), needles: self.0.needles.clone(), longest: self.0.longest };
        for secret in unknown {
            known.secrets.push(secret.clone());
            for form in forms(secret.expose()) {
                known.longest = known.longest.max(form.len());
                known.needles.push(Finder::new(form.as_bytes()).into_owned());
            }
        }
        Self(Arc::new(known))
    }

    /// For a reload: what was a secret before stays one.
    pub fn with_previous(&self, previous: &Self) -> Self {
        self.with(&previous.0.secrets)
    }

    /// Bytes of the longest form of any secret: a text cut anywhere needs so many more to show a secret at its border.
    pub fn longest(&self) -> usize {
        self.0.longest
    }

    pub fn finds_in(&self, text: &[u8]) -> bool {
        self.0.needles.iter().any(|needle| needle.find(text).is_some())
    }

    /// Borrowed when there is nothing to replace.
    pub fn redact_bytes<'t>(&self, text: &'t [u8], extra: &[Secret]) -> Cow<'t, [u8]> {
        if extra.is_empty() {
            self.redact_head(text, text.len())
        } else {
            self.with(extra).redact_head(text, text.len())
        }
    }

    /// Borrowed when there is nothing to replace.
    pub fn redact_str<'t>(&self, text: &'t str, extra: &[Secret]) -> Cow<'t, str> {
        match self.redact_bytes(text.as_bytes(), extra) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A secret is text, so it begins and ends at character boundaries and what is left is text.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The first `keep` bytes of `text`; a secret that begins before the border and ends behind it is replaced as a whole.
    pub fn redact_head<'t>(&self, text: &'t [u8], keep: usize) -> Cow<'t, [u8]> {
        let keep = keep.min(text.len());
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(&text[..keep]);
        }
        let mut clean = Vec::with_capacity(keep);
        let mut done = 0;
        for span in spans.into_iter().take_while(|span| span.start < keep) {
            clean.extend_from_slice(&text[done..span.start]);
            clean.extend_from_slice(REDACTED.as_bytes());
            done = span.end;
        }
        clean.extend_from_slice(text.get(done..keep).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Where secrets stand, in order. Overlapping ones are one span, so that no tail of the longer one is left.
    fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for needle in &self.0.needles {
            let mut from = 0;
            while let Some(at) = text.get(from..).and_then(|rest| needle.find(rest)) {
                let start = from + at;
                add(&mut found, start..start + needle.needle().len());
                from = start + 1;
            }
        }
        found.sort_unstable_by_key(|span| span.start);
        let mut merged = Vec::with_capacity(found.len());
        for span in found {
            add(&mut merged, span);
        }
        merged
    }
}

/// Adds a span that begins no earlier than the last one, or makes that one longer.
fn add(spans: &mut Vec<Range<usize>>, span: Range<usize>) {
    match spans.last_mut() {
        Some(last) if last.start <= span.start && span.start < last.end => last.end = last.end.max(span.end),
        _ => spans.push(span),
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.0.secrets.len())
    }
}

/// The ways in which text may hold this value, without doubles; for most keys that is one.
fn forms(value: &str) -> Vec<String> {
    let json = json_escaped(value);
    let percent = percent_encoded(value, b"-_.~", b"0123456789ABCDEF");
    let unquoted = json.replace("\\\"", "\\u0022");
    let mut forms = vec![
        value.to_owned(),
        // As Go, Gson, PHP and .NET write JSON, for pages to hold it.
        with_units(&json, "&<>", false),
        with_units(&json, "&<>='", false),
        with_units(&unquoted, "", true),
        with_units(&unquoted, "&<>'", true),
        with_units(&unquoted, "&<>+'`", true),
        // As a path or a whole address is written.
        percent_encoded(value, b"-_.~!*'();,/?:@&=+$#", b"0123456789ABCDEF"),
        value.replace('%', "%25"),
        // As Python writes a path.
        percent_encoded(value, b"-_.~/", b"0123456789ABCDEF"),
        json_escaped(&json),
        json.replace('/', "\\/"),
        json,
        percent_encoded(value, b"-_.~!*'()", b"0123456789ABCDEF"),
        percent.replace("%20", "+"),
        percent_encoded(value, b"-_.~", b"0123456789abcdef"),
        percent,
    ];
    // As JavaScript, Go, Python, PHP before and since 8.1, and XML write quotes in HTML.
    let quotes = [("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&quot;", "&#x27;"), ("&quot;", "'")];
    let more_quotes = [("&quot;", "&#039;"), ("&quot;", "&apos;"), ("\"", "'")];
    forms.extend(quotes.into_iter().chain(more_quotes).map(|(double, single)| html_escaped(value, double, single)));
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// JSON in which these characters are written as `\u` and four hex digits.
fn with_units(json: &str, escaped: &str, upper: bool) -> String {
    let unit = |c: char| if upper { format!("\\u{:04X}", u32::from(c)) } else { format!("\\u{:04x}", u32::from(c)) };
    json.chars().map(|c| if escaped.contains(c) { unit(c) } else { c.to_string() }).collect()
}

fn html_escaped(value: &str, double: &str, single: &str) -> String {
    let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', double).replace('\'', single)
}

/// Letters, digits and `marks` stay as they are.
fn percent_encoded(value: &str, marks: &[u8], digits: &[u8; 16]) -> String {
    let digit = |value: u8| char::from(digits[usize::from(value)]);
    let mut encoded = String::with_capacity(value.len() * 3);
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || marks.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// Whether a header of this (lower-case) name holds a credential. `…-tokens-…` counts tokens and holds none.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.as_bytes();
    // Asked for every header of every request, so all words are looked for in one pass, each at a rare letter of it.
    name.iter().enumerate().filter(|(_, letter)| RARE[usize::from(**letter)]).any(|(at, letter)| {
        let is = |word: &str, before: usize| at >= before && name[at - before..].starts_with(word.as_bytes());
        let goes_on = |next: u8| name.get(at + 1) == Some(&next);
        let around = || around(name, at);
        match letter {
            b'k' => {
                is("token", 2) && !counts_tokens(name, at - 2)
                    || is("cookie", 3)
                    || is("api-key", 4)
                    || is("apikey", 3)
                    || at + 3 == name.len() && matches!(around(), (before, b"key", _) if !names_no_secret(before))
            }
            b'z' => is("authorization", 7),
            b'c' if goes_on(b'r') => is("secret", 2) || is("credential", 0),
            b'w' => is("passw", 4) || is("jwt", 1) && around().1 == b"jwt",
            b'b' if goes_on(b'e') => is("bearer", 0) && around().1 == b"bearer",
            b'u' if is("auth", 1) || is("signature", 6) => match around() {
                (_, b"auth", behind) => behind.is_empty(),
                (_, b"signature", behind) => !describes_signature(behind),
                _ => false,
            },
            _ => false,
        }
    })
}

/// The letters that [`is_secret_header`] knows its words by.
const RARE: [bool; 256] = {
    let mut rare = [false; 256];
    let letters = *b"kzcwbu";
    let mut at = 0;
    while at < letters.len() {
        rare[letters[at] as usize] = true;
        at += 1;
    }
    rare
};

/// The word that has this letter, between what stands before it and what stands behind it.
fn around(name: &[u8], at: usize) -> (&[u8], &[u8], &[u8]) {
    let is_border = |letter: &u8| matches!(letter, b'-' | b'_');
    let start = name[..at].iter().rposition(is_border).map_or(0, |border| border + 1);
    let end = name[at..].iter().position(is_border).map_or(name.len(), |border| at + border);
    (&name[..start], &name[start..end], &name[end..])
}

/// Whether a `…-key` of this kind is a name for something rather than what opens it.
fn names_no_secret(before: &[u8]) -> bool {
    const KINDS: [&str; 7] =
        ["idempotency-", "websocket-", "cache-", "surrogate-", "public-", "routing-", "partition-"];
    KINDS.iter().any(|kind| before.ends_with(kind.as_bytes()))
}

/// Whether a `signature-…` that goes on like this tells about a signature and is none.
fn describes_signature(behind: &[u8]) -> bool {
    ["-input", "-agent", "-timestamp", "-version"].iter().any(|more| behind.starts_with(more.as_bytes()))
}

/// Whether the word that starts here is exactly `tokens`.
fn counts_tokens(name: &[u8], start: usize) -> bool {
    let (before, word) = name.split_at(start);
    matches!(before, [] | [.., b'-']) && matches!(word, b"tokens" | [b't', b'o', b'k', b'e', b'n', b's', b'-', ..])
}

/// What a client presented as its credentials, for the redactor: keys, tokens, cookies.
pub fn presented(headers: &HeaderMap) -> Vec<Secret> {
    let mut found: Vec<Secret> = Vec::new();
    let mut note = |value: &str, shortest: usize| {
        if value.len() >= shortest && !found.iter().any(|known| known.expose() == value) {
            found.push(Secret::new(value));
        }
    };
    for (name, value) in headers.iter().filter(|(name, _)| is_secret_header(name.as_str())) {
        let Ok(value) = std::str::from_utf8(value.as_bytes()).map(str::trim) else { continue };
        if *name == header::COOKIE {
            let values = value.split(';').map(|pair| pair.split_once('=').map_or(pair, |(_name, value)| value).trim());
            values.for_each(|value| note(value, SHORTEST_VAGUE));
            continue;
        }
        let is_authorization = *name == header::AUTHORIZATION || *name == header::PROXY_AUTHORIZATION;
        let shortest = if is_authorization || *name == X_API_KEY { SHORTEST } else { SHORTEST_VAGUE };
        let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
        let is_scheme = SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme));
        if is_scheme || is_authorization {
            note(rest.trim(), shortest);
        }
        if !is_scheme {
            note(value, shortest);
        }
    }
    found
}

/// The same from a query, by the names of its parameters: `?key=…`, `?access_token=…`.
pub fn presented_in_query(query: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    for (name, value) in pairs.filter(|(_, value)| value.len() >= SHORTEST_VAGUE) {
        if is_secret_header(&percent_decoded(name).to_ascii_lowercase().replace('_', "-")) {
            found.extend([Secret::new(value), Secret::new(percent_decoded(value))]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        Redactor::new(&values.iter().map(|value| Secret::new(*value)).collect::<Vec<_>>())
    }

    #[test]
    fn a_query_presents_credentials_by_name() {
        let of = |query: &str| presented_in_query(query).iter().map(|s| s.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(of("beta=true&limit=100000000&max_tokens=12345678&key=1"), [""; 0]);
        for name in ["key", "api_key", "API-Key", "access_token", "client%5Fsecret"] {
            assert_eq!(of(&format!("a=b&{name}=hunter%2Btwo&c=d")), ["hunter%2Btwo", "hunter+two"], "{name}");
        }
    }

    #[test]
    fn every_occurrence_is_replaced_and_clean_text_is_borrowed() {
        let redactor = redactor(&["sk-one", "two-key"]);
        assert_eq!(
            redactor.redact_str("a sk-one, two-key sk-onesk-one.", &[]),
            "a [redacted], [redacted] [redacted][redacted]."
        );
        assert!(matches!(redactor.redact_str("nothing here", &[]), Cow::Borrowed("nothing here")));
        assert!(matches!(redactor.redact_bytes(b"\xff\xfe", &[]), Cow::Borrowed(_)));
        assert_eq!(redactor.redact_bytes(b"\xffsk-one\xfe", &[]).as_ref(), b"\xff[redacted]\xfe");
    }

    #[test]
    fn of_prefixes_and_overlaps_no_tail_is_left() {
        assert_eq!(
            redactor(&["sk-abc", "sk-abc-long"]).redact_str("x sk-abc-long y sk-abc", &[]),
            "x [redacted] y [redacted]"
        );
        assert_eq!(redactor(&["ABCD", "CDEF"]).redact_str("-ABCDEF-", &[]), "-[redacted]-");
        assert_eq!(redactor(&["ABAB"]).redact_str("-ABABAB-", &[]), "-[redacted]-");
        assert_eq!(redactor(&["BCDE", "ABCDEF"]).redact_str("-ABCDEF-", &[]), "-[redacted]-");
    }

    #[test]
    fn encoded_forms_are_found() {
        let redactor = redactor(&["k/e+y=\"\\ü"]);
        for text in [
            r#"{"a":"k/e+y=\"\\ü"}"#,
            r#"{"a":"k\/e+y=\"\\ü"}"#,
            r#"{"partial_json":"{\"a\":\"k/e+y=\\\"\\\\ü\"}"}"#,
            "/v1/x?k=k%2Fe%2By%3D%22%5C%C3%BC",
            "/v1/x?k=k%2fe%2by%3d%22%5c%c3%bc",
            "k=k%2Fe%2By%3D%22%5C%C3%BC&a=b+c",
            "/v1/k/e%2By%3D%22%5C%C3%BC",
            r#"{"a":"k/e+y\u003d\"\\ü"}"#,
            r#"<input value="k/e+y=&quot;\ü">"#,
        ] {
            let clean = redactor.redact_str(text, &[]);
            assert!(clean.contains(REDACTED) && !clean.contains("ü") && !clean.contains("%3"), "{clean}");
        }
    }

    /// Each library has its own idea of what pages must not see.
    #[test]
    fn a_key_is_found_as_each_of_them_writes_it() {
        let redactor = redactor(&["sk-Ab+cd/ef&gh=="]);
        for text in [
            r"sk-Ab+cd/ef\u0026gh==",
            r"sk-Ab\u002Bcd/ef\u0026gh==",
            r"sk-Ab+cd/ef\u0026gh\u003d\u003d",
            "sk-Ab%2Bcd/ef%26gh%3D%3D",
        ] {
            assert_eq!(redactor.redact_str(text, &[]), REDACTED, "{text}");
        }
    }

    #[test]
    fn a_password_with_quotes_is_found_as_each_of_them_writes_it() {
        let redactor = redactor(&["it's<\"mine\">&50%@home"]);
        for text in [
            "it&#39;s&lt;&quot;mine&quot;&gt;&amp;50%@home",
            "it&#39;s&lt;&#34;mine&#34;&gt;&amp;50%@home",
            "it&#x27;s&lt;&quot;mine&quot;&gt;&amp;50%@home",
            "it&#039;s&lt;&quot;mine&quot;&gt;&amp;50%@home",
            "it's&lt;&quot;mine&quot;&gt;&amp;50%@home",
            "it's&lt;\"mine\"&gt;&amp;50%@home",
            r#"it's\u003c\"mine\"\u003e\u002650%@home"#,
            r"it\u0027s\u003C\u0022mine\u0022\u003E\u002650%@home",
            r"it's<\u0022mine\u0022>&50%@home",
            "it's%3C%22mine%22%3E&50%25@home",
            "it's<\"mine\">&50%25@home",
        ] {
            assert_eq!(redactor.redact_str(text, &[]), REDACTED, "{text}");
        }
    }

    #[test]
    fn extra_and_previous_secrets_count_and_short_ones_do_not() {
        let old = redactor(&["old-key", "abc"]);
        let new = redactor(&["new-key"]).with_previous(&old);
        assert_eq!(new.redact_str("old-key new-key abc", &[]), "[redacted] [redacted] abc");
        assert_eq!(new.redact_str("mine", &[Secret::new("mine")]), REDACTED);
        assert_eq!(new.redact_str("mine", &[]), "mine");
        assert_eq!(new.longest(), 7);
        assert_eq!(format!("{new:?}"), "Redactor(2 secrets)");
    }

    #[test]
    fn a_secret_across_the_border_is_replaced_as_a_whole() {
        let redactor = redactor(&["0123456789"]);
        let text = b"ab 0123456789 cd";
        assert_eq!(redactor.redact_head(text, 5).as_ref(), b"ab [redacted]");
        assert_eq!(redactor.redact_head(text, 3).as_ref(), b"ab ");
        assert_eq!(redactor.redact_head(text, 14).as_ref(), b"ab [redacted] ");
    }

    #[test]
    fn header_names_tell_credentials_from_counts() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-api-key",
            "cookie",
            "set-cookie",
            "x-amz-security-token",
            "x-csrf-token",
            "token",
            "x-accesstoken",
            "api-key",
            "x-apikey",
            "x-client-secret",
            "x-password",
            "x-credential-id",
            "key",
            "ocp-apim-subscription-key",
            "x-auth-key",
            "x-functions-key",
            "x-access-key",
            "x-private-key",
            "x-goog-api-key",
            "x_secret_key",
            "cf-access-jwt-assertion",
            "x-jwt",
            "auth",
            "x-auth",
            "x-amz-auth",
            "signature",
            "x-signature",
            "x-hub-signature-256",
            "x-passwd",
            "x-bearer",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "x-max-tokens",
            "anthropic-beta",
            "content-type",
            "request-id",
            "x-stainless-lang",
            "user-agent",
            "idempotency-key",
            "x-idempotency-key",
            "x-stainless-idempotency-key",
            "sec-websocket-key",
            "surrogate-key",
            "x-key-id",
            "x-monkey",
            "keep-alive",
            "signature-input",
            "x-signature-timestamp",
            "x-designature",
            "authority",
            ":authority",
            "x-author",
            "x-auth-type",
            "x-jwtless",
            "x-forebearer",
            "anthropic-version",
            "anthropic-dangerous-direct-browser-access",
            "anthropic-ratelimit-unified-status",
            "x-claude-code-session-id",
            "x-stainless-runtime-version",
            "x-app",
        ] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn presented_credentials_come_without_scheme_or_name() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer tok-1"));
        headers.append("x-api-key", HeaderValue::from_static("tok-1"));
        headers.append("x-api-key", HeaderValue::from_static("key-2"));
        headers.append("cookie", HeaderValue::from_static("lang=en; session=abcdefgh12"));
        let values: Vec<_> = presented(&headers).iter().map(|secret| secret.expose().to_owned()).collect();
        assert_eq!(values, ["tok-1", "key-2", "abcdefgh12"]);
    }

    #[test]
    fn what_is_hidden_by_name_is_presented_by_value() {
        let of = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
            presented(&headers).iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of("ocp-apim-subscription-key", "0123456789abcdef"), ["0123456789abcdef"]);
        assert_eq!(of("x-auth-token", "Bearer 0123456789"), ["0123456789"]);
        assert_eq!(of("x-password", "correct horse"), ["correct horse"]);
        assert_eq!(of("authorization", "correct horse"), ["horse", "correct horse"]);
        assert_eq!(of("authorization", "basic dTpw"), ["dTpw"]);
        assert_eq!(of("x-auth", "enabled"), [""; 0], "a short value is a word");
        assert_eq!(of("x-request-id", "0123456789abcdef"), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_secret_survives(parts in prop::collection::vec("[a-cXYZ]{0,6}", 0..20), secrets in prop::collection::vec("[XYZ]{4,9}", 1..5)) {
            let secrets: Vec<Secret> = secrets.into_iter().map(Secret::new).collect();
            let mut text = parts.concat();
            for (at, secret) in secrets.iter().enumerate() {
                text.insert_str(text.len() * at / secrets.len(), secret.expose());
            }
            let redactor = Redactor::new(&secrets);
            for keep in [0, text.len() / 2, text.len()] {
                let clean = redactor.redact_head(text.as_bytes(), keep);
                prop_assert!(!redactor.finds_in(&clean));
            }
        }
    }
}
