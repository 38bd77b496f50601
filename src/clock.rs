//! The only clock. Everything else takes `now` as an argument, or asks here.

use std::time::SystemTime;

pub use tokio::time::Instant;

/// Monotonic, and pausable in tests because it is tokio's.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, for people and files; it may jump.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}
