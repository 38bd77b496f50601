//! Finished requests and what happened between them, oldest first, and where the reader is among them.
//!
//! The reader's place is a row, never a number of rows: what arrives at either end does not move the view.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::tui::keys::Motion;
use crate::wire::event::EndpointChanged;
use crate::wire::record::{Ending, RequestRecord};
use crate::wire::words;

/// Rows that are held: with 10,000 of them the program stays far below 40 MB.
pub const MOST: usize = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Request(Arc<RequestRecord>),
    /// An endpoint's state changed.
    Change(Arc<EndpointChanged>),
    /// The dashboard's own word, such as that something was missed.
    Note(Arc<str>),
}

impl Row {
    pub fn record(&self) -> Option<&Arc<RequestRecord>> {
        match self {
            Self::Request(record) => Some(record),
            Self::Change(_) | Self::Note(_) => None,
        }
    }

    /// Lines that it takes: a request that had trouble says which on a second one.
    pub fn height(&self) -> usize {
        match self {
            Self::Request(record) if tells_more(record) => 2,
            _ => 1,
        }
    }
}

/// Whether the second line says anything that the first one does not.
fn tells_more(record: &RequestRecord) -> bool {
    record.ending != Ending::ClientGone && words::trouble(record).is_some()
}

/// Rows with a reader in them. Each row has a number that stays its own: newer ones count up, older ones down.
#[derive(Clone, Debug, Default)]
pub struct Log {
    rows: VecDeque<Row>,
    /// The number of `rows[0]`.
    first: i64,
    /// The row that the reader is on.
    cursor: i64,
    /// The row at the lower edge while the reader does not follow.
    bottom: i64,
    paused: bool,
    /// Requests that came since the reader stopped following.
    pub unseen: usize,
    /// How many of the rows are requests.
    requests: usize,
    /// [`crate::wire::logs::LogPage::next`] of the oldest page; `None` until a page came.
    pub next: Option<String>,
    /// Nothing older exists, or is not to be had.
    pub whole: bool,
    /// Older ones are being fetched.
    pub fetching: bool,
}

impl Log {
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Requests only.
    pub fn count(&self) -> usize {
        self.requests
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= MOST
    }

    pub fn follows(&self) -> bool {
        !self.paused
    }

    fn last(&self) -> i64 {
        self.first + number(self.rows.len()) - 1
    }

    pub fn row(&self, at: i64) -> Option<&Row> {
        usize::try_from(at - self.first).ok().and_then(|index| self.rows.get(index))
    }

    /// The row that the reader is on.
    pub fn cursor(&self) -> i64 {
        if self.paused { self.cursor.clamp(self.first, self.last().max(self.first)) } else { self.last() }
    }

    pub fn selected(&self) -> Option<&Arc<RequestRecord>> {
        self.row(self.cursor())?.record()
    }

    pub fn find(&self, id: &str) -> Option<i64> {
        let is = |row: &Row| row.record().is_some_and(|record| record.id == id);
        // What is asked for is mostly new.
        let index = self.rows.iter().rposition(is)?;
        Some(self.first + number(index))
    }

    /// A newest row. The oldest one leaves when there are too many.
    pub fn push(&mut self, row: Row) {
        let counts = usize::from(row.record().is_some());
        self.requests += counts;
        if self.paused {
            self.unseen += counts;
        }
        self.rows.push_back(row);
        if self.rows.len() > MOST
            && let Some(gone) = self.rows.pop_front()
        {
            self.requests -= usize::from(gone.record().is_some());
            self.first += 1;
            self.whole = false;
            self.next = None;
        }
    }

    /// Rows older than all that are held, the oldest first; as many of the newer ones among them as there is room for.
    pub fn prepend(&mut self, rows: Vec<Row>) {
        let was_empty = self.rows.is_empty();
        for row in rows.into_iter().rev() {
            if self.rows.len() >= MOST {
                return;
            }
            self.requests += usize::from(row.record().is_some());
            self.rows.push_front(row);
            self.first -= 1;
        }
        if was_empty {
            self.follow();
        }
    }

    pub fn follow(&mut self) {
        self.paused = false;
        self.unseen = 0;
    }

    /// Puts the reader on a row and stays there.
    pub fn go_to(&mut self, at: i64, height: usize) {
        self.pause();
        self.cursor = at.clamp(self.first, self.last().max(self.first));
        self.reveal(height);
    }

