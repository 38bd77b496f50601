//! Answers in any coding come down decoded, errors and unjudged paths included.

use crate::support::proxy::Config;
use crate::support::upstream::coding::{Coding, Encoder, encode};
use crate::support::{End, Framing, Part, Proxy, Reply, Request, answering, assert_right, bodies, healthy, right_body};

#[tokio::test]
async fn messages_come_down_decoded() {
    for coding in Coding::ALL {
        for framing in [Framing::Length(0), Framing::Chunked, Framing::Close] {
            let alpha = answering("alpha", Reply::message("Hello there").framed(framing).coded(coding)).await;
            let proxy = Proxy::over([&alpha]).await;
            let answer = proxy.send(&Request::message().header("Accept-Encoding", "gzip, deflate, br, zstd")).await;
            assert_right(&answer, false, "alpha");
            assert_eq!(answer.header("content-encoding"), None);
            let length = answer.header("content-length").map(str::to_owned);
            assert_eq!(length.unwrap_or_else(|| answer.body.len().to_string()), answer.body.len().to_string());
        }
    }
}

#[tokio::test]
async fn a_coding_that_nobody_asked_for_is_decoded_too() {
    for coding in Coding::ALL {
        let alpha = answering("alpha", Reply::message("Hello there").coded(coding)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::message().header("Accept-Encoding", "identity")).await;
        assert_right(&answer, false, "alpha");
    }
}

#[tokio::test]
async fn coded_refusals_come_down_decoded() {
    for coding in Coding::ALL {
        let alpha = answering("alpha", Reply::status(400).coded(coding)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.header("content-encoding")), (400, None));
        assert_eq!(answer.text(), bodies::error("invalid_request_error", "upstream says 400"));
    }
}

#[tokio::test]
async fn coded_limits_keep_their_body() {
    let alpha = answering("alpha", Reply::status(429).retry_after(5).coded(Coding::Gzip)).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.header("content-encoding")), (429, None));
    assert_eq!(answer.text(), bodies::error("rate_limit_error", "upstream says 429"));
}

#[tokio::test]
async fn unjudged_answers_come_down_decoded() {
    for coding in Coding::ALL {
        let alpha = answering("alpha", Reply::new(200, "text/csv", "a,b\n1,2\n").coded(coding)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::get("/v1/files/f/content")).await;
        assert_eq!(
            (answer.status(), answer.text(), answer.header("content-type")),
            (200, "a,b\n1,2\n", Some("text/csv"))
        );
        assert_eq!(answer.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn coded_data_cut_off_is_a_fault() {
    for coding in Coding::ALL {
        let whole = encode(coding, right_body(false).as_bytes()).await.unwrap();
        let half = Reply::json(whole.slice(..whole.len() / 2)).header("content-encoding", coding.label());
        let (alpha, beta) = (answering("alpha", half).await, healthy("beta").await);
        assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
    }
}

#[tokio::test]
async fn coded_streams_cut_after_content_cut_the_client_off() {
    for coding in Coding::ALL {
        let events = bodies::events(&["Hello", " there"]);
        let reply = Reply::stream(events.clone()).coded(coding).cut_after(4, Part::Pause(crate::support::ms(30)));
        let alpha = answering("alpha", reply.part(Part::Close)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.text(), answer.end), (&*events[..4].concat(), End::Cut), "{coding:?}");
    }
}

#[tokio::test]
async fn identity_is_no_coding() {
    let alpha = answering("alpha", Reply::message("Hello there").header("content-encoding", "identity")).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_right(&answer, false, "alpha");
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn an_unknown_coding_cannot_be_judged() {
    let odd = Reply::message("Hello there").header("content-encoding", "compress");
    let (alpha, beta) = (answering("alpha", odd).await, healthy("beta").await);
    assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn a_status_that_says_it_all_counts_in_whatever_coding() {
    let odd = |reply: Reply| reply.header("content-encoding", "compress");
    let alpha = answering("alpha", odd(Reply::status(429).retry_after(5))).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (429, "rate_limit_error"));
    assert!(answer.header("retry-after").is_some());

    let alpha = answering("alpha", odd(Reply::status(401))).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.header("x-should-retry")), (502, Some("false")));
}

#[tokio::test]
async fn what_stops_decoding_half_way_is_told_as_that() {
    let events = bodies::events(&["Hello", " there"]);
    let mut encoder = Encoder::new(Coding::Gzip);
    let begun = encoder.push(events[..4].concat().as_bytes()).await.unwrap();
    let reply = Reply::stream([begun]).header("content-encoding", "gzip").part(Part::Pause(crate::support::ms(30)));
    let alpha = answering("alpha", reply.part(Part::Bytes("\u{7f} no gzip".into()))).await;
    let proxy = Proxy::over([&alpha]).await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.text(), answer.end), (&*events[..4].concat(), End::Cut));
    assert_eq!(proxy.record(&answer).await["attempts"][0]["fault"], "decode");
}

#[tokio::test]
async fn an_answer_beyond_32_mib_decoded_is_a_fault() {
    // A small body that grows: the cap counts what comes out.
    let huge = bodies::message(&"x".repeat(33 << 20));
    let reply = Reply::json(huge).coded(Coding::Gzip);
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    assert_right(&Proxy::over([&alpha, &beta]).await.send(&Request::message()).await, false, "beta");
    assert_eq!(alpha.hits(), 1);
}

#[tokio::test]
async fn a_long_answer_comes_down_whole() {
    let text = "abcdefghij".repeat(2 << 20);
    for coding in [None, Some(Coding::Gzip)] {
        let reply = Reply::message(&text);
        let alpha = answering("alpha", if let Some(coding) = coding { reply.coded(coding) } else { reply }).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
        assert_eq!((answer.status(), answer.body.len()), (200, bodies::message(&text).len()));
    }
}

#[tokio::test]
async fn a_long_unjudged_answer_is_relayed_as_it_comes() {
    let piece = "0123456789abcdef".repeat(1 << 16);
    let pieces = vec![piece.clone(); 40];
    let alpha = answering("alpha", Reply::stream(pieces).content_type(Some("application/binary"))).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::get("/v1/files/f/content")).await;
    assert_eq!((answer.status(), answer.body.len(), answer.end), (200, 40 << 20, End::Clean));
}

#[tokio::test]
async fn lax_validation_relays_what_it_is_given() {
    let alpha = answering("alpha", Reply::json(bodies::openai_message())).await;
    let proxy = Config::in_order([&alpha]).set("validation.strict_anthropic_format", "false").start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.text()), (200, &*bodies::openai_message()));
}

#[tokio::test]
async fn lax_validation_still_moves_on_from_other_faults() {
    for fault in [Reply::status(500), Reply::reset()] {
        let (alpha, beta) = (answering("alpha", fault).await, healthy("beta").await);
        let config = Config::in_order([&alpha, &beta]).set("validation.strict_anthropic_format", "false");
        let proxy = config.set("validation.validate_streaming", "false").start().await;
        for stream in [false, true] {
            assert_right(&proxy.send(&Request::turn(stream)).await, stream, "beta");
        }
    }
}

#[tokio::test]
async fn count_tokens_is_judged_and_other_paths_are_not() {
    let wrong = Reply::json("{\"tokens\": 3}");
    let (alpha, beta) = (answering("alpha", wrong).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let answer = proxy.send(&Request::count_tokens()).await;
    assert_eq!((answer.upstream(), answer.text()), ("beta", bodies::token_count(42).as_str()));
    let answer = proxy.send(&Request::get("/v1/models")).await;
    assert_eq!((answer.upstream(), answer.text()), ("alpha", "{\"tokens\": 3}"));
}
