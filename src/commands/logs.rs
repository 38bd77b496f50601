//! `logs tail|show|search`: reads the files, so it works while the proxy is down.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::LogsCommand;

pub fn run(_explicit: Option<&Path>, _command: &LogsCommand) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
