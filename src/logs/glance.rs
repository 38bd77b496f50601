//! A quick look at the newest end of the log, for completing words while somebody types: it waits for no index and
//! makes none, and reads no more than a typist can wait for.

use std::fs::File;
use std::io;
use std::path::Path;

use memchr::memchr;

use super::files::{self, LogFile};
use super::source::{lines, read_at};
use crate::wire::lean::Lean;
use crate::wire::record::RequestRecord;

/// Bytes of all files together.
const LOOKED_AT: u64 = 4 << 20;

/// The newest records, newest first, without headers and bodies; at most `limit`, or as many as are in the last few
/// MiB. What cannot be read has none.
pub fn newest(directory: &Path, limit: usize) -> Vec<RequestRecord> {
    let mut found = Vec::new();
    let mut left = LOOKED_AT;
    for file in files::list(directory).unwrap_or_default().iter().rev() {
        if found.len() >= limit || left == 0 {
            break;
        }
        let wanted = limit - found.len();
        let size = file.size.min(left);
        left -= size;
        found.extend(last_of(file, size, wanted).unwrap_or_default());
    }
    found
}

/// Of the last `size` bytes of a file.
fn last_of(file: &LogFile, size: u64, limit: usize) -> io::Result<Vec<RequestRecord>> {
    let mut bytes = Vec::new();
    let begin = file.size - size;
    read_at(&mut File::open(&file.path)?, begin, size, &mut bytes)?;
    // The first line is whole only at the beginning of the file.
    let first = if begin == 0 { Some(0) } else { memchr(b'\n', &bytes).map(|end| end + 1) };
    let whole = first.map_or(&[][..], |first| &bytes[first..]);
    let lines: Vec<_> = lines(whole).map(|(_, line)| line).collect();
    Ok(lines.into_iter().rev().filter_map(Lean::read).take(limit).map(Lean::into_record).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn ids(directory: &Path, limit: usize) -> Vec<String> {
        newest(directory, limit).into_iter().map(|record| record.id).collect()
    }

    #[test]
    fn the_newest_come_first_across_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("requests-2026-03-08.jsonl", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
        write("requests-2026-03-09.jsonl", "{\"id\":\"c\"}\ngarbage\n{\"id\":\"d\"}\n{\"id\":\"hal");
        write("other.txt", "{\"id\":\"x\"}\n");
        assert_eq!(ids(folder.path(), 9), ["d", "c", "b", "a"]);
        assert_eq!(ids(folder.path(), 3), ["d", "c", "b"]);
        assert!(ids(&folder.path().join("none"), 9).is_empty());
    }

    #[test]
    fn no_more_is_read_than_a_typist_can_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(usize::try_from(LOOKED_AT).unwrap());
        let text = format!("{{\"id\":\"far\"}}\n{{\"id\":\"long\",\"error\":\"{long}\"}}\n{{\"id\":\"near\"}}\n");
        fs::write(folder.path().join("requests-2026-03-09.jsonl"), text).unwrap();
        assert_eq!(ids(folder.path(), 9), ["near"]);
    }
}
