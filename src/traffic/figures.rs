//! How the endpoints and the whole fared lately, summed up from finished requests.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::fault::FaultKind;
use crate::wire::record::{AttemptRecord, Ending, RequestRecord};
use crate::wire::stats::Percentiles;
use crate::wire::status::{RecentAttempt, Totals};

/// Attempts shown one by one.
const RECENT: usize = 60;
/// Measurements that a percentile is taken from.
const SAMPLES: usize = 400;
/// Seconds are kept for at least so long, or as long as the longest window that was asked for.
const KEPT: Duration = Duration::from_hours(1);

/// One endpoint's newest figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub window_ok: u64,
    pub window_failed: u64,
    pub first_byte: Percentiles,
    pub duration: Percentiles,
    pub output_tokens_per_s: Option<f64>,
    /// Oldest first.
    pub recent: Vec<RecentAttempt>,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    totals: Totals,
    first_bytes: Samples,
    durations: Samples,
    /// An endpoint that left the settings keeps its place: names are few.
    endpoints: HashMap<String, Endpoint>,
    longest_window: Duration,
}

#[derive(Debug, Default)]
struct Endpoint {
    recent: VecDeque<RecentAttempt>,
    first_bytes: Samples,
    durations: Samples,
    /// Output tokens and milliseconds of whole streams.
    streams: VecDeque<(u64, u64)>,
    seconds: Seconds,
}

impl Board {
    pub(super) fn add(&mut self, record: &RequestRecord, now: Instant) {
        self.count(record);
        if record.ending == Ending::Complete {
            self.first_bytes.extend(record.first_byte_ms);
            self.durations.extend(Some(record.duration_ms));
        }
        let kept = self.longest_window.max(KEPT);
        let last = record.attempts.len().wrapping_sub(1);
        for (i, attempt) in record.attempts.iter().enumerate() {
            let endpoint = match self.endpoints.get_mut(&attempt.endpoint) {
                Some(endpoint) => endpoint,
                None => self.endpoints.entry(attempt.endpoint.clone()).or_default(),
            };
            endpoint.add(record, attempt, i == last, now, kept);
        }
    }

    fn count(&mut self, record: &RequestRecord) {
        let totals = &mut self.totals;
        totals.requests += 1;
        match record.ending {
            Ending::Complete => totals.complete += 1,
            Ending::RelayedError => totals.relayed_error += 1,
            Ending::Failed => totals.failed += 1,
            Ending::Cut => totals.cut += 1,
            Ending::ClientGone => totals.client_gone += 1,
        }
        totals.failovers += u64::from(record.failed_over());
        let usage = record.usage.unwrap_or_default();
        totals.tokens.input += usage.input.unwrap_or(0);
        totals.tokens.output += usage.output.unwrap_or(0);
        totals.tokens.cache_read += usage.cache_read.unwrap_or(0);
        totals.tokens.cache_creation += usage.cache_creation.unwrap_or(0);
    }

    pub(super) fn totals(&self) -> Totals {
        let (first_byte, duration) = (self.first_bytes.percentiles(), self.durations.percentiles());
        Totals { first_byte, duration, ..self.totals }
    }

    pub(super) fn start_afresh(&mut self, endpoint: &str) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.seconds = Seconds::default();
        }
    }

    pub(super) fn figures(&mut self, endpoint: &str, window: Duration, now: Instant) -> Figures {
        self.longest_window = self.longest_window.max(window);
        let Some(endpoint) = self.endpoints.get(endpoint) else { return Figures::default() };
        let (window_ok, window_failed) = endpoint.seconds.within(window, now);
        Figures {
            window_ok,
            window_failed,
            first_byte: endpoint.first_bytes.percentiles(),
            duration: endpoint.durations.percentiles(),
            output_tokens_per_s: endpoint.tokens_per_s(),
            recent: endpoint.recent.iter().cloned().collect(),
        }
    }
}

impl Endpoint {
    /// An attempt that the client left, or that ended in a refusal of the request, says nothing of the endpoint.
    fn add(&mut self, record: &RequestRecord, attempt: &AttemptRecord, is_last: bool, now: Instant, kept: Duration) {
        let answered = is_last && record.ending == Ending::Complete;
        if !answered && attempt.fault.as_deref().is_none_or(|fault| fault == FaultKind::Refused.word()) {
            return;
        }
        self.seconds.add(answered, now, kept);
        let id = record.id.clone();
        push(&mut self.recent, RECENT, RecentAttempt { ok: answered, duration_ms: attempt.duration_ms, id });
        if !answered {
            return;
        }
        self.durations.extend(Some(attempt.duration_ms));
        let first_byte = record.first_byte_ms.map(|first| first.saturating_sub(attempt.started_ms));
        self.first_bytes.extend(first_byte);
        let output = record.usage.and_then(|usage| usage.output);
        if let (true, Some(output), Some(first)) = (record.stream, output, first_byte) {
            push(&mut self.streams, RECENT, (output, attempt.duration_ms.saturating_sub(first)));
        }
    }

