//! One attempt at one endpoint: from the first packet to the point where its answer is good enough to commit to.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio::time::timeout_at;

use super::decode;
use super::exchange::{BoxSource, ConnectError, Exchange, Head, Link, SendError, SourceError, Upload};
use super::intake::{ApiPath, Inbound};
use super::judge::{End, StreamJudge};
use super::pieces::Pieces;
use crate::clock;
use crate::config::{Timeouts, Validation};
use crate::domain::endpoint::EndpointSpec;
use crate::domain::failover;
use crate::domain::fault::{Answer, Fault, FaultKind, Progress};
use crate::domain::headers;
use crate::domain::message::{self, ApiError, Usage};
use crate::domain::refusal;
use crate::domain::reply;
use crate::domain::secret::Secret;
use crate::traffic::UnderWay;
use crate::wire::status::Phase;

/// An answer that is held whole is a fault beyond this, decoded.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Pings and comments before the first content are held; beyond this they are an attack.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// How long the body of an answer is waited for whose status says it all.
const REFUSAL_WITHIN: Duration = Duration::from_secs(5);
/// The pause before the next look for a descriptor.
const BREATHER: Duration = Duration::from_millis(50);

/// What one attempt is made with.
pub struct Call<'a> {
    pub exchange: &'a dyn Exchange,
    pub spec: &'a EndpointSpec,
    pub inbound: &'a Inbound,
    pub validation: Validation,
    pub timeouts: Timeouts,
    /// Our own token, which no endpoint may see.
    pub own_token: Option<&'a Secret>,
    /// When the request began to go out, once it did.
    pub sent: Sent,
    /// Told how far it comes; a probe is no request under way.
    pub under_way: Option<Arc<UnderWay>>,
}

/// The last time that a request was handed to a connection.
#[derive(Debug, Default)]
pub struct Sent(Mutex<Option<Instant>>);

impl Sent {
    fn set(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    pub fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call<'_> {
    fn reach(&self, phase: Phase) {
        if let Some(request) = &self.under_way {
            request.reach(phase);
        }
    }
}

/// An answer that may go down.
pub struct Opened {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub flow: Flow,
    /// Whether it says anything good about the endpoint; a relayed refusal says nothing.
    pub is_success: bool,
}

pub enum Flow {
    /// All of it, judged.
    Whole { body: Bytes, usage: Usage },
    /// The rest is still coming.
    Stream(Box<Streaming>),
}

pub struct Streaming {
    /// What was read before the commit point, complete events only where they are judged.
    pub held: Vec<Bytes>,
    /// `None`: relayed unjudged.
    pub judge: Option<StreamJudge>,
    pub source: BoxSource,
    /// The stream ended in the very chunk that made it worth committing to.
    pub end: Option<End>,
}

/// How a 2xx answer is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Message,
    TokenCount,
    Stream,
    /// Not judged, and relayed from the first byte.
    OpenStream,
    /// Not judged; held while it is small enough, so that a cut can still be mended.
    Held,
}

/// # Errors
/// The fault, with whose blame it is and what to relay if nobody has a better answer.
pub async fn open(call: &Call<'_>) -> Result<Opened, Fault> {
    let (response, deadline) = send(call).await?;
    call.reach(Phase::Held);
    let (head, body) = response.into_parts();
    let status = head.status;
    if status.is_informational() {
        let detail = format!("it answered {status} to a request that asked for no upgrade");
        return Err(Fault::new(FaultKind::Transport, detail).with_status(status));
    }
    if let Some(coding) = headers::foreign_transfer_coding(&head.headers) {
        let detail = format!("its Transfer-Encoding is {}, which we did not ask for", refusal::shortened(coding));
        return Err(Fault::new(FaultKind::Decode, detail).with_status(status));
    }
    let bodyless = call.inbound.method == Method::HEAD || matches!(status.as_u16(), 204 | 304);
    let names_coding = decode::is_coded(&head.headers);
    let body = if names_coding && !bodyless { decode::decoded(body, &head.headers) } else { Ok(body) };
    let body = match body {
        Ok(body) => body,
        Err(_) if is_decided(status, call.inbound.path) => decode::nothing(),
        Err(detail) => return Err(Fault::new(FaultKind::Decode, detail).with_status(status)),
    };
    // Of a coded body it is the coded length, which is not the one that a GET would get.
    let keeps_length = call.inbound.method == Method::HEAD && !names_coding;
    let length = head.headers.get(header::CONTENT_LENGTH).filter(|_| keeps_length).cloned();
    let mut headers = headers::inbound(head.headers);
    headers.extend(length.map(|length| (header::CONTENT_LENGTH, length)));
    let opening = Opening { call, status, headers, body };
    let opened = if status.is_success() { opening.judge(deadline).await } else { opening.refused().await };
    opened.map_err(|fault| {
        // Whatever became of its body: it said no.
        let progress = if failover::is_refusal(status) { Progress::Declined } else { fault.progress };
        Fault { status: Some(status), progress, ..fault }
    })
}

