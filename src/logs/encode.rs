//! From what was seen of a request to its line: credentials out, bodies cut, straight into the writer's buffer.
//!
//! Most lines hold no secret beyond the headers that are hidden by name. So everything is searched once, joined, and only
//! where that finds something is each field gone through by itself.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

use super::Entry;
use super::capture::{Captured, TRUNCATED};
use super::json::{Object, escape_more_controls};
use crate::domain::redact::{REDACTED, Redactor, is_secret_header};
use crate::domain::secret::Secret;
use crate::wire::record::{AttemptRecord, Ending, RECORD_VERSION, RequestRecord, Usage};

/// How much a line shows of what may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// No more than the beginnings of bodies, and no timeline.
    Short,
    /// All that was captured.
    Whole,
}

pub(super) struct Encoder {
    configured: Redactor,
    /// The credentials of the last entry, and the redactor that knows them too: mostly the same again.
    presented: Vec<Secret>,
    redactor: Redactor,
    joined: Vec<u8>,
    /// Which header values of the last entry show nothing: the request's, then the answer's.
    hidden: Vec<bool>,
}

impl Encoder {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { configured: redactor.clone(), presented: Vec::new(), redactor, joined: Vec::new(), hidden: Vec::new() }
    }

    /// Gets an entry ready to be written. Its record's own fields hold no credential after this.
    pub(super) fn line<'e>(&'e mut self, entry: &'e mut Entry) -> Line<'e> {
        if self.presented != entry.presented {
            self.redactor = self.configured.with(&entry.presented);
            self.presented.clone_from(&entry.presented);
        }
        let headers = entry.request_headers.iter().chain(&entry.response_headers);
        self.hidden.clear();
        self.hidden.extend(headers.map(|(name, value)| value.is_sensitive() || is_secret_header(name.as_str())));
        join_fields(entry, &self.hidden, &mut self.joined);
        let bodies = [entry.request_body.join(), entry.response_body.join()];
        let dirty = bodies.into_iter().chain([self.joined.as_slice()]).any(|text| self.redactor.finds_in(text));
        if dirty {
            scrub(&mut entry.record, &self.redactor);
        }
        Line { entry, hidden: &self.hidden, redactor: dirty.then_some(&self.redactor) }
    }
}

/// All text but the bodies and the values that are hidden anyway, joined as repeated headers are.
fn join_fields(entry: &Entry, hidden: &[bool], joined: &mut Vec<u8>) {
    joined.clear();
    let mut add = |text: &[u8]| {
        joined.extend_from_slice(text);
        joined.extend_from_slice(b", ");
    };
    let RequestRecord { id, method, path, model, session, error, attempts, .. } = &entry.record;
    let details = attempts.iter().filter_map(|attempt| attempt.detail.as_ref());
    for text in [id, method, path].into_iter().chain(model).chain(session).chain(error).chain(details) {
        add(text.as_bytes());
    }
    let headers = entry.request_headers.iter().chain(&entry.response_headers);
    for ((name, value), hidden) in headers.zip(hidden) {
        add(name.as_str().as_bytes());
        if !hidden {
            add(value.as_bytes());
        }
    }
}

/// Not the endpoints' names and the words of our own: those are shown everywhere.
fn scrub(record: &mut RequestRecord, redactor: &Redactor) {
    let RequestRecord { id, method, path, model, session, error, attempts, .. } = record;
    let details = attempts.iter_mut().filter_map(|attempt| attempt.detail.as_mut());
    for text in [id, method, path].into_iter().chain(model).chain(session).chain(error).chain(details) {
        if let Cow::Owned(clean) = redactor.redact_str(text, &[]) {
            *text = clean;
        }
    }
}

/// An entry that is ready to be written.
pub(super) struct Line<'e> {
    entry: &'e Entry,
    /// [`Encoder::hidden`]
    hidden: &'e [bool],
    /// Only when there is something to find.
    redactor: Option<&'e Redactor>,
}

