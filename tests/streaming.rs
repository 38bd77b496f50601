//! Streams: held until they prove themselves, then relayed event by event, byte for byte.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::proxy::Config;
use crate::support::upstream::coding::Coding;
use crate::support::{
    End, Framing, Gate, Part, Proxy, Reply, Request, answering, bodies, eventually, healthy, ms, right_body,
};

/// Any part that lets a test go on only when it says so.
fn gated(events: Vec<String>) -> (Reply, Gate) {
    let gate = Gate::default();
    (Reply::stream(events).spaced(&Part::Gate(gate.clone())), gate)
}

/// Each event reaches the client before the upstream sends the next.
async fn event_by_event(shape: impl Fn(Reply) -> Reply) {
    let events = bodies::events(&["One", "Two", "Three"]);
    let (reply, gate) = gated(events.clone());
    let alpha = answering("alpha", shape(reply)).await;
    let proxy = Proxy::over([&alpha]).await;
    // The first two come together: the second one is the commit point.
    gate.open();
    gate.open();
    let mut answer = proxy.client().open(&Request::stream()).await;
    assert_eq!(answer.event().await.as_deref(), Some(&*events[0]));
    assert_eq!(answer.event().await.as_deref(), Some(&*events[1]));
    for event in &events[2..] {
        gate.open();
        assert_eq!(answer.event().await.as_deref(), Some(&**event));
    }
    assert_eq!(answer.event().await, None);
    assert_eq!(answer.finish().await.end, End::Clean);
}

#[tokio::test]
async fn plain_events_go_down_one_by_one() {
    event_by_event(|reply| reply).await;
    event_by_event(|reply| reply.framed(Framing::Close)).await;
    event_by_event(|reply| reply.framed(Framing::Length(0))).await;
}

#[tokio::test]
async fn coded_events_go_down_one_by_one() {
    for coding in Coding::ALL {
        event_by_event(|reply| reply.coded(coding)).await;
    }
}

#[tokio::test]
async fn nothing_goes_down_before_content() {
    let (reply, gate) = gated(bodies::events(&["Hello", " there"]));
    let alpha = answering("alpha", reply).await;
    let proxy = Proxy::over([&alpha]).await;
    gate.open();
    let request = Request::stream();
    let mut head = Box::pin(proxy.client().open(&request));
    assert!(timeout(ms(300), &mut head).await.is_err(), "message_start alone proves nothing");
    gate.open();
    let mut answer = head.await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.event().await, Some(bodies::message_start()));
    assert_eq!(answer.event().await, Some(bodies::block_start(0)));
}

#[tokio::test]
async fn a_stream_without_content_commits_by_its_stop_reason() {
    let events = [bodies::message_start(), bodies::message_delta(), bodies::message_stop()];
    let alpha = answering("alpha", Reply::stream(events.clone())).await;
    let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
    assert_eq!((answer.status(), answer.text(), answer.end), (200, &*events.concat(), End::Clean));
}

#[tokio::test]
async fn however_the_bytes_are_cut_they_arrive_as_they_were() {
    for size in [1, 2, 7, 100, 100_000] {
        let whole = right_body(true);
        let alpha = answering("alpha", Reply::stream([whole.clone()]).split_every(size)).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.text(), answer.end), (&*whole, End::Clean), "pieces of {size}");
    }
}

#[tokio::test]
async fn coded_bytes_may_be_cut_anywhere_too() {
    for coding in Coding::ALL {
        let reply = Reply::stream([right_body(true)]).split_every(3).coded(coding);
        let alpha = answering("alpha", reply).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.text(), answer.end), (&*right_body(true), End::Clean), "{coding:?}");
        assert_eq!(answer.header("content-encoding"), None);
    }
}