    fn pause(&mut self) {
        if !self.paused {
            self.cursor = self.last();
            self.bottom = self.last();
            self.paused = true;
        }
    }

    /// Moves the reader; `height`: lines of the view. Any move upward stops following.
    pub fn go(&mut self, motion: Motion, height: usize) {
        if self.rows.is_empty() {
            return;
        }
        let page = number(height.max(2)) - 1;
        let step = match motion {
            Motion::Up => -1,
            Motion::Down => 1,
            Motion::PageUp => -page,
            Motion::PageDown => page,
            Motion::HalfUp => -(page + 1) / 2,
            Motion::HalfDown => (page + 1) / 2,
            Motion::First => self.first - self.cursor(),
            Motion::Last => return self.follow(),
        };
        if step > 0 && !self.paused {
            return;
        }
        let from = self.cursor();
        self.go_to(from + step, height);
    }

    /// The view has another height.
    pub fn keep_in_view(&mut self, height: usize) {
        if self.paused && !self.rows.is_empty() {
            self.reveal(height);
        }
    }

    /// Moves the view as little as it takes to show the cursor's row.
    fn reveal(&mut self, height: usize) {
        self.bottom = self.bottom.clamp(self.first, self.last().max(self.first));
        if self.cursor >= self.bottom {
            self.bottom = self.cursor;
            return self.fill(height);
        }
        // The lowest row with which the cursor's own still fits in.
        let (mut lines, mut lowest) = (0, self.cursor);
        while let Some(row) = self.row(lowest) {
            lines += row.height();
            if lines > height.max(1) {
                break;
            }
            lowest += 1;
        }
        let lowest = (lowest - 1).max(self.cursor);
        self.bottom = self.bottom.min(lowest.max(self.cursor));
        self.fill(height);
    }

    /// A view that begins with the oldest row is filled downward.
    fn fill(&mut self, height: usize) {
        if self.window(height).first().is_some_and(|(at, _)| *at == self.first) {
            self.bottom = self.bottom.max(self.filled_from_first(height));
        }
    }

    fn filled_from_first(&self, height: usize) -> i64 {
        let mut lines = 0;
        let fits = self.rows.iter().take_while(|row| {
            lines += row.height();
            lines <= height
        });
        self.first + number(fits.count()).max(1) - 1
    }

    /// The rows of a view of `height` lines, the oldest first, each with its number.
    pub fn window(&self, height: usize) -> Vec<(i64, &Row)> {
        let bottom = if self.paused { self.bottom.clamp(self.first, self.last().max(self.first)) } else { self.last() };
        let mut left = height;
        let mut shown = Vec::new();
        let mut at = bottom;
        while let Some(row) = self.row(at) {
            let Some(rest) = left.checked_sub(row.height()) else { break };
            left = rest;
            shown.push((at, row));
            at -= 1;
        }
        shown.reverse();
        shown
    }

