//! One HTTP/1.1 connection, driven by the task that uses it: the request is written, the answer read and its body
//! handed on without a hop to another task.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::Stream;
use super::exchange::{BoxFuture, BoxSource, ByteSource, ConnectError, Link, SendError, SourceError, Upload};
use super::joining::{Joining, PIECE, poll_data, send_error};

/// A head beyond this is a fault.
pub const MAX_HEAD: usize = 64 * 1024;
/// More than any honest head has; the bytes are what bounds it.
pub const MAX_HEADERS: usize = 1024;
/// All that may come before an answer's head is complete: that head and any number of interim answers.
const MAX_UNANSWERED: usize = 1024 * 1024;
/// How long an answer that is complete for us may take to end its framing and so keep its connection.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

/// Where a connection goes when its answer was read to the end.
pub trait Home: Send + Sync {
    fn keep(self: Arc<Self>, connection: Box<Http1>);
}

pub struct Http1 {
    sender: http1::SendRequest<Upload>,
    conn: http1::Connection<TokioIo<Heard>, Upload>,
    heard: Arc<Hearing>,
    gate: Arc<Gate>,
    waker: Waker,
}

impl Http1 {
    pub async fn open(stream: Stream) -> Result<Box<Self>, ConnectError> {
        let heard = Arc::<Hearing>::default();
        let stream = TokioIo::new(Heard { stream: TokioIo::new(stream), heard: Arc::clone(&heard) });
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (sender, conn) = builder.handshake(stream).await.map_err(|error| ConnectError::There(error.to_string()))?;
        let gate = Arc::<Gate>::default();
        let waker = Waker::from(Arc::clone(&gate));
        Ok(Box::new(Self { sender, conn, heard, gate, waker }))
    }

    /// Looks whether the other side hung up or spoke unasked. Two looks: the first may only finish the last answer.
    pub fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let alive = (0..2).all(|_| pin!(&mut self.conn).poll(&mut cx).is_pending()) && self.sender.is_ready();
        // Whatever happens from here on tells a waker that does not listen.
        self.gate.woken.store(true, Ordering::Relaxed);
        alive
    }

    /// Reads and writes what can be. Ready once the connection is at its end.
    fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.gate.open_for(cx.waker());
        if !self.gate.woken.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        pin!(&mut self.conn).poll(&mut Context::from_waker(&self.waker)).map(|_| ())
    }

    /// The next chunk that the connection has brought already. It is never waited for: who got none drives the
    /// connection, so the two need not wake one another, which would run the whole task a second time.
    fn poll_brought(body: &mut Incoming) -> Poll<Option<Result<Bytes, SourceError>>> {
        let _shut = Shut::new();
        poll_data(body, &mut Context::from_waker(Waker::noop()))
    }
}

/// The task's waker, deaf to what the task does to itself: taking a chunk wakes the connection that brought it, but
/// the task drives that next anyway, and being woken would only make it run once more for nothing.
struct Gate {
    task: Mutex<Option<Waker>>,
    /// Whether the connection can have got any further since it was driven last.
    woken: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { task: Mutex::default(), woken: AtomicBool::new(true) }
    }
}

impl Gate {
    fn open_for(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        if !SHUT.get()
            && let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner)
        {
            task.wake_by_ref();
        }
    }
}

thread_local! {
    /// Of a thread, so that nothing but what this thread does meanwhile goes unheard: whatever another one has to say
    /// (the socket, above all) gets through.
    static SHUT: Cell<bool> = const { Cell::new(false) };
}

struct Shut;

impl Shut {
    fn new() -> Self {
        SHUT.set(true);
        Self
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        SHUT.set(false);
    }
}

/// How many bytes came since the request was sent, as long as its answer's head is not there.
#[derive(Default)]
struct Hearing(AtomicUsize);

impl Hearing {
    const ANSWERED: usize = usize::MAX;

    fn ask(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn answered(&self) {
        self.0.store(Self::ANSWERED, Ordering::Relaxed);
    }

    /// Whether any byte came: half an answer is no silence.
    fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// A stream that tells what was read from it. Interim answers without end would otherwise keep the one thread busy,
/// at megabytes a turn, until the time for a first byte is over.
struct Heard {
    stream: TokioIo<Stream>,
    heard: Arc<Hearing>,
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let so_far = self.heard.0.load(Ordering::Relaxed);
        if so_far != Hearing::ANSWERED && so_far > MAX_UNANSWERED {
            return Poll::Ready(Err(io::Error::other("more than 1 MiB came before the answer's head")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 && so_far != Hearing::ANSWERED {
            self.heard.0.store(so_far + read, Ordering::Relaxed);
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

/// One request on one connection.
pub struct Link1 {
    pub connection: Box<Http1>,
    pub reused: bool,
    pub home: Weak<dyn Home>,
}

impl Link for Link1 {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(self: Box<Self>, request: Request<Upload>) -> BoxFuture<'static, Result<Response<BoxSource>, SendError>> {
        let Self { mut connection, home, .. } = *self;
        Box::pin(async move {
            let heard = Arc::clone(&connection.heard);
            heard.ask();
            let mut answer = Box::pin(connection.sender.try_send_request(origin_form(request)));
            // A connection at its end is dropped at once: only that gives back a request which it never took.
            let mut open = Some(connection);
            let answered = std::future::poll_fn(|cx| {
                // As with a body: it is the connection that is waited for.
                let mut quiet = Context::from_waker(Waker::noop());
                loop {
                    if let Poll::Ready(answered) = answer.as_mut().poll(&mut quiet) {
                        return Poll::Ready(answered);
                    }
                    if !open.as_mut().is_some_and(|connection| connection.poll_drive(cx).is_ready()) {
                        return answer.as_mut().poll(&mut quiet);
                    }
                    open = None;
                }
            });
            let response = answered.await.map_err(|error| {
                let unsent = error.message().is_some();
                send_error(error.error(), unsent, heard.anything())
            })?;
            heard.answered();
            let joining = Joining::default();
            Ok(response.map(|body| Box::new(Body1 { body, connection: open, home, joining }) as BoxSource))
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

/// An answer's body together with the connection that it comes on.
struct Body1 {
    body: Incoming,
    /// `None` once the other side closed it.
    connection: Option<Box<Http1>>,
    home: Weak<dyn Home>,
    joining: Joining,
}

impl Body1 {
    /// The next chunk, driving the connection as far as it takes.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        loop {
            let Some(connection) = &mut self.connection else { return poll_data(&mut self.body, cx) };
            if let Poll::Ready(chunk) = Http1::poll_brought(&mut self.body) {
                return Poll::Ready(chunk);
            }
            if connection.poll_drive(cx).is_pending() {
                return Http1::poll_brought(&mut self.body);
            }
            self.connection = None;
        }
    }
}

impl ByteSource for Body1 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let mut joining = std::mem::take(&mut self.joining);
        let polled = joining.poll(|| self.poll_chunk(cx));
        self.joining = joining;
        if matches!(polled, Poll::Ready(None))
            && let Some(connection) = self.connection.take()
            && let Some(home) = self.home.upgrade()
        {
            home.keep(connection);
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
