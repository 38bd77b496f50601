//! What passes: the requests under way, how each endpoint fared lately, and all that happens, in order, for those who
//! watch.
//!
//! The request path pays for it with a few pointers under a lock that nobody holds for long. Views are made by who asks
//! for them, on their own thread; sums are kept by the log's thread as it writes the finished requests down.

mod figures;
mod happenings;
mod sessions;
mod under_way;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

pub use self::figures::Figures;
pub use self::happenings::{Backlog, Happening, Numbered};
pub use self::under_way::{Begun, Ticket, UnderWay};

use self::figures::Board;
use self::happenings::{HANDED, Ring};
use self::sessions::Sessions;
use crate::clock;
use crate::domain::health::State;
use crate::domain::redact::Redactor;
use crate::wire::line::RecordLine;
use crate::wire::record::RequestRecord;
use crate::wire::session::SessionView;
use crate::wire::status::{RunningView, Totals};

/// Shared by all who answer, log and watch.
#[derive(Debug)]
pub struct Traffic {
    /// Names this run of the program: unlike any other.
    run: String,
    /// By key, so the oldest come first.
    running: Mutex<BTreeMap<u64, Arc<UnderWay>>>,
    keys: AtomicU64,
    ring: Mutex<Ring>,
    /// The number of the newest happening, for those who only ask whether there is one.
    last: AtomicU64,
    /// Somebody may wait for the next happening.
    stirred: Notify,
    board: Mutex<Board>,
    sessions: Mutex<Sessions>,
}

impl Traffic {
    pub fn new() -> Arc<Self> {
        let run = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        Arc::new(Self {
            run: format!("{run:x}"),
            running: Mutex::default(),
            keys: AtomicU64::new(1),
            ring: Mutex::default(),
            last: AtomicU64::new(0),
            stirred: Notify::new(),
            board: Mutex::default(),
            sessions: Mutex::default(),
        })
    }

