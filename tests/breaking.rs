//! Streams that break after content went down: the client is cut off, and nothing is spliced in.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::proxy::{Config, tried};
use crate::support::{
    End, Framing, Gate, Part, Proxy, Reply, Request, answering, assert_right, bodies, eventually, healthy, ms,
};

/// After content went down, `reply` breaks: the client keeps `kept` events and sees its connection cut.
async fn cut(reply: Reply, kept: &[String]) {
    let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
    let config = Config::in_order([&alpha, &beta]).set("timeouts.stream_idle", "400ms");
    let proxy = config.start().await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.status(), answer.text(), answer.end), (200, &*kept.concat(), End::Cut));
    assert_eq!(beta.hits(), 0, "nothing is spliced in");
    let record = proxy.record(&answer).await;
    assert_eq!((record["ending"].as_str(), tried(&record)), (Some("cut"), vec!["alpha"]));
    assert!(record["attempts"][0]["fault"].is_string(), "{record}");
}

#[tokio::test]
async fn a_break_after_content_cuts_the_client_off() {
    let events = bodies::events(&["Hello", " there"]);
    let stream = || Reply::stream(events.clone());
    let pause = Part::Pause(ms(50));
    cut(stream().cut_after(4, pause.clone()).part(Part::Close), &events[..4]).await;
    cut(stream().cut_after(4, pause).part(Part::Reset), &events[..4]).await;
    cut(stream().cut_after(4, Part::Bytes("event: content_blo".into())).part(Part::Close), &events[..4]).await;
}

#[tokio::test]
async fn silence_after_content_cuts_the_client_off() {
    let events = bodies::events(&["Hello", " there"]);
    cut(Reply::stream(events.clone()).cut_after(4, Part::Hang), &events[..4]).await;
}

#[tokio::test]
async fn a_clean_end_before_the_stop_reason_is_none() {
    let events = bodies::events(&["Hello", " there"]);
    let mut unfinished = Reply::stream(events[..5].to_vec());
    cut(unfinished.clone(), &events[..5]).await;
    unfinished = unfinished.framed(Framing::Length(0));
    cut(unfinished, &events[..5]).await;
}

/// Broken events, each after four good ones.
fn broken_events() -> Vec<String> {
    vec![
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\n\n".to_owned(),
        "event: content_block_delta\ndata: [1]\n\n".to_owned(),
        "event: content_block_delta\ndata: {\"index\":0}\n\n".to_owned(),
        "data: {\"type\":\"ping\"}\n\n".to_owned(),
        "<html>\n\n".to_owned(),
        bodies::text_delta(7, "no such block"),
    ]
}

#[tokio::test]
async fn a_broken_event_never_goes_down() {
    for broken in broken_events() {
        let mut events = bodies::events(&["Hello", " there"]);
        events.insert(4, broken);
        cut(Reply::stream(events.clone()), &events[..4]).await;
        cut(Reply::stream(events.clone()).joined(), &events[..4]).await;
    }
}

#[tokio::test]
async fn a_broken_event_goes_down_where_the_operator_says_so() {
    for broken in broken_events() {
        let mut events = bodies::events(&["Hello", " there"]);
        events.insert(4, broken);
        let alpha = answering("alpha", Reply::stream(events.clone())).await;
        let proxy = Config::in_order([&alpha]).set("validation.disconnect_on_invalid", "false").start().await;
        let answer = proxy.send(&Request::stream()).await;
        assert_eq!((answer.text(), answer.end), (&*events.concat(), End::Clean));
        let record = proxy.record(&answer).await;
        assert_eq!(record["ending"], "cut", "a log of failures only has it too: {record}");
    }
}

