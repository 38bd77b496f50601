//! An endpoint that is not saved yet, judged as if it were.

use std::sync::Arc;

use super::answer::{Outcome, Refusal};
use super::state::Standing;
use crate::config::edit::EndpointChange;
use crate::config::file::{FileConfig, FileEndpoint};
use crate::config::{self, Config, ConfigError, decode, process_environment, to_yaml, tree};
use crate::domain::endpoint::EndpointSpec;

const CHOOSE: &str = "write one of these words";

/// The stored endpoint of that name with these changes, or a new one. Reads the config file.
///
/// # Errors
/// 422 with the field that is at fault; 409 when the file itself is broken.
pub fn made(standing: &Standing, name: &str, change: EndpointChange) -> Outcome<Arc<EndpointSpec>> {
    let mut file = stored(standing)?;
    let place = file.endpoints.iter().position(|endpoint| endpoint.name.as_deref() == Some(name));
    let stored = place.map(|place| file.endpoints.swap_remove(place));
    let keeps_key = stored.is_some() && change.auth_value.is_none();
    // The others may be broken or not: this one is asked about.
    file.endpoints = vec![stored.unwrap_or_default()];
    let before = if keeps_key { judged(standing, &file).ok() } else { None };
    file.endpoints[0].name.get_or_insert_with(|| name.to_owned());
    merge(&mut file.endpoints[0], change)?;
    let made = judged(standing, &file)?;
    if keeps_key && made.auth.secret().is_some() && !before.is_some_and(|before| goes_the_same_way(&before, &made)) {
        return Err(Refusal::invalid("auth_value: a stored key is not sent to another address or by another way")
            .hint("give the key again to test the endpoint there")
            .field("auth_value"));
    }
    Ok(made)
}

/// Whoever may change an endpoint need not be able to read its key: one who could have it sent anywhere would.
fn goes_the_same_way(before: &EndpointSpec, now: &EndpointSpec) -> bool {
    let server = |spec: &EndpointSpec| (spec.url.is_https(), spec.url.host().to_ascii_lowercase(), spec.url.port());
    server(before) == server(now) && before.proxy == now.proxy && before.ca_file == now.ca_file
}

/// The file's only endpoint.
fn judged(standing: &Standing, file: &FileConfig) -> Outcome<Arc<EndpointSpec>> {
    let text = to_yaml(file).map_err(Refusal::internal)?;
    let path = standing.config.file.clone().or_else(|| standing.shown.would_write.clone().map(Into::into));
    let config = Config::from_text(&text, path.as_deref(), &process_environment).map_err(|error| invalid(&error))?;
    config.endpoints.into_iter().next().ok_or_else(|| Refusal::internal("the endpoint got lost"))
}

/// The file as written, with its references; without one the built-in default.
fn stored(standing: &Standing) -> Outcome<FileConfig> {
    let Some(path) = &standing.config.file else { return Ok(FileConfig::built_in()) };
    let broken = |why: String| {
        Refusal::new(http::StatusCode::CONFLICT, "broken_config", format!("the config file is broken as it is: {why}"))
            .hint("`claude-proxy config check` shows where")
    };
    let text = config::read_again(path).map_err(|error| broken(error.message()))?;
    let root = tree::parse(text.trim_start_matches('\u{feff}')).map_err(|_| broken("it is no YAML".to_owned()))?;
    decode::decode(&root).map_err(|_| broken("it has keys or values that do not belong there".to_owned()))
}

fn merge(endpoint: &mut FileEndpoint, change: EndpointChange) -> Outcome<()> {
    endpoint.name = change.name.or(endpoint.name.take());
    endpoint.url = change.url.or(endpoint.url.take());
    endpoint.enabled = change.enabled.or(endpoint.enabled);
    endpoint.priority = change.priority.or(endpoint.priority);
    if let Some(word) = change.auth_type {
        endpoint.auth_type = Some(read("auth_type", &word, "api_key, auth_token or passthrough")?);
    }
    if let Some(http) = change.http {
        endpoint.http = http.map(|word| read("http", &word, "1.1, 2 or auto")).transpose()?;
    }
    for (key, changed) in [
        (&mut endpoint.path_prefix, change.path_prefix),
        (&mut endpoint.auth_value, change.auth_value),
        (&mut endpoint.proxy, change.proxy),
        (&mut endpoint.ca_file, change.ca_file),
    ] {
        if let Some(changed) = changed {
            *key = changed;
        }
    }
    Ok(())
}

/// A word as the file knows it.
fn read<T: serde::de::DeserializeOwned>(field: &str, word: &str, expected: &str) -> Outcome<T> {
    let value = serde_json::Value::from(word);
    let refused = |_| Refusal::invalid(format!("{field}: expected {expected}")).field(field).hint(CHOOSE);
    serde_json::from_value(value).map_err(refused)
}

fn invalid(error: &ConfigError) -> Refusal {
    let Some(finding) = error.findings.first() else { return Refusal::invalid(error.message()) };
    let own = finding.path.strip_prefix("endpoints[0].");
    let message = finding.message.replace("endpoints[0].", "");
    let mut refusal = Refusal::invalid(message);
    refusal.detail.field = own.map(str::to_owned);
    refusal.detail.hint = finding.help.clone().or(refusal.detail.hint);
    refusal
}
