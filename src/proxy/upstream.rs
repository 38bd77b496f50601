//! One endpoint's pooled HTTPS client.
//!
//! hyper's pooled client hands an answer's body over chunk by chunk between two tasks, which costs a write per event
//! on a busy stream. Here a request owns its HTTP/1.1 connection and drives it from the same task that relays the
//! body: what one read brought goes on in one piece. HTTP/2 connections are shared and have a task of their own.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::{Connector, Stream};
use super::exchange::{BoxFuture, BoxSource, ByteSource, ConnectError, Exchange, Link, SendError, SourceError, Upload};
use crate::clock;
use crate::domain::endpoint::{EndpointSpec, HttpVersion};

/// A head beyond this is a fault.
const MAX_HEAD: usize = 64 * 1024;
/// More than any session holds open at once; further ones are closed after use.
const MAX_IDLE: usize = 128;
/// Under the minute after which most servers hang up.
const IDLE_FOR: Duration = Duration::from_secs(50);
/// What is ready goes on in pieces of at most about this size.
const PIECE: usize = 64 * 1024;
/// How long an answer that is complete for us may take to end its framing and so keep its connection.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

type Conn1 = http1::Connection<TokioIo<Heard>, Upload>;

#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    connector: Connector,
    http: HttpVersion,
    idle: Mutex<Idle>,
    multiplexed: Mutex<Option<http2::SendRequest<Upload>>>,
}

#[derive(Default)]
struct Idle {
    /// The one used last is taken first: it is the likeliest to be alive.
    connections: Vec<(Http1, Instant)>,
    swept: bool,
}

struct Http1 {
    sender: http1::SendRequest<Upload>,
    conn: Conn1,
    /// Whether a byte came since the last request was sent.
    heard: Arc<AtomicBool>,
}

impl Upstream {
    /// # Errors
    /// A sentence: what in the settings cannot be used.
    pub fn new(spec: &EndpointSpec) -> Result<Self, String> {
        let connector = Connector::new(spec)?;
        let shared = Shared { connector, http: spec.http, idle: Mutex::default(), multiplexed: Mutex::default() };
        Ok(Self(Arc::new(shared)))
    }
}

impl Exchange for Upstream {
    fn connect(&self, fresh: bool) -> BoxFuture<'_, Result<Box<dyn Link>, ConnectError>> {
        Box::pin(async move {
            if !fresh {
                if let Some(connection) = self.0.take_idle() {
                    return Ok(self.link1(connection, true));
                }
                if let Some(sender) = self.0.shared_sender() {
                    return Ok(Box::new(Link2 { sender, reused: true }) as Box<dyn Link>);
                }
            }
            let stream = self.0.connector.connect().await?;
            if self.0.speaks_http2(&stream) { self.open2(stream).await } else { self.open1(stream).await }
        })
    }
}

impl Upstream {
    fn link1(&self, connection: Http1, reused: bool) -> Box<dyn Link> {
        Box::new(Link1 { connection, reused, home: Arc::downgrade(&self.0) })
    }

    async fn open1(&self, stream: Stream) -> Result<Box<dyn Link>, ConnectError> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD);
        let heard = Arc::<AtomicBool>::default();
        let stream = TokioIo::new(Heard { stream: TokioIo::new(stream), heard: Arc::clone(&heard) });
        let (sender, conn) = builder.handshake(stream).await.map_err(|error| ConnectError(error.to_string()))?;
        Ok(self.link1(Http1 { sender, conn, heard }, false))
    }

    async fn open2(&self, stream: Stream) -> Result<Box<dyn Link>, ConnectError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
        builder.keep_alive_interval(Duration::from_secs(30)).keep_alive_timeout(Duration::from_secs(20));
        let (sender, conn) = builder.handshake(stream).await.map_err(|error| ConnectError(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = conn.await {
                tracing::debug!("an HTTP/2 connection ended: {error}");
            }
        });
        *lock(&self.0.multiplexed) = Some(sender.clone());
        Ok(Box::new(Link2 { sender, reused: false }))
    }
}

