//! The state that all requests share: which endpoints there are and how they fare.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use http::HeaderMap;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::clock;
use crate::domain::endpoint::EndpointSpec;
use crate::domain::health::{HealthRules, Outcome, Probed, State};
use crate::domain::pool::{Change, EndpointId, Pool, Slot};

pub struct Live {
    /// Held for microseconds and never over an await: endpoints are few and requests last seconds, so one lock
    /// around all of them is enough and no update is lost.
    pool: Mutex<Pool>,
    last_good: Mutex<Option<Arc<LastGood>>>,
    /// Something changed that may bring the next turn nearer.
    changed: Notify,
    /// Told of every change of state.
    observer: OnceLock<Observer>,
}

/// Called without any lock held; must not wait.
pub type Observer = Box<dyn Fn(&Change) + Send + Sync>;

/// What a probe imitates: the last client request that got a right answer.
pub struct LastGood {
    pub model: Option<String>,
    /// As the client sent them.
    pub headers: Arc<HeaderMap>,
}

impl Live {
    pub fn new(specs: &[Arc<EndpointSpec>], rules: HealthRules) -> Arc<Self> {
        let pool = Mutex::new(Pool::new(specs, rules, clock::now()));
        Arc::new(Self { pool, last_good: Mutex::default(), changed: Notify::new(), observer: OnceLock::new() })
    }

    /// `observer` is told of every change of an endpoint's state from now on; only the first one is taken.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint for the next attempt, on loan: it counts as in flight until the lease is reported or dropped.
    pub fn choose(self: &Arc<Self>, tried: &[EndpointId], session: Option<&str>) -> Option<Lease> {
        let started = clock::now();
        let mut pool = self.pool();
        let changes = pool.changes(started);
        let lease = pool.choose(tried, session, started).map(|slot| Lease {
            live: Arc::clone(self),
            id: slot.id,
            spec: Arc::clone(&slot.spec),
            started,
            reported: false,
        });
        drop(pool);
        self.tell(&changes);
        lease
    }

    /// Takes the endpoints of new settings; leases of endpoints that are gone end without a trace.
    pub fn replace(&self, specs: &[Arc<EndpointSpec>], rules: HealthRules) {
        self.pool().replace(specs, rules, clock::now());
        self.changed.notify_one();
    }

    /// A copy of every endpoint's state.
    pub fn view(&self) -> Vec<Slot> {
        self.pool().slots().to_vec()
    }

    pub fn rules(&self) -> HealthRules {
        self.pool().rules().clone()
    }

    pub fn has_enabled(&self) -> bool {
        self.pool().slots().iter().any(|slot| slot.spec.enabled)
    }

    pub fn last_good(&self) -> Option<Arc<LastGood>> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn remember_good(&self, good: LastGood) {
        *self.last_good.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(good));
    }

    /// Down endpoints whose probe is due, each claimed until its [`Live::end_probe`].
    pub fn due_probes(&self) -> Vec<(EndpointId, Arc<EndpointSpec>)> {
        self.pool().due_probes(clock::now())
    }

    /// `spec`: the endpoint as it was when the probe began.
    pub fn end_probe(&self, id: EndpointId, spec: &Arc<EndpointSpec>, probed: Probed) {
        let now = clock::now();
        let mut pool = self.pool();
        pool.end_probe(id, spec, probed, now);
        let changes = pool.changes(now);
        drop(pool);
        self.tell(&changes);
        self.changed.notify_one();
    }

    /// A request that failed somewhere goes by another id now: that of the answer which its client gets.
    pub fn rename_cause(&self, former: &str, id: &str) {
        self.pool().rename_cause(former, id);
    }

    /// Notices and tells what the passing of time changed, such as the end of a rest.
    pub fn settle(&self) {
        let changes = self.pool().changes(clock::now());
        self.tell(&changes);
    }

    /// Takes an endpoint as up, whatever was seen of it; `false` when there is none of that name.
    pub fn reset(&self, name: &str) -> bool {
        let now = clock::now();
        let mut pool = self.pool();
        let known = pool.reset(name, now);
        let changes = pool.changes(now);
        drop(pool);
        self.tell(&changes);
        known
    }

    /// Whether these are the settings in force for that endpoint.
    pub fn is_current(&self, id: EndpointId, spec: &Arc<EndpointSpec>) -> bool {
        self.pool().is_current(id, spec)
    }

    /// When time alone has done something: a probe is due, or [`Live::settle`] has something to tell.
    pub fn next_turn(&self) -> Option<Instant> {
        self.pool().next_turn()
    }

    /// Returns when the next turn may have come nearer.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn tell(&self, changes: &[Change]) {
        for change in changes {
            let (name, reason) = (&change.name, change.reason.as_deref().unwrap_or("unknown"));
            match change.to {
                State::Up => info!("endpoint {name} is up again"),
                State::Down => warn!("endpoint {name} is down: {reason}"),
                State::Resting => warn!("endpoint {name} rests, as it asked for: {reason}"),
                State::Degraded => info!("endpoint {name} had a failure: {reason}"),
            }
            if let Some(observer) = self.observer.get() {
                observer(change);
            }
        }
        if !changes.is_empty() {
            self.changed.notify_one();
        }
    }
}

/// One endpoint on loan to one request. Dropped unreported it counts as neutral: a client that hung up harms nobody.
pub struct Lease {
    live: Arc<Live>,
    pub id: EndpointId,
    pub spec: Arc<EndpointSpec>,
    started: Instant,
    reported: bool,
}

impl Lease {
    /// Says how it went. An outcome counts once; the endpoint is given back.
    pub fn report(mut self, outcome: &Outcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: &Outcome) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let now = clock::now();
        let mut pool = self.live.pool();
        pool.report(self.id, outcome, self.started, now);
        let changes = pool.changes(now);
        drop(pool);
        self.live.tell(&changes);
        if matches!(outcome, Outcome::Failure(_)) {
            self.live.changed.notify_one();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(&Outcome::Neutral);
    }
}
