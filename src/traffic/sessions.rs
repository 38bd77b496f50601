//! What each session used and where it is, summed up from finished requests.

use std::collections::HashMap;

use crate::wire::record::RequestRecord;
use crate::wire::session::SessionView;

/// More sessions than anybody has open; beyond it the one that was quiet for longest is forgotten.
const KEPT: usize = 1000;
/// Bytes of a session's name. Who sends longer ones gets no figures.
const LONGEST_NAME: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<String, Session>,
    /// Finished requests so far: the order of the sessions' newest ones.
    turn: u64,
}

#[derive(Debug, Default)]
struct Session {
    view: SessionView,
    turn: u64,
}

impl Sessions {
    pub(super) fn add(&mut self, record: &RequestRecord) {
        let Some(name) = record.session.as_deref().filter(|name| name.len() <= LONGEST_NAME) else { return };
        self.turn += 1;
        if !self.sessions.contains_key(name) {
            self.make_room();
        }
        let session = self.sessions.entry(name.to_owned()).or_default();
        session.turn = self.turn;
        let view = &mut session.view;
        view.requests += 1;
        view.tokens.add(record.usage);
        name.clone_into(&mut view.session);
        view.time.clone_from(&record.time);
        view.ending = record.ending;
        view.endpoint.clone_from(&record.endpoint);
        view.model.clone_from(&record.model);
        view.first_byte_ms = record.first_byte_ms;
    }

    pub(super) fn get(&self, name: &str) -> Option<SessionView> {
        self.sessions.get(name).map(|session| session.view.clone())
    }

    fn make_room(&mut self) {
        if self.sessions.len() >= KEPT
            && let Some(quiet) = self.sessions.iter().min_by_key(|(_, session)| session.turn)
        {
            let quiet = quiet.0.clone();
            self.sessions.remove(&quiet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{Ending, Usage};

    fn record(session: &str, endpoint: &str, output: u64) -> RequestRecord {
        RequestRecord {
            session: Some(session.into()),
            endpoint: Some(endpoint.into()),
            ending: Ending::Complete,
            first_byte_ms: Some(output),
            usage: Some(Usage { output: Some(output), cache_read: Some(2), ..Usage::default() }),
            ..RequestRecord::default()
        }
    }

    #[test]
    fn a_session_has_the_sum_of_its_tokens_and_its_newest_endpoint() {
        let mut sessions = Sessions::default();
        sessions.add(&record("s", "a", 10));
        sessions.add(&record("t", "c", 999));
        sessions.add(&record("s", "b", 5));
        sessions.add(&RequestRecord::default());
        let view = sessions.get("s").unwrap();
        assert_eq!((view.requests, view.tokens.output, view.tokens.cache_read), (2, 15, 4));
        assert_eq!((view.endpoint.as_deref(), view.first_byte_ms), (Some("b"), Some(5)));
        assert_eq!(sessions.get("u"), None);
    }

    #[test]
    fn the_quietest_sessions_are_forgotten_so_that_memory_stays_what_it_is() {
        let mut sessions = Sessions::default();
        for number in 0..KEPT {
            sessions.add(&record(&number.to_string(), "a", 1));
        }
        sessions.add(&record("0", "a", 1));
        sessions.add(&record("new", "a", 1));
        sessions.add(&record(&"x".repeat(LONGEST_NAME + 1), "a", 1));
        assert_eq!(sessions.sessions.len(), KEPT);
        assert!(sessions.get("0").is_some() && sessions.get("new").is_some() && sessions.get("1").is_none());
    }
}
