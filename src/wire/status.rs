//! The running proxy and its endpoints, as `GET /api/status` and `GET /api/endpoints` answer. Times are RFC 3339 with
//! milliseconds and the local offset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stats::{Percentiles, Tokens};

/// The running program on one screen; also the `status` event, once a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StatusView {
    pub version: String,
    pub pid: u32,
    pub time: String,
    pub started: String,
    pub uptime_s: u64,
    /// Where clients connect, such as `127.0.0.1:8080`.
    pub listen: String,
    /// Where operators connect.
    pub admin: String,
    /// Whether clients must present a token.
    pub client_token: bool,
    pub config: ConfigStanding,
    pub endpoints: EndpointCounts,
    /// Since the start.
    pub totals: Totals,
    /// Requests under way: how many, and the longest-running of them in detail.
    pub in_flight: u64,
    pub running: Vec<RunningView>,
    pub log: LogStanding,
    /// Resident bytes of the process; absent where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Event streams that are attached.
    pub watchers: u64,
}

/// Which settings are in force, and what became of the last attempt to change them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigStanding {
    /// Absent: the built-in default.
    pub file: Option<String>,
    /// Where a first file would be written; only while there is none.
    pub would_write: Option<String>,
    /// What the file held when it was taken: a change that names another one is a conflict. Absent without a file.
    pub revision: Option<String>,
    /// When the settings in force were taken.
    pub loaded: String,
    /// Why the newest state of the file is refused; absent when it is in force.
    pub refused: Option<Refusal>,
    /// What differs from the file until a restart: `server.port: 8080 -> 9090`.
    pub restart_needed: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Refusal {
    pub time: String,
    /// On one line, with the file's line.
    pub message: String,
    pub hint: Option<String>,
}

/// Endpoints by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointCounts {
    pub up: u64,
    pub degraded: u64,
    pub down: u64,
    pub resting: u64,
    pub disabled: u64,
}

/// Finished requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Totals {
    pub requests: u64,
    pub complete: u64,
    pub relayed_error: u64,
    pub failed: u64,
    pub cut: u64,
    pub client_gone: u64,
    /// Requests that an endpoint answered after another had failed.
    pub failovers: u64,
    /// Turned away at the door (401, 403, paths outside /v1); not among the requests.
    pub refused: u64,
    pub tokens: Tokens,
    /// Of the newest requests.
    pub first_byte: Percentiles,
    pub duration: Percentiles,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogStanding {
    pub directory: String,
    /// Bytes of all log files together.
    pub size: u64,
    /// Records and bytes written since the start.
    pub written: u64,
    pub bytes: u64,
    /// Records that no file has.
    pub dropped: u64,
    /// Why nothing can be written right now.
    pub error: Option<String>,
}

/// One request under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunningView {
    /// Names it until it ends: the same in `request_started`, `request_committed` and `request_ended`.
    pub key: u64,
    pub time: String,
    pub age_ms: u64,
    pub method: String,
    /// Without its query.
    pub path: String,
    pub model: Option<String>,
    pub stream: bool,
    pub session: Option<String>,
    pub phase: Phase,
    /// The endpoint that is asked now.
    pub endpoint: Option<String>,
    /// Endpoints that failed before it.
    pub failed: Vec<String>,
    /// Bytes of the answer that went down.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The client's body is coming in.
    #[default]
    Reading,
    /// On the way to an endpoint: connecting, sending.
    Connecting,
    /// Sent; the endpoint has not answered yet.
    Waiting,
    /// It answers, and nothing has gone down yet.
    Held,
    /// Bytes go down.
    Streaming,
}

/// What `GET /api/endpoints` answers: by priority, equals in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointList {
    pub endpoints: Vec<EndpointView>,
    /// [`ConfigStanding::revision`].
    pub revision: Option<String>,
    /// Seconds that `window` looks back.
    pub window_s: u64,
}

/// One endpoint: what the operator wants of it, and what was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointView {
    pub name: String,
    pub url: String,
    pub path_prefix: String,
    /// `api_key`, `auth_token` or `passthrough`.
    pub auth_type: String,
    /// Masked, `sk-…last4`; absent for passthrough.
    pub auth_value: Option<String>,
    /// Where the value comes from when the file does not hold it itself: `${NAME}` or `file:PATH`.
    pub auth_reference: Option<String>,
    pub enabled: bool,
    pub priority: i64,
    /// `1.1`, `2` or `auto`.
    pub http: String,
    /// Without its password.
    pub proxy: Option<String>,
    pub ca_file: Option<String>,
    /// `up`, `degraded` (failures in the window, but not down), `down`, `resting` or `disabled`.
    pub state: String,
    /// Why it is not simply up.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: String,
    pub next_probe: Option<String>,
    pub resting_until: Option<String>,
    pub failed_probes: u32,
    /// Ids of the requests behind the state, oldest first.
    pub causes: Vec<String>,
    pub in_flight: u64,
    /// Since the start.
    pub succeeded: u64,
    pub failed: u64,
    /// Attempts within the health window.
    pub window_ok: u64,
    pub window_failed: u64,
    /// Of its newest answers.
    pub first_byte: Percentiles,
    pub duration: Percentiles,
    /// Of its newest streams, from the first byte to the last.
    pub output_tokens_per_s: Option<f64>,
    /// Its newest attempts, oldest first, at most 60.
    pub recent: Vec<RecentAttempt>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RecentAttempt {
    pub ok: bool,
    pub duration_ms: u64,
    /// The request it belonged to.
    pub id: String,
}

/// What a test of one endpoint showed, as `POST /api/endpoints/{name}/test` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TestView {
    pub name: String,
    pub healthy: bool,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Until the first content, or the fault.
    pub ms: u64,
    /// A word for programs; absent when it is healthy.
    pub fault: Option<String>,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// The body of `POST /api/endpoints/order`: the names in their new order, of all endpoints. Their priorities are made to
/// follow it; endpoints of equal priority that stay next to each other keep sharing the load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointOrder {
    /// `order` and `endpoints` are taken as well.
    #[serde(alias = "order", alias = "endpoints")]
    pub names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// What a change did, or with `?dry_run=true` would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChangeView {
    /// Whether it was written and is in force.
    pub applied: bool,
    pub file: String,
    /// The file's changed lines in unified form, credentials masked; empty when nothing differs.
    pub diff: String,
    /// As it is now; absent for a deletion, and with `dry_run`.
    pub endpoint: Option<EndpointView>,
    /// The file's; with `dry_run` that of the file that the change was worked out on.
    pub revision: Option<String>,
    /// What differs until a restart.
    pub restart_needed: Vec<String>,
}
