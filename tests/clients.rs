//! Requests as the real clients send them: each goes up as it was and gets its answer.

use serde_json::Value;

use crate::support::proxy::{Config, tried};
use crate::support::{Part, Proxy, Reply, Request, answering, assert_right, bodies, healthy, right_body};

/// What Claude Code's requests hold, by name; the texts are filler.
fn recorded() -> Vec<(String, Request)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude_code_requests.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let requests = all.as_object().unwrap().iter().map(|(name, one)| (name.clone(), request(one)));
    requests.collect()
}

fn request(one: &Value) -> Request {
    let body = if one["body"].is_null() { String::new() } else { one["body"].to_string() };
    let mut request = Request::new(one["method"].as_str().unwrap(), one["target"].as_str().unwrap(), body);
    let headers = one["headers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    request.headers = headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    request
}

/// The header lines that go up as they are.
fn end_to_end(headers: &[(String, String)]) -> Vec<(String, String)> {
    let own = ["authorization", "x-api-key", "connection", "host", "content-length", "accept-encoding"];
    let kept = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut kept: Vec<_> = kept.filter(|(name, _)| !own.contains(&name.as_str())).collect();
    // Only repeated names have an order that counts.
    kept.sort();
    kept
}

#[tokio::test]
async fn every_recorded_request_is_served() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("server.auth_token", "tok-local-dummy").start().await;
    assert!(recorded().len() > 10);
    for (name, request) in recorded() {
        let before = alpha.hits();
        if name == "hint_headers" {
            continue;
        }
        let answer = proxy.send(&request).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        if request.method == "HEAD" {
            assert_eq!(alpha.hits(), before, "{name} touches no endpoint");
            continue;
        }
        let seen = alpha.requests().pop().unwrap();
        assert_eq!(seen.body, request.body, "{name}");
        assert_eq!(
            end_to_end(
                &seen.headers.iter().filter(|(n, _)| !n.eq_ignore_ascii_case("x-api-key")).cloned().collect::<Vec<_>>()
            ),
            end_to_end(&request.headers),
            "{name}"
        );
        if request.target.starts_with("/v1/messages?") {
            assert_right(&answer, seen.wants_stream(), "alpha");
        }
    }
}

#[tokio::test]
async fn the_hints_go_up() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let (_, hints) = recorded().into_iter().find(|(name, _)| name == "hint_headers").unwrap();
    let mut request = Request::stream();
    request.headers = hints.headers;
    assert_right(&proxy.send(&request).await, true, "alpha");
    let seen = alpha.requests().remove(0);
    assert_eq!(end_to_end(&seen.headers), end_to_end(&request.headers));
}

#[tokio::test]
async fn counting_comes_in_bursts() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..14 {
        let client = proxy.client();
        running.spawn(async move {
            let (_, mut connection) = client.open(&Request::count_tokens()).await.finish_keeping().await;
            for _ in 0..2 {
                let (answer, kept) = connection.ask(&Request::count_tokens()).await.finish_keeping().await;
                assert_eq!(answer.json()["input_tokens"], 42);
                connection = kept;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    assert_eq!(alpha.hits(), 42);
}

#[tokio::test]
async fn after_a_cut_the_second_try_without_a_stream_works() {
    let broken = Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Pause(crate::support::ms(20)));
    let alpha = answering("alpha", Reply::message("Hello there")).await;
    alpha.then(broken.part(Part::Close));
    let proxy = Proxy::over([&alpha]).await;
    assert_eq!(proxy.send(&Request::stream()).await.end, crate::support::End::Cut);
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
}

#[tokio::test]
async fn twenty_turns_of_one_session_at_once() {
    let (alpha, beta) = (answering("alpha", Reply::status(529)).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let mut running = tokio::task::JoinSet::new();
    for number in 0..20 {
        let client = proxy.client();
        running.spawn(async move { client.send(&Request::turn(number % 2 == 0).session("one")).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = running.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.upstream()), (200, "beta"));
        assert!([right_body(true), right_body(false)].contains(&answer.text().to_owned()));
        answers.push(answer);
    }
    for answer in &answers {
        assert_eq!(*tried(&proxy.record(answer).await).last().unwrap(), "beta");
    }
}

#[tokio::test]
async fn an_old_http_1_0_client_is_served() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let request = Request::stream();
    let mut connection = proxy.client().connect().await;
    let head = request.head(&proxy.address().to_string()).replace("HTTP/1.1", "HTTP/1.0");
    connection.write(head).await;
    connection.write(&request.body).await;
    let answer = connection.rest().await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.ends_with(&right_body(true)), "neither chunks nor waiting: {text}");
}
