//! The front door of the proxy port.

pub mod connect;
pub mod exchange;
pub mod upstream;
