//! The fault table: what an attempt ends in, what the next endpoint does about it, and what is left to say.

use crate::support::proxy::{Config, Endpoint, tried};
use crate::support::upstream::{Accept, Refusing, Unanswering, faults};
use crate::support::{Proxy, Reply, Request, Upstream, answering, assert_right, bodies, eventually, healthy, ms};

pub(crate) const BOTH: &[bool] = &[false, true];
const JSON: &[bool] = &[false];
const STREAM: &[bool] = &[true];

/// Time-outs that a test can wait for.
pub(crate) fn quick(config: Config) -> Config {
    let config = config.set("timeouts.connect", "300ms").set("timeouts.first_byte", "300ms");
    config.set("timeouts.stream_idle", "300ms")
}

fn fault(name: &str, stream: bool) -> Reply {
    faults::reply(name, stream).unwrap_or_else(|| panic!("no fault is called {name}"))
}

/// The first endpoint ends in `reply`: a second one answers, and the record tells both.
pub(crate) async fn moves_on(reply: impl Fn(bool) -> Reply, kinds: &[bool]) {
    for &stream in kinds {
        let alpha = answering("alpha", reply(stream)).await;
        moves_on_from(Endpoint::of(&alpha), stream).await;
        assert_eq!(alpha.hits(), 1, "one attempt for each endpoint");
    }
}

async fn moves_on_from(alpha: Endpoint, stream: bool) {
    let beta = healthy("beta").await;
    let proxy = quick(Config::in_order([alpha, Endpoint::of(&beta)])).start().await;
    let answer = proxy.send(&Request::turn(stream)).await;
    assert_right(&answer, stream, "beta");
    let record = proxy.record(&answer).await;
    assert_eq!(tried(&record), ["alpha", "beta"]);
    assert!(record["attempts"][0]["fault"].is_string(), "{record}");
    assert!(record["attempts"][1]["fault"].is_null(), "{record}");
    assert_eq!(record["endpoint"], "beta");
    assert_eq!(record["ending"], "complete");
}

/// The only endpoint ends in `reply`: the client gets an error of ours.
async fn alone(reply: impl Fn(bool) -> Reply, kinds: &[bool], status: u16, kind: &str) {
    for &stream in kinds {
        let alpha = answering("alpha", reply(stream)).await;
        alone_at(Endpoint::of(&alpha), stream, status, kind).await;
    }
}

async fn alone_at(alpha: Endpoint, stream: bool, status: u16, kind: &str) {
    let proxy = quick(Config::in_order([alpha])).start().await;
    let answer = proxy.send(&Request::turn(stream)).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["request_id"].as_str().unwrap_or(answer.request_id()), answer.request_id());
    assert!(answer.error_message().contains("alpha"), "the endpoint is named: {}", answer.text());
    let record = proxy.record(&answer).await;
    assert_eq!(record["ending"], "failed");
    assert_eq!(record["status"], status);
    assert!(record["error"].is_string(), "{record}");
}

async fn broken(name: &str, kinds: &[bool]) {
    moves_on(|stream| fault(name, stream), kinds).await;
    alone(|stream| fault(name, stream), kinds, 502, "api_error").await;
}

async fn timed_out(name: &str, kinds: &[bool]) {
    moves_on(|stream| fault(name, stream), kinds).await;
    alone(|stream| fault(name, stream), kinds, 504, "timeout_error").await;
}

macro_rules! rows {
    ($($check:ident { $($test:ident = $fault:literal in $kinds:ident,)* })*) => {
        $($(#[tokio::test]
        async fn $test() {
            $check($fault, $kinds).await;
        })*)*
    };
}

rows! {
    broken {
        closed_in_place_of_an_answer = "close" in BOTH,
        reset_in_place_of_an_answer = "reset" in BOTH,
        no_http_at_all = "garbage" in BOTH,
        closed_inside_the_head = "close-mid-head" in BOTH,
        a_head_beyond_64_kib = "huge-head" in BOTH,
        a_web_page_under_200 = "html" in BOTH,
        nothing_under_200 = "empty" in BOTH,
        another_vendors_format = "openai" in BOTH,
        an_error_under_200 = "error-under-200" in BOTH,
        a_coding_that_is_none = "wrong-label" in BOTH,
        a_coding_cut_off = "cut-coding" in JSON,
        a_redirect = "redirect" in BOTH,
        status_408 = "408" in BOTH,
        status_409 = "409" in BOTH,
        status_500 = "500" in BOTH,
        status_501 = "501" in BOTH,
        status_502 = "502" in BOTH,
        status_503 = "503" in BOTH,
        status_504 = "504" in BOTH,
        status_304 = "304" in BOTH,
        a_stream_cut_before_content = "cut-after-start" in STREAM,
    }
    timed_out {
        silence_before_the_head = "stall-before-head" in BOTH,
        silence_after_the_head = "stall-after-head" in BOTH,
        silence_after_message_start = "stall-after-start" in STREAM,
        pings_are_no_sign_of_life = "pings-only" in STREAM,
    }
}

