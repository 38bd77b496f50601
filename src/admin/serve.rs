//! One request from its head to its answer: judged, read, routed, and given the headers that every answer has.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::answer::{Outcome, Refusal};
use super::guard::{Door, secure};
use super::listen::{AtWork, Busy};
use super::routes::router;
use super::state::Shared;
use crate::domain::fault::Answer;
use crate::wire::problem::ApiProblem;

/// Far more than any change needs; many at once must not fill the memory.
const LARGEST_BODY: usize = 256 << 10;
/// From the head to the end of the body, however it trickles.
const BODY_WITHIN: Duration = Duration::from_secs(20);
/// How long a body that nobody wants is read on, so that its sender gets to read the answer.
const LINGER: Duration = Duration::from_secs(2);

/// What is answered in place of a bare status, where the head cannot be read.
pub fn unreadable(status: StatusCode) -> Answer {
    let message = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request has too many headers, or too long ones",
        StatusCode::URI_TOO_LONG => "the request's path is too long",
        _ => "the request's head is no valid HTTP",
    };
    let detail = *Refusal::new(status, "bad_head", message).detail;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    secure(&mut headers);
    // Nothing in it is beyond JSON.
    let body = serde_json::to_vec(&ApiProblem { error: detail }).unwrap_or_default();
    Answer { status, headers, body: body.into() }
}

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    admin: Shared,
    router: Router,
}

impl Service {
    pub fn new(admin: Shared) -> Self {
        Self { router: router(admin.clone()), admin }
    }

    /// Cannot fail: whatever happens becomes an answer. `busy` is told from when the whole request is in until all of the
    /// answer is out: before, nobody knows that there will be one.
    pub async fn answer(&self, request: Request<Incoming>, busy: &Arc<Busy>) -> Response {
        let (mut answer, at_work) = match self.admitted(request).await {
            Ok(request) => {
                let at_work = busy.begin();
                (self.routed(request).await.unwrap_or_else(IntoResponse::into_response), Some(at_work))
            }
            Err(refusal) => (refusal.into_response(), None),
        };
        secure(answer.headers_mut());
        match at_work {
            Some(at_work) => answer.map(|body| Body::new(Counted { body, _at_work: at_work })),
            None => answer,
        }
    }

    /// The request, when it may be made, with its whole body.
    async fn admitted(&self, request: Request<Incoming>) -> Outcome<Request<Body>> {
        let (parts, body) = request.into_parts();
        if let Err(refusal) = self.admit(&parts) {
            linger(body, &parts.headers);
            // A guess of the token costs as much here as at the login.
            if refusal.status == StatusCode::UNAUTHORIZED && parts.headers.contains_key(header::AUTHORIZATION) {
                self.admin.sessions.penalty().await?;
            }
            return Err(refusal);
        }
        let body = read(body, &parts.headers).await?;
        if !body.is_empty() {
            acceptable(&parts.method, &parts.headers)?;
        }
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    async fn routed(&self, request: Request<Body>) -> Outcome<Response> {
        let mut router = self.router.clone();
        // In a task of its own, so that a panic ends in an answer; dropped with it when the client leaves.
        let mut task = JoinSet::new();
        task.spawn(async move { router.call(request).await });
        match task.join_next().await {
            Some(Ok(Ok(answer))) => Ok(answer),
            _ => Err(Refusal::internal("this request met a bug in claude-proxy")),
        }
    }

    fn admit(&self, parts: &http::request::Parts) -> Result<(), Refusal> {
        let standing = self.admin.standing();
        let token = standing.config.web_admin.auth_token.as_ref();
        self.admin.sessions.settle(token);
        Door { host: &self.admin.host, token, sessions: &self.admin.sessions }.admit(parts)?;
        if says_it_has_a_body(&parts.headers) { acceptable(&parts.method, &parts.headers) } else { Ok(()) }
    }
}

/// An answer's body; its connection is at work until it is out.
struct Counted {
    body: Body,
    _at_work: AtWork,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A chunked one may be empty, as only its end shows.
fn says_it_has_a_body(headers: &HeaderMap) -> bool {
    let is_some = |length: &HeaderValue| length.as_bytes().iter().any(|digit| *digit != b'0');
    headers.get(header::CONTENT_LENGTH).is_some_and(is_some)
}

/// Whether the body is JSON: a form of another page's cannot say so.
fn acceptable(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !matches!(*method, Method::GET | Method::HEAD) && !essence.eq_ignore_ascii_case("application/json") {
        let message = "a body here is JSON, and its Content-Type says so";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message)
            .hint("send `Content-Type: application/json`"));
    }
    Ok(())
}

async fn read(mut body: Incoming, headers: &HeaderMap) -> Outcome<Bytes> {
    let whole = tokio::time::timeout(BODY_WITHIN, collect(&mut body)).await;
    let whole = whole
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not come in time"))?
        .map_err(|_| Refusal::bad_request("bad_body", "the body broke off or is wrongly framed"))?;
    whole.ok_or_else(|| {
        linger(body, headers);
        let message = format!("the body is larger than {} KiB", LARGEST_BODY >> 10);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message).hint("send less")
    })
}

/// The whole body; `None` when it is too large.
async fn collect(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    let mut whole = Vec::new();
    if body.size_hint().lower() > LARGEST_BODY as u64 {
        return Ok(None);
    }
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > LARGEST_BODY {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole.into()))
}

fn linger(mut body: Incoming, headers: &HeaderMap) {
    // Who waits for our word before the body gets this one instead.
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let drained = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = body.frame().await {} });
        let _ = drained.await;
    });
}
