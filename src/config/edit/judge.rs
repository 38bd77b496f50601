//! Whether the new text can be used, and if not, which of the wished values is at fault.

use std::path::Path;

use super::super::diagnose::Finding;
use super::super::{Config, ConfigError, process_environment};
use super::{EditError, Unset};

/// The settings that a text makes, and the variables that are not set here.
pub(super) fn settings(text: &str, path: &Path, unset: Unset) -> Result<(Config, Vec<String>), ConfigError> {
    let refused = match Config::from_text(text, Some(path), &process_environment) {
        Ok(config) => return Ok((config, Vec::new())),
        Err(refused) if unset == Unset::Refused => return Err(refused),
        Err(refused) => refused,
    };
    let names: Vec<String> = refused.findings.iter().filter_map(unset_variable).collect();
    // A stopgap that is fine as a key, one that is fine as an address.
    for stopgap in ["unset", "https://unset.invalid"] {
        let env = |name: &str| {
            process_environment(name).or_else(|| names.iter().any(|unset| unset == name).then(|| stopgap.to_owned()))
        };
        if let Ok(config) = Config::from_text(text, Some(path), &env) {
            return Ok((config, names));
        }
    }
    Err(refused)
}

fn unset_variable(finding: &Finding) -> Option<String> {
    let (before, _) = finding.message.split_once("} is not set")?;
    before.rsplit_once("${").map(|(_, name)| name.to_owned())
}

/// Says it by the field of the endpoint at `index` where it is about that one. `before`: what was wrong already.
pub(super) fn blame(after: &ConfigError, before: Option<ConfigError>, index: Option<usize>) -> EditError {
    let own = index.map(|index| format!("endpoints[{index}]"));
    let about_it = |finding: &&Finding| own.as_ref().is_some_and(|own| finding.path.starts_with(own.as_str()));
    let known = |finding: &Finding| {
        before.as_ref().is_some_and(|before| before.findings.iter().any(|old| old.message == finding.message))
    };
    let news = after.findings.iter().filter(about_it).find(|finding| !known(finding));
    match (news, before) {
        (Some(finding), _) => {
            let own = own.unwrap_or_default();
            let field = finding.path.strip_prefix(&format!("{own}.")).map(str::to_owned);
            let message = finding.message.replace(&format!("{own}."), "");
            EditError::Invalid { field, message, hint: finding.help.clone() }
        }
        (None, Some(before)) => EditError::Broken(before),
        (None, None) => {
            EditError::Invalid { field: None, message: after.message(), hint: after.hint().map(str::to_owned) }
        }
    }
}