    fn running_map(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<UnderWay>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is under way until its ticket is dropped.
    pub fn begin(self: &Arc<Self>, begun: Begun) -> Ticket {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let request = Arc::new(UnderWay::new(key, begun));
        self.running_map().insert(key, Arc::clone(&request));
        Ticket::new(Arc::clone(self), request)
    }

    fn end(&self, key: u64) {
        self.running_map().remove(&key);
    }

    pub fn in_flight(&self) -> u64 {
        self.running_map().len() as u64
    }

    /// The longest-running requests, at most `limit`, without any credential.
    pub fn running(&self, redactor: &Redactor, limit: usize) -> Vec<RunningView> {
        let requests: Vec<_> = self.running_map().values().take(limit).cloned().collect();
        let now = clock::now();
        requests.iter().map(|request| request.view(redactor, now)).collect()
    }

    /// For the log's thread: a request is over. `key` names it among those under way.
    pub fn recorded(&self, key: u64, record: &RequestRecord, line: &Arc<RecordLine>) {
        self.board().add(record, clock::now());
        self.sessions().add(record);
        self.publish(Happening::Ended { key, line: Arc::clone(line) });
    }

    /// Finished requests since the start; `refused` ones are not known here.
    pub fn totals(&self) -> Totals {
        self.board().totals()
    }

    /// What a session did since the start; `None` for one that is not known, or was quiet for too long.
    pub fn session(&self, name: &str) -> Option<SessionView> {
        self.sessions().get(name)
    }

    /// How an endpoint fared in its newest attempts, and within `window`.
    pub fn figures(&self, endpoint: &str, window: Duration) -> Figures {
        self.board().figures(endpoint, window, clock::now())
    }

    /// What an endpoint did so far no longer counts into its window.
    pub fn start_afresh(&self, endpoint: &str) {
        self.board().start_afresh(endpoint);
    }

    /// An endpoint's state changed.
    pub fn endpoint_changed(&self, name: &str, from: State, to: State, reason: Option<&str>) {
        let (name, reason, at) = (name.to_owned(), reason.map(str::to_owned), clock::wall());
        self.publish(Happening::Endpoint { name, from: from.word(), to: to.word(), reason, at });
    }

    /// An endpoint's settings changed, and perhaps its state with them: words of states, an empty one where the endpoint
    /// is new or gone.
    pub fn endpoint_set(&self, name: &str, from: &'static str, to: &'static str) {
        let (name, at) = (name.to_owned(), clock::wall());
        self.publish(Happening::Endpoint { name, from, to, reason: None, at });
    }

    pub fn publish(&self, happening: Happening) {
        let mut ring = self.ring();
        self.last.store(ring.push(happening), Ordering::Release);
        drop(ring);
        self.stirred.notify_waiters();
    }

    /// A place is the number of the happening that it is behind. This one is behind all that happened; what comes is held
    /// from now on.
    pub fn newest(&self) -> u64 {
        self.ring().newest()
    }

    /// What stands for a place outside of the program.
    pub fn id(&self, place: u64) -> String {
        format!("{}-{place}", self.run)
    }

    /// `None` for what is no id of this run's.
    pub fn place(&self, id: &str) -> Option<u64> {
        let place = id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        (place <= self.last.load(Ordering::Acquire)).then_some(place)
    }

    pub fn has_news(&self, place: u64) -> bool {
        self.last.load(Ordering::Acquire) > place
    }

    pub fn since(&self, place: u64) -> Backlog {
        let mut backlog = Backlog { events: Vec::with_capacity(HANDED), ..Backlog::default() };
        self.ring().since(place, &mut backlog);
        backlog
    }

    /// Returns when something happened behind the place.
    pub async fn changed(&self, place: u64) {
        loop {
            let stirred = self.stirred.notified();
            if self.has_news(place) {
                return;
            }
            stirred.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::domain::secret::Secret;
    use crate::wire::status::Phase;

    fn begun(path: &str) -> Begun {
        let (at, wall) = (clock::now(), clock::wall());
        Begun { at, wall, method: Method::POST, path: path.to_owned(), presented: vec![Secret::new("hunter2hunter2")] }
    }

    #[test]
    fn a_request_is_under_way_from_its_head_to_its_last_byte() {
        let traffic = Traffic::new();
        let ticket = traffic.begin(begun("/v1/messages"));
        ticket.known(Some("opus"), true, Some("hunter2hunter2"));
        ticket.attempt("a");
        ticket.failed();
        ticket.attempt("b");
        ticket.reach(Phase::Held);
        ticket.committed();
        ticket.passed(7);
        let view = traffic.running(&Redactor::default(), 9).remove(0);
        let RunningView { path, model, session, phase, endpoint, failed, bytes, .. } = view;
        assert_eq!(
            (path.as_str(), model.as_deref(), session.as_deref()),
            ("/v1/messages", Some("opus"), Some("[redacted]"))
        );
        assert_eq!((phase, endpoint.as_deref(), failed, bytes), (Phase::Streaming, Some("b"), vec!["a".into()], 7));
        assert_eq!(traffic.in_flight(), 1);
        drop(ticket);
        assert_eq!((traffic.in_flight(), traffic.running(&Redactor::default(), 9).len()), (0, 0));
    }

    #[test]
    fn who_comes_back_misses_nothing_that_is_still_held() {
        let traffic = Traffic::new();
        let id = traffic.id(traffic.newest());
        for name in ["a", "b"] {
            traffic.endpoint_changed(name, State::Up, State::Down, None);
        }
        let backlog = traffic.since(traffic.place(&id).unwrap());
        assert_eq!((backlog.events.len(), backlog.gone), (2, 0));
        assert_eq!(traffic.since(backlog.events[0].number).events.len(), 1);
        for unknown in ["other-1", &traffic.id(99), &traffic.run, "x", "-", ""] {
            assert_eq!(traffic.place(unknown), None, "{unknown}");
        }
        assert_eq!((traffic.since(backlog.last).events.len(), traffic.has_news(backlog.last)), (0, false));
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_who_is_behind_need_not_wait() {
        let traffic = Traffic::new();
        let seen = traffic.newest();
        let waiting = tokio::spawn({
            let traffic = Arc::clone(&traffic);
            async move { traffic.changed(seen).await }
        });
        tokio::task::yield_now().await;
        traffic.publish(Happening::Config);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        tokio::time::timeout(Duration::from_secs(5), traffic.changed(seen)).await.unwrap();
    }
}
