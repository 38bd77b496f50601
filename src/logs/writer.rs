//! The thread that owns the log file: takes batches, writes them, keeps house.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::appender::{Appender, FileError, Lost};
use super::belief::Belief;
use super::encode::{Encoder, Form};
use super::{Entry, Observer, Rules, Shared, files, retention};
use crate::clock;
use crate::config::RequestTypes;
use crate::wire::line::RecordLine;
use crate::wire::record::Ending;

/// Lines are written in pieces of about this size.
const PIECE: usize = 1 << 20;
/// A buffer that grew beyond this for a big body gives its memory back.
const BUFFER: usize = 4 << 20;
const RECORDS_PER_PIECE: usize = 1000;
/// Old files are looked for this often, and whenever a sixteenth of the allowed size was written.
const HOUSE_KEEPING: Duration = Duration::from_mins(5);
const COMPLAINT: Duration = Duration::from_mins(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    rules: Arc<Rules>,
    encoder: Encoder,
    appender: Appender,
    /// Encoded, not yet in the file; and how many records those are.
    lines: Vec<u8>,
    records: u64,
    /// Those of the records in `lines`, in their order.
    filing: Vec<Arc<RecordLine>>,
    observer: Option<Observer>,
    house: House,
    belief: Belief,
    complained: Option<SystemTime>,
    /// Whether the present trouble was told, so that its end is too.
    told: bool,
    overflow_seen: u64,
}

