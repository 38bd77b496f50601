//! `endpoints …`: through the admin API when the proxy runs, else in the file; it says which.

mod change;
mod keys;
mod list;
mod probe;
mod route;

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::EndpointsCommand;
use crate::config::diagnose::{likeness, nearest};
use crate::wire;

pub fn run(explicit: Option<&Path>, command: &EndpointsCommand) -> Result<Exit, CommandError> {
    match command {
        EndpointsCommand::List(args) => list::run(explicit, args),
        EndpointsCommand::Enable(args) => change::switch(explicit, args, true),
        EndpointsCommand::Disable(args) => change::switch(explicit, args, false),
        EndpointsCommand::Add(args) => change::add(explicit, args),
        EndpointsCommand::Edit(args) => change::edit(explicit, args),
        EndpointsCommand::Remove(args) => change::remove(explicit, args),
        EndpointsCommand::Test(args) => probe::run(explicit, args),
    }
}

/// Names the one that was probably meant, and all that there are, the nearest one first.
fn unknown(name: &str, known: &[String]) -> CommandError {
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.sort_by(|one, other| likeness(name, other).total_cmp(&likeness(name, one)));
    let hint = match (nearest(name, &known), known.as_slice()) {
        (_, []) => "the config has none; `claude-proxy endpoints add` adds one".to_owned(),
        (Some(meant), [_]) => format!("did you mean \"{meant}\"?"),
        (Some(meant), all) => format!("did you mean \"{meant}\"? there are {}", all.join(", ")),
        (None, [only]) => format!("there is only {only}"),
        (None, all) => format!("there are {}", all.join(", ")),
    };
    CommandError::usage(format!("there is no endpoint \"{}\"", harmless(name)), harmless(&hint))
}

/// Nothing in it can drive a terminal: what a proxy tells may come from an upstream.
fn harmless(text: &str) -> String {
    wire::harmless::harmless(text, false).into_owned()
}

/// The same for text of several lines.
fn harmless_lines(text: &str) -> String {
    wire::harmless::harmless(text, true).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let known = ["primary", "mirror-1", "kimi"].map(str::to_owned);
        for (name, known, hint) in [
            ("miror-1", &known[..], "did you mean \"mirror-1\"? there are mirror-1, primary, kimi"),
            ("x", &known, "there are"),
            ("primery", &known[..1], "did you mean \"primary\"?"),
            ("x", &known[..1], "there is only primary"),
            ("x", &[], "endpoints add"),
        ] {
            let error = unknown(name, known);
            assert!(error.hint().is_some_and(|told| told.contains(hint)), "{:?}", error.hint());
            assert_eq!(error.exit(), Exit::Usage);
        }
    }
}
