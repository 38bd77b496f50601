//! What goes up and what comes down besides the body: headers, paths, framing.

use crate::support::proxy::{Config, Endpoint, KEY};
use crate::support::{Proxy, Reply, Request, answering, assert_right, healthy};

const HOP_BY_HOP: [&str; 6] = ["keep-alive", "proxy-connection", "te", "trailer", "upgrade", "proxy-authorization"];

/// Headers as Claude Code sends them, in its order and case.
fn as_claude_code(request: Request) -> Request {
    let mut request = request
        .header("User-Agent", "claude-cli/2.1.330 (external, sdk-cli)")
        .header("X-Claude-Code-Session-Id", "7d4f1b0e-0f6e-4c51-9d0b-3e6f0b1c2d3e")
        .header("X-Stainless-Retry-Count", "0")
        .header("X-Stainless-Timeout", "600")
        .header("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14")
        .header("anthropic-dangerous-direct-browser-access", "true")
        .header("anthropic-something-new", "  two  words ")
        .header("x-app", "cli")
        .header("X-Unknown", "ünknown");
    request.headers.retain(|(name, _)| name != "Accept-Encoding");
    request
}

#[tokio::test]
async fn end_to_end_headers_go_up_untouched() {
    let alpha = healthy("alpha").await;
    let request = as_claude_code(Request::message()).header("X-Twice", "one").header("X-Twice", "two");
    Proxy::over([&alpha]).await.send(&request).await;
    let seen = alpha.requests().remove(0);
    let sent = request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    for (name, value) in sent {
        assert!(seen.all(name).contains(&value.trim()), "{name}: {value} in {:?}", seen.headers);
    }
    assert_eq!(seen.all("x-twice"), ["one", "two"]);
    assert_eq!(seen.body, request.body);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/messages?beta=true"));
}

#[tokio::test]
async fn the_clients_credentials_stay_here() {
    let alpha = healthy("alpha").await;
    for (kind, header, value) in
        [("api_key", "x-api-key", KEY.to_owned()), ("auth_token", "authorization", format!("Bearer {KEY}"))]
    {
        let proxy = Config::in_order([Endpoint::of(&alpha).set("auth_type", kind)]).start().await;
        let request = Request::message().header("x-api-key", "client-key").header("Authorization", "Bearer client-key");
        proxy.send(&request).await;
        let seen = alpha.requests().pop().unwrap();
        assert_eq!(seen.all(header), [value]);
        let credentials = ["x-api-key", "authorization"].map(|name| seen.all(name).len());
        assert_eq!(credentials.iter().sum::<usize>(), 1, "{:?}", seen.headers);
        assert!(!format!("{:?}", seen.headers).contains("client-key"));
    }
}

#[tokio::test]
async fn passthrough_keeps_all_but_our_own_token() {
    let alpha = healthy("alpha").await;
    let endpoint = Endpoint::of(&alpha).set("auth_type", "passthrough").without("auth_value");
    let proxy = Config::in_order([endpoint.clone()]).start().await;
    proxy.send(&Request::message().header("x-api-key", "own-1").header("Authorization", "Bearer own-2")).await;
    let seen = alpha.requests().pop().unwrap();
    assert_eq!((seen.all("x-api-key"), seen.all("authorization")), (vec!["own-1"], vec!["Bearer own-2"]));

    let proxy = Config::in_order([endpoint]).set("server.auth_token", "our-token").start().await;
    proxy.send(&Request::message().header("x-api-key", "our-token").header("Authorization", "Bearer own-2")).await;
    let seen = alpha.requests().pop().unwrap();
    assert_eq!((seen.all("x-api-key"), seen.all("authorization")), (vec![], vec!["Bearer own-2"]));
}

#[tokio::test]
async fn hop_by_hop_headers_stop_here() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut request = Request::message().header("Connection", "close, X-Named").header("X-Named", "secret of the hop");
    for name in HOP_BY_HOP {
        request = request.header(name, "x");
    }
    proxy.send(&request.header("X-Kept", "yes")).await;
    let seen = alpha.requests().pop().unwrap();
    for name in HOP_BY_HOP.iter().chain(&["x-named"]) {
        assert_eq!(seen.header(name), None, "{:?}", seen.headers);
    }
    assert_eq!(seen.header("x-kept"), Some("yes"));
    assert_eq!(seen.header("host"), Some(alpha.address().to_string().as_str()));
}