/// When old files were last looked for, and how much was written since.
#[derive(Default)]
struct House {
    kept: Option<SystemTime>,
    written: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, observer: Option<Observer>) -> Self {
        let rules = shared.rules();
        Self {
            encoder: Encoder::new(rules.redactor.clone()),
            appender: Appender::new(rules.settings.directory.clone()),
            shared,
            rules,
            lines: Vec::new(),
            records: 0,
            filing: Vec::new(),
            observer,
            house: House::default(),
            belief: Belief::default(),
            complained: None,
            told: false,
            overflow_seen: 0,
        }
    }

    /// Until the queue is closed and empty.
    pub(super) fn run(&mut self) {
        self.prepare(clock::wall());
        self.keep_house(clock::wall(), clock::now());
        let mut batch = Vec::new();
        while self.shared.queue.take(&mut batch, HOUSE_KEEPING) {
            let now = clock::wall();
            self.adopt_rules(now);
            self.process(&mut batch, now);
            self.keep_house(now, clock::now());
        }
    }

    /// Shows trouble with the directory before the first record, and repairs what a killed writer left.
    fn prepare(&mut self, now: SystemTime) {
        match self.appender.prepare(files::local_date(now)) {
            Ok(()) => self.recovered(),
            Err(error) => self.complain(0, &error, now),
        }
    }

    fn adopt_rules(&mut self, now: SystemTime) {
        let rules = self.shared.rules();
        if Arc::ptr_eq(&rules, &self.rules) {
            return;
        }
        self.encoder = Encoder::new(rules.redactor.clone());
        let moved = rules.settings.directory != self.appender.directory();
        self.rules = rules;
        self.house = House::default();
        if moved {
            self.appender = Appender::new(self.rules.settings.directory.clone());
            self.prepare(now);
        }
    }

    fn process(&mut self, batch: &mut Vec<Entry>, now: SystemTime) {
        for mut entry in batch.drain(..) {
            self.take_down(&mut entry);
            if self.lines.len() >= PIECE || self.filing.len() >= RECORDS_PER_PIECE {
                self.flush(now);
            }
        }
        self.flush(now);
        self.report_overflow(now);
    }

    /// A record that meets a bug of ours is lost, and counted; the log goes on. The panic hook has told what it was.
    fn take_down(&mut self, entry: &mut Entry) {
        let (lines, filing, records) = (self.lines.len(), self.filing.len(), self.records);
        if catch_unwind(AssertUnwindSafe(|| self.encode(entry))).is_err() {
            self.lines.truncate(lines);
            self.filing.truncate(filing);
            self.records = records;
            self.encoder = Encoder::new(self.rules.redactor.clone());
            self.shared.stats().dropped += 1;
        }
    }

    fn encode(&mut self, entry: &mut Entry) {
        let entry_key = entry.key;
        let line = self.encoder.line(entry);
        let start = self.lines.len();
        line.write(Form::Short, &mut self.lines);
        let slot = Arc::new(RecordLine::new(&line.record().id, &self.lines[start..]));
        // Memory first: a slow disk does not delay the live view, and who is told of a request finds it.
        self.shared.ring.extend([Arc::clone(&slot)]);
        if let Some(observer) = &mut self.observer {
            observer(entry_key, line.record(), &slot);
        }
        if !keeps(self.rules.settings.types, line.record().ending) {
            self.lines.truncate(start);
            slot.settle(false);
            return;
        }
        self.filing.push(slot);
        if line.has_more() {
            self.lines.truncate(start);
            line.write(Form::Whole, &mut self.lines);
        } else {
            line.add_timeline(&mut self.lines);
        }
        self.records += 1;
    }

    fn flush(&mut self, now: SystemTime) {
        if self.lines.is_empty() {
            return;
        }
        let bytes = self.lines.len() as u64;
        // Two parts at most fit into the limit, so that there is always one to delete.
        let part_limit = self.rules.settings.retention.max_size / 2;
        let written = match self.appender.append(files::local_date(now), &self.lines, part_limit) {
            Ok(()) => {
                self.recovered();
                self.records
            }
            Err(Lost { records, error }) => {
                self.complain(records as u64, &error, now);
                self.records.saturating_sub(records as u64)
            }
        };
        for (slot, at) in self.filing.drain(..).zip(0..) {
            slot.settle(at < written);
        }
        if written > 0 {
            let mut stats = self.shared.stats();
            stats.written += written;
            stats.bytes += bytes;
            self.house.written += bytes;
        }
        self.records = 0;
        self.lines.clear();
        self.lines.shrink_to(BUFFER);
    }

    fn keep_house(&mut self, now: SystemTime, steady: Instant) {
        let believed = self.belief.look(now, steady);
        let retention = self.rules.settings.retention;
        let written_enough = self.house.written > (retention.max_size / 16).min(16 << 20);
        let same_day = |kept| files::local_date(kept) == files::local_date(now);
        // A clock that was set back counts as long ago.
        let recently = |kept| now.duration_since(kept).is_ok_and(|since| since < HOUSE_KEEPING) && same_day(kept);
        if self.house.kept.is_some_and(recently) && !written_enough {
            return;
        }
        self.house = House { kept: Some(now), written: 0 };
        if let Err(error) = retention::enforce(self.appender.directory(), retention, now, believed)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, directory = %self.appender.directory().display(), "cannot delete old request logs");
        }
    }

    fn complain(&mut self, records: u64, error: &FileError, now: SystemTime) {
        let mut stats = self.shared.stats();
        stats.dropped += records;
        let dropped = stats.dropped;
        stats.last_error = Some(error.to_string());
        drop(stats);
        if self.may_complain(now) {
            self.told = true;
            tracing::warn!(dropped, "requests are served but not logged: {error}");
        }
    }

    fn recovered(&mut self) {
        let mut stats = self.shared.stats();
        stats.last_error = None;
        let dropped = stats.dropped;
        drop(stats);
        if std::mem::take(&mut self.told) {
            tracing::info!(dropped, "requests are logged again");
        }
    }

    fn report_overflow(&mut self, now: SystemTime) {
        let dropped = self.shared.queue.dropped();
        if dropped > self.overflow_seen && self.may_complain(now) {
            self.overflow_seen = dropped;
            tracing::warn!(dropped, "requests come faster than they can be logged");
        }
    }

    fn may_complain(&mut self, now: SystemTime) -> bool {
        let recently = |last| now.duration_since(last).is_ok_and(|since| since < COMPLAINT);
        let quiet = !self.complained.is_some_and(recently);
        if quiet {
            self.complained = Some(now);
        }
        quiet
    }
}

