//! Answers: JSON, or a refusal in the one form that all of them have.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::wire::problem::{ApiProblem, ProblemDetail};

/// Why something asked was not done: the status and what the answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    /// Boxed, because it travels in results.
    pub detail: Box<ProblemDetail>,
}

/// A handler's outcome.
pub type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let hint = Some(usual_hint(code).to_owned());
        let detail = ProblemDetail { code: code.to_owned(), message: message.into(), hint, ..ProblemDetail::default() };
        Self { status, detail: Box::new(detail) }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.detail.hint = Some(hint.into());
        self
    }

    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.detail.field = Some(field.into());
        self
    }

    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What was asked makes no sense, though it was well formed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    pub fn no_endpoint(name: &str) -> Self {
        Self::not_found(format!("there is no endpoint \"{name}\"")).hint("GET /api/endpoints lists them")
    }

    /// Others keep us busy with the same.
    pub fn busy(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).hint(hint)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        let hint = "this is a fault of claude-proxy; its standard error says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).hint(hint)
    }

    /// The part of the program that would do it is ending.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "claude-proxy is stopping")
            .hint("start it again with `claude-proxy serve`")
    }
}

/// What to do, where nobody knows better.
fn usual_hint(code: &str) -> &'static str {
    match code {
        "bad_json" => "send one JSON object; GET /api/openapi.json describes it",
        "bad_query" => "GET /api/openapi.json lists what can be asked",
        "bad_body" | "slow_body" => "send the request again, with the whole body and its length",
        "bad_head" => {
            "send a request of HTTP/1.1 with fewer or shorter headers; cookies of other pages here may be what is long"
        }
        "bad_host" => "send one Host header, such as `Host: 127.0.0.1`",
        "bad_filter" => "a filter is made of terms such as status>=400, endpoint:name or a plain word",
        _ => "GET /api/openapi.json describes what can be asked",
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = json(&ApiProblem { error: *self.detail });
        *answer.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// A value as a JSON answer.
pub fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => typed("application/json", body),
        // Views hold nothing that JSON cannot say.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A body of this content type.
pub fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A piece of a body that is sent as it comes to be, or that there will be no whole one.
pub type Whole = Result<Bytes, BrokenOff>;

/// The connection ends where this stands, so that nobody takes what came before for all of it.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// A body that is what comes through a channel.
pub struct Pieces(pub mpsc::Receiver<Whole>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = ready!(self.0.poll_recv(context));
        // Writing it takes a while, and it is one of many when many watch: if the relay's thread waits for this processor,
        // it goes first.
        std::thread::yield_now();
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A JSON answer as a handler's result.
#[derive(Clone, Debug)]
pub struct Told<T>(pub T);

impl<T: Serialize> IntoResponse for Told<T> {
    fn into_response(self) -> Response {
        json(&self.0)
    }
}
