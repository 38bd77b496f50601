//! `endpoints …`: through the admin API when the proxy runs, else in the file; it says which.

use std::path::Path;

use super::{CommandError, Exit};
use crate::cli::EndpointsCommand;

pub fn run(_explicit: Option<&Path>, _command: &EndpointsCommand) -> Result<Exit, CommandError> {
    Err(super::CommandError::usage("not there yet", "wait for it"))
}
