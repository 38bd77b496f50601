//! What the request path spends on bytes: each step of it by itself, over the bytes that it meets most.
//!
//! ```text
//! cargo bench                  # all; criterion tells what changed since the last run
//! cargo bench -- judge         # those whose name has this word
//! ```

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use claude_proxy::config::{BodyMode, RequestTypes, Retention};
use claude_proxy::domain::endpoint::Auth;
use claude_proxy::domain::redact::Redactor;
use claude_proxy::domain::secret::Secret;
use claude_proxy::domain::sse::SseParser;
use claude_proxy::domain::{headers, message, peek};
use claude_proxy::logs::{self, Entry, Settings};
use claude_proxy::proxy::judge::StreamJudge;
use claude_proxy::wire::record::{AttemptRecord, RequestRecord};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};

criterion_group!(benches, parser, judge, answer, header_rules, request_peek, record_encoding);
criterion_main!(benches);

const EVENTS: usize = 200;

/// A message's stream whose events have 200 bytes, as those of a model that speaks fast.
fn stream() -> Bytes {
    let start = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let text = "a word or two ".repeat(6);
    let delta =
        format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#);
    let mut stream = event("message_start", start) + &event("content_block_start", block);
    stream.push_str(&event("content_block_delta", &delta).repeat(EVENTS));
    stream.into()
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn parser(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("parser");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for (name, piece) in [("whole", stream.len()), ("pieces of 1000 bytes", 1000)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut parser = SseParser::new(1 << 20);
                let mut released = 0;
                for at in (0..stream.len()).step_by(piece) {
                    parser.push(stream.slice(at..stream.len().min(at + piece)));
                    while parser.next_event().is_ok_and(|event| event.is_some()) {}
                    released += parser.release().len();
                }
                assert_eq!(released, stream.len());
            });
        });
    }
}

fn judge(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("judge");
    group.throughput(Throughput::Elements(EVENTS as u64 + 2));
    group.bench_function("events of 200 bytes", |bencher| {
        bencher.iter(|| {
            let fed = StreamJudge::default().feed(stream.clone());
            assert!(fed.end.is_none() && fed.released.len() == stream.len());
        });
    });
}

fn answer(c: &mut Criterion) {
    let text = "It says \\\"hello\\\" to whoever asks for it.\\n".repeat(50);
    let answer = format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":25,"output_tokens":500}}}}"#
    );
    let mut group = c.benchmark_group("judge");
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("message of 2 KB", |bencher| {
        bencher.iter(|| assert!(message::check_message(black_box(answer.as_bytes())).is_ok()));
    });
}

/// What Claude Code sends, in its order.
fn client_headers() -> HeaderMap {
    let pairs = [
        ("host", "127.0.0.1:8080"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("user-agent", "claude-cli/2.1.330 (external, cli)"),
        ("x-api-key", "a-token-of-some-length"),
        ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
        ("anthropic-version", "2023-06-01"),
        ("x-app", "cli"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-lang", "js"),
        ("x-stainless-retry-count", "0"),
        ("x-stainless-timeout", "600"),
        ("x-claude-code-session-id", "4f7c3c2e-1b1a-4c52-9d3b-0a5b8f6f2f11"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("connection", "keep-alive"),
        ("content-length", "2048"),
    ];
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn header_rules(c: &mut Criterion) {
    let client = client_headers();
    let auth = Auth::ApiKey(Secret::new("sk-a-key-of-some-length"));
    c.bench_function("headers/outbound", |bencher| bencher.iter(|| headers::outbound(black_box(&client), &auth, None)));
    c.bench_function("headers/inbound", |bencher| {
        bencher.iter_batched(|| client.clone(), headers::inbound, BatchSize::SmallInput);
    });
    c.bench_function("headers/detach", |bencher| {
        bencher.iter_batched_ref(|| client.clone(), headers::detach, BatchSize::SmallInput);
    });
}

/// A conversation of about so many bytes; what is looked for stands behind it.
fn conversation(bytes: usize) -> Bytes {
    let turn = r#"{"role":"user","content":[{"type":"text","text":"Say \"hello\".\nThen go on with the next one."}]}"#;
    let turns = vec![turn; bytes / turn.len() + 1].join(",");
    format!(
        r#"{{"messages":[{turns}],"max_tokens":64,"metadata":{{"user_id":"u_session_1"}},"model":"claude-sonnet-4-5","stream":true}}"#
    )
    .into()
}

fn request_peek(c: &mut Criterion) {
    let mut group = c.benchmark_group("peek");
    for (name, bytes) in [("2 KB", 2 << 10), ("100 KB", 100 << 10), ("1 MB", 1 << 20)] {
        let body = [conversation(bytes)];
        group.throughput(Throughput::Bytes(body[0].len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| assert!(peek::peek(black_box(&body)).stream)));
    }
}

/// From finished requests to their lines in the file, by the log's own thread.
fn record_encoding(c: &mut Criterion) {
    const RECORDS: usize = 1000;
    let Ok(folder) = tempfile::tempdir() else { return };
    let settings = Settings {
        directory: folder.path().to_owned(),
        types: RequestTypes::All,
        request_body: BodyMode::Truncated,
        response_body: BodyMode::Truncated,
        retention: Retention { max_age: std::time::Duration::MAX, max_size: 64 << 20 },
    };
    let redactor = Redactor::new(&[Secret::new("sk-a-key-of-some-length")]);
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
    group.bench_function("encoded and written", |bencher| {
        bencher.iter_batched(
            || {
                let (log, thread) = logs::start(settings.clone(), redactor.clone(), None);
                let (mut request, mut response) = log.captures(&[]);
                request.push(&conversation(2048));
                response.push(&stream());
                let entry = Entry {
                    record: record(),
                    request_headers: Arc::new(client_headers()),
                    request_body: request.finish(),
                    response_headers: client_headers(),
                    response_body: response.finish(),
                    ..Entry::default()
                };
                (vec![entry; RECORDS], log, thread)
            },
            |(entries, log, thread)| {
                for entry in entries {
                    log.submit(entry);
                }
                thread.finish();
            },
            BatchSize::PerIteration,
        );
    });
}

fn record() -> RequestRecord {
    let attempt = AttemptRecord { endpoint: "primary".into(), status: Some(200), ..AttemptRecord::default() };
    RequestRecord {
        id: "req_0123456789abcdef".into(),
        time: "2026-01-01T12:00:00.000+01:00".into(),
        method: "POST".into(),
        path: "/v1/messages?beta=true".into(),
        model: Some("claude-sonnet-4-5".into()),
        status: 200,
        endpoint: Some("primary".into()),
        attempts: vec![attempt],
        ..RequestRecord::default()
    }
}