/// Streams that look unusual and are right: they go down byte for byte.
#[tokio::test]
async fn unusual_but_right() {
    let usual = right_body(true);
    let cases = [
        ("CRLF", usual.replace('\n', "\r\n")),
        ("CR", usual.replace('\n', "\r")),
        ("comments", usual.replace("event: content", ": still here\n\nevent: content")),
        ("id and retry", usual.replace("event: content", "id: 7\nretry: 100\nevent: content")),
        ("data in two lines", usual.replace("data: {\"type\":\"ping\"}", "data: {\"type\":\ndata: \"ping\"}")),
        ("no space", usual.replace("data: ", "data:")),
        ("a ping first", format!("{}{usual}", bodies::PING)),
        ("an unknown event", usual.replace(bodies::PING, "event: news\ndata: {\"type\":\"news\",\"x\":[1]}\n\n")),
        ("an unknown delta", usual.replace("text_delta", "novel_delta")),
        ("an unknown block", usual.replace("\"type\":\"text\"", "\"type\":\"novel\"")),
        ("an unknown stop reason", usual.replace("end_turn", "novel_reason")),
        ("two message_deltas", usual.replace(&bodies::message_delta(), &bodies::message_delta().repeat(2))),
    ];
    for (what, body) in cases {
        let alpha = answering("alpha", Reply::stream([body.clone()])).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.text(), answer.end), (200, &*body, End::Clean), "{what}");
    }
}

#[tokio::test]
async fn the_label_follows_the_bytes() {
    for label in [Some("text/plain"), Some("application/octet-stream"), None] {
        for stream in [false, true] {
            let right = if stream { Reply::stream([right_body(true)]) } else { Reply::message("Hello there") };
            let alpha = answering("alpha", right.content_type(label)).await;
            let answer = Proxy::over([&alpha]).await.send(&Request::turn(stream)).await;
            let (kind, wanted) = (answer.header("content-type").unwrap(), ["application/json", "text/event-stream"]);
            assert!(kind.starts_with(wanted[usize::from(stream)]), "{label:?} became {kind}");
            assert_eq!(answer.text(), right_body(stream));
        }
    }
}

#[tokio::test]
async fn message_stop_ends_the_body() {
    let alpha = answering("alpha", Reply::stream([right_body(true)]).part(Part::Hang)).await;
    let proxy = Proxy::over([&alpha]).await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.text(), answer.end), (&*right_body(true), End::Clean));
    assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
    assert_eq!(proxy.record(&answer).await["ending"], "complete");
}

#[tokio::test]
async fn what_follows_message_stop_does_no_harm() {
    for more in ["data: [DONE]\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n"] {
        let alpha = answering("alpha", Reply::stream([right_body(true), more.to_owned()])).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&Request::stream()).await;
        assert!(answer.text().starts_with(&right_body(true)));
        assert_eq!(answer.end, End::Clean);
        assert_eq!(proxy.record(&answer).await["ending"], "complete");
    }
}

#[tokio::test]
async fn a_missing_message_stop_is_added() {
    let mut events = bodies::events(&["Hello", " there"]);
    events.pop();
    for framing in [Framing::Chunked, Framing::Close, Framing::Length(0)] {
        let alpha = answering("alpha", Reply::stream(events.clone()).framed(framing)).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&Request::stream()).await;
        let added = answer.text().strip_prefix(&events.concat()).unwrap();
        let lines: Vec<&str> = added.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], "event: message_stop");
        let data = lines[1].strip_prefix("data:").unwrap().trim();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(data).unwrap(),
            serde_json::json!({"type": "message_stop"})
        );
        assert!(added.ends_with("\n\n"));
        assert_eq!(answer.end, End::Clean);
    }
}

#[tokio::test]
async fn after_content_every_byte_is_a_sign_of_life() {
    let mut slow = Reply::stream(bodies::events(&["Hello"])[..3].to_vec());
    for _ in 0..8 {
        slow = slow.part(Part::Pause(ms(150))).part(Part::Bytes(bodies::PING.into()));
        slow = slow.part(Part::Pause(ms(150))).part(Part::Bytes(": comment\n\n".into()));
    }
    for event in bodies::events(&["Hello"]).split_off(3) {
        slow = slow.part(Part::Bytes(event.into()));
    }
    let alpha = answering("alpha", slow).await;
    let config = Config::in_order([&alpha]).set("timeouts.stream_idle", "600ms").set("timeouts.commit", "800ms");
    let answer = config.start().await.send(&Request::stream()).await;
    assert_eq!(answer.end, End::Clean);
    assert!(answer.took > ms(2300), "longer than any limit: {:?}", answer.took);
}

