//! `GET /metrics`, in Prometheus' text format.
//!
//! What requests did is summed up by the log's thread as it writes them down, so the request path pays nothing. What is
//! so right now (states, requests under way) is looked up when somebody asks.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::answer::{Outcome, Refusal, typed};
use super::state::Shared;
use super::status::{states, status_view};
use crate::wire::record::{AttemptRecord, Ending, RequestRecord};
use crate::wire::status::StatusView;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What stands where no endpoint was asked.
const NOBODY: &str = "none";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByEnding {
    endpoint: String,
    ending: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByFault {
    endpoint: String,
    /// A word of `domain::fault::FaultKind`; `none` for an attempt that answered.
    fault: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByStream {
    endpoint: String,
    stream: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    endpoint: String,
    kind: &'static str,
}

/// What one endpoint's requests are counted with, each found by a word of ours.
#[derive(Default)]
struct Meters {
    requests: Vec<(&'static str, Counter)>,
    answered: Vec<(&'static str, Counter)>,
    tokens: Vec<(&'static str, Counter)>,
    first_byte: Vec<(&'static str, Histogram)>,
    duration: Vec<(&'static str, Histogram)>,
}

fn meters_of<'m>(known: &'m mut Vec<(String, Meters)>, endpoint: &str) -> &'m mut Meters {
    let at = known.iter().position(|(name, _)| name == endpoint).unwrap_or_else(|| {
        known.push((endpoint.to_owned(), Meters::default()));
        known.len() - 1
    });
    &mut known[at].1
}

fn meter<'m, M>(known: &'m mut Vec<(&'static str, M)>, word: &'static str, make: impl FnOnce() -> M) -> &'m M {
    let at = known.iter().position(|(other, _)| *other == word).unwrap_or_else(|| {
        known.push((word, make()));
        known.len() - 1
    });
    &known[at].1
}

type Histograms = Family<ByStream, Histogram, fn() -> Histogram>;

/// Sums since the start. Labels are endpoints' names and words of ours, never anything that a client chose.
pub struct Metrics {
    /// What endpoints are counted with, so that a request looks none of it up by its labels.
    meters: Mutex<Vec<(String, Meters)>>,
    registry: Registry,
    requests: Family<ByEnding, Counter>,
    attempts: Family<ByFault, Counter>,
    tokens: Family<ByKind, Counter>,
    first_byte: Histograms,
    duration: Histograms,
    failovers: Counter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            meters: Mutex::default(),
            registry: Registry::with_prefix("claude_proxy"),
            requests: Family::default(),
            attempts: Family::default(),
            tokens: Family::default(),
            first_byte: Family::new_with_constructor(waits),
            duration: Family::new_with_constructor(waits),
            failovers: Counter::default(),
        };
        let Self { meters: _, registry, requests, attempts, tokens, first_byte, duration, failovers } = &mut metrics;
        registry.register(
            "requests",
            "Finished requests, by the endpoint that answered, or was tried last, and by ending",
            requests.clone(),
        );
        registry.register("attempts", "Attempts at endpoints, by fault", attempts.clone());
        registry.register("tokens", "Tokens that answers told of", tokens.clone());
        registry.register(
            "first_byte_seconds",
            "From a request's head to the first byte that went down",
            first_byte.clone(),
        );
        registry.register("duration_seconds", "From a request's head to the end of its answer", duration.clone());
        registry.register(
            "failovers",
            "Requests that an endpoint answered after another had failed",
            failovers.clone(),
        );
        metrics
    }
}

/// From a fast refusal to the longest stream.
fn waits() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0])
}

impl Metrics {
    /// Counts one finished request.
    pub fn observe(&self, record: &RequestRecord) {
        let endpoint = record.endpoint.as_deref().unwrap_or(NOBODY);
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        self.count(endpoint, meters_of(&mut meters, endpoint), record);
        for attempt in &record.attempts {
            self.count_attempt(meters_of(&mut meters, &attempt.endpoint), attempt);
        }
        if record.failed_over() {
            self.failovers.inc();
        }
    }

