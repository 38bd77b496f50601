//! The files of a log directory, by name: `requests-2026-03-09.jsonl`, and `requests-2026-03-09.1.jsonl`
//! for what a very busy day wrote earlier.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// One log file. Orders from the oldest to the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    pub date: Date,
    /// Which full part of its day; the part that is written now has no number and comes last.
    part: Part,
    pub path: PathBuf,
    /// Bytes, when it was listed.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Full(u32),
    Current,
}

/// The log files of a directory, oldest first; whatever else is in there is left out.
pub fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((date, part)) = name.to_str().and_then(parse) else { continue };
        // One that is gone by now is none; a link or a folder of such a name is not ours.
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            files.push(LogFile { date, part, path: entry.path(), size: metadata.len() });
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Where records of this day go now.
pub fn current(directory: &Path, date: Date) -> PathBuf {
    directory.join(format!("requests-{date}.jsonl"))
}

/// A free name for the current file of this day, once that is full.
pub(super) fn next_part(directory: &Path, date: Date) -> io::Result<PathBuf> {
    let last = list(directory)?.into_iter().filter(|file| file.date == date).map(|file| file.part);
    let last = last.filter_map(|part| if let Part::Full(number) = part { Some(number) } else { None }).max();
    Ok(directory.join(format!("requests-{date}.{}.jsonl", last.unwrap_or(0).saturating_add(1))))
}

/// The local date.
pub(super) fn local_date(time: SystemTime) -> Date {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::system().to_datetime(time).date()
}

fn parse(name: &str) -> Option<(Date, Part)> {
    let stem = name.strip_prefix("requests-")?.strip_suffix(".jsonl")?;
    let (date, part) = match stem.split_once('.') {
        None => (stem, Part::Current),
        Some((date, number)) => (date, Part::Full(number.parse().ok().filter(|n: &u32| n.to_string() == number)?)),
    };
    let date: Date = date.parse().ok().filter(|parsed: &Date| parsed.to_string() == date)?;
    Some((date, part))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::civil::date;

    use super::*;

    #[test]
    fn only_our_own_names_are_listed_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let ours = [
            "requests-2026-03-08.jsonl",
            "requests-2026-03-09.2.jsonl",
            "requests-2026-03-09.10.jsonl",
            "requests-2026-03-09.jsonl",
        ];
        let others = [
            "requests-2026-03-09.jsonl.bak",
            "requests-2026-3-9.jsonl",
            "requests-2026-03-09.x.jsonl",
            "requests-2026-13-09.jsonl",
            "requests-20260309.jsonl",
            "requests-2026-03-09.01.jsonl",
            "requests-.jsonl",
            "notes.txt",
            "xrequests-2026-03-09.jsonl",
        ];
        for name in ours.iter().rev().chain(&others) {
            fs::write(folder.path().join(name), "x\n").unwrap();
        }
        fs::create_dir(folder.path().join("requests-2026-03-10.jsonl")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/null", folder.path().join("requests-2026-03-11.jsonl")).unwrap();

        let listed = list(folder.path()).unwrap();
        let names: Vec<_> = listed.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ours);
        assert_eq!(listed[0].size, 2);
        assert_eq!(
            next_part(folder.path(), date(2026, 3, 9)).unwrap().file_name().unwrap(),
            "requests-2026-03-09.11.jsonl"
        );
        assert_eq!(
            next_part(folder.path(), date(2026, 3, 8)).unwrap().file_name().unwrap(),
            "requests-2026-03-08.1.jsonl"
        );
    }

    #[test]
    fn the_current_file_is_named_by_its_date() {
        assert_eq!(current(Path::new("logs"), date(2026, 3, 9)), Path::new("logs/requests-2026-03-09.jsonl"));
    }
}
