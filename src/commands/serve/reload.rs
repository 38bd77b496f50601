//! Brings a changed file into force, or refuses it and keeps the old settings; either way those who watch are told.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::Standing;
use crate::clock;
use crate::config::watch::{self as config_watch, Watch};
use crate::config::{self, Config, edit};
use crate::domain::pool::Slot;
use crate::domain::redact::Redactor;
use crate::logs::{LogHandle, Settings};
use crate::proxy::Proxy;
use crate::telemetry::{Guard, SharedRedactor};
use crate::traffic::{Happening, Traffic};
use crate::wire::record::record_time;
use crate::wire::status::{ConfigStanding, Refusal};

/// Who wants the file to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Changed,
    Signal,
    Admin,
}

pub(super) struct Reloader {
    pub(super) config: Config,
    /// As at the start: what listens where does not change.
    started: Config,
    address: SocketAddr,
    watch: Option<Watch>,
    standing: watch::Sender<Arc<Standing>>,
    reach: Reach,
}

/// What a reload reaches.
pub(super) struct Reach {
    pub(super) redactor: SharedRedactor,
    pub(super) log: LogHandle,
    pub(super) traffic: Arc<Traffic>,
    pub(super) diagnostics: Guard,
}

impl Reloader {
    /// Beside it the settings' standing, for those who show it.
    pub(super) fn new(config: &Config, address: SocketAddr, reach: Reach) -> (Self, watch::Receiver<Arc<Standing>>) {
        let (standing, seen) = watch::channel(Arc::new(standing(config, config, reach.redactor.current())));
        let (config, started) = (config.clone(), config.clone());
        // A pipe that the settings came from is used up.
        let file = config.file.as_deref().filter(|file| !file.exists() || file.is_file());
        let watch = file.and_then(|file| watched(file, &config));
        (Self { config, started, address, watch, standing, reach }, seen)
    }

    /// Returns when the file may have changed; never without a file.
    pub(super) async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Takes a file that was just written in place of the built-in default.
    ///
    /// # Errors
    /// As [`Reloader::reload`].
    pub(super) fn take_file(&mut self, file: PathBuf, proxy: &Proxy) -> Result<(), Refusal> {
        self.follow(file);
        self.reload(proxy, Why::Admin)
    }

    fn follow(&mut self, file: PathBuf) {
        self.watch = watched(&file, &self.config);
        self.config.file = Some(file);
    }

    /// Where none is in force, the file that a start would find now.
    ///
    /// # Errors
    /// Why the file is refused; that is also told on stderr and kept in the standing.
    pub(super) fn reload(&mut self, proxy: &Proxy, why: Why) -> Result<(), Refusal> {
        if self.config.file.is_none()
            && let Some(file) = config::locate(None, &config::process_environment).ok().and_then(|located| located.file)
        {
            self.follow(file);
        }
        let Some(file) = self.config.file.clone() else {
            tracing::warn!("there is no config file to reload");
            return Err(refusal("there is no config file to reload", Some("`claude-proxy init` writes one")));
        };
        if let Some(watch) = &mut self.watch {
            watch.look();
        }
        match self.read() {
            Ok(config) => {
                self.adopt(config, proxy);
                let by = match why {
                    Why::Changed => "",
                    Why::Signal => ", reloaded by signal",
                    Why::Admin => ", reloaded by the admin API",
                };
                tracing::info!("{} is in force{by}", file.display());
                Ok(())
            }
            Err(refused) => {
                let hint = refused.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
                let (file, message) = (file.display(), &refused.message);
                tracing::error!("{file} is refused, the old settings stay in force: {message}{hint}");
                self.publish(Some(refused.clone()));
                Err(refused)
            }
        }
    }

