//! `run -- COMMAND…`: that command with this proxy in its environment.
//!
//! The command takes this process's place: its exit code, signals and terminal are its own, with nobody in between.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::env::{self, clash};
use super::standing::{self, Absent};
use super::{CommandError, Exit, attach, note};
use crate::cli::RunArgs;
use crate::config::load_server;
use crate::wire::harmless::harmless;

/// Returns only when the command cannot be started.
pub fn run(explicit: Option<&Path>, args: &RunArgs) -> Result<Exit, CommandError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CommandError::usage("no command is named", "claude-proxy run -- claude"));
    };
    let server = env::located(explicit, load_server(explicit)?)?;
    let variables = env::variables(&server);
    let address = env::address(&server);
    standing::soon(&address).map_err(|why| no_proxy(&address, &why, explicit))?;
    for clash in clash::all(&server, &variables) {
        note(&format!("note: {clash}"));
    }
    let error = Command::new(program).args(arguments).envs(variables).exec();
    Err(not_started(program, &error))
}

/// A client that was started all the same would try for minutes before it says as much.
fn no_proxy(address: &str, why: &Absent, explicit: Option<&Path>) -> CommandError {
    let start = attach::start_command(explicit);
    CommandError::Other {
        exit: Exit::NoProxy,
        code: "no_proxy",
        message: format!("no running claude-proxy at {address}: {why}; the command was not started"),
        hint: Some(format!("start one with `{start}`; server.host and server.port of its config say where")),
    }
}

/// The codes are those that shells use.
fn not_started(program: &OsString, error: &io::Error) -> CommandError {
    let shown = harmless(&program.to_string_lossy(), false).into_owned();
    let (exit, code, why, hint) = match error.kind() {
        io::ErrorKind::NotFound if shown.contains('/') => {
            (Exit::NotFound, "command_not_found", "there is no such file", "check the path")
        }
        io::ErrorKind::NotFound => {
            (Exit::NotFound, "command_not_found", "there is no such command", "install it, or name it by its path")
        }
        io::ErrorKind::PermissionDenied => {
            (Exit::NotRunnable, "command_not_runnable", "it may not be run", "make it executable: chmod +x")
        }
        _ => {
            let message = format!("cannot start {shown}: {error}");
            let hint = Some("try to start it without claude-proxy".to_owned());
            return CommandError::Other { exit: Exit::NotRunnable, code: "command_not_runnable", message, hint };
        }
    };
    CommandError::Other { exit, code, message: format!("cannot start {shown}: {why}"), hint: Some(hint.to_owned()) }
}
