//! Whether an endpoint is worth trying, judged by what clients' requests met there.
//!
//! One slow request is no outage, so a single failure never takes an endpoint out: it is down when, within the
//! window, at least `min_failures` requests failed and none succeeded. Being down is remembered until something
//! succeeds there, because an endpoint that gets no requests proves nothing by the passing of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When an endpoint counts as down, and how it is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRules {
    pub window: Duration,
    /// At least 1.
    pub min_failures: u32,
    pub check_interval: Duration,
    pub check_timeout: Duration,
    /// The model that probes ask for; `None`: that of the last good request.
    pub probe_model: Option<String>,
}

/// What one client request showed of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure(Failure),
    /// Says nothing about the endpoint: the client left, or the request was at fault.
    Neutral,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The fault in a sentence.
    pub reason: String,
    /// The request that met it.
    pub request_id: String,
    /// How long the endpoint asked to be left alone.
    pub rest: Option<Duration>,
}

/// What a probe showed of an endpoint that was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    Healthy,
    /// `rest`: how long the endpoint asked to be left alone.
    Failed {
        rest: Option<Duration>,
    },
}

/// What was seen of an endpoint. The operator's wish (`enabled`) is kept elsewhere: neither overwrites the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// Failures in the window, but not down.
    Degraded,
    Resting,
    Down,
}

