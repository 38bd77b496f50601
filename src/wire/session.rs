//! One session of Claude Code, as `GET /api/sessions/{id}` answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::Ending;
use super::stats::Tokens;

/// What a session did since the proxy started, from memory: asking costs next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SessionView {
    /// As the requests named it: [`super::record::RequestRecord::session`].
    pub session: String,
    /// Finished ones.
    pub requests: u64,
    pub tokens: Tokens,
    /// Of its newest request.
    pub time: String,
    pub ending: Ending,
    pub endpoint: Option<String>,
    pub model: Option<String>,
    pub first_byte_ms: Option<u64>,
}
