//! Sums over equal steps of time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::index::Facts;
use crate::wire::lean::millis;
use crate::wire::record::{Ending, RequestRecord, record_time};
use crate::wire::stats::{Percentiles, StatsView, Step, Tokens};

/// Steps get longer rather than more than this.
const MOST_STEPS: u64 = 2000;

/// Collects the facts of requests; the stretch is `from..to`.
pub(super) struct Sums {
    from: SystemTime,
    to: SystemTime,
    /// Milliseconds since 1970.
    start: i64,
    end: i64,
    step_ms: u64,
    steps: Vec<Sum>,
    models: HashMap<String, u64>,
    endpoints: HashMap<String, u64>,
}

#[derive(Default)]
struct Sum {
    step: Step,
    first_bytes: Vec<u64>,
    durations: Vec<u64>,
}

impl Sums {
    pub(super) fn new(from: SystemTime, to: SystemTime, step: Duration) -> Self {
        let to = to.max(from);
        let (start, end) = (ms_since_1970(from), ms_since_1970(to));
        let length = end.abs_diff(start);
        // Whole seconds, which is what the answer tells.
        let wanted = step.as_secs().clamp(1, u64::MAX / 1000);
        let step_ms = wanted.max(length.div_ceil(1000).div_ceil(MOST_STEPS)) * 1000;
        let count = usize::try_from(length.div_ceil(step_ms)).unwrap_or(0);
        let steps = (0..count).map(|_| Sum::default()).collect();
        Self { from, to, start, end, step_ms, steps, models: HashMap::new(), endpoints: HashMap::new() }
    }

    /// Milliseconds since 1970: what begins in between counts.
    pub(super) fn stretch(&self) -> (i64, i64) {
        (self.start, self.end)
    }

    pub(super) fn add(&mut self, facts: &Facts<'_>) {
        if facts.time < self.start || facts.time >= self.end {
            return;
        }
        let place = usize::try_from(facts.time.abs_diff(self.start) / self.step_ms).unwrap_or(usize::MAX);
        let Some(sum) = self.steps.get_mut(place) else { return };
        sum.add(facts);
        facts.model.into_iter().for_each(|model| count(&mut self.models, model));
        match &facts.attempts {
            Some(tried) => tried.iter().for_each(|(endpoint, _)| count(&mut self.endpoints, endpoint)),
            None => facts.endpoint.into_iter().for_each(|endpoint| count(&mut self.endpoints, endpoint)),
        }
    }

    /// For one that only memory has.
    pub(super) fn add_record(&mut self, record: &RequestRecord) {
        let Some(time) = millis(&record.time) else { return };
        let usage = record.usage.unwrap_or_default();
        let attempts = record.attempts.iter().map(|attempt| (attempt.endpoint.clone(), attempt.fault.clone()));
        self.add(&Facts {
            time,
            ending: record.ending,
            endpoint: record.endpoint.as_deref(),
            model: record.model.as_deref(),
            duration: record.duration_ms,
            first_byte: record.first_byte_ms,
            tokens: [usage.input, usage.output, usage.cache_read, usage.cache_creation].map(Option::unwrap_or_default),
            attempts: Some(attempts.collect()),
        });
    }

    pub(super) fn finish(self) -> StatsView {
        let mut total = Sum::default();
        let mut steps = Vec::with_capacity(self.steps.len());
        for sum in self.steps {
            total.join(&sum);
            steps.push(sum.finish());
        }
        StatsView {
            from: record_time(self.from),
            to: record_time(self.to),
            step_s: self.step_ms / 1000,
            steps,
            total: total.finish(),
            models: most_used(self.models),
            endpoints: most_used(self.endpoints),
        }
    }
}

