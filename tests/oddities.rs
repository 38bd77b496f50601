//! Right answers in odd wrappings, wrong ones in good ones, and inputs made to trip a parser.

use serde_json::json;

use crate::support::proxy::{Config, tried};
use crate::support::upstream::coding::{Coding, encode};
use crate::support::{
    End, Gate, Part, Proxy, Reply, Request, Upstream, answering, assert_right, bodies, healthy, right_body,
};

/// `head` and what follows it as the whole answer, then the connection's end.
async fn served(head: &str, body: &str) {
    let alpha = answering("alpha", Reply::raw(format!("{head}\r\nx-upstream: alpha\r\n\r\n{body}"))).await;
    assert_right(&Proxy::over([&alpha]).await.send(&Request::message()).await, false, "alpha");
}

#[tokio::test]
async fn odd_heads_are_understood() {
    let body = right_body(false);
    let length = format!("Content-Length: {}", body.len());
    served(&format!("HTTP/1.1 200\r\n{length}"), &body).await;
    served(&format!("HTTP/1.1 200 \r\n{length}"), &body).await;
    served(&format!("HTTP/1.0 200 OK\r\n{length}"), &body).await;
    served("HTTP/1.0 200 OK", &body).await;
    served(&format!("HTTP/1.1 200 OK\r\nCONTENT-TYPE:application/json\r\n{length}"), &body).await;
}

#[tokio::test]
async fn odd_chunks_are_understood() {
    let body = right_body(false);
    let (first, second) = body.split_at(20);
    let chunks = format!(
        "{:X};a=\"b\"\r\n{first}\r\n000{:x}\r\n{second}\r\n0\r\nX-Trailer: x\r\n\r\n",
        first.len(),
        second.len()
    );
    served("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", &chunks).await;
}

#[tokio::test]
async fn many_headers_are_no_fault() {
    let mut reply = Reply::message("Hello there");
    let mut request = Request::message();
    for number in 0..150 {
        reply = reply.header(&format!("x-answer-{number}"), "v");
        request = request.header(&format!("X-Question-{number}"), "v");
    }
    let alpha = answering("alpha", reply).await;
    let answer = Proxy::over([&alpha]).await.send(&request).await;
    assert_right(&answer, false, "alpha");
    assert_eq!(answer.header("x-answer-149"), Some("v"));
    assert_eq!(alpha.requests()[0].header("x-question-149"), Some("v"));
}

