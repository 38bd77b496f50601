//! The names of the endpoints, for arguments that take one.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::complete::{bare, words};
use crate::config::{names, process_environment};

/// For an argument that takes an endpoint's name: those in the config that the line would use.
pub(super) fn endpoint() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let line = words(&std::env::args_os().collect::<Vec<_>>()).unwrap_or_default();
        let typed = typed.to_str().unwrap_or_default();
        let known = names::of(config(&line).as_deref(), &process_environment);
        // A name with a dash in front would be read as a flag.
        let fits = known.into_iter().filter(|(name, _)| name.starts_with(typed) && !name.starts_with('-'));
        fits.map(|(name, url)| CompletionCandidate::new(name).help(url.map(Into::into))).collect()
    })
}

/// For an argument that takes the id of a logged request: the newest ones.
pub(super) fn log_id() -> ArgValueCompleter {
    ArgValueCompleter::new(|_: &OsStr| Vec::new())
}

/// What `--config` says in a line; the shell has expanded nothing in it.
fn config(line: &[OsString]) -> Option<PathBuf> {
    let mut found = None;
    let mut words = line.iter().skip(1).take_while(|word| *word != "--").filter_map(|word| word.to_str()).peekable();
    while let Some(word) = words.next() {
        let value = match word {
            // Bash ends a word at `=`.
            "-c" | "--config" => {
                words.next_if_eq(&"=");
                words.next()
            }
            _ => {
                word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c=")).or_else(|| word.strip_prefix("-c"))
            }
        };
        found = value.or(found);
    }
    let path = bare(OsStr::new(found?));
    let home = path.to_str().and_then(|path| path.strip_prefix("~/")).zip(process_environment("HOME"));
    Some(home.map_or_else(|| PathBuf::from(&path), |(rest, home)| PathBuf::from(home).join(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_own_config_is_found() {
        let of = |line: &str| config(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "p -c a.yaml check ",
            "p -ca.yaml check ",
            "p -c=a.yaml check ",
            "p check --config=a.yaml ",
            "p check --config = a.yaml ",
            "p check  -c 'a.yaml'",
        ] {
            assert_eq!(of(line), Some("a.yaml".into()), "{line}");
        }
        for line in ["p check ", "p check -c", "p run -- x -c a.yaml"] {
            assert_eq!(of(line), None, "{line}");
        }
        let home = process_environment("HOME").unwrap();
        assert_eq!(of("p -c ~/a.yaml check "), Some(PathBuf::from(home).join("a.yaml")));
    }
}
