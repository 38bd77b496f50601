//! One request under way, as far as it has come.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use http::Method;

use super::{Happening, Traffic};
use crate::domain::redact::Redactor;
use crate::domain::secret::Secret;
use crate::wire::record::record_time;
use crate::wire::status::{Phase, RunningView};

/// What a request's head tells.
#[derive(Debug)]
pub struct Begun {
    pub at: Instant,
    pub wall: SystemTime,
    pub method: Method,
    /// Without the query, and a copy: a piece of the head would keep all of the buffer that it was read into.
    pub path: String,
    /// What the client presented: taken out of every view, like our own secrets.
    pub presented: Vec<Secret>,
}

#[derive(Debug)]
pub struct UnderWay {
    key: u64,
    begun: Begun,
    known: Mutex<Known>,
    phase: AtomicU8,
    bytes: AtomicU64,
}

/// What comes to be known of it on the way.
#[derive(Debug, Default)]
struct Known {
    model: Option<String>,
    stream: bool,
    session: Option<String>,
    endpoint: Option<String>,
    failed: Vec<String>,
}

const PHASES: [Phase; 5] = [Phase::Reading, Phase::Connecting, Phase::Waiting, Phase::Held, Phase::Streaming];

impl UnderWay {
    pub(super) fn new(key: u64, begun: Begun) -> Self {
        let (phase, bytes) = (AtomicU8::new(Phase::Reading as u8), AtomicU64::new(0));
        Self { key, begun, known: Mutex::default(), phase, bytes }
    }

    /// Names it among those under way.
    pub fn key(&self) -> u64 {
        self.key
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it has come.
    pub fn reach(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// As it is now, without any credential.
    pub fn view(&self, redactor: &Redactor, now: Instant) -> RunningView {
        let redactor = redactor.with(&self.begun.presented);
        let clean = |text: &str| redactor.redact_str(text, &[]).into_owned();
        let known = self.known();
        let age = now.saturating_duration_since(self.begun.at).as_millis();
        RunningView {
            key: self.key,
            time: record_time(self.begun.wall),
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            method: clean(self.begun.method.as_str()),
            path: clean(&self.begun.path),
            model: known.model.as_deref().map(clean),
            stream: known.stream,
            session: known.session.as_deref().map(clean),
            phase: PHASES.get(usize::from(self.phase.load(Ordering::Relaxed))).copied().unwrap_or_default(),
            endpoint: known.endpoint.clone(),
            failed: known.failed.clone(),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Keeps a request among those under way; dropping it takes it out.
#[derive(Debug)]
pub struct Ticket {
    traffic: Arc<Traffic>,
    request: Arc<UnderWay>,
}

impl Ticket {
    pub(super) fn new(traffic: Arc<Traffic>, request: Arc<UnderWay>) -> Self {
        Self { traffic, request }
    }

    pub fn key(&self) -> u64 {
        self.request.key
    }

    pub fn request(&self) -> Arc<UnderWay> {
        Arc::clone(&self.request)
    }

    /// Its body is in: what it asks for is known, and told to those who watch.
    pub fn known(&self, model: Option<&str>, stream: bool, session: Option<&str>) {
        let mut known = self.request.known();
        known.model = model.map(str::to_owned);
        known.session = session.map(str::to_owned);
        known.stream = stream;
        drop(known);
        self.traffic.publish(Happening::Started(Arc::clone(&self.request)));
    }

    /// An endpoint is about to be asked.
    pub fn attempt(&self, endpoint: &str) {
        self.request.known().endpoint = Some(endpoint.to_owned());
        self.reach(Phase::Connecting);
    }

    /// The endpoint that was asked failed.
    pub fn failed(&self) {
        let mut known = self.request.known();
        let endpoint = known.endpoint.take();
        known.failed.extend(endpoint);
    }

    pub fn reach(&self, phase: Phase) {
        self.request.reach(phase);
    }

    /// The head goes down.
    pub fn committed(&self) {
        self.reach(Phase::Streaming);
        self.traffic.publish(Happening::Committed(Arc::clone(&self.request)));
    }

    /// So many bytes of the answer went down.
    pub fn passed(&self, bytes: usize) {
        self.request.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.traffic.end(self.request.key);
    }
}
