//! `serve`: assembles the proxy, owns its tasks and the order in which they end.

mod admin;
mod descriptors;
mod reload;
mod signals;
mod tell;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::reload::{Reach, Reloader, Why};
use self::signals::{Signals, StopSignals};
use super::{CommandError, Exit, block_on};
use crate::admin::{Admin, Metrics, Order, Parts, Standing};
use crate::clock;
use crate::config::{Config, listening};
use crate::domain::redact::Redactor;
use crate::logs::{self, LogHandle, LogThread, Observer, Settings};
use crate::memory;
use crate::proxy::attempt::shown;
use crate::proxy::listen::{self, Stop};
use crate::proxy::{Proxy, probe};
use crate::telemetry::{self, SharedRedactor};
use crate::traffic::Traffic;

/// Orders of the admin server that wait for the loop.
const ORDERS: usize = 16;

pub fn run(config: Config) -> Result<Exit, CommandError> {
    memory::avoid_huge_pages();
    // One thread relays: handing a stream from core to core costs more than it brings (see the README's figures).
    block_on(serve(config))?
}

async fn serve(config: Config) -> Result<Exit, CommandError> {
    let started = (clock::now(), clock::wall());
    let most = descriptors::clients(descriptors::raise());
    let listener = bind(&config.server.host, config.server.port).await?;
    let address = listener.local_addr()?;
    listening::listens(address);
    let signals = Signals::new()?;

    let redactor = Redactor::new(&config.secrets());
    let shared = SharedRedactor::new(redactor.clone());
    let diagnostics = telemetry::init(config.logging.level, use_color(), shared.clone());
    // A panic ends one request; its words go where all others do, past the redactor.
    std::panic::set_hook(Box::new(|panic| tracing::error!("a bug in claude-proxy: {panic}")));
    let (traffic, metrics) = (Traffic::new(), Arc::new(Metrics::default()));
    let (log, log_thread) = start_log(&config, &redactor, &traffic, &metrics);

    let proxy = Proxy::new(config.clone(), redactor, log.clone(), Arc::clone(&traffic));
    let reach = Reach { redactor: shared, log: log.clone(), traffic: Arc::clone(&traffic), diagnostics };
    let (mut reloader, standing) = Reloader::new(&config, address, reach);
    let (orders, ordered) = mpsc::channel(ORDERS);
    let scene = Scene { proxy: &proxy, log, traffic, metrics, standing, orders, listen: address, started };
    let (admin, admin_address) = admin::start(&config.web_admin, scene.parts()).await;
    tell::start(&config, address, admin_address);

    let prober = tokio::spawn(probe::watch(Arc::clone(&proxy)));
    tokio::spawn(memory::give_back());
    let (stop, stopping) = watch::channel(Stop::No);
    let mut serving = tokio::spawn(listen::run(listener, Arc::clone(&proxy), most, stopping));
    let signals = until_stopped(signals, ordered, &mut reloader, &proxy, &mut serving).await?;
    if let Some(admin) = &admin {
        admin.drain();
    }
    drain(&reloader, signals, serving, &stop).await;
    prober.abort();
    finish(log_thread, reloader, admin);
    Ok(Exit::Fine)
}

/// The log, whose thread tells of every finished request.
fn start_log(
    config: &Config,
    redactor: &Redactor,
    traffic: &Arc<Traffic>,
    metrics: &Arc<Metrics>,
) -> (LogHandle, LogThread) {
    let (traffic, metrics) = (Arc::clone(traffic), Arc::clone(metrics));
    let observer: Observer = Box::new(move |key, record, line| {
        metrics.observe(record);
        traffic.recorded(key, record, line);
    });
    logs::start(Settings::from(&config.logging), redactor.clone(), Some(observer))
}

/// What the admin server gets to see.
struct Scene<'a> {
    proxy: &'a Arc<Proxy>,
    log: LogHandle,
    traffic: Arc<Traffic>,
    metrics: Arc<Metrics>,
    standing: watch::Receiver<Arc<Standing>>,
    orders: mpsc::Sender<Order>,
    listen: SocketAddr,
    started: (Instant, SystemTime),
}

impl Scene<'_> {
    fn parts(self) -> Parts {
        let proxy = Arc::clone(self.proxy);
        Parts {
            live: Arc::clone(&self.proxy.live),
            log: self.log,
            traffic: self.traffic,
            metrics: self.metrics,
            standing: self.standing,
            orders: self.orders,
            refused: Box::new(move || proxy.refused()),
            listen: self.listen,
            started: self.started,
        }
    }
}

/// Reloads and obeys until the first signal to stop; hands back those that may follow.
async fn until_stopped(
    mut signals: Signals,
    mut ordered: mpsc::Receiver<Order>,
    reloader: &mut Reloader,
    proxy: &Arc<Proxy>,
    serving: &mut JoinHandle<()>,
) -> Result<StopSignals, CommandError> {
    loop {
        // What a reload comes to is told and kept by the reloader itself.
        tokio::select! {
            () = signals.stop.recv() => return Ok(signals.stop),
            _ = signals.hangup.recv() => { let _ = reloader.reload(proxy, Why::Signal); }
            () = reloader.changed() => { let _ = reloader.reload(proxy, Why::Changed); }
            Some(order) = ordered.recv() => admin::obey(order, reloader, proxy),
            _ = &mut *serving => {
                let message = "the listener ended, which is a bug";
                return Err(CommandError::failed("listen", message, "start it again, and report the lines above"));
            }
        }
    }
}

/// What is under way finishes, up to the grace time or a second signal.
async fn drain(reloader: &Reloader, mut signals: StopSignals, mut serving: JoinHandle<()>, stop: &watch::Sender<Stop>) {
    let grace = reloader.config.server.shutdown_grace;
    tracing::info!("stopping: no new connections; what is under way may take up to {} more", shown(grace));
    let _ = stop.send(Stop::Drain);
    let mut drained = false;
    tokio::select! {
        _ = &mut serving => drained = true,
        () = tokio::time::sleep(grace) => tracing::warn!("requests were still under way after {}, they are cut", shown(grace)),
        () = signals.recv() => tracing::warn!("stopped at once"),
    }
    if !drained {
        let _ = stop.send(Stop::Now);
        let _ = serving.await;
    }
    tracing::info!("stopped");
}

/// The last records and lines are written before the program ends; the admin server goes last.
fn finish(log_thread: LogThread, reloader: Reloader, admin: Option<Admin>) {
    log_thread.finish();
    if let Some(admin) = admin {
        admin.finish();
    }
    drop(reloader);
}

/// Every address that the host name has, `localhost` having two, stands for one listener here: the first that is free.
async fn bind(host: &str, port: u16) -> Result<TcpListener, CommandError> {
    let name = host.trim_matches(['[', ']']);
    TcpListener::bind((name, port)).await.map_err(|error| {
        let message = format!("cannot listen on {host}:{port}: {error}");
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program has that port, perhaps another claude-proxy; stop it, or set server.port (0 = any free one)"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 are the system's; set server.port to a higher one",
            _ => "set server.host to an address of this machine",
        };
        CommandError::failed("listen", message, hint)
    })
}

fn use_color() -> bool {
    matches!(
        anstream::AutoStream::choice(&io::stderr()),
        anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi
    )
}
