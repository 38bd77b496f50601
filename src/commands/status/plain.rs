//! The overview for programs that read lines: a name and its values, tab-separated, nothing rounded, nothing cut.

use std::fmt::Write as _;

use super::Overview;
use crate::wire::harmless::harmless;
use crate::wire::status::{EndpointView, StatusView};

pub(super) fn rows(overview: &Overview) -> String {
    let mut rows = String::new();
    for (name, value) in facts(overview) {
        row(&mut rows, &[name, &value]);
    }
    let config = &overview.status.config;
    for change in &config.restart_needed {
        row(&mut rows, &["restart_needed", change]);
    }
    for warning in &config.warnings {
        row(&mut rows, &["warning", warning]);
    }
    for endpoint in &overview.endpoints {
        let fields = fields(endpoint);
        let fields: Vec<&str> = ["endpoint"].into_iter().chain(fields.iter().map(String::as_str)).collect();
        row(&mut rows, &fields);
    }
    rows
}

fn row(rows: &mut String, fields: &[&str]) {
    // A tab or a line break in a value is written out, so that a row stays a row.
    let fields: Vec<_> = fields.iter().map(|field| harmless(field, false)).collect();
    let _ = writeln!(rows, "{}", fields.join("\t"));
}

fn facts(overview: &Overview) -> Vec<(&'static str, String)> {
    let StatusView { version, pid, started, uptime_s, listen, admin, config, totals, in_flight, log, .. } =
        &overview.status;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let number = |value: u64| value.to_string();
    vec![
        ("healthy", overview.healthy.to_string()),
        ("version", version.clone()),
        ("pid", pid.to_string()),
        ("started", started.clone()),
        ("uptime_s", number(*uptime_s)),
        ("listen", listen.clone()),
        ("admin", admin.clone()),
        ("config", text(&config.file)),
        ("config_loaded", config.loaded.clone()),
        ("config_refused", config.refused.as_ref().map(|refusal| refusal.message.clone()).unwrap_or_default()),
        ("requests", number(totals.requests)),
        ("complete", number(totals.complete)),
        ("relayed_error", number(totals.relayed_error)),
        ("failed", number(totals.failed)),
        ("cut", number(totals.cut)),
        ("client_gone", number(totals.client_gone)),
        ("failovers", number(totals.failovers)),
        ("refused", number(totals.refused)),
        ("input_tokens", number(totals.tokens.input)),
        ("output_tokens", number(totals.tokens.output)),
        ("cache_read_tokens", number(totals.tokens.cache_read)),
        ("cache_creation_tokens", number(totals.tokens.cache_creation)),
        ("in_flight", number(*in_flight)),
        ("log_directory", log.directory.clone()),
        ("log_size", number(log.size)),
        ("log_dropped", number(log.dropped)),
        ("log_error", text(&log.error)),
        ("memory_bytes", overview.status.memory_bytes.map(number).unwrap_or_default()),
    ]
}

fn fields(endpoint: &EndpointView) -> Vec<String> {
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    vec![
        endpoint.name.clone(),
        endpoint.state.clone(),
        endpoint.priority.to_string(),
        endpoint.url.clone(),
        endpoint.window_ok.to_string(),
        endpoint.window_failed.to_string(),
        number(endpoint.first_byte.p50_ms),
        number(endpoint.duration.p95_ms),
        endpoint.in_flight.to_string(),
        endpoint.since.clone(),
        endpoint.next_probe.clone().unwrap_or_default(),
        endpoint.reason.clone().unwrap_or_default(),
    ]
}
