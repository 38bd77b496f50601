//! The life of a request over scripted upstreams, with the clock paused: what is tried, what the client gets, what
//! health remembers.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::super::exchange::Exchange;
use super::super::intake::{Inbound, api_path};
use super::super::relay::RelayBody;
use super::super::scripted::{Act, Piece, Scripted, answer, bytes, stream};
use super::super::{MakeExchange, Proxy};
use crate::clock;
use crate::config::Config;
use crate::domain::health::State;
use crate::domain::peek;
use crate::domain::redact::Redactor;
use crate::logs::{self, LogThread, Settings};
use crate::traffic::Traffic;
use crate::wire::record::{Ending, RequestRecord};

const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"x","content":[],"usage":{"input_tokens":3,"output_tokens":2}}"#;
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"x\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";
const BLOCK: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const STOP_REASON: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const OVERLOADED: &str =
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

/// Two endpoints, a before b, the real request path and the real log in front of them.
struct Bench {
    proxy: Arc<Proxy>,
    ends: HashMap<String, Scripted>,
    _log: LogThread,
    _folder: tempfile::TempDir,
}

/// What the client got.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
    /// Whether it ended as an answer should.
    clean: bool,
    took: Duration,
}

impl Bench {
    fn new(a: impl IntoIterator<Item = Act>, b: impl IntoIterator<Item = Act>) -> Self {
        Self::with("", a, b)
    }

    fn with(settings: &str, a: impl IntoIterator<Item = Act>, b: impl IntoIterator<Item = Act>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "endpoints:\n  - {{ name: a, url: 'http://a.example', auth_type: api_key, auth_value: sk-a-secret }}\n  \
             - {{ name: b, url: 'http://b.example', auth_type: auth_token, auth_value: sk-b-secret, priority: 2 }}\n{settings}\n"
        );
        let config = Config::from_text(&text, None, &|_| None).unwrap();
        let mut log_settings = Settings::from(&config.logging);
        log_settings.directory = folder.path().to_owned();
        let (log, thread) = logs::start(log_settings, Redactor::new(&config.secrets()), None);
        let ends = HashMap::from([("a".to_owned(), Scripted::new(a)), ("b".to_owned(), Scripted::new(b))]);
        let scripts = ends.clone();
        let make: MakeExchange = Box::new(move |spec| Ok(Arc::new(scripts[&spec.name].clone()) as Arc<dyn Exchange>));
        let redactor = Redactor::new(&config.secrets());
        let proxy = Proxy::with_exchanges(config, redactor, log, Traffic::new(), make);
        Self { proxy, ends, _log: thread, _folder: folder }
    }

    async fn post(&self, body: &str) -> Got {
        self.send(Method::POST, "/v1/messages?beta=true", &[], body).await
    }

    async fn stream(&self) -> Got {
        self.post(r#"{"model":"x","stream":true,"messages":[]}"#).await
    }

    async fn send(&self, method: Method, target: &'static str, headers: &[(&'static str, &str)], body: &str) -> Got {
        let began = clock::now();
        let response = self.proxy.serve_whole(inbound(method, target, headers, body)).await;
        let (head, body) = response.into_parts();
        let (body, clean) = read(body).await;
        Got { status: head.status.as_u16(), headers: head.headers, body, clean, took: clock::now() - began }
    }

    fn states(&self) -> Vec<State> {
        self.proxy.live.view().iter().map(|slot| slot.health.state(clock::now())).collect()
    }

    fn sent(&self, name: &str) -> usize {
        self.ends[name].sent().len()
    }

    /// The record of the request that ended last.
    async fn record(&self) -> Arc<RequestRecord> {
        // The log's thread lives outside the paused clock.
        loop {
            if let Some(record) = self.proxy.ledgers.log.recent().newest(1).pop() {
                return record;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn inbound(method: Method, target: &'static str, headers: &[(&'static str, &str)], body: &str) -> Inbound {
    let body = vec![Bytes::copy_from_slice(body.as_bytes())];
    let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    let target: http::uri::PathAndQuery = target.parse().unwrap();
    Inbound {
        path: api_path(&method, target.path()),
        peek: peek::peek(&body),
        method,
        target,
        headers: Arc::new(headers),
        body,
        session: None,
        opaque: false,
    }
}

async fn read(mut body: RelayBody) -> (String, bool) {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => return (String::from_utf8(text).unwrap(), false),
        }
    }
    (String::from_utf8(text).unwrap(), true)
}

