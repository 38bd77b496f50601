//! Whether the wall clock can be believed: what is deleted because a wrong clock calls it old does not come back when the
//! clock does.

use std::time::{Duration, Instant, SystemTime};

/// The two clocks drift and are set right by seconds. A machine that slept looks like a leap too; that costs no more
/// than a delay.
const LEAP: Duration = Duration::from_hours(1);
/// A clock that has gone evenly for so long is right, or is all that there is.
const SETTLED: Duration = Duration::from_hours(1);

/// The watch on the wall clock, by the one that only ever goes forward.
#[derive(Debug, Default)]
pub(super) struct Belief {
    last: Option<(SystemTime, Instant)>,
    /// It leapt and has gone evenly since then.
    leapt: Option<Instant>,
}

impl Belief {
    /// Whether it is believed, which it is from the start: only seeing it leap tells against it. To be called every few
    /// minutes, at least.
    pub(super) fn look(&mut self, wall: SystemTime, steady: Instant) -> bool {
        if let Some((last_wall, last_steady)) = self.last.replace((wall, steady)) {
            let expected = last_wall + steady.saturating_duration_since(last_steady);
            let off = wall.duration_since(expected).unwrap_or_else(|behind| behind.duration());
            if off > LEAP {
                self.leapt = Some(steady);
            }
        }
        self.leapt = self.leapt.filter(|leapt| steady.saturating_duration_since(*leapt) < SETTLED);
        self.leapt.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MINUTE: Duration = Duration::from_mins(1);
    const YEAR: Duration = Duration::from_hours(24 * 365);

    #[test]
    fn a_clock_that_leapt_is_believed_once_it_went_evenly_for_an_hour() {
        let (wall, steady, mut belief) = (SystemTime::UNIX_EPOCH + 50 * YEAR, clock::now(), Belief::default());
        let mut look =
            |leap: Duration, minutes: u32| belief.look(wall + leap + minutes * MINUTE, steady + minutes * MINUTE);
        assert!(look(Duration::ZERO, 0), "at the start");
        assert!(look(MINUTE, 30), "set right by a minute");
        assert!(!look(10 * YEAR, 61));
        assert!(!look(10 * YEAR, 120));
        assert!(!look(Duration::ZERO, 120), "back again");
        assert!(!look(Duration::ZERO, 179));
        assert!(look(Duration::ZERO, 180));
    }
}
