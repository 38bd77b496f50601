//! The log as the running proxy knows it: what the files have, and what only memory has, because the files keep not every
//! request, or not yet.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::LogHandle;
use super::position::{Cursor, Position};
use super::search::cut;
use super::store::{LogStore, Query};
use super::sums::Sums;
use crate::wire::lean::millis;
use crate::wire::logs::LogPage;
use crate::wire::record::RequestRecord;
use crate::wire::stats::StatsView;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub record: RequestRecord,
    /// Memory has the beginnings of its bodies, and a file is about to have all of it.
    pub more_to_come: bool,
}

impl LogHandle {
    /// Reads the directory that is in force.
    pub fn store(&self) -> LogStore {
        let directory = self.0.rules().settings.directory.clone();
        let mut store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        match &*store {
            Some(store) if store.directory() == directory => store.clone(),
            _ => store.insert(LogStore::open(&directory)).clone(),
        }
    }

    /// As [`LogStore::page`], with what only memory has.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn page(&self, query: &Query<'_>, stop: &AtomicBool) -> io::Result<LogPage> {
        let mut logs = Vec::new();
        let next = self.merge(query, stop, &mut |record| {
            logs.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(LogPage { logs, next: next.map(|cursor| cursor.to_string()) })
    }

    /// As [`LogStore::search`], with what only memory has.
    ///
    /// # Errors
    /// As [`LogStore::search`].
    pub fn search(
        &self,
        query: &Query<'_>,
        stop: &AtomicBool,
        hit: &mut dyn FnMut(RequestRecord) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.merge(query, stop, hit).map(drop)
    }

    /// As [`LogStore::get`]; with the short form of its bodies when only memory has it.
    ///
    /// # Errors
    /// As [`LogStore::get`].
    pub fn get(&self, id: &str) -> io::Result<Option<Found>> {
        // Memory first: what is filed while we look is then looked for once more rather than taken for short.
        let recent = self.recent().line(id);
        let settled = recent.as_ref().is_none_or(|line| line.is_settled());
        let whole = |record| Found { record, more_to_come: false };
        let filed = self.store().get(id).map(|filed| filed.map(whole));
        match recent.and_then(|line| line.record()) {
            // What memory has is shown even where no file can be read.
            Some(recent) => {
                Ok(filed.ok().flatten().or_else(|| Some(Found { record: (*recent).clone(), more_to_come: !settled })))
            }
            None => filed,
        }
    }

    /// As [`LogStore::stats`], with what only memory has: of requests that the files do not keep that is the newest thousand.
    ///
    /// # Errors
    /// As [`LogStore::stats`].
    pub fn stats_between(&self, from: SystemTime, to: SystemTime, step: Duration) -> io::Result<StatsView> {
        let mut sums = Sums::new(from, to, step);
        let unfiled: Vec<_> = self.recent().lines().into_iter().filter(|line| !line.is_filed()).collect();
        self.store().sum(&mut sums)?;
        // One that was filed meanwhile may have been counted.
        for record in unfiled.iter().filter(|line| !line.is_filed()).filter_map(|line| line.record()) {
            sums.add_record(&record);
        }
        Ok(sums.finish())
    }

    fn merge(
        &self,
        query: &Query<'_>,
        stop: &AtomicBool,
        hit: &mut dyn FnMut(RequestRecord) -> ControlFlow<()>,
    ) -> io::Result<Option<Cursor>> {
        let cursor = query.before.map(|before| self.cursor(before)).transpose()?.unwrap_or_default();
        // Memory first: what is filed while we look is then seen twice rather than not at all.
        let memory = self.only_in_memory(query, cursor.memory.as_deref());
        let store = self.store();
        let files = match cursor.files {
            Some(files) => Some(files),
            None => store.newest()?,
        };
        let mut merge =
            Merge { memory, at: 0, left: query.limit, query, hit, files, shown: cursor.memory, open: false };
        if merge.left == 0 {
            return Ok(Some(merge.cursor()));
        }
        let mut broke = false;
        let mut found = |position, record| {
            let went = merge.file(position, record);
            broke |= went.is_break();
            went
        };
        let rest = store.walk(query.filter, query.detail, files, stop, &mut found)?;
        let more = match rest {
            _ if broke => merge.open || rest.is_some() || merge.has_more_memory(),
            Some(stopped) => {
                merge.files = Some(stopped);
                true
            }
            None => merge.rest_of_memory().is_break() && merge.has_more_memory(),
        };
        Ok(more.then(|| merge.cursor()))
    }

    /// What an earlier page named as its `next`, or right behind the record of that id.
    fn cursor(&self, before: &str) -> io::Result<Cursor> {
        match before.parse() {
            Ok(cursor) => Ok(cursor),
            Err(foreign) => self.behind(before)?.ok_or(foreign),
        }
    }

    fn behind(&self, id: &str) -> io::Result<Option<Cursor>> {
        let lines = self.recent().lines();
        let place = lines.iter().position(|line| line.id() == id);
        // One that no file has is older than the last one before it that a file does have.
        let anchor = match place {
            Some(place) => lines[..=place].iter().rev().find(|line| line.is_filed()).map(|line| line.id()),
            None => Some(id),
        };
        let files = anchor.map(|id| self.store().place_of(id)).transpose()?.flatten();
        let known = place.is_some() || files.is_some();
        Ok(known.then(|| Cursor { files, memory: Some(id.to_owned()) }))
    }

    /// The records that fit and that no file has, newest first, behind the one of this id.
    fn only_in_memory(&self, query: &Query<'_>, behind: Option<&str>) -> Vec<Arc<RequestRecord>> {
        let lines = self.recent().lines();
        let start = match behind {
            None => 0,
            // When it is gone, what is older went first.
            Some(id) => lines.iter().position(|line| line.id() == id).map_or(lines.len(), |place| place + 1),
        };
        let unfiled = lines[start..].iter().filter(|line| !line.is_filed());
        unfiled.filter_map(|line| line.record()).filter(|record| query.filter.matches(record)).collect()
    }
}

/// Two streams of records, both newest first by when they ended.
struct Merge<'q, 'h> {
    memory: Vec<Arc<RequestRecord>>,
    /// How much of memory was shown.
    at: usize,
    /// How many may still be shown.
    left: usize,
    query: &'q Query<'q>,
    hit: &'h mut dyn FnMut(RequestRecord) -> ControlFlow<()>,
    /// The last place in the files that was shown, and the last id of memory.
    files: Option<Position>,
    shown: Option<String>,
    /// A record of the files was met and not shown any more.
    open: bool,
}

impl Merge<'_, '_> {
    /// The next record of the files, and before it what memory has that ended later.
    fn file(&mut self, position: Position, record: RequestRecord) -> ControlFlow<()> {
        // It was filed while we looked.
        let same = |memory: &Arc<RequestRecord>| memory.id == record.id && memory.time == record.time;
        match self.memory.iter().position(same) {
            Some(place) if place < self.at => {
                self.files = Some(position);
                return ControlFlow::Continue(());
            }
            Some(place) => drop(self.memory.remove(place)),
            None => {}
        }
        self.open = true;
        let ended = ended(&record);
        while self.memory.get(self.at).is_some_and(|next| self::ended(next) > ended) {
            self.next_of_memory()?;
        }
        self.open = false;
        self.files = Some(position);
        self.show(record)
    }

