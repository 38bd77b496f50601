//! Endpoints that are down or resting: skipped, probed, and back again.

use std::time::Duration;

use crate::support::proxy::{Config, Endpoint, KEY, Proxy, tried};
use crate::support::upstream::Seen;
use crate::support::{After, Part, Reply, Request, Upstream, answering, assert_right, bodies, eventually, healthy, ms};

/// Two endpoints, probes soon after one is down.
fn watched<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>) -> Config {
    Config::in_order(upstreams).set("health.check_interval", "300ms").set("health.check_timeout", "500ms")
}

/// Requests until alpha, the first one, is down.
async fn bring_down(proxy: &Proxy) {
    for _ in 0..2 {
        assert_eq!(proxy.send(&Request::message()).await.upstream(), "beta");
    }
}

fn is_probe(seen: &Seen) -> bool {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    body["messages"][0]["content"] != "Hi"
}

#[tokio::test]
async fn enough_failures_take_an_endpoint_out() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("health.min_failures", "3").start().await;
    for _ in 0..6 {
        assert_right(&proxy.send(&Request::message()).await, false, "beta");
    }
    assert_eq!(alpha.hits(), 3);
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!(tried(&proxy.record(&answer).await), ["beta"]);
    proxy.says("alpha").await;
}

#[tokio::test]
async fn a_success_within_the_window_keeps_it_in() {
    let alpha = Upstream::new("alpha");
    let alpha = alpha.then(Reply::message("Hello there")).always(Reply::status(500)).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = Proxy::over([&alpha, &beta]).await;
    assert_eq!(proxy.send(&Request::message()).await.upstream(), "alpha");
    for _ in 0..5 {
        assert_eq!(proxy.send(&Request::message()).await.upstream(), "beta");
    }
    assert_eq!(alpha.hits(), 6);
}

#[tokio::test]
async fn failures_older_than_the_window_are_forgotten() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("health.window", "300ms").start().await;
    for _ in 0..3 {
        proxy.send(&Request::message()).await;
        tokio::time::sleep(ms(400)).await;
    }
    assert_eq!(alpha.hits(), 3);
}

#[tokio::test]
async fn refusals_of_the_request_do_not_count() {
    for reply in [Reply::status(400), Reply::status(404), Reply::html(400), Reply::status(422)] {
        let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
        let proxy = Proxy::over([&alpha, &beta]).await;
        for _ in 0..4 {
            proxy.send(&Request::message()).await;
        }
        assert_eq!(alpha.hits(), 4);
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_count() {
    let (alpha, beta) = (answering("alpha", Reply::silence()).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    for number in 1..=4 {
        let mut connection = proxy.client().connect().await;
        connection.send(&Request::message()).await;
        eventually("alpha is asked", || alpha.hits() == number).await;
        drop(connection);
        eventually("alpha's attempt is cancelled", || alpha.closed().len() == number).await;
    }
    assert_eq!(beta.hits(), 0);
}

#[tokio::test]
async fn a_break_after_content_counts() {
    let reply = Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Pause(ms(20))).part(Part::Close);
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    for _ in 0..2 {
        assert_eq!(proxy.send(&Request::stream()).await.upstream(), "alpha");
    }
    assert_eq!(proxy.send(&Request::stream()).await.upstream(), "beta");
}

#[tokio::test]
async fn a_probe_brings_an_endpoint_back() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = watched([&alpha, &beta]).start().await;
    bring_down(&proxy).await;
    eventually("two probes fail", || alpha.hits() >= 4).await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    alpha.set_default(None);
    eventually("alpha answers a probe", || alpha.requests().last().is_some_and(Seen::wants_stream)).await;
    let mut upstream = String::new();
    for _ in 0..100 {
        upstream = proxy.send(&Request::message()).await.upstream().to_owned();
        if upstream == "alpha" {
            break;
        }
        tokio::time::sleep(ms(20)).await;
    }
    assert_eq!(upstream, "alpha");
    assert!(beta.requests().iter().all(|seen| !is_probe(seen)), "healthy endpoints are never probed");
}

#[tokio::test]
async fn the_first_probe_comes_one_interval_after_the_fall() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("health.check_interval", "900ms").start().await;
    bring_down(&proxy).await;
    let down = claude_proxy::clock::now();
    eventually("the first probe", || alpha.hits() == 3).await;
    let waited = alpha.requests()[2].at - down;
    assert!(waited > ms(700) && waited < ms(2500), "{waited:?}");
}