#[tokio::test]
async fn refused() {
    for stream in [false, true] {
        let nobody = Refusing::new().unwrap();
        moves_on_from(Endpoint::at("alpha", &nobody.url()), stream).await;
        alone_at(Endpoint::at("alpha", &nobody.url()), stream, 502, "api_error").await;
    }
}

#[tokio::test]
async fn neither_taken_nor_refused() {
    let nobody = Unanswering::new().await.unwrap();
    moves_on_from(Endpoint::at("alpha", &nobody.url().unwrap()), false).await;
    alone_at(Endpoint::at("alpha", &nobody.url().unwrap()), true, 504, "timeout_error").await;
}

#[tokio::test]
async fn reset_or_closed_when_connected() {
    for accept in [Accept::Reset, Accept::Close] {
        let alpha = Upstream::new("alpha").accepting(accept).start().await.unwrap();
        moves_on_from(Endpoint::of(&alpha), false).await;
        alone_at(Endpoint::of(&alpha), true, 502, "api_error").await;
    }
}

#[tokio::test]
async fn a_missing_route_is_the_endpoints_fault() {
    for status in [404, 405] {
        moves_on(|_| Reply::html(status), BOTH).await;
        alone(|_| Reply::html(status), BOTH, 502, "api_error").await;
    }
}

#[tokio::test]
async fn a_missing_model_may_be_elsewhere() {
    moves_on(|_| Reply::status(404), BOTH).await;
    let (alpha, beta) = (answering("alpha", Reply::status(404)).await, answering("beta", Reply::status(404)).await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.status(), answer.upstream()), (404, "alpha"));
    assert_eq!(answer.text(), bodies::error("not_found_error", "upstream says 404"));
    assert_eq!(beta.hits(), 1);
    assert_eq!(proxy.record(&answer).await["ending"], "relayed_error");
}

#[tokio::test]
async fn a_refusal_of_the_request_is_the_answer() {
    for status in [400, 413, 418, 422, 451] {
        for stream in [false, true] {
            let body = bodies::error("invalid_request_error", "max_tokens:  too   large");
            let refusal = Reply::new(status, "application/json", body.clone()).header("x-should-retry", "true");
            let (alpha, beta) = (answering("alpha", refusal).await, healthy("beta").await);
            let proxy = Proxy::over([&alpha, &beta]).await;
            let answer = proxy.send(&Request::turn(stream)).await;
            assert_eq!((answer.status(), answer.upstream(), answer.text()), (status, "alpha", body.as_str()));
            assert_eq!(answer.header("x-should-retry"), Some("true"));
            assert_eq!(beta.hits(), 0);
            assert_eq!(proxy.record(&answer).await["ending"], "relayed_error");
        }
    }
}

#[tokio::test]
async fn a_refusal_for_want_of_credit_is_the_endpoints() {
    for message in
        ["Your credit balance is too low to access the Anthropic API.", "This organization has reached its spend limit"]
    {
        let refusal = || Reply::error(400, "invalid_request_error", message);
        moves_on(|_| refusal(), BOTH).await;
        let alpha = answering("alpha", refusal()).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.text()), (400, &*bodies::error("invalid_request_error", message)));
    }
}

#[tokio::test]
async fn a_refusal_in_another_format_may_be_a_gateways() {
    moves_on(|_| Reply::html(400), BOTH).await;
    let (alpha, beta) = (answering("alpha", Reply::html(400)).await, answering("beta", Reply::html(400)).await);
    let answer = Proxy::over([&alpha, &beta]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.upstream(), answer.text()), (400, "alpha", bodies::HTML));
    assert_eq!(beta.hits(), 1);
}

#[tokio::test]
async fn no_content_is_no_message() {
    let empty = |_| Reply::new(204, "text/plain", "").framed(crate::support::Framing::None);
    moves_on(empty, BOTH).await;
    alone(empty, BOTH, 502, "api_error").await;
}

