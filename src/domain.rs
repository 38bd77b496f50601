//! The rules of the product as plain values: nothing here reads a clock, a socket or a file.

pub mod choice;
pub mod endpoint;
pub mod excerpt;
pub mod failover;
pub mod fault;
pub mod headers;
pub mod health;
pub mod host;
pub mod json;
pub mod message;
pub mod peek;
pub mod pool;
pub mod redact;
pub mod refusal;
pub mod reply;
pub mod secret;
pub mod sse;
pub mod timeline;