#[tokio::test]
async fn a_shorter_interval_reaches_an_endpoint_that_is_down_already() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let config = Config::in_order([&alpha, &beta]).set("health.check_interval", "1h");
    let proxy = config.start().await;
    bring_down(&proxy).await;
    proxy.write_config(&config.set("health.check_interval", "100ms").yaml());
    eventually("probes", || alpha.hits() >= 4).await;
}

#[tokio::test]
async fn an_endpoint_whose_last_success_is_long_ago_is_down_and_probed_without_any_traffic() {
    let alpha = Upstream::new("alpha");
    let alpha = alpha.then(Reply::message("Hello there")).always(Reply::status(500)).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = watched([&alpha, &beta]).set("health.window", "1500ms").start().await;
    assert_eq!(proxy.send(&Request::message()).await.upstream(), "alpha");
    tokio::time::sleep(ms(300)).await;
    bring_down(&proxy).await;
    assert_eq!(alpha.hits(), 3);
    proxy.says("endpoint alpha is down").await;
    alpha.set_default(None);
    proxy.says("endpoint alpha is up again").await;
    assert!(alpha.requests().last().is_some_and(is_probe));
}

#[tokio::test]
async fn a_probe_is_a_small_real_request() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = watched([&alpha, &beta]).start().await;
    let request = Request::messages(&serde_json::json!({"model": "claude-last-good", "max_tokens": 32000}))
        .header("anthropic-beta", "one-2025,two-2026")
        .header("User-Agent", "claude-cli/2.1.330 (external, cli)")
        .header("x-app", "cli")
        .header("x-api-key", "client-key");
    for _ in 0..2 {
        assert_eq!(proxy.send(&request).await.upstream(), "beta");
    }
    eventually("a probe", || alpha.hits() >= 3).await;
    let probe = alpha.requests().remove(2);
    let body: serde_json::Value = serde_json::from_slice(&probe.body).unwrap();
    assert_eq!((probe.method.as_str(), probe.target.split('?').next()), ("POST", Some("/v1/messages")));
    assert_eq!((&body["model"], &body["stream"]), (&"claude-last-good".into(), &true.into()));
    assert!(body["max_tokens"].as_u64().unwrap() <= 64, "{body}");
    assert_eq!(probe.header("anthropic-beta"), Some("one-2025,two-2026"));
    assert_eq!(probe.header("user-agent"), Some("claude-cli/2.1.330 (external, cli)"));
    assert_eq!(probe.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!((probe.all("x-api-key"), probe.header("authorization")), (vec![KEY], None));
    assert_eq!(probe.all("content-length"), [probe.body.len().to_string()]);
}

#[tokio::test]
async fn the_configured_model_is_probed_with() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = watched([&alpha, &beta]).set("health.probe_model", "claude-probe").start().await;
    bring_down(&proxy).await;
    eventually("a probe", || alpha.hits() >= 3).await;
    let body: serde_json::Value = serde_json::from_slice(&alpha.requests()[2].body).unwrap();
    assert_eq!(body["model"], "claude-probe");
}

