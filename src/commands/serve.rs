//! `serve`: assembles the proxy, owns its tasks and the order in which they end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{CommandError, Exit, note};
use crate::config::watch::{self as config_watch, Watch};
use crate::config::{self, Config};
use crate::domain::endpoint::Auth;
use crate::domain::redact::Redactor;
use crate::logs::{self, LogHandle, LogThread, Observer, Settings};
use crate::proxy::attempt::shown;
use crate::proxy::listen::{self, Stop};
use crate::proxy::{Proxy, probe};
use crate::telemetry::{self, Guard, SharedRedactor};
use crate::traffic::Traffic;

pub fn run(config: Config) -> Result<Exit, CommandError> {
    // One thread relays: handing a stream from core to core costs more than it brings (see the README's figures).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<Exit, CommandError> {
    let listener = bind(&config.server.host, config.server.port).await?;
    let address = listener.local_addr()?;
    let mut signals = Signals::new()?;

    let redactor = Redactor::new(&config.secrets());
    let shared = SharedRedactor::new(redactor.clone());
    let diagnostics = telemetry::init(config.logging.level, use_color(), shared.clone());
    // A panic ends one request; its words go where all others do, past the redactor.
    std::panic::set_hook(Box::new(|panic| tracing::error!("a bug in claude-proxy: {panic}")));
    let traffic = Traffic::new();
    let ledger = Arc::clone(&traffic);
    let observer: Observer = Box::new(move |key, record, line| ledger.recorded(key, record, line));
    let (log, log_thread) = logs::start(Settings::from(&config.logging), redactor.clone(), Some(observer));
    tell_start(&config, address);

    let mut reloader = Reloader::new(&config, address, shared, log.clone(), diagnostics);
    let proxy = Proxy::new(config, redactor, log, traffic);
    let prober = tokio::spawn(probe::watch(Arc::clone(&proxy)));
    let (stop, stopping) = watch::channel(Stop::No);
    let mut serving = tokio::spawn(listen::run(listener, Arc::clone(&proxy), stopping));
    loop {
        tokio::select! {
            () = signals.stop.recv() => break,
            _ = signals.hangup.recv() => reloader.reload(&proxy, true),
            () = reloader.changed() => reloader.reload(&proxy, false),
            _ = &mut serving => {
                let message = "the listener ended, which is a bug";
                return Err(CommandError::failed("listen", message, "start it again, and report the lines above"));
            }
        }
    }

    let grace = reloader.config.server.shutdown_grace;
    tracing::info!("stopping: no new connections; what is under way may take up to {} more", shown(grace));
    let _ = stop.send(Stop::Drain);
    let mut drained = false;
    tokio::select! {
        _ = &mut serving => drained = true,
        () = tokio::time::sleep(grace) => tracing::warn!("requests were still under way after {}, they are cut", shown(grace)),
        () = signals.stop.recv() => tracing::warn!("stopped at once"),
    }
    if !drained {
        let _ = stop.send(Stop::Now);
        let _ = serving.await;
    }
    tracing::info!("stopped");
    prober.abort();
    finish(log_thread, reloader);
    Ok(Exit::Fine)
}

/// The last records and lines are written before the program ends.
fn finish(log_thread: LogThread, reloader: Reloader) {
    log_thread.finish();
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

/// Where it listens, what is behind it, where the logs go and what to tell Claude Code.
fn tell_start(config: &Config, address: SocketAddr) {
    let base = format!("http://{}", reachable(address));
    note(&format!("claude-proxy {} listening on {base}", env!("CARGO_PKG_VERSION")));
    match &config.file {
        Some(file) => note(&format!("  config     {}", file.display())),
        None => note("  config     built in"),
    }
    let mut endpoints: Vec<_> = config.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| (!endpoint.enabled, endpoint.priority));
    for (i, endpoint) in endpoints.iter().enumerate() {
        let label = if i == 0 { "endpoints" } else { "" };
        let auth = match &endpoint.auth {
            Auth::ApiKey(_) => "x-api-key",
            Auth::Bearer(_) => "bearer token",
            Auth::Passthrough => "the client's own login",
        };
        let state = if endpoint.enabled { "" } else { ", disabled" };
        note(&format!("  {label:<10} {} {} {}, {auth}{state}", endpoint.priority, endpoint.name, endpoint.url));
    }
    note(&format!("  logs       {}", config.logging.log_directory.display()));
    note(&format!("  Claude Code: export ANTHROPIC_BASE_URL={base}{}", token_advice(config)));
}

fn token_advice(config: &Config) -> &'static str {
    match config.server.auth_token {
        Some(_) => " ANTHROPIC_AUTH_TOKEN=<server.auth_token>   (claude-proxy env prints it)",
        None => "",
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}

struct Signals {
    stop: StopSignals,
    hangup: Signal,
}

struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let stop =
            StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

impl StopSignals {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Brings a changed file into force, or refuses it and keeps the old settings.
struct Reloader {
    config: Config,
    /// As at the start: what listens where does not change.
    started: Config,
    address: SocketAddr,
    watch: Option<Watch>,
    redactor: SharedRedactor,
    log: LogHandle,
    diagnostics: Guard,
}

impl Reloader {
    fn new(config: &Config, address: SocketAddr, redactor: SharedRedactor, log: LogHandle, diagnostics: Guard) -> Self {
        let watch = config.file.as_deref().and_then(|file| {
            let unwatched = |error: &io::Error| {
                tracing::warn!("{} is not watched, send SIGHUP after a change: {error}", file.display());
            };
            config_watch::watch(file).inspect_err(unwatched).ok().map(|watch| watch.since(config.content))
        });
        Self { config: config.clone(), started: config.clone(), address, watch, redactor, log, diagnostics }
    }

    /// Returns when the file may have changed; never without a file.
    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }

    /// `asked`: somebody sent a signal and wants to hear that it was done, even when nothing changed.
    fn reload(&mut self, proxy: &Proxy, asked: bool) {
        let Some(file) = self.config.file.clone() else {
            tracing::warn!("there is no config file to reload");
            return;
        };
        let config = match config::reload(&self.config) {
            Ok(config) => config,
            Err(error) => {
                let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
                let (file, message) = (file.display(), error.message());
                tracing::error!("{file} is refused, the old settings stay in force: {message}{hint}");
                return;
            }
        };
        if config.server.auth_token.is_none() && !self.address.ip().is_loopback() {
            let (file, address) = (file.display(), self.address);
            tracing::error!(
                "{file} is refused, the old settings stay in force: it has no server.auth_token, but {address} is open to \
                 other machines until a restart"
            );
            return;
        }
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        for change in config::restart_needed(&self.started, &config) {
            tracing::warn!("{change} needs a restart to take effect");
        }
        self.adopt(config, proxy);
        tracing::info!("{} is in force{}", file.display(), if asked { ", reloaded by signal" } else { "" });
    }

    fn adopt(&mut self, config: Config, proxy: &Proxy) {
        self.redactor.replace(&Redactor::new(&config.secrets()));
        let redactor = self.redactor.current();
        self.diagnostics.set_level(config.logging.level);
        self.log.reconfigure(Settings::from(&config.logging), &redactor);
        self.config = config.clone();
        proxy.reload(config, redactor);
    }
}
