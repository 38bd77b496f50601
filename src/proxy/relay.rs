//! The way down: from the commit point to the last byte.
//!
//! The head goes down when the body below is made. From then on nothing can be repaired, only relayed or cut: every
//! complete, good event goes down as it comes, and a fault ends the connection without a clean end, so that the
//! client knows and tries again.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::attempt::shown;
use super::exchange::BoxSource;
use super::judge::{End, StreamJudge};
use super::opening::{Flow, Opened, Streaming, broke_off_with};
use super::trip::Trip;
use crate::clock;
use crate::domain::fault::{Answer, FaultKind};
use crate::domain::health::{Failure, Outcome};
use crate::domain::{message, refusal};
use crate::live::{LastGood, Lease, Live};
use crate::wire::record::Ending;

/// Bytes of an answer that is there as a whole go down in pieces of this size: so its record ends when the last of them
/// is taken, and knows of a client that left before.
const PIECE: usize = 256 * 1024;

/// The body of every answer.
pub enum RelayBody {
    /// All of it at once.
    Whole(Option<Box<Whole>>),
    Stream(Box<Relay>),
}

pub struct Whole {
    bytes: Bytes,
    /// What ends, and how, once the bytes are handed over.
    trip: Option<(Box<Trip>, Ending)>,
}

impl Whole {
    /// The next piece, and itself again if there is more.
    fn next(mut self: Box<Self>) -> (Bytes, Option<Box<Self>>) {
        if self.bytes.len() > PIECE {
            return (self.bytes.split_to(PIECE), Some(self));
        }
        if let Some((trip, ending)) = self.trip {
            trip.end(ending);
        }
        (self.bytes, None)
    }
}

/// The client connection is to be cut here.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream's answer broke off, so the client's connection is cut")
    }
}

impl std::error::Error for Aborted {}

/// What the relay needs beside the answer.
pub struct Ground<'a> {
    pub live: &'a std::sync::Arc<Live>,
    pub stream_idle: Duration,
    pub disconnect_on_invalid: bool,
    /// Remembered for probes once the answer proved right; `None` for requests that say nothing to a probe.
    pub good: Option<LastGood>,
}

/// Sends an endpoint's answer down.
pub fn respond(opened: Opened, lease: Lease, mut trip: Box<Trip>, ground: Ground<'_>) -> Response<RelayBody> {
    let Opened { status, mut headers, flow, is_success } = opened;
    trip.descend(status, &mut headers, ground.live);
    let body = match flow {
        Flow::Whole { body, usage } => {
            trip.set_usage(usage);
            trip.pass(&body);
            lease.report(if is_success { &Outcome::Success } else { &Outcome::Neutral });
            if !is_success {
                trip.set_error(refusal::describe(status, message::api_error(&body).as_ref()));
            }
            if let Some(good) = ground.good.filter(|_| is_success) {
                ground.live.remember_good(good);
            }
            whole(body, trip, if is_success { Ending::Complete } else { Ending::RelayedError })
        }
        Flow::Stream(streaming) => RelayBody::Stream(Box::new(Relay::new(*streaming, lease, trip, ground))),
    };
    response(Answer { status, headers, body: Bytes::new() }, body)
}

/// Sends an answer down that no endpoint stands behind; its head has descended.
pub fn respond_failed(answer: Answer, error: String, mut trip: Box<Trip>, ending: Ending) -> Response<RelayBody> {
    trip.set_error(error);
    trip.pass(&answer.body);
    let body = whole(answer.body.clone(), trip, ending);
    response(answer, body)
}

/// Sends an answer down that is not recorded.
pub fn respond_plain(answer: Answer) -> Response<RelayBody> {
    let body = RelayBody::Whole(Some(Box::new(Whole { bytes: answer.body.clone(), trip: None })));
    response(answer, body)
}

fn whole(body: Bytes, trip: Box<Trip>, ending: Ending) -> RelayBody {
    if body.is_empty() || trip.is_head() {
        // Nobody asks an empty body for its bytes, nor any body of an answer to HEAD; so it is over now.
        trip.end(ending);
        return RelayBody::Whole((!body.is_empty()).then(|| Box::new(Whole { bytes: body, trip: None })));
    }
    RelayBody::Whole(Some(Box::new(Whole { bytes: body, trip: Some((trip, ending)) })))
}

