//! `completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{CommandError, Exit, print};
use crate::cli::Cli;

pub fn run(shell: Shell) -> Result<Exit, CommandError> {
    print(&script(shell))?;
    Ok(Exit::Fine)
}

/// The script that `completions/` holds.
pub fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "claude-proxy", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
