//! `statusline`: one line for Claude Code's status line.
//!
//! Claude Code runs it several times a second and blanks the row when it fails or says nothing. So there is always one
//! line and always exit code 0, nothing on stderr, and nothing is waited for beyond a few milliseconds: not stdin, not
//! the proxy, not even the config file, which may be on a disk that sleeps. What is not there by then is left out.

mod input;
mod line;

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use tokio::time::timeout_at;

use super::{CommandError, Exit, attach, print_json};
use crate::cli::StatuslineArgs;
use crate::client::{AdminClient, ClientError, encoded};
use crate::clock;
use crate::config;
use crate::wire::session::SessionView;
use crate::wire::status::EndpointList;

/// To draw what came in time, and hand it over.
const DRAWN_WITHIN: Duration = Duration::from_millis(1);

pub fn run(explicit: Option<&Path>, args: &StatuslineArgs) -> Result<Exit, CommandError> {
    let deadline = clock::now() + Duration::from_millis(args.within);
    let as_json = args.json;
    let (tell, told) = channel();
    let (file, args) = (explicit.map(Path::to_path_buf), args.clone());
    // Whatever it hangs on, it ends with the program.
    let started = thread::Builder::new().spawn(move || tell.send(compose(file.as_deref(), &args, deadline)));
    let left = deadline.saturating_duration_since(clock::now()) + DRAWN_WITHIN;
    let line = started.ok().and_then(|_| told.recv_timeout(left).ok());
    let line = line.as_deref().unwrap_or(line::SLOW);
    if as_json {
        let plain = anstream::adapter::strip_str(line).to_string();
        // As below.
        let _ = print_json(&serde_json::json!({ "line": plain }));
    } else {
        show(line);
    }
    Ok(Exit::Fine)
}

/// For a command line that was not understood: a status line all the same.
pub fn wrong_arguments() -> Exit {
    show(line::WRONG_ARGUMENTS);
    Exit::Fine
}

/// The line on stdout, coloured or not.
fn show(line: &str) {
    let plain = anstream::adapter::strip_str(line);
    // Whoever closed the pipe does not want to read it.
    let _ = if is_in_color() { writeln!(std::io::stdout(), "{line}") } else { writeln!(std::io::stdout(), "{plain}") };
}

/// Claude Code shows colours though what it reads is no terminal.
fn is_in_color() -> bool {
    match ColorChoice::global() {
        ColorChoice::Never => false,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Auto => config::process_environment("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

fn compose(explicit: Option<&Path>, args: &StatuslineArgs, deadline: Instant) -> String {
    let client = match attach::client(explicit, &args.attach) {
        Ok(client) => client,
        Err(error) if error.exit() == Exit::NoProxy => return line::OFF.to_owned(),
        Err(_) => return line::BAD_CONFIG.to_owned(),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return line::SLOW.to_owned();
    };
    let line = runtime.block_on(ask(&client, deadline));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    line
}

async fn ask(client: &AdminClient, deadline: Instant) -> String {
    let endpoints = timeout_at(deadline.into(), client.get::<EndpointList>("/api/endpoints"));
    let session = timeout_at(deadline.into(), session(client));
    let (endpoints, session) = tokio::join!(endpoints, session);
    match endpoints {
        Ok(Ok(list)) => line::draw(&list.endpoints, session.ok().flatten().as_ref()),
        Ok(Err(error)) => trouble(&error).to_owned(),
        Err(_) => line::SLOW.to_owned(),
    }
}

/// What the session on stdin used; `None` while the proxy knows nothing of it.
async fn session(client: &AdminClient) -> Option<SessionView> {
    let id = input::session().await?;
    client.get(&format!("/api/sessions/{}", encoded(&id))).await.ok()
}

fn trouble(error: &ClientError) -> &'static str {
    match error {
        ClientError::Refused { status, .. } if matches!(status.as_u16(), 401 | 403) => line::REFUSED,
        ClientError::Refused { .. } | ClientError::Lost { .. } => line::SLOW,
        ClientError::NoProxy { .. } | ClientError::Stranger { .. } => line::OFF,
    }
}
