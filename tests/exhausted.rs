//! When no endpoint is left: which of several faults the client hears of.

use crate::failover::{BOTH, moves_on, quick};
use crate::support::proxy::Config;
use crate::support::{Answer, Proxy, Reply, Request, answering, assert_right, bodies, healthy};

#[tokio::test]
async fn credentials_and_billing_are_not_worth_a_retry() {
    for status in [401, 402, 403] {
        moves_on(|_| Reply::status(status), BOTH).await;
        let alpha = answering("alpha", Reply::status(status)).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&Request::message()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (502, "api_error"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert!(answer.error_message().contains("alpha"), "{}", answer.text());
    }
}

#[tokio::test]
async fn one_fault_of_another_kind_is_worth_a_retry() {
    let (alpha, beta) = (answering("alpha", Reply::status(401)).await, answering("beta", Reply::status(500)).await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let answer = proxy.send(&Request::message()).await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.header("x-should-retry"), None);
    for name in ["alpha", "beta"] {
        assert!(answer.error_message().contains(name), "{}", answer.text());
    }
}

#[tokio::test]
async fn limits_move_on_and_are_told_when_nobody_is_left() {
    for (status, kind) in [(429, "rate_limit_error"), (529, "overloaded_error")] {
        let limited = || Reply::status(status).retry_after(7).header("x-kept", "yes");
        moves_on(|_| limited(), BOTH).await;
        let alpha = answering("alpha", limited()).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind));
        assert_eq!(answer.text(), bodies::error(kind, &format!("upstream says {status}")));
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((6..=7).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn no_retry_after_is_invented() {
    let alpha = answering("alpha", Reply::status(429)).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (429, None));
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(40);
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let (alpha, beta) =
        (answering("alpha", Reply::status(429).header("retry-after", &date)).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    for _ in 0..2 {
        assert_right(&proxy.send(&Request::message()).await, false, "beta");
    }
    assert_eq!(alpha.hits(), 1, "it rests until then");
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    let told = answer.header("retry-after").expect("the wait is told");
    assert!(told == date || told.parse::<u32>().is_ok_and(|wait| (30..=40).contains(&wait)), "{told}");
}

#[tokio::test]
async fn a_limit_told_in_html_becomes_anthropics() {
    for (status, kind) in [(429, "rate_limit_error"), (529, "overloaded_error")] {
        let alpha = answering("alpha", Reply::html(status).retry_after(7)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("retry-after").is_some());
    }
}

/// Claude Code shows the words, and reads from the headers when the limit ends.
#[tokio::test]
async fn a_limit_in_a_foreign_format_keeps_its_words_and_its_headers() {
    let limited = Reply::new(429, "text/plain", "only ten an hour").header("request-id", "req_upstream");
    let limited = limited.header("anthropic-ratelimit-unified-status", "rejected").retry_after(7);
    let alpha = answering("alpha", limited).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (429, "rate_limit_error"));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(body["error"]["message"].as_str().unwrap().ends_with("only ten an hour"), "{body}");
    assert_eq!((answer.request_id(), body["request_id"].as_str()), ("req_upstream", Some("req_upstream")));
    assert_eq!(answer.header("anthropic-ratelimit-unified-status"), Some("rejected"));
    assert_eq!(answer.header("retry-after"), Some("7"));
}

/// Two endpoints that fail each in its own way; what does the client get?
async fn mix(first: Reply, second: Reply, stream: bool) -> Answer {
    let (alpha, beta) = (answering("alpha", first).await, answering("beta", second).await);
    let proxy = quick(Config::in_order([&alpha, &beta])).start().await;
    let answer = proxy.send(&Request::turn(stream)).await;
    assert_eq!((alpha.hits(), beta.hits()), (1, 1));
    answer
}

#[tokio::test]
async fn a_short_limit_wins_over_another_fault() {
    for answer in [
        mix(Reply::status(429).retry_after(30), Reply::status(500), false).await,
        mix(Reply::status(500), Reply::status(429).retry_after(30), true).await,
    ] {
        assert_eq!((answer.status(), answer.error_type().as_str()), (429, "rate_limit_error"));
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((29..=30).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn a_long_limit_beside_another_fault_does_not_make_the_client_give_up() {
    let answer = mix(Reply::status(429).retry_after(3600), Reply::status(500), false).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (503, "api_error"));
    assert_eq!(answer.header("retry-after"), None);
}

#[tokio::test]
async fn when_all_are_limited_the_soonest_is_told() {
    let answer = mix(Reply::status(429).retry_after(3600), Reply::status(529).retry_after(120), false).await;
    assert!(matches!(answer.status(), 429 | 529), "{}", answer.status());
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((119..=120).contains(&wait), "{wait}");
}

#[tokio::test]
async fn time_outs_beside_another_fault_are_502() {
    let answer = mix(Reply::silence(), Reply::silence(), false).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
    let answer = mix(Reply::silence(), Reply::status(500), true).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (502, "api_error"));
}

#[tokio::test]
async fn an_answer_to_relay_beside_a_fault_is_502() {
    let answer = mix(Reply::status(404), Reply::status(500), false).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (502, "api_error"));
}
