//! Which addresses are our own, however they are spelt.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::config::{Server, WebAdmin, listening};

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

/// The address that a host is, or is known to mean on every machine.
fn address(host: &str) -> Option<IpAddr> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    if matches!(host, "localhost" | "ip6-localhost" | "ip6-loopback") || host.ends_with(".localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let plain = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    plain.or_else(|| old_spelling(host).map(IpAddr::from))
}

/// As the system's resolver reads numbers (`inet_aton`): `127.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`. Each part but the
/// last is a byte, and the last one fills what is left.
fn old_spelling(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    let left = 4_usize.checked_sub(bytes.len()).filter(|left| *left > 0)?;
    let whole =
        bytes.iter().try_fold(0_u32, |whole, byte| Some((whole << 8) | u32::from(u8::try_from(*byte).ok()?)))?;
    let bits = u32::try_from(left * 8).ok()?;
    (bits == 32 || last >> bits == 0).then(|| Ipv4Addr::from_bits(whole.checked_shl(bits).unwrap_or(0) | last))
}

fn number(part: &str) -> Option<u32> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
        None => (part, 10),
    };
    // Without a sign, which the standard library would take.
    digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then(|| u32::from_str_radix(digits, radix).ok())?
}

/// Whether a host is written as numbers that are no address: nothing can be found under it.
pub(super) fn is_broken_number(host: &str) -> bool {
    let numbers = |last: &str| number(last).is_some() || last.bytes().all(|digit| digit.is_ascii_digit());
    let host = host.trim_end_matches('.');
    host.rsplit('.').next().is_some_and(numbers) && address(host).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_names() {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "[::1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "ip6-localhost",
            "::ffff:127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0177.0.0.1",
            "017700000001",
        ] {
            assert!(is_loopback(host) && reaches(host, "10.0.0.1"), "{host}");
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "", "1.2.3.4.5", "127.1."] {
            assert!(!is_loopback(host) || host.ends_with('.'), "{host}");
        }
        assert!(reaches("0.0.0.0", "127.0.0.1") && reaches("0", "127.0.0.1") && reaches("10.0.0.1", "10.0.0.1"));
        assert!(!reaches("10.0.0.2", "10.0.0.1") && !reaches("example.com", "127.0.0.1"));
    }

    #[test]
    fn numbers_that_are_no_address_are_told() {
        for host in ["256.1.1.1", "1.2.3.4.5", "4294967296", "127.1.256.1", "08.1.1.1", "99999999999999999999"] {
            assert!(old_spelling(host).is_none() && is_broken_number(host), "{host}");
        }
        for host in ["10.0.0.1", "127.1", "example.com", "1.example", "a1", "[::1]", "xn--80ak6aa92e", "my_host"] {
            assert!(!is_broken_number(host), "{host}");
        }
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
