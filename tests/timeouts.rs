//! One attempt's clocks, and the one of the whole request.

use std::time::Duration;

use crate::support::proxy::{Config, tried};
use crate::support::{End, Framing, Part, Reply, Request, answering, assert_right, bodies, healthy, ms};

fn assert_about(took: Duration, wanted: Duration) {
    let slack = Duration::from_secs(2);
    assert!(took + ms(50) >= wanted && took < wanted + slack, "{took:?} instead of {wanted:?}");
}

#[tokio::test]
async fn first_byte_runs_to_the_head_of_a_message() {
    let alpha = answering("alpha", Reply::silence()).await;
    let config = Config::in_order([&alpha]).set("timeouts.first_byte", "400ms").set("timeouts.stream_idle", "20s");
    let answer = config.start().await.send(&Request::message()).await;
    assert_eq!(answer.status(), 504);
    assert_about(answer.took, ms(400));
}

#[tokio::test]
async fn first_byte_runs_to_message_start_of_a_stream() {
    let pinging = Part::Forever(bodies::PING.into(), ms(50));
    for silent in [Part::Hang, pinging, Part::Forever(": still here\n\n".into(), ms(50))] {
        let alpha = answering("alpha", Reply::stream(bodies::events(&[])).cut_after(0, silent)).await;
        let config = Config::in_order([&alpha]).set("timeouts.first_byte", "400ms").set("timeouts.stream_idle", "20s");
        let answer = config.start().await.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
        assert_about(answer.took, ms(400));
    }
}

#[tokio::test]
async fn stream_idle_runs_from_message_start_to_content() {
    let pinging = Part::Forever(bodies::PING.into(), ms(50));
    for silent in [Part::Hang, pinging] {
        let alpha = answering("alpha", Reply::stream(bodies::events(&[])).cut_after(1, silent)).await;
        let config = Config::in_order([&alpha]).set("timeouts.first_byte", "20s").set("timeouts.stream_idle", "400ms");
        let answer = config.start().await.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
        assert_about(answer.took, ms(400));
    }
}

#[tokio::test]
async fn a_message_that_stops_halfway_times_out() {
    let reply = Reply::message("Hello there").cut_at(20, Part::Hang);
    let alpha = answering("alpha", reply).await;
    let config = Config::in_order([&alpha]).set("timeouts.first_byte", "400ms").set("timeouts.stream_idle", "400ms");
    let answer = config.start().await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
    assert_about(answer.took, ms(400));
}

#[tokio::test]
async fn commit_bounds_all_attempts_together() {
    let upstreams = [
        answering("a", Reply::silence()).await,
        answering("b", Reply::silence()).await,
        answering("c", Reply::silence()).await,
    ];
    let config = Config::in_order(&upstreams).set("timeouts.first_byte", "500ms").set("timeouts.commit", "800ms");
    let proxy = config.start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
    assert_about(answer.took, ms(800));
    assert_eq!(tried(&proxy.record(&answer).await), ["a", "b"]);
    assert_eq!(upstreams[2].hits(), 0);
}

#[tokio::test]
async fn the_client_may_be_in_a_greater_hurry() {
    let alpha = answering("alpha", Reply::silence()).await;
    let proxy = Config::in_order([&alpha]).start().await;
    for stream in [false, true] {
        let answer = proxy.send(&Request::turn(stream).header("X-Stainless-Timeout", "1")).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
        assert!(answer.took < ms(1050), "we answer before the client gives up: {:?}", answer.took);
        assert!(answer.took > ms(500), "{:?}", answer.took);
    }
}

#[tokio::test]
async fn a_moving_stream_has_no_total_limit() {
    let reply = Reply::stream(bodies::events(&["1", "2", "3", "4", "5"])).spaced(&Part::Pause(ms(150)));
    let alpha = answering("alpha", reply).await;
    let config = Config::in_order([&alpha]).set("timeouts.commit", "700ms").set("timeouts.first_byte", "600ms");
    let proxy = config.set("timeouts.stream_idle", "600ms").start().await;
    let answer = proxy.send(&Request::stream().header("X-Stainless-Timeout", "1")).await;
    assert_eq!((answer.status(), answer.end), (200, End::Clean));
    assert!(answer.took > ms(1200), "{:?}", answer.took);
}

#[tokio::test]
async fn limits_do_not_hurt_a_slow_but_moving_message() {
    let reply = Reply::message("Hello there").split_every(60).spaced(&Part::Pause(ms(150)));
    let alpha = answering("alpha", reply.framed(Framing::Chunked)).await;
    let config = Config::in_order([&alpha]).set("timeouts.first_byte", "500ms").set("timeouts.stream_idle", "500ms");
    let answer = config.start().await.send(&Request::message()).await;
    assert_right(&answer, false, "alpha");
    assert!(answer.took > ms(600), "{:?}", answer.took);
}

#[tokio::test]
async fn each_attempt_has_clocks_of_its_own() {
    let (alpha, beta) = (answering("alpha", Reply::silence()).await, healthy("beta").await);
    beta.then(Reply::message("Hello there").lead(Part::Pause(ms(300))));
    let proxy = Config::in_order([&alpha, &beta]).set("timeouts.first_byte", "500ms").start().await;
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "beta");
    assert!(answer.took > ms(750), "{:?}", answer.took);
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_within_the_time_for_the_whole_request() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("timeouts.commit", "700ms").start().await;
    let request = Request::message();
    let mut connection = proxy.client().connect().await;
    connection.write(request.head("localhost")).await;
    connection.write(&request.body[..3]).await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await.finish().await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (408, "timeout_error"));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
    assert_eq!(alpha.hits(), 0);
}

/// The status says all that the next endpoint, and a client that is told to wait, need.
#[tokio::test]
async fn a_refusal_whose_words_drip_holds_up_nobody() {
    let dripping = |status: u16| Reply::status(status).retry_after(9).cut_after(0, Part::Forever("x".into(), ms(50)));
    let config = |upstreams: &[&crate::support::Upstream]| {
        Config::in_order(upstreams.iter().copied()).set("timeouts.commit", "3s")
    };
    for status in [500, 401, 429] {
        let (alpha, beta) = (answering("alpha", dripping(status)).await, healthy("beta").await);
        let answer = config(&[&alpha, &beta]).start().await.send(&Request::message()).await;
        assert_right(&answer, false, "beta");
    }
    let alpha = answering("alpha", dripping(429)).await;
    let answer = config(&[&alpha]).start().await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("9")));
}