    fn rest_of_memory(&mut self) -> ControlFlow<()> {
        while self.has_more_memory() {
            self.next_of_memory()?;
        }
        ControlFlow::Continue(())
    }

    fn next_of_memory(&mut self) -> ControlFlow<()> {
        let Some(record) = self.memory.get(self.at) else { return ControlFlow::Continue(()) };
        let record = cut((**record).clone(), self.query.detail);
        self.at += 1;
        self.shown = Some(record.id.clone());
        self.show(record)
    }

    fn show(&mut self, record: RequestRecord) -> ControlFlow<()> {
        self.left -= 1;
        (self.hit)(record)?;
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn has_more_memory(&self) -> bool {
        self.at < self.memory.len()
    }

    fn cursor(self) -> Cursor {
        Cursor { files: self.files, memory: self.shown }
    }
}

/// Milliseconds since 1970.
fn ended(record: &RequestRecord) -> i64 {
    millis(&record.time).unwrap_or(i64::MIN).saturating_add_unsigned(record.duration_ms)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::{BodyMode, RequestTypes, Retention};
    use crate::domain::redact::Redactor;
    use crate::logs::{Entry, Settings, start};
    use crate::wire::filter::Filter;
    use crate::wire::line::RecordLine;
    use crate::wire::logs::Detail;
    use crate::wire::record::Ending;

    static NEVER: AtomicBool = AtomicBool::new(false);

    fn settings(directory: &Path, types: RequestTypes) -> Settings {
        let retention = Retention { max_age: Duration::MAX, max_size: u64::MAX };
        let (request_body, response_body) = (BodyMode::None, BodyMode::None);
        Settings { directory: directory.to_owned(), types, request_body, response_body, retention }
    }

    /// The log after these requests, one a second; names with an `f` failed.
    fn log(directory: &Path, types: RequestTypes, names: &[&str]) -> LogHandle {
        let (handle, thread) = start(settings(directory, types), Redactor::default(), None);
        for (name, second) in names.iter().zip(0..) {
            let ending = if name.contains('f') { Ending::Failed } else { Ending::Complete };
            let time = format!("2026-03-09T12:00:{second:02}.000+00:00");
            let record = RequestRecord { id: (*name).into(), time, ending, ..RequestRecord::default() };
            handle.submit(Entry { record, ..Entry::default() });
        }
        thread.finish();
        handle
    }

    fn page(log: &LogHandle, text: &str, before: Option<&str>, limit: usize) -> (String, Option<String>) {
        let filter = Filter::parse(text, SystemTime::UNIX_EPOCH).unwrap();
        let page = log.page(&Query { filter: &filter, before, limit, detail: Detail::Short }, &NEVER).unwrap();
        let ids: Vec<String> = page.logs.into_iter().map(|record| record.id).collect();
        (ids.join(" "), page.next)
    }

    #[test]
    fn requests_that_no_file_keeps_are_between_those_that_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), RequestTypes::Failed, &["a", "f1", "b", "c", "f2", "d"]);
        assert_eq!(page(&log, "", None, 9), ("d f2 c b f1 a".to_owned(), None));
        assert_eq!(page(&log, "-id:f2", None, 9).0, "d c b f1 a");
        for limit in 1..=6 {
            let (mut all, mut next) = (Vec::new(), None);
            for _ in 0..10 {
                let (ids, more) = page(&log, "", next.as_deref(), limit);
                all.extend(ids.split(' ').filter(|id| !id.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>());
                next = more;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(all.join(" "), "d f2 c b f1 a", "{limit} at a time");
        }
        for (id, older) in [("d", "f2 c b f1 a"), ("f2", "c b f1 a"), ("c", "b f1 a"), ("f1", "a"), ("a", "")] {
            assert_eq!(page(&log, "", Some(id), 9).0, older, "behind {id}");
        }
        let strange = Query { filter: &Filter::default(), before: Some("none"), limit: 9, detail: Detail::Short };
        assert_eq!(log.page(&strange, &NEVER).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(log.get("a").unwrap().unwrap().record.ending, Ending::Complete);
        assert!(log.get("none").unwrap().is_none());
        // These requests are of another day than the one on which they are logged here.
        let file = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
        fs::rename(file, folder.path().join("requests-2026-03-09.jsonl")).unwrap();
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().into();
        let stats = log.stats_between(at("2026-03-09T00:00:00Z"), at("2026-03-10T00:00:00Z"), Duration::from_hours(1));
        assert_eq!((stats.as_ref().unwrap().total.complete, stats.unwrap().total.failed), (4, 2));
    }

    #[test]
    fn nothing_is_shown_twice_and_memory_outlives_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("logs");
        let log = log(&directory, RequestTypes::All, &["a", "b"]);
        assert_eq!(page(&log, "", None, 9), ("b a".to_owned(), None));
        // As if they had been filed between the two looks.
        let unfiled = log.recent().lines().into_iter().map(|line| Arc::new(RecordLine::new(line.id(), line.line())));
        let seen_too_early: Vec<_> = unfiled.filter_map(|line| line.record()).collect();
        let filter = Filter::default();
        let query = Query { filter: &filter, before: None, limit: 9, detail: Detail::Short };
        let mut ids = Vec::new();
        let mut hit = |record: RequestRecord| {
            ids.push(record.id);
            ControlFlow::Continue(())
        };
        let mut merge = Merge {
            memory: seen_too_early,
            at: 0,
            left: 9,
            query: &query,
            hit: &mut hit,
            files: None,
            shown: None,
            open: false,
        };
        let store = log.store();
        store.walk(&filter, Detail::Short, None, &NEVER, &mut |position, record| merge.file(position, record)).unwrap();
        assert!(merge.rest_of_memory().is_continue());
        assert_eq!(ids, ["b", "a"]);
        fs::remove_dir_all(&directory).unwrap();
        assert!(log.get("a").unwrap().is_some(), "memory still has it");
    }

    #[test]
    fn lines_that_are_no_records_are_no_requests() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("logs");
        let log = log(&directory, RequestTypes::All, &["a"]);
        let file = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
        let strange = "[]\n{}\n{\"v\":1}\n{\"foo\":\"bar\"}\n";
        fs::write(&file, fs::read_to_string(&file).unwrap() + strange).unwrap();
        for detail in [Detail::Short, Detail::Summary] {
            let query = Query { filter: &Filter::default(), before: None, limit: 9, detail };
            assert_eq!(log.page(&query, &NEVER).unwrap().logs.len(), 1);
        }
    }

    #[test]
    fn what_the_disk_refused_is_still_shown() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("logs");
        fs::write(&directory, "in the way").unwrap();
        let log = log(&directory, RequestTypes::All, &["a"]);
        fs::remove_file(&directory).unwrap();
        assert_eq!(page(&log, "", None, 9).0, "a");
    }
}
