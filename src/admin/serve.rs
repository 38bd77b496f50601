//! One request from its head to its answer: judged, read, routed, and given the headers that every answer has.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::answer::{Outcome, Refusal};
use super::guard::{Door, secure};
use super::routes::router;
use super::state::Shared;

const LARGEST_BODY: usize = 1 << 20;
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long a body that nobody wants is read on, so that its sender gets to read the answer.
const LINGER: Duration = Duration::from_secs(2);

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

    /// Cannot fail: whatever happens becomes an answer.
    pub async fn answer(&self, request: Request<Incoming>) -> Response {
        let mut answer = self.respond(request).await.unwrap_or_else(IntoResponse::into_response);
        secure(answer.headers_mut());
        answer
    }

    async fn respond(&self, request: Request<Incoming>) -> Outcome<Response> {
        let (parts, body) = request.into_parts();
        if let Err(refusal) = self.admit(&parts) {
            linger(body, &parts.headers);
            return Err(refusal);
        }
        let body = read(body, &parts.headers).await?;
        let request = Request::from_parts(parts, Body::from(body));
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
        acceptable(&parts.method, &parts.headers)
    }
}

/// A form of another page's cannot say that it sends JSON.
fn acceptable(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let has_body = headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != b"0");
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if has_body && !matches!(*method, Method::GET | Method::HEAD) && !essence.eq_ignore_ascii_case("application/json") {
        let message = "a body here is JSON, and its Content-Type says so";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message)
            .hint("send `Content-Type: application/json`"));
    }
    Ok(())
}

async fn read(mut body: Incoming, headers: &HeaderMap) -> Outcome<Bytes> {
    let mut whole = Vec::new();
    let announced = body.size_hint().lower();
    let mut fits = announced <= LARGEST_BODY as u64;
    while fits && !body.is_end_stream() {
        let frame = tokio::time::timeout(BODY_WITHIN, body.frame()).await;
        let frame = frame
            .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not come in time"))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Refusal::bad_request("bad_body", "the body broke off or is wrongly framed"))?;
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
            fits = whole.len() <= LARGEST_BODY;
        }
    }
    if fits {
        return Ok(whole.into());
    }
    linger(body, headers);
    Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is larger than 1 MiB").hint("send less"))
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
