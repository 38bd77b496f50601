//! Moments of the monotonic clock as times of day.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::wire::record::record_time;

/// Clocks that drift apart by less than this are one.
const DRIFT: Duration = Duration::from_secs(1);

/// The same moment has the same time whenever it is asked for, until somebody sets the clock or the machine sleeps.
#[derive(Debug)]
pub struct Calendar(Mutex<(Instant, SystemTime)>);

impl Calendar {
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        Self(Mutex::new((now, wall)))
    }

    /// `at` as records write times; it may lie ahead.
    pub fn time(&self, at: Instant, now: Instant, wall: SystemTime) -> String {
        let mut anchor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let apart = match shifted(*anchor, now).duration_since(wall) {
            Ok(ahead) => ahead,
            Err(behind) => behind.duration(),
        };
        if apart > DRIFT {
            *anchor = (now, wall);
        }
        record_time(shifted(*anchor, at))
    }
}

fn shifted((origin, wall): (Instant, SystemTime), at: Instant) -> SystemTime {
    let moved = match at.checked_duration_since(origin) {
        Some(after) => wall.checked_add(after),
        None => wall.checked_sub(origin.saturating_duration_since(at)),
    };
    moved.unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_moment_keeps_its_time_until_the_clock_is_set() {
        let (now, wall) = (clock::now(), SystemTime::UNIX_EPOCH + Duration::from_hours(1_000_000));
        let calendar = Calendar::new(now, wall);
        let secs = Duration::from_secs;
        let past = now.checked_sub(secs(60)).unwrap();
        let first = calendar.time(past, now, wall);
        assert_eq!(first, record_time(wall - secs(60)));
        let jitter = Duration::from_millis(3);
        assert_eq!(calendar.time(past, now + secs(5), wall + secs(5) + jitter), first);
        assert_eq!(calendar.time(now + secs(30), now, wall), record_time(wall + secs(30)));
        let set = wall + secs(3600);
        assert_eq!(calendar.time(past, now, set), record_time(set - secs(60)));
    }
}
