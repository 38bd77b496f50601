//! What may be sent twice, and what never is.

use crate::support::proxy::Endpoint;
use crate::support::proxy::{Config, tried};
use crate::support::upstream::{Accept, Refusing};
use crate::support::{Part, Proxy, Reply, Request, Upstream, answering, bodies, healthy, ms};

fn batch() -> Request {
    Request::new("POST", "/v1/messages/batches", "{\"requests\":[]}")
}

async fn batch_after(alpha: Reply) -> (crate::support::Answer, usize) {
    let (alpha, beta) = (answering("alpha", alpha).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("timeouts.first_byte", "300ms").start().await;
    let answer = proxy.send(&batch()).await;
    (answer, beta.hits())
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_twice() {
    for fault in [
        Reply::close(),
        Reply::reset(),
        Reply::silence(),
        Reply::raw("garbage\r\n\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\ncont"),
    ] {
        let (answer, others) = batch_after(fault).await;
        assert_eq!((answer.status(), others), (502, 0), "{}", answer.text());
        assert_eq!(answer.error_type(), "api_error");
        assert!(answer.error_message().contains("alpha"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_refusal_shows_that_nothing_was_done() {
    for status in [401, 403, 409, 429, 503, 529] {
        let (answer, others) = batch_after(Reply::status(status)).await;
        assert_eq!((answer.status(), answer.upstream(), others), (200, "beta", 1), "{status}");
    }
}

#[tokio::test]
async fn a_server_error_may_have_done_it() {
    for status in [500, 502, 504] {
        let (answer, others) = batch_after(Reply::status(status)).await;
        assert_eq!((answer.status(), others), (502, 0), "{status}");
    }
}

#[tokio::test]
async fn an_endpoint_that_was_never_reached_did_nothing() {
    let nobody = Refusing::new().unwrap();
    let beta = healthy("beta").await;
    let proxy = Config::in_order([Endpoint::at("alpha", &nobody.url()), Endpoint::of(&beta)]).start().await;
    assert_eq!(proxy.send(&batch()).await.upstream(), "beta");
    let alpha = Upstream::new("alpha").accepting(Accept::Hang).start().await.unwrap();
    drop(alpha);
}

#[tokio::test]
async fn a_body_that_did_not_get_there_did_nothing() {
    for fault in [Reply::reset(), Reply::status(500), Reply::status(502), Reply::status(302)] {
        let alpha = answering("alpha", fault.early()).await;
        let beta = healthy("beta").await;
        let proxy = Proxy::over([&alpha, &beta]).await;
        let long = Request::new("POST", "/v1/files", vec![b'x'; 24 << 20]);
        let answer = proxy.send(&long).await;
        assert_eq!((answer.status(), answer.upstream()), (200, "beta"));
        assert_eq!(beta.requests()[0].body.len(), 24 << 20);
    }
}

#[tokio::test]
async fn reading_is_always_safe() {
    for method in ["GET", "HEAD"] {
        for fault in [Reply::close(), Reply::status(500)] {
            let (alpha, beta) = (answering("alpha", fault).await, healthy("beta").await);
            let answer = Proxy::over([&alpha, &beta]).await.send(&Request::new(method, "/v1/models", "")).await;
            assert_eq!((answer.status(), answer.upstream()), (200, "beta"));
        }
    }
}

#[tokio::test]
async fn a_route_that_is_missing_may_be_elsewhere() {
    for status in [404, 405, 501] {
        for (request, reply) in
            [(Request::count_tokens(), Reply::html(status)), (Request::get("/v1/models"), Reply::status(status))]
        {
            let (alpha, beta) = (answering("alpha", reply.clone()).await, healthy("beta").await);
            let proxy = Proxy::over([&alpha, &beta]).await;
            for _ in 0..3 {
                assert_eq!(proxy.send(&request).await.upstream(), "beta");
            }
            assert_eq!(alpha.hits(), 3, "that is no failure of the endpoint");

            let alpha = answering("alpha", reply).await;
            let answer = Proxy::over([&alpha]).await.send(&request).await;
            assert_eq!((answer.status(), answer.upstream()), (status, "alpha"));
        }
    }
}

#[tokio::test]
async fn counting_tokens_moves_on_like_a_message() {
    for fault in [Reply::status(500), Reply::silence(), Reply::html(200), Reply::message("Hi")] {
        let (alpha, beta) = (answering("alpha", fault).await, healthy("beta").await);
        let proxy = Config::in_order([&alpha, &beta]).set("timeouts.first_byte", "300ms").start().await;
        let answer = proxy.send(&Request::count_tokens()).await;
        assert_eq!((answer.upstream(), answer.text()), ("beta", &*bodies::token_count(42)));
        assert_eq!(tried(&proxy.record(&answer).await), ["alpha", "beta"]);
    }
}

#[tokio::test]
async fn a_dead_pooled_connection_is_replaced_for_any_request() {
    let alpha = answering("alpha", Reply::json("{}").after(crate::support::After::Close)).await;
    let proxy = Proxy::over([&alpha]).await;
    for _ in 0..5 {
        let answer = proxy.send(&batch()).await;
        assert_eq!((answer.status(), answer.upstream()), (200, "alpha"));
        tokio::time::sleep(ms(20)).await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_read() {
    let early = Reply::status(413).early().after(crate::support::After::Close).part(Part::Pause(ms(200)));
    let alpha = answering("alpha", early).await;
    let proxy = Proxy::over([&alpha]).await;
    let long = Request::messages(&serde_json::json!({"system": "x".repeat(24 << 20)}));
    let answer = proxy.send(&long).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (413, "request_too_large"));
}
