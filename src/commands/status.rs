//! `status`: the running proxy on one screen.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::StatusArgs;

pub fn run(_explicit: Option<&Path>, _args: &StatusArgs) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