impl Sum {
    fn add(&mut self, facts: &Facts<'_>) {
        let step = &mut self.step;
        step.requests += 1;
        *match facts.ending {
            Ending::Complete => &mut step.complete,
            Ending::RelayedError => &mut step.relayed_error,
            Ending::Failed => &mut step.failed,
            Ending::Cut => &mut step.cut,
            Ending::ClientGone => &mut step.client_gone,
        } += 1;
        let [input, output, cache_read, cache_creation] = facts.tokens;
        add_tokens(&mut step.tokens, Tokens { input, output, cache_read, cache_creation });
        self.durations.push(facts.duration);
        self.first_bytes.extend(facts.first_byte);
        self.add_attempts(facts);
    }

    fn add_attempts(&mut self, facts: &Facts<'_>) {
        let one = facts.endpoint.filter(|_| facts.attempts.is_none());
        if let Some(endpoint) = one {
            return self.count(endpoint, outcome(facts, None, true));
        }
        let attempts = facts.attempts.as_deref().unwrap_or_default();
        for (at, (endpoint, fault)) in attempts.iter().enumerate() {
            self.count(endpoint, outcome(facts, fault.as_deref(), at + 1 == attempts.len()));
        }
        let earlier = attempts.split_last().map_or(&[][..], |(_, earlier)| earlier);
        let answered =
            facts.ending != Ending::Failed && (facts.ending != Ending::ClientGone || facts.first_byte.is_some());
        self.step.failovers += u64::from(answered && earlier.iter().any(|(_, fault)| fault.is_some()));
    }

    /// An attempt that the client's leaving ended is neither.
    fn count(&mut self, endpoint: &str, ok: Option<bool>) {
        let Some(ok) = ok else { return };
        if !self.step.endpoints.contains_key(endpoint) {
            self.step.endpoints.insert(endpoint.to_owned(), crate::wire::stats::Attempts::default());
        }
        if let Some(attempts) = self.step.endpoints.get_mut(endpoint) {
            *(if ok { &mut attempts.ok } else { &mut attempts.failed }) += 1;
        }
    }

    fn join(&mut self, other: &Self) {
        let (all, step) = (&mut self.step, &other.step);
        all.requests += step.requests;
        all.complete += step.complete;
        all.relayed_error += step.relayed_error;
        all.failed += step.failed;
        all.cut += step.cut;
        all.client_gone += step.client_gone;
        all.failovers += step.failovers;
        add_tokens(&mut all.tokens, step.tokens);
        for (endpoint, attempts) in &step.endpoints {
            let sum = all.endpoints.entry(endpoint.clone()).or_default();
            sum.ok += attempts.ok;
            sum.failed += attempts.failed;
        }
        self.first_bytes.extend_from_slice(&other.first_bytes);
        self.durations.extend_from_slice(&other.durations);
    }

    fn finish(mut self) -> Step {
        let first_byte = percentiles(&mut self.first_bytes);
        let duration = percentiles(&mut self.durations);
        Step { first_byte, duration, ..self.step }
    }
}

/// An endpoint's refusal that was relayed is an answer.
fn outcome(facts: &Facts<'_>, fault: Option<&str>, last: bool) -> Option<bool> {
    match (fault, facts.ending) {
        (Some(_), Ending::RelayedError) if last => Some(true),
        (Some(_), _) => Some(false),
        (None, Ending::ClientGone) if last && facts.first_byte.is_none() => None,
        (None, _) => Some(true),
    }
}

fn add_tokens(sum: &mut Tokens, more: Tokens) {
    sum.input = sum.input.saturating_add(more.input);
    sum.output = sum.output.saturating_add(more.output);
    sum.cache_read = sum.cache_read.saturating_add(more.cache_read);
    sum.cache_creation = sum.cache_creation.saturating_add(more.cache_creation);
}

/// The nearest rank: a value that was measured.
fn percentiles(values: &mut [u64]) -> Percentiles {
    let mut at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100).checked_sub(1)?;
        Some(*values.select_nth_unstable(rank).1)
    };
    Percentiles { p50_ms: at(50), p95_ms: at(95) }
}

