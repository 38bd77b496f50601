//! A client's request as the rest of the path needs it: whole, so that it can be sent more than once.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::decode;
use super::exchange::{ByteSource, SourceError};
use super::pieces::Pieces;
use crate::clock;
use crate::config::Server;
use crate::domain::headers::{self, CLAUDE_CODE_SESSION, X_API_KEY};
use crate::domain::peek::{self, Peek};
use crate::domain::reply::Problem;

/// A body that stands still for this long is given up.
const BODY_IDLE: Duration = Duration::from_mins(1);
/// How long a refused client may go on sending before its connection is closed.
const LINGER: Duration = Duration::from_secs(5);

/// A client's request, body and all.
pub struct Inbound {
    pub method: Method,
    pub target: PathAndQuery,
    pub headers: Arc<HeaderMap>,
    /// In few pieces: shared by every attempt, never copied.
    pub body: Vec<Bytes>,
    pub path: ApiPath,
    pub peek: Peek,
    pub session: Option<String>,
    /// Whether the body is coded in a way that leaves its wishes unknown.
    pub opaque: bool,
}

/// What the path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiPath {
    Messages,
    CountTokens,
    Other,
}

impl Inbound {
    /// The path behind `/v1`: empty or starting with a slash.
    pub fn rest(&self) -> &str {
        self.target.path().strip_prefix("/v1").unwrap_or_default()
    }

    pub fn is_repeatable(&self) -> bool {
        crate::domain::failover::is_repeatable(&self.method, self.target.path())
    }

    pub fn size(&self) -> u64 {
        self.body.iter().map(|chunk| chunk.len() as u64).sum()
    }
}

pub fn api_path(method: &Method, path: &str) -> ApiPath {
    match path {
        "/v1/messages" if *method == Method::POST => ApiPath::Messages,
        "/v1/messages/count_tokens" if *method == Method::POST => ApiPath::CountTokens,
        _ => ApiPath::Other,
    }
}

/// Whether the request may come in at all, judged by its head alone.
pub fn admit<B>(request: &Request<B>, server: &Server) -> Result<(), Problem> {
    match &server.auth_token {
        Some(token) => {
            let headers = request.headers();
            let values = headers.get_all(X_API_KEY).iter().map(|value| value.as_bytes().trim_ascii());
            let bearer =
                headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| headers::bearer(value.as_bytes()));
            // Every one is looked at: which of them was right must not show in the time it takes.
            let known = values.chain(bearer).fold(false, |known, value| known | token.matches(value));
            if known { Ok(()) } else { Err(Problem::unauthenticated()) }
        }
        None => match foreign(request, server) {
            Some(what) => Err(Problem::foreign(what)),
            None => Ok(()),
        },
    }
}

/// Whether the request asks for something that can go to an endpoint as it was meant.
pub fn route<B>(request: &Request<B>) -> Result<(), Problem> {
    // A tunnel has no answer to judge, and a trace would show the client the endpoint's credential.
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::method_not_allowed(request.method()));
    }
    let path = request.uri().path();
    if !path.starts_with("/v1/") || has_dot_segment(path) {
        return Err(Problem::not_found(path));
    }
    let headers = request.headers();
    if request.version() == Version::HTTP_11 && headers.get_all(header::HOST).iter().count() != 1 {
        return Err(Problem::bad_request("A request of HTTP/1.1 has exactly one Host header."));
    }
    // Of several codings only the last one, chunked, would be taken off: the endpoint would get another body.
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::bad_request("The only Transfer-Encoding that claude-proxy understands is chunked.")),
    }
}

