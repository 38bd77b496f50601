//! `serve`: the proxy in the foreground.

use super::{CommandError, Exit};
use crate::config::Config;

pub fn run(config: Config) -> Result<Exit, CommandError> {
    let Config { server, .. } = config;
    let message = format!("this build cannot listen on {}:{} yet", server.host, server.port);
    Err(CommandError::failed("unavailable", message, "use a newer build"))
}
