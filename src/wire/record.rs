//! One client request as it is logged: a line of `requests-YYYY-MM-DD.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::domain::message::Usage;

/// The version that this program writes into `v`.
pub const RECORD_VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRecord {
    pub v: u32,
    /// The `request-id` that the client saw.
    pub id: String,
    /// When the request's head arrived: RFC 3339, milliseconds, local offset.
    pub time: String,
    pub method: String,
    /// Path and query as the client sent them.
    pub path: String,
    pub model: Option<String>,
    /// Whether the request asked for a stream.
    pub stream: bool,
    pub session: Option<String>,
    /// What the client got; 499 when it left before anything went down.
    pub status: u16,
    pub ending: Ending,
    /// The endpoint whose answer went down, or the last one tried.
    pub endpoint: Option<String>,
    pub duration_ms: u64,
    /// From the request's head to the first byte that went down.
    pub first_byte_ms: Option<u64>,
    pub attempts: Vec<AttemptRecord>,
    pub usage: Option<Usage>,
    pub request: Exchanged,
    pub response: Exchanged,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    ClientGone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRecord {
    pub endpoint: String,
    /// From the request's head.
    pub started_ms: u64,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchanged {
    /// Lower-case names; repeated ones joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Text, or base64 when `encoding` says so; absent when bodies are not logged.
    pub body: Option<String>,
    /// `base64` for a body that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Bytes of the whole body (decoded, for an answer).
    pub size: u64,
    /// Whether `body` is only the beginning.
    pub truncated: bool,
}