fn good() -> Act {
    stream(vec![bytes(START), bytes(BLOCK), bytes(DELTA), bytes(STOP_REASON), bytes(STOP)])
}

fn whole() -> String {
    [START, BLOCK, DELTA, STOP_REASON, STOP].concat()
}

fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
}

fn limited(status: u16, retry_after: &str) -> Act {
    Act::Answer(status, vec![("retry-after", retry_after.into())], vec![bytes(error("rate_limit_error", "slow down"))])
}

#[tokio::test(start_paused = true)]
async fn every_fault_before_the_commit_point_moves_a_stream_on() {
    let secs = Duration::from_secs;
    for (name, act, takes) in [
        ("refused", Act::Refuse, 0),
        ("no connection", Act::HangOnConnect, 10),
        ("no head", Act::Hang, 60),
        ("died", Act::Die, 0),
        ("500", answer(500, "{}"), 0),
        ("401", answer(401, &error("authentication_error", "no")), 0),
        ("404 in html", answer(404, "<html>"), 0),
        ("302", answer(302, ""), 0),
        ("html", stream(vec![bytes("<html></html>\n")]), 0),
        ("json", answer(200, MESSAGE), 0),
        ("openai", stream(vec![bytes("data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\"}\n\n")]), 0),
        ("error first", stream(vec![bytes(OVERLOADED)]), 0),
        ("empty", stream(vec![]), 0),
        ("cut at once", stream(vec![Piece::Cut]), 0),
        ("silent after the head", stream(vec![Piece::Hang]), 60),
        ("pings for ever", stream((0..40).flat_map(|_| [bytes(PING), Piece::Wait(secs(2))]).collect()), 60),
        ("silent after message_start", stream(vec![bytes(START), Piece::Hang]), 120),
        (
            "pings after message_start",
            stream(
                std::iter::once(bytes(START))
                    .chain((0..100).flat_map(|_| [bytes(PING), Piece::Wait(secs(2))]))
                    .collect(),
            ),
            120,
        ),
        ("cut after message_start", stream(vec![bytes(START), Piece::Cut]), 0),
        ("end after message_start", stream(vec![bytes(START)]), 0),
        ("error after message_start", stream(vec![bytes(START), bytes(OVERLOADED)]), 0),
        ("not gzip", Act::Answer(200, vec![("content-encoding", "gzip".into())], vec![bytes(START)]), 0),
        ("unknown coding", Act::Answer(200, vec![("content-encoding", "rot13".into())], vec![bytes(START)]), 0),
    ] {
        let bench = Bench::new([act], [good()]);
        let got = bench.stream().await;
        assert_eq!((got.status, got.clean, got.body.as_str()), (200, true, whole().as_str()), "{name}");
        assert_eq!(got.took.as_secs(), takes, "{name}");
        assert_eq!(bench.states(), [State::Degraded, State::Up], "{name}");
        let record = bench.record().await;
        assert_eq!(record.ending, Ending::Complete, "{name}");
        let tried: Vec<_> = record.attempts.iter().map(|a| (a.endpoint.as_str(), a.fault.is_some())).collect();
        assert_eq!(tried, [("a", true), ("b", false)], "{name}");
        assert_eq!(record.usage.unwrap().output, Some(9), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_commit_point_a_fault_cuts_and_nobody_else_is_asked() {
    let silence = vec![bytes([START, BLOCK, DELTA].concat()), Piece::Hang];
    for (name, pieces, takes, fault) in [
        ("cut", vec![bytes([START, BLOCK, DELTA].concat()), Piece::Cut], 0, "transport"),
        ("clean end", vec![bytes([START, BLOCK, DELTA].concat())], 0, "broken_stream"),
        (
            "half an event",
            vec![bytes([START, BLOCK, DELTA].concat()), bytes("event: content"), Piece::Cut],
            0,
            "transport",
        ),
        (
            "broken event",
            vec![bytes([START, BLOCK, DELTA].concat()), bytes("event: x\ndata: {\n\n")],
            0,
            "broken_stream",
        ),
        ("broken in the same read", vec![bytes([START, BLOCK, DELTA, "nonsense\n"].concat())], 0, "broken_stream"),
        ("silence", silence, 120, "idle_timeout"),
    ] {
        let bench = Bench::new([stream(pieces)], [good()]);
        let got = bench.stream().await;
        assert_eq!(
            (got.status, got.clean, got.body.as_str()),
            (200, false, [START, BLOCK, DELTA].concat().as_str()),
            "{name}"
        );
        assert_eq!(got.took.as_secs(), takes, "{name}");
        assert_eq!(bench.sent("b"), 0, "{name}");
        assert_eq!(bench.states(), [State::Degraded, State::Up], "{name}");
        let record = bench.record().await;
        assert_eq!((record.ending, record.attempts[0].fault.as_deref()), (Ending::Cut, Some(fault)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_whole_however_it_ends() {
    let begun = [START, BLOCK, DELTA, STOP_REASON].concat();
    for (name, pieces) in [
        ("no message_stop", vec![bytes(begun.clone())]),
        ("cut after the stop reason", vec![bytes(begun.clone()), Piece::Cut]),
        ("silent after the stop reason", vec![bytes(begun.clone()), Piece::Hang]),
        ("half a message_stop", vec![bytes(begun.clone()), bytes("event: message_st"), Piece::Cut]),
        ("[DONE] instead", vec![bytes(begun.clone()), bytes("data: [DONE]\n\n"), Piece::Hang]),
        ("[DONE] behind it", vec![bytes(begun.clone()), bytes(STOP), bytes("data: [DONE]\n\n"), Piece::Hang]),
        ("open after message_stop", vec![bytes(begun.clone()), bytes(STOP), Piece::Hang]),
    ] {
        let bench = Bench::new([stream(pieces)], []);
        let got = bench.stream().await;
        assert_eq!((got.clean, got.body.as_str()), (true, whole().as_str()), "{name}");
        assert_eq!(bench.states()[0], State::Up, "{name}");
        assert_eq!(bench.record().await.ending, Ending::Complete, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_after_the_commit_point_goes_down_as_it_is() {
    let bench = Bench::new([stream(vec![bytes([START, BLOCK].concat()), bytes(OVERLOADED), Piece::Hang])], [good()]);
    let got = bench.stream().await;
    assert_eq!((got.clean, got.body), (true, [START, BLOCK, OVERLOADED].concat()));
    assert_eq!(bench.states()[0], State::Degraded);
    assert_eq!(bench.record().await.ending, Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_moving_stream_has_no_total_limit() {
    let slow = (0..60).flat_map(|_| [Piece::Wait(Duration::from_secs(100)), bytes(DELTA)]);
    let pieces =
        [bytes(START), bytes(BLOCK)].into_iter().chain(slow).chain([bytes(STOP_REASON), bytes(STOP)]).collect();
    let got = Bench::new([stream(pieces)], []).stream().await;
    assert!(got.clean);
    assert_eq!(got.took.as_secs(), 6000);
}

#[tokio::test(start_paused = true)]
async fn disconnect_on_invalid_off_lets_a_broken_stream_pass_and_remembers_it() {
    let rest = "event: x\ndata: {\n\nwhatever\n";
    let act = stream(vec![bytes([START, BLOCK].concat()), bytes(rest), bytes(STOP)]);
    let bench = Bench::with("validation: { disconnect_on_invalid: false }", [act], []);
    let got = bench.stream().await;
    assert_eq!((got.clean, got.body), (true, [START, BLOCK, rest, STOP].concat()));
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::Cut);
    assert!(record.error.as_deref().unwrap().contains("event 3"), "{:?}", record.error);
    assert_eq!(bench.states()[0], State::Degraded);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_gets_when_nobody_has_an_answer() {
    let credit = error("invalid_request_error", "Your credit balance is too low");
    let missing = error("not_found_error", "model: x");
    for (name, a, b, status, kind, retry_after, should_retry) in [
        ("both broke", Act::Die, Act::Refuse, 502, "api_error", None, None),
        ("both hang", Act::Hang, Act::HangOnConnect, 504, "timeout_error", None, None),
        ("a limit that can be waited out", Act::Die, limited(429, "7"), 429, "rate_limit_error", Some("7"), None),
        ("the soonest of two", limited(429, "50"), limited(529, "20"), 529, "rate_limit_error", Some("20"), None),
        ("one too long to wait", limited(429, "61"), Act::Die, 503, "api_error", None, None),
        ("both too long to wait", limited(429, "90"), limited(429, "80"), 429, "rate_limit_error", Some("80"), None),
        ("a limit without a body", answer(529, ""), Act::Die, 529, "overloaded_error", None, None),
        ("bad keys", answer(401, ""), answer(403, ""), 502, "api_error", None, Some("false")),
        ("one bad key", answer(401, ""), Act::Die, 502, "api_error", None, None),
        ("no credit anywhere", answer(400, &credit), answer(400, &credit), 400, "invalid_request_error", None, None),
        ("no such model", answer(404, &missing), answer(404, &missing), 404, "not_found_error", None, None),
        ("no such model and broken", answer(404, &missing), Act::Die, 502, "api_error", None, None),
    ] {
        let bench = Bench::new([a], [b]);
        let got = bench.post(r#"{"model":"x"}"#).await;
        let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!((got.status, body["error"]["type"].as_str()), (status, Some(kind)), "{name}: {}", got.body);
        let header = |name| got.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((header("retry-after"), header("x-should-retry")), (retry_after, should_retry), "{name}");
        assert!(got.headers.contains_key("request-id"), "{name}");
        assert_eq!(bench.record().await.status, status, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_that_cannot_be_a_message_is_not_waited_for() {
    let pings = || (0..500).flat_map(|_| [bytes(PING), Piece::Wait(Duration::from_secs(1))]).collect();
    let spaced = ["\u{feff}", " ", "\r\n\t", MESSAGE];
    let slow = || spaced.iter().flat_map(|part| [bytes(*part), Piece::Wait(Duration::from_secs(100))]).collect();
    for (name, pieces, takes, faults) in [
        ("pings", pings(), 0, [true, false].as_slice()),
        ("a page", vec![bytes(" \n<html>"), Piece::Hang], 0, &[true, false]),
        ("white space, then a message", slow(), 400, &[false]),
    ] {
        let bench = Bench::with("timeouts: { commit: 1000s }", [stream(pieces)], [answer(200, MESSAGE)]);
        let got = bench.post(r#"{"model":"x"}"#).await;
        assert_eq!((got.status, got.took.as_secs()), (200, takes), "{name}: {}", got.body);
        let tried: Vec<_> = bench.record().await.attempts.iter().map(|attempt| attempt.fault.is_some()).collect();
        assert_eq!(tried, faults, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_request_is_the_answer_and_harms_nobody() {
    let refusal = error("invalid_request_error", "max_tokens: required");
    let bench = Bench::new([answer(400, &refusal)], [good()]);
    let got = bench.stream().await;
    assert_eq!((got.status, got.body), (400, refusal));
    assert_eq!((bench.sent("b"), bench.states()), (0, vec![State::Up, State::Up]));
    assert_eq!(bench.record().await.ending, Ending::RelayedError);
}

#[tokio::test(start_paused = true)]
async fn the_whole_request_ends_before_the_client_gives_up() {
    let bench = Bench::new([Act::Hang], [Act::Hang]);
    let body = r#"{"model":"x"}"#;
    let got = bench.send(Method::POST, "/v1/messages", &[("x-stainless-timeout", "20")], body).await;
    assert_eq!((got.status, got.took.as_secs()), (504, 19));
    assert_eq!(bench.sent("b"), 0);

    let bench = Bench::with("timeouts: { commit: 100s }", [Act::Hang], [Act::Hang]);
    let got = bench.send(Method::POST, "/v1/messages", &[("x-stainless-timeout", "600")], body).await;
    assert_eq!((got.status, got.took.as_secs()), (504, 100));
    assert_eq!(bench.states(), [State::Degraded, State::Up], "the second only had what the first had left");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_safe_to_repeat_is_not_sent_twice() {
    for (name, act, moves_on, says) in [
        ("never reached", Act::Refuse, true, ""),
        ("not all of the body", Act::DieBeforeBody, true, ""),
        ("refused", answer(503, ""), true, ""),
        ("limited", answer(429, ""), true, ""),
        ("answer lost", Act::Die, false, "not safe to send twice"),
        ("no answer in time", Act::Hang, false, "not safe to send twice"),
        ("broke on it", answer(500, ""), false, "500"),
    ] {
        let bench = Bench::new([act], [answer(200, "{\"id\":\"batch\"}")]);
        let got = bench.send(Method::POST, "/v1/messages/batches", &[], "{}").await;
        assert_eq!(bench.sent("b"), usize::from(moves_on), "{name}");
        assert_eq!(got.status, if moves_on { 200 } else { 502 }, "{name}");
        assert!(got.body.contains(says), "{name}: {}", got.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_connection_is_replaced_once_and_is_no_failure() {
    let bench = Bench::new([Act::DieStale, answer(200, MESSAGE)], []);
    assert_eq!(bench.post(r#"{"model":"x"}"#).await.status, 200);
    assert_eq!((bench.ends["a"].connections(), bench.states()[0]), (2, State::Up));
    assert_eq!(bench.record().await.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_goes_up_is_the_clients_request_with_the_endpoints_key() {
    let bench = Bench::new([Act::Refuse], [answer(200, MESSAGE)]);
    let body = r#"{"model":"x",  "messages":[]}"#;
    let headers = [
        ("x-api-key", "theirs"),
        ("authorization", "Bearer theirs"),
        ("anthropic-beta", "a,b"),
        ("content-length", "29"),
    ];
    bench.send(Method::POST, "/v1/messages?beta=true", &headers, body).await;
    let (head, sent) = bench.ends["b"].sent().remove(0);
    assert_eq!(
        (head.method.as_str(), head.uri.to_string().as_str()),
        ("POST", "http://b.example/v1/messages?beta=true")
    );
    let mut lines: Vec<_> = head.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    assert_eq!(lines, ["anthropic-beta: a,b", "authorization: Bearer sk-b-secret", "content-length: 29"]);
    assert_eq!(sent, body);
}

#[tokio::test(start_paused = true)]
async fn right_bytes_under_a_wrong_label_are_relabelled() {
    let labelled = |label: &str, body: Vec<Piece>| Act::Answer(200, vec![("content-type", label.into())], body);
    let bench = Bench::new([labelled("text/plain", vec![bytes(MESSAGE)])], []);
    assert_eq!(bench.post("{}").await.headers["content-type"], "application/json");
    let bench = Bench::new([labelled("application/json", vec![bytes(whole())])], []);
    assert_eq!(bench.stream().await.headers["content-type"], "text/event-stream");
    let bench = Bench::new([labelled("text/event-stream; charset=utf-8", vec![bytes(whole())])], []);
    assert_eq!(bench.stream().await.headers["content-type"], "text/event-stream; charset=utf-8");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_harms_nobody_and_is_recorded() {
    let bench = Bench::new([Act::Hang], [good()]);
    let body = r#"{"model":"x"}"#;
    let left = tokio::time::timeout(Duration::from_secs(3), bench.post(body)).await;
    assert!(left.is_err());
    let record = bench.record().await;
    assert_eq!((record.ending, record.status, record.endpoint.as_deref()), (Ending::ClientGone, 499, Some("a")));
    assert_eq!((bench.sent("b"), bench.states()), (0, vec![State::Up, State::Up]));
    assert_eq!(bench.proxy.live.view()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bug_of_ours_is_not_recorded_as_a_client_that_left() {
    let bench = Bench::new([Act::Panic], [good()]);
    let proxy = Arc::clone(&bench.proxy);
    let request = inbound(Method::POST, "/v1/messages", &[], "{}");
    assert!(tokio::spawn(async move { proxy.serve_whole(request).await }).await.is_err_and(|error| error.is_panic()));
    let record = bench.record().await;
    assert_eq!((record.ending, record.error.as_deref()), (Ending::Failed, Some("a bug in claude-proxy ended it")));
}

#[tokio::test(start_paused = true)]
async fn a_limited_endpoint_rests_as_long_as_it_asked() {
    let bench = Bench::new([limited(429, "30"), good()], [good(), good(), good()]);
    bench.stream().await;
    assert_eq!(bench.states(), [State::Resting, State::Up]);
    tokio::time::advance(Duration::from_secs(29)).await;
    bench.stream().await;
    assert_eq!((bench.sent("a"), bench.sent("b")), (1, 2));
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.stream().await;
    assert_eq!((bench.sent("a"), bench.sent("b")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_down_endpoint_is_probed_with_the_last_good_requests_model_and_headers() {
    let bench = Bench::new([Act::Die, Act::Die, Act::Die, good()], [good(), good()]);
    let prober = tokio::spawn(super::super::probe::watch(Arc::clone(&bench.proxy)));
    let body = r#"{"model":"opus","stream":true}"#;
    for _ in 0..2 {
        bench.send(Method::POST, "/v1/messages", &[("anthropic-beta", "b1"), ("x-api-key", "theirs")], body).await;
    }
    assert_eq!(bench.states(), [State::Down, State::Up]);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((bench.sent("a"), bench.states()[0]), (3, State::Down), "the first probe failed");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((bench.sent("a"), bench.states()[0]), (4, State::Up));
    let (head, sent) = bench.ends["a"].sent().remove(3);
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!((sent["model"].as_str(), sent["stream"].as_bool()), (Some("opus"), Some(true)));
    assert_eq!(
        (&head.headers["anthropic-beta"], &head.headers["x-api-key"]),
        (&"b1".parse().unwrap(), &"sk-a-secret".parse().unwrap())
    );
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!((bench.sent("a"), bench.sent("b")), (4, 2), "a healthy endpoint is never probed");
    prober.abort();
}

/// Streams once a minute for twenty minutes, as a developer at work does.
async fn work_on(bench: &Bench) {
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_mins(1)).await;
        bench.stream().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_went_down_during_its_rest_comes_back() {
    let body = vec![Piece::Wait(Duration::from_millis(10)), bytes(error("rate_limit_error", "slow down"))];
    let slowly = Act::Answer(429, vec![("retry-after", "30".into())], body);
    let bench = Bench::new([slowly.clone(), slowly, good(), good()], (0..50).map(|_| good()));
    let prober = tokio::spawn(super::super::probe::watch(Arc::clone(&bench.proxy)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::join!(bench.stream(), bench.stream());
    assert_eq!((bench.sent("a"), bench.sent("b")), (2, 2));
    work_on(&bench).await;
    assert!(bench.sent("a") > 2, "it was probed");
    prober.abort();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_found_down_while_choosing_comes_back() {
    let bench = Bench::new([good(), Act::Die, Act::Die, good(), good()], (0..50).map(|_| good()));
    let prober = tokio::spawn(super::super::probe::watch(Arc::clone(&bench.proxy)));
    bench.stream().await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    bench.stream().await;
    bench.stream().await;
    assert_eq!(bench.states()[0], State::Degraded, "the success before is still in the window");
    tokio::time::sleep(Duration::from_secs(45)).await;
    work_on(&bench).await;
    assert!(bench.sent("a") > 3, "it was probed");
    prober.abort();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_hangs_does_not_hold_up_the_next_endpoint() {
    for status in [503, 500, 501, 401, 408, 409, 429, 529, 302] {
        let bench = Bench::new([Act::Answer(status, vec![], vec![Piece::Hang])], [good()]);
        let got = bench.stream().await;
        assert_eq!((got.status, got.took.as_secs()), (200, 5), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_relay_that_broke_off_does_not_go_down_empty() {
    let half = || Act::Answer(501, vec![], vec![bytes("not "), Piece::Cut]);
    let got = Bench::new([half()], [half()]).send(Method::GET, "/v1/files", &[], "").await;
    assert_eq!((got.status, got.body.contains("the connection broke")), (502, true), "{}", got.body);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_a_credential_or_a_flood_stays_out_of_the_record() {
    let answering = |id: String| Act::Answer(200, vec![("request-id", id)], vec![bytes(MESSAGE)]);
    let bench = Bench::new([answering("their-own-key-123".into())], []);
    let got = bench.send(Method::POST, "/v1/messages", &[("x-api-key", "their-own-key-123")], "{}").await;
    assert_eq!(got.headers["request-id"], "their-own-key-123");
    assert_eq!(bench.record().await.id, "[redacted]");

    let bench = Bench::new([answering("x".repeat(60_000))], []);
    let got = bench.post("{}").await;
    let id = got.headers["request-id"].to_str().unwrap().to_owned();
    assert!(id.len() < 64, "{} bytes", id.len());
    assert_eq!(bench.record().await.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_head_request_is_recorded_as_it_ended() {
    let bench = Bench::new([Act::Die], [Act::Die]);
    bench.send(Method::HEAD, "/v1/models", &[], "").await;
    let record = bench.record().await;
    assert_eq!((record.status, record.ending), (502, Ending::Failed));
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_is_empty_in_every_coding() {
    for coding in ["gzip", "br", "zstd", "deflate"] {
        let bench = Bench::new([Act::Answer(200, vec![("content-encoding", coding.into())], vec![])], []);
        let got = bench.send(Method::DELETE, "/v1/files/x", &[], "").await;
        assert_eq!((got.status, got.body.as_str()), (200, ""), "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_coded_twice_over_is_not_worth_the_danger() {
    let twice = Act::Answer(200, vec![("content-encoding", "gzip, gzip".into())], vec![bytes("x")]);
    let bench = Bench::new([twice], [good()]);
    assert_eq!(bench.stream().await.status, 200);
    assert_eq!(bench.record().await.attempts[0].fault.as_deref(), Some("decode"));
}

#[tokio::test(start_paused = true)]
async fn a_coded_stream_that_moves_is_alive_though_nothing_can_be_read_yet() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all([START, BLOCK].concat().as_bytes()).unwrap();
    gzip.flush().unwrap();
    let begun = std::mem::take(gzip.get_mut());
    gzip.write_all([DELTA, STOP_REASON, STOP].concat().as_bytes()).unwrap();
    let rest = gzip.finish().unwrap();
    // As a server sends it that has nothing to say.
    let nothing = || [Piece::Wait(Duration::from_secs(100)), Piece::Bytes(Bytes::from_static(b"\0\0\0\xff\xff"))];
    let mut pieces = vec![Piece::Bytes(begun.into())];
    pieces.extend((0..5).flat_map(|_| nothing()));
    pieces.push(Piece::Bytes(rest.into()));
    let got = Bench::new([Act::Answer(200, vec![("content-encoding", "gzip".into())], pieces)], []).stream().await;
    assert_eq!((got.clean, got.took.as_secs()), (true, 500));
    assert_eq!(got.body, [START, BLOCK, DELTA, STOP_REASON, STOP].concat());
}

/// The client would lose even the head: the server drops what it has not written, and the runtime may keep it from
/// writing in the turn in which the stream broke.
#[tokio::test(start_paused = true)]
async fn what_was_good_is_written_before_the_client_is_cut() {
    let bench = Bench::new([stream(vec![bytes([START, BLOCK, "nonsense\n"].concat())])], []);
    let body = r#"{"model":"x","stream":true,"messages":[]}"#;
    let request = inbound(Method::POST, "/v1/messages", &[], body);
    let mut body = std::pin::pin!(bench.proxy.serve_whole(request).await.into_body());
    let mut poll = || {
        let mut cx = Context::from_waker(Waker::noop());
        body.as_mut().poll_frame(&mut cx)
    };
    assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
    assert!(poll().is_pending() && poll().is_pending());
    assert!(matches!(poll(), Poll::Ready(Some(Err(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_passed_although_broken_is_no_model_for_probes() {
    let act = stream(vec![bytes([START, BLOCK].concat()), bytes("nonsense\n")]);
    let bench = Bench::with("validation: { disconnect_on_invalid: false }", [act], []);
    bench.stream().await;
    assert!(bench.proxy.live.last_good().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_descriptor_is_waited_for_and_no_endpoint_blamed_for_its_lack() {
    let bench = Bench::new([Act::NoDescriptor, Act::NoDescriptor, answer(200, MESSAGE)], []);
    let got = bench.post(r#"{"model":"x"}"#).await;
    assert_eq!((got.status, got.body.as_str()), (200, MESSAGE));
    assert!(got.took < Duration::from_secs(1), "{:?}", got.took);

    let never = || std::iter::repeat_n(Act::NoDescriptor, 1000);
    let bench = Bench::new(never(), [answer(200, MESSAGE)]);
    let got = bench.post(r#"{"model":"x"}"#).await;
    assert_eq!((got.status, got.body.as_str()), (200, MESSAGE));
    assert_eq!(bench.record().await.attempts[0].fault.as_deref(), Some("machine"));
    assert_eq!(bench.states(), [State::Up, State::Up]);
    assert!(bench.ends["a"].connections() < 300, "it does not spin");

    let bench = Bench::new(never(), never());
    for _ in 0..3 {
        let got = bench.post(r#"{"model":"x"}"#).await;
        assert_eq!(got.status, 502, "{}", got.body);
        assert!(got.body.contains("ulimit -n"), "{}", got.body);
    }
    assert_eq!(bench.states(), [State::Up, State::Up]);
}
