//! A page of the request log, as `GET /api/logs` answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::RequestRecord;

/// Newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogPage {
    /// Bodies in their short form (1024 bytes), or without headers and bodies, as was asked; `GET /api/logs/{id}` has all.
    pub logs: Vec<RequestRecord>,
    /// Pass it as `before` for the records behind these; absent when there are none.
    pub next: Option<String>,
}

/// How much of each record is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Without headers and bodies; their sizes stay.
    Summary,
    /// With the first 1024 bytes of each body.
    #[default]
    Short,
    /// As the file has it.
    Whole,
}