impl Line<'_> {
    pub(super) fn record(&self) -> &RequestRecord {
        &self.entry.record
    }

    /// Whether the two forms differ in a body.
    pub(super) fn has_more(&self) -> bool {
        [&self.entry.request_body, &self.entry.response_body].into_iter().any(|body| {
            let shown = body.shown().unwrap_or(0);
            shown > TRUNCATED && body.size > TRUNCATED as u64
        })
    }

    /// One JSON object and a newline: the fields of a [`RequestRecord`].
    pub(super) fn write(&self, form: Form, lines: &mut Vec<u8>) {
        let RequestRecord {
            v: _,
            id,
            time,
            method,
            path,
            model,
            stream,
            session,
            status,
            ending,
            endpoint,
            duration_ms,
            first_byte_ms,
            attempts,
            timeline: _,
            usage,
            request: _,
            response: _,
            error,
        } = &self.entry.record;
        let start = lines.len();
        let mut line = Object::open(lines);
        line.number("v", u64::from(RECORD_VERSION));
        line.string("id", id);
        line.string("time", time);
        line.string("method", method);
        line.string("path", path);
        line.optional("model", model.as_deref());
        line.plain("stream", stream);
        line.optional("session", session.as_deref());
        line.number("status", u64::from(*status));
        line.plain("ending", ending);
        line.optional("endpoint", endpoint.as_deref());
        line.number("duration_ms", *duration_ms);
        line.number("first_byte_ms", *first_byte_ms);
        line.array("attempts", attempts, write_attempt);
        write_usage(&mut line, *usage);
        let Entry { request_headers, request_body, response_headers, response_body, .. } = self.entry;
        // No endpoint is asked before all of the request is here.
        let upload_broke = *ending == Ending::ClientGone && attempts.is_empty();
        let (in_request, in_response) = self.hidden.split_at(request_headers.len());
        let headers = request_headers.iter().zip(in_request);
        self.exchanged(line.object("request"), headers, request_body, form, upload_broke);
        let answer_broke = matches!(ending, Ending::Cut | Ending::ClientGone);
        let headers = response_headers.iter().zip(in_response);
        self.exchanged(line.object("response"), headers, response_body, form, answer_broke);
        line.optional("error", error.as_deref());
        line.close();
        escape_more_controls(lines, start);
        lines.push(b'\n');
        if form == Form::Whole {
            self.add_timeline(lines);
        }
    }

    /// Completes the line that was written last, in its short form, when it has no more than that.
    pub(super) fn add_timeline(&self, lines: &mut Vec<u8>) {
        let Some(timeline) = &self.entry.record.timeline else { return };
        // Behind the last member, before the end of the object and of the line.
        lines.truncate(lines.len().saturating_sub(2));
        let end = lines.len();
        lines.extend_from_slice(b",\"timeline\":");
        if serde_json::to_writer(&mut *lines, timeline).is_err() {
            lines.truncate(end);
        }
        lines.extend_from_slice(b"}\n");
    }

    /// `broke`: the body ends where its connection did.
    fn exchanged<'h>(
        &self,
        mut object: Object,
        headers: impl Iterator<Item = Header<'h>>,
        body: &Captured,
        form: Form,
        broke: bool,
    ) {
        let mut map = object.object("headers");
        self.headers(&mut map, headers);
        map.close();
        let mut truncated = false;
        if let Some(shown) = body.shown() {
            let keep = if form == Form::Short { shown.min(TRUNCATED) } else { shown };
            let (clean, shortened) = clean_head(body.joined(), keep, self.redactor);
            let cut = shortened || body.size > keep as u64;
            let (text, encoding, incomplete) = as_text(&clean, cut || broke);
            truncated = cut || incomplete;
            object.string("body", &text);
            if let Some(encoding) = encoding {
                object.string("encoding", encoding);
            }
        } else {
            object.optional("body", None);
        }
        object.number("size", body.size);
        object.plain("truncated", truncated);
        object.close();
    }

    fn headers<'h>(&self, map: &mut Object, headers: impl Iterator<Item = Header<'h>>) {
        // The values of one name come one after the other.
        let mut headers = headers.peekable();
        while let Some(((name, value), hidden)) = headers.next() {
            let (mut more, mut hidden) = (None::<Vec<u8>>, *hidden);
            while let Some(((_, next), next_hidden)) = headers.next_if(|((next, _), _)| *next == name) {
                let joined = more.get_or_insert_with(|| value.as_bytes().to_vec());
                joined.extend_from_slice(b", ");
                joined.extend_from_slice(next.as_bytes());
                hidden |= *next_hidden;
            }
            let name = name.as_str();
            let shown = if hidden { REDACTED.as_bytes() } else { more.as_deref().unwrap_or(value.as_bytes()) };
            match self.redactor {
                None => map.bytes(name, shown),
                Some(redactor) => map.bytes(&redactor.redact_str(name, &[]), &redactor.redact_bytes(shown, &[])),
            }
        }
    }
}

