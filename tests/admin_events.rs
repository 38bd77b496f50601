//! What the admin server pushes: in order, without gaps, and without harm from those who do not listen.

use std::time::Duration;

use claude_proxy::clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::admin::{Admin, Event};
use crate::support::machine;
use crate::support::proxy::{Config, Proxy};
use crate::support::{End, Gate, Part, Reply, Request, Upstream, answering, bodies, eventually, healthy, ms};

async fn proxy_with(alpha: &Upstream) -> (Proxy, Admin) {
    let proxy = Config::in_order([alpha]).admin().start().await;
    let admin = proxy.admin().await;
    (proxy, admin)
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[tokio::test]
async fn a_request_is_told_from_its_start_to_its_end() {
    let gate = Gate::default();
    let alpha =
        answering("alpha", Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Gate(gate.clone()))).await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut events = admin.events(None).await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["listen"]), ("status", &proxy.address().to_string().into()));
    assert!(first.id.is_some(), "there is a place to resume from at once");
    let mut answer = proxy.client().open(&Request::stream().session("s-1")).await;
    answer.event().await;
    let (started, committed) = (events.happening().await, events.happening().await);
    assert_eq!((started.name.as_str(), committed.name.as_str()), ("request_started", "request_committed"));
    assert_eq!((&started.data["session"], &started.data["model"]), (&"s-1".into(), &bodies::MODEL.into()));
    assert_eq!(committed.data["endpoint"], "alpha");
    let status = events.named("status").await;
    assert_eq!((&status.data["in_flight"], status.id), (&1.into(), None));
    gate.open();
    let answer = answer.finish().await;
    let ended = events.named("request_ended").await;
    let record = &ended.data["record"];
    assert_eq!((&ended.data["key"], &record["id"]), (&started.data["key"], &answer.request_id().into()));
    assert_eq!((&record["ending"], &record["attempts"][0]["endpoint"]), (&"cut".into(), &"alpha".into()));
    assert_eq!(
        (&record["request"]["body"], &record["request"]["headers"]),
        (&Value::Null, &json!({})),
        "bodies stay out"
    );
}

#[tokio::test]
async fn an_endpoints_fall_and_every_change_of_its_settings_are_told() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).admin().start().await;
    let admin = proxy.admin().await;
    let mut events = admin.events(None).await;
    for _ in 0..2 {
        proxy.send(&Request::message()).await;
    }
    let degraded = events.named("endpoint").await.data;
    assert_eq!((&degraded["from"], &degraded["to"]), (&"up".into(), &"degraded".into()), "{degraded}");
    let down = events.named("endpoint").await.data;
    assert_eq!((&down["to"], &down["endpoint"]["state"]), (&"down".into(), &"down".into()));
    assert!(down["reason"].as_str().unwrap().contains("500"), "{down}");
    admin.change("POST", "/api/endpoints/beta/disable", &Value::Null).await;
    assert_eq!(events.named("config").await.data["refused"], Value::Null);
    let off = events.named("endpoint").await.data;
    assert_eq!((&off["name"], &off["from"], &off["to"]), (&"beta".into(), &"up".into(), &"disabled".into()));
    let body = json!({"name": "gamma", "url": "https://gamma.example", "auth_type": "passthrough"});
    admin.change("POST", "/api/endpoints", &body).await;
    let new = events.named("endpoint").await.data;
    assert_eq!((&new["name"], &new["from"], &new["to"]), (&"gamma".into(), &"".into(), &"up".into()));
    admin.change("PATCH", "/api/endpoints/gamma", &json!({"priority": 77})).await;
    let moved = events.named("endpoint").await.data;
    assert_eq!(
        (&moved["from"], &moved["to"], &moved["endpoint"]["priority"]),
        (&"up".into(), &"up".into(), &77.into())
    );
    admin.change("DELETE", "/api/endpoints/gamma", &Value::Null).await;
    let gone = events.named("endpoint").await.data;
    assert_eq!((&gone["name"], &gone["to"], &gone["endpoint"]), (&"gamma".into(), &"".into(), &Value::Null));
    proxy.write_config("nonsense: true\n");
    let refused = events.named("config").await.data;
    assert!(refused["refused"]["message"].as_str().unwrap().contains("nonsense"), "{refused}");
}

