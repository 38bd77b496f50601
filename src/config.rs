//! The settings that are in force: validated, with every default filled in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::endpoint::EndpointSpec;
use crate::domain::health::HealthRules;
use crate::domain::secret::Secret;

/// Everything that `config.yaml` says, checked as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; `None` for the built-in default.
    pub file: Option<PathBuf>,
    pub server: Server,
    /// In the file's order; names are unique, there is at least one.
    pub endpoints: Vec<Arc<EndpointSpec>>,
    pub logging: Logging,
    pub validation: Validation,
    pub health: HealthRules,
    pub timeouts: Timeouts,
    pub web_admin: WebAdmin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// An IP address or `localhost`.
    pub host: String,
    /// 0 = any free one.
    pub port: u16,
    /// `None`: no client authentication, loopback only.
    pub auth_token: Option<Secret>,
    /// Bytes.
    pub max_body: u64,
    pub shutdown_grace: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    pub level: Level,
    pub log_request_types: RequestTypes,
    pub log_request_body: BodyMode,
    pub log_response_body: BodyMode,
    /// Absolute, or relative to the working directory when there is no file.
    pub log_directory: PathBuf,
    pub retention: Retention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Which requests the log files keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestTypes {
    Failed,
    Success,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    None,
    /// The first 1024 bytes, cut at a character boundary.
    Truncated,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Duration,
    /// Bytes, all log files together.
    pub max_size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Judge 2xx answers of messages and count_tokens.
    pub strict_anthropic_format: bool,
    /// Judge event streams event by event.
    pub validate_streaming: bool,
    /// Invalid after bytes went down: cut the client connection; false: log it and let it pass.
    pub disconnect_on_invalid: bool,
}

/// One attempt's clocks, and `commit`: the whole of a request until bytes go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub stream_idle: Duration,
    pub commit: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAdmin {
    pub enabled: bool,
    pub host: String,
    pub port: u16,
    pub auth_token: Option<Secret>,
}

impl Config {
    /// Every credential in these settings, for the redactor.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let tokens = [&self.server.auth_token, &self.web_admin.auth_token].into_iter().flatten();
        tokens.chain(self.endpoints.iter().filter_map(|endpoint| endpoint.auth.secret()))
    }
}
