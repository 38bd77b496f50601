//! The program and its endpoints as views.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use axum::extract;
use http::StatusCode;

use super::answer::{Outcome, Refusal, Told};
use super::input::Named;
use super::state::{Shared, Standing, State};
use crate::clock;
use crate::domain::endpoint::{Auth, HttpVersion};
use crate::domain::health;
use crate::domain::pool::Slot;
use crate::domain::secret::Secret;
use crate::wire::session::SessionView;
use crate::wire::status::{EndpointCounts, EndpointList, EndpointView, LogStanding, StatusView, Totals};

/// Requests under way that are shown one by one.
const RUNNING_SHOWN: usize = 50;
/// Requests behind a state that are named.
const CAUSES_SHOWN: usize = 20;

/// `GET /api/status`
pub async fn status(extract::State(admin): extract::State<Shared>) -> Told<StatusView> {
    Told(status_view(&admin))
}

/// `GET /api/endpoints`
pub async fn list(extract::State(admin): extract::State<Shared>) -> Told<EndpointList> {
    let standing = admin.standing();
    let revision = standing.shown.revision.clone();
    let window_s = standing.config.health.window.as_secs();
    Told(EndpointList { endpoints: endpoint_views(&admin, &standing), revision, window_s })
}

/// `GET /api/sessions/{id}`: from memory, so that it may be asked several times a second.
pub async fn session(extract::State(admin): extract::State<Shared>, Named(id): Named) -> Outcome<Told<SessionView>> {
    admin.parts.traffic.session(&id).map(Told).ok_or_else(|| {
        Refusal::not_found("there is no session of that id")
            .hint("it made no request since the proxy started, or was quiet for long")
    })
}

/// `GET /readyz`: whether a client's request has somewhere to go.
pub async fn ready(extract::State(admin): extract::State<Shared>) -> (StatusCode, &'static str) {
    if admin.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if admin.parts.live.has_enabled() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "every endpoint is disabled\n")
    }
}

/// `GET /healthz`: whether the program lives.
pub async fn alive() -> &'static str {
    "ok\n"
}

pub fn status_view(admin: &State) -> StatusView {
    let standing = admin.standing();
    let now = Now::here();
    admin.parts.live.settle();
    let traffic = &admin.parts.traffic;
    let (started_at, started) = admin.parts.started;
    StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        time: crate::wire::record::record_time(now.wall),
        started: crate::wire::record::record_time(started),
        uptime_s: now.at.saturating_duration_since(started_at).as_secs(),
        listen: admin.parts.listen.to_string(),
        admin: admin.address.get().map(ToString::to_string).unwrap_or_default(),
        client_token: standing.config.server.auth_token.is_some(),
        config: standing.shown.clone(),
        endpoints: counts(&admin.parts.live.view(), now.at),
        totals: Totals { refused: admin.refused(), ..traffic.totals() },
        in_flight: traffic.in_flight(),
        running: traffic.running(&standing.redactor, RUNNING_SHOWN),
        log: log_standing(admin, &standing),
        memory_bytes: resident_bytes(),
        watchers: admin.feed.watchers.load(Ordering::Relaxed),
    }
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub at: Instant,
    pub wall: SystemTime,
}

impl Now {
    pub fn here() -> Self {
        Self { at: clock::now(), wall: clock::wall() }
    }
}

fn counts(slots: &[Slot], now: Instant) -> EndpointCounts {
    let mut counts = EndpointCounts::default();
    for slot in slots {
        *match slot.word(now) {
            "disabled" => &mut counts.disabled,
            "degraded" => &mut counts.degraded,
            "down" => &mut counts.down,
            "resting" => &mut counts.resting,
            _ => &mut counts.up,
        } += 1;
    }
    counts
}

/// By priority, equals in the file's order.
pub fn endpoint_views(admin: &State, standing: &Standing) -> Vec<EndpointView> {
    let now = Now::here();
    admin.parts.live.settle();
    let mut slots = admin.parts.live.view();
    slots.sort_by_key(|slot| slot.spec.priority);
    slots.iter().map(|slot| endpoint_view(admin, standing, slot, now)).collect()
}

pub fn endpoint_named(admin: &State, standing: &Standing, name: &str) -> Option<EndpointView> {
    let slots = admin.parts.live.view();
    slots.iter().find(|slot| slot.spec.name == name).map(|slot| endpoint_view(admin, standing, slot, Now::here()))
}

fn endpoint_view(admin: &State, standing: &Standing, slot: &Slot, now: Now) -> EndpointView {
    let (spec, health) = (&slot.spec, &slot.health);
    let time = |at: Instant| admin.calendar.time(at, now.at, now.wall);
    let clean = |text: &str| standing.redactor.redact_str(text, &[]).into_owned();
    let figures = admin.parts.traffic.figures(&spec.name, standing.config.health.window);
    let is_up = !spec.enabled || health.state(now.at) == health::State::Up;
    let causes: Vec<_> = health.causes().map(clean).collect();
    EndpointView {
        name: spec.name.clone(),
        url: spec.url.to_string(),
        path_prefix: spec.path_prefix.clone(),
        auth_type: auth_word(&spec.auth).to_owned(),
        auth_value: spec.auth.secret().map(Secret::masked),
        auth_reference: standing.references.get(&spec.name).cloned(),
        enabled: spec.enabled,
        priority: spec.priority,
        http: http_word(spec.http).to_owned(),
        proxy: spec.proxy.as_ref().map(ToString::to_string),
        ca_file: spec.ca_file.as_ref().map(|path| path.display().to_string()),
        state: slot.word(now.at).to_owned(),
        reason: health.reason().filter(|_| !is_up).map(clean),
        since: time(health.since(now.at)),
        next_probe: health.next_probe().filter(|_| spec.enabled).map(time),
        resting_until: health.resting_until().map(time),
        failed_probes: health.failed_probes(),
        causes: causes[causes.len().saturating_sub(CAUSES_SHOWN)..].to_vec(),
        in_flight: slot.in_flight as u64,
        succeeded: slot.succeeded,
        failed: slot.failed,
        window_ok: figures.window_ok,
        window_failed: figures.window_failed,
        first_byte: figures.first_byte,
        duration: figures.duration,
        output_tokens_per_s: figures.output_tokens_per_s,
        recent: figures.recent,
    }
}

pub fn auth_word(auth: &Auth) -> &'static str {
    match auth {
        Auth::ApiKey(_) => "api_key",
        Auth::Bearer(_) => "auth_token",
        Auth::Passthrough => "passthrough",
    }
}

fn http_word(version: HttpVersion) -> &'static str {
    match version {
        HttpVersion::Http1 => "1.1",
        HttpVersion::Http2 => "2",
        HttpVersion::Auto => "auto",
    }
}

fn log_standing(admin: &State, standing: &Standing) -> LogStanding {
    let stats = admin.parts.log.stats();
    LogStanding {
        size: admin.log_size(&stats.directory),
        directory: stats.directory.display().to_string(),
        written: stats.written,
        bytes: stats.bytes,
        dropped: stats.dropped,
        error: stats.last_error.map(|error| standing.redactor.redact_str(&error, &[]).into_owned()),
    }
}

/// As Linux tells it.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Every endpoint's name and state word, in the file's order.
pub fn states(admin: &State) -> Vec<(String, &'static str)> {
    let now = clock::now();
    admin.parts.live.view().iter().map(|slot| (slot.spec.name.clone(), slot.word(now))).collect()
}
