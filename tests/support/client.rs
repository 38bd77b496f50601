//! An HTTP/1.1 client that shows what really came: every byte, when it came, and how the body ended.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use claude_proxy::clock;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, bodies};

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By its own framing.
    Clean,
    /// The connection ended first.
    Cut,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Request {
    pub fn new(method: &str, target: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        headers.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
        Self { method: method.to_owned(), target: target.to_owned(), headers, body }
    }

    /// A turn that asks for a whole message.
    pub fn message() -> Self {
        Self::messages(&json!({}))
    }

    /// A turn that asks for a stream.
    pub fn stream() -> Self {
        Self::messages(&json!({"stream": true}))
    }

    /// The one that is meant: a whole message or a stream.
    pub fn turn(stream: bool) -> Self {
        if stream { Self::stream() } else { Self::message() }
    }

    /// A turn with these members beside the usual ones.
    pub fn messages(more: &Value) -> Self {
        let mut body =
            json!({"model": bodies::MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]});
        for (key, value) in more.as_object().expect("an object") {
            body[key] = value.clone();
        }
        Self::new("POST", "/v1/messages?beta=true", body.to_string())
    }

    pub fn count_tokens() -> Self {
        let body = json!({"model": bodies::MODEL, "messages": [{"role": "user", "content": "Hi"}]});
        Self::new("POST", "/v1/messages/count_tokens?beta=true", body.to_string())
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target, "")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn session(self, id: &str) -> Self {
        self.header("X-Claude-Code-Session-Id", id)
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The head as bytes, with `Host` and a length unless they are set already.
    pub fn head(&self, host: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("host") {
            let _ = write!(head, "Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let framed = self.has("content-length") || self.has("transfer-encoding");
        if !framed && (!self.body.is_empty() || self.method == "POST") {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }
}

/// Opens a connection for each request.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

impl Client {
    pub async fn connect(self) -> Connection {
        let stream = TcpStream::connect(self.0).await.expect("the proxy takes connections");
        stream.set_nodelay(true).unwrap();
        Connection { stream, buffer: BytesMut::new(), host: self.0.to_string() }
    }

    /// The whole answer.
    pub async fn send(self, request: &Request) -> Answer {
        self.open(request).await.finish().await
    }

    /// The answer's head, with the body still to come.
    pub async fn open(self, request: &Request) -> Incoming {
        self.connect().await.ask(request).await
    }
}

/// One connection, for bytes of any kind.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    host: String,
}

impl Connection {
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the proxy reads");
    }

    pub async fn send(&mut self, request: &Request) {
        let mut bytes = request.head(&self.host).into_bytes();
        bytes.extend_from_slice(&request.body);
        // A refusal may come before the whole body went out.
        let _ = self.stream.write_all(&bytes).await;
    }

    pub async fn ask(mut self, request: &Request) -> Incoming {
        let asked = clock::now();
        self.send(request).await;
        self.answer(asked, request.method == "HEAD").await
    }

    /// The next answer's head. `bodiless` for an answer to HEAD.
    pub async fn answer(mut self, asked: Instant, bodiless: bool) -> Incoming {
        let head = self.read_head().await.expect("an answer's head");
        let after = asked.elapsed();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head}"));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let framing = if bodiless { Some(Body::Length(0)) } else { None };
        let head = Head { status, headers, after };
        let framing = framing.unwrap_or_else(|| Body::of(&head));
        Incoming { connection: self, head, framing, asked, ended: None, body: BytesMut::new(), taken: 0 }
    }

    async fn read_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.advance(at + 4);
                return Some(head);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// More bytes; false at the connection's end.
    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await.expect("bytes or an end");
        read.is_ok_and(|read| read > 0)
    }

    /// Whatever comes until the connection ends.
    pub async fn rest(mut self) -> Bytes {
        while self.fill().await {}
        self.buffer.freeze()
    }
}

#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// From the request to this head.
    pub after: Duration,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

enum Body {
    Length(usize),
    Chunked,
    ToEnd,
}