/// Whether the path, to whoever reads it most generously, has a segment `.` or `..` and so may mean another one, outside
/// of `/v1` and of the endpoint's prefix.
fn has_dot_segment(path: &str) -> bool {
    if memchr::memchr2(b'.', b'%', path.as_bytes()).is_none() {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    plain.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

/// A web page that a browser on this machine shows could reach us; it cannot help naming itself.
fn foreign<B>(request: &Request<B>, server: &Server) -> Option<&'static str> {
    let texts = |name| request.headers().get_all(name).into_iter().map(|value| value.to_str().unwrap_or("?"));
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    let hosts: Vec<&str> = target.into_iter().chain(texts(header::HOST)).collect();
    if !hosts.iter().all(|host| is_ours(host, server)) {
        return Some("Host");
    }
    let same_port = |origin: &str| hosts.iter().all(|host| port_of(host) == port_of(origin));
    let ours = |origin: &str| origin.strip_prefix("http://").is_some_and(|at| is_ours(at, server) && same_port(at));
    (!texts(header::ORIGIN).all(ours)).then_some("Origin")
}

fn is_ours(authority: &str, server: &Server) -> bool {
    let host = host_of(authority);
    let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback
        || host.eq_ignore_ascii_case("localhost")
        || host.eq_ignore_ascii_case(server.host.trim_matches(['[', ']']))
}

fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn port_of(authority: &str) -> &str {
    let behind = authority.rsplit(']').next().unwrap_or_default();
    behind.rsplit_once(':').map_or("80", |(_, port)| port)
}

/// The request by its head, its body still to be read.
pub fn head(request: Request<Incoming>) -> (Inbound, Incoming) {
    let (mut head, body) = request.into_parts();
    headers::detach(&mut head.headers);
    let target = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let inbound = Inbound {
        path: api_path(&head.method, target.path()),
        session: session(&head.headers),
        method: head.method,
        target,
        headers: Arc::new(head.headers),
        body: Vec::new(),
        peek: Peek::default(),
        opaque: false,
    };
    (inbound, body)
}

/// Why there is no body.
pub enum NotRead {
    Refused(Problem),
    /// The client left before all of it was there.
    ClientGone,
}

impl From<Problem> for NotRead {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// Reads the body, and what it asks for. The limit is in bytes.
pub async fn fill(inbound: &mut Inbound, body: Incoming, limit: u64, deadline: Instant) -> Result<(), NotRead> {
    inbound.body = read_body(body, limit, deadline).await?;
    if inbound.method == Method::POST {
        (inbound.peek, inbound.opaque) = look(&inbound.body, &inbound.headers, limit).await;
        let from_body = || inbound.peek.user_id.as_deref().map(peek::session);
        inbound.session = inbound.session.take().or_else(from_body);
    }
    Ok(())
}

async fn read_body(mut body: Incoming, limit: u64, deadline: Instant) -> Result<Vec<Bytes>, NotRead> {
    let mut pieces = Pieces::default();
    if body.size_hint().lower() > limit {
        linger(body);
        return Err(Problem::too_large(limit).into());
    }
    while !body.is_end_stream() {
        let idle = BODY_IDLE.min(deadline.saturating_duration_since(clock::now()));
        let Ok(frame) = timeout(idle, body.frame()).await else { return Err(Problem::slow_body().into()) };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| broken_body(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        pieces.push(data);
        if pieces.size() as u64 > limit {
            drop(pieces);
            linger(body);
            return Err(Problem::too_large(limit).into());
        }
    }
    Ok(pieces.into_vec())
}

fn broken_body(error: &hyper::Error) -> NotRead {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let left = [UnexpectedEof, ConnectionReset, ConnectionAborted, BrokenPipe];
    if cause.is_some_and(|cause| left.contains(&cause.kind())) {
        return NotRead::ClientGone;
    }
    Problem::bad_request("The request's body is wrongly framed.").into()
}

/// Reads and forgets what a refused client still sends, for a moment: closing at once would reset the connection
/// and could take the refusal with it.
pub fn linger(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let drained = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = body.frame().await {} });
        let _ = drained.await;
    });
}

/// What the body asks for; of a coded one a copy is decoded for that.
async fn look(body: &[Bytes], headers: &HeaderMap, limit: u64) -> (Peek, bool) {
    if !decode::is_coded(headers) {
        return (peek::peek(body), false);
    }
    match decoded_copy(body, headers, limit).await {
        Some(plain) => (peek::peek(&plain), false),
        None => (Peek::default(), true),
    }
}

async fn decoded_copy(body: &[Bytes], headers: &HeaderMap, limit: u64) -> Option<Vec<Bytes>> {
    let source = Box::new(Kept(body.iter().cloned().collect()));
    let mut source = decode::decoded(source, headers).ok()?;
    let mut plain = Pieces::default();
    while let Some(piece) = std::future::poll_fn(|cx| source.poll_bytes(cx)).await {
        plain.push(piece.ok()?);
        if plain.size() as u64 > limit {
            return None;
        }
        tokio::task::consume_budget().await;
    }
    Some(plain.into_vec())
}

struct Kept(VecDeque<Bytes>);

impl ByteSource for Kept {
    fn poll_bytes(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(CLAUDE_CODE_SESSION)?.to_str().ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}
