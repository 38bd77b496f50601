//! Which addresses are our own, however they are spelt.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::config::{Server, WebAdmin, listening};
use crate::domain::host::address;

/// What we listen on ourselves: as the settings have it, and as it is.
pub(super) struct Listeners<'a> {
    server: &'a Server,
    admin: &'a WebAdmin,
    bound: Vec<SocketAddr>,
}

impl<'a> Listeners<'a> {
    pub(super) fn new(server: &'a Server, admin: &'a WebAdmin) -> Self {
        Self { server, admin, bound: listening::bound() }
    }

    /// Says which listener of ours a client of `host` and `port` would get.
    pub(super) fn reached_by(&self, host: &str, port: u16) -> Option<String> {
        if port == self.server.port && reaches(host, &self.server.host) {
            return Some(format!("server.port is {port}"));
        }
        if self.admin.enabled && port == self.admin.port && reaches(host, &self.admin.host) {
            return Some(format!("web_admin.port is {port}"));
        }
        let bound = self.bound.iter().find(|bound| port == bound.port() && reaches(host, &bound.ip().to_string()));
        bound.map(|bound| format!("it listens on {bound}"))
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    address(host).is_some_and(|address| address.is_loopback())
}

/// Whether two listeners on one port get into each other's way.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let any = |host| address(host).is_some_and(|address| address.is_unspecified());
    any(one) || any(other) || address(one) == address(other)
}

/// Whether a client that connects to `host` may reach a listener on `listener` (same port).
fn reaches(host: &str, listener: &str) -> bool {
    let (Some(found), listener) = (address(host), address(listener)) else { return false };
    let any = listener.is_some_and(|listener| listener.is_unspecified());
    found.is_loopback() || found.is_unspecified() || Some(found) == listener || (any && is_of_this_machine(found))
}

/// A socket can be bound to an address of this machine only.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_names() {
        for host in ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "a.localhost", "127.1", "0x7f000001"] {
            assert!(is_loopback(host) && reaches(host, "10.0.0.1"), "{host}");
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "", "1.2.3.4.5"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(reaches("0.0.0.0", "127.0.0.1") && reaches("0", "127.0.0.1") && reaches("10.0.0.1", "10.0.0.1"));
        assert!(!reaches("10.0.0.2", "10.0.0.1") && !reaches("example.com", "127.0.0.1"));
    }

    #[test]
    fn all_addresses_of_this_machine_lead_to_a_listener_on_every_interface() {
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        // No packet is sent; without a route to anywhere there is no such address to try.
        if probe.connect("192.0.2.1:9").is_ok() {
            let own = probe.local_addr().unwrap().ip().to_string();
            assert!(reaches(&own, "0.0.0.0") && !reaches(&own, "127.0.0.1"), "{own}");
        }
        assert!(!reaches("192.0.2.1", "0.0.0.0"));
    }

    #[test]
    fn listeners_overlap_on_the_same_or_any_address() {
        assert!(overlap("localhost", "127.0.0.1") && overlap("0.0.0.0", "10.0.0.1") && overlap("10.0.0.1", "::"));
        assert!(!overlap("127.0.0.1", "10.0.0.1"));
    }
}
