//! Copying by way of the terminal (OSC 52), so that it works over SSH; into a file where the terminal cannot.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Terminals drop sequences that are longer.
const LONGEST: usize = 74_000;

/// What stands between us and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Nothing,
    Tmux,
    /// It passes nothing on.
    Screen,
}

impl Between {
    /// `set`: whether the environment has a variable of that name.
    pub(super) fn detect(set: impl Fn(&str) -> bool) -> Self {
        match (set("TMUX"), set("STY")) {
            (true, _) => Self::Tmux,
            (false, true) => Self::Screen,
            (false, false) => Self::Nothing,
        }
    }
}

/// Whether the terminal of this name can be trusted to take `text`.
pub(super) fn takes(term: &str, between: Between, text: &str) -> bool {
    let known = !matches!(term, "linux" | "dumb" | "vt100" | "vt220");
    text.len() <= LONGEST && known && between != Between::Screen
}

/// Asks the terminal to put `text` into the clipboard. Whether it does it does not say.
pub(super) fn send(out: &mut impl Write, between: Between, text: &str) -> io::Result<()> {
    let text = STANDARD.encode(text);
    write!(out, "\x1b]52;c;{text}\x07")?;
    if between == Between::Tmux {
        // Tmux takes the first one where set-clipboard is on, and passes this one on where allow-passthrough is.
        write!(out, "\x1bPtmux;\x1b\x1b]52;c;{text}\x07\x1b\\")?;
    }
    out.flush()
}

/// Writes a file of its own in `folder`, for its owner's eyes only; its path.
pub(super) fn save(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "txt"));
    for number in 1..1000 {
        let name = if number == 1 { name.to_owned() } else { format!("{stem}-{number}.{extension}") };
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are a thousand of them already"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_sent_what_it_puts_into_the_clipboard() {
        let mut out = Vec::new();
        send(&mut out, Between::Nothing, "req_1").unwrap();
        assert_eq!(out, b"\x1b]52;c;cmVxXzE=\x07");
        out.clear();
        send(&mut out, Between::Tmux, "req_1").unwrap();
        assert_eq!(out, b"\x1b]52;c;cmVxXzE=\x07\x1bPtmux;\x1b\x1b]52;c;cmVxXzE=\x07\x1b\\");
    }

    #[test]
    fn what_a_terminal_cannot_take_goes_to_a_file() {
        let nothing = Between::Nothing;
        assert!(takes("xterm-256color", nothing, "x") && takes("tmux-256color", Between::Tmux, "x"));
        assert!(!takes("linux", nothing, "x") && !takes("xterm", nothing, &"x".repeat(LONGEST + 1)));
        assert!(!takes("screen", Between::detect(|name| name == "STY"), "x"));
        let folder = tempfile::tempdir().unwrap();
        let first = save(folder.path(), "r.json", "{}").unwrap();
        let second = save(folder.path(), "r.json", "[]").unwrap();
        assert_eq!((first.file_name().unwrap(), second.file_name().unwrap()), ("r.json".as_ref(), "r-2.json".as_ref()));
        assert_eq!(std::fs::read_to_string(second).unwrap(), "[]");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(first).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
