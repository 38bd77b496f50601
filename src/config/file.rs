//! The file as written: its sections and keys, and what each is when it is absent.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::units::{Size, Span};
use super::{BodyMode, Level, RequestTypes, Validation};
use crate::domain::endpoint::HttpVersion;

/// Settings of claude-proxy. Every key but `endpoints` may be left out.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "claude-proxy configuration", extend("required" = ["endpoints"]))]
pub struct FileConfig {
    /// Where clients connect.
    pub server: FileServer,
    /// The upstreams, at least one.
    #[schemars(length(min = 1))]
    pub endpoints: Vec<FileEndpoint>,
    /// What is written down, and for how long.
    pub logging: FileLogging,
    /// What counts as a valid answer of an endpoint.
    pub validation: Validation,
    /// When an endpoint counts as down, and how it is looked at again.
    pub health: FileHealth,
    /// One attempt's clocks, and `commit` for the whole of a request.
    pub timeouts: FileTimeouts,
    /// The page and the API for operators.
    pub web_admin: FileWebAdmin,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileServer {
    /// The address to listen on: an IP address or `localhost`. Anything but loopback needs `auth_token`.
    pub host: String,
    /// The port to listen on; 0 = any free one, told at start.
    pub port: u16,
    /// What clients must present, as `x-api-key` or `Authorization: Bearer`. Absent = no client authentication,
    /// loopback only. Takes `${ENV}`, `${ENV:-default}`, `$$` and `file:PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// The largest request body; a larger one gets 413.
    pub max_body: Size,
    /// How long running requests may take to end at shutdown.
    pub shutdown_grace: Span,
}

#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "url", "auth_type"]))]
pub struct FileEndpoint {
    /// Unique; used in logs and commands.
    pub name: Option<String>,
    /// `https://host[:port][/path]`; `path_prefix` and the rest of the request's path follow it.
    pub url: Option<String>,
    /// Stands where the client wrote `/v1`; "" = nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "/v1"))]
    pub path_prefix: Option<String>,
    /// What requests to this endpoint authenticate with.
    pub auth_type: Option<AuthType>,
    /// The key: `${ENV}` (unset is an error), `${ENV:-default}`, `$$` for a dollar sign, or `file:PATH`.
    /// Not needed for `passthrough`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_value: Option<String>,
    /// false = never used. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Smaller is tried first; endpoints of equal priority share the load. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1))]
    pub priority: Option<i64>,
    /// "1.1" (default: one broken connection ends one stream), "2", or auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<FileHttp>,
    /// Outbound proxy: http, https or socks5. Absent = `HTTPS_PROXY` and `NO_PROXY` of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Extra root certificates (PEM); the system's are always used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// `x-api-key: VALUE`
    ApiKey,
    /// `Authorization: Bearer VALUE`
    AuthToken,
    /// The client's own credentials go through.
    Passthrough,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileLogging {
    /// How much the program tells about itself on stderr.
    pub level: Level,
    /// Which requests the log files keep.
    pub log_request_types: RequestTypes,
    /// How much of a request's body is kept; truncated = 1024 bytes.
    pub log_request_body: BodyMode,
    /// How much of an answer's body is kept; truncated = 1024 bytes.
    pub log_response_body: BodyMode,
    /// Where the log files go; a relative path counts from this file's folder.
    pub log_directory: String,
    /// How long log files are kept.
    pub retention: FileRetention,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileRetention {
    /// Older log files are deleted.
    pub max_age: Span,
    /// The oldest log files are deleted when all together are larger.
    pub max_size: Size,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileHealth {
    /// How far back failures count.
    pub window: Span,
    /// Down when this many requests failed within the window and none succeeded.
    #[schemars(range(min = 1))]
    pub min_failures: u32,
    /// How often a down endpoint is probed.
    pub check_interval: Span,
    /// How long a probe may take.
    pub check_timeout: Span,
    /// The model that probes ask for. Absent = that of the last good request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_model: Option<String>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileTimeouts {
    /// Until the connection stands, TLS included.
    pub connect: Span,
    /// From the request to `message_start` (or the head of a JSON answer).
    pub first_byte: Span,
    /// The longest silence within a stream.
    pub stream_idle: Span,
    /// The whole of a request, all attempts, until bytes go down to the client.
    pub commit: Span,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileWebAdmin {
    /// false = no page, no API; their address then needs no token and may be the proxy's own.
    pub enabled: bool,
    /// The address to listen on: an IP address or `localhost`. Anything but loopback needs `web_admin.auth_token`.
    pub host: String,
    /// The port to listen on; 0 = any free one, told at start.
    pub port: u16,
    /// What operators must present, as `Authorization: Bearer` or by logging in on the page. Absent = no
    /// authentication, loopback only. Takes the same references as `server.auth_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
}

/// `"1.1"`, `"2"` or `auto`; the bare numbers 1.1 and 2 as well, because YAML reads them as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileHttp(pub HttpVersion);

impl FileHttp {
    fn word(self) -> &'static str {
        match self.0 {
            HttpVersion::Http1 => "1.1",
            HttpVersion::Http2 => "2",
            HttpVersion::Auto => "auto",
        }
    }
}

impl Serialize for FileHttp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for FileHttp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = FileHttp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"1.1\", \"2\" or auto")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FileHttp, E> {
                let versions = [HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Auto];
                let found = versions.into_iter().map(FileHttp).find(|version| version.word() == text);
                found.ok_or_else(|| E::custom("expected \"1.1\", \"2\" or auto"))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<FileHttp, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<FileHttp, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<FileHttp, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Word)
    }
}

impl JsonSchema for FileHttp {
    fn schema_name() -> Cow<'static, str> {
        "HttpVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["1.1", "2", "auto", 1.1, 2], "default": "1.1" })
    }
}

const fn secs(seconds: u64) -> Span {
    Span(Duration::from_secs(seconds))
}

impl Default for FileServer {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8080,
            auth_token: None,
            max_body: Size(64 << 20),
            shutdown_grace: secs(30),
        }
    }
}

impl Default for FileLogging {
    fn default() -> Self {
        Self {
            level: Level::Info,
            log_request_types: RequestTypes::All,
            log_request_body: BodyMode::Truncated,
            log_response_body: BodyMode::Truncated,
            log_directory: "./logs".into(),
            retention: FileRetention::default(),
        }
    }
}

impl Default for FileRetention {
    fn default() -> Self {
        Self { max_age: Span(Duration::from_hours(30 * 24)), max_size: Size(1 << 30) }
    }
}

impl Default for FileHealth {
    fn default() -> Self {
        Self {
            window: secs(140),
            min_failures: 2,
            check_interval: secs(30),
            check_timeout: secs(30),
            probe_model: None,
        }
    }
}

impl Default for FileTimeouts {
    fn default() -> Self {
        Self { connect: secs(10), first_byte: secs(60), stream_idle: secs(120), commit: secs(280) }
    }
}

impl Default for FileWebAdmin {
    fn default() -> Self {
        Self { enabled: true, host: "127.0.0.1".into(), port: 8081, auth_token: None }
    }
}

impl FileConfig {
    /// What is in force without any file: the client's own credentials go to the official API.
    pub fn built_in() -> Self {
        let endpoint = FileEndpoint {
            name: Some("anthropic".into()),
            url: Some("https://api.anthropic.com".into()),
            auth_type: Some(AuthType::Passthrough),
            ..FileEndpoint::default()
        };
        Self { endpoints: vec![endpoint], ..Self::default() }
    }
}
