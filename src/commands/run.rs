//! `run -- COMMAND…`: that command with this proxy in its environment.
//!
//! The command takes this process's place: its exit code, signals and terminal are its own, with nobody in between.

use std::ffi::OsString;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{CommandError, Exit, attach, env, note};
use crate::cli::RunArgs;
use crate::config::{Server, load_server};

/// It is on this machine.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);

/// Returns only when the command cannot be started.
pub fn run(explicit: Option<&Path>, args: &RunArgs) -> Result<Exit, CommandError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CommandError::usage("no command is named", "claude-proxy run -- claude"));
    };
    let server = load_server(explicit)?;
    let variables = env::variables(&server)?;
    if !is_there(&server) {
        let start = attach::start_command(explicit);
        note(&format!("warning: nothing listens on {}:{} yet: start it with `{start}`", server.host, server.port));
    }
    if let Some(clash) = env::clash(&server) {
        note(&format!("note: {clash}"));
    }
    let error = Command::new(program).args(arguments).envs(variables).exec();
    Err(not_started(program, &error))
}

/// Whether somebody takes connections in where the proxy would.
fn is_there(server: &Server) -> bool {
    let host = env::reachable(&server.host);
    let addresses = format!("{host}:{}", server.port).to_socket_addrs();
    addresses.into_iter().flatten().any(|address| TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok())
}

/// The codes are those that shells use.
fn not_started(program: &OsString, error: &io::Error) -> CommandError {
    let shown = program.to_string_lossy();
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
