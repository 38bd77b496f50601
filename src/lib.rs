//! claude-proxy: a local gateway between Claude Code and several Anthropic-compatible endpoints.
//!
//! # Layers
//! A `use crate::…` points only downward; `proxy`, `admin` and `tui` never import one another.
//! ```text
//! L4  cli  commands/*                       assemble, own the tasks, print, pick the exit code
//! L3  proxy/*                               bytes of clients
//! L2  live  logs/*  telemetry               a lock, a file, a subscriber
//! L1  config/*  wire/*  clock               text to types | the words on the wire and on disk | the one clock
//! L0  domain/*                              values in, values out
//! ```

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod live;
pub mod logs;
pub mod proxy;
pub mod telemetry;
pub mod wire;
