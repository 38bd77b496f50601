//! One HTTP/1.1 connection, driven by the task that uses it, without a hop to another one.
//!
//! What the socket has is read into a buffer that all connections of a thread share, taken out of its framing in one
//! pass and handed on in one piece: a stream that waits holds no buffer, and many events that came at once go on in one
//! write. It is a parser at the edge of trust: strict in what it takes for an answer, and a connection goes back to the
//! pool only when its answer was read to the end and not a byte came behind it.

mod body;
mod framing;
mod head;
mod outgoing;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;
use tokio::time::timeout;

use self::body::{Body1, Taken};
use self::head::{Head, Heads};
use self::outgoing::Outgoing;
use super::connect::Stream;
use super::exchange::{BoxFuture, BoxSource, Link, RequestHead, SendError, SendResult, Upload};

/// A head beyond this is a fault.
pub const MAX_HEAD: usize = 64 * 1024;
/// More than any honest head has; the bytes are what bounds it.
pub const MAX_HEADERS: usize = 1024;
/// The most that is read at once, and so the largest piece that goes on.
const PIECE: usize = 64 * 1024;
/// How long after the upload broke a refusal is waited for that may be the reason: mostly it is there already, and only
/// the runtime has not told of it yet.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Where a connection goes when its answer was read to the end.
pub trait Home: Send + Sync {
    fn keep(self: Arc<Self>, connection: Box<Http1>);
}

pub struct Http1 {
    stream: TokioIo<Stream>,
    /// An error that came behind bytes which had to go on first; the socket tells it only once.
    failed: Option<io::Error>,
}

impl Http1 {
    pub fn new(stream: Stream) -> Box<Self> {
        Box::new(Self { stream: TokioIo::new(stream), failed: None })
    }

    /// Looks whether the other side hung up or spoke unasked. To a task whose turn is spent the runtime would say that
    /// there is nothing to read, whatever there is; so this look is no part of a turn.
    pub fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let stream = &mut self.stream;
        let look = unconstrained(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut byte))));
        self.failed.is_none() && pin!(look).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Hands everything that is there, up to a piece, to `then`. No bytes: the other side has closed.
    fn poll_read<T>(&mut self, cx: &mut Context<'_>, then: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        thread_local! {
            static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
        }
        BUFFER.with_borrow_mut(|buffer| match self.poll_fill(cx, buffer) {
            Poll::Ready(Ok(filled)) => Poll::Ready(Ok(then(&buffer[..filled]))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        })
    }

    /// Asking again after a read that did not fill the buffer costs nothing on a socket, which knows that it is empty;
    /// TLS gives a record at a time.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let mut read = ReadBuf::new(buffer);
        while read.remaining() > 0 {
            let before = read.filled().len();
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if read.filled().len() == before => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if before == 0 => return Poll::Ready(Err(error)),
                Poll::Ready(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Poll::Pending if before == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(read.filled().len()))
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

    fn send(self: Box<Self>, head: &RequestHead<'_>, body: Upload) -> BoxFuture<'static, SendResult> {
        let Self { mut connection, home, .. } = *self;
        let mut heads = Heads::new(head.method.clone());
        let mut outgoing = Outgoing::new(head, body);
        Box::pin(async move {
            let mut answered = poll_fn(|cx| poll_answer(&mut connection, &mut outgoing, &mut heads, cx)).await;
            if answered.as_ref().is_err_and(|silence| silence.unheard) {
                let last_words = poll_fn(|cx| poll_head(&mut connection, &mut heads, cx));
                answered = timeout(LAST_WORDS, last_words).await.unwrap_or(answered);
            }
            let (head, brought) = answered.map_err(|silence| {
                let unsent = outgoing.is_unsent();
                SendError { unsent, died_silent: unsent || (silence.died && !heads.anything()), detail: silence.detail }
            })?;
            let Head { response, framing, keeps } = head;
            let outgoing = (!outgoing.is_done()).then(|| Box::new(outgoing));
            let body = Body1::new(connection, framing, keeps, outgoing, home).begun_with(brought);
            Ok(response.map(|()| Box::new(body) as BoxSource))
        })
    }
}

/// Why there is no answer.
struct Silence {
    detail: String,
    /// The connection broke, or was closed.
    died: bool,
    /// It broke on the way up; what came down before may still be to be read.
    unheard: bool,
}

impl Silence {
    fn broken(error: &io::Error) -> Self {
        Self { detail: broken(error), died: true, unheard: false }
    }

    fn closed() -> Self {
        Self { detail: CLOSED.to_owned(), died: true, unheard: false }
    }

    fn garbage(detail: String) -> Self {
        Self { detail, died: false, unheard: false }
    }
}

const CLOSED: &str = "it closed the connection before its answer was complete";

fn broken(error: &io::Error) -> String {
    format!("the connection broke: {error}")
}

type Answered = Result<(Head, Taken), Silence>;

/// Writes and reads until there is a head. An answer may come before the request is out: then that goes on being
/// written while the answer's body is read.
fn poll_answer(
    connection: &mut Http1,
    outgoing: &mut Outgoing,
    heads: &mut Heads,
    cx: &mut Context<'_>,
) -> Poll<Answered> {
    let written = outgoing.poll_write(&mut connection.stream, cx);
    match (poll_head(connection, heads, cx), written) {
        // Who refuses a request in the middle may have said so before closing: what there is to read comes first.
        (Poll::Pending, Poll::Ready(Err(error))) => {
            Poll::Ready(Err(Silence { unheard: true, ..Silence::broken(&error) }))
        }
        (answered, _) => answered,
    }
}

/// Reads until there is a head.
fn poll_head(connection: &mut Http1, heads: &mut Heads, cx: &mut Context<'_>) -> Poll<Answered> {
    loop {
        let read = ready!(connection.poll_read(cx, |bytes| match heads.take(bytes) {
            _ if bytes.is_empty() => Err(Silence::closed()),
            Ok(answered) => Ok(answered.map(|(mut head, used)| {
                let taken = Taken::of(&mut head.framing, &bytes[used..]);
                (head, taken)
            })),
            Err(detail) => Err(Silence::garbage(detail)),
        }));
        return Poll::Ready(match read {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(answered))) => Ok(answered),
            Ok(Err(silence)) => Err(silence),
            Err(error) => Err(Silence::broken(&error)),
        });
    }
}
