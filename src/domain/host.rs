//! Hosts as they are written in addresses: what each means on every machine, and which can never be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the name system holds at most: a name, and one label of it.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The address that a host is, or is known to mean on every machine.
pub fn address(host: &str) -> Option<IpAddr> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    if matches!(host, "localhost" | "ip6-localhost" | "ip6-loopback") || host.ends_with(".localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let plain = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    plain.or_else(|| old_spelling(host).map(IpAddr::from))
}

/// Why nothing can ever be found under this host.
pub fn fault(host: &str) -> Option<&'static str> {
    if let Some(bare) = host.strip_prefix('[') {
        let fine = bare.strip_suffix(']').is_some_and(|bare| bare.parse::<Ipv6Addr>().is_ok());
        return (!fine).then_some("the host in brackets is no IPv6 address");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let odd = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.');
    if name.split('.').any(str::is_empty) {
        Some("the host has an empty part between its dots")
    } else if name.contains(odd) {
        Some("the host holds a character that no name has")
    } else if name.len() > LONGEST || name.split('.').any(|label| label.len() > LONGEST_LABEL) {
        Some("the host is longer than any name can be")
    } else if ends_in_a_number(name) && address(name).is_none() {
        Some("the host is written in numbers, and they are no IP address")
    } else {
        None
    }
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
    let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
        None => (part, 10),
    };
    // Without a sign, which the standard library would take.
    digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then(|| u32::from_str_radix(digits, radix).ok())?
}

/// No name ends so: whoever writes it means an address.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    number(last).is_some() || last.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_in_many_ways() {
        for host in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "ip6-localhost",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0177.0.0.1",
            "017700000001",
        ] {
            assert_eq!(address(host), Some(Ipv4Addr::LOCALHOST.into()), "{host}");
            assert_eq!(fault(host).is_some(), host.contains(':'), "{host}");
        }
        assert_eq!(address("0"), Some(Ipv4Addr::UNSPECIFIED.into()));
        assert_eq!(address("10.0.0.1"), Some(Ipv4Addr::new(10, 0, 0, 1).into()));
        assert_eq!((address("[::1]"), fault("[::1]")), (Some(Ipv6Addr::LOCALHOST.into()), None));
    }

    #[test]
    fn what_can_never_be_reached_is_told() {
        let (long, label) = (format!("{}.example", "a.".repeat(130)), "a".repeat(64));
        for host in [
            "*",
            "*.example",
            ".",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a+b",
            "[::x]",
            "[::1",
            "256.1.1.1",
            "1.2.3.4.5",
            "4294967296",
            "127.1.256.1",
            "08.1.1.1",
            "99999999999999999999",
            &long,
            &label,
        ] {
            assert!(fault(host).is_some(), "{host}");
        }
        for host in
            ["a", "example.com.", "my_host", "xn--80ak6aa92e.example", "bücher.example", "1.example", "a-1", "a1"]
        {
            assert_eq!((fault(host), address(host)), (None, None), "{host}");
        }
    }
}
