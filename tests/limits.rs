//! When the machine runs short: the proxy waits, goes on, and never spins.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[cfg(target_os = "linux")]
use crate::support::machine::{cpu, descriptors};
use crate::support::proxy::{Config, Proxy};
use crate::support::{Gate, Part, Reply, Request, answering, assert_right, eventually, healthy, ms};

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

/// Connections to its admin server take descriptors like any other.
#[cfg(target_os = "linux")]
async fn take_all_descriptors(proxy: &Proxy, limit: usize) -> Vec<TcpStream> {
    let admin = proxy.admin().await.address;
    let mut taken = Vec::new();
    for _ in 0..limit {
        taken.push(TcpStream::connect(admin).await.unwrap());
    }
    eventually("no descriptor is left", || descriptors(proxy.pid()) >= limit).await;
    taken
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn out_of_descriptors_a_request_waits_and_no_endpoint_is_blamed() {
    let alpha = healthy("alpha").await;
    let config = Config::in_order([&alpha]).admin().set("health.min_failures", "1").set("timeouts.connect", "700ms");
    let proxy = Proxy::start_limited(config.folder(), 48).await;
    let (waiting, failing) = (proxy.client().connect().await, proxy.client().connect().await);
    // Both are taken in before anything else is.
    let (answer, waiting) = waiting.ask(&Request::get("/healthz")).await.finish_keeping().await;
    assert_eq!(answer.status(), 200);
    let (_, failing) = failing.ask(&Request::get("/healthz")).await.finish_keeping().await;
    let taken = take_all_descriptors(&proxy, 48).await;

    let answer = failing.ask(&Request::message()).await.finish().await;
    assert_eq!(answer.status(), 502, "{}", answer.text());
    assert!(answer.error_message().contains("ulimit -n"), "{}", answer.text());
    let waiting = tokio::spawn(async move { waiting.ask(&Request::message()).await.finish().await });
    tokio::time::sleep(ms(100)).await;
    drop(taken);
    assert_right(&waiting.await.unwrap(), false, "alpha");
    assert_eq!(proxy.record(&answer).await["attempts"][0]["fault"], "machine");
    let endpoints = proxy.admin().await.json("/api/endpoints").await;
    assert_eq!(endpoints["endpoints"][0]["state"], "up", "{endpoints}");
    assert!(!proxy.said().contains("is down"), "{}", proxy.said());
}

/// Were all descriptors clients', each request would wait for another one to end.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_leave_descriptors_for_their_own_requests() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::start_limited(Config::in_order([&alpha]).folder(), 48).await;
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let client = proxy.client();
        asking.spawn(async move { client.send(&Request::stream()).await });
    }
    for answer in asking.join_all().await {
        assert_right(&answer, true, "alpha");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_low_soft_limit_is_raised() {
    let gate = Gate::default();
    let alpha = answering("alpha", Reply::message("Hello there").lead(Part::Gate(gate.clone()))).await;
    let proxy = Proxy::start_soft_limited(Config::in_order([&alpha]).folder(), 48).await;
    let mut asking = JoinSet::new();
    for _ in 0..60 {
        let client = proxy.client();
        asking.spawn(async move { client.send(&Request::message()).await });
    }
    eventually("all are under way at once", || alpha.hits() == 60).await;
    (0..60).for_each(|_| gate.open());
    for answer in asking.join_all().await {
        assert_right(&answer, false, "alpha");
    }
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