#[tokio::test]
async fn a_stream_without_a_stop_reason_ends_as_it_did_where_the_operator_says_so() {
    let events = &bodies::events(&["Hello", " there"])[..5];
    let alpha = answering("alpha", Reply::stream(events.to_vec())).await;
    let proxy = Config::in_order([&alpha]).set("validation.disconnect_on_invalid", "false").start().await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.text(), answer.end), (&*events.concat(), End::Clean));
    let record = proxy.record(&answer).await;
    assert_eq!((&record["ending"], record["error"].is_string()), (&"cut".into(), true), "{record}");

    let torn = Reply::stream(events.to_vec()).cut_after(4, Part::Pause(ms(50))).part(Part::Close);
    let alpha = answering("alpha", torn).await;
    let proxy = Config::in_order([&alpha]).set("validation.disconnect_on_invalid", "false").start().await;
    assert_eq!(proxy.send(&Request::stream()).await.end, End::Cut, "what did not end is not given an end");
}

/// What clients need of a stream's end does not hang on what was odd in its middle.
#[tokio::test]
async fn a_stream_that_was_let_pass_ends_like_any_other() {
    let whole = bodies::events(&["Hello", " there"]);
    let (stop, unstopped) = whole.split_last().unwrap();
    for broken in broken_events() {
        let mut events = unstopped.to_vec();
        events.insert(4, broken);
        let with_stop = [events.clone(), vec![stop.clone()]].concat();
        for (name, reply) in [
            ("no message_stop", Reply::stream(events.clone())),
            ("torn behind its stop reason", Reply::stream(events.clone()).part(Part::Pause(ms(50))).part(Part::Reset)),
            ("goes on and on", Reply::stream(with_stop.clone()).part(Part::Hang)),
        ] {
            let alpha = answering("alpha", reply).await;
            let proxy = Config::in_order([&alpha]).set("validation.disconnect_on_invalid", "false").start().await;
            let answer = proxy.send(&Request::stream()).await;
            assert_eq!((answer.text(), answer.end), (&*with_stop.concat(), End::Clean), "{name}");
            let record = proxy.record(&answer).await;
            assert_eq!((&record["ending"], record["usage"].is_object()), (&"cut".into(), true), "{name}: {record}");
        }
    }
}

#[tokio::test]
async fn an_event_beyond_16_mib_is_a_fault() {
    let huge = bodies::text_delta(0, &"x".repeat(17 << 20));
    let mut events = bodies::events(&["Hello"]);
    events.insert(4, huge);
    cut(Reply::stream(events.clone()), &events[..4]).await;
    // At once: by its end the relay has had all the turns that the runtime gives a task, and none to write.
    cut(Reply::stream(events.clone()).joined(), &events[..4]).await;
}

#[tokio::test]
async fn an_error_event_after_content_is_relayed() {
    let mut events = bodies::events(&["Hello", " there"]);
    events.truncate(4);
    events.push(bodies::error_event("overloaded_error", "Overloaded"));
    let (alpha, beta) = (answering("alpha", Reply::stream(events.clone())).await, healthy("beta").await);
    let proxy = Proxy::over([&alpha, &beta]).await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!(answer.text(), events.concat());
    assert_eq!(beta.hits(), 0);
    assert_ne!(proxy.record(&answer).await["ending"], "complete");
}

