//! Whether the wall clock can be believed: what is deleted because a wrong clock calls it old does not come back when the
//! clock does.

use std::time::{Duration, Instant, SystemTime};

/// The two clocks drift and are set right by seconds. A machine that slept looks like a leap too; that costs no more
/// than a delay.
const LEAP: Duration = Duration::from_hours(1);
/// A clock that has gone evenly for so long is right, or is all that there is.
const SETTLED: Duration = Duration::from_hours(1);

/// What the clock may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It leapt a moment ago.
    None,
    /// It has not been watched for long: it may have been wrong from the start.
    Some,
    Full,
}

/// The watch on the wall clock, by the one that only ever goes forward.
#[derive(Debug, Default)]
pub(super) struct Belief {
    last: Option<(SystemTime, Instant)>,
    even_since: Option<Instant>,
    leapt: bool,
}

impl Belief {
    /// To be called every few minutes, at least.
    pub(super) fn look(&mut self, wall: SystemTime, steady: Instant) -> Trust {
        if let Some((last_wall, last_steady)) = self.last.replace((wall, steady)) {
            let expected = last_wall + steady.saturating_duration_since(last_steady);
            let off = wall.duration_since(expected).unwrap_or_else(|behind| behind.duration());
            if off > LEAP {
                self.even_since = None;
                self.leapt = true;
            }
        }
        let since = *self.even_since.get_or_insert(steady);
        if steady.saturating_duration_since(since) >= SETTLED {
            self.leapt = false;
            Trust::Full
        } else if self.leapt {
            Trust::None
        } else {
            Trust::Some
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MINUTE: Duration = Duration::from_mins(1);
    const YEAR: Duration = Duration::from_hours(24 * 365);

    #[test]
    fn a_clock_is_believed_once_it_went_evenly_for_an_hour() {
        let (wall, steady, mut belief) = (SystemTime::UNIX_EPOCH + 50 * YEAR, clock::now(), Belief::default());
        let mut look =
            |leap: Duration, minutes: u32| belief.look(wall + leap + minutes * MINUTE, steady + minutes * MINUTE);
        assert_eq!(look(Duration::ZERO, 0), Trust::Some);
        assert_eq!(look(MINUTE, 30), Trust::Some, "set right by a minute");
        assert_eq!(look(MINUTE, 60), Trust::Full);
        assert_eq!(look(10 * YEAR, 61), Trust::None);
        assert_eq!(look(10 * YEAR, 120), Trust::None);
        assert_eq!(look(Duration::ZERO, 121), Trust::None, "back again");
        assert_eq!(look(Duration::ZERO, 180), Trust::None);
        assert_eq!(look(Duration::ZERO, 181), Trust::Full);
    }
}
