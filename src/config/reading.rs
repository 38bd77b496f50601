//! Reading what settings name: never more than it may hold, so that no wrong file fills the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// More certificates than any machine trusts.
pub const CERTIFICATES: u64 = 16 << 20;

/// All that a regular file holds. A pipe or a device could keep its reader waiting, and never end.
///
/// # Errors
/// Also when it is no regular file, or holds more than `most` bytes.
pub fn regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    any(path, most)
}

/// As [`regular`], but also what a pipe holds, to its end.
///
/// # Errors
/// Also when it holds more than `most` bytes.
pub fn any(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.len() <= most {
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= most {
            return Ok(bytes);
        }
    }
    Err(io::Error::other(format!("it is larger than {}", size(most))))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}