#[tokio::test]
async fn a_cut_after_the_stop_reason_is_a_whole_answer() {
    for end in [Part::Close, Part::Reset] {
        let events = bodies::events(&["Hello", " there"]);
        let alpha = answering("alpha", Reply::stream(events.clone()).cut_after(7, Part::Pause(ms(50))).part(end)).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&Request::stream()).await;
        assert!(answer.text().starts_with(&events[..7].concat()));
        assert_eq!(answer.end, End::Clean);
        assert_eq!(proxy.record(&answer).await["ending"], "complete");
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_attempt_with_it() {
    for content in [0, 1, 4] {
        let reply = Reply::stream(bodies::events(&["Hello", " there"])).cut_after(content, Part::Hang);
        let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
        let proxy = Proxy::over([&alpha, &beta]).await;
        let mut connection = proxy.client().connect().await;
        connection.send(&Request::stream()).await;
        eventually("the request arrives", || alpha.hits() == 1).await;
        tokio::time::sleep(ms(50)).await;
        drop(connection);
        let left = claude_proxy::clock::now();
        eventually("the attempt is cancelled", || alpha.closed().iter().any(|closed| closed.mid_reply)).await;
        assert!(alpha.closed()[0].at - left < Duration::from_secs(1));
        let record = proxy.record_where("the record", |record| record["ending"] == "client_gone").await;
        assert_eq!(tried(&record), ["alpha"]);
        assert_eq!(beta.hits(), 0, "nobody waits for another endpoint");
    }
}

/// Old clients send an empty line behind a body, others the next request ahead.
#[tokio::test]
async fn a_client_that_sent_more_than_its_request_is_missed_all_the_same() {
    let cases = [("\r\n", 0, true), ("GET /v1/models HTTP/1.1\r\n", 0, false), ("\r\n", 4, false), ("GET", 4, true)];
    for (more, content, at_once) in cases {
        let reply = Reply::stream(bodies::events(&["Hello", " there"])).cut_after(content, Part::Hang);
        let (alpha, beta) = (answering("alpha", reply).await, healthy("beta").await);
        let proxy = Proxy::over([&alpha, &beta]).await;
        let mut connection = proxy.client().connect().await;
        connection.send(&Request::stream()).await;
        if !at_once {
            eventually("the request arrives", || alpha.hits() == 1).await;
        }
        connection.write(more).await;
        eventually("the request arrives", || alpha.hits() == 1).await;
        drop(connection);
        let left = claude_proxy::clock::now();
        eventually("the attempt is cancelled", || alpha.closed().iter().any(|closed| closed.mid_reply)).await;
        assert!(left.elapsed() < Duration::from_secs(1));
        proxy.record_where("the record", |record| record["ending"] == "client_gone").await;
        assert_eq!(beta.hits(), 0, "nobody waits for another endpoint");
    }
}

/// Some of it is read before its turn, to see whether the client is still there.
#[tokio::test]
async fn what_is_sent_during_an_answer_is_answered_behind_it() {
    for size in [0, 5_000, 100_000] {
        let gate = Gate::default();
        let events = bodies::events(&["Hello", " there"]);
        let steps = events.len();
        let alpha = answering("alpha", Reply::stream(events).spaced(&Part::Gate(gate.clone()))).await;
        let proxy = Proxy::over([&alpha]).await;
        let mut connection = proxy.client().connect().await;
        connection.send(&Request::stream()).await;
        eventually("the request arrives", || alpha.hits() == 1).await;
        let next = Request::messages(&json!({ "stream": true, "system": "x".repeat(size) }));
        connection.send(&next).await;
        (0..2 * steps).for_each(|_| gate.open());
        for _ in 0..2 {
            let answer = connection.answer(claude_proxy::clock::now(), false).await;
            let (answer, same) = answer.finish_keeping().await;
            assert_right(&answer, true, "alpha");
            connection = same;
        }
        assert_eq!(alpha.requests()[1].body, next.body);
    }
}

/// To a client of HTTP/1.0 the end of the connection ends the answer, so only a reset can tell it of a cut.
#[tokio::test]
async fn an_old_client_does_not_take_a_cut_for_the_end() {
    let events = bodies::events(&["Hello", " there"]);
    let broken = Reply::stream(events.clone()).cut_after(4, Part::Pause(ms(50))).part(Part::Close);
    for (reply, is_whole) in [(Reply::stream(events), true), (broken, false)] {
        let alpha = answering("alpha", reply).await;
        let proxy = Proxy::over([&alpha]).await;
        let mut stream = tokio::net::TcpStream::connect(proxy.address()).await.unwrap();
        let head = Request::stream().head(&proxy.address().to_string()).replace("HTTP/1.1", "HTTP/1.0");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&Request::stream().body).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        assert_eq!(read.is_ok(), is_whole, "{}", String::from_utf8_lossy(&answer));
    }
}