fn keeps(types: RequestTypes, ending: Ending) -> bool {
    match types {
        RequestTypes::All => true,
        RequestTypes::Success => ending == Ending::Complete,
        RequestTypes::Failed => ending != Ending::Complete,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, RwLock};

    use bytes::Bytes;
    use jiff::civil::datetime;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::{BodyMode, Retention};
    use crate::domain::redact::Redactor;
    use crate::logs::capture::Capture;
    use crate::logs::queue::Queue;
    use crate::logs::{Ring, Settings};
    use crate::wire::record::RequestRecord;

    const DAY: Duration = Duration::from_hours(24);
    const KEEP_ALL: Retention = Retention { max_age: Duration::MAX, max_size: u64::MAX };

    fn settings(directory: &Path, types: RequestTypes, retention: Retention) -> Settings {
        let directory = directory.to_owned();
        Settings { directory, types, request_body: BodyMode::Truncated, response_body: BodyMode::Truncated, retention }
    }

    fn writer(settings: Settings) -> Writer {
        Writer::new(
            Arc::new(Shared {
                rules: RwLock::new(Arc::new(Rules { settings, redactor: Redactor::default() })),
                queue: Queue::default(),
                ring: Ring::default(),
                stats: Mutex::default(),
                store: Mutex::default(),
            }),
            None,
        )
    }

    fn entry(id: &str, ending: Ending) -> Entry {
        Entry { record: RequestRecord { id: id.into(), ending, ..RequestRecord::default() }, ..Entry::default() }
    }

    fn process(writer: &mut Writer, ids: &[&str], now: SystemTime) {
        let mut batch = ids.iter().map(|id| entry(id, Ending::Complete)).collect();
        writer.process(&mut batch, now);
        assert!(batch.is_empty());
        writer.keep_house(now, steady(now));
    }

    /// Of a clock that goes as the wall clock does.
    fn steady(now: SystemTime) -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(clock::now) + now.duration_since(noon()).unwrap()
    }

    /// Noon, local time.
    fn noon() -> SystemTime {
        datetime(2026, 3, 9, 12, 0, 0, 0).to_zoned(TimeZone::system()).unwrap().timestamp().into()
    }

    fn read(file: PathBuf) -> Vec<RequestRecord> {
        fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ids(directory: &Path, date: &str) -> Vec<String> {
        read(directory.join(format!("requests-{date}.jsonl"))).into_iter().map(|record| record.id).collect()
    }

    fn size(directory: &Path) -> u64 {
        files::list(directory).unwrap().iter().map(|file| file.size).sum()
    }

    #[test]
    fn records_go_to_the_file_of_their_day_and_to_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(settings(folder.path(), RequestTypes::All, KEEP_ALL));
        process(&mut writer, &["a", "b"], noon());
        process(&mut writer, &["c"], noon() + DAY);
        assert_eq!(ids(folder.path(), "2026-03-09"), ["a", "b"]);
        assert_eq!(ids(folder.path(), "2026-03-10"), ["c"]);
        let recent: Vec<_> = writer.shared.ring.newest(2).iter().map(|record| record.id.clone()).collect();
        assert_eq!(recent, ["c", "b"]);
        let stats = writer.shared.stats().clone();
        assert_eq!((stats.written, stats.bytes, stats.dropped), (3, size(folder.path()), 0));
    }

    #[test]
    fn types_decide_about_files_and_never_about_memory() {
        let endings = [Ending::Complete, Ending::RelayedError, Ending::Failed, Ending::Cut, Ending::ClientGone];
        for (types, expected) in [
            (RequestTypes::All, &["0", "1", "2", "3", "4"][..]),
            (RequestTypes::Success, &["0"]),
            (RequestTypes::Failed, &["1", "2", "3", "4"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = writer(settings(folder.path(), types, KEEP_ALL));
            writer.process(
                &mut (0..).map(|n: u8| n.to_string()).zip(endings).map(|(id, e)| entry(&id, e)).collect(),
                noon(),
            );
            assert_eq!(ids(folder.path(), "2026-03-09"), expected);
            assert_eq!(writer.shared.ring.newest(10).len(), 5);
            assert_eq!(writer.shared.stats().written, expected.len() as u64);
        }
    }

    #[test]
    fn whole_bodies_go_to_the_file_and_their_beginnings_to_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(settings(folder.path(), RequestTypes::All, KEEP_ALL));
        let mut capture = Capture::new(BodyMode::Full, 0);
        capture.push(&Bytes::from(vec![b'x'; 2 * PIECE]));
        let big = Entry { response_body: capture.finish(), ..entry("big", Ending::Complete) };
        writer.process(&mut vec![big, entry("small", Ending::Complete)], noon());
        let file = read(folder.path().join("requests-2026-03-09.jsonl"));
        assert_eq!(file[0].response.body.as_ref().unwrap().len(), 2 * PIECE);
        assert_eq!(file[1].id, "small");
        assert_eq!(
            writer.shared.ring.line("big").unwrap().record().unwrap().response.body.as_ref().unwrap().len(),
            1024
        );
    }

    #[test]
    fn a_record_that_meets_a_bug_does_not_end_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(settings(folder.path(), RequestTypes::All, KEEP_ALL));
        writer.observer = Some(Box::new(|_, record, _| assert_ne!(record.id, "bad", "as the test wants")));
        process(&mut writer, &["a", "bad", "b"], noon());
        process(&mut writer, &["c"], noon());
        assert_eq!(ids(folder.path(), "2026-03-09"), ["a", "b", "c"]);
        let stats = writer.shared.stats().clone();
        assert_eq!((stats.written, stats.bytes, stats.dropped), (3, size(folder.path()), 1));
    }

    #[test]
    fn trouble_is_counted_and_shown_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("logs");
        fs::write(&directory, "in the way").unwrap();
        let mut writer = writer(settings(&directory, RequestTypes::All, KEEP_ALL));
        writer.prepare(noon());
        assert!(writer.shared.stats().last_error.as_ref().unwrap().contains("cannot make the folder"));
        process(&mut writer, &["a", "b"], noon());
        let stats = writer.shared.stats().clone();
        assert_eq!((stats.written, stats.dropped, stats.last_error.is_some()), (0, 2, true));
        assert_eq!(writer.shared.ring.newest(9).len(), 2, "the live view does without the disk");

        fs::remove_file(&directory).unwrap();
        process(&mut writer, &["c"], noon());
        assert_eq!(ids(&directory, "2026-03-09"), ["c"]);
        let stats = writer.shared.stats().clone();
        assert_eq!((stats.written, stats.dropped, stats.last_error), (1, 2, None));
    }

    #[test]
    fn a_busy_day_stays_within_the_allowed_size() {
        let folder = tempfile::tempdir().unwrap();
        let max_size = 20_000;
        let mut writer = writer(settings(folder.path(), RequestTypes::All, Retention { max_age: 30 * DAY, max_size }));
        for n in 0..300 {
            process(&mut writer, &[&n.to_string()], noon());
            assert!(size(folder.path()) <= max_size + max_size / 16 + 1000);
        }
        assert!(files::list(folder.path()).unwrap().len() > 1);
        assert!(size(folder.path()) > max_size / 2, "no more is deleted than needed");
        assert_eq!(ids(folder.path(), "2026-03-09").last().unwrap(), "299");
    }

    #[test]
    fn old_days_go_at_the_start_and_at_midnight() {
        let folder = tempfile::tempdir().unwrap();
        let old = |date: &str| folder.path().join(format!("requests-{date}.jsonl"));
        for date in ["2026-03-01", "2026-03-07"] {
            fs::write(old(date), "{}\n").unwrap();
        }
        let mut writer =
            writer(settings(folder.path(), RequestTypes::All, Retention { max_age: 2 * DAY, max_size: u64::MAX }));
        writer.prepare(noon());
        writer.keep_house(noon(), steady(noon()));
        assert_eq!((old("2026-03-01").exists(), old("2026-03-07").exists()), (false, true));
        process(&mut writer, &["a"], noon() + DAY);
        assert!(!old("2026-03-07").exists());
    }

    #[test]
    fn a_clock_that_leaps_ahead_and_back_costs_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let retention = Retention { max_age: 30 * DAY, max_size: u64::MAX };
        let mut writer = writer(settings(folder.path(), RequestTypes::All, retention));
        process(&mut writer, &["old"], noon());
        process(&mut writer, &["a"], noon() + 25 * DAY);
        for (id, leap) in [("ahead", 3650 * DAY), ("a bit ahead", 10 * DAY), ("back", Duration::ZERO)] {
            let now = noon() + 25 * DAY + leap;
            writer.process(&mut vec![entry(id, Ending::Complete)], now);
            writer.keep_house(now, steady(noon() + 25 * DAY));
            assert_eq!(
                (ids(folder.path(), "2026-03-09"), ids(folder.path(), "2026-04-03")[0].as_str()),
                (vec!["old".to_owned()], "a")
            );
        }
        let now = noon() + 40 * DAY;
        writer.keep_house(now, steady(now));
        writer.keep_house(now + DAY, steady(now + DAY));
        assert!(!folder.path().join("requests-2026-03-09.jsonl").exists(), "believed again");
    }

    #[test]
    fn a_new_directory_is_in_force_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["1", "2"].map(|name| folder.path().join(name));
        let mut writer = writer(settings(&first, RequestTypes::All, KEEP_ALL));
        process(&mut writer, &["a"], noon());
        let rules = Rules { settings: settings(&second, RequestTypes::All, KEEP_ALL), redactor: Redactor::default() };
        *writer.shared.rules.write().unwrap() = Arc::new(rules);
        writer.adopt_rules(noon());
        assert!(second.join("requests-2026-03-09.jsonl").exists());
        process(&mut writer, &["b"], noon());
        assert_eq!(ids(&first, "2026-03-09"), ["a"]);
        assert_eq!(ids(&second, "2026-03-09"), ["b"]);
    }
}