#[tokio::test]
async fn who_comes_back_gets_what_happened_meanwhile_once_and_in_order() {
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut events = admin.events(None).await;
    let place = events.next().await.unwrap().id.unwrap();
    drop(events);
    for _ in 0..4 {
        proxy.send(&Request::message()).await;
    }
    admin.until("/api/status", |status| status["totals"]["requests"] == 4).await;
    let mut events = admin.events(Some(&place)).await;
    let mut all = Vec::new();
    while all.len() < 12 {
        all.push(events.happening().await);
    }
    let run = place.rsplit_once('-').unwrap().0;
    let ids: Vec<_> = all.iter().map(|event| event.id.clone().unwrap()).collect();
    assert_eq!(ids, (1..=12).map(|n| format!("{run}-{n}")).collect::<Vec<_>>(), "{:?}", names(&all));
    assert_eq!(names(&all).iter().filter(|name| **name == "request_ended").count(), 4);
    // From the middle, by the query as EventSource cannot do it by a header.
    let path = format!("/api/events?last_event_id={}", ids[8]);
    let mut again = crate::support::admin::Events(admin.client().open(&Request::get(&path)).await);
    for expected in &all[9..] {
        let event = again.happening().await;
        assert_eq!((event.id, event.name), (expected.id.clone(), expected.name.clone()));
    }
}

/// Nobody can look at hundreds of requests one by one, and each event costs every page that is attached.
#[tokio::test]
async fn who_comes_back_is_told_every_event_of_much_that_happened_meanwhile() {
    const REQUESTS: usize = 30;
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let place = admin.events(None).await.next().await.unwrap().id.unwrap();
    for _ in 0..REQUESTS {
        proxy.send(&Request::message()).await;
    }
    admin.until("/api/status", |status| status["totals"]["requests"] == REQUESTS).await;
    let mut events = admin.events(Some(&place)).await;
    let mut told = Vec::new();
    for _ in 0..3 * REQUESTS {
        told.push(events.happening().await.name);
    }
    for name in ["request_started", "request_committed", "request_ended"] {
        assert_eq!(told.iter().filter(|told| *told == name).count(), REQUESTS, "{name}");
    }
    let last = proxy.send(&Request::message()).await;
    assert_eq!(events.happening().await.name, "request_started");
    assert_eq!(events.named("request_ended").await.data["record"]["id"], last.request_id());
}

#[tokio::test]
async fn what_is_lost_for_good_is_said() {
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    proxy.send(&Request::message()).await;
    admin.until("/api/status", |status| status["totals"]["requests"] == 1).await;
    for strange in ["an-older-run-77", "nonsense", "%", "-"] {
        let mut events = admin.events(Some(strange)).await;
        let missed = events.happening().await;
        assert_eq!((missed.name.as_str(), &missed.data["events"]), ("missed", &Value::Null), "{strange}");
        assert_eq!(events.happening().await.name, "request_started", "and what is held follows");
    }
}

#[tokio::test]
async fn every_page_gets_everything() {
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut pages = Vec::new();
    for _ in 0..10 {
        let mut events = admin.events(None).await;
        events.next().await;
        pages.push(events);
    }
    assert_eq!(admin.json("/api/status").await["watchers"], 10);
    for _ in 0..5 {
        proxy.send(&Request::message()).await;
    }
    let mut told = Vec::new();
    for page in &mut pages {
        let mut all = Vec::new();
        while all.len() < 15 {
            all.push(page.happening().await);
        }
        told.push(all);
    }
    assert!(told.iter().all(|all| *all == told[0]));
    drop(pages);
    admin.until("/api/status", |status| status["watchers"] == 0).await;
}

