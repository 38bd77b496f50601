//! `tui`: the dashboard, attached to a running proxy.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::TuiArgs;

pub fn run(_explicit: Option<&Path>, _args: &TuiArgs) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
