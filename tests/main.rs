//! The one integration-test binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod cli;
mod config;
