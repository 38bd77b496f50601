//! `check`: every endpoint probed once.

use super::{CommandError, Exit};
use crate::cli::CheckArgs;
use crate::config::Config;

pub fn run(config: Config, args: &CheckArgs) -> Result<Exit, CommandError> {
    let Config { endpoints, .. } = config;
    let count = if args.names.is_empty() { endpoints.len() } else { args.names.len() };
    let message = format!("this build cannot probe {count} endpoints yet");
    Err(CommandError::failed("unavailable", message, "use a newer build"))
}
