//! The one file that is written now: opened, appended to, repaired after an accident, made again when it was removed.
//!
//! Two proxies may write into one folder: a batch of whole lines is one write in append mode, and each writer holds a
//! shared lock on the file. Only one that gets the exclusive lock is alone, and only then is anything ever cut off.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::files;

/// What went wrong with the log file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub(super) struct FileError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(super) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.to_owned(), source }
    }
}

/// Lines that did not reach the file.
#[derive(Debug)]
pub(super) struct Lost {
    pub records: usize,
    pub error: FileError,
}

#[derive(Debug)]
pub(super) struct Appender {
    directory: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    date: Date,
    /// Whether our shared lock is on it.
    shared: bool,
    /// Whether the last line may lack its end: at first nobody knows, and again after a failed write.
    unfinished: bool,
}

impl Appender {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, open: None }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes folder and file if they are missing and repairs the file's end, so that trouble shows before the first record.
    pub(super) fn prepare(&mut self, today: Date) -> Result<(), FileError> {
        self.ready(today).map(drop)
    }

    /// Writes whole lines. A file that would grow beyond `part_limit` is put aside under a numbered name first.
    pub(super) fn append(&mut self, today: Date, lines: &[u8], part_limit: u64) -> Result<(), Lost> {
        let lost = |error| Lost { records: count_lines(lines), error };
        let size = self.ready(today).map_err(lost)?;
        if size > 0 && size.saturating_add(lines.len() as u64) > part_limit {
            self.put_aside(today).map_err(lost)?;
            self.ready(today).map_err(lost)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.write(lines).map_err(|(unwritten, error)| Lost {
            records: count_lines(unwritten),
            error: FileError::new("write to", &open.path, error),
        })
    }

    /// The file for `today`, open, still the one at its path, ending with a whole line. Its size.
    fn ready(&mut self, today: Date) -> Result<u64, FileError> {
        let path = files::current(&self.directory, today);
        let open = match self.open.take() {
            Some(open) if open.date == today && open.still_at_its_path() => self.open.insert(open),
            _ => {
                make_directory(&self.directory)
                    .map_err(|error| FileError::new("make the folder", &self.directory, error))?;
                let file = open_file(&path).map_err(|error| FileError::new("open", &path, error))?;
                self.open.insert(Open { file, path, date: today, shared: false, unfinished: true })
            }
        };
        let seen = open.settle().and_then(|()| open.file.metadata());
        seen.map(|metadata| metadata.len()).map_err(|error| FileError::new("repair", &open.path, error))
    }

    fn put_aside(&mut self, today: Date) -> Result<(), FileError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let renamed = files::next_part(&self.directory, today).and_then(|part| std::fs::rename(&open.path, part));
        renamed.map_err(|error| FileError::new("rename", &open.path, error))
    }
}

impl Open {
    fn still_at_its_path(&self) -> bool {
        let (Ok(ours), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else { return false };
        is_same(&ours, &there)
    }

    /// One write in the normal case. An error comes with what was not written; the rest of a half-written line goes.
    fn write<'l>(&mut self, lines: &'l [u8]) -> Result<(), (&'l [u8], io::Error)> {
        let mut left = lines;
        while !left.is_empty() {
            let error = match self.file.write(left) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    left = &left[written..];
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.unfinished = true;
            // If this fails too, it is tried again before the next write.
            let _ = self.settle();
            return Err((left, error));
        }
        Ok(())
    }

    /// Sees to it that the file ends with a whole line, and that others know that it is in use.
    fn settle(&mut self) -> io::Result<()> {
        if self.unfinished && self.ends_unfinished()? {
            if self.is_alone() {
                self.end_last_line()?;
            } else {
                self.file.write_all(b"\n")?;
            }
            // The exclusive lock, if we have it.
            self.file.unlock().ok();
            self.shared = false;
        }
        self.unfinished = false;
        if !self.shared && cfg!(unix) {
            self.shared = self.file.try_lock_shared().is_ok();
        }
        Ok(())
    }

    fn ends_unfinished(&mut self) -> io::Result<bool> {
        if self.file.metadata()?.len() == 0 {
            return Ok(false);
        }
        self.file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        self.file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }

    /// Elsewhere than on Unix a lock would keep our own writes out, so nobody can know there.
    fn is_alone(&mut self) -> bool {
        self.shared = false;
        cfg!(unix) && self.file.unlock().is_ok() && self.file.try_lock().is_ok()
    }

    /// A whole record that lacks its newline gets one; half a record goes.
    fn end_last_line(&mut self) -> io::Result<()> {
        let start = self.last_line_start()?;
        self.file.seek(SeekFrom::Start(start))?;
        let mut reader = io::BufReader::new(&self.file);
        if serde_json::from_reader::<_, serde::de::IgnoredAny>(&mut reader).is_ok() {
            return self.file.write_all(b"\n");
        }
        self.file.set_len(start)?;
        tracing::info!(file = %self.path.display(), "removed an unfinished line from the end of the request log");
        Ok(())
    }

