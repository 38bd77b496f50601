//! From an answer's head to the point where the answer is good enough to commit to: read whole and judged, or, of a
//! stream, held until its first content.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio::time::timeout_at;

use super::attempt::{Call, shown};
use super::decode;
use super::exchange::{BoxSource, SourceError};
use super::intake::ApiPath;
use super::judge::{End, StreamJudge};
use super::pieces::Pieces;
use crate::clock;
use crate::domain::failover;
use crate::domain::fault::{Answer, Fault, FaultKind, Progress};
use crate::domain::headers;
use crate::domain::message::{self, ApiError, Usage};
use crate::domain::refusal;
use crate::domain::reply;

/// An answer that is held whole is a fault beyond this, decoded.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// Pings and comments before the first content are held; beyond this they are an attack.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// How long the body of an answer is waited for whose status says it all: so long, or this part of the request's time.
const REFUSAL_WITHIN: Duration = Duration::from_secs(5);
const REFUSAL_PART: u32 = 4;

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

impl Streaming {
    /// To its end, for whoever wants nothing but the judgement.
    ///
    /// # Errors
    /// What is wrong with the rest of it.
    pub async fn read_out(self) -> Result<(), Fault> {
        let Self { judge, mut source, mut end, .. } = self;
        let Some(mut judge) = judge else { return Ok(()) };
        loop {
            match end {
                Some(End::Whole(_)) => {
                    source.retire();
                    return Ok(());
                }
                Some(End::Broken { detail, .. }) => return Err(Fault::new(FaultKind::BrokenStream, detail)),
                Some(End::Error(error)) => return Err(Fault::new(FaultKind::ErrorEvent, broke_off_with(&error))),
                None => {}
            }
            end = match poll_fn(|cx| source.poll_bytes(cx)).await {
                Some(Ok(chunk)) => judge.feed(chunk).end,
                Some(Err(error)) => Some(judge.finish(Some(error.to_string()))),
                None => Some(judge.finish(None)),
            };
        }
    }
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

/// `deadline`: when the first byte is too late.
///
/// # Errors
/// As of [`super::attempt::open`].
pub(super) async fn open(call: &Call<'_>, response: Response<BoxSource>, deadline: Instant) -> Result<Opened, Fault> {
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
            let patience = REFUSAL_WITHIN.min(self.call.timeouts.commit / REFUSAL_PART);
            let read = tokio::time::timeout(patience, self.read_whole(false)).await;
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
            // Nobody below asks for the body of an answer that cannot have one, so it would never end.
            Measure::OpenStream if self.status == StatusCode::NO_CONTENT => self.hold().await,
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

/// An `error` event that came behind content.
pub(super) fn broke_off_with(error: &ApiError) -> String {
    format!("its stream broke off with {}: {}", error.kind, refusal::shortened(&error.message))
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
