//! Requests under way, as events and the status of each second tell of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::tui::message::Now;
use crate::wire::status::{RunningView, StatusView};

#[derive(Clone, Debug, Default)]
pub struct Running {
    /// By key, which counts up: the oldest first.
    held: BTreeMap<u64, (RunningView, Duration)>,
}

impl Running {
    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &RunningView> {
        self.held.values().map(|(view, _)| view)
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn update(&mut self, view: RunningView, now: Now) {
        self.held.insert(view.key, (view, now.at));
    }

    pub fn end(&mut self, key: u64) {
        self.held.remove(&key);
    }

    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// What the status names is so; what it does not name is over, unless there are more than it names.
    pub fn reconcile(&mut self, status: &StatusView, now: Now) {
        let all_named = status.in_flight <= status.running.len() as u64;
        if all_named {
            self.held.retain(|key, _| status.running.iter().any(|view| view.key == *key));
        }
        for view in &status.running {
            self.update(view.clone(), now);
        }
    }

    /// Milliseconds that it has been under way.
    pub fn age_ms(&self, key: u64, now: Now) -> u64 {
        self.held.get(&key).map_or(0, |(view, seen)| {
            let since = now.at.saturating_sub(*seen).as_millis();
            view.age_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { at: Duration::from_secs(seconds), ..Now::default() }
    }

    fn view(key: u64) -> RunningView {
        RunningView { key, age_ms: 500, ..RunningView::default() }
    }

    #[test]
    fn ages_go_on_between_two_tellings() {
        let mut running = Running::default();
        running.update(view(1), at(10));
        assert_eq!((running.age_ms(1, at(12)), running.age_ms(9, at(12))), (2500, 0));
    }

    #[test]
    fn the_status_ends_what_it_no_longer_names() {
        let mut running = Running::default();
        (1..=3).for_each(|key| running.update(view(key), at(0)));
        let status = |in_flight, keys: &[u64]| StatusView {
            in_flight,
            running: keys.iter().map(|key| view(*key)).collect(),
            ..StatusView::default()
        };
        running.reconcile(&status(5, &[1]), at(1));
        assert_eq!(running.len(), 3, "it names only some");
        running.reconcile(&status(2, &[2, 4]), at(1));
        assert_eq!(running.iter().map(|view| view.key).collect::<Vec<_>>(), [2, 4]);
    }
}
