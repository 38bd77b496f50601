//! Who may come in: the token, and the browser's foreign pages.

use crate::support::proxy::Config;
use crate::support::{Answer, Proxy, Request, Upstream, assert_right, healthy};

const TOKEN: &str = "our-secret-token";

async fn guarded(upstream: &Upstream) -> Proxy {
    Config::in_order([upstream]).set("server.auth_token", TOKEN).start().await
}

fn assert_refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(!answer.request_id().is_empty());
}

#[tokio::test]
async fn the_token_opens_in_either_header() {
    let alpha = healthy("alpha").await;
    let proxy = guarded(&alpha).await;
    let bearer = format!("Bearer {TOKEN}");
    for (name, value) in [("x-api-key", TOKEN), ("Authorization", &bearer), ("AUTHORIZATION", &bearer)] {
        assert_right(&proxy.send(&Request::message().header(name, value)).await, false, "alpha");
    }
    let both = Request::message().header("x-api-key", "another").header("Authorization", &bearer);
    assert_right(&proxy.send(&both).await, false, "alpha");
}

#[tokio::test]
async fn without_the_token_nothing_goes_up() {
    let alpha = healthy("alpha").await;
    let proxy = guarded(&alpha).await;
    let wrong = format!("Bearer {TOKEN}x");
    let basic = format!("Basic {TOKEN}");
    for (name, value) in [
        ("x-nothing", "x"),
        ("x-api-key", "wrong"),
        ("x-api-key", ""),
        ("Authorization", &wrong),
        ("Authorization", &basic),
    ] {
        for target in ["/v1/messages", "/v1/models", "/v1"] {
            let answer = proxy.send(&Request::new("POST", target, "{}").header(name, value)).await;
            assert_refused(&answer, 401, "authentication_error");
        }
    }
    assert_eq!(alpha.hits(), 0);
    assert!(proxy.records().is_empty(), "refused requests are not recorded");
}

#[tokio::test]
async fn the_token_is_asked_for_before_the_body_is_read() {
    let alpha = healthy("alpha").await;
    let proxy = guarded(&alpha).await;
    let request = Request::message().header("Content-Length", "1000000");
    let mut connection = proxy.client().connect().await;
    connection.write(request.head(&proxy.address().to_string())).await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await.finish().await;
    assert_refused(&answer, 401, "authentication_error");
}

#[tokio::test]
async fn a_few_addresses_are_free_and_touch_no_endpoint() {
    let alpha = healthy("alpha").await;
    let proxy = guarded(&alpha).await;
    for (method, target) in
        [("GET", "/"), ("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/healthz"), ("HEAD", "/healthz")]
    {
        let answer = proxy.send(&Request::new(method, target, "")).await;
        assert_eq!(answer.status(), 200, "{method} {target}");
    }
    assert_eq!(alpha.connections(), 0);
}

#[tokio::test]
async fn a_web_page_cannot_spend_the_users_credit() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let port = proxy.address().port();
    for (name, value) in [
        ("Host", "evil.example"),
        ("Host", &format!("evil.example:{port}")),
        ("Host", "127.0.0.1.evil.example"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost.evil.example"),
    ] {
        let answer = proxy.send(&Request::message().header(name, value)).await;
        assert_refused(&answer, 403, "permission_error");
    }
    assert_eq!(alpha.hits(), 0);
    for host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}"), "LOCALHOST".to_owned()]
    {
        assert_right(&proxy.send(&Request::message().header("Host", &host)).await, false, "alpha");
    }
    let own = format!("http://127.0.0.1:{port}");
    assert_right(&proxy.send(&Request::message().header("Origin", &own)).await, false, "alpha");
}

#[tokio::test]
async fn with_a_token_the_host_does_not_matter() {
    let alpha = healthy("alpha").await;
    let proxy = guarded(&alpha).await;
    let request = Request::message().header("Host", "gateway.example").header("x-api-key", TOKEN);
    assert_right(&proxy.send(&request).await, false, "alpha");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("server.max_body", "10KiB").start().await;
    let fits = Request::messages(&serde_json::json!({"system": "x".repeat(9_000)}));
    assert_right(&proxy.send(&fits).await, false, "alpha");
    let long = Request::messages(&serde_json::json!({"system": "x".repeat(11_000)}));
    assert_refused(&proxy.send(&long).await, 413, "request_too_large");
    let mut connection = proxy.client().connect().await;
    connection
        .write(Request::message().header("Transfer-Encoding", "chunked").head(&proxy.address().to_string()))
        .await;
    connection.write(format!("2c00\r\n{}\r\n", "x".repeat(0x2c00))).await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await.finish().await;
    assert_refused(&answer, 413, "request_too_large");
    assert_eq!(alpha.hits(), 1);
}

/// What a client sends next on a connection would be taken for the rest of a body that nobody wants.
#[tokio::test]
async fn a_connection_with_a_body_that_nobody_wants_is_not_used_again() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("server.max_body", "1KiB").start().await;
    for expect in [None, Some("100-continue")] {
        let long = Request::messages(&serde_json::json!({"system": "x".repeat(2000)}));
        let long = expect.into_iter().fold(long, |long, value| long.header("Expect", value));
        let mut connection = proxy.client().connect().await;
        connection.write(long.head(&proxy.address().to_string())).await;
        let answer = connection.answer(claude_proxy::clock::now(), false).await;
        assert_eq!((answer.status(), answer.head.header("connection")), (413, Some("close")), "{expect:?}");
    }
}

/// A client behind something that adds headers without end is told what is wrong, also while it is still sending.
#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_in_words() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let many = "x: y\r\n".repeat(300);
    let long = format!("x: {}\r\n", "y".repeat(3 << 20));
    for (status, line) in [(400, "no header\r\n"), (431, &many), (431, &long)] {
        let mut connection = proxy.client().connect().await;
        connection.write(format!("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{line}\r\n")).await;
        let answer = connection.answer(claude_proxy::clock::now(), false).await.finish().await;
        assert_refused(&answer, status, "invalid_request_error");
        assert!(answer.error_message().contains(if status == 431 { "64 KiB" } else { "no valid HTTP" }));
    }
    let said = proxy.client().send(&Request::message()).await;
    assert_right(&said, false, "alpha");
    assert_eq!(alpha.hits(), 1);
}

#[tokio::test]
async fn a_reload_does_not_open_a_public_listener() {
    let alpha = healthy("alpha").await;
    let open = Config::in_order([&alpha]).set("server.host", "0.0.0.0").set("server.auth_token", TOKEN);
    let proxy = open.start().await;
    proxy.write_config(&Config::in_order([&alpha]).yaml());
    proxy.signal("HUP").await;
    proxy.says("open to other machines until a restart").await;
    assert_refused(&proxy.send(&Request::message()).await, 401, "authentication_error");
    assert_eq!(alpha.hits(), 0);
}