/// A name, a value, and whether that is hidden.
type Header<'h> = ((&'h HeaderName, &'h HeaderValue), &'h bool);

fn write_usage(line: &mut Object, usage: Option<Usage>) {
    let Some(Usage { input, output, cache_read, cache_creation }) = usage else { return line.optional("usage", None) };
    let mut object = line.object("usage");
    object.number("input", input);
    object.number("output", output);
    object.number("cache_read", cache_read);
    object.number("cache_creation", cache_creation);
    object.close();
}

fn write_attempt(attempt: &AttemptRecord, object: &mut Object) {
    let AttemptRecord { endpoint, started_ms, sent_ms, duration_ms, status, fault, detail } = attempt;
    object.string("endpoint", endpoint);
    object.number("started_ms", *started_ms);
    if let Some(sent_ms) = sent_ms {
        object.number("sent_ms", *sent_ms);
    }
    object.number("duration_ms", *duration_ms);
    object.number("status", status.map(u64::from));
    object.optional("fault", fault.as_deref());
    if let Some(detail) = detail {
        object.string("detail", detail);
    }
}

/// The first `keep` bytes without credentials. What is held beyond them only serves to recognise one at the border. The
/// flag: what stands in place of credentials left no room for the last of those bytes.
fn clean_head<'a>(held: &'a [u8], keep: usize, redactor: Option<&Redactor>) -> (Cow<'a, [u8]>, bool) {
    let Some(redactor) = redactor else { return (Cow::Borrowed(&held[..keep.min(held.len())]), false) };
    let within_reach = keep.saturating_add(redactor.longest()).min(held.len());
    match redactor.redact_head(&held[..within_reach], keep) {
        Cow::Borrowed(clean) => (Cow::Borrowed(clean), false),
        Cow::Owned(mut clean) => {
            let shortened = clean.len() > keep;
            clean.truncate(keep);
            (Cow::Owned(clean), shortened)
        }
    }
}

