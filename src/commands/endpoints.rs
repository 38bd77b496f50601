//! `endpoints …`: through the admin API when the proxy runs, else in the file; it says which.

mod change;
mod keys;
mod list;
mod probe;
mod route;

use std::path::Path;

use tokio::runtime::Runtime;

use super::{CommandError, Exit};
use crate::cli::EndpointsCommand;
use crate::config::diagnose::likeness;

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

fn runtime() -> Result<Runtime, CommandError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Names the endpoints that there are, the nearest one first.
fn unknown(name: &str, known: &[String]) -> CommandError {
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.sort_by(|one, other| likeness(name, other).total_cmp(&likeness(name, one)));
    CommandError::usage(format!("there is no endpoint \"{name}\""), format!("there is {}", known.join(", ")))
}

/// Nothing in it can drive a terminal: what a proxy tells may come from an upstream.
fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let known = ["primary", "mirror-1", "kimi"].map(str::to_owned);
        let error = unknown("miror", &known);
        assert_eq!(error.hint(), Some("there is mirror-1, primary, kimi"));
        assert_eq!(error.exit(), Exit::Usage);
    }
}