#[tokio::test]
async fn without_a_good_request_the_newest_haiku_is_probed_with() {
    let model =
        |id: &str, date: &str| serde_json::json!({"type": "model", "id": id, "display_name": id, "created_at": date});
    let models = [
        model("claude-haiku-3", "2024-03-07T00:00:00Z"),
        model("claude-opus-9", "2026-09-01T00:00:00Z"),
        model("claude-haiku-9", "2026-08-01T00:00:00Z"),
        model("claude-haiku-4-5", "2025-10-01T00:00:00Z"),
    ];
    let list = serde_json::json!({"data": models, "has_more": false}).to_string();
    let alpha =
        Upstream::new("alpha").choose(move |seen| seen.target.contains("/models").then(|| Reply::json(list.clone())));
    let alpha = alpha.always(Reply::status(500)).start().await.unwrap();
    let proxy = watched([&alpha]).start().await;
    for _ in 0..2 {
        assert_eq!(proxy.send(&Request::message()).await.status(), 502);
    }
    let probes =
        || alpha.requests().into_iter().filter(|seen| seen.method == "POST" && is_probe(seen)).collect::<Vec<_>>();
    eventually("a probe", || !probes().is_empty()).await;
    let body: serde_json::Value = serde_json::from_slice(&probes()[0].body).unwrap();
    assert_eq!(body["model"], "claude-haiku-9");
}

/// It would stay down for good, though its messages work.
#[tokio::test]
async fn an_endpoint_whose_list_of_models_hangs_is_probed_all_the_same() {
    let alpha = Upstream::new("alpha").choose(move |seen| seen.target.contains("/models").then(Reply::silence));
    let alpha = alpha.always(Reply::status(500)).start().await.unwrap();
    let proxy = watched([&alpha]).start().await;
    for _ in 0..2 {
        assert_eq!(proxy.send(&Request::message()).await.status(), 502);
    }
    eventually("a probe", || alpha.requests().iter().any(|seen| seen.method == "POST" && is_probe(seen))).await;
}

#[tokio::test]
async fn a_probe_is_judged_like_any_answer() {
    for (reply, back) in [(Reply::html(200), false), (Reply::message("no stream"), false), (Reply::status(404), true)] {
        let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
        let proxy = watched([&alpha, &beta]).start().await;
        bring_down(&proxy).await;
        alpha.set_default(Some(reply));
        if back {
            // The model is missing there, the endpoint is not.
            let hits = beta.hits();
            eventually("a probe", || alpha.hits() >= 3).await;
            let mut asked = false;
            for _ in 0..100 {
                let answer = proxy.send(&Request::message()).await;
                asked = tried(&proxy.record(&answer).await) == ["alpha", "beta"];
                if asked {
                    break;
                }
            }
            assert!(asked && beta.hits() > hits);
        } else {
            eventually("two probes", || alpha.hits() >= 4).await;
            let answer = proxy.send(&Request::message()).await;
            assert_eq!(tried(&proxy.record(&answer).await), ["beta"]);
        }
    }
}

/// Coming back to it would cut every client's answer, as often as it is probed.
#[tokio::test]
async fn a_probe_that_breaks_behind_its_first_content_brings_nothing_back() {
    let broken = |end| Reply::stream(bodies::events(&["Hello", " there"])).cut_after(4, end);
    let error = r#"{"type":"error","error":{"type":"api_error","message":"upstream trouble"}}"#;
    let error = Part::Bytes(bodies::event("error", error).into());
    for end in [Part::Close, error] {
        let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
        let proxy = watched([&alpha, &beta]).start().await;
        bring_down(&proxy).await;
        alpha.set_default(Some(broken(end)));
        eventually("two probes", || alpha.hits() >= 4).await;
        let answer = proxy.send(&Request::message()).await;
        assert_eq!(tried(&proxy.record(&answer).await), ["beta"]);
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_a_probe_for_rest_has_it() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = watched([&alpha, &beta]).start().await;
    bring_down(&proxy).await;
    alpha.set_default(Some(Reply::status(429).retry_after(1)));
    eventually("two probes", || alpha.hits() >= 4).await;
    let probes: Vec<_> = alpha.requests()[2..].iter().map(|seen| seen.at).collect();
    assert!(probes[1] - probes[0] >= ms(1000), "{:?}", probes[1] - probes[0]);
}

#[tokio::test]
async fn a_probe_that_hangs_is_given_up() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = watched([&alpha, &beta]).start().await;
    bring_down(&proxy).await;
    alpha.set_default(Some(Reply::silence()));
    eventually("probes go on", || alpha.hits() >= 5).await;
    let probes: Vec<_> = alpha.requests()[2..].iter().map(|seen| seen.at).collect();
    for pair in probes.windows(2) {
        assert!(pair[1] - pair[0] > ms(400), "one probe at a time");
    }
}

