//! Log files as readers see them: recognised by how they begin, since a full one is put aside under another name while
//! somebody reads, and read in blocks of whole lines, forwards or backwards.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use memchr::{memchr, memrchr};

use super::files::{self, LogFile};

/// So much of a file's first line makes it known: id and time of its first record are within.
const MARKED: usize = 256;
/// Blocks are of about this size; a longer line is a block of its own.
const BLOCK: u64 = 1 << 20;
/// The first block from the end: the newest page is mostly within.
const FIRST_BLOCK: u64 = 64 << 10;

/// A file that holds a whole line at least.
#[derive(Debug)]
pub(super) struct Source {
    pub date: Date,
    /// Tells it from every other file, whatever its name.
    pub mark: u64,
    /// Bytes, when it was found.
    pub size: u64,
    path: PathBuf,
}

/// The files of a directory, oldest first. A directory that is not there is empty.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn sources(directory: &Path) -> io::Result<Vec<Source>> {
    let mut listed = list(directory)?;
    loop {
        let sources = listed.iter().filter_map(Source::of).collect();
        // A file that was put aside meanwhile is in neither place.
        let again = list(directory)?;
        if again.len() == listed.len() && again.iter().zip(&listed).all(|(a, b)| a.path == b.path) {
            return Ok(sources);
        }
        listed = again;
    }
}

fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    match files::list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

impl Source {
    fn of(file: &LogFile) -> Option<Self> {
        let mut opened = File::open(&file.path).ok()?;
        let mark = mark(&mut opened).ok()??;
        let size = opened.metadata().ok()?.len();
        Some(Self { date: file.date, mark, size, path: file.path.clone() })
    }

    /// `None` when it has gone, or been put aside and another one has its name.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Ok((mark(&mut file)? == Some(self.mark)).then_some(file))
    }
}

fn mark(file: &mut File) -> io::Result<Option<u64>> {
    let mut head = Vec::with_capacity(MARKED);
    file.seek(SeekFrom::Start(0))?;
    file.take(MARKED as u64).read_to_end(&mut head)?;
    let line = memchr(b'\n', &head).map(|end| &head[..end]);
    Ok(line.or((head.len() == MARKED).then_some(head.as_slice())).map(hash))
}

/// FNV-1a: the same in every version of this program.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads exactly these bytes.
pub(super) fn read_at(file: &mut File, offset: u64, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(bytes)?;
    if bytes.len() as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Whole lines of a stretch of a file, the last block first.
pub(super) struct Backwards<'f> {
    file: &'f mut File,
    start: u64,
    /// What is behind this was read; lines end here.
    end: u64,
    block: u64,
    bytes: Vec<u8>,
}

impl<'f> Backwards<'f> {
    /// `start` is the beginning of a line. `end` may be anywhere: a line that has no end before it is left out.
    pub(super) fn new(file: &'f mut File, start: u64, end: u64) -> Self {
        Self { file, start, end, block: FIRST_BLOCK, bytes: Vec::new() }
    }

    /// The next block, and where it begins. Memory is bounded by the longest line.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let mut size = self.block;
        while self.end > self.start {
            let begin = self.end.saturating_sub(size).max(self.start);
            match read_at(self.file, begin, self.end - begin, &mut self.bytes) {
                // Somebody cut the file: nothing certain is known of the rest.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let first = if begin == self.start { Some(0) } else { memchr(b'\n', &self.bytes).map(|at| at + 1) };
            let last = memrchr(b'\n', &self.bytes).map_or(0, |at| at + 1);
            match first {
                Some(first) if first < last => {
                    self.end = begin + first as u64;
                    self.block = (self.block * 4).min(BLOCK);
                    return Ok(Some((self.end, &self.bytes[first..last])));
                }
                // The end of a line that is not whole yet.
                Some(_) if last < self.bytes.len() && begin == self.start => break,
                _ if begin == self.start => break,
                // All within one line.
                _ => size = size.saturating_mul(2),
            }
        }
        self.end = self.start;
        Ok(None)
    }
}

