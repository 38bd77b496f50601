//! What keeps Claude Code from doing what its environment says.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Variables;
use crate::config::{Server, process_environment};
use crate::wire::harmless::harmless;

const TWO_KEYS: &str = "ANTHROPIC_API_KEY is set as well, so Claude Code sends both and may warn about it; the proxy \
                        looks for its own token in either, and only endpoints with auth_type: passthrough get the other one";

/// Far beyond what anybody's settings hold.
const LARGEST: u64 = 4 << 20;

/// A sentence for each thing that Claude Code will find odd about `variables`, or will not do as they say. No value of
/// any of them is in it.
pub fn all(server: &Server, variables: &Variables) -> Vec<String> {
    let key = process_environment("ANTHROPIC_API_KEY").filter(|key| !key.is_empty());
    let two_keys = (server.auth_token.is_some() && key.is_some()).then(|| TWO_KEYS.to_owned());
    let files = settings_files(&process_environment);
    let overridden = files.into_iter().filter_map(|file| overridden(&file, &read(&file)?, variables));
    two_keys.into_iter().chain(overridden).collect()
}

/// Claude Code's own settings, whose `env` wins over the environment that it is started in.
fn settings_files(env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let own = env("CLAUDE_CONFIG_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let user = own.or_else(|| Some(PathBuf::from(env("HOME")?).join(".claude")));
    let project = Path::new(".claude");
    let files = [project.join("settings.local.json"), project.join("settings.json")];
    files.into_iter().chain(user.map(|folder| folder.join("settings.json"))).collect()
}

fn read(file: &Path) -> Option<Value> {
    // A pipe or a device would hold up whoever only wants to start something.
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    let mut text = Vec::new();
    is_file.then(|| File::open(file).ok()?.take(LARGEST).read_to_end(&mut text).ok()).flatten()?;
    serde_json::from_slice(&text).ok()
}

fn overridden(file: &Path, settings: &Value, variables: &Variables) -> Option<String> {
    let set = settings.get("env")?.as_object()?;
    let other = |(name, value): &&(&'static str, String)| {
        // Without a proxy for itself Claude Code reaches this machine whatever the list says.
        *name != "NO_PROXY" && *name != "no_proxy" && set.get(*name).is_some_and(|other| other != value)
    };
    let names: Vec<_> = variables.iter().filter(other).map(|(name, _)| *name).collect();
    if names.is_empty() {
        return None;
    }
    let file = harmless(&file.to_string_lossy(), false).into_owned();
    Some(format!(
        "{file} sets another {}, and Claude Code heeds that one: take it out of its \"env\"",
        names.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables() -> Variables {
        vec![("ANTHROPIC_BASE_URL", "http://127.0.0.1:1".into()), ("ANTHROPIC_AUTH_TOKEN", "hunter2".into())]
    }

    #[test]
    fn settings_that_win_are_named_without_their_values() {
        for (env, names) in [
            (json!({ "ANTHROPIC_BASE_URL": "https://other" }), Some("ANTHROPIC_BASE_URL")),
            (
                json!({ "ANTHROPIC_BASE_URL": 1, "ANTHROPIC_AUTH_TOKEN": "hunter3" }),
                Some("ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN"),
            ),
            (json!({ "ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "NO_PROXY": "x", "OTHER": "y" }), None),
            (json!([]), None),
        ] {
            let told = overridden(Path::new("a\x1b.json"), &json!({ "env": env }), &variables());
            let expected = names.map(|names| format!("a\\u{{1b}}.json sets another {names}, and"));
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            let told = told.unwrap_or_default();
            assert!(told.starts_with(&expected.unwrap_or_default()) && !told.contains("hunter"), "{told}");
        }
        assert_eq!(overridden(Path::new("a"), &json!({}), &variables()), None);
    }

    #[test]
    fn the_users_folder_is_claude_codes_own() {
        let files = |pairs: &[(&str, &str)]| {
            let env = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            settings_files(&env).last().unwrap().display().to_string()
        };
        assert_eq!(files(&[("HOME", "/h")]), "/h/.claude/settings.json");
        assert_eq!(files(&[("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/own")]), "/own/settings.json");
        assert_eq!(files(&[]), ".claude/settings.json");
    }
}
