//! The terminal while it is ours, and left as it was found on every path: a quit, a signal, a panic, a stop by Ctrl-Z.
//!
//! What is taken is one thing for the whole process, so that a panic on any thread can give it back.

use std::io::{self, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};

/// Whether the terminal is ours right now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Holds the terminal: raw mode, alternate screen, mouse, bracketed paste. Dropped, it gives it back.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    pub fn take() -> io::Result<Self> {
        let mut guard = Self { mouse: true };
        guard.enter()?;
        Ok(guard)
    }

    /// Takes it, or takes it again after it was given back; twice does no harm.
    pub fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        self.set_mouse(self.mouse)
    }

    /// Without the mouse the terminal's own selection works.
    pub fn set_mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse = taken;
        if taken { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// Whether a picture may be drawn: not after a panic gave the terminal back.
    pub fn is_taken() -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// Gives the terminal back and stops, with the whole job, as a shell expects of Ctrl-Z; takes it again when the job
    /// goes on. Without a shell to come back from, the system ignores the stop.
    #[cfg(unix)]
    pub async fn suspend(&mut self) -> io::Result<()> {
        use rustix::process::{Signal, kill_current_process_group};
        let mut resumed = tokio::signal::unix::signal(continued())?;
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        // The stop may take a moment to arrive, or never come: there is no telling which.
        tokio::select! {
            _ = resumed.recv() => {}
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        self.enter()
    }
}

/// The signal that a stopped program gets when it goes on.
#[cfg(unix)]
pub fn continued() -> tokio::signal::unix::SignalKind {
    tokio::signal::unix::SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was found; once, however often it is called. A terminal that is gone cannot complain.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = stdout();
        let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
        let _ = out.flush();
        let _ = disable_raw_mode();
    }
}

/// From now on a panic, on whichever thread or task, first gives the terminal back, then says what happened where it can
/// be read, and tells `told`, so that the dashboard ends.
pub fn give_back_on_panic(told: impl Fn(String) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        let _ = writeln!(io::stderr(), "a bug in claude-proxy: {panic}");
        told(panic.to_string());
    }));
}
