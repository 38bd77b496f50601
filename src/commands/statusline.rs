//! `statusline`: one line for Claude Code's status line.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::AttachArgs;

pub fn run(_explicit: Option<&Path>, _args: &AttachArgs) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
