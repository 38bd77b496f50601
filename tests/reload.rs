//! A changed config: in force at once, or refused with the old one staying.

use std::time::Duration;

use claude_proxy::clock;

use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::{End, Gate, Part, Reply, Request, Upstream, answering, assert_right, bodies, healthy, ms};

/// Asks until `name` answers; returns how long that took.
async fn until_answered_by(proxy: &Proxy, name: &str) -> Duration {
    let start = clock::now();
    loop {
        let answer = proxy.send(&Request::message()).await;
        assert_eq!(answer.status(), 200, "no request is disturbed: {}", answer.text());
        if answer.upstream() == name {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{name} never answers:\n{}", proxy.said());
        tokio::time::sleep(ms(20)).await;
    }
}

#[tokio::test]
async fn a_changed_file_is_in_force_within_two_seconds() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = Proxy::over([&alpha]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    proxy.write_config(&Config::in_order([&beta]).yaml());
    let took = until_answered_by(&proxy, "beta").await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    // Written in place, as some editors do.
    std::fs::write(proxy.folder().join("config.yaml"), Config::in_order([&alpha]).yaml()).unwrap();
    let took = until_answered_by(&proxy, "alpha").await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn hangup_reads_the_file_at_once() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = Proxy::over([&alpha]).await;
    proxy.write_config(&Config::in_order([&beta]).yaml());
    proxy.signal("HUP").await;
    let took = until_answered_by(&proxy, "beta").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_broken_file_is_refused_and_the_old_settings_stay() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = Proxy::over([&alpha]).await;
    let broken = Config::in_order([&beta]).set("timeouts.frist_byte", "1s").yaml();
    for yaml in [broken.as_str(), "", "endpoints: [\n", "endpoints: []\n"] {
        let before = proxy.said().len();
        proxy.write_config(yaml);
        proxy.signal("HUP").await;
        crate::support::eventually("the refusal is told", || proxy.said().len() > before).await;
        assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    }
    assert!(proxy.said().contains("frist_byte"), "{}", proxy.said());
    assert!(proxy.said().contains("first_byte"), "the nearest key is named:\n{}", proxy.said());
    proxy.write_config(&Config::in_order([&beta]).yaml());
    until_answered_by(&proxy, "beta").await;
}

#[tokio::test]
async fn a_file_that_goes_away_is_missed_and_its_return_is_seen() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let path = proxy.folder().join("config.yaml");
    let aside = path.with_extension("aside");
    let refused = |status: &serde_json::Value| !status["config"]["refused"].is_null();
    std::fs::rename(&path, &aside).unwrap();
    let status = admin.until("/api/status", refused).await;
    assert!(status["config"]["refused"]["message"].as_str().unwrap().contains("cannot be read"), "{status}");
    // By a thread of its own, so perhaps a moment later.
    crate::support::eventually("the refusal is told", || proxy.said().contains("is refused")).await;
    assert_eq!(proxy.said().matches("is refused").count(), 1, "told once:\n{}", proxy.said());
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    std::fs::rename(&aside, &path).unwrap();
    admin.until("/api/status", |status| !refused(status)).await;
}

/// The thread that reads the settings is the one that answers requests.
#[tokio::test]
async fn a_pipe_or_device_in_the_place_of_a_file_holds_nobody_up() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let path = proxy.folder().join("config.yaml");
    let right = std::fs::read_to_string(&path).unwrap();
    let pipe = proxy.folder().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let with_roots = |file: &str| right.replacen("auth_type:", &format!("ca_file: {file}\n    auth_type:"), 1);
    let huge = |path: &std::path::Path| std::fs::File::create(path).unwrap().set_len(4 << 30).unwrap();
    let refused = |status: &serde_json::Value| !status["config"]["refused"].is_null();
    for (name, put, why) in [
        ("a pipe", Box::new(|| std::fs::rename(&pipe, &path).unwrap()) as Box<dyn Fn()>, "not a regular file"),
        ("4 GiB", Box::new(|| huge(&path)), "larger than 1 MiB"),
        (
            "roots from a device",
            Box::new(|| std::fs::write(&path, with_roots("/dev/zero")).unwrap()),
            "not a regular file",
        ),
        ("4 GiB of roots", Box::new(|| std::fs::write(&path, with_roots("roots.pem")).unwrap()), "larger than 16 MiB"),
    ] {
        huge(&proxy.folder().join("roots.pem"));
        put();
        let status = admin.until("/api/status", refused).await;
        let message = status["config"]["refused"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{name}: {message}");
        assert_right(&proxy.send(&Request::message()).await, false, "alpha");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &right).unwrap();
        admin.until("/api/status", |status| !refused(status)).await;
    }
}

