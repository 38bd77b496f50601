//! Load within one priority: sessions stay, the rest goes where the least is in flight.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use crate::support::proxy::{Config, Endpoint};
use crate::support::{Gate, Part, Proxy, Reply, Request, Upstream, bodies, eventually, healthy};

async fn equals(names: &[&str]) -> Vec<Upstream> {
    let mut upstreams = Vec::new();
    for name in names {
        upstreams.push(healthy(name).await);
    }
    upstreams
}

fn config(upstreams: &[Upstream]) -> Config {
    Config::of(upstreams.iter().map(Endpoint::of))
}

async fn homes(proxy: &Proxy, sessions: usize) -> BTreeMap<usize, String> {
    let mut homes = BTreeMap::new();
    for number in 0..sessions {
        let answer = proxy.send(&Request::count_tokens().session(&format!("session-{number}"))).await;
        homes.insert(number, answer.upstream().to_owned());
    }
    homes
}

#[tokio::test]
async fn a_session_keeps_its_endpoint() {
    let upstreams = equals(&["a", "b", "c"]).await;
    let proxy = config(&upstreams).start().await;
    let first = homes(&proxy, 30).await;
    assert_eq!(homes(&proxy, 30).await, first);
    let mut load: HashMap<&str, usize> = HashMap::new();
    for home in first.values() {
        *load.entry(home).or_default() += 1;
    }
    assert_eq!(load.len(), 3, "all of them take part: {load:?}");
}

#[tokio::test]
async fn the_user_id_stands_in_for_a_session() {
    let upstreams = equals(&["a", "b", "c"]).await;
    let proxy = config(&upstreams).start().await;
    for user in 0..10 {
        let request = Request::messages(&json!({"metadata": {"user_id": format!("user-{user}")}}));
        let home = proxy.send(&request).await.upstream().to_owned();
        for _ in 0..3 {
            assert_eq!(proxy.send(&request).await.upstream(), home);
        }
    }
}

#[tokio::test]
async fn losing_an_endpoint_moves_only_its_sessions() {
    let upstreams = equals(&["a", "b", "c"]).await;
    let proxy = config(&upstreams).start().await;
    let before = homes(&proxy, 30).await;
    proxy.write_config(&config(&upstreams[..2]).yaml());
    proxy.signal("HUP").await;
    let lost = *before.iter().find(|(_, home)| *home == "c").unwrap().0;
    let request = Request::count_tokens().session(&format!("session-{lost}"));
    for _ in 0..200 {
        if proxy.send(&request).await.upstream() != "c" {
            break;
        }
        tokio::time::sleep(crate::support::ms(10)).await;
    }
    let after = homes(&proxy, 30).await;
    for (number, home) in &before {
        assert!(home == "c" || after[number] == *home, "session {number} moved from {home} to {}", after[number]);
    }
}

#[tokio::test]
async fn a_session_moves_while_its_endpoint_is_down_and_comes_back() {
    let upstreams = equals(&["a", "b"]).await;
    let proxy = config(&upstreams).set("health.check_interval", "300ms").start().await;
    let request = Request::message().session("one");
    let home = proxy.send(&request).await.upstream().to_owned();
    let (at_home, elsewhere) = if home == "a" { (0, 1) } else { (1, 0) };
    // A success within the window would keep it up.
    let proxy = config(&upstreams).set("health.check_interval", "300ms").start().await;
    upstreams[at_home].set_default(Some(Reply::status(500)));
    for _ in 0..4 {
        assert_eq!(proxy.send(&request).await.upstream(), upstreams[elsewhere].name());
    }
    upstreams[at_home].set_default(None);
    let mut back = false;
    for _ in 0..200 {
        back = proxy.send(&request).await.upstream() == home;
        if back {
            break;
        }
        tokio::time::sleep(crate::support::ms(20)).await;
    }
    assert!(back, "its prompt cache is there");
}

#[tokio::test]
async fn without_a_session_the_fewest_in_flight_is_asked() {
    let upstreams = equals(&["a", "b", "c"]).await;
    let gate = Gate::default();
    for upstream in &upstreams {
        let held = Reply::stream(bodies::events(&["Hello"])).lead(Part::Gate(gate.clone()));
        upstream.set_default(Some(held));
    }
    let proxy = config(&upstreams).start().await;
    let mut running = tokio::task::JoinSet::new();
    for number in 1..=9 {
        let client = proxy.client();
        running.spawn(async move { client.send(&Request::stream()).await });
        eventually("the request is under way", || upstreams.iter().map(Upstream::hits).sum::<usize>() == number).await;
    }
    assert_eq!(upstreams.iter().map(Upstream::hits).collect::<Vec<_>>(), [3, 3, 3]);
    (0..9).for_each(|_| gate.open());
    while let Some(answer) = running.join_next().await {
        assert_eq!(answer.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_smaller_priority_comes_first_whatever_the_load() {
    let upstreams = equals(&["a", "b"]).await;
    let endpoints = [Endpoint::of(&upstreams[0]).priority(5), Endpoint::of(&upstreams[1]).priority(2)];
    let proxy = Config::of(endpoints).start().await;
    for number in 0..6 {
        let answer = proxy.send(&Request::message().session(&format!("{number}"))).await;
        assert_eq!(answer.upstream(), "b");
    }
}