impl Shared {
    fn speaks_http2(&self, stream: &Stream) -> bool {
        self.http == HttpVersion::Http2 || stream.connected().is_negotiated_h2()
    }

    fn take_idle(&self) -> Option<Http1> {
        loop {
            let (mut connection, since) = lock(&self.idle).connections.pop()?;
            if clock::now().saturating_duration_since(since) < IDLE_FOR && connection.is_alive() {
                return Some(connection);
            }
        }
    }

    fn shared_sender(&self) -> Option<http2::SendRequest<Upload>> {
        lock(&self.multiplexed).as_ref().filter(|sender| sender.is_ready()).cloned()
    }

    fn keep(self: &Arc<Self>, mut connection: Http1) {
        if !connection.is_alive() {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.connections.len() < MAX_IDLE {
            idle.connections.push((connection, clock::now()));
        }
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes what sat idle for too long or was closed by the other side, until there is nothing left to watch.
async fn sweep(home: Weak<Shared>) {
    loop {
        tokio::time::sleep(IDLE_FOR / 5).await;
        let Some(shared) = home.upgrade() else { return };
        let now = clock::now();
        let mut idle = lock(&shared.idle);
        idle.connections.retain_mut(|(connection, since)| {
            now.saturating_duration_since(*since) < IDLE_FOR && connection.is_alive()
        });
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

impl Http1 {
    /// Looks whether the other side hung up or spoke unasked. Two looks: the first may only finish the last answer.
    fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        (0..2).all(|_| pin!(&mut self.conn).poll(&mut cx).is_pending()) && self.sender.is_ready()
    }
}

/// A stream that tells whether anything was read from it: half an answer is no silence.
struct Heard {
    stream: TokioIo<Stream>,
    heard: Arc<AtomicBool>,
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

struct Link1 {
    connection: Http1,
    reused: bool,
    home: Weak<Shared>,
}

impl Link for Link1 {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(self: Box<Self>, request: Request<Upload>) -> BoxFuture<'static, Result<Response<BoxSource>, SendError>> {
        let Self { connection: Http1 { mut sender, mut conn, heard }, home, .. } = *self;
        Box::pin(async move {
            heard.store(false, Ordering::Relaxed);
            let mut answer = Box::pin(sender.try_send_request(origin_form(request)));
            let mut closed = false;
            let answered = std::future::poll_fn(|cx| {
                loop {
                    if let Poll::Ready(answered) = answer.as_mut().poll(cx) {
                        return Poll::Ready(answered);
                    }
                    if closed || pin!(&mut conn).poll(cx).is_pending() {
                        return answer.as_mut().poll(cx);
                    }
                    closed = true;
                }
            });
            let answered = answered.await;
            drop(answer);
            let response = answered.map_err(|error| {
                let unsent = error.message().is_some();
                send_error(error.error(), unsent, heard.load(Ordering::Relaxed))
            })?;
            let connection = (!closed).then_some(Http1 { sender, conn, heard });
            Ok(response
                .map(|body| Box::new(Body1 { body, connection, home, joining: Joining::default() }) as BoxSource))
        })
    }
}

fn origin_form(mut request: Request<Upload>) -> Request<Upload> {
    if let Some(target) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(target);
    }
    *request.version_mut() = Version::HTTP_11;
    request
}

fn send_error(error: &hyper::Error, unsent: bool, heard: bool) -> SendError {
    let died = error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_io(error);
    SendError { detail: describe(error), unsent, died_silent: unsent || (died && !heard) }
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn describe(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    match source {
        Some(_) if error.is_parse_too_large() => "its head is larger than 64 KiB".to_owned(),
        None if error.is_incomplete_message() => "it closed the connection before its answer was complete".to_owned(),
        _ if error.is_parse() => format!("its answer is no HTTP: {error}"),
        Some(source) => format!("the connection broke: {source}"),
        None => format!("the connection broke: {error}"),
    }
}

/// An HTTP/1.1 answer's body together with the connection that it comes on.
struct Body1 {
    body: Incoming,
    /// `None` once the other side closed it.
    connection: Option<Http1>,
    home: Weak<Shared>,
    joining: Joining,
}

impl Body1 {
    /// The next chunk, driving the connection as far as it takes.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        loop {
            if let Poll::Ready(chunk) = poll_data(&mut self.body, cx) {
                return Poll::Ready(chunk);
            }
            let Some(connection) = &mut self.connection else { return Poll::Pending };
            if pin!(&mut connection.conn).poll(cx).is_pending() {
                // What it just brought is in the body now, and nothing will wake us for that.
                return poll_data(&mut self.body, cx);
            }
            self.connection = None;
        }
    }

    fn go_home(&mut self) {
        if let (Some(connection), Some(home)) = (self.connection.take(), self.home.upgrade()) {
            home.keep(connection);
        }
    }
}

impl ByteSource for Body1 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let mut joining = std::mem::take(&mut self.joining);
        let polled = joining.poll(|| self.poll_chunk(cx));
        self.joining = joining;
        if matches!(polled, Poll::Ready(None)) {
            self.go_home();
        }
        polled
    }

