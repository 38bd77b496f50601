//! The admin server: the operator's API and page, on an address of its own.
//!
//! It runs on a thread of its own with a runtime of its own, sees the program through what [`Parts`] holds, and does
//! nothing that belongs to the relay: it asks the serve loop ([`Order`]), which acts and answers.
//!
//! ```text
//! listen  takes connections in; who reads no more is dropped
//! serve   one request: guard -> body -> route -> the headers of every answer
//! guard   Host, Origin, token                      login   sessions
//! routes  the table of all routes                  openapi its description
//! status  views of the program and the endpoints   endpoints, candidate   changes and tests
//! events  who watches what happens                 logs, stats            what happened, read back
//! feed    pieces of it, shared by all of them      telling one happening as text
//! metrics figures for Prometheus                   settings, assets
//! ```

pub mod answer;
pub mod assets;
pub mod calendar;
pub mod candidate;
pub mod endpoints;
pub mod events;
pub mod feed;
pub mod guard;
pub mod input;
pub mod listen;
pub mod login;
pub mod logs;
pub mod metrics;
pub mod openapi;
pub mod routes;
pub mod serve;
pub mod settings;
pub mod state;
pub mod stats;
pub mod status;
pub mod telling;
pub mod when;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use self::metrics::Metrics;
pub use self::state::{Order, Parts, Shared, Standing};

use self::serve::Service;
use self::state::State;
use crate::config::listening;

/// How long the end of the program waits for this one's.
const PATIENCE: Duration = Duration::from_secs(1);
/// Reads of the log that may run at a time.
const BLOCKING_THREADS: usize = 8;

/// How far the end of the program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    No,
    /// Event streams end; what is asked is answered.
    Drain,
    Now,
}

/// The admin server's thread.
#[derive(Debug)]
pub struct Admin {
    stop: watch::Sender<Stop>,
    ended: blocking::Receiver<()>,
}

/// Starts the admin server on `host` and `port`. Returns at once; the address, or why it cannot be had yet, comes through
/// the receiver. It goes on trying.
///
/// # Errors
/// When the system gives no thread or runtime.
pub fn start(parts: Parts, host: String, port: u16) -> io::Result<(Admin, oneshot::Receiver<io::Result<SocketAddr>>)> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build()?;
    let (stop, stopping) = watch::channel(Stop::No);
    let (bound, told) = oneshot::channel();
    let (end, ended) = blocking::channel::<()>();
    std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(run(parts, host, port, stopping, bound));
        // A search under way reads on for a moment; nobody waits for it.
        runtime.shutdown_background();
        drop(end);
    })?;
    Ok((Admin { stop, ended }, told))
}

impl Admin {
    /// Event streams end now.
    pub fn drain(&self) {
        let _ = self.stop.send(Stop::Drain);
    }

    /// Ends it, and waits for that a moment.
    pub fn finish(self) {
        let _ = self.stop.send(Stop::Now);
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

async fn run(
    parts: Parts,
    host: String,
    port: u16,
    mut stop: watch::Receiver<Stop>,
    bound: oneshot::Sender<io::Result<SocketAddr>>,
) {
    let admin = State::new(parts, host.clone(), stop.clone());
    let first = listen::bind(&host, port).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let listener = match first {
        Ok((address, listener)) => {
            listening::listens(address);
            let _ = admin.address.set(address);
            let _ = bound.send(Ok(address));
            listener
        }
        Err(error) => {
            let _ = bound.send(Err(error));
            let Some(listener) = listen::bind_at_last(&host, port, &mut stop).await else { return };
            let Ok(address) = listener.local_addr() else { return };
            listening::listens(address);
            let _ = admin.address.set(address);
            tracing::info!("the admin server listens on http://{address} now");
            listener
        }
    };
    listen::run(listener, Service::new(admin), stop).await;
}
