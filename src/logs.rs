//! The request log: one JSON line for each client request, in files and, for the newest, in memory.
//!
//! [`LogHandle::submit`] only pushes to a bounded queue. One thread of its own owns the file, so neither a slow nor a full
//! disk ever delays a request: what cannot be written is counted.

pub mod capture;
pub mod files;
pub mod follow;
pub mod glance;
pub mod store;

mod appender;
mod belief;
mod encode;
mod index;
mod indexing;
mod json;
mod merged;
mod position;
mod queue;
mod retention;
mod ring;
mod search;
mod source;
mod sums;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderMap;

pub use self::ring::Ring;

use self::capture::{Capture, Captured};
use self::queue::Queue;
use self::store::LogStore;
use self::writer::Writer;
use crate::config::{self, BodyMode, RequestTypes, Retention};
use crate::domain::redact::Redactor;
use crate::domain::secret::Secret;
use crate::wire::line::RecordLine;
use crate::wire::record::RequestRecord;

/// How long the end of the program waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(5);

/// One finished client request, credentials still in it.
#[derive(Clone, Default)]
pub struct Entry {
    /// Names the request among those under way, for the observer.
    pub key: u64,
    /// All but `v`, `request` and `response`, which are filled in as it is written.
    pub record: RequestRecord,
    pub request_headers: Arc<HeaderMap>,
    pub request_body: Captured,
    pub response_headers: HeaderMap,
    pub response_body: Captured,
    /// What this client presented (`redact::presented`): taken out like our own secrets.
    pub presented: Vec<Secret>,
}

impl Entry {
    /// About its bytes in memory.
    fn weight(&self) -> usize {
        let headers = self.request_headers.len() + self.response_headers.len();
        1024 + 96 * headers + self.request_body.held() + self.response_body.held()
    }
}

/// Only which one it is.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.record.id).finish_non_exhaustive()
    }
}

/// The part of the configuration that the log follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub directory: PathBuf,
    /// Which requests the files keep; memory keeps all.
    pub types: RequestTypes,
    pub request_body: BodyMode,
    pub response_body: BodyMode,
    pub retention: Retention,
}

impl From<&config::Logging> for Settings {
    fn from(logging: &config::Logging) -> Self {
        Self {
            directory: logging.log_directory.clone(),
            types: logging.log_request_types,
            request_body: logging.log_request_body,
            response_body: logging.log_response_body,
            retention: logging.retention,
        }
    }
}

/// How the log fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records and bytes in files, since the start.
    pub written: u64,
    pub bytes: u64,
    /// Records that no file has: the queue was full, or the disk refused them.
    pub dropped: u64,
    /// Why nothing can be written right now; `None` when all is well.
    pub last_error: Option<String>,
    pub directory: PathBuf,
}

/// What is in force; replaced as a whole.
#[derive(Debug)]
struct Rules {
    settings: Settings,
    redactor: Redactor,
}

#[derive(Debug)]
struct Shared {
    rules: RwLock<Arc<Rules>>,
    queue: Queue,
    ring: Ring,
    /// `dropped` here counts what the disk refused.
    stats: Mutex<LogStats>,
    /// Reads the directory that is in force; opened when somebody asks.
    store: Mutex<Option<LogStore>>,
}

impl Shared {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn stats(&self) -> MutexGuard<'_, LogStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For those who have something to log or want to see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle(Arc<Shared>);

/// Owns the log's thread. Dropping it closes the log without waiting for the last lines.
#[derive(Debug)]
pub struct LogThread {
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

/// Told of every finished request by the log's own thread, whatever the files keep: [`Entry::key`], its record with
/// credentials replaced, and the line that stands for it in memory.
pub type Observer = Box<dyn FnMut(u64, &RequestRecord, &Arc<RecordLine>) + Send>;

/// Starts the log. A directory that cannot be written to is reported and tried again with every batch.
pub fn start(settings: Settings, redactor: Redactor, observer: Option<Observer>) -> (LogHandle, LogThread) {
    let shared = Arc::new(Shared {
        rules: RwLock::new(Arc::new(Rules { settings, redactor })),
        queue: Queue::default(),
        ring: Ring::default(),
        stats: Mutex::default(),
        store: Mutex::default(),
    });
    let (end, ended) = channel();
    let mut writer = Writer::new(Arc::clone(&shared), observer);
    let thread = std::thread::Builder::new().name("request-log".to_owned()).spawn(move || {
        writer.run();
        // Disconnects the channel, which is what `finish` waits for; so does a panic.
        drop(end);
    });
    if let Err(error) = thread {
        tracing::error!(%error, "cannot start the log's thread: no request is logged");
        shared.stats().last_error = Some(format!("cannot start the log's thread: {error}"));
        shared.queue.close();
    }
    (LogHandle(Arc::clone(&shared)), LogThread { shared, ended })
}

impl LogHandle {
    /// Never waits: what does not fit into the queue is dropped and counted.
    pub fn submit(&self, entry: Entry) {
        self.0.queue.push(entry);
    }

    /// Captures for the bodies of a new request and its answer, in the modes that are in force.
    pub fn captures(&self, presented: &[Secret]) -> (Capture, Capture) {
        let rules = self.0.rules();
        // Percent-encoded at worst.
        let longest = presented.iter().map(|secret| secret.expose().len() * 3).max().unwrap_or(0);
        let spare = rules.redactor.longest().max(longest);
        (Capture::new(rules.settings.request_body, spare), Capture::new(rules.settings.response_body, spare))
    }

    /// New settings from the next batch on. What was a secret before stays redacted.
    pub fn reconfigure(&self, settings: Settings, redactor: &Redactor) {
        let mut rules = self.0.rules.write().unwrap_or_else(PoisonError::into_inner);
        let redactor = redactor.with_previous(&rules.redactor);
        *rules = Arc::new(Rules { settings, redactor });
        drop(rules);
        self.0.queue.nudge();
    }

