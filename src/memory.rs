//! What the program's memory needs beyond what its allocator does by itself.

use std::hint::black_box;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// What has been free for a second may go; sooner it would cost more to get it back.
const EVERY: Duration = Duration::from_secs(2);
/// Bytes that share no page of the allocator's with anything else.
const ALONE: usize = 1 << 20;

/// Where the system uses huge pages unasked they are most of the program's memory. Not for commands that start others, who
/// would inherit this.
pub fn avoid_huge_pages() {
    // A system that does not know of this has none to avoid, or none to spare.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Sees to it that what a busy time took goes back to the system. mimalloc looks for what has long been free only when a
/// page of its own becomes free, which in a quiet program none does. Never ends.
pub async fn give_back() {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        drop(black_box(Vec::<u8>::with_capacity(ALONE)));
    }
}
