//! What the proxy costs: the same requests straight to a scripted upstream and through claude-proxy.
//!
//! ```text
//! cargo run --release --example overhead            # about a minute
//! cargo run --release --example overhead -- --quick
//! ```
//! Load, upstream and proxy share this machine: compare the columns, not the numbers with another machine's.

#[path = "overhead/load.rs"]
pub mod load;
#[path = "support/process.rs"]
pub mod process;
// The tests use more of it than this program does.
#[path = "../tests/support/upstream.rs"]
pub mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use load::{Latencies, Load};
use process::{Failure, Program};
use upstream::{Part, Reply, Seen, Upstream, bodies};

/// Measures claude-proxy against no proxy
#[derive(Parser)]
struct Args {
    /// A tenth of the time, for a first look
    #[arg(long)]
    quick: bool,
}

/// Events of a burst, which come as fast as they can.
const BURST: usize = 2000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let time = Duration::from_millis(if args.quick { 700 } else { 7000 });
    let upstream = Upstream::new("bench").forgetting().choose(|seen| Some(reply(seen))).start().await?;
    let program = Program::start(&config(&upstream)).await?;
    let sides = [("direct", upstream.address(), None), ("proxy", program.address, program.pid())];

    println!("{:<38} {:>10} {:>10} {:>10}", "one request at a time, microseconds", "p50", "p90", "p99");
    latency("JSON, whole answer", &sides, |to| load::requests(to, Load::Json, 1, time)).await?;
    latency("stream, first byte", &sides, |to| load::requests(to, Load::Stream, 1, time)).await?;
    latency("stream, delay of each event", &sides, |to| load::requests(to, Load::Paced, 8, time)).await?;

    println!("\n{:<38} {:>14} {:>20}", "as much as it takes, 16 at once", "per second", "CPU of the proxy");
    throughput("JSON, requests", &sides, Load::Json, time).await?;
    throughput("stream of 8 events, requests", &sides, Load::Stream, time).await?;
    throughput("stream burst, events", &sides, Load::Burst, time).await?;
    Ok(())
}

fn config(upstream: &Upstream) -> String {
    format!(
        "server: {{ port: 0 }}\nendpoints:\n  - name: bench\n    url: {}\n    auth_type: api_key\n    auth_value: sk-bench\n\
         web_admin: {{ enabled: false }}\n",
        upstream.url()
    )
}

/// The load names what it wants by the path's query.
fn reply(seen: &Seen) -> Reply {
    let kind = seen.target.split_once('?').map_or("", |(_, query)| query);
    let filler = "x".repeat(100);
    match kind {
        "stream" => Reply::stream([bodies::events(&["Hello", " there"]).concat()]),
        "burst" => Reply::stream(bodies::events(&vec![filler.as_str(); BURST])).joined().split_every(16 << 10),
        "paced" => paced(),
        _ => Reply::message(&filler.repeat(20)),
    }
}

/// Each event tells when it was sent.
fn paced() -> Reply {
    let mut reply = Reply::stream([bodies::message_start(), bodies::block_start(0)]);
    for _ in 0..50 {
        reply = reply.part(Part::Pause(Duration::from_millis(5))).part(Part::Made(stamped));
    }
    let end = [bodies::block_stop(0), bodies::message_delta(), bodies::message_stop()].concat();
    reply.part(Part::Bytes(end.into()))
}

fn stamped() -> Bytes {
    bodies::text_delta(0, &format!("{}{}", load::STAMP, load::nanoseconds())).into()
}

type Side = (&'static str, SocketAddr, Option<u32>);

async fn latency<F>(what: &str, sides: &[Side; 2], run: impl Fn(SocketAddr) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<Latencies, Failure>>,
{
    let mut rows = Vec::new();
    for (name, address, _) in sides {
        let measured = run(*address).await?;
        let row = [50, 90, 99].map(|percent| measured.percentile(percent));
        println!("{:<38} {:>10.0} {:>10.0} {:>10.0}", format!("{what}, {name}"), row[0], row[1], row[2]);
        rows.push(row);
    }
    let added = [0, 1, 2].map(|at| rows[1][at] - rows[0][at]);
    println!("{:<38} {:>+10.0} {:>+10.0} {:>+10.0}", "  added", added[0], added[1], added[2]);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
async fn throughput(what: &str, sides: &[Side; 2], load: Load, time: Duration) -> Result<(), Failure> {
    for (name, address, pid) in sides {
        let before = pid.and_then(cpu);
        let measured = load::requests(*address, load, 16, time).await?;
        let units = measured.count() * if load == Load::Burst { BURST } else { 1 };
        let used =
            pid.and_then(cpu).zip(before).map(|(after, before)| after.saturating_sub(before).as_secs_f64() * 1e6);
        let used = used.map_or(String::new(), |used| format!("{:.2} us each", used / units as f64));
        let rate = units as f64 / time.as_secs_f64();
        println!("{:<38} {rate:>14.0} {used:>20}", format!("{what}, {name}"));
    }
    Ok(())
}

/// CPU time of a process so far, where the system tells it as Linux does.
fn cpu(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields count from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
