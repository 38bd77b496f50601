//! See what claude-proxy does, without a key and without a network: three scripted endpoints, the real program in front
//! of them, and traffic like Claude Code's, until Ctrl-C.
//!
//! ```text
//! cargo run --release --example demo
//! ```

#[path = "support/process.rs"]
pub mod process;
// The tests use more of it than this program does.
#[path = "../tests/support/upstream.rs"]
pub mod upstream;

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use claude_proxy::clock;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use process::{Failure, Program};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use upstream::{Part, Refusing, Reply, Seen, Upstream, bodies, faults};

/// claude-proxy with three scripted endpoints: one flaky, one dead, one healthy
#[derive(Parser)]
struct Args {
    /// A short fixed run instead of one until Ctrl-C
    #[arg(long)]
    once: bool,
}

/// What the flaky endpoint does with one request after another; `None` is a right answer.
const MOODS: [Option<&str>; 12] = [
    None,
    None,
    Some("529"),
    None,
    Some("cut-after-start"),
    None,
    Some("html"),
    None,
    None,
    Some("stall-after-head"),
    Some("reset"),
    None,
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let mood = AtomicUsize::new(0);
    let flaky = Upstream::new("flaky").forgetting().choose(move |seen| moody(seen, &mood)).start().await?;
    let dead = Refusing::new()?;
    let healthy = Upstream::new("healthy").forgetting().choose(|seen| talk("healthy", seen)).start().await?;
    let mut program = Program::start(&config(&flaky, &dead, &healthy, free_port()?)).await?;
    introduce(&mut program).await;
    let traffic = async {
        if args.once {
            return traffic(&program, 0, MOODS.len()).await;
        }
        // Three at a time, as with three people.
        let people = [0, 1, 2].map(|person| traffic(&program, person * 1_000_001, usize::MAX));
        let [a, b, c] = people;
        tokio::try_join!(a, b, c).map(|_| ())
    };
    tokio::select! {
        done = traffic => or_nobody_reads(done),
        stopped = told_to_end() => Ok(stopped?),
    }
}