#[tokio::test]
async fn a_message_must_have_its_members() {
    let whole: serde_json::Value = serde_json::from_str(&bodies::message("Hi")).unwrap();
    for member in ["id", "model", "type", "role", "content"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(member);
        alone(|_| Reply::json(less.to_string()), JSON, 502, "api_error").await;
    }
    let mut bare = whole;
    for member in ["usage", "stop_reason", "stop_sequence"] {
        bare.as_object_mut().unwrap().remove(member);
    }
    let alpha = answering("alpha", Reply::json(bare.to_string())).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.text()), (200, &*bare.to_string()));
}

#[tokio::test]
async fn a_message_where_a_stream_was_asked() {
    moves_on(|_| Reply::message("Hello there"), STREAM).await;
    alone(|_| Reply::message("Hello there"), STREAM, 502, "api_error").await;
}

#[tokio::test]
async fn an_error_as_first_event_keeps_its_kind() {
    for (kind, status) in [("overloaded_error", 529), ("rate_limit_error", 429)] {
        let first = |_| Reply::stream([bodies::PING.to_owned(), bodies::error_event(kind, "not now")]);
        moves_on(first, STREAM).await;
        let later = |_| Reply::stream([bodies::message_start(), bodies::error_event(kind, "not now")]);
        moves_on(later, STREAM).await;
        for reply in [first(true), later(true)] {
            let alpha = answering("alpha", reply).await;
            let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
            assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind));
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_content() {
    for events in [vec![], vec![bodies::PING.to_owned()], vec![bodies::message_start()]] {
        moves_on(|_| Reply::stream(events.clone()), STREAM).await;
        alone(|_| Reply::stream(events.clone()), STREAM, 502, "api_error").await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_content() {
    let delta_first = vec![bodies::message_start(), bodies::text_delta(0, "too early")];
    let no_json = vec![bodies::message_start(), "event: content_block_start\ndata: {\"type\":\n\n".to_owned()];
    let no_name = vec![bodies::message_start(), "data: {\"type\":\"content_block_start\"}\n\n".to_owned()];
    let no_start = vec![bodies::block_start(0), bodies::text_delta(0, "no start")];
    for events in [delta_first, no_json, no_name, no_start] {
        moves_on(|_| Reply::stream(events.clone()), STREAM).await;
        alone(|_| Reply::stream(events.clone()), STREAM, 502, "api_error").await;
    }
}

#[tokio::test]
async fn every_endpoint_gets_its_turn_once_and_in_order() {
    let dead = [answering("a", Reply::status(500)).await, answering("b", Reply::reset()).await];
    let (third, fourth) = (answering("c", Reply::html(200)).await, healthy("d").await);
    let proxy = Proxy::over([&dead[0], &dead[1], &third, &fourth]).await;
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "d");
    assert_eq!(tried(&proxy.record(&answer).await), ["a", "b", "c", "d"]);
    assert_eq!([&dead[0], &dead[1], &third].map(Upstream::hits), [1, 1, 1]);
}

#[tokio::test]
async fn the_next_endpoint_gets_the_same_bytes() {
    let (alpha, beta) = (answering("alpha", Reply::status(503)).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let request = Request::messages(&serde_json::json!({"system": "é ".repeat(60_000)}));
    assert_right(&proxy.send(&request).await, false, "beta");
    assert_eq!(alpha.requests()[0].body, request.body);
    assert_eq!(beta.requests()[0].body, request.body);
}

#[tokio::test]
async fn disabled_endpoints_are_never_asked() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let off = |upstream: &Upstream| Endpoint::of(upstream).set("enabled", "false");
    let proxy = Config::in_order([off(&alpha), Endpoint::of(&beta)]).start().await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    let proxy = Config::in_order([off(&alpha), off(&beta)]).start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (503, "api_error"));
    assert!(answer.error_message().contains("disabled"), "{}", answer.text());
    assert_eq!(alpha.hits(), 0);
}

#[tokio::test]
async fn a_fault_cancels_the_attempt_that_it_ends() {
    let (alpha, beta) = (answering("alpha", Reply::silence()).await, healthy("beta").await);
    let proxy = quick(Config::in_order([&alpha, &beta])).start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "beta");
    assert!(answer.took >= ms(250), "first_byte ran: {:?}", answer.took);
    eventually("the silent endpoint's connection is closed", || alpha.closed().len() == 1).await;
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let beta = healthy("beta").await;
    let nowhere = Endpoint::at("alpha", "http://no-such-host.invalid:9");
    let proxy = Config::in_order([nowhere, Endpoint::of(&beta)]).start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "beta");
    assert_eq!(tried(&proxy.record(&answer).await), ["alpha", "beta"]);
}