    fn retire(mut self: Box<Self>) {
        if self.connection.is_none() {
            return;
        }
        tokio::spawn(async move {
            let ended = tokio::time::timeout(RETIRE_WITHIN, async {
                let mut left = PIECE;
                while let Some(Ok(rest)) = std::future::poll_fn(|cx| self.poll_bytes(cx)).await {
                    left = left.saturating_sub(rest.len());
                    if left == 0 {
                        return;
                    }
                }
            });
            let _ = ended.await;
        });
    }
}

/// The next data of a body; trailers and empty frames are passed over.
fn poll_data(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
    loop {
        return Poll::Ready(match ready!(pin!(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => Some(Ok(data)),
                _ => continue,
            },
            Some(Err(error)) => Some(Err(SourceError::Transport(describe(&error)))),
            None => None,
        });
    }
}

/// Joins all chunks that are ready into one piece, so that they go on in one write.
#[derive(Default)]
struct Joining {
    /// What came behind a piece: told after it.
    behind: Option<Result<(), SourceError>>,
}

impl Joining {
    fn poll(
        &mut self,
        mut next: impl FnMut() -> Poll<Option<Result<Bytes, SourceError>>>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        match &self.behind {
            Some(Ok(())) => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.clone()))),
            None => {}
        }
        let first = match ready!(next()) {
            Some(Ok(first)) => first,
            other => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        while first.len().max(joined.len()) < PIECE {
            match next() {
                Poll::Ready(Some(Ok(more))) => {
                    if joined.is_empty() {
                        joined.reserve(PIECE);
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&more);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.behind = Some(Err(error));
                    break;
                }
                Poll::Ready(None) => {
                    self.behind = Some(Ok(()));
                    break;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Some(Ok(if joined.is_empty() { first } else { joined.freeze() })))
    }
}

struct Link2 {
    sender: http2::SendRequest<Upload>,
    reused: bool,
}

impl Link for Link2 {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(
        mut self: Box<Self>,
        request: Request<Upload>,
    ) -> BoxFuture<'static, Result<Response<BoxSource>, SendError>> {
        Box::pin(async move {
            let mut request = request;
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(http::header::HOST);
            let response = self.sender.try_send_request(request).await.map_err(|error| {
                let unsent = error.message().is_some();
                send_error(error.error(), unsent, false)
            })?;
            Ok(response.map(|body| Box::new(Body2 { body, joining: Joining::default() }) as BoxSource))
        })
    }
}

/// An HTTP/2 answer's body; its connection has a task of its own.
struct Body2 {
    body: Incoming,
    joining: Joining,
}

impl ByteSource for Body2 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let body = &mut self.body;
        self.joining.poll(|| poll_data(body, cx))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
