//! `run -- COMMAND…`: that command with this proxy in its environment.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::RunArgs;

pub fn run(_explicit: Option<&Path>, _args: &RunArgs) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
