//! The serde types that leave the process: log files, the admin API and everything that reads them.
//! Tolerant on purpose: unknown fields are ignored and missing ones have defaults, so a new reader understands an old writer.

pub mod record;
