//! All endpoints with what was seen of them.

use std::sync::Arc;
use std::time::Instant;

use super::choice::{self, Candidate};
use super::endpoint::EndpointSpec;
use super::health::{Health, HealthRules, Outcome, Probed, State};

/// Names one endpoint for as long as its name and url stay; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

/// One endpoint in the pool.
#[derive(Clone, Debug)]
pub struct Slot {
    pub id: EndpointId,
    pub spec: Arc<EndpointSpec>,
    pub health: Health,
    /// Requests under way there.
    pub in_flight: usize,
    /// The turn at which it was chosen last; 0: never.
    last_turn: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// The state that was told last.
    told: State,
}

impl Slot {
    /// Its state as everybody outside calls it. The operator's wish comes first: nobody sees how a disabled endpoint fares.
    pub fn word(&self, now: Instant) -> &'static str {
        if self.spec.enabled { self.health.state(now).word() } else { "disabled" }
    }
}

#[derive(Debug)]
pub struct Pool {
    slots: Vec<Slot>,
    rules: HealthRules,
    next_id: u64,
    /// Choices made so far.
    turns: u64,
}

/// An endpoint whose state changed, for the diagnostic log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    pub from: State,
    pub to: State,
    pub reason: Option<String>,
}

impl Pool {
    pub fn new(specs: &[Arc<EndpointSpec>], rules: HealthRules, now: Instant) -> Self {
        let mut pool = Self { slots: Vec::new(), rules, next_id: 0, turns: 0 };
        pool.replace(specs, pool.rules.clone(), now);
        pool
    }

    /// Takes the endpoints of new settings. Health and counts stay with an endpoint whose name and url stay.
    pub fn replace(&mut self, specs: &[Arc<EndpointSpec>], rules: HealthRules, now: Instant) {
        let mut before = std::mem::take(&mut self.slots);
        for spec in specs {
            let kept = before.iter().position(|slot| slot.spec.name == spec.name && slot.spec.url == spec.url);
            let slot = match kept {
                Some(i) => Slot { spec: Arc::clone(spec), ..before.swap_remove(i) },
                None => self.fresh(spec, now),
            };
            self.slots.push(slot);
        }
        for slot in &mut self.slots {
            slot.health.reschedule(&rules);
        }
        self.rules = rules;
    }

    fn fresh(&mut self, spec: &Arc<EndpointSpec>, now: Instant) -> Slot {
        self.next_id += 1;
        Slot {
            id: EndpointId(self.next_id),
            spec: Arc::clone(spec),
            health: Health::new(now),
            in_flight: 0,
            last_turn: 0,
            succeeded: 0,
            failed: 0,
            told: State::Up,
        }
    }

    /// The endpoint for the next attempt, counted as in flight from now on.
    pub fn choose(&mut self, tried: &[EndpointId], session: Option<&str>, now: Instant) -> Option<&Slot> {
        let rules = &self.rules;
        self.slots.iter_mut().for_each(|slot| slot.health.settle(now, rules));
        let open = |slot: &&Slot| slot.spec.enabled && !tried.contains(&slot.id);
        let candidates: Vec<_> = self.slots.iter().filter(open).map(|slot| candidate(slot, now)).collect();
        let picked = choice::pick(&candidates, session)?;
        let id = self.slots.iter().filter(open).nth(picked)?.id;
        self.turns += 1;
        let turn = self.turns;
        let slot = self.slot_mut(id)?;
        slot.in_flight += 1;
        slot.last_turn = turn;
        Some(slot)
    }