    fn count(&self, endpoint: &str, meters: &mut Meters, record: &RequestRecord) {
        let ending = word(record.ending);
        let by = || ByEnding { endpoint: endpoint.into(), ending };
        meter(&mut meters.requests, ending, || self.requests.get_or_create_owned(&by())).inc();
        let stream = if record.stream { "true" } else { "false" };
        let by = || ByStream { endpoint: endpoint.into(), stream };
        if let Some(first) = record.first_byte_ms {
            let first_byte = meter(&mut meters.first_byte, stream, || self.first_byte.get_or_create_owned(&by()));
            first_byte.observe(seconds(first));
        }
        let duration = meter(&mut meters.duration, stream, || self.duration.get_or_create_owned(&by()));
        duration.observe(seconds(record.duration_ms));
        let usage = record.usage.unwrap_or_default();
        for (kind, count) in [
            ("input", usage.input),
            ("output", usage.output),
            ("cache_read", usage.cache_read),
            ("cache_creation", usage.cache_creation),
        ] {
            let Some(count) = count else { continue };
            let by = || ByKind { endpoint: endpoint.into(), kind };
            meter(&mut meters.tokens, kind, || self.tokens.get_or_create_owned(&by())).inc_by(count);
        }
    }

    fn count_attempt(&self, meters: &mut Meters, attempt: &AttemptRecord) {
        let by = |fault: &str| ByFault { endpoint: attempt.endpoint.clone(), fault: fault.to_owned() };
        let Some(fault) = &attempt.fault else {
            meter(&mut meters.answered, NOBODY, || self.attempts.get_or_create_owned(&by(NOBODY))).inc();
            return;
        };
        self.attempts.get_or_create(&by(fault)).inc();
    }

    /// All of it, with what is so now.
    fn text(&self, now: Snapshot) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        let mut registry = Registry::with_prefix("claude_proxy");
        registry.register_collector(Box::new(now));
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a request are few")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::RelayedError => "relayed_error",
        Ending::Failed => "failed",
        Ending::Cut => "cut",
        Ending::ClientGone => "client_gone",
    }
}

/// What is so at this moment.
#[derive(Debug)]
struct Snapshot {
    status: StatusView,
    /// Endpoints and their state words.
    states: Vec<(String, &'static str)>,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let status = &self.status;
        let gauges = [
            ("in_flight", "Requests under way", status.in_flight),
            ("uptime_seconds", "Since the start", status.uptime_s),
            ("log_size_bytes", "All log files together", status.log.size),
            ("watchers", "Event streams that are attached", status.watchers),
            (
                "config_refused",
                "Whether the newest state of the config file is refused",
                u64::from(status.config.refused.is_some()),
            ),
        ];
        for (name, help, value) in
            gauges.into_iter().chain(status.memory_bytes.map(|bytes| ("memory_bytes", "Resident memory", bytes)))
        {
            ConstGauge::<u64>::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        for (name, help, value) in [
            ("refused", "Requests turned away at the door", status.totals.refused),
            ("log_dropped", "Records that no log file has", status.log.dropped),
            ("log_written", "Records in log files since the start", status.log.written),
        ] {
            ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        self.encode_endpoints(&mut encoder)?;
        let labels = [("version", status.version.as_str())];
        let mut family = encoder.encode_descriptor("build_info", "This program", None, MetricType::Gauge)?;
        ConstGauge::<u64>::new(1).encode(family.encode_family(&labels)?)
    }
}

impl Snapshot {
    fn encode_endpoints(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        const STATES: [&str; 5] = ["up", "degraded", "resting", "down", "disabled"];
        let help = "Whether requests go there (up or degraded)";
        let mut family = encoder.encode_descriptor("endpoint_up", help, None, MetricType::Gauge)?;
        for (name, state) in &self.states {
            let value = u64::from(matches!(*state, "up" | "degraded"));
            ConstGauge::<u64>::new(value).encode(family.encode_family(&[("endpoint", name.as_str())])?)?;
        }
        let help = "1 for the state that the endpoint is in";
        let mut family = encoder.encode_descriptor("endpoint_state", help, None, MetricType::Gauge)?;
        for (name, state) in &self.states {
            for one in STATES {
                let labels = [("endpoint", name.as_str()), ("state", one)];
                ConstGauge::<u64>::new(u64::from(one == *state)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// `GET /metrics`
pub async fn metrics(State(admin): State<Shared>) -> Outcome<Response> {
    let now = Snapshot { status: status_view(&admin), states: states(&admin) };
    let text = admin.parts.metrics.text(now).map_err(|_| Refusal::internal("the figures cannot be written"))?;
    Ok(typed(CONTENT_TYPE, text))
}
