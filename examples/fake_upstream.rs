//! A scripted Anthropic upstream to play with by hand: right answers, or any of the faults that the tests use.
//!
//! ```text
//! cargo run --example fake_upstream -- --port 9001
//! cargo run --example fake_upstream -- --port 9002 --fault stall-after-head
//! curl -H 'x-fault: 529' -d '{"model":"m","messages":[]}' http://127.0.0.1:9001/v1/messages
//! ```

// The tests use more of it than this program does.
#[path = "../tests/support/upstream.rs"]
pub mod upstream;

use std::fmt::Write as _;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use upstream::{Reply, Seen, Upstream, bodies, faults};

/// A scripted Anthropic upstream
#[derive(Parser)]
struct Args {
    /// Where to listen on 127.0.0.1; 0 = any free port
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// Stands in the answers' x-upstream header and in their text
    #[arg(long, default_value = "fake")]
    name: String,
    /// How every request is answered that has no x-fault header of its own; see below
    #[arg(long, value_name = "NAME")]
    fault: Option<String>,
    /// Only so many requests get the fault, later ones a right answer
    #[arg(long, value_name = "COUNT", requires = "fault")]
    times: Option<usize>,
}

fn list() -> String {
    let mut text = String::from("Faults, for --fault or for one request by a header `x-fault: NAME`:\n");
    let _ = writeln!(text, "  {:<22} that status with Anthropic's error (429 and 529 with retry-after)", "300 to 599");
    for (name, what, _) in faults::ALL {
        let _ = writeln!(text, "  {name:<22} {what}");
    }
    text
}

fn chosen(name: &str, seen: &Seen) -> Reply {
    faults::reply(name, seen.wants_stream()).unwrap_or_else(|| {
        Reply::error(400, "invalid_request_error", &format!("x-fault: no fault is called {name}, see --help"))
    })
}

fn right(name: &str, seen: &Seen) -> Option<Reply> {
    let path = seen.target.split('?').next().unwrap_or_default();
    let words = ["Hello", " from", " ", name, "."];
    path.ends_with("/messages").then(|| {
        if seen.wants_stream() { Reply::stream(bodies::events(&words)) } else { Reply::message(&words.concat()) }
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let matches = Args::command().after_help(list()).get_matches();
    let args = Args::from_arg_matches(&matches)?;
    if let Some(fault) = &args.fault
        && faults::reply(fault, false).is_none()
    {
        return Err(format!("no fault is called {fault}, see --help").into());
    }
    let left = std::sync::atomic::AtomicUsize::new(args.times.unwrap_or(usize::MAX));
    let (name, fault) = (args.name.clone(), args.fault);
    let choose = move |seen: &Seen| {
        use std::sync::atomic::Ordering::Relaxed;
        let own = seen.header("x-fault").map(str::to_owned);
        let general = || fault.clone().filter(|_| left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok());
        let fault = own.or_else(general);
        println!(
            "{} {} ({} bytes) -> {}",
            seen.method,
            seen.target,
            seen.body.len(),
            fault.as_deref().unwrap_or("right")
        );
        fault.map(|fault| chosen(&fault, seen)).or_else(|| right(&name, seen))
    };
    let upstream = Upstream::new(&args.name).port(args.port).choose(choose).forgetting().start().await?;
    println!("listening on {}", upstream.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
