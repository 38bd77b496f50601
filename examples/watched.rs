//! What pages that watch cost the requests: a paced load through claude-proxy, with nobody watching and with pages
//! attached, in turns. A few requests go straight to the scripted upstream at the same time, so that what the machine
//! alone adds in either case can be told.
//!
//! ```text
//! cargo run --release --example watched            # about a minute
//! cargo run --release --example watched -- --quick
//! ```
//! Load, upstream, pages and proxy share this machine: compare the rows, not the numbers with another machine's.

#[path = "support/process.rs"]
pub mod process;
// The tests use more of it than this program does.
#[path = "../tests/support/upstream.rs"]
pub mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use claude_proxy::clock;
use process::{Failure, Program};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use upstream::{Reply, Upstream, bodies};

/// Measures requests with and without pages that watch
#[derive(Parser)]
struct Args {
    /// Requests per second
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Event streams attached
    #[arg(long, default_value_t = 10)]
    pages: usize,
    /// A tenth of the rounds, for a first look
    #[arg(long)]
    quick: bool,
}

const CONNECTIONS: u32 = 20;
/// Many short ones: what else the machine does meanwhile spoils some of them, and the medians pass over those.
const ROUNDS: usize = 20;
const ROUND: Duration = Duration::from_millis(1200);
/// Before each round, not measured: connections are made, pages get what they begin with.
const WARM_UP: Duration = Duration::from_millis(300);

/// What was measured in one round, of one kind of request, in microseconds.
#[derive(Clone, Copy)]
struct Round {
    p50: i64,
    p99: i64,
}

impl Round {
    fn of(mut samples: Vec<i64>) -> Self {
        samples.sort_unstable();
        Self { p50: at(&samples, 50), p99: at(&samples, 99) }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let rounds = if args.quick { ROUNDS / 10 } else { ROUNDS };
    let upstream = Upstream::new("bench")
        .forgetting()
        .always(Reply::stream([bodies::events(&["Hello"]).concat()]))
        .start()
        .await?;
    let mut program = Program::start(&config(&upstream)).await?;
    let admin = admin(&mut program).await?;

    let names = ["direct, nobody watches", "direct, pages attached", "proxy, nobody watches", "proxy, pages attached"];
    let mut rows = names.map(|name| (name, Vec::new()));
    let read = Arc::new(AtomicU64::new(0));
    for round in 0..rounds {
        // Whoever comes second profits from what the first one warmed.
        let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for watched in turns {
            let watching = Watching::start(admin, watched * args.pages, Arc::clone(&read))?;
            let (direct, through) =
                tokio::join!(paced(upstream.address(), args.rate / 10), paced(program.address, args.rate));
            rows[watched].1.push(Round::of(direct?));
            rows[2 + watched].1.push(Round::of(through?));
            watching.end()?;
        }
    }
    tell(&rows, &args, read.load(Ordering::Relaxed));
    Ok(())
}

fn tell(rows: &[(&str, Vec<Round>); 4], args: &Args, read: u64) {
    let rounds = rows[0].1.len();
    println!(
        "{} requests per second, {} pages, {rounds} rounds; microseconds: median (quartiles)",
        args.rate, args.pages
    );
    println!("{:<24} {:>20} {:>20}", "", "p50", "p99");
    for (name, rounds) in rows {
        let [p50, p99] = [|round: &Round| round.p50, |round: &Round| round.p99].map(|of| spread(rounds.iter().map(of)));
        println!("{name:<24} {p50:>20} {p99:>20}");
    }
    // Each round beside the one that came right before or after it.
    let pairs = || rows[2].1.iter().zip(&rows[3].1);
    let p50 = spread(pairs().map(|(alone, watched)| watched.p50 - alone.p50));
    let p99 = spread(pairs().map(|(alone, watched)| watched.p99 - alone.p99));
    println!("{:<24} {p50:>20} {p99:>20}", "the pages' share");
    println!("the pages read {} KiB of events", read >> 10);
}

fn spread(values: impl Iterator<Item = i64>) -> String {
    let mut sorted: Vec<i64> = values.collect();
    sorted.sort_unstable();
    format!("{} ({} to {})", at(&sorted, 50), at(&sorted, 25), at(&sorted, 75))
}

/// Pages on a thread of their own, so that reading does not hold up who measures.
struct Watching {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<(), Failure>>,
}

impl Watching {
    fn start(admin: SocketAddr, pages: usize, read: Arc<AtomicU64>) -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut attached = JoinSet::new();
                for _ in 0..pages {
                    attached.spawn(watch(admin, Arc::clone(&read)));
                }
                tokio::select! {
                    _ = stopped => Ok(()),
                    Some(over) = attached.join_next() => Err(format!("a page was dropped: {over:?}").into()),
                }
            })
        });
        Ok(Self { stop, thread })
    }

    fn end(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| "the pages' thread ended badly")?
    }
}

fn at(sorted: &[i64], percent: usize) -> i64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn config(upstream: &Upstream) -> String {
    format!(
        "server: {{ port: 0 }}\nendpoints:\n  - name: bench\n    url: {}\n    auth_type: api_key\n    auth_value: sk-bench\n\
         web_admin: {{ port: 0 }}\n",
        upstream.url()
    )
}

/// Where its admin server listens.
async fn admin(program: &mut Program) -> Result<SocketAddr, Failure> {
    while let Some(line) = program.lines.recv().await {
        if let Some(address) = line.trim().strip_prefix("admin      http://") {
            return Ok(address.trim().parse()?);
        }
    }
    Err("claude-proxy told no admin address".into())
}

/// A page's event stream, read to the end; what it brought is counted.
async fn watch(admin: SocketAddr, read: Arc<AtomicU64>) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(format!("GET /api/events HTTP/1.1\r\nhost: {admin}\r\n\r\n").as_bytes()).await?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            some => read.fetch_add(some as u64, Ordering::Relaxed),
        };
        // What a page costs its browser is not what is measured.
        std::thread::yield_now();
    }
}

/// Times to whole answers in microseconds, of `rate` requests a second.
async fn paced(to: SocketAddr, rate: u32) -> Result<Vec<i64>, Failure> {
    let every = Duration::from_secs(1) * CONNECTIONS / rate;
    let mut running = JoinSet::new();
    for place in 0..CONNECTIONS {
        running.spawn(connection(to, every, every * place / CONNECTIONS));
    }
    let mut all = Vec::new();
    while let Some(one) = running.join_next().await {
        all.extend(one??);
    }
    Ok(all)
}

async fn connection(to: SocketAddr, every: Duration, offset: Duration) -> Result<Vec<i64>, Failure> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let request = request(to);
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut samples = Vec::new();
    let begin = clock::now();
    let mut next = begin + offset;
    while next < begin + WARM_UP + ROUND {
        tokio::time::sleep_until(next.into()).await;
        next += every;
        let start = clock::now();
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        while !buffer.ends_with(b"0\r\n\r\n") {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("the other side closed the connection".into());
            }
        }
        if start > begin + WARM_UP {
            samples.push(start.elapsed().as_micros().try_into()?);
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("not an answer to measure: {}", String::from_utf8_lossy(&buffer)).into());
        }
    }
    Ok(samples)
}

fn request(to: SocketAddr) -> String {
    let filler = "y".repeat(2000);
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","stream":true,"max_tokens":64,"messages":[{{"role":"user","content":"{filler}"}}]}}"#
    );
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nx-api-key: sk-of-this-client\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