/// Sends it and waits for the head. A pooled connection that turns out dead is replaced by a fresh one, once.
async fn send(call: &Call<'_>) -> Result<(Response<BoxSource>, Instant), Fault> {
    let inbound = call.inbound;
    let target = call.spec.target(inbound.rest(), inbound.target.query());
    let target =
        target.ok_or_else(|| Fault::new(FaultKind::Connect, "its url and path_prefix make no valid address"))?;
    let framed =
        [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| inbound.headers.contains_key(name));
    let head = Head {
        method: &inbound.method,
        target: &target,
        spec: call.spec,
        headers: &inbound.headers,
        own_token: call.own_token,
        length: (framed || inbound.size() > 0).then(|| inbound.size()),
    };
    // One that may not be sent twice cannot be sent on a connection that may have died unnoticed.
    let fresh = !call.inbound.is_repeatable();
    let link = connect(call, fresh).await?;
    let reused = link.is_reused();
    match exchange(call, link, &head).await {
        Err((_, error)) if reused && error.as_ref().is_some_and(|error| error.died_silent) => {
            let link = connect(call, true).await?;
            exchange(call, link, &head).await.map_err(|(fault, _)| fault)
        }
        sent => sent.map_err(|(fault, _)| fault),
    }
}

/// Where this machine has no descriptor for a connection, others will give theirs back: that is waited for.
async fn connect(call: &Call<'_>, fresh: bool) -> Result<Box<dyn Link>, Fault> {
    let limit = call.timeouts.connect;
    let deadline = clock::now() + limit;
    loop {
        match timeout_at(deadline.into(), call.exchange.connect(fresh)).await {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(ConnectError::There(detail))) => return Err(Fault::new(FaultKind::Connect, detail)),
            Ok(Err(ConnectError::Here(_))) if clock::now() + BREATHER < deadline => tokio::time::sleep(BREATHER).await,
            Ok(Err(ConnectError::Here(detail))) => return Err(Fault::new(FaultKind::Machine, detail)),
            Err(_) => {
                let detail = format!("no connection within {}", shown(limit));
                return Err(Fault::new(FaultKind::ConnectTimeout, detail));
            }
        }
    }
}

type Exchanged = Result<(Response<BoxSource>, Instant), (Fault, Option<SendError>)>;

/// The first-byte clock starts anew with every piece of the request that moves: a slow uplink is no slow endpoint.
async fn exchange(call: &Call<'_>, link: Box<dyn Link>, head: &Head<'_>) -> Exchanged {
    let limit = call.timeouts.first_byte;
    call.sent.set(clock::now());
    call.reach(Phase::Waiting);
    let upload = Upload::new(&call.inbound.body);
    let watch = upload.watch();
    let mut answer = link.send(head, upload);
    let mut deadline = clock::now() + limit;
    loop {
        match timeout_at(deadline.into(), &mut answer).await {
            Ok(Ok(response)) => {
                let moved = watch.moved_at().map(|at| at + limit);
                return Ok((response, moved.map_or(deadline, |moved| deadline.max(moved))));
            }
            Ok(Err(error)) => {
                let progress =
                    if error.unsent || !watch.is_taken() { Progress::NotDelivered } else { Progress::Delivered };
                return Err((
                    Fault { progress, ..Fault::new(FaultKind::Transport, error.detail.clone()) },
                    Some(error),
                ));
            }
            Err(_) => match watch.moved_at().map(|at| at + limit).filter(|later| *later > deadline) {
                Some(later) => deadline = later,
                None => {
                    let progress = if watch.is_taken() { Progress::Delivered } else { Progress::NotDelivered };
                    let detail = format!("no answer within {}", shown(limit));
                    return Err((Fault { progress, ..Fault::new(FaultKind::FirstByteTimeout, detail) }, None));
                }
            },
        }
    }
}

/// An answer whose head is there.
struct Opening<'a> {
    call: &'a Call<'a>,
    status: StatusCode,
    headers: HeaderMap,
    body: BoxSource,
}

