//! What those who watch are told: successive pieces of text, each made once and shared by all who are at its beginning.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;

use super::state::State;
use super::status::status_view;
use super::telling::{Teller, written};
use crate::clock;
use crate::wire::event::{Event, Missed};

/// A status younger than this is good enough for the next watcher too.
const FRESH: Duration = Duration::from_millis(150);
/// Bytes of one piece, but for one event that is larger by itself.
const PIECE: usize = 64 << 10;
/// Bytes of pieces that are kept for those who come a little later.
const KEPT: usize = 1 << 20;
/// More happenings than this at once are much. Once they have been much twice in a row, only the newest of each request is
/// told: it tells all that those before it would have told, and nobody could have seen them one by one.
const MUCH: usize = 64;
/// After so many happenings made into text, the relay's thread is let in if it waits for this processor.
const TURN: usize = 32;

/// What all watchers share.
#[derive(Debug, Default)]
pub struct Feed {
    pub watchers: AtomicU64,
    pieces: Mutex<Pieces>,
    status: Mutex<Option<(Instant, Bytes)>>,
}

/// All that is told of what happened between two places ([`Traffic::newest`](crate::traffic::Traffic::newest)).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    after: u64,
    pub last: u64,
    pub text: Bytes,
    /// It stands for so much that more should gather before the next one.
    pub is_much: bool,
    /// There was more behind it when it was made.
    pub is_cut: bool,
}

impl Feed {
    /// `None` when nothing happened behind the place.
    pub fn next(&self, admin: &State, place: u64) -> Option<Piece> {
        if !admin.parts.traffic.has_news(place) {
            return None;
        }
        let mut pieces = self.pieces();
        if let Some(piece) = pieces.at(place) {
            return Some(piece.clone());
        }
        let piece = make(admin, place, pieces.border(place), pieces.had_much_before(place));
        pieces.keep(&piece);
        Some(piece)
    }

    /// The same for one that comes back: all that is held, each event of it.
    pub fn missed(admin: &State, place: u64) -> Option<Piece> {
        admin.parts.traffic.has_news(place).then(|| make(admin, place, None, false))
    }

    /// The same, when it was made for somebody else before.
    pub fn made(&self, place: u64) -> Option<Piece> {
        self.pieces().at(place).cloned()
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without an id: only the newest counts.
    pub fn status(&self, admin: &State) -> Bytes {
        let now = clock::now();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match &*status {
            Some((at, text)) if now.saturating_duration_since(*at) < FRESH => text.clone(),
            _ => {
                let text = status_text(admin, None);
                *status = Some((now, text.clone()));
                text
            }
        }
    }

    /// What a new watcher is told first, and its place. It has an id, so that whoever comes back before anything happened
    /// has a place to go on from.
    pub fn begin(admin: &State) -> (Bytes, u64) {
        // The place first: what happens in between is told twice rather than never.
        let place = admin.parts.traffic.newest();
        (status_text(admin, Some(&admin.parts.traffic.id(place))), place)
    }

    /// The same for one that comes back. Of another run of the program: whatever this one holds is news.
    pub fn resume(&self, admin: &State, last: &str) -> (Bytes, u64) {
        let traffic = &admin.parts.traffic;
        let status = self.status(admin);
        if let Some(place) = traffic.place(last) {
            return (status, place);
        }
        let held = traffic.since(0);
        let place = held.events.first().map_or(held.last, |first| first.number - 1);
        let missed = written(Some(&traffic.id(place)), &Event::Missed(Missed { events: None }));
        ([&status[..], &missed].concat().into(), place)
    }
}

fn status_text(admin: &State, id: Option<&str>) -> Bytes {
    written(id, &Event::Status(Box::new(status_view(admin)))).into()
}

/// Goes no further than the border. `thin`: only the newest event of each request.
fn make(admin: &State, place: u64, border: Option<u64>, thin: bool) -> Piece {
    let mut backlog = admin.parts.traffic.since(place);
    if let Some(border) = border {
        backlog.events.retain(|numbered| numbered.number <= border);
        backlog.last = backlog.last.min(border);
    }
    let (is_much, is_cut) = (backlog.events.len() > MUCH, backlog.is_cut);
    let mut teller = Teller::new(admin, if thin && is_much { &backlog.events } else { &[] });
    let mut piece = Piece { after: place, last: backlog.last, text: Bytes::new(), is_much, is_cut };
    if backlog.gone > 0 {
        teller.missed(place + backlog.gone, backlog.gone);
    }
    for (i, numbered) in backlog.events.iter().enumerate() {
        teller.tell(numbered);
        if teller.text.len() >= PIECE {
            (piece.last, piece.is_cut) = (numbered.number, true);
            break;
        }
        if i % TURN == TURN - 1 {
            std::thread::yield_now();
        }
    }
    piece.text = teller.text.into();
    piece
}

/// The newest ones, oldest first, each going on where the one before ends.
#[derive(Debug, Default)]
struct Pieces {
    held: VecDeque<Piece>,
    bytes: usize,
}

impl Pieces {
    fn at(&self, place: u64) -> Option<&Piece> {
        self.held.iter().rev().find(|piece| piece.after == place)
    }

