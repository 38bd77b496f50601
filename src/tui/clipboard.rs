//! Copying by way of the terminal (OSC 52), so that it works over SSH; into a file where the terminal cannot.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Terminals drop sequences that are longer.
const LONGEST: usize = 74_000;

/// Whether the terminal of this name can be trusted to take `text`.
pub(super) fn takes(term: &str, text: &str) -> bool {
    text.len() <= LONGEST && !matches!(term, "linux" | "dumb" | "vt100" | "vt220")
}

/// Asks the terminal to put `text` into the clipboard. Whether it does it does not say.
pub(super) fn send(out: &mut impl Write, text: &str) -> io::Result<()> {
    write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
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
        send(&mut out, "req_1").unwrap();
        assert_eq!(out, b"\x1b]52;c;cmVxXzE=\x07");
    }

    #[test]
    fn what_a_terminal_cannot_take_goes_to_a_file() {
        assert!(takes("xterm-256color", "x") && !takes("linux", "x") && !takes("xterm", &"x".repeat(LONGEST + 1)));
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