impl State {
    /// As everybody outside calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Resting => "resting",
            Self::Down => "down",
        }
    }

    /// Whether requests go there while there is a choice.
    pub fn is_available(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

/// Of the failures in a window as many are kept as the rule needs, at least the first number of them for display and
/// at most the second: whoever wants more than that means never.
const FAILURES_KEPT: (usize, usize) = (64, 10_000);

#[derive(Clone, Debug)]
struct Down {
    since: Instant,
    /// When it went down or its last probe ended: an interval later it is probed.
    looked: Instant,
    next_probe: Instant,
    failed_probes: u32,
}

#[derive(Clone, Debug)]
struct Rest {
    since: Instant,
    until: Instant,
}

/// One endpoint's health.
#[derive(Clone, Debug)]
pub struct Health {
    failures: VecDeque<(Instant, Failure)>,
    last_success: Option<Instant>,
    down: Option<Down>,
    rest: Option<Rest>,
    /// When the present state began, for an endpoint that is up.
    up_since: Instant,
    /// When the probe under way began.
    probing: Option<Instant>,
}

impl Health {
    pub fn new(now: Instant) -> Self {
        Self { failures: VecDeque::new(), last_success: None, down: None, rest: None, up_since: now, probing: None }
    }

    /// Counts one client request; `started` is when it was sent to this endpoint.
    pub fn record(&mut self, outcome: &Outcome, started: Instant, now: Instant, rules: &HealthRules) {
        match outcome {
            Outcome::Success => self.succeeded(started, now),
            Outcome::Failure(failure) => self.failed(failure, now, rules),
            Outcome::Neutral => {}
        }
        self.settle(now, rules);
    }

    fn succeeded(&mut self, started: Instant, now: Instant) {
        self.last_success = Some(now);
        // A long stream that began before the trouble proves nothing about what came after it.
        if self.down.as_ref().is_some_and(|down| started >= down.since) {
            self.recover(now);
        }
        if self.rest.as_ref().is_some_and(|rest| started >= rest.since) {
            self.rest = None;
        }
    }

    fn failed(&mut self, failure: &Failure, now: Instant, rules: &HealthRules) {
        self.leave_alone(failure.rest, now);
        let kept = (rules.min_failures as usize).clamp(FAILURES_KEPT.0, FAILURES_KEPT.1);
        while self.failures.len() >= kept {
            self.failures.pop_front();
        }
        self.failures.push_back((now, failure.clone()));
    }

    fn leave_alone(&mut self, rest: Option<Duration>, now: Instant) {
        let Some(rest) = rest else { return };
        let until = now + rest.min(LONGEST_REST);
        match &mut self.rest {
            Some(current) if current.until > now => current.until = current.until.max(until),
            _ => self.rest = Some(Rest { since: now, until }),
        }
    }

    /// Forgets what has left the window and marks the endpoint down when the rule says so.
    pub fn settle(&mut self, now: Instant, rules: &HealthRules) {
        if self.rest.as_ref().is_some_and(|rest| rest.until <= now) {
            self.rest = None;
        }
        if self.down.is_some() {
            return;
        }
        let in_window = |at: Instant| now.saturating_duration_since(at) < rules.window;
        while self.failures.front().is_some_and(|(at, _)| !in_window(*at)) {
            self.failures.pop_front();
        }
        let succeeded = self.last_success.is_some_and(in_window);
        if !succeeded && self.failures.len() >= rules.min_failures.max(1) as usize {
            self.down =
                Some(Down { since: now, looked: now, next_probe: now + rules.check_interval, failed_probes: 0 });
        }
    }

    pub fn state(&self, now: Instant) -> State {
        if self.rest.as_ref().is_some_and(|rest| rest.until > now) {
            State::Resting
        } else if self.down.is_some() {
            State::Down
        } else if self.failures.is_empty() {
            State::Up
        } else {
            State::Degraded
        }
    }

    /// When the present state began.
    pub fn since(&self, now: Instant) -> Instant {
        match (self.state(now), &self.rest, &self.down) {
            (State::Resting, Some(rest), _) => rest.since,
            (State::Down, _, Some(down)) => down.since,
            (State::Degraded, ..) => self.failures.front().map_or(self.up_since, |(at, _)| *at),
            _ => self.up_since,
        }
    }

    /// Why it is not simply up: the newest failure.
    pub fn reason(&self) -> Option<&str> {
        self.failures.back().map(|(_, failure)| failure.reason.as_str())
    }

    /// The requests behind the present state, oldest first.
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        self.failures.iter().map(|(_, failure)| failure.request_id.as_str())
    }

    /// The request behind a failure goes by another id now.
    pub fn rename_cause(&mut self, former: &str, id: &str) {
        for (_, failure) in self.failures.iter_mut().filter(|(_, failure)| failure.request_id == former) {
            id.clone_into(&mut failure.request_id);
        }
    }

    pub fn failures_in_window(&self) -> usize {
        self.failures.len()
    }

    pub fn resting_until(&self) -> Option<Instant> {
        self.rest.as_ref().map(|rest| rest.until)
    }

    pub fn failed_probes(&self) -> u32 {
        self.down.as_ref().map_or(0, |down| down.failed_probes)
    }

    /// When the next probe is due: only a down endpoint is probed, never while it rests, one probe at a time.
    pub fn next_probe(&self) -> Option<Instant> {
        let down = self.down.as_ref().filter(|_| self.probing.is_none())?;
        Some(self.rest.as_ref().map_or(down.next_probe, |rest| down.next_probe.max(rest.until)))
    }

    /// When the mere passing of time may change the state: a rest ends, or something leaves the window.
    pub fn next_turn(&self, rules: &HealthRules) -> Option<Instant> {
        let rest = self.rest.as_ref().map(|rest| rest.until);
        if self.down.is_some() {
            return rest;
        }
        let (oldest, _) = self.failures.front()?;
        let enough = self.failures.len() >= rules.min_failures.max(1) as usize;
        let success = self.last_success.filter(|_| enough);
        let leaves = [Some(*oldest), success].into_iter().flatten().filter_map(|at| at.checked_add(rules.window));
        leaves.chain(rest).min()
    }

    /// Claims the one probe that may run.
    pub fn begin_probe(&mut self, now: Instant) {
        self.probing = Some(now);
    }

    /// A rest that began while the probe was under way outlives its success.
    pub fn end_probe(&mut self, probed: Probed, now: Instant, rules: &HealthRules) {
        let began = self.probing.take().unwrap_or(now);
        match probed {
            Probed::Healthy => {
                let rest = self.rest.take().filter(|rest| rest.since > began);
                self.recover(now);
                self.rest = rest;
            }
            Probed::Failed { rest } => {
                self.leave_alone(rest, now);
                if let Some(down) = &mut self.down {
                    down.failed_probes += 1;
                    down.looked = now;
                    down.next_probe = now + rules.check_interval;
                }
            }
        }
    }

    /// New rules are in force: the wait for the next probe is as long as theirs.
    pub fn reschedule(&mut self, rules: &HealthRules) {
        if let Some(down) = &mut self.down {
            down.next_probe = down.looked + rules.check_interval;
        }
    }

    /// What the probe saw was another endpoint, as it was before a reload: look again.
    pub fn abandon_probe(&mut self, now: Instant) {
        self.probing = None;
        if let Some(down) = &mut self.down {
            down.next_probe = now;
        }
    }

    /// Back to up with a clean slate, so that one new failure does not take it down again at once.
    pub fn recover(&mut self, now: Instant) {
        if self.down.take().is_some() || !self.failures.is_empty() {
            self.up_since = now;
        }
        self.failures.clear();
        self.rest = None;
    }
}

