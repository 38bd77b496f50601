//! The words that leave the process: what the log files, the admin API, the page, the terminal and the commands share.
//! Readers are tolerant: they do without what is missing and pass over what they do not know, so a new terminal can
//! watch an old proxy.

pub mod event;
pub mod filter;
pub mod harmless;
pub mod lean;
pub mod line;
pub mod logs;
pub mod pretty;
pub mod problem;
pub mod record;
pub mod session;
pub mod stats;
pub mod status;
pub mod transcript;
pub mod words;
