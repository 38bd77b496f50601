//! The fault table of the contract, row by row: what an attempt ends in, and what then becomes of the request, of the
//! endpoint's health, of the log and of the upstream's connection.
//!
//! Every row runs twice for each kind of request that it can meet: with a healthy second endpoint, and alone.

use std::time::Duration;

use claude_proxy::clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::proxy::{Config, Endpoint, tried};
use crate::support::upstream::coding::Coding;
use crate::support::upstream::{Accept, Refusing, Unanswering, faults};
use crate::support::{
    Answer, End, Framing, Part, Proxy, Reply, Request, Upstream, assert_right, bodies, eventually, healthy, ms,
};

const BOTH: &[bool] = &[false, true];
const JSON: &[bool] = &[false];
const STREAM: &[bool] = &[true];

/// What the endpoint alpha does to every request.
#[derive(Clone, Copy)]
enum Alpha {
    /// One of `faults::ALL`, or a status.
    Fault(&'static str),
    Does(fn(bool) -> Reply),
    Accepts(Accept),
    /// Nobody listens there.
    Refuses,
    /// Nobody takes the connection.
    Ignores,
    /// No such host.
    Nowhere,
    /// TLS is spoken to a server that does not know it.
    NoTls,
}
use Alpha::{Accepts, Does, Fault, Ignores, NoTls, Nowhere, Refuses};

/// What it does to the endpoint's health.
#[derive(Clone, Copy)]
enum Health {
    /// A second one brings it down.
    Failure,
    /// It is left alone at once.
    Rest,
    None,
}
use Health::{Failure, Rest};

/// What the client gets when there is no other endpoint.
#[derive(Clone, Copy)]
enum Alone {
    /// Our own error, which names the endpoint.
    Ours(u16, &'static str),
    /// The same, with `x-should-retry: false`.
    Hopeless,
    /// That status in Anthropic's format, with the upstream's `retry-after` if it named one.
    Limited(u16, &'static str),
    /// The upstream's own answer.
    Relayed(u16),
}
use Alone::{Hopeless, Limited, Ours, Relayed};

struct Row {
    alpha: Alpha,
    kinds: &'static [bool],
    /// The fault's word in the log, and the upstream's status where its head was seen.
    word: &'static str,
    status: Option<u16>,
    health: Health,
    alone: Alone,
}

fn row(
    alpha: Alpha,
    kinds: &'static [bool],
    word: &'static str,
    status: impl Into<Option<u16>>,
    health: Health,
    alone: Alone,
) -> Row {
    Row { alpha, kinds, word, status: status.into(), health, alone }
}

/// Before anything went down to the client: the next endpoint is asked.
#[tokio::test]
async fn broken_connections() {
    let end = Ours(502, "api_error");
    run(vec![
        row(Nowhere, BOTH, "connect", None, Failure, end),
        row(Refuses, BOTH, "connect", None, Failure, end),
        row(NoTls, BOTH, "connect", None, Failure, end),
        // The reset may be there before the connection is seen to stand.
        row(Accepts(Accept::Reset), BOTH, "transport|connect", None, Failure, end),
        row(Accepts(Accept::Close), BOTH, "transport", None, Failure, end),
        row(Accepts(Accept::Speak("no HTTP\r\n\r\n")), BOTH, "transport", None, Failure, end),
        row(Fault("close"), BOTH, "transport", None, Failure, end),
        row(Fault("reset"), BOTH, "transport", None, Failure, end),
        row(Fault("garbage"), BOTH, "transport", None, Failure, end),
        row(Fault("close-mid-head"), BOTH, "transport", None, Failure, end),
        row(Fault("huge-head"), BOTH, "transport", None, Failure, end),
        row(Does(|_| Reply::message("Hi").cut_at(20, Part::Close)), JSON, "transport", 200, Failure, end),
        row(Does(|_| Reply::message("Hi").cut_at(20, Part::Reset)), JSON, "transport", 200, Failure, end),
        row(Fault("wrong-label"), BOTH, "decode", 200, Failure, end),
        row(Does(half_coded), JSON, "decode", 200, Failure, end),
        row(Fault("cut-coding"), JSON, "transport", 200, Failure, end),
    ])
    .await;
}

#[tokio::test]
async fn time_outs() {
    let end = Ours(504, "timeout_error");
    run(vec![
        row(Ignores, BOTH, "connect_timeout", None, Failure, end),
        row(Fault("stall-before-head"), BOTH, "first_byte_timeout", None, Failure, end),
        row(Fault("stall-after-head"), JSON, "idle_timeout", 200, Failure, end),
        row(Fault("stall-after-head"), STREAM, "first_byte_timeout", 200, Failure, end),
        row(Does(|_| Reply::message("Hi").cut_at(20, Part::Hang)), JSON, "idle_timeout", 200, Failure, end),
        row(Fault("pings-only"), STREAM, "first_byte_timeout", 200, Failure, end),
        row(Fault("stall-after-start"), STREAM, "idle_timeout", 200, Failure, end),
        row(Does(pings_after_start), STREAM, "idle_timeout", 200, Failure, end),
    ])
    .await;
}

#[tokio::test]
async fn statuses_of_the_endpoints_own() {
    let end = Ours(502, "api_error");
    let mut rows = vec![
        row(Fault("redirect"), BOTH, "status", 302, Failure, end),
        row(Does(|_| Reply::html(404)), BOTH, "status", 404, Failure, end),
        row(Does(|_| Reply::html(405)), BOTH, "status", 405, Failure, end),
        row(Does(|_| Reply::html(502)), BOTH, "status", 502, Failure, end),
    ];
    for (fault, status) in [("304", 304), ("408", 408), ("409", 409)] {
        rows.push(row(Fault(fault), JSON, "status", status, Failure, end));
    }
    for (fault, status) in [("500", 500), ("501", 501), ("502", 502), ("503", 503), ("504", 504), ("520", 520)] {
        rows.push(row(Fault(fault), BOTH, "status", status, Failure, end));
    }
    for (fault, status) in [("401", 401), ("402", 402), ("403", 403)] {
        rows.push(row(Fault(fault), BOTH, "credentials", status, Failure, Hopeless));
    }
    run(rows).await;
}

#[tokio::test]
async fn limits() {
    let (rate, overload) = (Limited(429, "rate_limit_error"), Limited(529, "overloaded_error"));
    run(vec![
        row(Fault("429"), BOTH, "limited", 429, Rest, rate),
        row(Fault("529"), BOTH, "limited", 529, Rest, overload),
        row(Does(|_| Reply::html(429).retry_after(9)), BOTH, "limited", 429, Rest, rate),
        row(Does(|_| Reply::html(529).retry_after(9)), BOTH, "limited", 529, Rest, overload),
        row(Does(|_| Reply::status(429)), BOTH, "limited", 429, Failure, rate),
        row(Does(|_| Reply::status(529)), BOTH, "limited", 529, Failure, overload),
    ])
    .await;
}

/// A refusal that may be the endpoint's or the request's: others are asked, and if none knows better it is the answer.
#[tokio::test]
async fn refusals_that_another_endpoint_may_not_share() {
    run(vec![
        row(Does(no_credit), BOTH, "credentials", 400, Failure, Relayed(400)),
        row(Does(|_| Reply::html(400)), BOTH, "refused", 400, Health::None, Relayed(400)),
        row(Does(|_| Reply::html(413)), BOTH, "refused", 413, Health::None, Relayed(413)),
        row(Does(|_| Reply::html(422)), BOTH, "refused", 422, Health::None, Relayed(422)),
        row(Does(|_| Reply::html(418)), BOTH, "refused", 418, Health::None, Relayed(418)),
        row(Fault("404"), BOTH, "refused", 404, Health::None, Relayed(404)),
    ])
    .await;
}

#[tokio::test]
async fn answers_that_are_none() {
    let end = Ours(502, "api_error");
    run(vec![
        row(Fault("html"), JSON, "not_a_message", 200, Failure, end),
        row(Fault("empty"), JSON, "not_a_message", 200, Failure, end),
        row(Fault("openai"), JSON, "not_a_message", 200, Failure, end),
        row(Fault("error-under-200"), JSON, "not_a_message", 200, Failure, end),
        row(Does(|_| Reply::stream(bodies::events(&["Hi"]))), JSON, "not_a_message", 200, Failure, end),
        row(Does(no_content), JSON, "not_a_message", 204, Failure, end),
        row(Does(|_| Reply::json("{}")), JSON, "not_a_message", 200, Failure, end),
        row(Does(|_| Reply::json("[]")), JSON, "not_a_message", 200, Failure, end),
    ])
    .await;
}

#[tokio::test]
async fn streams_that_end_before_their_content() {
    let end = Ours(502, "api_error");
    run(vec![
        row(Fault("html"), STREAM, "broken_stream", 200, Failure, end),
        row(Fault("empty"), STREAM, "broken_stream", 200, Failure, end),
        row(Fault("openai"), STREAM, "broken_stream", 200, Failure, end),
        row(Does(|_| Reply::message("Hi")), STREAM, "broken_stream", 200, Failure, end),
        row(Fault("error-under-200"), STREAM, "broken_stream", 200, Failure, end),
        row(Does(no_content), STREAM, "broken_stream", 204, Failure, end),
        row(Does(|_| Reply::stream([bodies::PING])), STREAM, "broken_stream", 200, Failure, end),
        row(Does(|_| Reply::stream([bodies::message_start()])), STREAM, "broken_stream", 200, Failure, end),
        row(Fault("cut-after-start"), STREAM, "transport", 200, Failure, end),
        row(Does(|_| after_start(bodies::text_delta(0, "Hi"))), STREAM, "broken_stream", 200, Failure, end),
        row(Does(|_| after_start("event: ping\ndata: {\n\n".into())), STREAM, "broken_stream", 200, Failure, end),
        row(Does(|_| after_start("data: {\"type\":\"ping\"}\n\n".into())), STREAM, "broken_stream", 200, Failure, end),
        row(Does(|_| Reply::stream([bodies::block_start(0)])), STREAM, "broken_stream", 200, Failure, end),
        row(Fault("error-first"), STREAM, "limited", 200, Failure, Limited(529, "overloaded_error")),
        row(Does(|_| error("rate_limit_error")), STREAM, "limited", 200, Failure, Limited(429, "rate_limit_error")),
        row(Does(|_| error("api_error")), STREAM, "error_event", 200, Failure, end),
        row(Does(|_| error("authentication_error")), STREAM, "credentials", 200, Failure, Hopeless),
    ])
    .await;
}

fn half_coded(_: bool) -> Reply {
    // A gzip header and then nothing that could follow one.
    Reply::json(&b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff\xff\xff"[..]).header("content-encoding", "gzip")
}

fn no_content(_: bool) -> Reply {
    Reply::new(204, "text/plain", "").framed(Framing::None)
}

fn no_credit(_: bool) -> Reply {
    Reply::error(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
}

fn after_start(event: String) -> Reply {
    Reply::stream([bodies::message_start(), event])
}

fn error(kind: &str) -> Reply {
    after_start(bodies::error_event(kind, "not now"))
}

fn pings_after_start(_: bool) -> Reply {
    Reply::stream([bodies::message_start()]).part(Part::Forever(bodies::PING.into(), ms(50)))
}

async fn run(rows: Vec<Row>) {
    let mut running = JoinSet::new();
    for row in rows {
        for &stream in row.kinds {
            running.spawn(first_of_two(row.alpha, stream, row.word, row.status, row.health));
            running.spawn(alone(row.alpha, stream, row.word, row.status, row.alone));
            while running.len() >= 6 {
                running.join_next().await.unwrap().unwrap();
            }
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// An endpoint called alpha that misbehaves, and what keeps it so while it lives.
struct Lab {
    endpoint: Endpoint,
    upstream: Option<Upstream>,
    refusing: Option<Refusing>,
    ignoring: Option<Unanswering>,
}

impl Lab {
    async fn new(alpha: Alpha, stream: bool) -> Self {
        let script = Upstream::new("alpha");
        let script = match alpha {
            Fault(name) => script.always(faults::reply(name, stream).unwrap_or_else(|| panic!("no fault {name}"))),
            Does(reply) => script.always(reply(stream)),
            Accepts(accept) => script.accepting(accept),
            // It speaks at once: one that waits for the end of a head would leave the handshake waiting too.
            NoTls => script.accepting(Accept::Speak("no TLS\r\n\r\n")),
            Refuses | Ignores | Nowhere => script,
        };
        let upstream = script.start().await.unwrap();
        let mut lab = Self { endpoint: Endpoint::of(&upstream), upstream: None, refusing: None, ignoring: None };
        match alpha {
            Refuses => {
                let nobody = Refusing::new().unwrap();
                lab.endpoint = Endpoint::at("alpha", &nobody.url());
                lab.refusing = Some(nobody);
            }
            Ignores => {
                let nobody = Unanswering::new().await.unwrap();
                lab.endpoint = Endpoint::at("alpha", &nobody.url().unwrap());
                lab.ignoring = Some(nobody);
            }
            // Too long for a name: no resolver is asked, so none keeps it waiting.
            Nowhere => lab.endpoint = Endpoint::at("alpha", &format!("http://{}.invalid:9", "x".repeat(64))),
            NoTls => lab.endpoint = Endpoint::at("alpha", &upstream.url().replace("http:", "https:")),
            _ => {}
        }
        lab.upstream = Some(upstream);
        lab
    }

    /// The upstream is left with nothing to answer, soon.
    async fn is_given_up(&self) {
        let upstream = self.upstream.as_ref().unwrap();
        let limit = clock::now() + Duration::from_secs(1);
        while upstream.under_way() > 0 {
            assert!(clock::now() < limit, "the upstream still answers somebody");
            tokio::time::sleep(ms(5)).await;
        }
    }
}

fn quick(config: Config) -> Config {
    let config = config.set("timeouts.connect", "400ms").set("timeouts.first_byte", "400ms");
    config.set("timeouts.stream_idle", "400ms")
}

fn assert_attempt(record: &Value, word: &str, status: Option<u16>) {
    let first = &record["attempts"][0];
    assert_eq!(first["endpoint"], "alpha", "{record}");
    let fault = first["fault"].as_str().unwrap_or_default();
    assert!(word.split('|').any(|word| word == fault), "{word}: {record}");
    assert_eq!(first["status"], json!(status), "{record}");
}

async fn first_of_two(alpha: Alpha, stream: bool, word: &str, status: Option<u16>, health: Health) {
    let lab = Lab::new(alpha, stream).await;
    let beta = healthy("beta").await;
    let proxy = quick(Config::in_order([lab.endpoint.clone(), Endpoint::of(&beta)])).start().await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        let answer = proxy.send(&Request::turn(stream)).await;
        assert_right(&answer, stream, "beta");
        lab.is_given_up().await;
        let record = proxy.record(&answer).await;
        assert_eq!((&record["ending"], &record["endpoint"]), (&json!("complete"), &json!("beta")), "{record}");
        if asked.is_empty() {
            assert_attempt(&record, word, status);
        }
        asked.push(tried(&record).join(" "));
    }
    let (wanted, told) = match health {
        Failure => (["alpha beta", "alpha beta", "beta"], "endpoint alpha is down"),
        Rest => (["alpha beta", "beta", "beta"], "endpoint alpha rests"),
        Health::None => (["alpha beta", "alpha beta", "alpha beta"], "listening"),
    };
    assert_eq!(asked, wanted, "{word} {status:?}");
    proxy.says(told).await;
    assert_eq!(beta.hits(), 3);
}

async fn alone(alpha: Alpha, stream: bool, word: &str, status: Option<u16>, wanted: Alone) {
    let lab = Lab::new(alpha, stream).await;
    let proxy = quick(Config::in_order([lab.endpoint.clone()])).start().await;
    let answer = proxy.send(&Request::turn(stream)).await;
    lab.is_given_up().await;
    let record = proxy.record(&answer).await;
    assert_attempt(&record, word, status);
    assert_eq!((&record["status"], &record["endpoint"]), (&json!(answer.status()), &json!("alpha")), "{record}");
    assert!(record["error"].is_string(), "{record}");
    assert_eq!(answer.end, End::Clean);
    let ending = if matches!(wanted, Relayed(_)) { "relayed_error" } else { "failed" };
    assert_eq!(record["ending"], ending);
    match wanted {
        Ours(status, kind) => assert_ours(&answer, status, kind, None),
        Hopeless => assert_ours(&answer, 502, "api_error", Some("false")),
        Limited(status, kind) => {
            assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let named = names_a_wait(alpha, stream);
            assert_eq!(answer.header("retry-after").is_some(), named, "no wait is invented, none is lost");
        }
        Relayed(status) => {
            assert_eq!((answer.status(), answer.upstream()), (status, "alpha"));
            let Does(reply) = alpha else { return };
            assert_eq!(answer.body, reply(stream).body(), "byte for byte");
        }
    }
}

fn names_a_wait(alpha: Alpha, stream: bool) -> bool {
    let reply = match alpha {
        Fault(name) => faults::reply(name, stream).unwrap(),
        Does(reply) => reply(stream),
        _ => return false,
    };
    reply.has("retry-after")
}

fn assert_ours(answer: &Answer, status: u16, kind: &str, retry: Option<&str>) {
    assert_eq!((answer.status(), answer.error_type().as_str()), (status, kind), "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), retry);
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["request_id"], answer.request_id());
    assert!(answer.error_message().contains("alpha: "), "the endpoint is named: {}", answer.text());
}

/// A refusal in Anthropic's format is the answer, whatever other endpoints there are.
#[tokio::test]
async fn a_refusal_of_the_request_is_the_answer() {
    for (status, stream) in [400, 413, 418, 422, 451].into_iter().zip([false, true].into_iter().cycle()) {
        let body = bodies::error("invalid_request_error", "max_tokens:  too   large");
        let refusal = Reply::new(status, "application/json", body.clone()).header("x-should-retry", "true");
        let alpha = Upstream::new("alpha").always(refusal).start().await.unwrap();
        let beta = healthy("beta").await;
        let proxy = Proxy::over([&alpha, &beta]).await;
        for _ in 0..3 {
            let answer = proxy.send(&Request::turn(stream)).await;
            assert_eq!((answer.status(), answer.upstream(), answer.text()), (status, "alpha", body.as_str()));
            assert_eq!(answer.header("x-should-retry"), Some("true"));
            let record = proxy.record(&answer).await;
            assert_eq!((&record["ending"], tried(&record)), (&json!("relayed_error"), vec!["alpha"]));
            assert_eq!(
                (&record["attempts"][0]["status"], &record["attempts"][0]["fault"]),
                (&json!(status), &Value::Null)
            );
        }
        assert_eq!(beta.hits(), 0);
    }
}

/// After the commit point: what the client has stays, the connection is cut, and nobody else is asked.
#[tokio::test]
async fn streams_that_break_after_their_content() {
    let stream = || Reply::stream(bodies::events(&["Hello", " there"]));
    let pause = || Part::Pause(ms(30));
    let broken = |event: &str| stream().cut_after(4, Part::Bytes(event.to_owned().into()));
    let mut running = JoinSet::new();
    for (reply, word) in [
        (stream().cut_after(4, pause()).part(Part::Close), "transport"),
        (stream().cut_after(4, pause()).part(Part::Reset), "transport"),
        (broken("event: content_blo").part(Part::Close), "transport"),
        (stream().cut_after(4, Part::Hang), "idle_timeout"),
        (broken("event: content_blo").part(Part::Hang), "idle_timeout"),
        (stream().cut_after(4, pause()), "broken_stream"),
        (stream().cut_after(4, pause()).framed(Framing::Length(0)), "broken_stream"),
        (broken("event: content_block_delta\ndata: {\"type\":\n\n"), "broken_stream"),
        (broken("data: {\"type\":\"ping\"}\n\n"), "broken_stream"),
        (broken("<html>\n\n"), "broken_stream"),
        (broken(&bodies::text_delta(7, "no such block")).part(Part::Hang), "broken_stream"),
        (stream().cut_after(4, pause()).part(Part::Raw("zz\r\n".into())), "transport"),
        (stream().coded(Coding::Gzip).cut_after(4, pause()).part(Part::Close), "transport"),
    ] {
        running.spawn(cut(reply, word));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn cut(reply: Reply, word: &str) {
    let alpha = Upstream::new("alpha").always(reply).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = quick(Config::in_order([&alpha, &beta])).start().await;
    let kept = bodies::events(&["Hello", " there"])[..4].concat();
    for _ in 0..2 {
        let answer = proxy.send(&Request::stream()).await;
        assert_eq!((answer.status(), answer.text(), answer.end), (200, &*kept, End::Cut), "{word}");
        eventually("the upstream's connection is gone", || alpha.under_way() == 0).await;
        let record = proxy.record(&answer).await;
        assert_eq!((&record["ending"], tried(&record)), (&json!("cut"), vec!["alpha"]), "{record}");
        assert_attempt(&record, word, Some(200));
        assert_eq!((&record["status"], record["error"].is_string()), (&json!(200), true), "{record}");
    }
    assert_eq!(beta.hits(), 0, "nothing is spliced in");
    assert_right(&proxy.send(&Request::stream()).await, true, "beta");
    proxy.says("endpoint alpha is down").await;
}

/// A client that leaves takes its attempt with it: nobody else is asked, and no endpoint is blamed.
#[tokio::test]
async fn clients_that_leave() {
    let mut running = JoinSet::new();
    for (phase, stream, committed) in [
        ("stall-before-head", false, false),
        ("stall-before-head", true, false),
        ("stall-after-head", false, false),
        ("stall-after-head", true, false),
        ("pings-only", true, false),
        ("stall-after-start", true, false),
        ("stall-mid-text", true, true),
    ] {
        running.spawn(leaves(phase, stream, committed));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn leaves(phase: &str, stream: bool, committed: bool) {
    let alpha = Upstream::new("alpha").always(faults::reply(phase, stream).unwrap()).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = Proxy::over([&alpha, &beta]).await;
    for number in 1..=3 {
        let mut connection = proxy.client().connect().await;
        connection.send(&Request::turn(stream)).await;
        eventually("alpha is asked", || alpha.hits() == number).await;
        tokio::time::sleep(ms(50)).await;
        drop(connection);
        let left = clock::now();
        eventually("the attempt is cancelled", || alpha.under_way() == 0).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{phase}: {:?}", left.elapsed());
        eventually("the record", || proxy.records().len() == number).await;
        let record = proxy.records().pop().unwrap();
        assert_eq!((&record["ending"], tried(&record)), (&json!("client_gone"), vec!["alpha"]), "{phase}: {record}");
        assert_eq!(record["status"], if committed { 200 } else { 499 }, "{phase}");
        assert_eq!(record["attempts"][0]["fault"], Value::Null, "{phase}");
    }
    assert_eq!(beta.hits(), 0);
    alpha.set_default(None);
    assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
}