impl Body {
    fn of(head: &Head) -> Self {
        let length = head.header("content-length").map(|value| value.parse().expect("a length"));
        match (head.status, head.header("transfer-encoding"), length) {
            (204 | 304, ..) => Self::Length(0),
            (_, Some(coding), length) => {
                assert!(length.is_none(), "an answer with two framings");
                assert_eq!(coding, "chunked");
                Self::Chunked
            }
            (_, None, Some(length)) => Self::Length(length),
            (_, None, None) => Self::ToEnd,
        }
    }
}

/// An answer whose body is still coming.
pub struct Incoming {
    connection: Connection,
    pub head: Head,
    framing: Body,
    asked: Instant,
    ended: Option<End>,
    body: BytesMut,
    /// Bytes of the body that [`Incoming::event`] gave out.
    taken: usize,
}

impl Incoming {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The next server-sent event as it is on the wire, comments and pings included; `None` at the end.
    pub async fn event(&mut self) -> Option<String> {
        loop {
            let rest = &self.body[self.taken..];
            if let Some(at) = memchr::memmem::find(rest, b"\n\n") {
                let event = String::from_utf8_lossy(&rest[..at + 2]).into_owned();
                self.taken += at + 2;
                return Some(event);
            }
            if self.more().await.is_some() {
                return None;
            }
        }
    }

    /// Whether nothing more of the body comes within `time`.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        let before = self.body.len();
        timeout(time, self.more()).await.is_err() && self.body.len() == before
    }

    /// The whole body, without waiting for the connection's end.
    pub async fn finish(mut self) -> Answer {
        while self.more().await.is_none() {}
        let end = self.ended.unwrap_or(End::Cut);
        Answer { head: self.head, body: self.body.freeze(), end, took: self.asked.elapsed() }
    }

    /// Like [`Incoming::finish`], and the connection for the next request.
    pub async fn finish_keeping(mut self) -> (Answer, Connection) {
        while self.more().await.is_none() {}
        let end = self.ended.unwrap_or(End::Cut);
        (Answer { head: self.head, body: self.body.freeze(), end, took: self.asked.elapsed() }, self.connection)
    }

    /// Reads on; `Some` when the body is over.
    async fn more(&mut self) -> Option<End> {
        if self.ended.is_none() && !self.take_buffered() && !self.connection.fill().await {
            self.ended = Some(if matches!(self.framing, Body::ToEnd) { End::Clean } else { End::Cut });
        }
        self.ended
    }

    /// Moves what is there into the body; false when more bytes are needed first.
    fn take_buffered(&mut self) -> bool {
        let buffer = &mut self.connection.buffer;
        match &mut self.framing {
            Body::Length(left) => {
                let here = buffer.len().min(*left);
                self.body.extend_from_slice(&buffer.split_to(here));
                *left -= here;
                if *left == 0 {
                    self.ended = Some(End::Clean);
                }
                here > 0 || *left == 0
            }
            Body::ToEnd => {
                let here = buffer.split();
                self.body.extend_from_slice(&here);
                !here.is_empty()
            }
            Body::Chunked => {
                let Some(at) = memchr::memmem::find(buffer, b"\r\n") else { return false };
                let size =
                    std::str::from_utf8(&buffer[..at]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
                let size = size.expect("a chunk's size");
                if buffer.len() < at + 2 + size + 2 {
                    return false;
                }
                buffer.advance(at + 2);
                self.body.extend_from_slice(&buffer.split_to(size));
                buffer.advance(2);
                if size == 0 {
                    self.ended = Some(End::Clean);
                }
                true
            }
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub head: Head,
    pub body: Bytes,
    pub end: End,
    pub took: Duration,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn request_id(&self) -> &str {
        self.header("request-id").expect("every answer has a request-id")
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The name of the upstream that answered.
    pub fn upstream(&self) -> &str {
        self.header("x-upstream").unwrap_or_else(|| panic!("no upstream answered: {} {}", self.status(), self.text()))
    }

    /// The type of an error in Anthropic's format.
    pub fn error_type(&self) -> String {
        let body = self.json();
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["error"]["message"].is_string(), "{body}");
        body["error"]["type"].as_str().unwrap_or_else(|| panic!("no error type: {body}")).to_owned()
    }

    /// The message of an error in Anthropic's format.
    pub fn error_message(&self) -> String {
        self.json()["error"]["message"].as_str().expect("a message").to_owned()
    }
}
