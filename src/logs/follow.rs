//! New lines of the log as they are completed: across midnight, when a file is put aside, when file or folder are removed
//! and made again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::position::{Cursor, Position};
use super::source::{Backwards, Forwards, Source, lines, sources};

/// Follows a directory. Poll it every now and then; it holds nothing open in between.
#[derive(Debug)]
pub struct Follow {
    directory: PathBuf,
    /// How much was read of each file, by its mark. Older days are over.
    read: HashMap<u64, u64>,
    since: Date,
    /// Where it began.
    start: Option<Position>,
}

impl Follow {
    /// From the present end on.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read; one that is not there may come.
    pub fn from_end(directory: &Path) -> io::Result<Self> {
        let mut follow = Self { directory: directory.to_owned(), read: HashMap::new(), since: Date::MIN, start: None };
        for source in sources(directory)? {
            let end = match source.open()? {
                Some(mut file) => whole_lines(&mut file, source.size)?,
                None => source.size,
            };
            follow.start = Some(Position::in_source(&source, end));
            follow.since = source.date;
            follow.read.insert(source.mark, end);
        }
        Ok(follow)
    }

    /// Where it began, as the `before` of a query for what is older; `None` when there was nothing.
    pub fn start(&self) -> Option<String> {
        self.start.map(|position| Cursor { files: Some(position), memory: None }.to_string())
    }

    /// The lines that were completed since the last call, oldest first, without their ends.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read, or the first that `each` returns.
    pub fn poll(&mut self, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for source in sources(&self.directory)? {
            let before = self.read.get(&source.mark).copied();
            let done = before.unwrap_or(0);
            // A file of an older day that was not there before was put there by hand.
            if done == source.size || (before.is_none() && source.date < self.since) {
                continue;
            }
            // One that was cut and written anew is another one, though it begins alike.
            let done = if done > source.size { 0 } else { done };
            let done = Self::read_on(&source, done, each)?;
            self.read.insert(source.mark, done);
            self.since = self.since.max(source.date);
        }
        Ok(())
    }

    fn read_on(source: &Source, done: u64, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
        let Some(mut file) = source.open()? else { return Ok(done) };
        let mut done = done;
        let mut blocks = Forwards::new(&mut file, done, source.size);
        while let Some((begin, block)) = blocks.next()? {
            lines(block).try_for_each(|(_, line)| each(line))?;
            done = begin + block.len() as u64;
        }
        Ok(done)
    }
}

/// Up to where the first `size` bytes are whole lines.
fn whole_lines(file: &mut File, size: u64) -> io::Result<u64> {
    Ok(Backwards::new(file, 0, size).next()?.map_or(0, |(begin, block)| begin + block.len() as u64))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn path(&self) -> PathBuf {
            self.0.path().join("logs")
        }

        fn add(&self, part: &str, text: &str) {
            fs::create_dir_all(self.path()).unwrap();
            let path = self.path().join(format!("requests-{part}.jsonl"));
            fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn rename(&self, from: &str, to: &str) {
            let path = |part: &str| self.path().join(format!("requests-{part}.jsonl"));
            fs::rename(path(from), path(to)).unwrap();
        }
    }

    fn poll(follow: &mut Follow) -> String {
        let mut seen = Vec::new();
        follow
            .poll(&mut |line| {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        seen.join(" ")
    }

    #[test]
    fn lines_come_once_each_when_they_are_whole() {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.add("2026-03-08", "old\n");
        folder.add("2026-03-09", "a\nha");
        let mut follow = Follow::from_end(&folder.path()).unwrap();
        assert_eq!(poll(&mut follow), "");
        folder.add("2026-03-09", "lf");
        assert_eq!(poll(&mut follow), "");
        folder.add("2026-03-09", "\nb\nc\n");
        assert_eq!(poll(&mut follow), "half b c");
        assert_eq!(poll(&mut follow), "");
    }

    #[test]
    fn midnight_rotation_and_removal_lose_nothing() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let mut follow = Follow::from_end(&folder.path()).unwrap();
        assert_eq!((poll(&mut follow), follow.start()), (String::new(), None));
        folder.add("2026-03-09", "a\n");
        assert_eq!(poll(&mut follow), "a", "a folder that came later");
        folder.add("2026-03-09", "b\n");
        folder.rename("2026-03-09", "2026-03-09.1");
        folder.add("2026-03-09", "c\n");
        folder.rename("2026-03-09", "2026-03-09.2");
        folder.add("2026-03-09", "d\n");
        folder.add("2026-03-10", "e\n");
        assert_eq!(poll(&mut follow), "b c d e");
        folder.add("2026-03-09.1", "late\n");
        folder.add("2026-03-10", "f\n");
        assert_eq!(poll(&mut follow), "late f");
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(poll(&mut follow), "");
        folder.add("2026-03-10", "g\n");
        assert_eq!(poll(&mut follow), "g");
        fs::write(folder.path().join("requests-2026-03-10.jsonl"), "h\ni\n").unwrap();
        assert_eq!(poll(&mut follow), "h i");
    }

    #[test]
    fn its_start_is_where_older_ones_end() {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.add("2026-03-09", "a\nhalf");
        let start = Follow::from_end(&folder.path()).unwrap().start().unwrap();
        assert!(start.ends_with(".2"), "{start}");
    }
}