    fn last_line_start(&mut self) -> io::Result<u64> {
        const BLOCK: u64 = 64 << 10;
        let mut end = self.file.metadata()?.len();
        let mut block = Vec::new();
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            self.file.seek(SeekFrom::Start(start))?;
            block.clear();
            Read::take(&self.file, end - start).read_to_end(&mut block)?;
            if let Some(newline) = memchr::memrchr(b'\n', &block) {
                return Ok(start + newline as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }
}

fn count_lines(lines: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', lines).count()
}

/// 0700 for what is made here; a folder that exists keeps its mode.
fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// 0600, also for a file that was laxer.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

#[cfg(unix)]
fn is_same(ours: &Metadata, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_same(_ours: &Metadata, _there: &Metadata) -> bool {
    true
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 3, 9);
    const NAME: &str = "requests-2026-03-09.jsonl";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("logs")
        }

        fn file(&self) -> PathBuf {
            self.path().join(NAME)
        }

        fn with_file(text: &str) -> Self {
            let folder = Self::new();
            fs::create_dir(folder.path()).unwrap();
            fs::write(folder.file(), text).unwrap();
            folder
        }

        fn appender(&self) -> Appender {
            Appender::new(self.path())
        }

        fn text(&self) -> String {
            fs::read_to_string(self.file()).unwrap()
        }
    }

    fn append(appender: &mut Appender, lines: &str) {
        appender.append(TODAY, lines.as_bytes(), u64::MAX).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_and_file_are_for_the_owner_alone() {
        let folder = Folder::new();
        append(&mut folder.appender(), "{}\n");
        assert_eq!((mode(&folder.path()), mode(&folder.file())), (0o700, 0o600));
    }

    #[test]
    fn a_folder_that_exists_keeps_its_mode_and_a_lax_file_does_not() {
        let folder = Folder::with_file("{}\n");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
        append(&mut folder.appender(), "{}\n");
        assert_eq!((mode(&folder.path()), mode(&folder.file())), (0o755, 0o600));
        assert_eq!(folder.text(), "{}\n{}\n");
    }

    #[test]
    fn half_a_line_left_by_a_killed_writer_goes() {
        let folder = Folder::with_file("{\"a\":1}\n{\"a\":2}\n{\"a\":\"");
        append(&mut folder.appender(), "{\"a\":3}\n");
        assert_eq!(folder.text(), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    }

    #[test]
    fn half_a_line_that_is_all_there_is_goes() {
        let folder = Folder::with_file(&format!("{{\"a\":\"{}", "x".repeat(200_000)));
        folder.appender().prepare(TODAY).unwrap();
        assert_eq!(folder.text(), "");
    }

    #[test]
    fn a_whole_last_line_without_newline_stays() {
        let folder = Folder::with_file("{\"a\":1}\n{\"a\":2}");
        append(&mut folder.appender(), "{\"a\":3}\n");
        assert_eq!(folder.text(), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    }

    #[test]
    fn beside_another_writer_nothing_is_cut_off() {
        let folder = Folder::with_file("{\"a\":1}\n");
        let mut other = folder.appender();
        other.prepare(TODAY).unwrap();
        OpenOptions::new().append(true).open(folder.file()).unwrap().write_all(b"{\"half").unwrap();
        append(&mut folder.appender(), "{\"a\":2}\n");
        assert_eq!(folder.text(), "{\"a\":1}\n{\"half\n{\"a\":2}\n");
    }

    #[test]
    fn a_removed_file_or_folder_is_made_again() {
        let folder = Folder::new();
        let mut appender = folder.appender();
        append(&mut appender, "1\n");
        fs::remove_file(folder.file()).unwrap();
        append(&mut appender, "2\n");
        assert_eq!(folder.text(), "2\n");
        fs::remove_dir_all(folder.path()).unwrap();
        append(&mut appender, "3\n");
        assert_eq!(folder.text(), "3\n");
        fs::rename(folder.file(), folder.path().join("moved")).unwrap();
        fs::write(folder.file(), "4\n").unwrap();
        append(&mut appender, "5\n");
        assert_eq!(folder.text(), "4\n5\n");
    }

    #[test]
    fn another_day_is_another_file() {
        let folder = Folder::new();
        let mut appender = folder.appender();
        append(&mut appender, "1\n");
        appender.append(date(2026, 3, 10), b"2\n", u64::MAX).unwrap();
        assert_eq!(folder.text(), "1\n");
        assert_eq!(fs::read_to_string(folder.path().join("requests-2026-03-10.jsonl")).unwrap(), "2\n");
    }

    #[test]
    fn a_full_part_is_put_aside() {
        let folder = Folder::new();
        let mut appender = folder.appender();
        for line in ["11\n", "22\n", "33\n", "4444444444\n", "5\n"] {
            appender.append(TODAY, line.as_bytes(), 6).unwrap();
        }
        let part =
            |number| fs::read_to_string(folder.path().join(format!("requests-2026-03-09.{number}.jsonl"))).unwrap();
        assert_eq!([part(1), part(2), part(3), folder.text()], ["11\n22\n", "33\n", "4444444444\n", "5\n"]);
    }

    #[test]
    fn what_a_full_disk_refuses_is_counted() {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.file()).unwrap();
        let mut appender = folder.appender();
        let lost = appender.append(TODAY, b"1\n2\n", u64::MAX).unwrap_err();
        assert_eq!(lost.records, 2);
        assert!(lost.error.to_string().starts_with("cannot write to "), "{}", lost.error);
        fs::remove_file(folder.file()).unwrap();
        append(&mut appender, "3\n");
        assert_eq!(folder.text(), "3\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_until_it_can() {
        let folder = Folder::new();
        fs::write(folder.path(), "a file is in the way").unwrap();
        let mut appender = folder.appender();
        let error = appender.prepare(TODAY).unwrap_err();
        assert!(error.to_string().starts_with("cannot make the folder "), "{error}");
        assert_eq!(appender.append(TODAY, b"1\n", u64::MAX).unwrap_err().records, 1);
        fs::remove_file(folder.path()).unwrap();
        append(&mut appender, "2\n");
        assert_eq!(folder.text(), "2\n");
    }
}
