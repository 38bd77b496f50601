//! `logs tail|show|search`: reads the files, so it works while the proxy is down.

mod answer;
mod ask;
mod curl;
mod lines;
mod output;
mod search;
mod show;
mod tail;

use std::io;
use std::path::{Path, PathBuf};

pub use self::ask::BadFilter;

use super::{CommandError, Exit};
use crate::cli::LogsCommand;
use crate::config::{Logging, load_logging};
use crate::logs::store::LogStore;

pub fn run(explicit: Option<&Path>, command: &LogsCommand) -> Result<Exit, CommandError> {
    let log = Log::of(load_logging(explicit)?);
    match command {
        LogsCommand::Tail(args) => tail::run(&log, args),
        LogsCommand::Show(args) => show::run(explicit, &log, args),
        LogsCommand::Search(args) => search::run(&log, args),
    }
}

/// The log that the config names.
struct Log {
    settings: Logging,
    store: LogStore,
}

impl Log {
    fn of(settings: Logging) -> Self {
        let store = LogStore::open(&settings.log_directory);
        Self { settings, store }
    }

    fn directory(&self) -> PathBuf {
        self.settings.log_directory.clone()
    }

    fn unreadable(&self, error: &io::Error) -> CommandError {
        let message = format!("cannot read the request log in {}: {error}", self.directory().display());
        let hint = "it is readable for the user that runs the proxy; logging.log_directory in the config names it";
        CommandError::failed("unreadable", message, hint)
    }

    /// Why there may be nothing to see.
    fn nothing(&self, what: &str) -> String {
        let directory = self.directory();
        if directory.is_dir() {
            format!("note: {what} in {}", directory.display())
        } else {
            format!("note: {what}: there is no folder {} yet (logging.log_directory)", directory.display())
        }
    }
}
