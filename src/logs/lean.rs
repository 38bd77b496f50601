//! A line of the log without what is large in it: headers and bodies are passed over, not read.

use serde::Deserialize;

use crate::wire::record::{AttemptRecord, Ending, Exchanged, RequestRecord, Usage};

/// The fields of a [`RequestRecord`] but headers, bodies and timeline.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lean {
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
pub(super) struct Sized {
    pub size: u64,
    truncated: bool,
}

impl Lean {
    /// `None` for what is no record: half a line that a killed writer left, or a line of somebody else's.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|lean: &Self| !lean.id.is_empty())
    }

    pub(super) fn into_record(self) -> RequestRecord {
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

/// Milliseconds since 1970 of a record's `time`.
pub(super) fn millis(time: &str) -> Option<i64> {
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
        let read = Lean::read(&serde_json::to_vec(&record).unwrap()).unwrap().into_record();
        for (exchanged, size) in [(&mut record.request, 3), (&mut record.response, 4)] {
            *exchanged = Exchanged { size, truncated: true, ..Exchanged::default() };
        }
        record.timeline = None;
        assert_eq!(read, record);
        assert!(Lean::read(b"{\"id\":\"half").is_none());
        for strange in ["[]", "{}", "{\"v\":1}", "{\"foo\":\"bar\"}", "{\"id\":\"\"}", "null"] {
            assert!(Lean::read(strange.as_bytes()).is_none(), "{strange} counts as a request");
        }
    }
}
