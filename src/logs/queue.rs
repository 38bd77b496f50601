//! Between those who answer requests and the one who writes them down: a push never waits for the writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Entry;

const ENTRIES: usize = 16_384;
const BYTES: usize = 64 << 20;
/// A batch gathers for so long after its first entry, so that the writer is woken seldom.
const GATHER: Duration = Duration::from_millis(10);
/// Or until it is so many: more would leave the processor's cache before they are written, and what the relay takes
/// from memory next would not be in it either.
const BATCH: usize = 64;

/// Bounded by number and bytes. The lock is held to move a few pointers, by both sides.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    bytes: usize,
    dropped: u64,
    /// The writer waits for the first entry, and must be woken.
    idle: bool,
    nudged: bool,
    closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(ENTRIES, BYTES)
    }
}

impl Queue {
    fn bounded(entries: usize, bytes: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), entries, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops and counts what does not fit. One entry fits an empty queue whatever its size.
    pub(super) fn push(&self, entry: Entry) {
        let weight = entry.weight();
        let mut state = self.lock();
        let full = state.entries.len() >= self.entries || state.bytes.saturating_add(weight) > self.bytes;
        if state.closed || (full && !state.entries.is_empty()) {
            state.dropped += 1;
            return;
        }
        state.bytes += weight;
        state.entries.push(entry);
        let wake = state.idle || state.entries.len() == BATCH || state.bytes > self.bytes / 2;
        state.idle = false;
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Moves all that is queued into `batch`, waiting up to `patience` for the first entry and then a little for more.
    /// Comes back early when nudged; `false` once the queue is closed and empty.
    pub(super) fn take(&self, batch: &mut Vec<Entry>, patience: Duration) -> bool {
        let mut state = self.lock();
        state.idle = true;
        let waiting = |state: &mut State| state.entries.is_empty() && !state.nudged && !state.closed;
        state = self.changed.wait_timeout_while(state, patience, waiting).unwrap_or_else(PoisonError::into_inner).0;
        state.idle = false;
        if !state.entries.is_empty() {
            let gathering =
                |state: &mut State| !state.closed && state.entries.len() < BATCH && state.bytes <= self.bytes / 2;
            state = self.changed.wait_timeout_while(state, GATHER, gathering).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.nudged = false;
        state.bytes = 0;
        std::mem::swap(&mut state.entries, batch);
        !(state.closed && batch.is_empty())
    }

    /// Wakes the writer for something else than entries.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.changed.notify_one();
    }

    /// From now on entries are dropped; those that are in are still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::BodyMode;
    use crate::logs::capture::Capture;

    const LONG: Duration = Duration::from_mins(1);

    fn entry(bytes: usize) -> Entry {
        let mut capture = Capture::new(BodyMode::Full, 0);
        capture.push(&Bytes::from(vec![b'x'; bytes]));
        Entry { request_body: capture.finish(), ..Entry::default() }
    }

    #[test]
    fn what_does_not_fit_by_number_is_counted_and_nobody_waits() {
        let queue = Queue::bounded(2, usize::MAX);
        (0..5).for_each(|_| queue.push(entry(1)));
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch, LONG));
        assert_eq!((batch.len(), queue.dropped()), (2, 3));
        batch.clear();
        queue.push(entry(1));
        assert!(queue.take(&mut batch, LONG));
        assert_eq!((batch.len(), queue.dropped()), (1, 3));
    }

    #[test]
    fn what_does_not_fit_by_bytes_is_counted_but_one_always_fits() {
        let queue = Queue::bounded(100, 10_000);
        queue.push(entry(50_000));
        queue.push(entry(1));
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch, LONG));
        assert_eq!((batch.len(), queue.dropped()), (1, 1));
        batch.clear();
        for bytes in [5_000, 5_000, 100] {
            queue.push(entry(bytes));
        }
        assert!(queue.take(&mut batch, LONG));
        assert_eq!((batch.len(), queue.dropped()), (2, 2));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
        let queue = Queue::default();
        queue.push(entry(1));
        queue.close();
        queue.push(entry(1));
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch, LONG));
        assert_eq!((batch.len(), queue.dropped()), (1, 1));
        batch.clear();
        assert!(!queue.take(&mut batch, LONG));
    }

    #[test]
    fn a_waiting_writer_is_woken_by_an_entry_a_nudge_and_the_end() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            let (told, heard) = std::sync::mpsc::channel();
            let queue = &queue;
            scope.spawn(move || {
                let mut batch = Vec::new();
                while queue.take(&mut batch, LONG) {
                    told.send(batch.drain(..).count()).unwrap();
                }
            });
            queue.nudge();
            assert_eq!(heard.recv_timeout(LONG), Ok(0));
            queue.push(entry(1));
            assert_eq!(heard.recv_timeout(LONG), Ok(1));
            queue.close();
            assert!(heard.recv_timeout(LONG).is_err());
        });
    }
}
