//! The line that is being typed, as far as it says which config and which proxy its words are about.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use super::complete::{bare, words};
use crate::client::{AdminClient, TOKEN_VARIABLE, Target};
use crate::config::{self, names, process_environment};
use crate::domain::secret::Secret;
use crate::logs::glance;
use crate::wire::record::RequestRecord;
use crate::wire::status::EndpointList;

/// Nobody waits longer for the answer to a key.
const ANSWER_WITHIN: Duration = Duration::from_millis(12);

pub(super) struct Typed(Vec<OsString>);

impl Typed {
    pub(super) fn now() -> Self {
        Self(words(&std::env::args_os().collect::<Vec<_>>()).unwrap_or_default())
    }

    /// A line that names nothing, and finds nothing in the folder of the tests.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(["p", "-c", "/nonexistent"].map(OsString::from).into())
    }

    /// Names and addresses: of the proxy that the line names, else of the config that it would use.
    pub(super) fn endpoints(&self) -> Vec<(String, Option<String>)> {
        let named = self.admin().and_then(|url| self.running(&url));
        named.unwrap_or_else(|| names::of(self.config().as_deref(), &process_environment))
    }

    /// The newest `limit` requests in the log, newest first.
    pub(super) fn recent(&self, limit: usize) -> Vec<RequestRecord> {
        let logging = config::load_logging(self.config().as_deref()).ok();
        logging.map(|logging| glance::newest(&logging.log_directory, limit)).unwrap_or_default()
    }

    fn running(&self, url: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut target = Target::parse(url, "").ok()?;
        target.token = self.token(&target.address);
        let client = AdminClient::new(target).within(ANSWER_WITHIN);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let asked = async { tokio::time::timeout(ANSWER_WITHIN, client.get::<EndpointList>("/api/endpoints")).await };
        let list = runtime.block_on(asked);
        runtime.shutdown_background();
        let fit =
            list.ok()?.ok()?.endpoints.into_iter().filter(|endpoint| !endpoint.name.chars().any(char::is_control));
        Some(fit.map(|endpoint| (endpoint.name, Some(endpoint.url))).collect())
    }

    /// As the commands themselves have it: the config's own goes to its own address only.
    fn token(&self, address: &str) -> Option<Secret> {
        let variable = process_environment(TOKEN_VARIABLE).filter(|token| !token.trim().is_empty());
        variable.map(|token| Secret::new(token.trim().to_owned())).or_else(|| {
            let (admin, _) = config::load_admin(self.config().as_deref()).ok()?;
            admin.auth_token.filter(|_| Target::of(&admin.host, admin.port, "").address == address)
        })
    }

    /// What `--config` says; the shell has expanded nothing in it.
    fn config(&self) -> Option<PathBuf> {
        let path = bare(OsStr::new(self.flag(Some("-c"), "--config")?));
        let home = path.to_str().and_then(|path| path.strip_prefix("~/")).zip(process_environment("HOME"));
        Some(home.map_or_else(|| PathBuf::from(&path), |(rest, home)| PathBuf::from(home).join(rest)))
    }

    fn admin(&self) -> Option<String> {
        let flag = self.flag(None, "--admin").map(|url| bare(OsStr::new(url)).to_string_lossy().into_owned());
        flag.or_else(|| process_environment("CLAUDE_PROXY_ADMIN")).filter(|url| !url.is_empty())
    }

    /// The last value of a flag before `--`.
    fn flag(&self, short: Option<&str>, long: &str) -> Option<&str> {
        let mut found = None;
        let words = self.0.iter().skip(1).take_while(|word| *word != "--");
        let mut words = words.filter_map(|word| word.to_str()).peekable();
        while let Some(word) = words.next() {
            let value = if word == long || Some(word) == short {
                // Bash ends a word at `=`.
                words.next_if_eq(&"=");
                words.next()
            } else {
                let joined = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
                joined.or_else(|| {
                    let rest = word.strip_prefix(short?)?;
                    Some(rest.strip_prefix('=').unwrap_or(rest))
                })
            };
            found = value.or(found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Typed {
        Typed(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_lines_own_config_is_found() {
        for line in [
            "p -c a.yaml check ",
            "p -ca.yaml check ",
            "p -c=a.yaml check ",
            "p check --config=a.yaml ",
            "p check --config = a.yaml ",
            "p check  -c 'a.yaml'",
        ] {
            assert_eq!(typed(line).config(), Some("a.yaml".into()), "{line}");
        }
        for line in ["p check ", "p check -c", "p run -- x -c a.yaml"] {
            assert_eq!(typed(line).config(), None, "{line}");
        }
        let home = process_environment("HOME").unwrap();
        assert_eq!(typed("p -c ~/a.yaml check ").config(), Some(PathBuf::from(home).join("a.yaml")));
    }

    #[test]
    fn the_lines_own_proxy_is_found() {
        for line in ["p status --admin http://a:1", "p status --admin=http://a:1 --json", "p --admin = 'http://a:1' x"]
        {
            assert_eq!(typed(line).flag(None, "--admin").map(|url| bare(OsStr::new(url))), Some("http://a:1".into()));
        }
        assert_eq!(typed("p status --administrator x").flag(None, "--admin"), None);
    }
}
