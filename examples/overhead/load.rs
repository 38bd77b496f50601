//! The load of the benchmark: raw connections, so that little but the other side is measured.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use claude_proxy::clock;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::process::Failure;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What is asked of the upstream, by the path's query.
    pub kind: &'static str,
    /// About the size of the request's body.
    pub body: usize,
    pub sample: Sample,
}

/// What is measured of each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// Time to the first byte.
    First,
    /// Time to the last one.
    Whole,
    /// The delay of each event that carries a stamp.
    Stamps,
}

impl Load {
    pub const SMALL: Self = Self { kind: "message", body: 2 << 10, sample: Sample::Whole };

    pub const fn stream(kind: &'static str) -> Self {
        Self { kind, body: 2 << 10, sample: Sample::First }
    }

    pub const fn sampling(self, sample: Sample) -> Self {
        Self { sample, ..self }
    }

    pub const fn with_body(self, body: usize) -> Self {
        Self { body, ..self }
    }
}

/// Stands before the time in a stamped event.
pub const STAMP: &str = "sent at ";

/// Since the first call.
pub fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(clock::now).elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Nanoseconds, sorted.
pub struct Latencies {
    samples: Vec<u64>,
    answers: usize,
}

impl Latencies {
    /// Whole answers.
    pub fn count(&self) -> usize {
        self.answers
    }

    /// In microseconds.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a short run")]
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.samples.len() * percent / 100).min(self.samples.len().saturating_sub(1));
        self.samples.get(at).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1000.0)
    }
}

/// Requests over `connections` at once, each with the next one as soon as an answer is there.
pub async fn requests(to: SocketAddr, load: Load, connections: usize, time: Duration) -> Result<Latencies, Failure> {
    nanoseconds();
    let until = clock::now() + time;
    let mut running = JoinSet::new();
    for _ in 0..connections {
        running.spawn(connection(to, load, until));
    }
    let mut all = Latencies { samples: Vec::new(), answers: 0 };
    while let Some(one) = running.join_next().await {
        let one = one??;
        all.samples.extend(one.samples);
        all.answers += one.answers;
    }
    all.samples.sort_unstable();
    Ok(all)
}

fn request(to: SocketAddr, load: Load) -> String {
    let stream = load.kind != "message";
    let text = r#"It says \"hello\" to whoever asks for it. "#;
    let text = text.repeat(load.body / text.len());
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","stream":{stream},"max_tokens":64,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    // About as long as a login's.
    let token = format!("sk-ant-oat01-{}", "0a1b2c3d4e5f".repeat(8));
    format!(
        "POST /v1/messages?{} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n{body}",
        load.kind,
        body.len()
    )
}

/// One request on a connection of its own.
pub async fn once(to: SocketAddr, load: Load) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request(to, load).as_bytes()).await?;
    let mut buffer = BytesMut::new();
    while !ends(&buffer, load)? {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("the other side closed the connection".into());
        }
    }
    Ok(())
}

/// Asks for a stream that stands still behind its first content, and waits for that.
pub async fn hold(to: SocketAddr) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request(to, Load::stream("held")).as_bytes()).await?;
    let mut buffer = BytesMut::new();
    while memchr::memmem::find(&buffer, b"content_block_delta").is_none() {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err("the other side closed a stream that was to be held".into());
        }
    }
    Ok(stream)
}

async fn connection(to: SocketAddr, load: Load, until: Instant) -> Result<Latencies, Failure> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let request = request(to, load);
    let mut buffer = BytesMut::with_capacity(64 << 10);
    let mut measured = Latencies { samples: Vec::new(), answers: 0 };
    while clock::now() < until {
        let start = clock::now();
        stream.write_all(request.as_bytes()).await?;
        let mut first = None;
        let whole = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("the other side closed the connection".into());
            }
            first.get_or_insert_with(|| start.elapsed());
            if load.sample == Sample::Stamps {
                take_stamps(&mut buffer, &mut measured.samples);
            }
            if ends(&buffer, load)? {
                break start.elapsed();
            }
        };
        buffer.clear();
        measured.answers += 1;
        let sample = match load.sample {
            Sample::Whole => whole,
            Sample::First => first.unwrap_or(whole),
            Sample::Stamps => continue,
        };
        measured.samples.push(sample.as_nanos().try_into()?);
    }
    Ok(measured)
}

/// Whether the answer in `buffer` is whole; an answer that is no 200 ends the run.
fn ends(buffer: &[u8], load: Load) -> Result<bool, Failure> {
    // Its head went with the stamps.
    if load.sample == Sample::Stamps {
        return Ok(buffer.ends_with(b"0\r\n\r\n"));
    }
    if buffer.ends_with(b"\r\n0\r\n\r\n") {
        return Ok(true);
    }
    let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&buffer[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("not an answer to measure: {}", String::from_utf8_lossy(buffer)).into());
    }
    let length =
        head.lines().filter_map(|line| line.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
    let Some((_, length)) = length else { return Ok(false) };
    Ok(buffer.len() >= end + 4 + length.parse::<usize>()?)
}

/// Removes whole stamped events from `buffer` and notes how long each was under way.
fn take_stamps(buffer: &mut BytesMut, samples: &mut Vec<u64>) {
    let now = nanoseconds();
    while let Some(at) = memchr::memmem::find(buffer, STAMP.as_bytes()) {
        let digits = &buffer[at + STAMP.len()..];
        let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit()) else { return };
        let sent = std::str::from_utf8(&digits[..end]).ok().and_then(|text| text.parse::<u64>().ok());
        samples.extend(sent.map(|sent| now.saturating_sub(sent)));
        buffer.advance(at + STAMP.len() + end);
    }
}
