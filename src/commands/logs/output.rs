//! Where the lines go: to stdout, or through the pager when somebody sits in front of it.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anstream::{AutoStream, ColorChoice, StripStream};

use super::lines::Form;
use crate::config::process_environment;

/// Shows what it is given at once. Once nobody reads any more, writing fails with `BrokenPipe`.
pub(super) struct Output {
    to: Box<dyn Write>,
    /// Set when the pager has been left.
    left: Arc<AtomicBool>,
    pager: Option<JoinHandle<()>>,
}

impl Output {
    /// Straight to stdout. JSON goes out as it is: escape sequences stand in no part of it.
    pub(super) fn direct(form: Form) -> Self {
        let to: Box<dyn Write> = match form {
            Form::People(_) => Box::new(anstream::stdout()),
            Form::Json | Form::Plain => Box::new(io::stdout()),
        };
        Self { to, left: Arc::default(), pager: None }
    }

    /// Through the pager on a terminal, for what people read.
    pub(super) fn paged(form: Form, no_pager: bool) -> Self {
        let wanted = matches!(form, Form::People(Some(_))) && !no_pager;
        wanted.then(pager).flatten().map_or_else(|| Self::direct(form), Self::through)
    }

    fn through((mut pager, stdin): (Child, ChildStdin)) -> Self {
        leave_interrupts_to_the_pager();
        let left = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&left);
        let waiting = std::thread::spawn(move || {
            let _ = pager.wait();
            told.store(true, Ordering::Relaxed);
        });
        let plain = AutoStream::choice(&io::stdout()) == ColorChoice::Never;
        let stdin: Box<dyn Write> = Box::new(stdin);
        let to = if plain { Box::new(StripStream::new(stdin)) } else { stdin };
        Self { to, left, pager: Some(waiting) }
    }

    /// Set once whoever reads has gone: a search may end then.
    pub(super) fn left(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.left)
    }

    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }

    /// Waits until the pager is left.
    pub(super) fn finish(self) {
        drop(self.to);
        if let Some(pager) = self.pager {
            let _ = pager.join();
        }
    }
}

/// Columns of the terminal that stdout is; `None` when it is none.
pub(super) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // A terminal that cannot tell is as wide as they all once were.
    let (columns, _) = crossterm::terminal::size().ok().filter(|(columns, _)| *columns > 0).unwrap_or((80, 24));
    Some(columns.into())
}

/// `$PAGER`, else `less` where there is one.
fn pager() -> Option<(Child, ChildStdin)> {
    if process_environment("TERM").is_some_and(|terminal| terminal == "dumb") {
        return None;
    }
    let named = process_environment("PAGER").map(|pager| pager.trim().to_owned());
    let mut command = match named.as_deref() {
        Some("" | "cat") => return None,
        Some(pager) => in_a_shell(pager),
        None if cfg!(windows) => return None,
        None => Command::new("less"),
    };
    if process_environment("LESS").is_none() {
        // Leave when it fits on the screen, pass colours on, leave the text standing.
        command.env("LESS", "FRX");
    }
    let mut pager = command.stdin(Stdio::piped()).spawn().ok()?;
    let stdin = pager.stdin.take()?;
    Some((pager, stdin))
}

/// It may have arguments.
fn in_a_shell(pager: &str) -> Command {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.args([flag, pager]);
    command
}

/// Ctrl-C in a pager means the pager; ended by it, we would leave the terminal to the shell and the pager both.
#[cfg(unix)]
fn leave_interrupts_to_the_pager() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let _inside = runtime.enter();
    // From the first one on, the signal no longer ends the process, though nobody listens.
    drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()));
}

#[cfg(not(unix))]
fn leave_interrupts_to_the_pager() {}