/// Text, or base64. Of what was cut the last character may be incomplete: it is left out, and the flag says so. What is
/// whole and ends like that is no text.
fn as_text(bytes: &[u8], cut: bool) -> (Cow<'_, str>, Option<&'static str>, bool) {
    match str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), None, false),
        Err(error) if cut && error.error_len().is_none() => {
            (String::from_utf8_lossy(&bytes[..error.valid_up_to()]), None, true)
        }
        Err(_) => (Cow::Owned(STANDARD.encode(bytes)), Some("base64"), false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::config::BodyMode;
    use crate::domain::message::Usage;
    use crate::logs::capture::Capture;
    use crate::wire::lean::{Lean, stripped};
    use crate::wire::record::{Ending, Exchanged, TimelineRecord};

    const KEY: &str = "sk-ant-endpoint-key-0123456789";
    const TOKEN: &str = "client-token-abcdef";

    fn body(mode: BodyMode, bytes: impl Into<Vec<u8>>) -> Captured {
        let mut capture = Capture::new(mode, 100);
        capture.push(&Bytes::from(bytes.into()));
        capture.finish()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn with_body(mode: BodyMode, bytes: impl Into<Vec<u8>>) -> Entry {
        Entry { response_body: body(mode, bytes), ..Entry::default() }
    }

    fn text(mut entry: Entry, form: Form) -> String {
        entry.presented.push(Secret::new(TOKEN));
        let mut lines = b"{}\n".to_vec();
        Encoder::new(Redactor::new(&[Secret::new(KEY)])).line(&mut entry).write(form, &mut lines);
        let text = String::from_utf8(lines).unwrap();
        assert!(text.starts_with("{}\n") && text.ends_with('\n'));
        text[3..text.len() - 1].to_owned()
    }

    fn encoded(entry: Entry, form: Form) -> RequestRecord {
        let text = text(entry, form);
        assert!(!text.contains(KEY) && !text.contains(TOKEN), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn short(entry: Entry) -> RequestRecord {
        encoded(entry, Form::Short)
    }

    /// What watchers are told is cut out of the line: nothing that a client or an endpoint wrote may be taken for its form.
    #[test]
    fn a_stripped_line_is_the_record_without_headers_and_bodies_whatever_they_hold() {
        let names = [r#"","size":1}"#, r#"},"response":{"size":2"#, r#","request":{"#, r#""},"error":""#];
        for name in names {
            let text_of = |name: &str| Some(name.to_owned());
            let record =
                RequestRecord { session: text_of(name), model: text_of(name), error: text_of(name), ..full_record() };
            let odd = headers(&[("size", name), ("request", name), ("response", name), ("error", name)]);
            let body = || body(BodyMode::Full, [name.as_bytes(), b"\\\xff".as_slice()].concat());
            let entry = Entry {
                record: RequestRecord { timeline: None, ..record },
                request_headers: Arc::new(odd.clone()),
                request_body: body(),
                response_headers: odd,
                response_body: body(),
                ..Entry::default()
            };
            let line = text(entry, Form::Short);
            let told: RequestRecord = serde_json::from_slice(&stripped(line.as_bytes()).unwrap().concat()).unwrap();
            assert_eq!(told, Lean::read(line.as_bytes()).unwrap().into_record());
        }
    }

    /// Every field is named here, so that a new one is not forgotten.
    fn full_record() -> RequestRecord {
        RequestRecord {
            v: RECORD_VERSION,
            id: "req_1".into(),
            time: "2026-03-09T12:00:00.123+08:00".into(),
            method: "POST".into(),
            path: "/v1/messages?beta=true".into(),
            model: Some("claude".into()),
            stream: true,
            session: Some("s".into()),
            status: 529,
            ending: Ending::ClientGone,
            endpoint: Some("primary".into()),
            duration_ms: 1,
            first_byte_ms: Some(2),
            attempts: vec![AttemptRecord {
                endpoint: "primary".into(),
                started_ms: 3,
                sent_ms: Some(3),
                duration_ms: 4,
                status: Some(529),
                fault: Some("overloaded".into()),
                detail: Some("it said so".into()),
            }],
            timeline: Some(TimelineRecord { step_ms: 10, marks: vec![[2, 3], [4, 5]] }),
            usage: Some(Usage { input: Some(5), output: Some(6), cache_read: None, cache_creation: Some(7) }),
            request: Exchanged::default(),
            response: Exchanged::default(),
            error: Some("no luck".into()),
        }
    }

    #[test]
    fn a_credential_that_stands_as_a_headers_name_is_taken_out() {
        for name in [KEY, TOKEN] {
            let entry = Entry { response_headers: headers(&[(name, "1")]), ..Entry::default() };
            assert_eq!(short(entry).response.headers.keys().next().unwrap(), REDACTED);
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let entry = Entry {
            record: full_record(),
            request_headers: headers(&[("accept", "a"), ("x-one", "1"), ("accept", "b")]).into(),
            request_body: body(BodyMode::Truncated, "{\"a\":\"b\"}"),
            ..Entry::default()
        };
        let mut expected = full_record();
        expected.request.headers = [("accept", "a, b"), ("x-one", "1")].map(|(n, v)| (n.into(), v.into())).into();
        expected.request.body = Some("{\"a\":\"b\"}".into());
        expected.request.size = 9;
        assert_eq!(encoded(entry.clone(), Form::Whole), expected);
        let mut completed = Vec::new();
        let mut encoder = Encoder::new(Redactor::default());
        let mut copy = entry.clone();
        let line = encoder.line(&mut copy);
        line.write(Form::Short, &mut completed);
        line.add_timeline(&mut completed);
        assert!(completed.ends_with(b"}\n"));
        assert_eq!(serde_json::from_slice::<RequestRecord>(&completed).unwrap(), expected);
        expected.timeline = None;
        assert_eq!(short(entry), expected);
    }

    #[test]
    fn credentials_go_by_header_name_and_by_value() {
        let entry = Entry {
            request_headers: headers(&[
                ("authorization", "Bearer zzz"),
                ("cookie", "a=b"),
                ("x-echo", KEY),
                ("x-tokens", "12"),
            ])
            .into(),
            response_headers: headers(&[("set-cookie", "c=d"), ("x-part", &format!("a{TOKEN}b")), (KEY, "name")]),
            request_body: body(BodyMode::Full, format!("{{\"k\":\"{KEY}\"}}")),
            response_body: body(BodyMode::Truncated, format!("data: {TOKEN}\n\n")),
            ..Entry::default()
        };
        let record = short(entry);
        let pairs = |headers: &std::collections::BTreeMap<String, String>| {
            headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            pairs(&record.request.headers),
            ["authorization: [redacted]", "cookie: [redacted]", "x-echo: [redacted]", "x-tokens: 12"]
        );
        assert_eq!(
            pairs(&record.response.headers),
            ["[redacted]: name", "set-cookie: [redacted]", "x-part: a[redacted]b"]
        );
        assert_eq!(record.request.body.unwrap(), "{\"k\":\"[redacted]\"}");
        assert_eq!(record.response.body.unwrap(), "data: [redacted]\n\n");
    }

    #[test]
    fn credentials_go_from_every_text_of_the_record() {
        let mut record = full_record();
        record.path = format!("/v1/x?key={KEY}");
        record.error = Some(format!("upstream said {TOKEN}"));
        record.model = Some(KEY.into());
        record.session = Some(KEY.into());
        record.id = KEY.into();
        record.attempts[0].detail = Some(format!("{KEY}{KEY}"));
        let record = short(Entry { record, ..Entry::default() });
        assert_eq!(record.path, "/v1/x?key=[redacted]");
        assert_eq!(record.error.unwrap(), "upstream said [redacted]");
        assert_eq!(record.attempts[0].detail.as_deref(), Some("[redacted][redacted]"));
        assert_eq!((record.id.as_str(), record.endpoint.as_deref()), (REDACTED, Some("primary")));
    }

    #[test]
    fn a_secret_is_recognised_at_the_border_wherever_the_cut_falls() {
        for before in 1024 - KEY.len()..=1024 {
            let long = format!("{}{KEY}{}", "x".repeat(before), "y".repeat(500));
            let shown = short(with_body(BodyMode::Truncated, long)).response;
            assert!(shown.truncated && shown.size > 1500);
            let text = shown.body.unwrap();
            assert!(text.len() <= 1024 && !text.contains("sk-"), "{before}: {text}");
        }
    }

    #[test]
    fn secrets_that_shrink_the_beginning_bring_no_cut_one_into_view() {
        let many = format!("{}{}", format!("{KEY} ").repeat(40), "z".repeat(10));
        let text = short(with_body(BodyMode::Truncated, many)).response.body.unwrap();
        assert!(!text.contains("sk-"), "{text}");
    }

    #[test]
    fn bodies_are_cut_between_characters() {
        let shown = |text: String| short(with_body(BodyMode::Truncated, text)).response;
        let cut = shown(format!("{}界界", "x".repeat(1022)));
        assert_eq!((cut.body.unwrap().len(), cut.encoding, cut.truncated, cut.size), (1022, None, true, 1028));
        let whole = shown("x".repeat(1024));
        assert_eq!((whole.body.unwrap().len(), whole.truncated), (1024, false));
    }

    #[test]
    fn a_stream_that_broke_inside_a_character_is_text() {
        for ending in [Ending::Cut, Ending::ClientGone] {
            let mut entry = with_body(BodyMode::Truncated, &b"caf\xc3"[..]);
            entry.record.ending = ending;
            let shown = short(entry).response;
            assert_eq!((shown.body.as_deref(), shown.encoding, shown.truncated), (Some("caf"), None, true));
        }
    }

    #[test]
    fn a_whole_body_that_ends_like_half_a_character_loses_no_byte() {
        let whole = b"abc\xe4\xb8";
        let entry =
            Entry { request_body: body(BodyMode::Truncated, &whole[..]), ..with_body(BodyMode::Full, &whole[..]) };
        for form in [Form::Short, Form::Whole] {
            let record = encoded(entry.clone(), form);
            for shown in [record.request, record.response] {
                assert_eq!((shown.encoding.as_deref(), shown.truncated), (Some("base64"), false));
                assert_eq!(STANDARD.decode(shown.body.unwrap()).unwrap(), whole);
            }
        }
    }

    #[test]
    fn what_is_no_text_is_base64_without_its_secrets() {
        let shown = short(with_body(BodyMode::Truncated, [&b"\xff\x00"[..], KEY.as_bytes()].concat())).response;
        assert_eq!(shown.encoding.as_deref(), Some("base64"));
        assert_eq!(STANDARD.decode(shown.body.unwrap()).unwrap(), b"\xff\x00[redacted]");
    }

    #[test]
    fn the_short_form_of_a_whole_body_is_its_beginning() {
        let entry = || with_body(BodyMode::Full, "y".repeat(5000));
        let (short, whole) = (short(entry()).response, encoded(entry(), Form::Whole).response);
        assert_eq!((short.body.unwrap().len(), short.truncated), (1024, true));
        assert_eq!((whole.body.unwrap().len(), whole.truncated), (5000, false));
        assert_eq!(short.size, whole.size);
        assert!(Encoder::new(Redactor::default()).line(&mut entry()).has_more());
        assert!(
            !Encoder::new(Redactor::default()).line(&mut with_body(BodyMode::Truncated, "y".repeat(5000))).has_more()
        );
    }

    #[test]
    fn a_body_that_is_not_logged_is_absent_and_an_empty_one_is_empty() {
        let none = short(with_body(BodyMode::None, "secret stuff")).response;
        assert_eq!((none.body, none.size, none.truncated), (None, 12, false));
        assert_eq!(short(with_body(BodyMode::Truncated, "")).response.body.as_deref(), Some(""));
    }

    #[test]
    fn no_control_character_stands_in_a_line() {
        let nasty = "a\u{1b}[2J\r\n\u{7f}\u{80}\u{9b}31m\u{a0}£\u{2028}";
        let text = text(with_body(BodyMode::Full, nasty), Form::Whole);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        let record: RequestRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(record.response.body.unwrap(), nasty);
    }

    #[test]
    fn other_clients_credentials_are_not_remembered() {
        let mut encoder = Encoder::new(Redactor::default());
        let mut show = |presented: &[&str]| {
            let mut entry = with_body(BodyMode::Full, "one-key two-key");
            entry.presented = presented.iter().map(|value| Secret::new(*value)).collect();
            let mut line = Vec::new();
            encoder.line(&mut entry).write(Form::Whole, &mut line);
            serde_json::from_slice::<RequestRecord>(&line).unwrap().response.body.unwrap()
        };
        assert_eq!(show(&["one-key"]), "[redacted] two-key");
        assert_eq!(show(&["two-key"]), "one-key [redacted]");
        assert_eq!(show(&[]), "one-key two-key");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_give_a_line_that_parses_and_tells_no_secret(
            noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 2),
            words in prop::collection::vec(".{0,40}", 6),
            secrets in prop::collection::vec("[A-Z0-9/+=~ü\"\\\\-]{12,40}", 1..4),
            at in any::<prop::sample::Index>(),
            full in any::<bool>(),
        ) {
            let mode = if full { BodyMode::Full } else { BodyMode::Truncated };
            let with_secrets = |text: &[u8]| {
                let mut bytes = text.to_vec();
                for secret in &secrets {
                    let place = at.index(bytes.len() + 1);
                    bytes.splice(place..place, secret.bytes());
                }
                bytes
            };
            let word = |n: usize| String::from_utf8_lossy(&with_secrets(words[n].as_bytes())).into_owned();
            let mut map = HeaderMap::new();
            for bytes in &noise {
                map.append("x-any", HeaderValue::from_bytes(&with_secrets(bytes)).unwrap_or(HeaderValue::from_static("-")));
            }
            let mut record = full_record();
            (record.path, record.id, record.error) = (word(0), word(1), Some(word(2)));
            (record.model, record.session, record.attempts[0].detail) = (Some(word(3)), Some(word(4)), Some(word(5)));
            let mut entry = Entry {
                key: 0,
                record,
                request_headers: map.clone().into(),
                request_body: body(mode, with_secrets(&noise[0])),
                response_headers: map,
                response_body: body(mode, with_secrets(&noise[1])),
                presented: vec![Secret::new(secrets[0].clone())],
            };
            let redactor = Redactor::new(secrets[1..].iter().map(Secret::new).collect::<Vec<_>>().iter());
            let all = Redactor::new(secrets.iter().map(Secret::new).collect::<Vec<_>>().iter());
            let mut encoder = Encoder::new(redactor);
            let line = encoder.line(&mut entry);
            for form in [Form::Short, Form::Whole] {
                let mut text = Vec::new();
                line.write(form, &mut text);
                prop_assert_eq!(memchr::memchr_iter(b'\n', &text).count(), 1);
                prop_assert!(!all.finds_in(&text));
                let record: RequestRecord = serde_json::from_slice(&text).unwrap();
                for body in [record.request.body, record.response.body] {
                    let body = body.unwrap();
                    prop_assert!(!all.finds_in(body.as_bytes()));
                    prop_assert!(!STANDARD.decode(&body).is_ok_and(|bytes| all.finds_in(&bytes)));
                }
            }
        }
    }
}
