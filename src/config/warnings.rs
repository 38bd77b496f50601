//! What is not wrong but should be known: credentials that others can read, settings that have no effect.

use std::path::Path;

use super::file::{AuthType, FileConfig};
use super::mask::looks_secret;
use super::reference::{self, Environment};
use super::{decode, tree};

/// About a file that was loaded without an error; anything else gives none.
pub fn of(text: &str, path: &Path, env: Environment) -> Vec<String> {
    let Some(file) = tree::parse(text.trim_start_matches('\u{feff}')).ok().and_then(|root| decode::decode(&root).ok())
    else {
        return Vec::new();
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    if credentials(&file).any(|(_, value)| is_literal(value)) && others_can_read(path) {
        warnings.push(format!("{0} holds keys and others can read it: chmod 600 {0}", path.display()));
    }
    for (key, value) in credentials(&file) {
        let Some(Ok(secret)) = reference::file_path(value, folder, env) else { continue };
        if others_can_read(&secret) {
            warnings.push(format!("{key}: others can read {0}: chmod 600 {0}", secret.display()));
        }
    }
    for (index, endpoint) in file.endpoints.iter().enumerate() {
        if endpoint.auth_type == Some(AuthType::Passthrough) && endpoint.auth_value.is_some() {
            warnings.push(format!("endpoints[{index}].auth_value has no effect with auth_type: passthrough"));
        }
        let url = endpoint.url.as_deref().unwrap_or_default().trim_end_matches('/');
        if endpoint.path_prefix.is_none() && url.ends_with("/v1") && !looks_secret(url) {
            warnings.push(format!(
                "endpoints[{index}].url ends in /v1 and path_prefix adds another: requests go to {url}/v1/…; \
                 leave /v1 out of the URL, or write `path_prefix: \"\"`"
            ));
        }
    }
    warnings
}

fn credentials(file: &FileConfig) -> impl Iterator<Item = (String, &str)> {
    let tokens = [("server.auth_token", &file.server.auth_token), ("web_admin.auth_token", &file.web_admin.auth_token)];
    let tokens = tokens.into_iter().map(|(key, value)| (key.to_owned(), value));
    let keys = file.endpoints.iter().enumerate();
    let keys = keys.map(|(index, endpoint)| (format!("endpoints[{index}].auth_value"), &endpoint.auth_value));
    tokens.chain(keys).filter_map(|(key, value)| value.as_deref().map(|value| (key, value)))
}

/// Whether the value itself stands in the file, be it as a default.
fn is_literal(value: &str) -> bool {
    let reference = value.starts_with("${") && value.ends_with('}') && !value.contains(":-");
    !reference && !value.starts_with("file:")
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// Other systems have no mode; a user's folder is private there by default.
#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}