/// Whole lines of a stretch of a file, the first block first.
pub(super) struct Forwards<'f> {
    file: &'f mut File,
    at: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl<'f> Forwards<'f> {
    pub(super) fn new(file: &'f mut File, start: u64, end: u64) -> Self {
        Self { file, at: start, end, bytes: Vec::new() }
    }

    /// The next block, and where it begins.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let mut size = BLOCK;
        while self.at < self.end {
            let length = size.min(self.end - self.at);
            match read_at(self.file, self.at, length, &mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            if let Some(last) = memrchr(b'\n', &self.bytes) {
                let begin = self.at;
                self.at += last as u64 + 1;
                return Ok(Some((begin, &self.bytes[..=last])));
            }
            if length == self.end - self.at {
                return Ok(None);
            }
            size = size.saturating_mul(2);
        }
        Ok(None)
    }
}

/// The lines of a block, without their ends, and where in it they begin.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &block[at..];
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = (!rest.is_empty()).then_some((at, &rest[..length]));
        at = (at + length + 1).min(block.len());
        line
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(text: &str) -> File {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, text).unwrap();
        File::open(path).unwrap()
    }

    fn backwards(text: &str, start: u64, end: u64) -> String {
        let mut file = file(text);
        let mut blocks = Backwards::new(&mut file, start, end);
        let mut all = String::new();
        while let Some((at, block)) = blocks.next().unwrap() {
            assert_eq!(&text.as_bytes()[usize::try_from(at).unwrap()..][..block.len()], block);
            all.insert_str(0, std::str::from_utf8(block).unwrap());
        }
        all
    }

    #[test]
    fn blocks_are_whole_lines_in_both_directions() {
        let lines: String = (0..60_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let long = format!("a\n{}\nb\n{}\nc\n", "x".repeat(3 << 20), "y".repeat(200_000));
        for text in [lines.as_str(), &long, "", "\n", "one\n", "\n\n\n"] {
            assert_eq!(backwards(text, 0, text.len() as u64), text);
            let mut file = file(text);
            let mut forwards = Forwards::new(&mut file, 0, text.len() as u64);
            let mut all = Vec::new();
            while let Some((at, block)) = forwards.next().unwrap() {
                assert_eq!(at, all.len() as u64);
                all.extend_from_slice(block);
            }
            assert_eq!(all, text.as_bytes());
        }
    }

    #[test]
    fn a_line_without_an_end_is_left_out() {
        assert_eq!(backwards("one\ntwo\nthr", 0, 11), "one\ntwo\n");
        assert_eq!(backwards("thr", 0, 3), "");
        assert_eq!(backwards(&format!("one\n{}", "x".repeat(500_000)), 0, 500_004), "one\n");
        assert_eq!(backwards("one\ntwo\nthree\n", 4, 8), "two\n");
        assert_eq!(backwards("one\n", 0, 900), "", "the file was cut meanwhile");
    }

    #[test]
    fn a_block_is_lines() {
        let all: Vec<_> = lines(b"a\n\nbc\nd").collect();
        assert_eq!(all, [(0, &b"a"[..]), (2, b""), (3, b"bc"), (6, b"d")]);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn a_file_is_known_under_another_name_and_an_other_one_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("requests-2026-03-09.jsonl"), "{\"id\":1}\n").unwrap();
        fs::write(at("requests-2026-03-08.jsonl"), "{\"half").unwrap();
        let before = sources(folder.path()).unwrap();
        assert_eq!(before.len(), 1, "one without a whole line is left out");
        fs::rename(at("requests-2026-03-09.jsonl"), at("requests-2026-03-09.1.jsonl")).unwrap();
        assert!(before[0].open().unwrap().is_none());
        fs::write(at("requests-2026-03-09.jsonl"), "{\"id\":2}\n").unwrap();
        assert!(before[0].open().unwrap().is_none());
        let after = sources(folder.path()).unwrap();
        assert_eq!(after[0].mark, before[0].mark);
        assert_ne!(after[1].mark, before[0].mark);
        assert!(sources(&at("none")).unwrap().is_empty());
    }
}
