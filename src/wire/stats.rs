//! What passed in a stretch of time, as `GET /api/stats` answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::Usage;

/// Sums of the request log over equal steps of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StatsView {
    /// RFC 3339; the first step begins here.
    pub from: String,
    pub to: String,
    /// Seconds that one step lasts.
    pub step_s: u64,
    /// One for each step, the empty ones too, oldest first.
    pub steps: Vec<Step>,
    /// Over the whole stretch.
    pub total: Step,
    /// What can be asked for: models that were named and endpoints that were tried in the stretch, the most used first.
    pub models: Vec<String>,
    pub endpoints: Vec<String>,
}

/// Requests that began within one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Step {
    pub requests: u64,
    pub complete: u64,
    pub relayed_error: u64,
    pub failed: u64,
    pub cut: u64,
    pub client_gone: u64,
    /// Requests that an endpoint answered after another had failed.
    pub failovers: u64,
    pub tokens: Tokens,
    pub first_byte: Percentiles,
    pub duration: Percentiles,
    /// By endpoint: attempts there, whatever became of the request.
    pub endpoints: BTreeMap<String, Attempts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tokens {
    /// Without the cached ones.
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_creation: u64,
}

impl Tokens {
    /// What one answer told of itself, added.
    pub fn add(&mut self, usage: Option<Usage>) {
        let usage = usage.unwrap_or_default();
        self.input = self.input.saturating_add(usage.input.unwrap_or(0));
        self.output = self.output.saturating_add(usage.output.unwrap_or(0));
        self.cache_read = self.cache_read.saturating_add(usage.cache_read.unwrap_or(0));
        self.cache_creation = self.cache_creation.saturating_add(usage.cache_creation.unwrap_or(0));
    }

    /// All that went in, cached or not.
    pub fn all_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_creation)
    }
}

/// Milliseconds; absent when nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Percentiles {
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attempts {
    pub ok: u64,
    pub failed: u64,
}
