//! The newest records, in memory, as the lines that went to the file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::line::RecordLine;
use crate::wire::record::RequestRecord;

const RECORDS: usize = 1000;
const BYTES: usize = 16 << 20;

/// Bounded by number and bytes; the newest record is kept whatever its size.
/// The lock is held to move pointers only: lines are parsed outside of it, when somebody asks.
#[derive(Debug)]
pub struct Ring {
    held: Mutex<Held>,
    records: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    slots: VecDeque<Arc<RecordLine>>,
    bytes: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self::bounded(RECORDS, BYTES)
    }
}

impl Ring {
    fn bounded(records: usize, bytes: usize) -> Self {
        Self { held: Mutex::default(), records, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds in order, oldest first.
    pub(super) fn extend(&self, slots: impl IntoIterator<Item = Arc<RecordLine>>) {
        let mut held = self.lock();
        for slot in slots {
            held.bytes += slot.line().len();
            held.slots.push_back(slot);
            while held.slots.len() > self.records || (held.bytes > self.bytes && held.slots.len() > 1) {
                if let Some(old) = held.slots.pop_front() {
                    held.bytes -= old.line().len();
                }
            }
        }
    }

    /// Newest first.
    pub fn newest(&self, count: usize) -> Vec<Arc<RequestRecord>> {
        let slots: Vec<Arc<RecordLine>> = self.lock().slots.iter().rev().take(count).cloned().collect();
        slots.iter().filter_map(|slot| slot.record()).collect()
    }

    /// All of them as lines, newest first.
    pub(super) fn lines(&self) -> Vec<Arc<RecordLine>> {
        self.lock().slots.iter().rev().cloned().collect()
    }

    pub fn line(&self, id: &str) -> Option<Arc<RecordLine>> {
        self.lock().slots.iter().rev().find(|slot| slot.id() == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(id: &str) -> Arc<RecordLine> {
        Arc::new(RecordLine::new(id, format!("{{\"id\":\"{id}\"}}\n").as_bytes()))
    }

    fn ids(ring: &Ring, count: usize) -> Vec<String> {
        ring.newest(count).iter().map(|record| record.id.clone()).collect()
    }

    #[test]
    fn newest_come_first_and_the_oldest_leave() {
        let ring = Ring::bounded(3, 1000);
        ring.extend(["a", "b"].map(slot));
        ring.extend(["c", "d"].map(slot));
        assert_eq!(ids(&ring, 10), ["d", "c", "b"]);
        assert_eq!(ids(&ring, 2), ["d", "c"]);
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_stays() {
        let ring = Ring::bounded(100, 30);
        ring.extend(["a", "b", "c"].map(slot));
        assert_eq!(ids(&ring, 10), ["c", "b"]);
        ring.extend([slot(&"x".repeat(100))]);
        assert_eq!(ids(&ring, 10), ["x".repeat(100)]);
    }

    #[test]
    fn a_record_is_found_by_its_id_and_parsed_once() {
        let ring = Ring::default();
        ring.extend(["a", "b"].map(slot));
        let first = ring.line("a").unwrap().record().unwrap();
        assert_eq!(first.id, "a");
        assert!(Arc::ptr_eq(&first, &ring.line("a").unwrap().record().unwrap()));
        assert!(ring.line("c").is_none());
    }
}