fn count(counts: &mut HashMap<String, u64>, text: &str) {
    match counts.get_mut(text) {
        Some(count) => *count += 1,
        None => drop(counts.insert(text.to_owned(), 1)),
    }
}

fn most_used(counts: HashMap<String, u64>) -> Vec<String> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    counts.into_iter().map(|(text, _)| text).collect()
}

fn ms_since_1970(time: SystemTime) -> i64 {
    jiff::Timestamp::try_from(time).map_or(0, jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sums(seconds: u32, step: u64) -> Sums {
        Sums::new(UNIX_EPOCH, UNIX_EPOCH + SECOND * seconds, SECOND * u32::try_from(step).unwrap())
    }

    fn facts(time: i64, ending: Ending) -> Facts<'static> {
        Facts { time, ending, endpoint: Some("a"), model: Some("m"), ..Facts::default() }
    }

    fn tried(attempts: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        attempts.iter().map(|(name, fault)| ((*name).to_owned(), fault.map(ToOwned::to_owned))).collect()
    }

    #[test]
    fn each_request_is_in_its_step_and_empty_steps_are_there() {
        let mut sums = sums(25, 10);
        for (time, ending) in [
            (-1, Ending::Cut),
            (0, Ending::Complete),
            (9_999, Ending::Cut),
            (20_000, Ending::Failed),
            (24_999, Ending::ClientGone),
            (25_000, Ending::Cut),
        ] {
            sums.add(&facts(time, ending));
        }
        let view = sums.finish();
        let counts: Vec<_> = view.steps.iter().map(|step| step.requests).collect();
        assert_eq!((counts.as_slice(), view.step_s), (&[2, 0, 2][..], 10));
        let total = &view.total;
        assert_eq!((total.requests, total.complete, total.cut, total.failed, total.client_gone), (4, 1, 1, 1, 1));
        assert_eq!((view.models, view.endpoints), (vec!["m".to_owned()], vec!["a".to_owned()]));
    }

    #[test]
    fn attempts_are_the_endpoints_and_failovers_the_requests() {
        let mut sums = sums(10, 10);
        let with = |ending, attempts| Facts { attempts: Some(attempts), ..facts(0, ending) };
        sums.add(&with(Ending::Complete, tried(&[("a", Some("limited")), ("b", None)])));
        sums.add(&with(Ending::Failed, tried(&[("a", Some("limited")), ("b", Some("connect"))])));
        sums.add(&with(Ending::RelayedError, tried(&[("a", Some("refused"))])));
        sums.add(&with(Ending::ClientGone, tried(&[("a", Some("connect")), ("b", None)])));
        sums.add(&facts(0, Ending::Complete));
        sums.add(&facts(0, Ending::ClientGone));
        let view = sums.finish();
        assert_eq!(view.endpoints, ["a", "b"], "all that were tried");
        let total = view.total;
        let of = |name: &str| (total.endpoints[name].ok, total.endpoints[name].failed);
        assert_eq!((of("a"), of("b"), total.failovers), ((2, 3), (1, 1), 1));
    }

    #[test]
    fn percentiles_are_measured_values() {
        let of = |values: &[u64]| {
            let Percentiles { p50_ms, p95_ms } = percentiles(&mut values.to_vec());
            (p50_ms, p95_ms)
        };
        assert_eq!(of(&[]), (None, None));
        assert_eq!(of(&[7]), (Some(7), Some(7)));
        assert_eq!(of(&(1..=100).rev().collect::<Vec<_>>()), (Some(50), Some(95)));
    }

    #[test]
    fn steps_are_whole_seconds_and_not_too_many() {
        assert_eq!(sums(4_000_000, 1).finish().step_s, 2000);
        assert_eq!(sums(0, 5).finish().steps.len(), 0);
        let backwards = Sums::new(UNIX_EPOCH + SECOND, UNIX_EPOCH, Duration::ZERO).finish();
        assert_eq!((backwards.steps.len(), backwards.step_s), (0, 1));
    }
}