impl Opening<'_> {
    /// A status that is no success: read whole, then classed.
    async fn refused(mut self) -> Result<Opened, Fault> {
        let body = if is_decided(self.status, self.call.inbound.path) {
            let read = tokio::time::timeout(REFUSAL_WITHIN, self.read_whole(false)).await;
            if let Ok(Ok(Held::Whole(body))) = read { body } else { Bytes::new() }
        } else {
            match self.read_whole(false).await? {
                Held::Whole(body) => body,
                Held::TooLarge(_) => return Err(too_large()),
            }
        };
        let on_messages = self.call.inbound.path == ApiPath::Messages;
        let answer = Answer { status: self.status, headers: self.headers, body };
        let answer = refusal::judge(answer, on_messages, clock::wall())?;
        let flow = Flow::Whole { body: answer.body, usage: Usage::default() };
        Ok(Opened { status: answer.status, headers: answer.headers, flow, is_success: false })
    }

    async fn judge(self, deadline: Instant) -> Result<Opened, Fault> {
        match self.measure() {
            Measure::Stream => self.open_judged(deadline).await,
            Measure::OpenStream => {
                let streaming = Streaming { held: Vec::new(), judge: None, source: self.body, end: None };
                Ok(opened(self.status, self.headers, Flow::Stream(Box::new(streaming))))
            }
            Measure::Held => self.hold().await,
            measure => self.read_judged(measure).await,
        }
    }

    fn measure(&self) -> Measure {
        let (inbound, validation) = (self.call.inbound, self.call.validation);
        let is_event_stream = || headers::media_type(&self.headers) == "text/event-stream";
        let streams = inbound.peek.stream || (inbound.opaque && is_event_stream());
        match inbound.path {
            _ if inbound.method == Method::HEAD => Measure::Held,
            ApiPath::Messages if streams && validation.validate_streaming => Measure::Stream,
            ApiPath::Messages if streams => Measure::OpenStream,
            ApiPath::Messages if validation.strict_anthropic_format => Measure::Message,
            ApiPath::CountTokens if validation.strict_anthropic_format => Measure::TokenCount,
            _ if is_event_stream() => Measure::OpenStream,
            _ => Measure::Held,
        }
    }

    /// Not judged: held whole, so that a cut answer can still be had elsewhere, unless it is too large for that.
    async fn hold(mut self) -> Result<Opened, Fault> {
        let flow = match self.read_whole(false).await? {
            Held::Whole(body) => Flow::Whole { body, usage: Usage::default() },
            Held::TooLarge(held) => {
                Flow::Stream(Box::new(Streaming { held, judge: None, source: self.body, end: None }))
            }
        };
        Ok(opened(self.status, self.headers, flow))
    }

    async fn read_judged(mut self, measure: Measure) -> Result<Opened, Fault> {
        let Held::Whole(body) = self.read_whole(true).await? else { return Err(too_large()) };
        let judged = match measure {
            Measure::TokenCount => message::check_token_count(&body).map(|_| Usage::default()),
            _ => message::check_message(&body),
        };
        let usage = judged.map_err(|defect| {
            let detail = match message::api_error(&body) {
                Some(error) => format!("it answered 200 with {}: {}", error.kind, refusal::shortened(&error.message)),
                None => format!("its answer is not what was asked for: {defect}"),
            };
            Fault::new(FaultKind::NotAMessage, detail)
        })?;
        relabel(&mut self.headers, "application/json");
        Ok(opened(self.status, self.headers, Flow::Whole { body, usage }))
    }

    /// To its end. What should be a JSON object and does not begin as one may never end, and is given back at once.
    async fn read_whole(&mut self, as_object: bool) -> Result<Held, Fault> {
        let idle = self.call.timeouts.stream_idle;
        let mut pieces = Pieces::default();
        let mut begun = if as_object { None } else { Some(true) };
        loop {
            let Ok(piece) = tokio::time::timeout(idle, poll_fn(|cx| self.body.poll_bytes(cx))).await else {
                let detail = format!("its answer stood still for {}", shown(idle));
                return Err(Fault::new(FaultKind::IdleTimeout, detail));
            };
            let Some(piece) = piece else { return Ok(Held::Whole(pieces.into_bytes())) };
            let piece = piece.map_err(|error| source_fault(&error))?;
            begun = begun.or_else(|| message::begins_as_object(&piece));
            pieces.push(piece);
            if begun == Some(false) {
                return Ok(Held::Whole(pieces.into_bytes()));
            }
            if pieces.size() > MAX_ANSWER {
                return Ok(Held::TooLarge(pieces.into_vec()));
            }
        }
    }

    /// A judged stream, held until its first content. Pings and comments before that are no sign of life: the
    /// first-byte clock runs to `message_start`, the idle clock from there to the content.
    async fn open_judged(mut self, first_byte: Instant) -> Result<Opened, Fault> {
        let mut judge = StreamJudge::default();
        let (mut held, mut deadline, mut started) = (Pieces::default(), first_byte, false);
        loop {
            if judge.is_started() && !started {
                started = true;
                deadline = clock::now() + self.call.timeouts.stream_idle;
            }
            let Ok(piece) = timeout_at(deadline.into(), poll_fn(|cx| self.body.poll_bytes(cx))).await else {
                return Err(self.silent(started));
            };
            let (released, end) = match piece {
                Some(Ok(chunk)) => {
                    let fed = judge.feed(chunk);
                    (fed.released, fed.end)
                }
                Some(Err(error)) => return Err(source_fault(&error)),
                None => (Bytes::new(), Some(judge.finish(None))),
            };
            held.push(released);
            if judge.is_committed() {
                relabel(&mut self.headers, "text/event-stream");
                let held = held.into_vec();
                let streaming = Streaming { held, judge: Some(judge), source: self.body, end };
                return Ok(opened(self.status, self.headers, Flow::Stream(Box::new(streaming))));
            }
            if let Some(end) = end {
                return Err(uncommitted(end));
            }
            if held.size() + judge.unfinished() > MAX_HELD {
                return Err(too_large());
            }
            // A flood leaves the timer no gap to ring in.
            if clock::now() >= deadline && judge.is_started() == started {
                return Err(self.silent(started));
            }
        }
    }

    fn silent(&self, started: bool) -> Fault {
        let timeouts = &self.call.timeouts;
        if started {
            let detail = format!("no content within {} of message_start", shown(timeouts.stream_idle));
            Fault::new(FaultKind::IdleTimeout, detail)
        } else {
            Fault::new(FaultKind::FirstByteTimeout, format!("no message_start within {}", shown(timeouts.first_byte)))
        }
    }
}

