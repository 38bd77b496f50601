//! The smallest view of an upstream that the request path needs, so that tests can script one without a socket.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body::{Body, Frame, SizeHint};

use crate::clock;
use crate::domain::endpoint::EndpointSpec;
use crate::domain::fault::FaultKind;
use crate::domain::headers;
use crate::domain::secret::Secret;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One endpoint's transport: pooled connections to one address.
pub trait Exchange: Send + Sync {
    /// A connection to send one request on; with `fresh`, never a pooled one.
    fn connect(&self, fresh: bool) -> BoxFuture<'_, Result<Box<dyn Link>, ConnectError>>;
}

/// A connection that is ready for one request.
pub trait Link: Send {
    /// Whether it has carried a request before, and so may have died unnoticed.
    fn is_reused(&self) -> bool;

    /// Sends the request and waits for the answer's head. Dropping the future closes the connection.
    fn send(self: Box<Self>, head: &RequestHead<'_>, body: Upload) -> BoxFuture<'static, SendResult>;
}

pub type SendResult = Result<Response<BoxSource>, SendError>;

/// A request's head on its way to an endpoint. Nothing of it is copied before a connection writes it in its own way.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    pub target: &'a PathAndQuery,
    pub spec: &'a EndpointSpec,
    /// As the client sent them.
    pub headers: &'a HeaderMap,
    /// Our own token, which no endpoint may see.
    pub own_token: Option<&'a Secret>,
    /// Bytes of the body, where the request has one.
    pub length: Option<u64>,
}

impl RequestHead<'_> {
    /// All that goes out but `Host` and `Content-Length`.
    pub fn each_header(&self, put: impl FnMut(&HeaderName, &HeaderValue)) {
        headers::each_outbound(self.headers, &self.spec.auth, self.own_token, put);
    }

    /// For a library to send. The address stands for `Host`. `None` when the address makes no URI.
    pub fn to_request(&self, body: Upload) -> Option<Request<Upload>> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.spec.url.uri(self.target.clone())?;
        *request.headers_mut() = headers::outbound(self.headers, &self.spec.auth, self.own_token);
        let length = self.length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length)));
        request.headers_mut().extend(length);
        Some(request)
    }
}

/// An answer's body, still coded, in as few pieces as came in: everything that is ready comes in one piece.
/// Dropping it before its end closes the connection.
pub trait ByteSource: Send {
    /// No bytes are a sign of life: something came, and nothing of the body yet.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>>;

    /// Nothing more is wanted of it. A source may finish quietly to keep its connection; by default it just closes.
    fn retire(self: Box<Self>) {}
}

pub type BoxSource = Box<dyn ByteSource>;

/// Why there is no connection, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The way there or the other side failed.
    There(String),
    /// This machine has nothing to connect with right now; it says nothing about the other side.
    Here(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    pub detail: String,
    /// No byte of the request was written.
    pub unsent: bool,
    /// The connection died before any byte of an answer, as one that sat idle for too long does.
    pub died_silent: bool,
}

impl SendError {
    /// Nothing was even tried.
    pub fn before(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), unsent: true, died_silent: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The connection broke, or its framing did.
    Transport(String),
    /// The content coding does not decode.
    Decode(String),
}

impl SourceError {
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Transport(_) => FaultKind::Transport,
            Self::Decode(_) => FaultKind::Decode,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Transport(detail) | Self::Decode(detail)) = self;
        f.write_str(detail)
    }
}

/// A request body kept in memory, so that it can be sent again: chunks are shared, never copied.
#[derive(Debug)]
pub struct Upload {
    chunks: VecDeque<Bytes>,
    left: u64,
    watch: UploadWatch,
}

impl Upload {
    pub fn new(chunks: &[Bytes]) -> Self {
        let chunks: VecDeque<Bytes> = chunks.iter().filter(|chunk| !chunk.is_empty()).cloned().collect();
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let moved = Moved { all: chunks.is_empty(), at: None };
        Self { chunks, left, watch: UploadWatch(Arc::new(Mutex::new(moved))) }
    }

    /// A view on how far it got, for whoever sent it.
    pub fn watch(&self) -> UploadWatch {
        self.watch.clone()
    }

    /// What is left of it, as far as there is room for its pieces.
    pub fn pieces<'a>(&'a self, room: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (place, chunk) in room.iter_mut().zip(&self.chunks) {
            *place = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    /// So many bytes of it were taken.
    pub fn advance(&mut self, mut taken: usize) {
        if taken == 0 {
            return;
        }
        self.left -= taken as u64;
        while let Some(chunk) = self.chunks.front_mut() {
            if taken < chunk.len() {
                chunk.advance(taken);
                break;
            }
            taken -= chunk.len();
            self.chunks.pop_front();
        }
        *self.watch.moved() = Moved { all: self.chunks.is_empty(), at: Some(clock::now()) };
    }
}

#[derive(Clone, Debug)]
pub struct UploadWatch(Arc<Mutex<Moved>>);

#[derive(Debug)]
struct Moved {
    all: bool,
    at: Option<Instant>,
}

impl UploadWatch {
    /// Whether all of the body was handed to the connection.
    pub fn is_taken(&self) -> bool {
        self.moved().all
    }

    /// When a piece of it was handed to the connection last.
    pub fn moved_at(&self) -> Option<Instant> {
        self.moved().at
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(chunk) = self.chunks.front().cloned() else { return Poll::Ready(None) };
        self.advance(chunk.len());
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
