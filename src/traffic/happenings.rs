//! The newest happenings, numbered, so that who was away can make up for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::under_way::UnderWay;
use crate::wire::line::RecordLine;

/// Some seconds of a very busy proxy, days of a quiet one.
const HAPPENINGS: usize = 8192;
/// When nobody has asked for this many, nobody watches: then nothing is held, and the memory that requests use stays in
/// the processor's cache rather than go round through all of the ring.
const UNASKED: u64 = 4 * HAPPENINGS as u64;
/// Of lines, in bytes; they are mostly shared with the log's own memory.
const BYTES: usize = 8 << 20;
/// Whoever is far behind gets so many at a time: requests wait for the lock meanwhile, and a copy of all of it for each of
/// many slow readers would be much.
pub(super) const HANDED: usize = 512;

/// What is worth telling. Views are made of it when somebody watches.
#[derive(Clone, Debug)]
pub enum Happening {
    Endpoint {
        name: String,
        /// Words of states; empty where there is none.
        from: &'static str,
        to: &'static str,
        reason: Option<String>,
        at: SystemTime,
    },
    Started(Arc<UnderWay>),
    Committed(Arc<UnderWay>),
    Ended {
        key: u64,
        line: Arc<RecordLine>,
    },
    /// The settings in force changed, or a change was refused.
    Config,
}

impl Happening {
    fn weight(&self) -> usize {
        match self {
            Self::Ended { line, .. } => line.line().len(),
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Numbered {
    pub number: u64,
    pub happening: Happening,
}

/// What happened behind a place, or the beginning of it when it is much.
#[derive(Debug, Default)]
pub struct Backlog {
    /// In order.
    pub events: Vec<Numbered>,
    /// The place behind them.
    pub last: u64,
    /// There was more behind them.
    pub is_cut: bool,
    /// How many before them are no longer held.
    pub gone: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    held: VecDeque<Happening>,
    bytes: usize,
    /// The number of the newest one; 0 before the first.
    last: u64,
    /// The newest one when somebody asked last.
    asked: u64,
}

impl Ring {
    /// The place behind all that happened; what comes is held from now on.
    pub(super) fn newest(&mut self) -> u64 {
        self.asked = self.last;
        self.last
    }

    /// The number of what is pushed.
    pub(super) fn push(&mut self, happening: Happening) -> u64 {
        self.last += 1;
        if self.last - self.asked > UNASKED {
            self.held = VecDeque::new();
            self.bytes = 0;
            return self.last;
        }
        self.bytes += happening.weight();
        self.held.push_back(happening);
        while self.held.len() > HAPPENINGS || (self.bytes > BYTES && self.held.len() > 1) {
            if let Some(old) = self.held.pop_front() {
                self.bytes -= old.weight();
            }
        }
        self.last
    }

    /// Adds what happened behind the place to a backlog that is still empty, and has room for it: requests wait for the
    /// lock meanwhile.
    pub(super) fn since(&mut self, place: u64, backlog: &mut Backlog) {
        self.asked = self.last;
        let oldest = self.oldest();
        let skip = usize::try_from(place.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let numbered = |(number, happening): (u64, &Happening)| Numbered { number, happening: happening.clone() };
        backlog.events.extend((oldest + 1..).zip(&self.held).skip(skip).take(HANDED).map(numbered));
        backlog.last = backlog.events.last().map_or(self.last, |event| event.number);
        backlog.is_cut = backlog.last < self.last;
        backlog.gone = oldest.saturating_sub(place);
    }

    /// The place before all that is held.
    fn oldest(&self) -> u64 {
        self.last - self.held.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: usize) -> Happening {
        Happening::Ended { key: 1, line: Arc::new(RecordLine::new("id", &vec![b'x'; bytes])) }
    }

    fn since(ring: &mut Ring, place: u64) -> Backlog {
        let mut backlog = Backlog::default();
        ring.since(place, &mut backlog);
        backlog
    }

    #[test]
    fn what_is_no_longer_held_is_said() {
        let mut ring = Ring::default();
        (0..HAPPENINGS + 10).for_each(|_| _ = ring.push(Happening::Config));
        let backlog = since(&mut ring, 3);
        assert_eq!((backlog.gone, backlog.events[0].number), (7, 11));
        assert_eq!(since(&mut ring, 10).gone, 0);
        let end = ring.newest();
        assert_eq!((since(&mut ring, end).events.len(), since(&mut ring, end).last), (0, end));
    }

    #[test]
    fn much_is_handed_out_in_parts_and_nothing_between_them_is_left_out() {
        let mut ring = Ring::default();
        (0..2 * HANDED + 3).for_each(|_| _ = ring.push(Happening::Config));
        let (mut at, mut numbers) = (0, Vec::new());
        loop {
            let backlog = since(&mut ring, at);
            assert!(backlog.events.len() <= HANDED);
            at = backlog.last;
            numbers.extend(backlog.events.iter().map(|event| event.number));
            if !backlog.is_cut {
                break;
            }
        }
        assert!(numbers.into_iter().eq(1..=2 * HANDED as u64 + 3));
    }

    #[test]
    fn large_lines_push_older_ones_out() {
        let mut ring = Ring::default();
        (0..5).for_each(|_| _ = ring.push(line(BYTES / 3)));
        assert_eq!(since(&mut ring, 0).events.len(), 3);
        ring.push(line(2 * BYTES));
        assert_eq!(since(&mut ring, 0).events.len(), 1);
    }

    #[test]
    fn nothing_is_held_for_nobody_and_who_comes_is_told_what_is_gone() {
        let mut ring = Ring::default();
        (0..=UNASKED).for_each(|_| _ = ring.push(Happening::Config));
        assert!(ring.held.is_empty());
        let backlog = since(&mut ring, 3);
        assert_eq!((backlog.events.len(), backlog.last, backlog.gone), (0, UNASKED + 1, UNASKED - 2));
        ring.push(Happening::Config);
        assert_eq!(since(&mut ring, UNASKED + 1).events.len(), 1);
    }
}