/// A delta of 64 KiB, for ever.
fn flood() -> Reply {
    let delta = bodies::text_delta(0, &"x".repeat(64 << 10));
    let stream = Reply::stream([bodies::message_start(), bodies::block_start(0)]);
    stream.part(Part::Forever(delta.into(), Duration::ZERO))
}

#[tokio::test]
async fn a_slow_client_slows_the_upstream_down() {
    let alpha = answering("alpha", flood()).await;
    let proxy = Config::in_order([&alpha]).set("timeouts.stream_idle", "300ms").start().await;
    let mut answer = proxy.client().open(&Request::stream()).await;
    let mut before = u64::MAX;
    let mut settled = 0;
    eventually("the upstream is held back", || {
        settled = if alpha.written() == before { settled + 1 } else { 0 };
        before = alpha.written();
        settled > 60
    })
    .await;
    assert!(before < 64 << 20, "{before} bytes are buffered somewhere");
    for _ in 0..400 {
        assert!(answer.event().await.is_some(), "stream_idle does not run while the client is the slow one");
    }
}

#[tokio::test]
async fn many_streams_do_not_mix() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..40 {
        let text = format!("stream {number}");
        alpha.then(Reply::stream(bodies::events(&[&text, &text])).spaced(&Part::Pause(ms(5))));
        let client = proxy.client();
        streams.spawn(async move { client.send(&Request::stream()).await });
    }
    let mut bodies = Vec::new();
    while let Some(answer) = streams.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.end), (200, End::Clean));
        bodies.push(answer.text().to_owned());
    }
    let mut wanted: Vec<String> = (0..40)
        .map(|number| {
            let text = format!("stream {number}");
            crate::support::bodies::events(&[&text, &text]).concat()
        })
        .collect();
    wanted.sort();
    bodies.sort();
    assert_eq!(bodies, wanted);
}

#[tokio::test]
async fn unjudged_streams_go_down_from_their_first_byte() {
    let gate = Gate::default();
    let reply = Reply::stream(["anything\n\n", "at all\n\n"]).spaced(&Part::Gate(gate.clone()));
    let alpha = answering("alpha", reply).await;
    let proxy = Config::in_order([&alpha]).set("validation.validate_streaming", "false").start().await;
    gate.open();
    let mut answer = proxy.client().open(&Request::stream()).await;
    assert_eq!(answer.event().await.as_deref(), Some("anything\n\n"));
    gate.open();
    assert_eq!(answer.event().await.as_deref(), Some("at all\n\n"));
    assert_eq!(answer.finish().await.end, End::Clean);
}

#[tokio::test]
async fn what_is_held_before_content_has_a_limit() {
    let noise = format!("event: news\ndata: {{\"type\":\"news\",\"text\":\"{}\"}}\n\n", "x".repeat(256 << 10));
    let flood = Reply::stream([bodies::message_start()]).part(Part::Forever(noise.into(), Duration::ZERO));
    let (alpha, beta) = (answering("alpha", flood).await, healthy("beta").await);
    let answer = Proxy::over([&alpha, &beta]).await.send(&Request::stream()).await;
    assert_eq!((answer.upstream(), answer.text()), ("beta", &*right_body(true)));
    assert!(alpha.written() < 256 << 20, "{} bytes", alpha.written());
}

/// Its head is the answer so far: a client that gets nothing cannot tell what became of its request.
#[tokio::test]
async fn an_unjudged_stream_that_breaks_at_once_has_its_head_all_the_same() {
    let alpha = answering("alpha", Reply::stream(bodies::events(&["Hello"])).cut_after(0, Part::Close)).await;
    let proxy = Config::in_order([&alpha]).set("validation.validate_streaming", "false").start().await;
    let answer = proxy.send(&Request::stream()).await;
    assert_eq!((answer.status(), &answer.end), (200, &End::Cut));
    assert_eq!(proxy.record(&answer).await["ending"], "cut");
}

#[tokio::test]
async fn an_answer_without_a_body_is_whole_whatever_it_calls_itself() {
    let alpha =
        answering("alpha", Reply::raw("HTTP/1.1 204 No Content\r\ncontent-type: text/event-stream\r\n\r\n")).await;
    let proxy = Proxy::over([&alpha]).await;
    let answer = proxy.send(&Request::new("DELETE", "/v1/files/x", "")).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(proxy.record(&answer).await["ending"], "complete");
}