    /// Whether the piece that ends at this place stands for much.
    fn had_much_before(&self, place: u64) -> bool {
        self.held.back().is_some_and(|newest| newest.last == place && newest.is_much)
    }

    /// The nearest place behind this one at which somebody could go on with what is held.
    fn border(&self, place: u64) -> Option<u64> {
        let borders = self.held.iter().flat_map(|piece| [piece.after, piece.last]);
        borders.filter(|border| *border > place).min()
    }

    /// Only what goes on from the newest one, or is newer still: all else is for one late watcher.
    fn keep(&mut self, piece: &Piece) {
        match self.held.back() {
            Some(newest) if piece.after < newest.last => return,
            Some(newest) if piece.after > newest.last => *self = Self::default(),
            _ => {}
        }
        self.bytes += piece.text.len();
        self.held.push_back(piece.clone());
        while self.bytes > KEPT && self.held.len() > 1 {
            if let Some(old) = self.held.pop_front() {
                self.bytes -= old.text.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(after: u64, last: u64, bytes: usize) -> Piece {
        Piece { after, last, text: vec![b'x'; bytes].into(), ..Piece::default() }
    }

    #[test]
    fn pieces_follow_one_another_and_latecomers_change_nothing() {
        let mut pieces = Pieces::default();
        for (after, last) in [(5, 8), (8, 20)] {
            pieces.keep(&piece(after, last, 1));
        }
        assert_eq!((pieces.at(8), pieces.at(6), pieces.at(20)), (Some(&piece(8, 20, 1)), None, None));
        pieces.keep(&piece(2, 5, 1));
        assert_eq!((pieces.at(2), pieces.held.len()), (None, 2), "a late watcher's own");
        pieces.keep(&piece(30, 31, 1));
        assert_eq!((pieces.at(8), pieces.at(30)), (None, Some(&piece(30, 31, 1))), "a gap begins anew");
    }

    #[test]
    fn a_single_burst_is_told_event_by_event() {
        let mut pieces = Pieces::default();
        assert!(!pieces.had_much_before(0), "the first one");
        pieces.keep(&Piece { is_much: true, ..piece(0, 90, 1) });
        assert_eq!([90, 91].map(|place| pieces.had_much_before(place)), [true, false]);
        pieces.keep(&piece(90, 95, 1));
        assert!(!pieces.had_much_before(95), "it is over");
    }

    #[test]
    fn whoever_is_in_the_middle_gets_in_step_with_the_others() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.border(0), None);
        for (after, last) in [(5, 8), (8, 20)] {
            pieces.keep(&piece(after, last, 1));
        }
        let borders = [2, 5, 6, 19, 20].map(|place| pieces.border(place));
        assert_eq!(borders, [Some(5), Some(8), Some(8), Some(20), None]);
    }

    #[test]
    fn pieces_are_kept_within_bounds() {
        let mut pieces = Pieces::default();
        for place in 0..100 {
            pieces.keep(&piece(place, place + 1, KEPT / 10));
        }
        assert_eq!((pieces.held.len(), pieces.at(90).is_some(), pieces.at(89)), (10, true, None));
        pieces.keep(&piece(100, 101, 2 * KEPT));
        assert_eq!(pieces.held.len(), 1, "the newest is kept whatever its size");
    }
}
