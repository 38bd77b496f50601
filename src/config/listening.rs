//! Where this process listens: a fact about the process, as its environment is. What a file says can differ from it: any
//! free port, or an address that waits for a restart.

use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

/// Filled at the start; a listener ends with the program only.
static BOUND: RwLock<Vec<SocketAddr>> = RwLock::new(Vec::new());

/// This process listens there from now on.
pub fn listens(address: SocketAddr) {
    BOUND.write().unwrap_or_else(PoisonError::into_inner).push(canonical(address));
}

pub fn bound() -> Vec<SocketAddr> {
    BOUND.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether a connection from `local` to `peer` came out at a listener of this process.
pub fn is_ours(local: SocketAddr, peer: SocketAddr) -> bool {
    let (local, peer) = (canonical(local), canonical(peer));
    let reached = |ours: &SocketAddr| {
        let here = peer.ip().is_loopback() || peer.ip() == local.ip();
        ours.port() == peer.port() && (ours.ip() == peer.ip() || (ours.ip().is_unspecified() && here))
    };
    BOUND.read().unwrap_or_else(PoisonError::into_inner).iter().any(reached)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_oneself_is_seen_whatever_the_address_is_called() {
        // Ports that no listener of a test has.
        listens("127.0.0.1:7".parse().unwrap());
        listens("0.0.0.0:9".parse().unwrap());
        let ours = |local: &str, peer: &str| is_ours(local.parse().unwrap(), peer.parse().unwrap());
        assert!(ours("127.0.0.1:50000", "127.0.0.1:7") && ours("[::1]:50000", "[::ffff:127.0.0.1]:7"));
        assert!(ours("127.0.0.1:50000", "127.8.8.8:9") && ours("10.0.0.5:50000", "10.0.0.5:9"));
        assert!(!ours("127.0.0.1:50000", "127.0.0.1:8") && !ours("10.0.0.5:50000", "10.0.0.6:9"));
        assert!(!ours("10.0.0.5:50000", "10.0.0.5:7"), "another program may listen there");
    }
}