#[tokio::test]
async fn the_names_of_codings_are_case_insensitive() {
    for label in ["GZIP", "x-gzip"] {
        let coded = encode(Coding::Gzip, right_body(false).as_bytes()).await.unwrap();
        let alpha = answering("alpha", Reply::json(coded).header("Content-Encoding", label)).await;
        assert_right(&Proxy::over([&alpha]).await.send(&Request::message()).await, false, "alpha");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_not_taken_for_the_next_one() {
    for junk in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "junk"] {
        let alpha = answering("alpha", Reply::message("Hello there").part(Part::Raw(junk.into()))).await;
        let beta = healthy("beta").await;
        let proxy = Proxy::over([&alpha, &beta]).await;
        for _ in 0..4 {
            let answer = proxy.send(&Request::message()).await;
            assert_right(&answer, false, "alpha");
            assert_eq!(tried(&proxy.record(&answer).await), ["alpha"]);
        }
    }
}

#[tokio::test]
async fn a_length_that_promises_too_much_is_a_fault() {
    let reply = Reply::message("Hello there").framed(crate::support::Framing::Length(10)).part(Part::Close);
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn a_length_that_promises_too_little_is_a_fault() {
    let reply = Reply::message("Hello there").framed(crate::support::Framing::Length(-10));
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn a_stream_where_a_message_was_asked_is_a_fault() {
    let (alpha, beta) = (answering("alpha", Reply::stream([right_body(true)])).await, healthy("beta").await);
    assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn event_streams_of_other_paths_go_down_at_once() {
    let gate = Gate::default();
    let events = ["event: session.created\ndata: {}\n\n", "data: no name\n\n", ": comment\n\n"];
    let alpha = answering("alpha", Reply::stream(events).spaced(&Part::Gate(gate.clone()))).await;
    let proxy = Proxy::over([&alpha]).await;
    gate.open();
    let mut answer = proxy.client().open(&Request::get("/v1/sessions/s/events")).await;
    assert_eq!(answer.event().await.as_deref(), Some(events[0]));
    for event in &events[1..] {
        gate.open();
        assert_eq!(answer.event().await.as_deref(), Some(*event));
    }
    assert_eq!(answer.finish().await.end, End::Clean);
}

#[tokio::test]
async fn a_long_unjudged_answer_that_breaks_is_cut_off() {
    let pieces = vec!["x".repeat(1 << 20); 40];
    let reply = Reply::stream(pieces).content_type(Some("application/binary")).part(Part::Close);
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    let answer = Proxy::over([&alpha, &beta]).await.send(&Request::get("/v1/files/f/content")).await;
    assert_eq!((answer.upstream(), answer.end), ("alpha", End::Cut));
    assert_eq!(beta.hits(), 0);
}

#[tokio::test]
async fn a_short_unjudged_answer_that_breaks_is_asked_for_elsewhere() {
    let reply = Reply::new(200, "text/plain", "x".repeat(1000)).cut_at(500, Part::Close);
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    let answer = Proxy::over([&alpha, &beta]).await.send(&Request::get("/v1/files/f/content")).await;
    assert_eq!((answer.upstream(), answer.end), ("beta", End::Clean));
}

#[tokio::test]
async fn nesting_without_end_hurts_nobody() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut request = Request::message();
    request.body = format!("{{\"model\":\"m\",\"messages\":{deep}}}").into();
    assert_right(&proxy.send(&request).await, false, "alpha");
    alpha.then(Reply::json(bodies::message("Hello there").replace("\"Hello there\"", &deep)));
    proxy.send(&Request::message()).await;
    let event = bodies::text_delta(0, "Hello").replace("\"Hello\"", &deep);
    alpha.then(Reply::stream([bodies::message_start(), bodies::block_start(0), event]));
    proxy.send(&Request::stream()).await;
    assert_right(&proxy.send(&Request::stream()).await, true, "alpha");
}

#[tokio::test]
async fn numbers_that_are_none_are_ignored() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for timeout in ["abc", "99999999999999999999999", "-5", "", "1e400"] {
        let answer = proxy.send(&Request::message().header("X-Stainless-Timeout", timeout)).await;
        assert_right(&answer, false, "alpha");
    }
    for wait in ["abc", "99999999999999999999999", "-5", "Thu, 99 Foo 2026"] {
        let (alpha, beta) =
            (Upstream::new("alpha").then(Reply::status(429).header("retry-after", wait)), healthy("beta").await);
        let alpha = alpha.start().await.unwrap();
        let proxy = Proxy::over([&alpha, &beta]).await;
        assert_right(&proxy.send(&Request::message()).await, false, "beta");
        assert_eq!(proxy.send(&Request::message()).await.status(), 200, "{wait}");
    }
}

#[tokio::test]
async fn odd_bodies_go_up_and_are_answered() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for body in [
        "",
        "null",
        "[]",
        "{",
        "\"stream\"",
        "{\"stream\":\"true\"}",
        "{\"model\":7,\"metadata\":[1],\"stream\":false}",
    ] {
        let mut request = Request::message();
        request.body = body.into();
        let answer = proxy.send(&request).await;
        assert_eq!((answer.status(), answer.upstream()), (200, "alpha"), "{body}");
        assert_eq!(alpha.requests().pop().unwrap().body, body);
    }
}

#[tokio::test]
async fn an_absolute_target_is_ours_too() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut request = Request::message();
    request.target = format!("http://{}/v1/messages?beta=true", proxy.address());
    assert_right(&proxy.send(&request).await, false, "alpha");
    assert_eq!(alpha.requests()[0].target, "/v1/messages?beta=true");
    request.target = "http://evil.example/v1/messages".to_owned();
    assert_eq!(proxy.send(&request.header("Host", "evil.example")).await.status(), 403);
}

#[tokio::test]
async fn we_are_no_forward_proxy() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for (method, target) in [("CONNECT", "api.anthropic.com:443"), ("OPTIONS", "*"), ("TRACE", "/")] {
        let status = proxy.send(&Request::new(method, target, "")).await.status();
        assert!((400..500).contains(&status), "{method} {target}: {status}");
    }
    assert_eq!(alpha.hits(), 0);
}

#[tokio::test]
async fn a_refusal_is_heard_while_a_long_body_still_comes() {
    let alpha = healthy("alpha").await;
    let config = Config::in_order([&alpha]).set("server.auth_token", "needed").set("server.max_body", "1MiB");
    let proxy = config.start().await;
    let long = Request::messages(&json!({"system": "x".repeat(30 << 20)}));
    for _ in 0..5 {
        assert_eq!(proxy.send(&long).await.status(), 401);
        assert_eq!(proxy.send(&long.clone().header("x-api-key", "needed")).await.status(), 413);
    }
}

#[tokio::test]
async fn expect_is_not_answered_for_what_will_be_refused() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("server.auth_token", "needed").start().await;
    let mut connection = proxy.client().connect().await;
    connection.write(Request::message().header("Expect", "100-continue").head(&proxy.address().to_string())).await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await;
    assert_eq!(answer.status(), 401, "no 100 before it");
}
