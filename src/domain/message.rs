//! What a right answer looks like: the JSON judge and the stream judge.

use serde::{Deserialize, Serialize};

/// Tokens; each is the last value the upstream named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_creation: Option<u64>,
}
pub struct ApiError { pub kind: String, pub message: String }
pub fn api_error(_b: &[u8]) -> Option<ApiError> { None }