/// A `retry-after` of years must not overflow an instant, and no endpoint means it.
const LONGEST_REST: Duration = Duration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn rules() -> HealthRules {
        HealthRules {
            window: secs(140),
            min_failures: 2,
            check_interval: secs(30),
            check_timeout: secs(30),
            probe_model: None,
        }
    }

    fn failure(id: &str) -> Outcome {
        Outcome::Failure(Failure { reason: format!("fault of {id}"), request_id: id.into(), rest: None })
    }

    fn limited(rest: u64) -> Outcome {
        Outcome::Failure(Failure { reason: "429".into(), request_id: "r".into(), rest: Some(secs(rest)) })
    }

    fn after(t0: Instant, events: &[(u64, &Outcome)]) -> Health {
        let mut health = Health::new(t0);
        for (at, outcome) in events {
            health.record(outcome, t0 + secs(*at), t0 + secs(*at), &rules());
        }
        health
    }

    #[test]
    fn the_rule_of_the_window() {
        let (f, ok) = (failure("a"), Outcome::Success);
        for (name, events, at, expected) in [
            ("nothing happened", vec![], 0, State::Up),
            ("one failure is no outage", vec![(0, &f)], 1, State::Degraded),
            ("two failures are", vec![(0, &f), (1, &f)], 1, State::Down),
            ("a success between them saves it", vec![(0, &f), (1, &ok), (2, &f)], 2, State::Degraded),
            ("a success before them does too", vec![(0, &ok), (1, &f), (139, &f)], 139, State::Degraded),
            ("until it leaves the window", vec![(0, &ok), (100, &f), (140, &f)], 140, State::Down),
            ("failures further apart than the window", vec![(0, &f), (140, &f)], 140, State::Degraded),
            ("neutral ones count nothing", vec![(0, &f), (1, &Outcome::Neutral)], 2, State::Degraded),
        ] {
            let t0 = t0();
            assert_eq!(after(t0, &events).state(t0 + secs(at)), expected, "{name}");
        }
    }

    #[test]
    fn a_success_that_leaves_the_window_lets_older_failures_tell() {
        let t0 = t0();
        let mut health = after(t0, &[(0, &Outcome::Success), (100, &failure("a")), (110, &failure("b"))]);
        assert_eq!(health.state(t0 + secs(139)), State::Degraded);
        health.settle(t0 + secs(140), &rules());
        assert_eq!(health.state(t0 + secs(140)), State::Down);
        assert_eq!(health.causes().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn down_stays_down_until_something_succeeds() {
        let t0 = t0();
        let mut health = after(t0, &[(0, &failure("a")), (1, &failure("b"))]);
        health.settle(t0 + secs(10_000), &rules());
        assert_eq!(health.state(t0 + secs(10_000)), State::Down);
        assert_eq!(health.since(t0 + secs(10_000)), t0 + secs(1));

        let mut probed = health.clone();
        probed.end_probe(Probed::Healthy, t0 + secs(31), &rules());
        assert_eq!(probed.state(t0 + secs(31)), State::Up);
        assert_eq!(probed.since(t0 + secs(40)), t0 + secs(31));
        probed.record(&failure("c"), t0 + secs(32), t0 + secs(32), &rules());
        assert_eq!(probed.state(t0 + secs(32)), State::Degraded, "one new failure is one failure");

        health.record(&Outcome::Success, t0 + secs(40), t0 + secs(41), &rules());
        assert_eq!(health.state(t0 + secs(41)), State::Up, "a request that was tried anyway");
    }

    #[test]
    fn a_stream_from_before_the_outage_does_not_end_it() {
        let t0 = t0();
        let mut health = after(t0, &[(10, &failure("a")), (11, &failure("b"))]);
        health.record(&Outcome::Success, t0, t0 + secs(12), &rules());
        assert_eq!(health.state(t0 + secs(12)), State::Down);
    }

    #[test]
    fn probes_come_one_interval_apart_one_at_a_time() {
        let t0 = t0();
        assert_eq!(after(t0, &[(0, &failure("a"))]).next_probe(), None, "a healthy endpoint is never probed");
        let mut health = after(t0, &[(0, &failure("a")), (1, &failure("b"))]);
        assert_eq!(health.next_probe(), Some(t0 + secs(31)));
        health.begin_probe(t0 + secs(31));
        assert_eq!(health.next_probe(), None);
        health.end_probe(Probed::Failed { rest: None }, t0 + secs(35), &rules());
        assert_eq!(health.next_probe(), Some(t0 + secs(65)));
        assert_eq!(health.failed_probes(), 1);
    }

    #[test]
    fn rest_lasts_until_retry_after_and_is_not_probed() {
        let t0 = t0();
        let mut health = after(t0, &[(0, &limited(20))]);
        assert_eq!(health.state(t0 + secs(19)), State::Resting);
        health.settle(t0 + secs(20), &rules());
        assert_eq!(health.state(t0 + secs(20)), State::Degraded);

        let both = after(t0, &[(0, &limited(60)), (1, &limited(60))]);
        assert_eq!(both.state(t0 + secs(5)), State::Resting);
        assert_eq!(both.next_probe(), Some(t0 + secs(61)), "never while it rests");
        assert_eq!(both.state(t0 + secs(61)), State::Down);
    }

    #[test]
    fn a_success_after_the_rest_began_ends_it() {
        let t0 = t0();
        let mut health = after(t0, &[(0, &limited(600)), (5, &Outcome::Success)]);
        assert_eq!(health.state(t0 + secs(5)), State::Degraded);
        health.record(&limited(600), t0 + secs(6), t0 + secs(6), &rules());
        health.record(&Outcome::Success, t0 + secs(5), t0 + secs(7), &rules());
        assert_eq!(health.state(t0 + secs(7)), State::Resting, "that one was sent before the limit");
    }

    #[test]
    fn a_probe_does_not_end_a_rest_that_began_during_it() {
        let t0 = t0();
        let mut health = after(t0, &[(0, &failure("a")), (1, &failure("b"))]);
        health.begin_probe(t0 + secs(31));
        health.record(&limited(60), t0 + secs(32), t0 + secs(32), &rules());
        health.end_probe(Probed::Healthy, t0 + secs(33), &rules());
        assert_eq!(health.state(t0 + secs(34)), State::Resting);
        health.settle(t0 + secs(92), &rules());
        assert_eq!(health.state(t0 + secs(92)), State::Up);
    }

    #[test]
    fn any_number_of_failures_may_be_asked_for() {
        let (t0, rules) = (t0(), HealthRules { min_failures: 500, ..rules() });
        let mut health = Health::new(t0);
        for _ in 0..499 {
            health.record(&failure("a"), t0, t0, &rules);
        }
        assert_eq!(health.state(t0), State::Degraded);
        health.record(&failure("a"), t0, t0, &rules);
        assert_eq!(health.state(t0), State::Down);
    }

    #[test]
    fn an_absurd_retry_after_does_not_overflow() {
        let t0 = t0();
        let health = after(t0, &[(0, &limited(u64::MAX))]);
        assert_eq!(health.state(t0 + secs(3600)), State::Resting);
    }
}
