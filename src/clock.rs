//! The only clock. Everything else takes `now` as an argument, or asks here.

use std::time::{Instant, SystemTime};

/// Monotonic, and pausable in tests because it is tokio's.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, for people and files; it may jump.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
