//! What the upstream of the benchmark answers; the load names it by its path's query.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::load;
use super::process::Failure;
use super::upstream::coding::{Coding, Encoder};
use super::upstream::{Part, Reply, Script, Seen, Upstream, bodies};

/// Events of a stream that comes as fast as it can.
pub const BURST: usize = 2000;
/// Events of a stream that comes at the speed of a model, and the time between two.
pub const PACED: usize = 50;
const PACE: Duration = Duration::from_millis(10);

pub async fn script() -> Result<Script, Failure> {
    let replies = Arc::new(Replies::new().await?);
    Ok(Upstream::new("bench").forgetting().choose(move |seen| Some(replies.to(seen))))
}

/// Made once, shared by all requests.
struct Replies {
    message: Reply,
    stream: Reply,
    packets: Reply,
    burst: Reply,
    gzip: Reply,
    paced: Reply,
    held: Reply,
}

impl Replies {
    async fn new() -> Result<Self, Failure> {
        let filler = "x".repeat(100);
        let events = bodies::events(&vec![filler.as_str(); BURST]);
        Ok(Self {
            message: Reply::message(&filler.repeat(20)),
            stream: Reply::stream([bodies::events(&["Hello", " there"]).concat()]),
            packets: Reply::stream(events.clone()),
            burst: Reply::stream(events.clone()).joined().split_every(16 << 10),
            gzip: gzip(&events).await?,
            paced: paced(),
            held: Reply::stream(bodies::events(&["Hello", " there"])).cut_after(4, Part::Hang),
        })
    }

    fn to(&self, seen: &Seen) -> Reply {
        let kind = seen.target.split_once('?').map_or("", |(_, query)| query);
        let reply = match kind {
            "stream" => &self.stream,
            "packets" => &self.packets,
            "burst" => &self.burst,
            "gzip" => &self.gzip,
            "paced" => &self.paced,
            "held" => &self.held,
            _ => &self.message,
        };
        reply.clone()
    }
}

/// Coded once, with a flush behind each event as a server that streams has it, and sent in large pieces.
async fn gzip(events: &[String]) -> Result<Reply, Failure> {
    let mut encoder = Encoder::new(Coding::Gzip);
    let mut coded = Vec::new();
    for event in events {
        coded.extend_from_slice(&encoder.push(event.as_bytes()).await?);
    }
    coded.extend_from_slice(&encoder.finish().await?);
    Ok(Reply::stream([coded]).split_every(16 << 10).header("content-encoding", "gzip"))
}

/// Each event tells when it was sent.
fn paced() -> Reply {
    let mut reply = Reply::stream([bodies::message_start(), bodies::block_start(0)]);
    for _ in 0..PACED {
        reply = reply.part(Part::Pause(PACE)).part(Part::Made(stamped));
    }
    let end = [bodies::block_stop(0), bodies::message_delta(), bodies::message_stop()].concat();
    reply.part(Part::Bytes(end.into()))
}

fn stamped() -> Bytes {
    bodies::text_delta(0, &format!("{}{}", load::STAMP, load::nanoseconds())).into()
}
