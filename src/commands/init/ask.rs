//! Questions on the terminal, and the one whose answer is not shown.

use std::io::{self, BufRead, Write};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::super::CommandError;

/// The answer as typed, or the default for none.
pub(in crate::commands) fn ask(question: &str, default: &str) -> Result<String, CommandError> {
    prompt(question, default)?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(cancelled());
    }
    Ok(or_default(&line, default))
}

/// Like [`ask`], for a credential: nothing of it appears on the screen.
pub(in crate::commands) fn ask_hidden(question: &str, default: &str) -> Result<String, CommandError> {
    prompt(&format!("{question} (not shown)"), default)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let typed = runtime.block_on(read_hidden());
    writeln!(anstream::stderr())?;
    Ok(or_default(&typed?, default))
}

fn prompt(question: &str, default: &str) -> Result<(), CommandError> {
    let mut terminal = anstream::stderr();
    let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    write!(terminal, "{question}{shown}: ")?;
    terminal.flush()?;
    Ok(())
}

fn or_default(line: &str, default: &str) -> String {
    let line = line.trim();
    if line.is_empty() { default } else { line }.to_owned()
}

fn cancelled() -> CommandError {
    CommandError::failed("cancelled", "nothing was written", "run the command again")
}

/// The terminal is as it was when this is dropped.
struct Raw;

impl Raw {
    fn new() -> io::Result<Self> {
        enable_raw_mode().map(|()| Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nothing else to try.
        let _ = disable_raw_mode();
    }
}

/// A raw terminal sends Ctrl-C as a key; a signal from elsewhere would leave it raw, so it is waited for as well.
async fn read_hidden() -> Result<String, CommandError> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let _raw = Raw::new()?;
    let (answer, answered) = oneshot::channel();
    // Its own thread, because reading a key cannot be cancelled; it ends with the program.
    std::thread::spawn(move || answer.send(read_keys()));
    tokio::select! {
        answer = answered => answer.unwrap_or_else(|_| Err(cancelled())),
        _ = terminate.recv() => Err(cancelled()),
        _ = hangup.recv() => Err(cancelled()),
        _ = interrupt.recv() => Err(cancelled()),
    }
}

fn read_keys() -> Result<String, CommandError> {
    let mut typed = String::new();
    loop {
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => match press(key, &mut typed) {
                Press::More => {}
                Press::Done => return Ok(typed),
                Press::Cancel => return Err(cancelled()),
            },
            _ => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Press {
    More,
    Done,
    Cancel,
}

/// The keys that a terminal's own line editing knows.
fn press(key: KeyEvent, typed: &mut String) -> Press {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => return Press::Done,
        // What was typed ahead of the question ends in a line feed.
        KeyCode::Char('j' | 'm') if control => return Press::Done,
        KeyCode::Char('c' | '\\') if control => return Press::Cancel,
        KeyCode::Char('d') if control => return if typed.is_empty() { Press::Cancel } else { Press::Done },
        KeyCode::Char('u' | 'w') if control => typed.clear(),
        KeyCode::Char('h') if control => _ = typed.pop(),
        KeyCode::Backspace => _ = typed.pop(),
        KeyCode::Char(letter) if !control => typed.push(letter),
        _ => {}
    }
    Press::More
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(keys: &[(KeyCode, KeyModifiers)]) -> (String, Press) {
        let mut typed = String::new();
        let mut last = Press::More;
        for (code, modifiers) in keys {
            last = press(KeyEvent::new(*code, *modifiers), &mut typed);
        }
        (typed, last)
    }

    #[test]
    fn the_keys_of_line_editing_work_unseen() {
        use KeyCode::{Backspace, Char, Enter, Left};
        let (plain, shift, control) = (KeyModifiers::NONE, KeyModifiers::SHIFT, KeyModifiers::CONTROL);
        let typed = [(Char('a'), plain), (Char('B'), shift), (Left, plain), (Char('x'), plain), (Backspace, plain)];
        assert_eq!(after(&typed), ("aB".into(), Press::More));
        for (last, expected) in [
            ((Enter, plain), ("aB", Press::Done)),
            ((Char('j'), control), ("aB", Press::Done)),
            ((Char('d'), control), ("aB", Press::Done)),
            ((Char('u'), control), ("", Press::More)),
            ((Char('h'), control), ("a", Press::More)),
            ((Char('c'), control), ("aB", Press::Cancel)),
            ((Char('z'), control), ("aB", Press::More)),
        ] {
            assert_eq!(after(&[&typed[..], &[last]].concat()), (expected.0.to_owned(), expected.1), "{last:?}");
        }
        assert_eq!(after(&[(Char('d'), control)]).1, Press::Cancel);
    }
}
