//! A client's connection as hyper reads and writes it, and a second view on it for whoever wants to know whether the client
//! is still there.
//!
//! While a request is answered hyper reads on to learn of the client's leaving, but only as long as nothing comes: a byte
//! behind the request (an empty line, a request sent ahead) and it looks no more until that byte's turn has come.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

#[derive(Clone)]
pub struct ClientStream(Arc<Inner>);

struct Inner {
    /// Never held across a wait.
    stream: Mutex<TokioIo<TcpStream>>,
    /// The last read waits for more: it will hear of the end.
    is_listening: AtomicBool,
}

impl ClientStream {
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Inner { stream: Mutex::new(TokioIo::new(stream)), is_listening: AtomicBool::new(false) }))
    }

    fn stream(&self) -> MutexGuard<'_, TokioIo<TcpStream>> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once the client has left while nobody reads; to be polled by the task that polls the connection, behind it.
    /// What comes unread keeps the end out of sight, as long as it is not read.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_listening.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut byte = [0];
        let stream = self.stream();
        match stream.inner().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
        }
    }

    /// Ends our side; forgets what came since. Ready when it was something (`true`), or at the end of the client's side.
    pub fn poll_forget(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut stream = self.stream();
        let _ = ready!(Pin::new(&mut *stream).poll_shutdown(cx));
        let mut room = [0; 8192];
        let mut room = ReadBuf::new(&mut room);
        let read = ready!(Pin::new(stream.inner_mut()).poll_read(cx, &mut room));
        Poll::Ready(read.is_ok() && !room.filled().is_empty())
    }

    /// The connection ends with a reset, which nobody takes for the end of an answer.
    pub fn reset(&self) {
        let _ = self.stream().inner().set_zero_linger();
    }

    fn with<T>(&self, then: impl FnOnce(Pin<&mut TokioIo<TcpStream>>) -> T) -> T {
        then(Pin::new(&mut *self.stream()))
    }
}

impl Read for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = self.with(|stream| stream.poll_read(cx, room));
        self.0.is_listening.store(read.is_pending(), Ordering::Relaxed);
        read
    }
}

impl Write for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