fn response(answer: Answer, body: RelayBody) -> Response<RelayBody> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let polled = match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|whole| {
                let (piece, more) = whole.next();
                *body = more;
                Ok(piece)
            })),
            Self::Stream(relay) => relay.poll(cx),
        };
        polled.map(|frame| frame.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |whole| whole.bytes.len() as u64)),
            Self::Stream(_) => SizeHint::new(),
        }
    }
}

/// One stream on its way down.
pub struct Relay {
    source: Option<BoxSource>,
    /// `None`: relayed unjudged, from the start or since it broke.
    judge: Option<StreamJudge>,
    /// What may go down at once, oldest last.
    ready: Vec<Bytes>,
    fate: Option<Fate>,
    /// It broke, and goes on all the same.
    is_broken: bool,
    /// The head or bytes went into the server's buffer since it was last free to write them out.
    unflushed: bool,
    idle: Pin<Box<Sleep>>,
    stream_idle: Duration,
    /// When the silence is too long; set only while we wait for the upstream, never while the client makes us wait.
    deadline: Option<Instant>,
    disconnect_on_invalid: bool,
    lease: Option<Lease>,
    trip: Option<Box<Trip>>,
    live: std::sync::Arc<Live>,
    good: Option<LastGood>,
}

/// How it ends once everything in `ready` went down.
enum Fate {
    /// Cleanly.
    Close { ending: Ending, outcome: Outcome },
    /// Without a clean end.
    Abort,
}

