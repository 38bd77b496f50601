//! A scripted upstream on a bare TCP socket, so that it can also misbehave below HTTP.
//!
//! It answers each request with the next reply of its script, then with its default, and keeps what it was sent
//! exactly as it came. The examples use the same file as the tests.

// The examples load this file by its path, from where plain `mod` lines would look elsewhere.
#[path = "upstream/bodies.rs"]
pub mod bodies;
#[path = "upstream/coding.rs"]
pub mod coding;
#[path = "upstream/connection.rs"]
mod connection;
#[path = "upstream/faults.rs"]
pub mod faults;
#[path = "upstream/nobody.rs"]
mod nobody;
#[path = "upstream/reply.rs"]
pub mod reply;
#[path = "upstream/tls.rs"]
pub mod tls;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use nobody::{Refusing, Unanswering};
pub use reply::{Framing, Gate, Part, Reply};
pub use tls::Identity;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which connection carried it, counted from 0.
    pub connection: usize,
    pub at: Instant,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In order, names as written.
    pub headers: Vec<(String, String)>,
    /// Unchunked; empty for a reply that does not read it.
    pub body: Bytes,
}

impl Seen {
    /// The first value of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// Whether the body asks for a stream.
    pub fn wants_stream(&self) -> bool {
        serde_json::from_slice::<serde_json::Value>(&self.body).is_ok_and(|body| body["stream"] == true)
    }
}

/// The moment at which a peer closed a connection.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub connection: usize,
    pub at: Instant,
    /// A reply was under way.
    pub mid_reply: bool,
}

/// What happens to a fresh connection before any request is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    #[default]
    Serve,
    Close,
    Reset,
    Hang,
    /// Says these bytes at once and closes.
    Speak(&'static str),
}

type Chooser = Arc<dyn Fn(&Seen) -> Option<Reply> + Send + Sync>;

/// An upstream to be: its script, then [`Script::start`].
#[derive(Clone, Default)]
pub struct Script {
    name: String,
    replies: VecDeque<Reply>,
    default: Option<Reply>,
    chooser: Option<Chooser>,
    accept: Accept,
    identity: Option<Identity>,
    port: u16,
    forgets: bool,
}

impl Script {
    /// One more reply, for one more request.
    pub fn then(mut self, reply: Reply) -> Self {
        self.replies.push_back(reply);
        self
    }

    /// What every request gets when the script is over; without it a right answer to what was asked.
    pub fn always(mut self, reply: Reply) -> Self {
        self.default = Some(reply);
        self
    }

    /// Looks at every request first; `None` leaves it to the script.
    pub fn choose(mut self, choose: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Self {
        self.chooser = Some(Arc::new(choose));
        self
    }

    pub fn accepting(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    pub fn tls(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Keeps no requests: for a run without end.
    pub fn forgetting(mut self) -> Self {
        self.forgets = true;
        self
    }

    pub async fn start(self) -> io::Result<Upstream> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        let address = listener.local_addr()?;
        let acceptor = self.identity.as_ref().map(Identity::acceptor);
        let shared = Arc::new(Shared {
            name: self.name,
            chooser: self.chooser,
            accept: self.accept,
            forgets: self.forgets,
            plan: Mutex::new(Plan { replies: self.replies, default: self.default }),
            log: Mutex::default(),
            connections: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            playing: AtomicUsize::new(0),
            written: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, acceptor.clone(), Arc::clone(&shared)));
        Ok(Upstream { address, secure: acceptor.is_some(), shared, task })
    }
}

/// A running upstream; dropping it breaks its connections.
pub struct Upstream {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// A script whose answers carry `x-upstream: NAME`.
    #[expect(clippy::new_ret_no_self, reason = "reads as a story: new, script, start")]
    pub fn new(name: &str) -> Script {
        Script { name: name.to_owned(), ..Script::default() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        // A certificate names the host; plain ones go by address.
        if self.secure {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// One more reply, before the default ones.
    pub fn then(&self, reply: Reply) {
        self.shared.plan().replies.push_back(reply);
    }

    /// Every later answer; `None` for a right one.
    pub fn set_default(&self, reply: Option<Reply>) {
        self.shared.plan().default = reply;
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.shared.log().seen.clone()
    }

    pub fn hits(&self) -> usize {
        self.shared.log().seen.len()
    }

    pub fn closed(&self) -> Vec<Closed> {
        self.shared.log().closed.clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections that were closed upon a second request, before a byte of an answer.
    pub fn dropped_on_reuse(&self) -> usize {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Replies that are being played now: an attempt that somebody gave up leaves none.
    pub fn under_way(&self) -> usize {
        self.shared.playing.load(Ordering::Relaxed)
    }

    /// Bytes that the socket took.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    closed: Vec<Closed>,
}

struct Plan {
    replies: VecDeque<Reply>,
    default: Option<Reply>,
}

struct Shared {
    name: String,
    chooser: Option<Chooser>,
    accept: Accept,
    forgets: bool,
    plan: Mutex<Plan>,
    log: Mutex<Log>,
    connections: AtomicUsize,
    dropped: AtomicUsize,
    playing: AtomicUsize,
    written: AtomicU64,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply that the script names.
    fn next(&self) -> Option<Reply> {
        let mut plan = self.plan();
        plan.replies.pop_front().or_else(|| plan.default.clone())
    }

    fn chosen(&self, seen: &Seen) -> Option<Reply> {
        self.chooser.as_ref().and_then(|choose| choose(seen))
    }

    fn keep(&self, seen: Seen) {
        if !self.forgets {
            self.log().seen.push(seen);
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        running.spawn(open(stream, acceptor.clone(), number, Arc::clone(&shared)));
    }
}

async fn open(stream: TcpStream, acceptor: Option<TlsAcceptor>, number: usize, shared: Arc<Shared>) {
    // A connection that cannot be set up is over; the script goes on with the next one.
    let _ = stream.set_nodelay(true);
    match shared.accept {
        Accept::Serve => {}
        Accept::Close => return,
        Accept::Reset => return drop(stream.set_zero_linger()),
        Accept::Hang => std::future::pending().await,
        Accept::Speak(words) => return speak(stream, words).await,
    }
    let wire = match acceptor {
        None => connection::Wire::Plain(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => connection::Wire::Tls(Box::new(stream)),
            Err(_) => return,
        },
    };
    connection::serve(wire, number, &shared).await;
}

async fn speak(mut stream: TcpStream, words: &str) {
    // Whoever left does not hear it.
    let _ = stream.write_all(words.as_bytes()).await;
    let _ = stream.shutdown().await;
    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
}
