//! When the machine runs short: the proxy waits, goes on, and never spins.

use std::time::Duration;

use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use crate::support::machine::cpu;
use crate::support::proxy::{Config, Proxy};
use crate::support::{Request, assert_right, healthy};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn out_of_descriptors_it_waits_and_recovers() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::start_limited(Config::in_order([&alpha]).folder(), 48).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    let mut held = Vec::new();
    for _ in 0..80 {
        held.push(TcpStream::connect(proxy.address()).await.unwrap());
    }
    let before = cpu(proxy.pid());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = cpu(proxy.pid()).saturating_sub(before);
    assert!(used < Duration::from_millis(300), "{used:?} of CPU in a second of waiting");
    drop(held);
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_right(&proxy.send(&Request::stream()).await, true, "alpha");
}

#[tokio::test]
async fn a_head_that_never_ends_has_a_limit() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).start().await;
    let mut connection = proxy.client().connect().await;
    connection.write("POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n").await;
    connection.write(format!("X-Long: {}\r\n", "x".repeat(70 << 10))).await;
    let answer = connection.rest().await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_eq!(alpha.hits(), 1);
}

#[tokio::test]
async fn many_idle_clients_hold_nobody_up() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).start().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut connection = proxy.client().connect().await;
        connection.write("POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{").await;
        idle.push(connection);
    }
    assert_right(&proxy.send(&Request::stream()).await, true, "alpha");
}
