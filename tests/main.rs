//! The one integration-test binary: it drives the real program over real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

pub mod support;

mod access;
mod cli;
mod clients;
mod config;
mod decoding;
mod examples;
mod failover;
mod headers;
mod health;
mod layers;
mod limits;
mod outbound;
mod reload;
mod repeating;
mod request_log;
mod sharing;
mod shutdown;
mod streaming;
mod timeouts;
mod tls;
