//! One client request as it is logged: a line of `requests-YYYY-MM-DD.jsonl`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::domain::message::Usage;
use crate::domain::timeline::Mark;

/// The version that this program writes into `v`.
pub const RECORD_VERSION: u32 = 1;

/// Whoever fills it in need not mind credentials: they are taken out as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequestRecord {
    /// [`RECORD_VERSION`] of the program that wrote it.
    pub v: u32,
    /// The `request-id` that the client saw.
    pub id: String,
    /// When the request's head arrived, as [`record_time`] writes it.
    pub time: String,
    pub method: String,
    /// Path and query as the client sent them, credentials replaced.
    pub path: String,
    /// What the request asked for.
    pub model: Option<String>,
    /// Whether the request asked for a stream.
    pub stream: bool,
    /// By which requests keep to one endpoint.
    pub session: Option<String>,
    /// What the client got; 499 when it left before anything went down.
    pub status: u16,
    pub ending: Ending,
    /// The endpoint whose answer went down, or the last one tried.
    pub endpoint: Option<String>,
    /// From the request's head to the end of the answer.
    pub duration_ms: u64,
    /// From the request's head to the first byte that went down.
    pub first_byte_ms: Option<u64>,
    /// In order; the last one gave the answer, if there was one.
    pub attempts: Vec<AttemptRecord>,
    /// When a stream's pieces went down. Only in the record of one request, not in lists and events; absent for what
    /// went down all at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<TimelineRecord>,
    /// As the answer told it.
    #[schemars(with = "Option<BTreeMap<String, Option<u64>>>")]
    pub usage: Option<Usage>,
    pub request: Exchanged,
    pub response: Exchanged,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
}

impl RequestRecord {
    /// Whether an endpoint's answer went down after another endpoint had failed.
    pub fn failed_over(&self) -> bool {
        let answered = self.first_byte_ms.is_some() && self.ending != Ending::Failed;
        answered && self.attempts.len() > 1 && self.attempts.last().map(|last| &last.endpoint) == self.endpoint.as_ref()
    }
}

/// How the request ended for the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The whole answer went down.
    Complete,
    /// An endpoint's own refusal of the request went down.
    RelayedError,
    /// No endpoint had an answer; ours went down.
    #[default]
    Failed,
    /// The answer broke after bytes had gone down.
    Cut,
    /// The client left before the answer was whole.
    ClientGone,
}

/// A stream's bytes over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TimelineRecord {
    /// Between two marks that are further apart than this nothing went down; between others there may be marks that were
    /// left out. 0: none was.
    pub step_ms: u64,
    /// Milliseconds from the request's head, and bytes of the body so far.
    pub marks: Vec<Mark>,
}

/// One endpoint tried for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttemptRecord {
    pub endpoint: String,
    /// From the request's head.
    pub started_ms: u64,
    /// From the request's head to the moment when the request began to go out: before it we were connecting, after it
    /// waiting. Absent when there was no connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_ms: Option<u64>,
    pub duration_ms: u64,
    /// The upstream's own status, when its head arrived.
    pub status: Option<u16>,
    /// A word of `domain::fault::FaultKind`; absent when the attempt answered.
    pub fault: Option<String>,
    /// The fault in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// One direction of the exchange: headers and body as the client sent or got them, credentials replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Exchanged {
    /// Lower-case names; repeated ones joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Text (of a stream, its events as they were), or base64 when `encoding` says so; absent when bodies are not logged.
    pub body: Option<String>,
    /// `base64` for a body that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Bytes of the whole body (decoded, for an answer).
    pub size: u64,
    /// Whether `body` is only the beginning.
    pub truncated: bool,
}

/// A time as records show it: RFC 3339 with milliseconds and the local offset.
pub fn record_time(time: SystemTime) -> String {
    record_time_in(&TimeZone::system(), time)
}

fn record_time_in(zone: &TimeZone, time: SystemTime) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    PRINTER.timestamp_with_offset_to_string(&time, zone.to_offset(time))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn times_have_milliseconds_and_an_offset() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_773_057_600_050_999);
        let at = |seconds| record_time_in(&TimeZone::fixed(Offset::from_seconds(seconds).unwrap()), time);
        assert_eq!(at(8 * 3600), "2026-03-09T20:00:00.050+08:00");
        assert_eq!(at(-(3 * 3600 + 1800)), "2026-03-09T08:30:00.050-03:30");
        assert_eq!(at(0), "2026-03-09T12:00:00.050+00:00");
        assert_eq!(record_time_in(&TimeZone::UTC, SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(record_time(time).parse::<Timestamp>().unwrap().as_millisecond(), 1_773_057_600_050);
    }

    #[test]
    fn a_reader_takes_what_it_does_not_know_and_does_without_what_is_missing() {
        let record: RequestRecord =
            serde_json::from_str(r#"{"id":"a","new":[1],"ending":"cut","request":{"size":3}}"#).unwrap();
        assert_eq!((record.id.as_str(), record.ending, record.request.size), ("a", Ending::Cut, 3));
    }
}
