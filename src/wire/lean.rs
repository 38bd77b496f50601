//! A line of the log without what is large in it: headers and bodies are passed over, not read.

use memchr::memmem;
use serde::Deserialize;

use super::record::{AttemptRecord, Ending, Exchanged, RequestRecord, Usage};

/// The fields of a [`RequestRecord`] but headers, bodies and timeline.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lean {
    v: u32,
    pub id: String,
    pub time: String,
    pub method: String,
    pub path: String,
    pub model: Option<String>,
    pub stream: bool,
    pub session: Option<String>,
    pub status: u16,
    pub ending: Ending,
    pub endpoint: Option<String>,
    pub duration_ms: u64,
    pub first_byte_ms: Option<u64>,
    pub attempts: Vec<AttemptRecord>,
    pub usage: Option<Usage>,
    pub request: Sized,
    pub response: Sized,
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sized {
    pub size: u64,
    truncated: bool,
}

impl Lean {
    /// `None` for what is no record: half a line that a killed writer left.
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    pub fn into_record(self) -> RequestRecord {
        let exchanged = |Sized { size, truncated }| Exchanged { size, truncated, ..Exchanged::default() };
        RequestRecord {
            v: self.v,
            id: self.id,
            time: self.time,
            method: self.method,
            path: self.path,
            model: self.model,
            stream: self.stream,
            session: self.session,
            status: self.status,
            ending: self.ending,
            endpoint: self.endpoint,
            duration_ms: self.duration_ms,
            first_byte_ms: self.first_byte_ms,
            attempts: self.attempts,
            timeline: None,
            usage: self.usage,
            request: exchanged(self.request),
            response: exchanged(self.response),
            error: self.error,
        }
    }
}

/// A line of ours in its short form as JSON without headers and bodies, in parts, and without having been read: many a
/// second are told to those who watch. `None` when it is not written as our own are.
///
/// A quote within a JSON string has a backslash before it, so names with their quotes are found nowhere but where they stand
/// as names; and those that are looked for stand once in each part.
pub fn stripped(line: &[u8]) -> Option<[&[u8]; 5]> {
    const BARE: &[u8] = b"\"headers\":{},\"body\":null";
    let line = line.trim_ascii_end();
    let (head, rest) = split(line, b",\"request\":{")?;
    let (request, response) = split(rest, b"},\"response\":{")?;
    Some([head, BARE, behind_body(request)?, BARE, behind_body(response)?])
}

/// Splits before the last byte of what is looked for.
fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    text.split_at_checked(memmem::find(text, at)? + at.len())
}

/// From the size on.
fn behind_body(exchanged: &[u8]) -> Option<&[u8]> {
    exchanged.get(memmem::rfind(exchanged, b",\"size\":")?..)
}

/// Milliseconds since 1970 of a record's `time`.
pub fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::TimelineRecord;

    #[test]
    fn all_but_headers_and_bodies_is_kept() {
        let text = |text: &str| Some(text.to_owned());
        let exchanged = |size| Exchanged {
            headers: [("a".to_owned(), "b".to_owned())].into(),
            body: text("{\"x\":\"\\n\"}"),
            encoding: text("base64"),
            size,
            truncated: true,
        };
        let mut record = RequestRecord {
            v: 1,
            id: "i".into(),
            time: "t".into(),
            method: "m".into(),
            path: "p".into(),
            model: text("model"),
            stream: true,
            session: text("s"),
            status: 529,
            ending: Ending::Cut,
            endpoint: text("e"),
            duration_ms: 1,
            first_byte_ms: Some(2),
            attempts: vec![AttemptRecord { endpoint: "e".into(), ..AttemptRecord::default() }],
            timeline: Some(TimelineRecord::default()),
            usage: Some(Usage { input: Some(1), ..Usage::default() }),
            request: exchanged(3),
            response: exchanged(4),
            error: text("error"),
        };
        let line = serde_json::to_vec(&record).unwrap();
        let read = Lean::read(&line).unwrap().into_record();
        for (exchanged, size) in [(&mut record.request, 3), (&mut record.response, 4)] {
            *exchanged = Exchanged { size, truncated: true, ..Exchanged::default() };
        }
        record.timeline = None;
        assert_eq!(read, record);
        assert!(Lean::read(b"{\"id\":\"half").is_none());
    }
}
