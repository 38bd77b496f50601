//! What the admin server sees of the running program, and how it asks for what only the serve loop can do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::answer::{Outcome, Refusal};
use super::assets::Assets;
use super::calendar::Calendar;
use super::feed::Feed;
use super::login::Sessions;
use super::metrics::Metrics;
use crate::clock;
use crate::config::Config;
use crate::domain::endpoint::EndpointSpec;
use crate::domain::redact::Redactor;
use crate::live::Live;
use crate::logs::{LogHandle, files};
use crate::traffic::Traffic;
use crate::wire::status::{ConfigStanding, Refusal as Refused, TestView};

/// Reads of the log that may run at a time: each keeps a core and the disk busy.
const READS: usize = 4;
/// The same, of those whose hits go out as they are found: they last as long as their readers like.
const STREAMS: usize = 2;
/// Whoever waits longer for a turn is told so.
const TURN_WITHIN: Duration = Duration::from_secs(20);
/// The folder is listed at most so often.
const LOG_SIZE_KEPT: Duration = Duration::from_secs(5);

/// The settings in force and what became of the last attempt to change them; replaced as a whole.
#[derive(Clone, Debug)]
pub struct Standing {
    pub config: Config,
    pub shown: ConfigStanding,
    /// Knows what was a secret before, too.
    pub redactor: Redactor,
    /// By endpoint: where its credential comes from, when the file does not hold it itself.
    pub references: BTreeMap<String, String>,
}

/// What only the serve loop does. It answers through `reply`.
#[derive(Debug)]
pub enum Order {
    /// Reads the file anew; `file`: another one than so far, because it was just written.
    Reload { file: Option<PathBuf>, reply: oneshot::Sender<Result<(), Refused>> },
    /// Probes this endpoint as it is here, whatever the settings say.
    Test { spec: Arc<EndpointSpec>, reply: oneshot::Sender<TestView> },
}

/// What the program hands to its admin server.
pub struct Parts {
    pub live: Arc<Live>,
    pub log: LogHandle,
    pub traffic: Arc<Traffic>,
    pub metrics: Arc<Metrics>,
    pub standing: watch::Receiver<Arc<Standing>>,
    pub orders: mpsc::Sender<Order>,
    /// Requests that were turned away at the proxy's door.
    pub refused: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Where clients connect.
    pub listen: SocketAddr,
    pub started: (Instant, SystemTime),
}

/// Everything that the routes share.
pub struct State {
    pub parts: Parts,
    /// `web_admin.host` as listened on; a change needs a restart.
    pub host: String,
    pub address: OnceLock<SocketAddr>,
    pub sessions: Sessions,
    pub feed: Feed,
    pub assets: Assets,
    pub calendar: Calendar,
    reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// One change of the file at a time, until it is in force.
    pub editing: tokio::sync::Mutex<()>,
    pub stop: watch::Receiver<super::Stop>,
    log_size: Mutex<Option<(Instant, u64)>>,
}

pub type Shared = Arc<State>;

impl State {
    pub fn new(parts: Parts, host: String, stop: watch::Receiver<super::Stop>) -> Shared {
        let calendar = Calendar::new(clock::now(), clock::wall());
        Arc::new(Self {
            parts,
            host,
            address: OnceLock::new(),
            sessions: Sessions::default(),
            feed: Feed::default(),
            assets: Assets::default(),
            calendar,
            reads: Arc::new(Semaphore::new(READS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            editing: tokio::sync::Mutex::default(),
            stop,
            log_size: Mutex::default(),
        })
    }

    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.parts.standing.borrow())
    }

    pub fn refused(&self) -> u64 {
        (self.parts.refused)()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow() != super::Stop::No
    }

    /// A turn to read the log.
    pub async fn turn_to_read(&self) -> Outcome<OwnedSemaphorePermit> {
        turn(&self.reads).await
    }

    /// A turn to have hits sent as they are found.
    pub async fn turn_to_stream(&self) -> Outcome<OwnedSemaphorePermit> {
        turn(&self.streams).await
    }

    /// Bytes of all log files together, as of a few seconds ago.
    pub fn log_size(&self, directory: &Path) -> u64 {
        let now = clock::now();
        let mut held = self.log_size.lock().unwrap_or_else(PoisonError::into_inner);
        match *held {
            Some((at, size)) if now.saturating_duration_since(at) < LOG_SIZE_KEPT => size,
            _ => {
                let size = files::list(directory).unwrap_or_default().iter().map(|file| file.size).sum();
                *held = Some((now, size));
                size
            }
        }
    }

    /// Has the serve loop do something and waits for its answer.
    pub async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.parts.orders.send(order(reply)).await.map_err(|_| Refusal::stopping())?;
        answer.await.map_err(|_| Refusal::stopping())
    }
}

async fn turn(turns: &Arc<Semaphore>) -> Outcome<OwnedSemaphorePermit> {
    match tokio::time::timeout(TURN_WITHIN, Arc::clone(turns).acquire_owned()).await {
        Ok(turn) => turn.map_err(|_| Refusal::stopping()),
        Err(_) => Err(Refusal::busy("too many searches of the log are under way", "ask again when one has ended")),
    }
}
