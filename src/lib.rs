//! claude-proxy: a local gateway between Claude Code and several Anthropic-compatible endpoints.
//!
//! # Layers
//! A `use crate::…` points only downward; those of one layer do not import one another, but for `config::watch`, which
//! asks the clock. A test (`tests/layers.rs`) reads every such line and fails on any other edge.
//! ```text
//! L4  main  cli  commands/*        assemble, own the tasks, print, pick the exit code
//! L3  proxy/*  admin/*  tui/*      bytes of clients | operators by HTTP | operators by terminal
//! L2  live  logs/*  client  traffic  telemetry  unreadable   a lock, a file, a socket, what passes, a subscriber,
//!                                  bytes that are no request
//! L1  config/*  wire/*  clock  memory   text to types | the words on disk | the one clock | what is free goes back
//! L0  domain/*                     values in, values out: no clock, no socket, no file
//! ```
//!
//! # The life of a request
//! ```text
//!  1 listen::run(listener, proxy, most, stop)    takes connections in, drains them at the end
//!  2 Proxy::handle(request) -> Response          cannot fail: whatever happens becomes an answer
//!  3   intake::admit                             by its head alone: token, or Host and Origin
//!  4   intake::head, fill -> Inbound             the whole body, capped, so that it can be sent again
//!  5   forward::forward(&Inbound, &mut Trip)     one endpoint after another
//!  6     Live::choose(tried) -> Lease            the endpoint on loan; Pool, choice::pick
//!  7     attempt::open, opening::open -> Opened  connect, send, head | decode, judge, until it is worth committing to
//!  8     on a Fault: Trip::note, Lease::report; failover::may_move_on -> 6, or failover::conclude -> reply
//!  9   relay::respond(Opened, Lease, Trip)       the commit point: the head goes down now
//! 10   RelayBody::poll_frame                     chunk -> StreamJudge::feed -> whole, good events go down
//! 11   at the end, a fault or a drop, once each  Lease::report(Outcome), Trip::end(Ending) -> LogHandle::submit
//! ```
//! - Data goes one way: `Inbound -> Opened -> RelayBody -> Entry`. Two back-edges, by value: `Lease::report` (dropped
//!   unreported it is neutral: a client who hung up harms no endpoint) and `Trip::end` (dropped it is `client_gone`). So
//!   being cancelled at any await is right by construction.
//! - The commit point is a place in the code. Failover after bytes went down cannot be written by mistake, because
//!   `forward` is over by then.
//! - Bytes go down only up to the last complete event that passed the judge, and they are the original bytes.
//! - Everything on this path runs on one thread. A request drives its own upstream connection (`proxy::http1`), so what
//!   one read brought goes down in one write.

pub mod admin;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod live;
pub mod logs;
pub mod memory;
pub mod proxy;
pub mod telemetry;
pub mod traffic;
pub mod tui;
pub mod unreadable;
pub mod wire;