#[tokio::test]
async fn no_more_pages_than_there_are_seats_for() {
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut pages = Vec::new();
    let turned_away = loop {
        let answer = admin.client().open(&admin.request("GET", "/api/events", None)).await;
        if answer.status() != 200 {
            break answer.finish().await;
        }
        pages.push(answer);
        assert!(pages.len() <= 100, "more than that are let in");
    };
    assert_eq!((turned_away.status(), &turned_away.json()["error"]["code"]), (503, &"busy".into()));
    assert_eq!(pages.len(), 100);
    assert_eq!(proxy.send(&Request::message()).await.status(), 200);
    assert_eq!(admin.json("/api/status").await["watchers"], 100);
    pages.truncate(99);
    admin.until("/api/status", |status| status["watchers"] == 99).await;
    admin.events(None).await;
}

/// Attaches, and reads nothing from then on.
async fn deaf(admin: &Admin) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(admin.address).await.unwrap();
    stream.write_all(format!("GET /api/events HTTP/1.1\r\nhost: {}\r\n\r\n", admin.address).as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_page_that_stops_reading_is_dropped_and_costs_bounded_memory() {
    let alpha = healthy("alpha").await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut deaf_ones = Vec::new();
    for _ in 0..5 {
        deaf_ones.push(deaf(&admin).await);
    }
    admin.until("/api/status", |status| status["watchers"] == 5).await;
    let mut good = admin.events(None).await;
    let before = machine::memory(proxy.pid(), "VmRSS");
    let busy = {
        let client = proxy.client();
        tokio::spawn(async move {
            let filler = "x".repeat(400);
            loop {
                // A long path is in each of the three events.
                let path = format!("/v1/messages?{filler}");
                let request = Request { target: path, ..Request::message().session(&filler) };
                client.send(&request).await;
            }
        })
    };
    let limit = clock::now() + Duration::from_secs(30);
    loop {
        let status = good.named("status").await.data;
        if status["watchers"] == 1 {
            break;
        }
        assert!(clock::now() < limit, "they are still there: {}", status["watchers"]);
    }
    busy.abort();
    let grown = machine::memory(proxy.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
    for mut stream in deaf_ones {
        // What was in flight can still be read; then it is over.
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(ms(5000), stream.read_to_end(&mut rest)).await.expect("it is over");
    }
    assert_eq!(proxy.send(&Request::message()).await.status(), 200);
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end_of_the_program() {
    let alpha = healthy("alpha").await;
    let (mut proxy, admin) = proxy_with(&alpha).await;
    let mut events = admin.events(None).await;
    let _deaf = deaf(&admin).await;
    events.next().await;
    let asked = clock::now();
    proxy.signal("TERM").await;
    assert!(proxy.exit().await.success());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    while events.next().await.is_some() {}
    assert_eq!(events.0.finish().await.end, End::Clean, "the page is told, not cut off");
}

#[tokio::test]
async fn hostile_text_stays_within_its_event() {
    let alpha =
        answering("alpha", Reply::error(401, "authentication_error", "no\n\nevent: x\ndata: {}\n\n<script>")).await;
    let (proxy, admin) = proxy_with(&alpha).await;
    let mut events = admin.events(None).await;
    events.next().await;
    let session = "a\\nevent: fake\\ndata: <img src=x onerror=alert(1)>\u{2028}";
    let body = json!({"metadata": {"user_id": session}});
    proxy.send(&Request::messages(&body)).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&"request_ended".to_owned()) {
        seen.push(events.happening().await.name);
    }
    seen.retain(|name| name != "endpoint" && name != "request_committed");
    assert_eq!(seen, ["request_started", "request_ended"]);
    eventually("the record is there", || proxy.records().len() == 1).await;
}
