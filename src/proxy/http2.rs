//! HTTP/2: connections that requests share, each with a task of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Version;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Stream;
use super::exchange::{
    BoxFuture, BoxSource, ByteSource, ConnectError, Link, RequestHead, SendError, SendResult, SourceError, Upload,
};
use super::http1::MAX_HEAD;
use super::joining::{Joining, poll_data, send_error};
use crate::clock;

/// Who leaves before it says nothing of the server.
const HASTE: Duration = Duration::from_millis(500);
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

type Sender = http2::SendRequest<Upload>;
type Connection = http2::Connection<Stream, Upload, TokioExecutor>;

/// One connection and how much of it is in use.
pub struct Multiplexed {
    sender: Sender,
    /// Driven by its task, asked here.
    connection: Weak<Mutex<Connection>>,
    /// Each request under way has a clone of it.
    turn: Arc<Turn>,
}

#[derive(Default)]
struct Turn {
    /// A request on it was given up without a word of an answer, and none has been answered since. Its keep-alive tells
    /// no more than that somebody is there: a balancer, say, in front of a server that is gone.
    is_mute: AtomicBool,
}

impl Multiplexed {
    pub async fn open(stream: Stream) -> Result<Self, ConnectError> {
        let (sender, connection) = handshake(stream).await?;
        let connection = Arc::new(Mutex::new(connection));
        let asked = Arc::downgrade(&connection);
        tokio::spawn(async move {
            if let Err(error) = poll_fn(|cx| Pin::new(&mut *lock(&connection)).poll(cx)).await {
                tracing::debug!("an HTTP/2 connection ended: {error}");
            }
        });
        Ok(Self { sender, connection: asked, turn: Arc::default() })
    }

    pub fn is_alive(&self) -> bool {
        self.sender.is_ready()
    }

    pub fn is_mute(&self) -> bool {
        self.turn.is_mute.load(Ordering::Relaxed)
    }

    pub fn is_idle(&self) -> bool {
        self.under_way() == 0
    }

    /// Whether the server takes one more request on it now; one beyond its limit would wait unseen.
    pub fn has_room(&self) -> bool {
        let connection = self.connection.upgrade();
        connection.is_some_and(|connection| self.under_way() < lock(&connection).current_max_send_streams())
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.turn) - 1
    }

    pub fn link(&self, reused: bool) -> Box<dyn Link> {
        Box::new(Link2 { sender: self.sender.clone(), reused, turn: Arc::clone(&self.turn) })
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handshake(stream: Stream) -> Result<(Sender, Connection), ConnectError> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // A reader that stands still holds back its own stream alone: the connection's window is never what runs out.
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    builder.handshake(stream).await.map_err(|error| ConnectError::There(error.to_string()))
}

/// One request on a shared connection.
struct Link2 {
    sender: Sender,
    reused: bool,
    turn: Arc<Turn>,
}

/// A request that waits for its answer's head. Dropped before that, it was given up.
struct Waiting {
    turn: Arc<Turn>,
    since: Instant,
    is_answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_answered || clock::now().saturating_duration_since(self.since) >= HASTE {
            self.turn.is_mute.store(!self.is_answered, Ordering::Relaxed);
        }
    }
}

impl Link for Link2 {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(mut self: Box<Self>, head: &RequestHead<'_>, body: Upload) -> BoxFuture<'static, SendResult> {
        let request = head.to_request(body).ok_or_else(|| SendError::before("its address makes no valid URI"));
        Box::pin(async move {
            let mut request = request?;
            *request.version_mut() = Version::HTTP_2;
            let mut waiting = Waiting { turn: self.turn, since: clock::now(), is_answered: false };
            let answered = self.sender.try_send_request(request).await;
            waiting.is_answered = true;
            let response = answered.map_err(|error| {
                let unsent = error.message().is_some() || is_unprocessed(error.error());
                // A shared connection that slept too long is found dead by its keep-alive.
                let slept = self.reused && error.error().is_timeout();
                let error = send_error(error.error(), unsent);
                SendError { died_silent: error.died_silent || slept, ..error }
            })?;
            let turn = Arc::clone(&waiting.turn);
            Ok(response.map(|body| Box::new(Body2 { body, joining: Joining::default(), _turn: turn }) as BoxSource))
        })
    }
}

/// An HTTP/2 answer's body; its connection has a task of its own.
struct Body2 {
    body: Incoming,
    joining: Joining,
    _turn: Arc<Turn>,
}

impl ByteSource for Body2 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let body = &mut self.body;
        self.joining.poll(|| poll_data(body, cx))
    }
}

/// Whether the server said that it did nothing: a connection that it retires, a stream that it refuses (RFC 9113
/// section 8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let error = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_go_away() || (error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
