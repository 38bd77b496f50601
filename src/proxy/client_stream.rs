//! A client's connection as hyper reads and writes it, and a second view on it for whoever wants to know whether the client
//! is still there.
//!
//! While a request is answered hyper reads nothing. It could read on to learn of the client's leaving, but would make a
//! new buffer for that with each request, and stop at the first byte behind it (an empty line, a request sent ahead).

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// So many bytes that come before their turn are read, to see the end behind them.
const AHEAD: usize = 8 * 1024;

#[derive(Clone)]
pub struct ClientStream(Arc<Inner>);

struct Inner {
    /// Never held across a wait.
    socket: Mutex<Socket>,
    /// The last read waits for more: it will hear of the end.
    is_listening: AtomicBool,
}

struct Socket {
    stream: TokioIo<TcpStream>,
    /// Came before its turn.
    ahead: Vec<u8>,
}

impl ClientStream {
    pub fn new(stream: TcpStream) -> Self {
        let socket = Mutex::new(Socket { stream: TokioIo::new(stream), ahead: Vec::new() });
        Self(Arc::new(Inner { socket, is_listening: AtomicBool::new(false) }))
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once the client has left while nobody reads; to be polled by the task that polls the connection, behind it.
    /// More than a little that comes unread keeps the end out of sight, as long as it is not read.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_listening.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut socket = self.socket();
        while socket.ahead.len() < AHEAD {
            let mut room = [0; 512];
            let mut room = ReadBuf::new(&mut room);
            match Pin::new(socket.stream.inner_mut()).poll_read(cx, &mut room) {
                Poll::Ready(Ok(())) if !room.filled().is_empty() => socket.ahead.extend_from_slice(room.filled()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    /// Ends our side, and reads and forgets what still comes up to the end of the client's: one that is still sending
    /// when the connection closes hears of a reset before it reads why it was refused.
    pub fn poll_linger(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut socket = self.socket();
        let _ = ready!(Pin::new(&mut socket.stream).poll_shutdown(cx));
        let mut room = [0; 4096];
        loop {
            let mut room = ReadBuf::new(&mut room);
            match ready!(Pin::new(socket.stream.inner_mut()).poll_read(cx, &mut room)) {
                Ok(()) if !room.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// The connection ends with a reset, which nobody takes for the end of an answer.
    pub fn reset(&self) {
        let _ = self.socket().stream.inner().set_zero_linger();
    }

    fn with<T>(&self, then: impl FnOnce(Pin<&mut TokioIo<TcpStream>>) -> T) -> T {
        then(Pin::new(&mut self.socket().stream))
    }
}

impl Read for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut room: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.socket();
        if !socket.ahead.is_empty() {
            let mut ahead = mem::take(&mut socket.ahead);
            let rest = ahead.split_off(ahead.len().min(room.remaining()));
            room.put_slice(&ahead);
            socket.ahead = rest;
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut socket.stream).poll_read(cx, room);
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
        self.socket().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}
