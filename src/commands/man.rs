//! `man DIR`: the man pages, from the same definitions as the help.

use super::{CommandError, Exit};
use crate::cli::ManArgs;

pub fn run(_args: &ManArgs) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
