//! The one integration-test binary: it drives the real program over real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

pub mod support;

mod access;
mod admin_api;
mod admin_edits;
#[cfg(target_os = "linux")]
mod admin_events;
mod admin_logs;
mod admin_openapi;
mod admin_safety;
mod admin_start;
mod breaking;
#[cfg(target_os = "linux")]
mod chaos;
mod cli;
mod clients;
mod config;
mod decoding;
mod endpoints_command;
mod examples;
mod exhausted;
mod exit_codes;
mod failover;
mod framing;
mod headers;
mod health;
mod hostile_upstream;
mod laboratory;
mod layers;
mod limits;
mod logs_command;
mod oddities;
mod operator_commands;
mod outbound;
mod own_listener;
mod page;
mod recorded;
mod reload;
mod repeating;
mod request_log;
mod secrets;
mod sharing;
mod shutdown;
mod smuggling;
mod streaming;
mod supply;
mod terminal;
mod timeouts;
mod tls;
#[cfg(target_os = "linux")]
mod trouble;