    pub fn stats(&self) -> LogStats {
        let directory = self.0.rules().settings.directory.clone();
        let queue_dropped = self.0.queue.dropped();
        let stats = self.0.stats().clone();
        LogStats { dropped: stats.dropped + queue_dropped, directory, ..stats }
    }

    /// The newest records, of all requests, with bodies in their short form.
    pub fn recent(&self) -> &Ring {
        &self.0.ring
    }
}

impl LogThread {
    /// Writes all that was submitted before. Later entries are dropped. Gives a stuck disk a few seconds.
    pub fn finish(self) {
        self.shared.queue.close();
        if self.ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the request log did not end in time: the last records may be missing");
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use bytes::Bytes;

    use super::*;

    fn settings(directory: &Path, response_body: BodyMode) -> Settings {
        let retention = Retention { max_age: Duration::MAX, max_size: u64::MAX };
        let directory = directory.to_owned();
        Settings { directory, types: RequestTypes::All, request_body: BodyMode::None, response_body, retention }
    }

    fn entry(id: String) -> Entry {
        Entry { record: RequestRecord { id, ..RequestRecord::default() }, ..Entry::default() }
    }

    fn answer(handle: &LogHandle, body: &str) -> Entry {
        let (_, mut capture) = handle.captures(&[]);
        capture.push(&Bytes::copy_from_slice(body.as_bytes()));
        Entry { response_body: capture.finish(), ..entry("id".to_owned()) }
    }

    fn records(directory: &Path) -> Vec<RequestRecord> {
        let files = files::list(directory).unwrap();
        let texts = files.iter().map(|file| fs::read_to_string(&file.path).unwrap());
        texts
            .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn the_end_writes_all_that_was_submitted_and_counts_what_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, thread) = start(settings(folder.path(), BodyMode::None), Redactor::default(), None);
        (0..3000).for_each(|n| handle.submit(entry(n.to_string())));
        thread.finish();
        let ids: Vec<_> = records(folder.path()).into_iter().map(|record| record.id).collect();
        assert_eq!(ids, (0..3000).map(|n| n.to_string()).collect::<Vec<_>>());
        handle.submit(entry("late".to_owned()));
        let stats = handle.stats();
        assert_eq!((stats.written, stats.dropped, stats.last_error), (3000, 1, None));
        assert_eq!(stats.directory, folder.path());
        assert_eq!(handle.recent().newest(1)[0].id, "2999");
    }

    /// A page that hears of a request and asks for the list at once would lose it from sight.
    #[test]
    fn who_is_told_of_a_request_finds_it_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let handle = Arc::new(std::sync::OnceLock::<LogHandle>::new());
        let (known, told) = (Arc::clone(&handle), Arc::new(Mutex::new(Vec::new())));
        let tell = Arc::clone(&told);
        let observer: Observer = Box::new(move |_, record, _| {
            let newest = known.get().map(|handle| handle.recent().newest(1)[0].id.clone());
            tell.lock().unwrap().push(newest.as_ref() == Some(&record.id));
        });
        let (own, thread) = start(settings(folder.path(), BodyMode::None), Redactor::default(), Some(observer));
        handle.set(own.clone()).unwrap();
        (0..100).for_each(|n| own.submit(entry(n.to_string())));
        thread.finish();
        assert_eq!(*told.lock().unwrap(), [true; 100]);
    }

    #[test]
    fn two_writers_share_a_folder_without_spoiling_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let writers = [(); 2].map(|()| start(settings(folder.path(), BodyMode::None), Redactor::default(), None));
        std::thread::scope(|scope| {
            for (handle, _) in &writers {
                scope.spawn(|| (0..2000).for_each(|n| handle.submit(entry(format!("{n}-{}", "x".repeat(500))))));
            }
        });
        for (handle, thread) in writers {
            thread.finish();
            assert_eq!((handle.stats().written, handle.stats().dropped), (2000, 0));
        }
        assert_eq!(records(folder.path()).len(), 4000);
    }

    #[test]
    fn after_a_reload_old_secrets_stay_hidden_and_new_modes_count() {
        let folder = tempfile::tempdir().unwrap();
        let redactor = |secret: &str| Redactor::new(&[Secret::new(secret)]);
        let (handle, thread) = start(settings(folder.path(), BodyMode::None), redactor("old-secret"), None);
        handle.reconfigure(settings(folder.path(), BodyMode::Full), &redactor("new-secret"));
        handle.submit(answer(&handle, "old-secret new-secret"));
        thread.finish();
        assert_eq!(records(folder.path())[0].response.body.as_deref(), Some("[redacted] [redacted]"));
    }

    #[test]
    fn an_entry_is_not_printed_with_its_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, _thread) = start(settings(folder.path(), BodyMode::Full), Redactor::default(), None);
        let mut entry = answer(&handle, "sk-secret");
        Arc::make_mut(&mut entry.request_headers).insert("x-api-key", http::HeaderValue::from_static("sk-secret"));
        handle.submit(entry.clone());
        let printed = format!("{entry:?} {:?} {handle:?}", entry.response_body);
        assert!(!printed.contains("sk-secret"), "{printed}");
    }

    #[test]
    fn captures_keep_enough_to_recognise_what_was_presented() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, _thread) = start(settings(folder.path(), BodyMode::Truncated), Redactor::default(), None);
        let (_, mut capture) = handle.captures(&[Secret::new("x".repeat(200))]);
        capture.push(&Bytes::from(vec![b'x'; 5000]));
        assert_eq!(capture.finish().held(), 1024 + 600);
    }
}