/// By whatever ends a program in a terminal: only one that returns takes its proxy along.
async fn told_to_end() -> std::io::Result<()> {
    let (mut hangup, mut terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = hangup.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// For the admin API, so that the demo never disturbs a proxy that runs already.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// `demo | head` ends quietly.
fn or_nobody_reads(done: Result<(), Failure>) -> Result<(), Failure> {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    match done {
        Err(error) if error.downcast_ref().is_some_and(closed) => Ok(()),
        other => other,
    }
}

fn config(flaky: &Upstream, dead: &Refusing, healthy: &Upstream, admin: u16) -> String {
    let endpoint = |priority: u8, name: &str, url: String| {
        format!(
            "  - {{ name: {name}, url: \"{url}\", auth_type: api_key, auth_value: sk-demo-{name}, priority: {priority} }}\n"
        )
    };
    let sections = [
        "server: { port: 0 }\n".to_owned(),
        format!("web_admin: {{ port: {admin} }}\n"),
        "health: { check_interval: 5s }\n".to_owned(),
        "timeouts: { first_byte: 2s, stream_idle: 2s }\n".to_owned(),
        "endpoints:\n".to_owned(),
        endpoint(1, "flaky", flaky.url()),
        endpoint(2, "dead", dead.url()),
        endpoint(3, "healthy", healthy.url()),
    ];
    sections.concat()
}

async fn introduce(program: &mut Program) {
    println!("flaky comes first, then dead (nobody listens there), then healthy.\n");
    // Everything that it says at its start.
    while let Ok(Some(line)) = tokio::time::timeout(Duration::from_millis(200), program.lines.recv()).await {
        println!("  {line}");
    }
    let logs = program.folder().join("logs");
    println!("\nWhile this runs, in another terminal:");
    println!("  claude-proxy --config {} tui", program.folder().join("config.yaml").display());
    println!("  curl http://{}/v1/models", program.address);
    println!("  tail -f {}/requests-*.jsonl\n", logs.display());
    println!("{:<28} {:<7} {:<10} {:>9} {:>9}  tried", "request", "status", "answered", "first", "whole");
}

fn moody(seen: &Seen, mood: &AtomicUsize) -> Option<Reply> {
    let turn = mood.fetch_add(1, Ordering::Relaxed);
    match MOODS[turn % MOODS.len()] {
        Some("529") => Some(Reply::status(529).retry_after(1)),
        Some(fault) => faults::reply(fault, seen.wants_stream()),
        None => talk("flaky", seen),
    }
}

/// A sentence, word by word.
fn talk(name: &str, seen: &Seen) -> Option<Reply> {
    let words = ["I", " am", " the", " ", name, " endpoint", " and", " this", " is", " my", " answer", "."];
    let path = seen.target.split('?').next().unwrap_or_default();
    path.ends_with("/messages").then(|| {
        if seen.wants_stream() {
            // One stream in three is slow enough to be watched.
            let pause = if seen.body.len().is_multiple_of(3) { 200 } else { 20 };
            Reply::stream(bodies::events(&words)).spaced(&Part::Pause(Duration::from_millis(pause)))
        } else {
            Reply::message(&words.concat())
        }
    })
}

type Http = Client<HttpConnector, Full<Bytes>>;

async fn traffic(program: &Program, from: usize, count: usize) -> Result<(), Failure> {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    for number in (from..).take(count) {
        let (id, status, first, whole) = ask(&http, program, number).await?;
        let record = record(program, &id).await?;
        writeln!(
            std::io::stdout(),
            "{:<28} {status:<7} {:<10} {:>6} ms {:>6} ms  {}",
            label(&record),
            record["endpoint"].as_str().unwrap_or("-"),
            first.as_millis(),
            whole.as_millis(),
            tried(&record),
        )?;
        tokio::time::sleep(Duration::from_millis(if count == usize::MAX { 700 } else { 10 })).await;
    }
    Ok(())
}

/// Sends one request; its id, status, and the time to the head and to the end.
async fn ask(http: &Http, program: &Program, number: usize) -> Result<(String, u16, Duration, Duration), Failure> {
    let stream = number % 4 != 3;
    let path = if number % 6 == 5 { "/v1/messages/count_tokens?beta=true" } else { "/v1/messages?beta=true" };
    let model = ["claude-haiku-4-5-20251001", bodies::MODEL, "claude-sonnet-5"][number / 3 % 3];
    let mut body = json!({"model": model, "max_tokens": 256,
        "messages": [{"role": "user", "content": format!("Question {number}")}]});
    if !path.contains("count") {
        body["stream"] = stream.into();
    }
    let request = http::Request::post(format!("http://{}{path}", program.address))
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("user-agent", "claude-cli/2.1.330 (external, cli)")
        .header("x-claude-code-session-id", format!("demo-session-{}", number % 3))
        .body(Full::new(Bytes::from(body.to_string())))?;
    let start = clock::now();
    let answer = http.request(request).await?;
    let first = start.elapsed();
    let status = answer.status().as_u16();
    let id = answer.headers().get("request-id").ok_or("an answer without request-id")?.to_str()?.to_owned();
    // A cut shows in the record.
    let _ = answer.into_body().collect().await;
    Ok((id, status, first, start.elapsed()))
}

/// What the request log says about it.
async fn record(program: &Program, id: &str) -> Result<Value, Failure> {
    for _ in 0..500 {
        if let Ok(files) = std::fs::read_dir(program.folder().join("logs")) {
            for file in files {
                let path = file?.path();
                // An index lies beside the files of the log.
                if path.extension().is_none_or(|extension| extension != "jsonl") {
                    continue;
                }
                let text = std::fs::read_to_string(path)?;
                let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                if let Some(record) = lines.into_iter().find(|record| record["id"] == id) {
                    return Ok(record);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("the log says nothing about {id}").into())
}

fn label(record: &Value) -> String {
    let path = record["path"].as_str().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().trim_start_matches("/v1/");
    let kind = if record["stream"] == true { " (stream)" } else { "" };
    format!("{path}{kind}")
}

/// `flaky: overloaded, dead: refused, healthy`
fn tried(record: &Value) -> String {
    let attempts = record["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = attempts.iter().map(|attempt| {
        let name = attempt["endpoint"].as_str().unwrap_or("?");
        match attempt["fault"].as_str() {
            Some(fault) => format!("{name}: {fault}"),
            None => name.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" -> ")
}
