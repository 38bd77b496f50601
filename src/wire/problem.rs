//! What the admin API says when it does not do what was asked: `{"error": {"code", "message", "hint"}}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiProblem {
    pub error: ProblemDetail,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProblemDetail {
    /// A word that programs may compare: `not_found`, `conflict`, `invalid`, `unauthorized`, `forbidden`, …
    pub code: String,
    /// What happened, in a sentence; never a credential's value.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The field of the request that is at fault, such as `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where in a filter the fault is: first and last character, counted from 0, the last one excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
}
