//! What an upstream answers, byte by byte and pause by pause.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

use super::bodies;
use super::coding::{self, Coding};

/// Holds a reply back until the test lets it go on, one step at a time.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn pass(&self) {
        // The semaphore is never closed.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

#[derive(Clone)]
pub enum Part {
    /// Coded and framed; one chunk when chunked.
    Bytes(Bytes),
    /// As they are.
    Raw(Bytes),
    /// Made when its turn comes; neither coded nor counted into a length.
    Made(fn() -> Bytes),
    Pause(Duration),
    Gate(Gate),
    /// Over and over, with that pause before each; until the peer closes.
    Forever(Bytes, Duration),
    /// Nothing more; until the peer closes.
    Hang,
    /// The connection ends here, in an orderly way.
    Close,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`, with that much added to the truth.
    Length(i64),
    Chunked,
    /// The end of the connection is the end of the body.
    Close,
    /// Neither length nor coding, as for 204.
    None,
}

/// What becomes of the connection after a whole reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Keep,
    /// Closed though nothing announced it.
    Close,
    /// Kept, and closed upon the first byte of the next request.
    DropNext,
}

#[derive(Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) parts: Vec<Part>,
    pub(super) framing: Framing,
    pub(super) coding: Option<Coding>,
    /// Played before the head, as it is.
    pub(super) lead: Vec<Part>,
    pub(super) headless: bool,
    pub(super) reads_body: bool,
    pub(super) after: After,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            parts: vec![Part::Bytes(body.into())],
            framing: Framing::Length(0),
            coding: None,
            lead: Vec::new(),
            headless: false,
            reads_body: true,
            after: After::Keep,
        }
    }

    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::new(200, "application/json", body)
    }

    pub fn message(text: &str) -> Self {
        Self::json(bodies::message(text))
    }

    /// An event stream, one chunk for each event.
    pub fn stream<E: Into<Bytes>>(events: impl IntoIterator<Item = E>) -> Self {
        let mut reply = Self::new(200, "text/event-stream; charset=utf-8", Bytes::new());
        reply.parts = events.into_iter().map(|event| Part::Bytes(event.into())).collect();
        reply.framing = Framing::Chunked;
        reply
    }

    /// Anthropic's error of that status.
    pub fn status(status: u16) -> Self {
        let kind = bodies::error_type(status);
        Self::error(status, kind, &format!("upstream says {status}"))
    }

    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self::new(status, "application/json", bodies::error(kind, message))
    }

    pub fn html(status: u16) -> Self {
        Self::new(status, "text/html", bodies::HTML)
    }

    /// These bytes in place of an answer, then the end of the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut reply = Self::new(0, "", Bytes::new());
        reply.headless = true;
        reply.parts = vec![Part::Raw(bytes.into()), Part::Close];
        reply
    }

    /// The connection's end in place of an answer.
    pub fn close() -> Self {
        Self::raw("")
    }

    pub fn reset() -> Self {
        let mut reply = Self::raw("");
        reply.parts = vec![Part::Reset];
        reply
    }

    /// No answer; the connection stays open.
    pub fn silence() -> Self {
        let mut reply = Self::raw("");
        reply.parts = vec![Part::Hang];
        reply
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        self.header("retry-after", &seconds.to_string())
    }

    pub fn content_type(mut self, value: Option<&str>) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        match value {
            Some(value) => self.header("content-type", value),
            None => self,
        }
    }

    pub fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Coded, with a flush after each part, and labelled so.
    pub fn coded(mut self, coding: Coding) -> Self {
        self.coding = Some(coding);
        self.header("content-encoding", coding.label())
    }

    pub fn after(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    /// Answers upon the head; the request's body stays in the socket.
    pub fn early(mut self) -> Self {
        self.reads_body = false;
        self
    }

    /// Before the head.
    pub fn lead(mut self, part: Part) -> Self {
        self.lead.push(part);
        self
    }

    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// `part` before each piece of the body.
    pub fn spaced(mut self, part: &Part) -> Self {
        self.parts = self.parts.into_iter().flat_map(|own| [part.clone(), own]).collect();
        self
    }

    /// Only the first `count` parts, then `end`.
    pub fn cut_after(mut self, count: usize, end: Part) -> Self {
        self.parts.truncate(count);
        self.part(end)
    }

    /// Only the first `count` bytes, then `end`; a `Content-Length` still tells the whole.
    pub fn cut_at(mut self, count: usize, end: Part) -> Self {
        let whole = self.joined_bytes();
        if let Framing::Length(off) = &mut self.framing {
            *off += i64::try_from(whole.len().saturating_sub(count)).unwrap_or(0);
        }
        self.parts = vec![Part::Bytes(whole.slice(..count.min(whole.len()))), end];
        self
    }

    /// The whole body as one piece.
    pub fn joined(mut self) -> Self {
        self.parts = vec![Part::Bytes(self.joined_bytes())];
        self
    }

    /// The same body in pieces of `size` bytes.
    pub fn split_every(mut self, size: usize) -> Self {
        let whole = self.joined_bytes();
        self.parts = (0..whole.len())
            .step_by(size)
            .map(|at| Part::Bytes(whole.slice(at..(at + size).min(whole.len()))))
            .collect();
        self
    }

    /// The whole body, neither coded nor framed.
    pub fn body(&self) -> Bytes {
        self.joined_bytes()
    }

    pub fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|(name, _)| name == header)
    }

    fn joined_bytes(&self) -> Bytes {
        let mut whole = BytesMut::new();
        for part in &self.parts {
            if let Part::Bytes(bytes) = part {
                whole.extend_from_slice(bytes);
            }
        }
        whole.freeze()
    }

    /// The parts as they go out, coded but not yet framed.
    pub(super) async fn coded_parts(&self) -> std::io::Result<Vec<Part>> {
        let Some(coding) = self.coding else { return Ok(self.parts.clone()) };
        let mut encoder = coding::Encoder::new(coding);
        let mut parts = Vec::with_capacity(self.parts.len() + 1);
        let mut broken_off = false;
        for part in &self.parts {
            broken_off |= matches!(part, Part::Close | Part::Reset | Part::Hang);
            parts.push(match part {
                Part::Bytes(bytes) => Part::Bytes(encoder.push(bytes).await?),
                other => other.clone(),
            });
        }
        if !broken_off {
            parts.push(Part::Bytes(encoder.finish().await?));
        }
        Ok(parts)
    }

    /// The head as it goes out, for a body of `length` bytes.
    pub(super) fn head(&self, upstream: &str, length: usize) -> Bytes {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        let mut line = |name: &str, value: &str| {
            for piece in [name, ": ", value, "\r\n"] {
                head.push_str(piece);
            }
        };
        if !upstream.is_empty() {
            line("x-upstream", upstream);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        match self.framing {
            Framing::Length(off) => {
                let told = i64::try_from(length).unwrap_or(i64::MAX).saturating_add(off);
                line("content-length", &told.to_string());
            }
            Framing::Chunked => line("transfer-encoding", "chunked"),
            Framing::Close => line("connection", "close"),
            Framing::None => {}
        }
        head.push_str("\r\n");
        head.into()
    }
}