    /// Whether the reader is so near to the oldest row that older ones are wanted.
    pub fn wants_older(&self, height: usize) -> bool {
        let near = self.paused && self.cursor() - self.first < number(height);
        near && !self.whole && !self.fetching && !self.is_full()
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(id: usize) -> Row {
        let record = RequestRecord { id: format!("r{id}"), ending: Ending::Complete, ..RequestRecord::default() };
        Row::Request(Arc::new(record))
    }

    fn troubled(id: usize) -> Row {
        let record = RequestRecord { id: format!("r{id}"), ending: Ending::Failed, ..RequestRecord::default() };
        Row::Request(Arc::new(record))
    }

    fn log(count: usize) -> Log {
        let mut log = Log::default();
        (0..count).for_each(|id| log.push(request(id)));
        log
    }

    fn shown(log: &Log, height: usize) -> Vec<&str> {
        log.window(height).iter().filter_map(|(_, row)| Some(row.record()?.id.as_str())).collect()
    }

    #[test]
    fn at_first_it_follows() {
        let mut log = log(10);
        assert_eq!(shown(&log, 3), ["r7", "r8", "r9"]);
        log.push(request(10));
        assert_eq!(shown(&log, 3), ["r8", "r9", "r10"]);
        assert_eq!((log.selected().unwrap().id.as_str(), log.unseen), ("r10", 0));
        log.go(Motion::Down, 3);
        assert!(log.follows(), "down at the newest is no reason to stop");
    }

    #[test]
    fn any_move_upward_pauses_and_nothing_moves_under_the_reader() {
        let mut log = log(10);
        log.go(Motion::Up, 3);
        assert_eq!((shown(&log, 3), log.follows()), (vec!["r7", "r8", "r9"], false));
        for id in 10..20 {
            log.push(request(id));
        }
        log.prepend((100..150).map(request).collect());
        assert_eq!(shown(&log, 3), ["r7", "r8", "r9"]);
        assert_eq!((log.selected().unwrap().id.as_str(), log.unseen), ("r8", 10));
        log.go(Motion::Last, 3);
        assert_eq!((shown(&log, 3), log.unseen, log.follows()), (vec!["r17", "r18", "r19"], 0, true));
    }

    #[test]
    fn the_view_moves_only_when_the_cursor_leaves_it() {
        let mut log = log(10);
        for _ in 0..3 {
            log.go(Motion::Up, 3);
        }
        assert_eq!(shown(&log, 3), ["r6", "r7", "r8"]);
        log.go(Motion::Down, 3);
        assert_eq!(shown(&log, 3), ["r6", "r7", "r8"]);
        log.go(Motion::First, 3);
        assert_eq!(shown(&log, 3), ["r0", "r1", "r2"]);
        log.go(Motion::PageDown, 3);
        assert_eq!(log.selected().unwrap().id, "r2");
    }

    #[test]
    fn a_view_that_was_one_line_high_is_full_again_when_it_grows() {
        let mut log = log(7);
        log.go(Motion::First, 5);
        for height in [1, 0, 5] {
            log.keep_in_view(height);
        }
        assert_eq!(shown(&log, 5), ["r0", "r1", "r2", "r3", "r4"]);
    }

    #[test]
    fn a_request_with_trouble_takes_two_lines() {
        let mut log = log(3);
        log.push(troubled(3));
        assert_eq!(shown(&log, 3), ["r2", "r3"]);
        assert_eq!(shown(&log, 1), [""; 0], "half of it is not shown");
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many() {
        let mut log = log(MOST);
        log.go(Motion::First, 5);
        log.push(request(MOST));
        assert_eq!((log.count(), log.rows().count()), (MOST, MOST));
        assert_eq!(shown(&log, 5)[0], "r1", "the reader's own row left, the next one is there");
        assert_eq!(log.selected().unwrap().id, "r1");
        log.prepend(vec![request(77)]);
        assert_eq!(log.count(), MOST, "there is no room for older ones");
    }

    #[test]
    fn older_ones_are_wanted_near_the_oldest_only() {
        let mut log = log(50);
        assert!(!log.wants_older(5), "not while following");
        log.go(Motion::Up, 5);
        assert!(!log.wants_older(5));
        log.go(Motion::First, 5);
        assert!(log.wants_older(5));
        log.whole = true;
        assert!(!log.wants_older(5));
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_in_view(
            heights in proptest::collection::vec(1_usize..3, 0..40),
            steps in proptest::collection::vec(0_usize..10, 0..60),
            height in 2_usize..12,
        ) {
            let mut log = Log::default();
            for (id, lines) in heights.into_iter().enumerate() {
                log.push(if lines == 1 { request(id) } else { troubled(id) });
            }
            for step in steps {
                match step {
                    0 => log.go(Motion::Up, height),
                    1 => log.go(Motion::Down, height),
                    2 => log.go(Motion::PageUp, height),
                    3 => log.go(Motion::PageDown, height),
                    4 => log.go(Motion::First, height),
                    5 => log.go(Motion::Last, height),
                    6 => log.go(Motion::HalfUp, height),
                    7 => log.push(request(1000)),
                    8 => log.prepend(vec![troubled(1001)]),
                    _ => log.go(Motion::HalfDown, height),
                }
                let window = log.window(height);
                prop_assert!(window.iter().map(|(_, row)| row.height()).sum::<usize>() <= height);
                if !log.is_empty() {
                    prop_assert!(window.iter().any(|(at, _)| *at == log.cursor()), "{} {window:?}", log.cursor());
                }
            }
        }
    }
}
