//! The endpoints as the table shows them: their order, the cursor, and tests under way.

use std::collections::HashSet;

use crate::tui::keys::Motion;
use crate::wire::event::EndpointChanged;
use crate::wire::status::{EndpointList, EndpointView};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Priority,
    Name,
    State,
    Slowest,
    Failures,
}

impl Sort {
    pub fn word(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Name => "name",
            Self::State => "state",
            Self::Slowest => "p95",
            Self::Failures => "failures",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Priority => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Slowest,
            Self::Slowest => Self::Failures,
            Self::Failures => Self::Priority,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// In the order of the table.
    list: Vec<EndpointView>,
    pub window_s: u64,
    pub sort: Sort,
    /// The name under the cursor: it stays on its endpoint when the order changes.
    selected: Option<String>,
    /// Those that are being tested at the user's wish.
    pub testing: HashSet<String>,
    /// Whether a list ever came.
    pub known: bool,
}

impl Endpoints {
    pub fn list(&self) -> &[EndpointView] {
        &self.list
    }

    pub fn replace(&mut self, new: EndpointList) {
        self.window_s = new.window_s;
        self.known = true;
        let before = self.position();
        self.list = new.endpoints;
        self.arrange();
        if self.selected.as_ref().is_none_or(|name| self.get(name).is_none()) {
            let at = before.min(self.list.len().saturating_sub(1));
            self.selected = self.list.get(at).map(|endpoint| endpoint.name.clone());
        }
    }

    pub fn changed(&mut self, change: &EndpointChanged) {
        let old = self.list.iter().position(|endpoint| endpoint.name == change.name);
        match (old, &change.endpoint) {
            (Some(at), Some(new)) => self.list[at] = new.clone(),
            (None, Some(new)) => self.list.push(new.clone()),
            (Some(at), None) => {
                self.list.remove(at);
            }
            (None, None) => {}
        }
        self.arrange();
    }

    fn arrange(&mut self) {
        match self.sort {
            Sort::Priority => self.list.sort_by_key(|endpoint| endpoint.priority),
            Sort::Name => self.list.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::State => self.list.sort_by_key(|endpoint| (rank(&endpoint.state), endpoint.priority)),
            Sort::Slowest => self.list.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.duration.p95_ms)),
            Sort::Failures => self.list.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.window_failed)),
        }
    }

    pub fn sort_next(&mut self) {
        self.sort = self.sort.next();
        self.arrange();
    }

    pub fn get(&self, name: &str) -> Option<&EndpointView> {
        self.list.iter().find(|endpoint| endpoint.name == name)
    }

    pub fn selected(&self) -> Option<&EndpointView> {
        self.list.get(self.position())
    }

    pub fn position(&self) -> usize {
        let is = |endpoint: &EndpointView| Some(&endpoint.name) == self.selected.as_ref();
        self.list.iter().position(is).unwrap_or(0)
    }

    /// Whether there is one of that name.
    pub fn select(&mut self, name: &str) -> bool {
        let known = self.get(name).is_some();
        if known {
            self.selected = Some(name.to_owned());
        }
        known
    }

    pub fn point(&mut self, at: usize) {
        if let Some(endpoint) = self.list.get(at) {
            self.selected = Some(endpoint.name.clone());
        }
    }

    pub fn go(&mut self, motion: Motion) {
        let (at, last) = (self.position(), self.list.len().saturating_sub(1));
        let to = match motion {
            Motion::Up => at.saturating_sub(1),
            Motion::Down => at + 1,
            Motion::PageUp | Motion::First => 0,
            Motion::PageDown | Motion::Last => last,
            Motion::HalfUp => at.saturating_sub(3),
            Motion::HalfDown => at + 3,
        };
        self.point(to.min(last));
    }

    /// All names in the order in which they are tried, `name` one place sooner or later; `None` when it is there already.
    pub fn moved(&self, name: &str, sooner: bool) -> Option<Vec<String>> {
        let mut order: Vec<&EndpointView> = self.list.iter().collect();
        order.sort_by_key(|endpoint| endpoint.priority);
        let at = order.iter().position(|endpoint| endpoint.name == name)?;
        let to = if sooner { at.checked_sub(1)? } else { at + 1 };
        if to >= order.len() {
            return None;
        }
        order.swap(at, to);
        Some(order.into_iter().map(|endpoint| endpoint.name.clone()).collect())
    }

    /// The order in which they are tried.
    pub fn order(&self) -> Vec<String> {
        let mut order: Vec<&EndpointView> = self.list.iter().collect();
        order.sort_by_key(|endpoint| endpoint.priority);
        order.into_iter().map(|endpoint| endpoint.name.clone()).collect()
    }
}

/// The worst state first; what is disabled last.
pub fn rank(state: &str) -> usize {
    ["down", "resting", "degraded", "up"].iter().position(|known| *known == state).unwrap_or(9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(endpoints: &[(&str, i64, &str)]) -> EndpointList {
        let endpoints = endpoints.iter().map(|(name, priority, state)| EndpointView {
            name: (*name).to_owned(),
            priority: *priority,
            state: (*state).to_owned(),
            ..EndpointView::default()
        });
        EndpointList { endpoints: endpoints.collect(), ..EndpointList::default() }
    }

    fn names(endpoints: &Endpoints) -> Vec<&str> {
        endpoints.list().iter().map(|endpoint| endpoint.name.as_str()).collect()
    }

    #[test]
    fn the_cursor_stays_on_its_endpoint_when_the_order_changes() {
        let mut endpoints = Endpoints::default();
        endpoints.replace(list(&[("b", 2, "up"), ("a", 3, "down"), ("c", 1, "up")]));
        assert_eq!(names(&endpoints), ["c", "b", "a"]);
        endpoints.go(Motion::Last);
        endpoints.sort_next();
        endpoints.sort_next();
        assert_eq!((names(&endpoints), endpoints.position()), (vec!["a", "c", "b"], 0));
        endpoints.replace(list(&[("b", 2, "up"), ("c", 1, "up")]));
        assert_eq!(endpoints.selected().unwrap().name, "c", "the one that took its place");
        endpoints.replace(list(&[]));
        assert_eq!(endpoints.selected(), None);
        endpoints.go(Motion::Down);
    }

    #[test]
    fn a_change_adds_replaces_and_removes() {
        let mut endpoints = Endpoints::default();
        endpoints.replace(list(&[("a", 1, "up")]));
        let view = |state: &str| EndpointView { name: "b".into(), state: state.into(), ..EndpointView::default() };
        let change = |endpoint| EndpointChanged { name: "b".into(), endpoint, ..EndpointChanged::default() };
        endpoints.changed(&change(Some(view("up"))));
        endpoints.changed(&change(Some(view("down"))));
        assert_eq!(endpoints.get("b").unwrap().state, "down");
        endpoints.changed(&change(None));
        assert_eq!(names(&endpoints), ["a"]);
    }

    #[test]
    fn one_place_sooner_or_later() {
        let mut endpoints = Endpoints::default();
        endpoints.replace(list(&[("a", 1, ""), ("b", 2, ""), ("c", 2, "")]));
        assert_eq!(endpoints.moved("c", true).unwrap(), ["a", "c", "b"]);
        assert_eq!(endpoints.moved("a", false).unwrap(), ["b", "a", "c"]);
        assert_eq!((endpoints.moved("a", true), endpoints.moved("c", false)), (None, None));
    }
}