    /// Ends what [`Pool::choose`] began. An endpoint that has left the settings meanwhile is not missed.
    pub fn report(&mut self, id: EndpointId, outcome: &Outcome, started: Instant, now: Instant) {
        let rules = self.rules.clone();
        let Some(slot) = self.slot_mut(id) else { return };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Success => slot.succeeded += 1,
            Outcome::Failure(_) => slot.failed += 1,
            Outcome::Neutral => {}
        }
        slot.health.record(outcome, started, now, &rules);
    }

    /// What changed since this was asked last, by whatever: an outcome, a probe or the passing of time.
    pub fn changes(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        for slot in &mut self.slots {
            slot.health.settle(now, &self.rules);
            let to = slot.health.state(now);
            let from = std::mem::replace(&mut slot.told, to);
            if from != to {
                let reason = slot.health.reason().map(str::to_owned);
                changes.push(Change { name: slot.spec.name.clone(), from, to, reason });
            }
        }
        changes
    }

    /// Down endpoints whose probe is due; each is claimed until [`Pool::end_probe`].
    pub fn due_probes(&mut self, now: Instant) -> Vec<(EndpointId, Arc<EndpointSpec>)> {
        let due = |slot: &&mut Slot| slot.spec.enabled && slot.health.next_probe().is_some_and(|at| at <= now);
        let claim = |slot: &mut Slot| {
            slot.health.begin_probe(now);
            (slot.id, Arc::clone(&slot.spec))
        };
        self.slots.iter_mut().filter(due).map(claim).collect()
    }

    /// `spec`: the endpoint as it was when the probe began.
    pub fn end_probe(&mut self, id: EndpointId, spec: &Arc<EndpointSpec>, probed: Probed, now: Instant) {
        let rules = self.rules.clone();
        let Some(slot) = self.slot_mut(id) else { return };
        if Arc::ptr_eq(&slot.spec, spec) || slot.spec == *spec {
            slot.health.end_probe(probed, now, &rules);
        } else {
            slot.health.abandon_probe(now);
        }
    }

    /// A request that failed somewhere goes by another id now.
    pub fn rename_cause(&mut self, former: &str, id: &str) {
        self.slots.iter_mut().for_each(|slot| slot.health.rename_cause(former, id));
    }

    /// A clean slate for an endpoint; `false` when there is none of that name.
    pub fn reset(&mut self, name: &str, now: Instant) -> bool {
        let slot = self.slots.iter_mut().find(|slot| slot.spec.name == name);
        slot.map(|slot| slot.health.recover(now)).is_some()
    }

    /// Whether these are the settings in force for that endpoint.
    pub fn is_current(&self, id: EndpointId, spec: &Arc<EndpointSpec>) -> bool {
        self.slots.iter().any(|slot| slot.id == id && slot.spec == *spec)
    }

    pub fn next_probe(&self) -> Option<Instant> {
        self.slots.iter().filter(|slot| slot.spec.enabled).filter_map(|slot| slot.health.next_probe()).min()
    }

    /// When time alone has done something: a probe is due, or [`Pool::changes`] has something to tell.
    pub fn next_turn(&self) -> Option<Instant> {
        let turns = self.slots.iter().filter_map(|slot| slot.health.next_turn(&self.rules));
        turns.chain(self.next_probe()).min()
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn rules(&self) -> &HealthRules {
        &self.rules
    }

    fn slot_mut(&mut self, id: EndpointId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.id == id)
    }
}

