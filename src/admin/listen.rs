//! Binds, takes connections in and answers them, on a thread of its own: whatever operators do, it costs the relay's
//! thread nothing. An address that is taken is tried again and again; clients' requests never wait for it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

use super::Stop;
use super::serve::Service;

const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The pause after an accept that failed for want of descriptors.
const BREATHER: Duration = Duration::from_millis(100);
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 64 * 1024;
/// What may wait for a slow reader here, and in the system.
const WRITE_BUFFER: usize = 256 * 1024;
/// More wait to be taken in.
const MOST_CONNECTIONS: usize = 512;
const BACKLOG: u32 = 128;
/// Who takes no byte for so long reads no more, and is dropped.
const BLOCKED: Duration = Duration::from_secs(10);

/// Listens on the first of the host's addresses that is free.
pub async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let name = host.trim_matches(['[', ']']);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host((name, port)).await? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections inherit it: a watcher that does not read costs so much and no more.
    socket.set_send_buffer_size(u32::try_from(WRITE_BUFFER).unwrap_or(u32::MAX))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Tries until it works; `None` when the program ends first.
pub async fn bind_at_last(host: &str, port: u16, stop: &mut watch::Receiver<Stop>) -> Option<TcpListener> {
    loop {
        tokio::select! {
            () = sleep(TRY_AGAIN) => {}
            _ = stop.wait_for(|stop| *stop == Stop::Now) => return None,
        }
        if let Ok(listener) = bind(host, port).await {
            return Some(listener);
        }
    }
}

/// Answers until `stop` says now.
pub async fn run(listener: TcpListener, service: Service, mut stop: watch::Receiver<Stop>) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop == Stop::Now) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = service.clone();
                connections.spawn(async move {
                    serve(stream, service).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("the admin server cannot take a connection in: {error}");
                sleep(BREATHER).await;
            }
        }
    }
    // Dropping the set ends them all: nothing here holds the program up.
}

async fn serve(stream: TcpStream, service: Service) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD);
    if let Err(error) = builder.serve_connection(TokioIo::new(Patient::new(stream)), service).await {
        tracing::debug!("a connection to the admin server ended: {error}");
    }
}

/// A stream whose reader must go on reading.
struct Patient<S> {
    stream: S,
    /// Runs while nothing can be written.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S) -> Self {
        Self { stream, blocked: None }
    }

    /// What the write said, unless it has been blocked for too long.
    fn judge<T>(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.blocked = None;
            return wrote;
        }
        let timer = self.blocked.get_or_insert_with(|| Box::pin(sleep(BLOCKED)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "it reads no more")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.judge(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn who_reads_no_more_is_dropped_and_who_reads_slowly_is_not() {
        let (ours, mut theirs) = duplex(10);
        let mut ours = Patient::new(ours);
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            for _ in 0..20 {
                sleep(BLOCKED.mul_f32(0.9)).await;
                theirs.read_exact(&mut byte).await.unwrap();
            }
            sleep(Duration::from_hours(1)).await;
        });
        ours.write_all(&[1; 30]).await.unwrap();
        let since = clock::now();
        let error = ours.write_all(&[1; 30]).await.unwrap_err();
        assert_eq!((error.kind(), clock::now() - since), (io::ErrorKind::TimedOut, BLOCKED));
        reading.abort();
    }
}
