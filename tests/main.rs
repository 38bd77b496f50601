//! The tests that drive the real program over real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

pub mod support;

mod failover;
mod streaming;
