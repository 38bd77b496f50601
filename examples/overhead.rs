//! What the proxy costs: the same requests straight to a scripted upstream, through nginx where that is installed, and
//! through claude-proxy with validation and logs on.
//!
//! ```text
//! cargo run --release --example overhead            # some minutes
//! cargo run --release --example overhead -- --quick
//! ```
//! Load, upstream and proxies share this machine: compare the columns, not the numbers with another machine's. All
//! sides take turns within each round, and the ratios are taken round by round.

#[path = "overhead/answers.rs"]
pub mod answers;
#[path = "overhead/load.rs"]
pub mod load;
#[path = "support/process.rs"]
pub mod process;
#[path = "overhead/sides.rs"]
pub mod sides;
#[path = "overhead/table.rs"]
pub mod table;
// The tests use more of it than this program does.
#[path = "../tests/support/upstream.rs"]
pub mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use answers::{BURST, PACED};
use clap::Parser;
use claude_proxy::clock;
use load::{Load, Sample};
use process::Failure;
use sides::{Side, cpu, memory};
use table::{Rounds, Row, print_head};

/// Measures claude-proxy beside no proxy and nginx
#[derive(Parser)]
struct Args {
    /// A tenth of the time, for a first look
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Of one measurement.
    time: Duration,
    held: usize,
}

const BUSY: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let plan = if Args::parse().quick {
        Plan { rounds: 2, time: Duration::from_millis(500), held: 200 }
    } else {
        Plan { rounds: 5, time: Duration::from_secs(2), held: 1000 }
    };
    raise_descriptor_limit();
    let upstream = answers::script().await?.start().await?;
    let has_nginx = Side::nginx(upstream.address()).await.is_ok();
    if !has_nginx {
        println!("nginx is not installed, so there is nothing to compare with but no proxy\n");
    }
    println!("median [least-most] of {} rounds; ratios are claude-proxy's to the other side's\n", plan.rounds);
    let sides = sides(upstream.address(), has_nginx).await?;
    let bench = Bench { plan, sides };
    bench.cpu().await?;
    bench.latency().await?;
    drop(bench);
    held_and_start(upstream.address(), has_nginx, plan).await
}

async fn sides(upstream: SocketAddr, has_nginx: bool) -> Result<Vec<Side>, Failure> {
    let mut sides = vec![Side::direct(upstream)];
    if has_nginx {
        sides.push(Side::nginx(upstream).await?);
    }
    sides.push(Side::claude_proxy(upstream).await?);
    Ok(sides)
}

struct Bench {
    plan: Plan,
    sides: Vec<Side>,
}

impl Bench {
    /// CPU time of the proxy, which holds even when others use the machine.
    async fn cpu(&self) -> Result<(), Failure> {
        let proxies: Vec<&Side> = self.sides.iter().filter(|side| side.pid.is_some()).collect();
        println!("CPU time of the proxy, {BUSY} connections at once");
        print_head(&names(&proxies));
        let message = Load::SMALL;
        for (what, unit, load, units) in [
            ("message, request of 2 KB", "us each", message, 1),
            ("message, request of 100 KB", "us each", message.with_body(100 << 10), 1),
            ("message, request of 1 MB", "us each", message.with_body(1 << 20), 1),
            ("stream of 8 events", "us each", Load::stream("stream"), 1),
            ("fast stream, an event per packet", "us per event", Load::stream("packets"), BURST),
            ("fast stream, many events per packet", "us per event", Load::stream("burst"), BURST),
            ("fast stream, gzip, comes down decoded", "us per event", Load::stream("gzip"), BURST),
            ("slow stream, an event each 10 ms", "us per event", Load::stream("paced"), PACED),
        ] {
            let mut rounds = vec![Rounds::new(); proxies.len()];
            for round in 0..self.plan.rounds {
                for at in order(round, proxies.len()) {
                    rounds[at].push(cpu_each(proxies[at], load, self.plan.time, units).await?);
                }
            }
            Row { what, unit, sides: &names(&proxies), rounds }.print();
        }
        Ok(())
    }

    async fn latency(&self) -> Result<(), Failure> {
        let sides: Vec<&Side> = self.sides.iter().collect();
        println!("\nlatency, half of all are faster");
        print_head(&names(&sides));
        let paced = Load::stream("paced").sampling(Sample::Stamps);
        for (what, load, connections) in [
            ("message, one at a time", Load::SMALL, 1),
            ("stream's first byte, one at a time", Load::stream("stream"), 1),
            ("delay of each event, 8 slow streams", paced, 8),
        ] {
            let mut rounds = vec![Rounds::new(); sides.len()];
            for round in 0..self.plan.rounds {
                for at in order(round, sides.len()) {
                    let measured = load::requests(sides[at].address, load, connections, self.plan.time).await?;
                    rounds[at].push(measured.percentile(50));
                }
            }
            Row { what, unit: "us", sides: &names(&sides), rounds }.print();
        }
        Ok(())
    }
}

/// Each round with fresh programs.
async fn held_and_start(upstream: SocketAddr, has_nginx: bool, plan: Plan) -> Result<(), Failure> {
    let names: &[&str] = if has_nginx { &["nginx", "claude-proxy"] } else { &["claude-proxy"] };
    let (mut starts, mut held) = (vec![Rounds::new(); names.len()], vec![Rounds::new(); names.len()]);
    for round in 0..plan.rounds {
        for at in order(round, names.len()) {
            let begun = clock::now();
            let side = match names[at] {
                "nginx" => Side::nginx(upstream).await?,
                _ => Side::claude_proxy(upstream).await?,
            };
            side.first_answer().await?;
            starts[at].push(begun.elapsed().as_secs_f64() * 1000.0);
            held[at].push(kibibytes_held(&side, plan.held).await?);
        }
    }
    println!("\nfresh programs");
    print_head(names);
    let what = format!("memory for each of {} streams that wait", plan.held);
    Row { what: &what, unit: "KiB", sides: names, rounds: held }.print();
    Row { what: "from its start to its first answer", unit: "ms", sides: names, rounds: starts }.print();
    Ok(())
}

fn names(sides: &[&Side]) -> Vec<&'static str> {
    sides.iter().map(|side| side.name).collect()
}

/// Forth and back, so that none is always the first.
fn order(round: usize, sides: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..sides).collect() } else { (0..sides).rev().collect() }
}

/// Microseconds for each of the units that an answer is made of.
#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
async fn cpu_each(side: &Side, load: Load, time: Duration, units: usize) -> Result<f64, Failure> {
    let used = || side.pid.and_then(cpu).ok_or("this system does not tell a process's CPU time");
    let before = used()?;
    let measured = load::requests(side.address, load, BUSY, time).await?;
    Ok(used()?.saturating_sub(before).as_secs_f64() * 1e6 / (measured.count() * units) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
async fn kibibytes_held(side: &Side, streams: usize) -> Result<f64, Failure> {
    let used = || side.pid.and_then(memory).ok_or("this system does not tell a process's memory");
    let before = used()?;
    let mut held = Vec::with_capacity(streams);
    for _ in 0..streams {
        held.push(load::hold(side.address).await?);
    }
    Ok(used()?.saturating_sub(before) as f64 / 1024.0 / held.len() as f64)
}

/// Held streams need three descriptors each in this program and its children.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it may not be raised, the run says that it has too few.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