fn candidate(slot: &Slot, now: Instant) -> Candidate<'_> {
    let state = slot.health.state(now);
    Candidate {
        name: &slot.spec.name,
        priority: slot.spec.priority,
        available: state.is_available(),
        resting: state == State::Resting,
        in_flight: slot.in_flight,
        last_turn: slot.last_turn,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::endpoint::{Auth, BaseUrl, HttpVersion};
    use crate::domain::health::Failure;

    fn spec(name: &str, url: &str, enabled: bool) -> Arc<EndpointSpec> {
        Arc::new(EndpointSpec {
            name: name.into(),
            url: BaseUrl::parse(url).unwrap(),
            path_prefix: "/v1".into(),
            auth: Auth::Passthrough,
            enabled,
            priority: 1,
            http: HttpVersion::Http1,
            proxy: None,
            ca_file: None,
        })
    }

    fn rules() -> HealthRules {
        let secs = Duration::from_secs;
        HealthRules {
            window: secs(140),
            min_failures: 2,
            check_interval: secs(30),
            check_timeout: secs(30),
            probe_model: None,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the origin")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn fail(pool: &mut Pool, name: &str, now: Instant) -> Option<State> {
        let id = pool.slots().iter().find(|slot| slot.spec.name == name).unwrap().id;
        let failure = Failure { reason: "reset".into(), request_id: "r".into(), rest: None };
        pool.report(id, &Outcome::Failure(failure), now, now);
        pool.changes(now).pop().map(|change| change.to)
    }

    #[test]
    fn reload_keeps_health_where_name_and_url_stay() {
        let now = t0();
        let mut pool = Pool::new(&[spec("a", "http://a", true), spec("b", "http://b", true)], rules(), now);
        for name in ["a", "a", "b", "b"] {
            fail(&mut pool, name, now);
        }
        pool.replace(&[spec("b", "http://b", false), spec("a", "http://elsewhere", true)], rules(), now);
        let states: Vec<_> = pool.slots().iter().map(|s| (s.spec.name.as_str(), s.health.state(now))).collect();
        assert_eq!(states, [("b", State::Down), ("a", State::Up)]);
        assert!(pool.next_probe().is_none(), "a disabled endpoint is never probed");
    }

    #[test]
    fn a_change_of_state_is_told_once() {
        let now = t0();
        let mut pool = Pool::new(&[spec("a", "http://a", true)], rules(), now);
        assert_eq!(fail(&mut pool, "a", now), Some(State::Degraded));
        assert_eq!(fail(&mut pool, "a", now), Some(State::Down));
        assert_eq!(fail(&mut pool, "a", now), None);
    }

    #[test]
    fn going_down_during_a_rest_is_told_when_the_rest_is_over() {
        let now = t0();
        let mut pool = Pool::new(&[spec("a", "http://a", true)], rules(), now);
        let id = pool.slots()[0].id;
        let rest = Some(Duration::from_secs(10));
        for _ in 0..2 {
            let limited = Failure { reason: "429".into(), request_id: "r".into(), rest };
            pool.report(id, &Outcome::Failure(limited), now, now);
        }
        let told = |pool: &mut Pool, at| pool.changes(at).into_iter().map(|change| change.to).collect::<Vec<_>>();
        assert_eq!(told(&mut pool, now), [State::Resting]);
        assert_eq!(told(&mut pool, now + Duration::from_secs(10)), [State::Down]);
    }

    #[test]
    fn going_down_by_the_passing_of_time_has_its_turn() {
        let (t0, at) = (t0(), |ms: u64| Duration::from_millis(ms));
        let rules = HealthRules { window: at(3000), ..rules() };
        let mut pool = Pool::new(&[spec("a", "http://a", true)], rules, t0);
        let id = pool.slots()[0].id;
        assert_eq!(pool.next_turn(), None);
        pool.report(id, &Outcome::Success, t0, t0);
        assert_eq!(pool.next_turn(), None);
        fail(&mut pool, "a", t0 + at(1000));
        assert_eq!(pool.next_turn(), Some(t0 + at(4000)), "when the failure is forgotten");
        fail(&mut pool, "a", t0 + at(1500));
        assert_eq!(pool.next_turn(), Some(t0 + at(3000)), "when the success is");
        assert_eq!(pool.changes(t0 + at(3000))[0].to, State::Down);
        assert_eq!(pool.next_turn(), Some(t0 + at(33_000)));
    }

    #[test]
    fn a_probe_comes_sooner_once_a_shorter_interval_is_set() {
        let (now, secs) = (t0(), Duration::from_secs);
        let endpoints = [spec("a", "http://a", true)];
        let mut pool = Pool::new(&endpoints, HealthRules { check_interval: secs(3600), ..rules() }, now);
        fail(&mut pool, "a", now);
        fail(&mut pool, "a", now);
        assert_eq!(pool.next_probe(), Some(now + secs(3600)));
        pool.replace(&endpoints, rules(), now + secs(10));
        assert_eq!(pool.next_probe(), Some(now + secs(30)), "one interval after it went down");
        let (id, probed) = pool.due_probes(now + secs(30)).remove(0);
        pool.end_probe(id, &probed, Probed::Failed { rest: None }, now + secs(31));
        pool.replace(&endpoints, HealthRules { check_interval: secs(5), ..rules() }, now + secs(40));
        assert_eq!(pool.next_probe(), Some(now + secs(36)), "one interval after its last probe");
    }

    #[test]
    fn a_due_probe_is_handed_out_once() {
        let now = t0();
        let mut pool = Pool::new(&[spec("a", "http://a", true)], rules(), now);
        fail(&mut pool, "a", now);
        fail(&mut pool, "a", now);
        assert!(pool.due_probes(now + Duration::from_secs(29)).is_empty());
        let due = pool.due_probes(now + Duration::from_secs(30));
        assert_eq!(due.len(), 1);
        assert!(pool.due_probes(now + Duration::from_mins(1)).is_empty());
        let later = now + Duration::from_secs(31);
        pool.end_probe(due[0].0, &due[0].1, Probed::Healthy, later);
        assert_eq!(pool.changes(later)[0].to, State::Up);
    }

    #[test]
    fn in_flight_is_given_back_and_each_endpoint_is_chosen_once() {
        let now = t0();
        let mut pool = Pool::new(
            &[spec("a", "http://a", true), spec("b", "http://b", true), spec("c", "http://c", false)],
            rules(),
            now,
        );
        let first = pool.choose(&[], None, now).unwrap().id;
        let second = pool.choose(&[first], None, now).unwrap().id;
        assert_ne!(first, second);
        assert!(pool.choose(&[first, second], None, now).is_none(), "c is disabled");
        pool.report(first, &Outcome::Neutral, now, now);
        assert_eq!(pool.slots().iter().map(|slot| slot.in_flight).collect::<Vec<_>>(), [0, 1, 0]);
    }
}