#[tokio::test]
async fn passthrough_endpoints_are_probed_without_a_credential() {
    let (alpha, beta) = (answering("alpha", Reply::reset()).await, healthy("beta").await);
    let through = |upstream: &Upstream, rank| {
        Endpoint::of(upstream).set("auth_type", "passthrough").without("auth_value").priority(rank)
    };
    let config = Config::of([through(&alpha, 1), through(&beta, 2)]).set("health.check_interval", "300ms");
    let proxy = config.start().await;
    for _ in 0..2 {
        proxy.send(&Request::message().header("x-api-key", "client-key")).await;
    }
    alpha.set_default(Some(Reply::status(401)));
    eventually("a probe", || alpha.hits() >= 3).await;
    let probe = alpha.requests().remove(2);
    assert_eq!((probe.header("x-api-key"), probe.header("authorization")), (None, None));
    alpha.set_default(None);
    // 401 shows that it is there.
    let mut back = false;
    for _ in 0..100 {
        back = proxy.send(&Request::message()).await.upstream() == "alpha";
        if back {
            break;
        }
        tokio::time::sleep(ms(20)).await;
    }
    assert!(back);
}

#[tokio::test]
async fn a_limited_endpoint_rests() {
    let alpha = Upstream::new("alpha").then(Reply::status(429).retry_after(1)).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = watched([&alpha, &beta]).start().await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    assert_eq!(alpha.hits(), 1, "it rests after one refusal");
    tokio::time::sleep(ms(1100)).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert!(alpha.requests().iter().all(|seen| !is_probe(seen)), "resting endpoints are never probed");
}

#[tokio::test]
async fn when_none_is_up_they_are_tried_anyway() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, answering("beta", Reply::reset()).await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    for _ in 0..2 {
        assert_eq!(proxy.send(&Request::message()).await.status(), 502);
    }
    beta.set_default(None);
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn a_resting_endpoint_is_tried_when_it_is_the_only_one() {
    let alpha = Upstream::new("alpha").then(Reply::status(429).retry_after(600)).start().await.unwrap();
    let proxy = Proxy::over([&alpha]).await;
    assert_eq!(proxy.send(&Request::message()).await.status(), 429);
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
}

#[tokio::test]
async fn many_requests_do_not_make_many_probes() {
    let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("health.check_interval", "400ms").start().await;
    bring_down(&proxy).await;
    let until = claude_proxy::clock::now() + Duration::from_secs(1);
    while claude_proxy::clock::now() < until {
        proxy.send(&Request::message()).await;
    }
    assert!((3..=5).contains(&alpha.hits()), "{} requests to an endpoint that is down", alpha.hits());
}

#[tokio::test]
async fn a_stale_connection_is_no_failure() {
    for stream in [false, true] {
        for after in [After::DropNext, After::Close] {
            let right =
                if stream { Reply::stream([crate::support::right_body(true)]) } else { Reply::message("Hello there") };
            let alpha = answering("alpha", right.after(after)).await;
            let beta = healthy("beta").await;
            let proxy = Proxy::over([&alpha, &beta]).await;
            for _ in 0..5 {
                let answer = proxy.send(&Request::turn(stream)).await;
                assert_right(&answer, stream, "alpha");
                assert_eq!(tried(&proxy.record(&answer).await), ["alpha"]);
            }
            assert_eq!((alpha.hits(), beta.hits()), (5, 0));
        }
    }
}
