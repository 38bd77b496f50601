//! What is said at the start.

use std::net::SocketAddr;

use crate::commands::note;
use crate::config::Config;
use crate::domain::endpoint::Auth;

/// Where it listens, what is behind it, where the logs go and what to tell Claude Code.
pub(super) fn start(config: &Config, address: SocketAddr, admin: Option<SocketAddr>) {
    let base = format!("http://{}", reachable(address));
    note(&format!("claude-proxy {} listening on {base}", env!("CARGO_PKG_VERSION")));
    match &config.file {
        Some(file) => note(&format!("  config     {}", file.display())),
        None => note("  config     built in"),
    }
    let mut endpoints: Vec<_> = config.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| (!endpoint.enabled, endpoint.priority));
    for (i, endpoint) in endpoints.iter().enumerate() {
        let label = if i == 0 { "endpoints" } else { "" };
        let auth = match &endpoint.auth {
            Auth::ApiKey(_) => "x-api-key",
            Auth::Bearer(_) => "bearer token",
            Auth::Passthrough => "the client's own login",
        };
        let state = if endpoint.enabled { "" } else { ", disabled" };
        note(&format!("  {label:<10} {} {} {}, {auth}{state}", endpoint.priority, endpoint.name, endpoint.url));
    }
    note(&format!("  logs       {}", config.logging.log_directory.display()));
    if let Some(admin) = admin {
        note(&format!("  admin      http://{}", reachable(admin)));
    }
    note(&format!("  Claude Code: export ANTHROPIC_BASE_URL={base}{}", token_advice(config)));
}

fn token_advice(config: &Config) -> &'static str {
    match config.server.auth_token {
        Some(_) => " ANTHROPIC_AUTH_TOKEN=<server.auth_token>   (claude-proxy env prints it)",
        None => "",
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}