    /// The file's settings, if they may come into force.
    fn read(&self) -> Result<Config, Refusal> {
        let config = config::reload(&self.config).map_err(|error| refusal(&error.message(), error.hint()))?;
        let admin = &self.started.web_admin;
        for (key, token, open) in [
            ("server", &config.server.auth_token, !self.address.ip().is_loopback()),
            ("web_admin", &config.web_admin.auth_token, admin.enabled && !is_loopback(&admin.host)),
        ] {
            if token.is_none() && open {
                let message =
                    format!("it has no {key}.auth_token, but {key} is open to other machines until a restart");
                return Err(refusal(&message, Some("restart claude-proxy to bring it into force")));
            }
        }
        Ok(config)
    }

    fn adopt(&mut self, config: Config, proxy: &Proxy) {
        self.reach.redactor.replace(&Redactor::new(&config.secrets()));
        let redactor = self.reach.redactor.current();
        self.reach.diagnostics.set_level(config.logging.level);
        self.reach.log.reconfigure(Settings::from(&config.logging), &redactor);
        match &mut self.watch {
            Some(watch) => watch.took(config.content),
            None => self.watch = config.file.as_deref().and_then(|file| watched(file, &config)),
        }
        self.config = config.clone();
        let before = proxy.live.view();
        proxy.reload(config, redactor);
        self.publish(None);
        tell_endpoints(&self.reach.traffic, &before, &proxy.live.view());
    }

    fn publish(&self, refused: Option<Refusal>) {
        let standing = match refused {
            None => {
                let standing = standing(&self.started, &self.config, self.reach.redactor.current());
                for line in &standing.shown.warnings {
                    tracing::warn!("{line}");
                }
                for change in &standing.shown.restart_needed {
                    tracing::warn!("{change} needs a restart to take effect");
                }
                standing
            }
            Some(refused) => {
                let mut standing = Standing::clone(&self.standing.borrow());
                standing.shown.refused = Some(refused);
                standing
            }
        };
        self.standing.send_replace(Arc::new(standing));
        self.reach.traffic.publish(Happening::Config);
    }
}

/// Which endpoints came, went or have other settings now.
fn tell_endpoints(traffic: &Traffic, before: &[Slot], after: &[Slot]) {
    let now = clock::now();
    for old in before.iter().filter(|old| after.iter().all(|new| new.spec.name != old.spec.name)) {
        traffic.endpoint_set(&old.spec.name, old.word(now), "");
    }
    for new in after {
        match before.iter().find(|old| old.spec.name == new.spec.name) {
            Some(old) if old.spec == new.spec => {}
            Some(old) => traffic.endpoint_set(&new.spec.name, old.word(now), new.word(now)),
            None => traffic.endpoint_set(&new.spec.name, "", new.word(now)),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn watched(file: &Path, config: &Config) -> Option<Watch> {
    let unwatched = |error: &io::Error| {
        tracing::warn!("{} is not watched, send SIGHUP after a change: {error}", file.display());
    };
    config_watch::watch(file).inspect_err(unwatched).ok().map(|watch| watch.since(config.content))
}

fn refusal(message: &str, hint: Option<&str>) -> Refusal {
    Refusal { time: record_time(clock::wall()), message: message.to_owned(), hint: hint.map(str::to_owned) }
}

/// How the settings in force stand, as they were just taken.
fn standing(started: &Config, config: &Config, redactor: Redactor) -> Standing {
    let would_write = || std::path::absolute("config.yaml").ok().map(|path| path.display().to_string());
    let shown = ConfigStanding {
        file: config.file.as_ref().map(|file| file.display().to_string()),
        would_write: if config.file.is_none() { would_write() } else { None },
        revision: config.file.as_ref().map(|_| config.content.to_string()),
        loaded: record_time(clock::wall()),
        refused: None,
        restart_needed: config::restart_needed(started, config),
        warnings: config.warnings(),
    };
    let references = config.file.as_deref().map(edit::references_in).unwrap_or_default();
    Standing { config: config.clone(), shown, redactor, references: references.into_iter().collect() }
}
