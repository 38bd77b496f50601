//! One attempt at one endpoint: from the first packet to the point where its answer is good enough to commit to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Response, header};
use tokio::time::timeout_at;

use super::exchange::{BoxSource, ConnectError, Exchange, Link, RequestHead, SendError, Upload, UploadWatch};
use super::intake::Inbound;
use super::opening::{self, Opened};
use crate::clock;
use crate::config::{Timeouts, Validation};
use crate::domain::endpoint::EndpointSpec;
use crate::domain::fault::{Fault, FaultKind, Progress};
use crate::domain::secret::Secret;
use crate::traffic::UnderWay;
use crate::wire::status::Phase;

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

/// # Errors
/// The fault, with whose blame it is and what to relay if nobody has a better answer.
pub async fn open(call: &Call<'_>) -> Result<Opened, Fault> {
    let (response, deadline, upload) = send(call).await?;
    call.reach(Phase::Held);
    opening::open(call, response, deadline).await.map_err(|fault| match fault.progress {
        // Who answers without having read the request has not acted on it.
        Progress::Delivered if !upload.is_taken() => Fault { progress: Progress::NotDelivered, ..fault },
        _ => fault,
    })
}

/// Sends it and waits for the head. A pooled connection that turns out dead is replaced by a fresh one, once.
async fn send(call: &Call<'_>) -> Result<Sending, Fault> {
    let inbound = call.inbound;
    let target = call.spec.target(inbound.rest(), inbound.target.query());
    let target =
        target.ok_or_else(|| Fault::new(FaultKind::Connect, "its url and path_prefix make no valid address"))?;
    // Some servers refuse these without a length, though the body be empty (RFC 9110 section 8.6).
    let framed = matches!(inbound.method, Method::POST | Method::PUT | Method::PATCH)
        || [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| inbound.headers.contains_key(name));
    let head = RequestHead {
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

/// A head, when the first byte is too late, and how far the request's body has gone.
type Sending = (Response<BoxSource>, Instant, UploadWatch);
type Exchanged = Result<Sending, (Fault, Option<SendError>)>;

/// The first-byte clock starts anew with every piece of the request that moves: a slow uplink is no slow endpoint.
async fn exchange(call: &Call<'_>, link: Box<dyn Link>, head: &RequestHead<'_>) -> Exchanged {
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
                return Ok((response, moved.map_or(deadline, |moved| deadline.max(moved)), watch));
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

/// `60 s`, `1.5 s`, `200 ms`.
pub fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs_f64())
    }
}
