//! Binds, takes connections in and answers them, on a thread of its own: whatever operators do, it costs the relay's
//! thread nothing. An address that is taken is tried again and again; clients' requests never wait for it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Sleep, sleep};

use super::Stop;
use super::serve::{Service, unreadable};
use crate::unreadable::{Explaining, Turn};

const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The pause after an accept that failed for want of descriptors.
const BREATHER: Duration = Duration::from_millis(100);
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 64 * 1024;
/// As on the proxy's port.
const MAX_HEADERS: usize = 256;
/// What may wait for a slow reader here, and in the system.
const WRITE_BUFFER: usize = 256 * 1024;
/// With so many connected, the next one takes the place of the one that has been idle for longest. They share the
/// process's descriptors with clients' requests.
const MOST_CONNECTIONS: usize = 256;
const BACKLOG: u32 = 128;
/// At the end, what is going out may still take so long.
const LAST_MOMENT: Duration = Duration::from_millis(300);
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
    let mut guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = is_now(&mut stop) => break,
            () = guests.left() => continue,
            // Nobody tells when one of them has done with their request.
            () = sleep(BREATHER), if !guests.have_room() => continue,
            accepted = listener.accept(), if guests.have_room() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (service, busy) = (service.clone(), Arc::<Busy>::default());
                guests.take_in(&busy, serve(stream, service, Arc::clone(&busy), stop.clone()));
            }
            Err(error) => {
                tracing::debug!("the admin server cannot take a connection in: {error}");
                sleep(BREATHER).await;
            }
        }
    }
    // Streams that were told to end are told so to the last byte; whoever does not read holds nothing up for longer.
    let _ = tokio::time::timeout(LAST_MOMENT, async { while guests.tasks.join_next().await.is_some() {} }).await;
}

/// Also when nobody is left who could say so.
async fn is_now(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop == Stop::Now).await;
}

/// Requests that a connection has under way.
#[derive(Debug, Default)]
pub struct Busy(AtomicUsize);

impl Busy {
    pub fn begin(self: &Arc<Self>) -> AtWork {
        self.0.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(self))
    }

    fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub struct AtWork(Arc<Busy>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those who are connected.
#[derive(Default)]
struct Guests {
    tasks: JoinSet<()>,
    /// Oldest first.
    present: VecDeque<(Arc<Busy>, AbortHandle)>,
}

impl Guests {
    /// Whether one more can come in: there is a place, or one who does nothing with theirs.
    fn have_room(&self) -> bool {
        self.present.len() < MOST_CONNECTIONS || self.present.iter().any(|(busy, _)| busy.is_idle())
    }

    fn take_in(&mut self, busy: &Arc<Busy>, serving: impl Future<Output = ()> + Send + 'static) {
        if self.present.len() >= MOST_CONNECTIONS
            && let Some(at) = self.present.iter().position(|(busy, _)| busy.is_idle())
            && let Some((_, idle)) = self.present.remove(at)
        {
            idle.abort();
        }
        let handle = self.tasks.spawn(serving);
        self.present.push_back((Arc::clone(busy), handle));
    }

    /// Returns when one has left; never while nobody is there.
    async fn left(&mut self) {
        match self.tasks.join_next().await {
            Some(_) => self.present.retain(|(_, task)| !task.is_finished()),
            None => std::future::pending().await,
        }
    }
}

async fn serve(stream: TcpStream, service: Service, busy: Arc<Busy>, mut stop: watch::Receiver<Stop>) {
    let _ = stream.set_nodelay(true);
    let turn = Turn::default();
    let explained = Explaining::new(TokioIo::new(Patient::new(stream)), turn.clone(), unreadable);
    let service = service_fn(move |request| {
        let (service, busy) = (service.clone(), Arc::clone(&busy));
        turn.begin(Box::pin(async move { Ok::<_, std::convert::Infallible>(service.answer(request, &busy).await) }))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let mut connection = pin!(builder.serve_connection(explained, service));
    let served = tokio::select! {
        served = &mut connection => served,
        () = is_now(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
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
    use tokio::sync::oneshot;

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

    #[tokio::test]
    async fn whoever_comes_takes_the_place_of_the_one_who_did_nothing_for_longest() {
        let mut guests = Guests::default();
        let mut come = |works: bool| {
            let (busy, (end, ended)) = (Arc::<Busy>::default(), oneshot::channel::<()>());
            let at_work = works.then(|| busy.begin());
            guests.take_in(&busy, async move {
                let _end = end;
                std::future::pending::<()>().await;
            });
            (at_work, ended)
        };
        let first = come(true);
        let mut idle = come(false);
        let others: Vec<_> = (2..MOST_CONNECTIONS).map(|_| come(false)).collect();
        assert_eq!(idle.1.try_recv(), Err(oneshot::error::TryRecvError::Empty), "there are places for all of them");
        let last = come(true);
        assert!(idle.1.await.is_err(), "its task is gone");
        for (_, mut ended) in others.into_iter().chain([first, last]) {
            assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
        guests.left().await;
        assert_eq!((guests.present.len(), guests.have_room()), (MOST_CONNECTIONS, true));
    }

    #[tokio::test]
    async fn with_all_places_busy_the_next_one_waits() {
        let mut guests = Guests::default();
        let busy: Vec<_> = (0..MOST_CONNECTIONS).map(|_| Arc::<Busy>::default()).collect();
        let mut work: Vec<_> = busy.iter().map(Busy::begin).collect();
        for busy in &busy {
            guests.take_in(busy, std::future::pending());
        }
        assert!(!guests.have_room());
        work.pop();
        assert!(guests.have_room());
    }
}