/// Whether the status alone says what it counts as: its body is a courtesy then, which must not hold up the next
/// endpoint.
fn is_decided(status: StatusCode, path: ApiPath) -> bool {
    match status.as_u16() {
        401..=403 | 408 | 409 | 429 => true,
        // It may be the answer.
        501 => path == ApiPath::Messages,
        _ => !(status.is_success() || status.is_client_error()),
    }
}

enum Held {
    Whole(Bytes),
    /// More than we hold: what was read so far.
    TooLarge(Vec<Bytes>),
}

fn opened(status: StatusCode, headers: HeaderMap, flow: Flow) -> Opened {
    Opened { status, headers, flow, is_success: true }
}

/// A stream that ended before it had any content.
fn uncommitted(end: End) -> Fault {
    match end {
        End::Whole(_) => Fault::new(FaultKind::BrokenStream, "its stream ended without any content"),
        End::Broken { detail, .. } => Fault::new(FaultKind::BrokenStream, detail),
        End::Error(error) => event_fault(&error),
    }
}

/// The stream's own `error` event: with the status that its type would have had, where a client can act on that.
fn event_fault(error: &ApiError) -> Fault {
    let status = reply::status_of_event(&error.kind);
    let kind = match error.kind.as_str() {
        "overloaded_error" | "rate_limit_error" => FaultKind::Limited,
        "authentication_error" | "permission_error" | "billing_error" => FaultKind::Credentials,
        "invalid_request_error" if failover::is_about_billing(&error.message) => FaultKind::Credentials,
        _ => FaultKind::ErrorEvent,
    };
    let fault =
        Fault::new(kind, format!("its stream began with {}: {}", error.kind, refusal::shortened(&error.message)));
    let answer = status.map(|status| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Box::new(Answer { status, headers, body: reply::error_body(&error.kind, &error.message, None) })
    });
    Fault { relay: answer, ..fault }
}

fn source_fault(error: &SourceError) -> Fault {
    Fault::new(error.kind(), error.to_string())
}

fn too_large() -> Fault {
    Fault::new(FaultKind::TooLarge, format!("its answer is larger than {} MiB", MAX_ANSWER >> 20))
}

/// Right bytes under a wrong label get the right one: clients go by it.
fn relabel(headers: &mut HeaderMap, media_type: &'static str) {
    if headers::media_type(headers) != media_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
}

/// `60 s`, `1.5 s`, `200 ms`.
pub fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs_f64())
    }
}
