//! The flags of `add` and `edit` as what an endpoint shall be.

use std::io::{self, IsTerminal, Read};

use super::super::CommandError;
use super::super::init::ask;
use crate::cli::{EndpointKeys, InitAuth};
use crate::config::edit::EndpointChange;

/// More is no key.
const LARGEST: u64 = 64 << 10;

/// What was not given stays absent.
pub(super) fn change(keys: &EndpointKeys) -> Result<EndpointChange, CommandError> {
    // An empty value takes the key out.
    let optional = |value: &Option<String>| value.clone().map(|value| Some(value).filter(|value| !value.is_empty()));
    let auth_value = match keys.auth_value.as_deref() {
        Some("-") => Some(Some(read_key()?)),
        _ => optional(&keys.auth_value),
    };
    Ok(EndpointChange {
        url: keys.url.clone(),
        // Here an empty one has a meaning: no prefix.
        path_prefix: keys.path_prefix.clone().map(Some),
        auth_type: keys.auth_type.map(|auth_type| word(auth_type).to_owned()),
        auth_value,
        priority: keys.priority,
        http: optional(&keys.http),
        proxy: optional(&keys.proxy),
        ca_file: optional(&keys.ca_file),
        ..EndpointChange::default()
    })
}

fn word(auth_type: InitAuth) -> &'static str {
    match auth_type {
        InitAuth::ApiKey => "api_key",
        InitAuth::AuthToken => "auth_token",
        InitAuth::Passthrough => "passthrough",
    }
}

/// The key itself from stdin: typed unseen on a terminal, else all that comes. A `$` in it stands for itself.
fn read_key() -> Result<String, CommandError> {
    let text = if io::stdin().is_terminal() {
        ask::ask_hidden("Its key", "")?
    } else {
        let mut text = String::new();
        io::stdin().lock().take(LARGEST).read_to_string(&mut text).map_err(|error| {
            CommandError::usage(format!("the key cannot be read from stdin: {error}"), "pipe the key alone, as text")
        })?;
        text
    };
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(CommandError::usage("stdin holds no key", "pipe the key into the command, or name it: --auth-value")),
        key => Ok(key.replace('$', "$$")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_flag_takes_a_key_out_but_a_prefix() {
        let empty = || Some(String::new());
        let keys = EndpointKeys {
            url: None,
            path_prefix: empty(),
            auth_type: Some(InitAuth::Passthrough),
            auth_value: empty(),
            priority: None,
            http: empty(),
            proxy: Some("http://p".into()),
            ca_file: None,
        };
        let expected = EndpointChange {
            path_prefix: Some(Some(String::new())),
            auth_type: Some("passthrough".into()),
            auth_value: Some(None),
            http: Some(None),
            proxy: Some(Some("http://p".into())),
            ..EndpointChange::default()
        };
        assert_eq!(change(&keys).unwrap(), expected);
    }
}
