//! `statusline`: one line for Claude Code's status line.
//!
//! Claude Code runs it several times a second and blanks the row when it fails or says nothing. So there is always one
//! line and always exit code 0, nothing on stderr, and neither stdin nor the proxy is waited for beyond a few
//! milliseconds: what is not there by then is left out.

mod input;
mod line;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anstream::ColorChoice;
use tokio::time::{Instant, timeout_at};

use super::{CommandError, Exit, attach};
use crate::cli::StatuslineArgs;
use crate::client::{AdminClient, ClientError, encoded};
use crate::clock;
use crate::config;
use crate::wire::session::SessionView;
use crate::wire::status::EndpointList;

pub fn run(explicit: Option<&Path>, args: &StatuslineArgs) -> Result<Exit, CommandError> {
    let line = match attach::client(explicit, &args.attach) {
        Ok(client) => ask(client, Duration::from_millis(args.within))?,
        Err(error) if error.exit() == Exit::NoProxy => line::OFF.to_owned(),
        Err(_) => line::BAD_CONFIG.to_owned(),
    };
    let line = if in_color() { line } else { anstream::adapter::strip_str(&line).to_string() };
    // Whoever closed the pipe does not want to read it.
    let _ = writeln!(std::io::stdout(), "{line}");
    Ok(Exit::Fine)
}

/// Claude Code shows colours though what it reads is no terminal.
fn in_color() -> bool {
    match ColorChoice::global() {
        ColorChoice::Never => false,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Auto => config::process_environment("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

fn ask(client: AdminClient, within: Duration) -> Result<String, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = runtime.block_on(async {
        let deadline = Instant::from_std(clock::now()) + within;
        let endpoints = timeout_at(deadline, client.get::<EndpointList>("/api/endpoints"));
        let session = timeout_at(deadline, session(&client));
        let (endpoints, session) = tokio::join!(endpoints, session);
        match endpoints {
            Ok(Ok(list)) => line::draw(&list.endpoints, session.ok().flatten().as_ref()),
            Ok(Err(error)) => trouble(&error).to_owned(),
            Err(_) => line::SLOW.to_owned(),
        }
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    Ok(line)
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