#[tokio::test]
async fn only_codings_that_both_sides_know_are_asked_for() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let asked = async |codings: Option<&str>| {
        let request = Request::message();
        proxy
            .send(&match codings {
                Some(codings) => request.header("Accept-Encoding", codings),
                None => request,
            })
            .await;
        let seen = alpha.requests().pop().unwrap();
        let said = seen.header("accept-encoding").unwrap_or("identity").to_owned();
        let mut names: Vec<String> =
            said.split(',').map(|one| one.split(';').next().unwrap().trim().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(asked(Some("gzip, deflate, br, zstd")).await, ["br", "deflate", "gzip", "zstd"]);
    assert_eq!(asked(Some("gzip, compress, novel")).await, ["gzip"]);
    assert_eq!(asked(Some("compress")).await, ["identity"]);
    assert_eq!(asked(None).await, ["identity"]);
}

#[tokio::test]
async fn the_prefix_stands_where_v1_was() {
    let alpha = healthy("alpha").await;
    for (base, prefix, wanted) in [
        ("", None, "/v1/messages?beta=true"),
        ("/", Some("/v1"), "/v1/messages?beta=true"),
        ("", Some("\"\""), "/messages?beta=true"),
        ("/base/", Some("api//v3/"), "/base/api/v3/messages?beta=true"),
        ("/base", None, "/base/v1/messages?beta=true"),
    ] {
        let mut endpoint = Endpoint::of(&alpha).set("url", &format!("{}{base}", alpha.url()));
        if let Some(prefix) = prefix {
            endpoint = endpoint.set("path_prefix", prefix);
        }
        let proxy = Config::in_order([endpoint]).start().await;
        assert_right(&proxy.send(&Request::message()).await, false, "alpha");
        assert_eq!(alpha.requests().pop().unwrap().target, wanted);
    }
}

#[tokio::test]
async fn every_method_and_path_under_v1_goes_up() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for (method, target) in [
        ("GET", "/v1/models?limit=1000&after=a%2Fb"),
        ("DELETE", "/v1/files/file_1"),
        ("PUT", "/v1/x"),
        ("PATCH", "/v1/x?"),
        ("OPTIONS", "/v1/messages"),
        ("HEAD", "/v1/models"),
        ("POST", "/v1/messages/batches"),
    ] {
        let answer = proxy.send(&Request::new(method, target, "")).await;
        assert_eq!((answer.status(), answer.upstream()), (200, "alpha"), "{method} {target}");
        let seen = alpha.requests().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, target));
    }
}

#[tokio::test]
async fn nothing_else_is_served() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for target in ["/v2/messages", "/messages", "/v1x/messages", "/api/endpoints", "/V1/messages", "/v1/../x"] {
        let answer = proxy.send(&Request::new("POST", target, "{}")).await;
        if target == "/v1/../x" && answer.status() == 200 {
            continue;
        }
        assert_eq!((answer.status(), answer.error_type().as_str()), (404, "not_found_error"), "{target}");
        assert!(!answer.request_id().is_empty());
    }
}

#[tokio::test]
async fn the_upstreams_headers_come_down() {
    let reply = Reply::message("Hello there")
        .header("request-id", "req_upstream_7")
        .header("anthropic-ratelimit-requests-remaining", "17")
        .header("anthropic-ratelimit-unified-status", "allowed")
        .header("x-should-retry", "false")
        .header("cf-ray", "abc")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("keep-alive", "timeout=5")
        .header("connection", "x-of-the-hop")
        .header("x-of-the-hop", "1");
    let alpha = answering("alpha", reply).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_right(&answer, false, "alpha");
    assert_eq!(answer.request_id(), "req_upstream_7");
    for (name, value) in [
        ("anthropic-ratelimit-requests-remaining", "17"),
        ("anthropic-ratelimit-unified-status", "allowed"),
        ("x-should-retry", "false"),
        ("cf-ray", "abc"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    let cookies: Vec<&str> =
        answer.head.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!((answer.header("keep-alive"), answer.header("x-of-the-hop")), (None, None));
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let ids = [
        proxy.send(&Request::message()).await,
        proxy.send(&Request::stream()).await,
        proxy.send(&Request::get("/nowhere")).await,
    ]
    .map(|answer| answer.request_id().to_owned());
    assert!(ids.iter().all(|id| !id.is_empty()));
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}
