//! The endpoints of a file by name, for completing them: no credential is resolved, and a file that cannot be read
//! as settings has none.

use std::path::Path;

use super::file::FileEndpoint;
use super::mask::looks_secret;
use super::reference::{Environment, expand};
use super::{decode, locate, read_again, tree};
use crate::domain::endpoint::BaseUrl;

/// Names and addresses, in the file's order. A key that is missing here may be set where the proxy runs, so that an
/// unset variable is no obstacle.
pub fn of(explicit: Option<&Path>, env: Environment) -> Vec<(String, Option<String>)> {
    let Some(path) = locate(explicit, env).ok().and_then(|located| located.file) else { return Vec::new() };
    let text = read_again(&path).unwrap_or_default();
    let root = tree::parse(text.trim_start_matches('\u{feff}')).ok();
    let file = root.and_then(|root| decode::decode(&root).ok()).unwrap_or_default();
    file.endpoints.into_iter().filter_map(|endpoint| named(endpoint, env)).collect()
}

fn named(endpoint: FileEndpoint, env: Environment) -> Option<(String, Option<String>)> {
    let name = endpoint.name.filter(|name| !name.is_empty() && !name.chars().any(char::is_control))?;
    let url = endpoint.url.and_then(|raw| shown(&raw, env));
    Some((name, url))
}

/// The address; without its path when that may hold what should not stand on a screen.
fn shown(raw: &str, env: Environment) -> Option<String> {
    let url = BaseUrl::parse(&expand(raw, env).ok()?).ok()?;
    let whole = url.to_string();
    if !raw.contains('$') && !looks_secret(&whole) {
        return Some(whole);
    }
    let scheme = if url.is_https() { "https" } else { "http" };
    Some(format!("{scheme}://{}", url.authority()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_credential() {
        let env = |name: &str| (name == "HOST").then(|| "a.example/hunter2".to_owned());
        for (raw, expected) in [
            ("https://a.example/base", Some("https://a.example/base")),
            ("https://${HOST}/base", Some("https://a.example")),
            ("https://a.example/sk-ant-hunter2", Some("https://a.example")),
            ("https://me:hunter2@a.example", None),
            ("https://${NONE}", None),
        ] {
            assert_eq!(shown(raw, &env).as_deref(), expected);
        }
    }
}
