//! The settings that are in force, in the file's form, with every credential masked.

use super::Config;
use super::file::{
    AuthType, FileConfig, FileEndpoint, FileHealth, FileHttp, FileLogging, FileRetention, FileServer, FileTimeouts,
    FileWebAdmin,
};
use super::units::{Size, Span};
use crate::domain::endpoint::{Auth, EndpointSpec};
use crate::domain::secret::Secret;

/// Not for reading back: credentials are masked, references resolved.
pub fn effective(config: &Config) -> FileConfig {
    let masked = |secret: &Secret| secret.masked();
    FileConfig {
        server: FileServer {
            host: config.server.host.clone(),
            port: config.server.port,
            auth_token: config.server.auth_token.as_ref().map(masked),
            max_body: Size(config.server.max_body),
            shutdown_grace: Span(config.server.shutdown_grace),
        },
        endpoints: config.endpoints.iter().map(|spec| endpoint(spec)).collect(),
        logging: FileLogging {
            level: config.logging.level,
            log_request_types: config.logging.log_request_types,
            log_request_body: config.logging.log_request_body,
            log_response_body: config.logging.log_response_body,
            log_directory: config.logging.log_directory.display().to_string(),
            retention: FileRetention {
                max_age: Span(config.logging.retention.max_age),
                max_size: Size(config.logging.retention.max_size),
            },
        },
        validation: config.validation,
        health: FileHealth {
            window: Span(config.health.window),
            min_failures: config.health.min_failures,
            check_interval: Span(config.health.check_interval),
            check_timeout: Span(config.health.check_timeout),
            probe_model: config.health.probe_model.clone(),
        },
        timeouts: FileTimeouts {
            connect: Span(config.timeouts.connect),
            first_byte: Span(config.timeouts.first_byte),
            stream_idle: Span(config.timeouts.stream_idle),
            commit: Span(config.timeouts.commit),
        },
        web_admin: FileWebAdmin {
            enabled: config.web_admin.enabled,
            host: config.web_admin.host.clone(),
            port: config.web_admin.port,
            auth_token: config.web_admin.auth_token.as_ref().map(masked),
        },
    }
}

fn endpoint(spec: &EndpointSpec) -> FileEndpoint {
    let auth_type = match spec.auth {
        Auth::ApiKey(_) => AuthType::ApiKey,
        Auth::Bearer(_) => AuthType::AuthToken,
        Auth::Passthrough => AuthType::Passthrough,
    };
    FileEndpoint {
        name: Some(spec.name.clone()),
        url: Some(spec.url.to_string()),
        path_prefix: Some(spec.path_prefix.clone()),
        auth_type: Some(auth_type),
        auth_value: spec.auth.secret().map(Secret::masked),
        enabled: Some(spec.enabled),
        priority: Some(spec.priority),
        http: Some(FileHttp(spec.http)),
        proxy: spec.proxy.as_ref().map(ToString::to_string),
        ca_file: spec.ca_file.as_ref().map(|path| path.display().to_string()),
    }
}
