//! Deletes what is too old or too much. Only ever files of our own naming, never the one that is written now.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::files::{self, LogFile};
use crate::config::Retention;

/// Deletes the files of a directory that `retention` no longer wants, oldest first. By a clock that is not `believed` no
/// file grows old.
///
/// # Errors
/// The first file that could not be deleted, or the directory that could not be read; the other files are seen to.
pub(super) fn enforce(directory: &Path, retention: Retention, now: SystemTime, believed: bool) -> io::Result<()> {
    let current = files::current(directory, files::local_date(now));
    let mut outcome = Ok(());
    for file in unwanted(files::list(directory)?, retention, now, believed, &current) {
        match std::fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => outcome = outcome.and(Err(error)),
            _ => {}
        }
    }
    outcome
}

fn unwanted(
    files: Vec<LogFile>,
    retention: Retention,
    now: SystemTime,
    believed: bool,
    current: &Path,
) -> Vec<LogFile> {
    // A file's last record may be from the last moment of its day.
    let oldest_day = now.checked_sub(retention.max_age).filter(|_| believed).map(files::local_date);
    let mut total: u64 = files.iter().map(|file| file.size).sum();
    let mut unwanted = Vec::new();
    for file in files {
        let too_old = oldest_day.is_some_and(|day| file.date < day);
        if file.path != current && (too_old || total > retention.max_size) {
            total -= file.size;
            unwanted.push(file);
        }
    }
    unwanted
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use jiff::civil::datetime;
    use jiff::tz::TimeZone;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), [b'x'; 100]).unwrap();
        }
        folder
    }

    /// Noon, local time.
    fn noon() -> SystemTime {
        datetime(2026, 3, 9, 12, 0, 0, 0).to_zoned(TimeZone::system()).unwrap().timestamp().into()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_go_when_their_whole_day_is_too_old() {
        let folder = folder(&[
            "requests-2026-03-05.jsonl",
            "requests-2026-03-06.1.jsonl",
            "requests-2026-03-07.jsonl",
            "requests-2026-03-09.jsonl",
            "requests-2020-01-01.txt",
        ]);
        enforce(folder.path(), Retention { max_age: 2 * DAY, max_size: u64::MAX }, noon(), true).unwrap();
        assert_eq!(
            names(folder.path()),
            ["requests-2020-01-01.txt", "requests-2026-03-07.jsonl", "requests-2026-03-09.jsonl"]
        );
    }

    #[test]
    fn the_oldest_go_first_when_it_is_too_much_and_other_files_stay() {
        let folder = folder(&[
            "requests-2026-03-07.jsonl",
            "requests-2026-03-08.jsonl",
            "requests-2026-03-09.1.jsonl",
            "requests-2026-03-09.jsonl",
            "notes.txt",
        ]);
        enforce(folder.path(), Retention { max_age: 30 * DAY, max_size: 250 }, noon(), true).unwrap();
        assert_eq!(names(folder.path()), ["notes.txt", "requests-2026-03-09.1.jsonl", "requests-2026-03-09.jsonl"]);
        enforce(folder.path(), Retention { max_age: 30 * DAY, max_size: 10 }, noon(), true).unwrap();
        assert_eq!(names(folder.path()), ["notes.txt", "requests-2026-03-09.jsonl"]);
    }

    #[test]
    fn an_age_before_all_time_keeps_everything() {
        let folder = folder(&["requests-1971-01-01.jsonl"]);
        enforce(folder.path(), Retention { max_age: Duration::MAX, max_size: 1000 }, noon(), true).unwrap();
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn what_is_too_old_goes_even_when_all_of_it_is() {
        let folder = folder(&["requests-2026-03-01.jsonl", "requests-2026-03-02.jsonl"]);
        enforce(folder.path(), Retention { max_age: 2 * DAY, max_size: u64::MAX }, noon(), true).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_clock_that_leapt_years_ahead_makes_nothing_old() {
        let folder = folder(&["requests-2026-03-01.jsonl", "requests-2026-03-08.jsonl", "requests-2036-03-09.jsonl"]);
        let (retention, ahead) = (Retention { max_age: 2 * DAY, max_size: u64::MAX }, noon() + 3653 * DAY);
        for (believed, left) in [(false, 3), (true, 1)] {
            enforce(folder.path(), retention, ahead, believed).unwrap();
            assert_eq!(names(folder.path()).len(), left);
        }
    }
}
