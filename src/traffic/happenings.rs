//! The newest happenings, numbered, so that who was away can make up for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::under_way::UnderWay;
use crate::wire::event::Missed;
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
const HANDED: usize = 512;

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

/// What somebody has not seen yet.
#[derive(Debug)]
pub struct Backlog {
    pub run: String,
    /// In order.
    pub events: Vec<Numbered>,
    /// The number to go on from.
    pub last: u64,
    /// What is no longer held.
    pub missed: Option<Missed>,
}

impl Backlog {
    /// `{run}-{number}`: unlike any of another run of the program.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    run: String,
    held: VecDeque<Happening>,
    bytes: usize,
    /// The number of the newest one; 0 before the first.
    last: u64,
    /// The newest one when somebody asked last.
    asked: u64,
}

impl Ring {
    pub(super) fn new(run: String) -> Self {
        Self { run, held: VecDeque::new(), bytes: 0, last: 0, asked: 0 }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn push(&mut self, happening: Happening) {
        self.last += 1;
        if self.last - self.asked > UNASKED {
            self.held = VecDeque::new();
            self.bytes = 0;
            return;
        }
        self.bytes += happening.weight();
        self.held.push_back(happening);
        while self.held.len() > HAPPENINGS || (self.bytes > BYTES && self.held.len() > 1) {
            if let Some(old) = self.held.pop_front() {
                self.bytes -= old.weight();
            }
        }
    }

    pub(super) fn since(&mut self, last: Option<&str>) -> Backlog {
        self.asked = self.last;
        let (after, missed) = self.place(last);
        let first = self.last + 1 - self.held.len() as u64;
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let numbered = |(number, happening): (u64, &Happening)| Numbered { number, happening: happening.clone() };
        let events: Vec<_> = (first..).zip(&self.held).skip(skip).take(HANDED).map(numbered).collect();
        let last = events.last().map_or(self.last, |event| event.number);
        Backlog { run: self.run.clone(), events, last, missed }
    }

    /// Behind which number to go on, and what cannot be made up for.
    fn place(&self, last: Option<&str>) -> (u64, Option<Missed>) {
        let Some(last) = last else { return (self.last, None) };
        let number = last.strip_prefix(self.run.as_str()).and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok());
        match number.filter(|number| *number <= self.last) {
            // Of another run of the program: whatever this one holds is news.
            None => (0, Some(Missed { events: None })),
            Some(number) => {
                let gone = self.last - self.held.len() as u64;
                let missed = gone.saturating_sub(number);
                (number, (missed > 0).then_some(Missed { events: Some(missed) }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: usize) -> Happening {
        Happening::Ended { key: 1, line: Arc::new(RecordLine::new("id", &vec![b'x'; bytes])) }
    }

    #[test]
    fn what_is_no_longer_held_is_said() {
        let mut ring = Ring::new("r".into());
        (0..HAPPENINGS + 10).for_each(|_| ring.push(Happening::Config));
        let backlog = ring.since(Some("r-3"));
        assert_eq!(backlog.missed, Some(Missed { events: Some(7) }));
        assert_eq!((backlog.events[0].number, backlog.id(11).as_str()), (11, "r-11"));
        assert_eq!(ring.since(Some("r-10")).missed, None);
        for unknown in ["other-5", "r-99999999", "r", "r-x", ""] {
            let backlog = ring.since(Some(unknown));
            assert_eq!((backlog.missed, backlog.events[0].number), (Some(Missed { events: None }), 11), "{unknown}");
        }
        assert_eq!(ring.since(None).events.len(), 0);
    }

    #[test]
    fn much_is_handed_out_in_parts_and_nothing_between_them_is_left_out() {
        let mut ring = Ring::new("r".into());
        (0..2 * HANDED + 3).for_each(|_| ring.push(Happening::Config));
        let (mut at, mut numbers) = ("r-0".to_owned(), Vec::new());
        loop {
            let backlog = ring.since(Some(&at));
            assert!(backlog.events.len() <= HANDED);
            if backlog.events.is_empty() {
                break;
            }
            at = backlog.id(backlog.last);
            numbers.extend(backlog.events.iter().map(|event| event.number));
        }
        assert!(numbers.into_iter().eq(1..=2 * HANDED as u64 + 3));
    }

    #[test]
    fn large_lines_push_older_ones_out() {
        let mut ring = Ring::new("r".into());
        (0..5).for_each(|_| ring.push(line(BYTES / 3)));
        assert_eq!(ring.since(Some("r-0")).events.len(), 3);
        ring.push(line(2 * BYTES));
        assert_eq!(ring.since(Some("r-0")).events.len(), 1);
    }

    #[test]
    fn nothing_is_held_for_nobody_and_who_comes_is_told_what_is_gone() {
        let mut ring = Ring::new("r".into());
        (0..=UNASKED).for_each(|_| ring.push(Happening::Config));
        assert!(ring.held.is_empty());
        let backlog = ring.since(Some("r-3"));
        let missed = Some(Missed { events: Some(UNASKED - 2) });
        assert_eq!((backlog.events.len(), backlog.last, backlog.missed), (0, UNASKED + 1, missed));
        ring.push(Happening::Config);
        assert_eq!(ring.since(Some(&format!("r-{}", UNASKED + 1))).events.len(), 1);
    }
}
