//! One endpoint's pooled HTTPS client.
//!
//! hyper's client hands an answer's body over chunk by chunk, which costs a write per event on a busy stream. Here a
//! request owns its HTTP/1.1 connection and reads it in the same task that relays the body: what one read brought goes
//! on in one piece. HTTP/2 connections are shared, as far as the server lets them be, and have a task of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::Connection as _;

use super::connect::{Connector, Stream};
use super::exchange::{BoxFuture, ConnectError, Exchange, Link};
use super::http1::{Home, Http1, Link1};
use super::http2::Multiplexed;
use crate::clock;
use crate::domain::endpoint::{EndpointSpec, HttpVersion};

/// More than any session holds open at once; further ones are closed after use.
const MAX_IDLE: usize = 128;
/// Under the minute after which most servers hang up.
const IDLE_FOR: Duration = Duration::from_secs(50);

#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    connector: Connector,
    http: HttpVersion,
    idle: Mutex<Idle>,
    /// The newest first, each with the moment when it was taken last. There are several only where one has no room for
    /// all requests.
    multiplexed: Mutex<Vec<(Multiplexed, Instant)>>,
}

#[derive(Default)]
struct Idle {
    /// The one used last is taken first: it is the likeliest to be alive.
    connections: Vec<(Box<Http1>, Instant)>,
    swept: bool,
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
        let pooled = if fresh { None } else { self.pooled() };
        match pooled {
            Some(link) => Box::pin(std::future::ready(Ok(link))),
            None => Box::pin(self.open()),
        }
    }
}

impl Upstream {
    /// A connection that is open already.
    fn pooled(&self) -> Option<Box<dyn Link>> {
        let idle = self.0.take_idle().map(|connection| self.link1(connection, true));
        idle.or_else(|| self.0.link2())
    }

    async fn open(&self) -> Result<Box<dyn Link>, ConnectError> {
        // Boxed, or everything that a TLS handshake may need would be moved about with each request.
        let stream = Box::pin(self.0.connector.connect()).await?;
        if self.0.speaks_http2(&stream) {
            return self.open2(stream).await;
        }
        Ok(self.link1(Http1::new(stream), false))
    }

    fn link1(&self, connection: Box<Http1>, reused: bool) -> Box<dyn Link> {
        let home = Arc::downgrade(&self.0);
        Box::new(Link1 { connection, reused, home })
    }

    async fn open2(&self, stream: Stream) -> Result<Box<dyn Link>, ConnectError> {
        let connection = Multiplexed::open(stream).await?;
        let link = connection.link(false);
        lock(&self.0.multiplexed).insert(0, (connection, clock::now()));
        Ok(link)
    }
}

impl Shared {
    fn speaks_http2(&self, stream: &Stream) -> bool {
        self.http == HttpVersion::Http2 || stream.connected().is_negotiated_h2()
    }

    fn take_idle(&self) -> Option<Box<Http1>> {
        loop {
            let (mut connection, since) = lock(&self.idle).connections.pop()?;
            if clock::now().saturating_duration_since(since) < IDLE_FOR && connection.is_alive() {
                return Some(connection);
            }
        }
    }

    /// A stream on a connection that has room for it.
    fn link2(&self) -> Option<Box<dyn Link>> {
        let now = clock::now();
        let mut connections = lock(&self.multiplexed);
        let mut newest = true;
        connections.retain(|(connection, taken)| {
            let is_wanted = || !connection.is_idle() || now.saturating_duration_since(*taken) < IDLE_FOR;
            let is_done = connection.is_mute() && connection.is_idle();
            connection.is_alive() && !is_done && (std::mem::take(&mut newest) || is_wanted())
        });
        let free = |(connection, _): &&mut (Multiplexed, Instant)| !connection.is_mute() && connection.has_room();
        let (connection, taken) = connections.iter_mut().find(free)?;
        *taken = now;
        Some(connection.link(true))
    }
}

impl Home for Shared {
    fn keep(self: Arc<Self>, mut connection: Box<Http1>) {
        if !connection.is_alive() {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.connections.len() < MAX_IDLE {
            idle.connections.push((connection, clock::now()));
        }
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self)));
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