#[tokio::test]
async fn a_refusal_ends_when_the_file_is_what_it_was() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let path = proxy.folder().join("config.yaml");
    let right = std::fs::read_to_string(&path).unwrap();
    let refused = |status: &serde_json::Value| !status["config"]["refused"].is_null();
    std::fs::remove_file(&path).unwrap();
    proxy.signal("HUP").await;
    admin.until("/api/status", refused).await;
    std::fs::write(&path, &right).unwrap();
    admin.until("/api/status", |status| !refused(status)).await;

    std::fs::write(&path, "x: [").unwrap();
    assert_eq!(admin.send("POST", "/api/config/reload", None).await.status(), 422);
    std::fs::write(&path, &right).unwrap();
    assert!(refused(&admin.json("/api/status").await));
    admin.until("/api/status", |status| !refused(status)).await;
}

#[tokio::test]
async fn a_stream_goes_on_over_a_reload() {
    let gate = Gate::default();
    let reply = Reply::stream(bodies::events(&["Hello", " there"]));
    let held = reply.cut_after(3, Part::Gate(gate.clone())).part(rest(4));
    let alpha = Upstream::new("alpha").then(held).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut answer = proxy.client().open(&Request::stream()).await;
    assert_eq!(answer.event().await, Some(bodies::message_start()));
    proxy.write_config(&Config::in_order([&beta]).yaml());
    until_answered_by(&proxy, "beta").await;
    gate.open();
    let answer = answer.finish().await;
    assert_eq!((answer.text(), answer.end), (&*crate::support::right_body(true), End::Clean));
}

/// Everything but the first three events of the usual stream and the one in `from`'s place.
fn rest(from: usize) -> Part {
    Part::Bytes(bodies::events(&["Hello", " there"])[from - 1..].concat().into())
}

#[tokio::test]
async fn health_is_kept_where_name_and_url_stay() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    for _ in 0..3 {
        assert_right(&proxy.send(&Request::message()).await, false, "beta");
    }
    assert_eq!(alpha.hits(), 2, "alpha is down");
    let changed = Config::of([Endpoint::of(&alpha).priority(1), Endpoint::of(&beta).priority(7)]);
    proxy.write_config(&changed.set("timeouts.first_byte", "59s").yaml());
    proxy.signal("HUP").await;
    tokio::time::sleep(ms(600)).await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    assert_eq!(alpha.hits(), 2, "and stays so");

    // The same name at another address is another endpoint.
    let fresh = Upstream::new("alpha").start().await.unwrap();
    proxy.write_config(&Config::in_order([&fresh, &beta]).yaml());
    until_answered_by(&proxy, "alpha").await;
}

#[tokio::test]
async fn new_limits_and_credentials_are_in_force() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let next = Config::in_order([Endpoint::of(&alpha).set("auth_value", "sk-new-credential")]);
    proxy.write_config(&next.set("server.auth_token", "now-needed").yaml());
    proxy.signal("HUP").await;
    let mut status = 200;
    for _ in 0..200 {
        status = proxy.send(&Request::message()).await.status();
        if status == 401 {
            break;
        }
        tokio::time::sleep(ms(10)).await;
    }
    assert_eq!(status, 401);
    assert_right(&proxy.send(&Request::message().header("x-api-key", "now-needed")).await, false, "alpha");
    assert_eq!(alpha.requests().pop().unwrap().all("x-api-key"), ["sk-new-credential"]);
}

#[tokio::test]
async fn what_needs_a_restart_says_so() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    proxy.write_config(&Config::in_order([&alpha]).set("server.port", &other.to_string()).yaml());
    proxy.signal("HUP").await;
    proxy.says("server.port").await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
}