    fn tokens_per_s(&self) -> Option<f64> {
        let (tokens, ms) = self.streams.iter().fold((0, 0), |(tokens, ms), stream| (tokens + stream.0, ms + stream.1));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        (ms > 0).then(|| tokens as f64 * 1000.0 / ms as f64)
    }
}

fn push<T>(queue: &mut VecDeque<T>, most: usize, value: T) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[derive(Debug, Default)]
struct Samples(VecDeque<u64>);

impl Samples {
    fn extend(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            push(&mut self.0, SAMPLES, value);
        }
    }

    fn percentiles(&self) -> Percentiles {
        let mut sorted: Vec<u64> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len().max(1) - 1) * percent / 100).copied();
        Percentiles { p50_ms: at(50), p95_ms: at(95) }
    }
}

/// What succeeded and failed in each second in which anything did.
#[derive(Debug, Default)]
struct Seconds(VecDeque<(Instant, u64, u64)>);

impl Seconds {
    fn add(&mut self, ok: bool, now: Instant, kept: Duration) {
        let within = |since: Instant, span| now.saturating_duration_since(since) < span;
        while self.0.front().is_some_and(|(since, ..)| !within(*since, kept)) {
            self.0.pop_front();
        }
        if !self.0.back().is_some_and(|(since, ..)| within(*since, Duration::from_secs(1))) {
            self.0.push_back((now, 0, 0));
        }
        if let Some((_, succeeded, failed)) = self.0.back_mut() {
            *if ok { succeeded } else { failed } += 1;
        }
    }

    fn within(&self, window: Duration, now: Instant) -> (u64, u64) {
        let recent = self.0.iter().rev().take_while(|(since, ..)| now.saturating_duration_since(*since) < window);
        recent.fold((0, 0), |(ok, failed), second| (ok + second.1, failed + second.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::Usage;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn attempt(endpoint: &str, fault: Option<&str>, started_ms: u64, duration_ms: u64) -> AttemptRecord {
        let (endpoint, fault) = (endpoint.to_owned(), fault.map(str::to_owned));
        AttemptRecord { endpoint, started_ms, duration_ms, fault, ..AttemptRecord::default() }
    }

    fn record(ending: Ending, attempts: Vec<AttemptRecord>) -> RequestRecord {
        let endpoint = attempts.last().map(|attempt| attempt.endpoint.clone());
        let usage = Some(Usage { output: Some(100), ..Usage::default() });
        let first_byte_ms = Some(300);
        RequestRecord {
            id: "r".into(),
            ending,
            attempts,
            endpoint,
            usage,
            first_byte_ms,
            stream: true,
            ..RequestRecord::default()
        }
    }

    #[test]
    fn an_endpoints_figures_are_its_own() {
        let (mut board, now) = (Board::default(), t0());
        let attempts = vec![attempt("a", Some("limited"), 0, 100), attempt("b", None, 100, 1200)];
        board.add(&record(Ending::Complete, attempts), now);
        let window = Duration::from_secs(140);
        let a = board.figures("a", window, now);
        assert_eq!((a.window_ok, a.window_failed, a.recent[0].ok, a.duration.p50_ms), (0, 1, false, None));
        let b = board.figures("b", window, now);
        assert_eq!(
            (b.window_ok, b.window_failed, b.first_byte.p50_ms, b.duration.p95_ms),
            (1, 0, Some(200), Some(1200))
        );
        assert_eq!(b.output_tokens_per_s, Some(100.0));
        assert_eq!((board.totals().failovers, board.totals().tokens.output), (1, 100));
        assert_eq!(board.figures("b", window, now + window).window_ok, 0);
    }

    #[test]
    fn what_says_nothing_of_an_endpoint_is_not_counted_for_or_against_it() {
        let (mut board, now) = (Board::default(), t0());
        board.add(&record(Ending::ClientGone, vec![attempt("a", None, 0, 1)]), now);
        board.add(&record(Ending::RelayedError, vec![attempt("a", Some("refused"), 0, 1)]), now);
        assert_eq!(board.figures("a", KEPT, now).recent, []);
        board.add(&record(Ending::Cut, vec![attempt("a", Some("broken_stream"), 0, 1)]), now);
        assert_eq!(board.figures("a", KEPT, now).window_failed, 1);
        assert_eq!((board.totals().requests, board.totals().cut), (3, 1));
    }

    #[test]
    fn memory_is_bounded_however_much_passes() {
        let (mut board, now) = (Board::default(), t0());
        for n in 0..20_000 {
            board.add(&record(Ending::Complete, vec![attempt("a", None, 0, n)]), now + Duration::from_secs(n));
        }
        let endpoint = &board.endpoints["a"];
        assert_eq!((endpoint.recent.len(), endpoint.durations.0.len()), (RECENT, SAMPLES));
        assert!(endpoint.seconds.0.len() <= 3601);
    }
}
