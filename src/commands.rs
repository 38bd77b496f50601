//! One verb, one file. A command prints its data; errors and the exit code are `main`'s.

pub mod attach;
pub mod check;
pub mod completions;
pub mod config;
pub mod endpoints;
pub mod env;
pub mod init;
pub mod logs;
pub mod man;
pub mod run;
pub mod serve;
mod standing;
pub mod status;
pub mod statusline;
pub mod table;
pub mod tui;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::{Config, ConfigError};
use crate::wire::filter::page;
use crate::wire::harmless::{harmless, harmless_json};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Fine = 0,
    /// What was asked failed, or is unhealthy.
    Failed = 1,
    /// Usage or config error.
    Usage = 2,
    /// No running proxy to talk to.
    NoProxy = 4,
    /// `run`: the command is there, but cannot be started.
    NotRunnable = 126,
    /// `run`: there is no such command.
    NotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Stdout could not be written; a closed pipe is no error.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error(transparent)]
    Filter(#[from] Box<logs::BadFilter>),
    /// A word for programs, what happened, and what to do.
    #[error("{message}")]
    Other { exit: Exit, code: &'static str, message: String, hint: Option<String> },
}

impl CommandError {
    pub fn failed(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other { exit: Exit::Failed, code, message: message.into(), hint: Some(hint.into()) }
    }

    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other { exit: Exit::Usage, code: "usage", message: message.into(), hint: Some(hint.into()) }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Filter(_) => Exit::Usage,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
            Self::Output(_) => Exit::Failed,
            Self::Other { exit, .. } => *exit,
        }
    }

    /// A word that programs may compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Output(_) => "output",
            Self::Filter(_) => "filter",
            Self::Other { code, .. } => code,
        }
    }

    /// On one line.
    pub fn message(&self) -> String {
        match self {
            Self::Config(error) => error.message(),
            Self::Filter(error) => error.message(),
            other => other.to_string(),
        }
    }

    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Filter(error) => error.hint(),
            Self::Output(_) => {
                Some("look at where stdout goes: whether it may be written, and whether that disk is full")
            }
            Self::Other { hint, .. } => hint.as_deref(),
        }
    }
}

pub fn run(cli: Cli) -> Result<Exit, CommandError> {
    let explicit = cli.config.as_deref();
    match cli.command {
        Command::Serve => serve::run(load(explicit)?),
        Command::Check(args) => check::run(load(explicit)?, &args),
        Command::Config(command) => config::run(explicit, &command),
        Command::Init(args) => init::run(explicit, &args),
        Command::Env(args) => env::run(explicit, &args),
        Command::Tui(args) => tui::run(explicit, &args),
        Command::Status(args) => status::run(explicit, &args),
        Command::Logs(command) => logs::run(explicit, &command),
        Command::Endpoints(command) => endpoints::run(explicit, &command),
        Command::Run(args) => run::run(explicit, &args),
        Command::Statusline(args) => statusline::run(explicit, &args),
        Command::Man(args) => man::run(&args),
        Command::Filter => print(&page::text()).map(|()| Exit::Fine),
        Command::Completions(args) => completions::run(args.shell),
    }
}

/// The settings, with what should be known about them told on stderr.
fn load(explicit: Option<&Path>) -> Result<Config, CommandError> {
    let config = Config::load(explicit)?;
    if config.file.is_none() {
        note(
            "note: no config file, so everything goes to https://api.anthropic.com with the client's own login; `claude-proxy init` writes one",
        );
    }
    for warning in config.warnings() {
        note(&format!("warning: {warning}"));
    }
    Ok(config)
}

/// Runs it to its end on one thread, and waits for nothing else: a name lookup that hangs has a thread that nobody can
/// stop.
fn block_on<F: Future>(work: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let output = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(output)
}

/// One line on stderr; that nobody reads it is no reason to stop.
fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}", harmless(line, true));
}

/// Data on stdout.
fn print(data: &str) -> Result<(), CommandError> {
    let mut out = anstream::stdout().lock();
    out.write_all(data.as_bytes())?;
    if !data.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// One JSON object on stdout, for people as well: what a terminal would obey is escaped.
fn print_json<T: serde::Serialize>(value: &T) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&harmless_json(&json))
}