impl Relay {
    fn new(streaming: Streaming, lease: Lease, trip: Box<Trip>, ground: Ground<'_>) -> Self {
        let Streaming { mut held, judge, source, end } = streaming;
        held.reverse();
        let is_judged = judge.is_some();
        let mut relay = Self {
            source: Some(source),
            judge,
            ready: held,
            fate: None,
            is_broken: false,
            unflushed: true,
            idle: Box::pin(tokio::time::sleep(ground.stream_idle)),
            stream_idle: ground.stream_idle,
            deadline: None,
            disconnect_on_invalid: ground.disconnect_on_invalid,
            lease: Some(lease),
            trip: Some(trip),
            live: std::sync::Arc::clone(ground.live),
            good: ground.good.filter(|_| is_judged),
        };
        if let Some(end) = end {
            relay.end(end);
        }
        relay
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if let Some(bytes) = self.ready.pop() {
                if let Some(trip) = &mut self.trip {
                    trip.pass_piece(&bytes);
                }
                self.unflushed = true;
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(fate) = self.fate.take() {
                return self.meet(fate, cx);
            }
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            match source.poll_bytes(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.deadline = None;
                    self.take_in(chunk);
                }
                Poll::Ready(Some(Err(error))) => self.finish(Some((error.kind(), error.to_string()))),
                Poll::Ready(None) => self.finish(None),
                Poll::Pending if self.is_silent(cx) => {
                    let detail = format!("its stream stood still for {}", shown(self.stream_idle));
                    self.finish(Some((FaultKind::IdleTimeout, detail)));
                }
                Poll::Pending => {
                    self.unflushed = false;
                    return Poll::Pending;
                }
            }
        }
    }

    /// The timer is set anew only when it rings too early: events are many, silences few.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = *self.deadline.get_or_insert_with(|| clock::now() + self.stream_idle);
        while self.idle.as_mut().poll(cx).is_ready() {
            if clock::now() >= deadline {
                return true;
            }
            self.idle.as_mut().reset(deadline.into());
        }
        false
    }

    fn take_in(&mut self, chunk: Bytes) {
        let Some(judge) = &mut self.judge else {
            self.ready.push(chunk);
            return;
        };
        let fed = judge.feed(chunk);
        if !fed.released.is_empty() {
            self.ready.push(fed.released);
        }
        if let Some(end) = fed.end {
            self.end(end);
        }
    }

    /// The source has no more, cleanly or for that reason.
    fn finish(&mut self, cut: Option<(FaultKind, String)>) {
        self.source = None;
        match (&mut self.judge, cut) {
            (Some(judge), None) => match judge.finish(None) {
                End::Broken { detail, rest } if !self.disconnect_on_invalid => {
                    self.note_usage();
                    self.let_pass(&detail, rest);
                    self.close_broken();
                }
                end => self.end(end),
            },
            (Some(judge), Some((kind, detail))) => {
                let end = judge.finish(Some(detail));
                self.end_as(end, kind);
            }
            (None, None) if self.is_broken => self.close_broken(),
            (None, None) => self.fate = Some(Fate::Close { ending: Ending::Complete, outcome: Outcome::Success }),
            (None, Some((kind, detail))) => self.abort(kind, &detail),
        }
    }

    fn end(&mut self, end: End) {
        self.end_as(end, FaultKind::BrokenStream);
    }

    fn end_as(&mut self, end: End, kind: FaultKind) {
        self.note_usage();
        match end {
            End::Whole(missing) => {
                if !missing.is_empty() {
                    self.ready.insert(0, missing);
                }
                self.retire();
                self.fate = Some(Fate::Close { ending: Ending::Complete, outcome: Outcome::Success });
            }
            End::Error(error) => {
                let outcome = self.failure(FaultKind::ErrorEvent, &broke_off_with(&error));
                self.retire();
                self.fate = Some(Fate::Close { ending: Ending::Cut, outcome });
            }
            End::Broken { detail, rest } if !self.disconnect_on_invalid && self.source.is_some() => {
                self.let_pass(&detail, rest);
            }
            End::Broken { detail, .. } => self.abort(kind, &detail),
        }
    }

    fn note_usage(&mut self) {
        if let (Some(trip), Some(judge)) = (&mut self.trip, &self.judge) {
            trip.set_usage(judge.usage());
        }
    }

    /// From here on the stream goes down as it is.
    fn let_pass(&mut self, detail: &str, rest: Bytes) {
        self.is_broken = true;
        self.judge = None;
        self.good = None;
        let outcome = self.failure(FaultKind::BrokenStream, detail);
        if let Some(lease) = self.lease.take() {
            lease.report(&outcome);
        }
        if !rest.is_empty() {
            self.ready.insert(0, rest);
        }
    }

    /// A broken stream that was let pass has come to its end.
    fn close_broken(&mut self) {
        self.fate = Some(Fate::Close { ending: Ending::Cut, outcome: Outcome::Neutral });
    }

    fn abort(&mut self, kind: FaultKind, detail: &str) {
        self.source = None;
        let outcome = self.failure(kind, detail);
        if let Some(lease) = self.lease.take() {
            lease.report(&outcome);
        }
        self.fate = Some(Fate::Abort);
    }

    fn failure(&mut self, kind: FaultKind, detail: &str) -> Outcome {
        let Some(trip) = &mut self.trip else { return Outcome::Neutral };
        let detail = trip.redacted(detail);
        trip.note_late(kind.word(), &detail);
        tracing::warn!("{}: {detail}", trip.id());
        Outcome::Failure(Failure { reason: detail, request_id: trip.id().to_owned(), rest: None })
    }

    fn retire(&mut self) {
        if let Some(source) = self.source.take() {
            source.retire();
        }
    }

    fn meet(&mut self, fate: Fate, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        match fate {
            // The server drops what it has not written yet when a body fails, so it gets a turn to write first.
            Fate::Abort if std::mem::take(&mut self.unflushed) => {
                self.fate = Some(Fate::Abort);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Fate::Abort => {
                if let Some(trip) = self.trip.take() {
                    trip.end(Ending::Cut);
                }
                Poll::Ready(Some(Err(Aborted)))
            }
            Fate::Close { ending, outcome } => {
                if let (Some(good), Outcome::Success) = (self.good.take(), &outcome) {
                    self.live.remember_good(good);
                }
                if let Some(lease) = self.lease.take() {
                    lease.report(&outcome);
                }
                if let Some(trip) = self.trip.take() {
                    trip.end(ending);
                }
                self.source = None;
                Poll::Ready(None)
            }
        }
    }
}
