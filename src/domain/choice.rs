//! Which endpoint comes next: the first available priority, shared fairly inside it.

use std::cmp::Reverse;

/// What the choice looks at in one endpoint.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub name: &'a str,
    pub priority: i64,
    /// Up or degraded. The others are the last resort.
    pub available: bool,
    pub resting: bool,
    pub in_flight: usize,
    /// The turn at which it was chosen last; evens out a quiet time in which nobody has any in flight.
    pub last_turn: u64,
}

/// The best of `candidates`, or `None` when there are none. Endpoints that were tried or are disabled are not passed in.
///
/// Available ones come first. Within the best priority a session keeps to one endpoint (its prompt cache is warm
/// there), a request without a session goes where the fewest are in flight.
pub fn pick(candidates: &[Candidate<'_>], session: Option<&str>) -> Option<usize> {
    let rank = |c: &Candidate<'_>| (!c.available, c.priority, !c.available && !c.resting);
    let best = candidates.iter().map(rank).min()?;
    let equals = candidates.iter().enumerate().filter(|(_, c)| rank(c) == best);
    match session {
        Some(session) => equals.max_by_key(|(_, c)| weight(session, c.name)),
        None => equals.max_by_key(|(i, c)| Reverse((c.in_flight, c.last_turn, *i))),
    }
    .map(|(i, _)| i)
}

/// Rendezvous hashing: every endpoint has its own weight for a session and the heaviest wins, so adding or losing
/// one moves only the sessions that must move. FNV-1a with a final mix: stable between runs, unlike std's hasher.
fn weight(session: &str, name: &str) -> u64 {
    let bytes = session.bytes().chain([0xff]).chain(name.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, priority: i64) -> Candidate<'_> {
        Candidate { name, priority, available: true, resting: false, in_flight: 0, last_turn: 0 }
    }

    fn picked<'a>(candidates: &[Candidate<'a>], session: Option<&str>) -> &'a str {
        pick(candidates, session).map_or("", |i| candidates[i].name)
    }

    #[test]
    fn the_smallest_priority_that_is_available() {
        let mut all = [candidate("b", 2), candidate("a", 1), candidate("c", 3)];
        assert_eq!(picked(&all, None), "a");
        assert_eq!(picked(&all, Some("s")), "a");
        all[1].available = false;
        assert_eq!(picked(&all, None), "b");
        assert_eq!(picked(&[], None), "");
    }

    #[test]
    fn when_none_is_up_the_best_of_the_rest() {
        let down = |name, priority| Candidate { available: false, ..candidate(name, priority) };
        let resting = |name, priority| Candidate { resting: true, ..down(name, priority) };
        assert_eq!(picked(&[down("a", 2), down("b", 1)], None), "b");
        assert_eq!(picked(&[down("a", 1), resting("b", 1)], None), "b");
        assert_eq!(picked(&[down("a", 1), resting("b", 2)], None), "a");
    }

    #[test]
    fn without_a_session_the_fewest_in_flight_then_turns() {
        let mut all = [candidate("a", 1), candidate("b", 1)];
        assert_eq!(picked(&all, None), "a");
        all[0].last_turn = 1;
        assert_eq!(picked(&all, None), "b");
        all[1].in_flight = 1;
        assert_eq!(picked(&all, None), "a");
    }

    #[test]
    fn sessions_spread_and_move_only_when_they_must() {
        let all = [candidate("a", 1), candidate("b", 1), candidate("c", 1)];
        let sessions: Vec<String> = (0..3000).map(|i| format!("session-{i}")).collect();
        for name in ["a", "b", "c"] {
            let share = sessions.iter().filter(|s| picked(&all, Some(s)) == name).count();
            assert!((850..1150).contains(&share), "{name} has {share} of 3000");
        }
        for session in &sessions {
            let (before, after) = (picked(&all, Some(session)), picked(&all[..2], Some(session)));
            assert!(before == after || before == "c", "{session} moved from {before} to {after}");
        }
    }
}
