//! The way down: from the commit point to the last byte.
//!
//! The head goes down when the body below is made. From then on nothing can be repaired, only relayed or cut: every
//! complete, good event goes down as it comes, and a fault ends the connection without a clean end, so that the
//! client knows and tries again.

mod stream;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};

use self::stream::Relay;
use super::opening::{Flow, Opened};
use super::trip::Trip;
use crate::domain::fault::Answer;
use crate::domain::health::Outcome;
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
    pub live: &'a Arc<Live>,
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
