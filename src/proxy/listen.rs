//! Takes connections in and sees them out.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Proxy;
use super::client_stream::ClientStream;
use crate::clock;
use crate::unreadable::{Explaining, Turn};

/// A head must be there within this time, and an idle connection is closed after it.
const HEAD_WITHIN: Duration = Duration::from_mins(2);
/// A request head beyond this is refused.
const MAX_HEAD: usize = 64 * 1024;
/// Room is made for so many with each request, so not for many more than any honest one has.
const MAX_HEADERS: usize = 256;
/// How long one whose head was refused may go on sending, all in all and with nothing coming.
const LINGER: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_millis(200);
/// The pause after an accept that failed for want of descriptors: the connection stays queued, so the next accept
/// would fail at once, for as long as none is freed.
const BREATHER: Duration = Duration::from_millis(50);

/// How far the end of the program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    No,
    /// Take nothing new; finish what is under way.
    Drain,
    /// Cut what is still under way.
    Now,
}

/// Serves until `stop` says drain, then until the last request is done or it says now. Of clients' connections there
/// are never more than `most`; further ones wait at the door.
pub async fn run(listener: TcpListener, proxy: Arc<Proxy>, most: usize, mut stop: watch::Receiver<Stop>) {
    let mut connections = JoinSet::new();
    let mut quiet_until = clock::now();
    loop {
        tokio::select! {
            biased;
            () = is_time(&mut stop, Stop::Drain) => break,
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&proxy), stop.clone()));
                }
                Err(error) => hold_on(&error, &mut quiet_until).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when it has come that far; also when nobody is left to say so.
async fn is_time(stop: &mut watch::Receiver<Stop>, wanted: Stop) {
    let _ = stop.wait_for(|stop| *stop >= wanted).await;
}

/// Waits a little; never gives up and never spins.
async fn hold_on(error: &io::Error, quiet_until: &mut std::time::Instant) {
    let now = clock::now();
    if now >= *quiet_until {
        tracing::warn!("cannot take a connection in, trying on: {error}");
        *quiet_until = now + Duration::from_secs(10);
    }
    tokio::time::sleep(BREATHER).await;
}

async fn serve(stream: TcpStream, proxy: Arc<Proxy>, mut stop: watch::Receiver<Stop>) {
    // Without it the last event of a read may wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let (asked, unchunked) = (AtomicBool::new(false), Arc::<AtomicBool>::default());
    let turn = Turn::default();
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        unchunked.store(request.version() == Version::HTTP_10, Ordering::Relaxed);
        // Boxed, so that a connection holds that much only while a request is on its way up.
        turn.begin(Box::pin(Arc::clone(&proxy).handle(request)))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let stream = ClientStream::new(stream);
    let explained = Explaining::new(stream.clone(), turn.clone(), |status| proxy.unreadable(status));
    let mut connection = builder.serve_connection(explained, service);
    let left = || poll_fn(|cx| stream.poll_left(cx));
    // To a client of HTTP/1.0 the end of the connection is the end of the answer: a cut must not look like one.
    let mark_cut = || {
        if unchunked.load(Ordering::Relaxed) {
            stream.reset();
        }
    };
    let served = tokio::select! {
        // First, so that what has come in already is read before it is decided whether anything was asked.
        biased;
        served = &mut connection => served,
        () = left() => return,
        () = is_time(&mut stop, Stop::Drain) => {
            // hyper closes what is idle, but would wait for the rest of a first head that has begun.
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                biased;
                served = &mut connection => served,
                () = left() => return,
                () = is_time(&mut stop, Stop::Now) => {
                    proxy.close();
                    return mark_cut();
                }
            }
        }
    };
    let Err(error) = served else { return };
    tracing::debug!("a client's connection ended: {error}");
    if error.is_parse() {
        drop(connection);
        tokio::select! {
            () = linger(&stream) => {}
            () = is_time(&mut stop, Stop::Drain) => {}
        }
    }
    if error.is_user() {
        mark_cut();
    }
}

/// Reads and forgets what a refused client still sends: one that is in the middle of it when the connection closes hears
/// of a reset before it reads why it was refused.
async fn linger(stream: &ClientStream) {
    let more = || timeout(SILENCE, poll_fn(|cx| stream.poll_forget(cx)));
    let _ = timeout(LINGER, async { while more().await == Ok(true) {} }).await;
}
