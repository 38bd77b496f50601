//! The errors that we answer ourselves, all in Anthropic's format: made here and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Serialize;

use super::failover::Conclusion;
use super::fault::{Answer, Fault};
use super::headers::REQUEST_ID;
use super::message;

/// An error of our own making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// One of Anthropic's error types, such as `api_error`.
    pub kind: &'static str,
    pub message: String,
    /// Whether to tell the client that trying again is useless.
    pub hopeless: bool,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), hopeless: false }
    }

    pub fn unauthenticated() -> Self {
        let message = "This is claude-proxy, and the credential you sent is not its server.auth_token. \
                       Set ANTHROPIC_AUTH_TOKEN to it (claude-proxy env prints what to set).";
        // It is the same token every time: without this Claude Code tries for three minutes.
        Self { hopeless: true, ..Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message) }
    }

    pub fn foreign(what: &str) -> Self {
        let message = format!(
            "claude-proxy has no auth_token and so serves only programs on this machine: a foreign {what} was refused. \
             Set server.auth_token to allow it."
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    pub fn not_found(path: &str) -> Self {
        let message =
            format!("claude-proxy serves /v1/* here, there is no {path}. ANTHROPIC_BASE_URL must not have a path.");
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub fn method_not_allowed(method: &Method) -> Self {
        let message = format!("claude-proxy does not pass {method} requests on.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message)
    }

    pub fn too_large(limit: u64) -> Self {
        let message = format!("The request's body is larger than claude-proxy's server.max_body of {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", "The request's body did not come in time.")
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// Its head could not be read.
    pub fn unreadable(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                "The request's headers are more than claude-proxy takes: 64 KiB or 256 headers."
            }
            StatusCode::URI_TOO_LONG => "The request's path is longer than claude-proxy takes.",
            _ => "The request's head is no valid HTTP.",
        };
        Self::new(status, "invalid_request_error", message)
    }

    pub fn nothing_enabled() -> Self {
        let message = "All endpoints of claude-proxy are disabled. Enable one in its config.yaml.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", message)
    }

    /// The whole answer, but for its `request-id` header.
    pub fn answer(&self, request_id: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.hopeless {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        // What is left of the body could be taken for the next request, and the next request for what is left of it.
        if matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Answer { status: self.status, headers, body: error_body(self.kind, &self.message, Some(request_id)) }
    }
}

/// One endpoint's fault, for the message that names them all.
pub struct Tried<'a> {
    pub endpoint: &'a str,
    pub fault: &'a Fault,
}

/// What goes down when no endpoint is left: somebody's answer, or a problem of ours.
pub fn concluded(conclusion: Conclusion, tried: &[Tried<'_>], request_id: &str) -> Answer {
    let problem = match conclusion {
        Conclusion::Relay(i) => match &tried[i].fault.relay {
            Some(answer) => return (**answer).clone(),
            None => Problem::new(StatusCode::BAD_GATEWAY, "api_error", all_faults(tried)),
        },
        Conclusion::Limited { fault, retry_after } => return limited(tried[fault].fault, retry_after, request_id),
        Conclusion::Busy => {
            let message = format!("Every endpoint is limited or failing. {}", all_faults(tried));
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", message)
        }
        Conclusion::TimedOut => Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout_error", all_faults(tried)),
        Conclusion::BadGateway { hopeless } => {
            let problem = Problem::new(StatusCode::BAD_GATEWAY, "api_error", all_faults(tried));
            Problem { hopeless, ..problem }
        }
    };
    problem.answer(request_id)
}

/// A POST of a batch or a file whose answer was lost: it may have been done, so it is not sent twice.
pub fn lost(tried: &[Tried<'_>], request_id: &str) -> Answer {
    let message = format!(
        "The request may have been carried out, but its answer was lost, and it is not safe to send twice. {}",
        all_faults(tried)
    );
    Problem::new(StatusCode::BAD_GATEWAY, "api_error", message).answer(request_id)
}

fn limited(fault: &Fault, retry_after: Option<Duration>, request_id: &str) -> Answer {
    let status = fault.status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let empty = || Answer { status, headers: HeaderMap::new(), body: Bytes::new() };
    let mut answer = fault.relay.as_deref().cloned().unwrap_or_else(empty);
    if message::api_error(&answer.body).is_none() {
        // Its headers stay: clients read from them when the limit ends.
        let kind = if status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_error" } else { "overloaded_error" };
        let id = answer.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or(request_id);
        answer.body = error_body(kind, &fault.detail, Some(id));
        answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers.remove(header::CONTENT_LENGTH);
    }
    answer.headers.remove(header::RETRY_AFTER);
    if let Some(wait) = retry_after {
        answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    answer
}

fn all_faults(tried: &[Tried<'_>]) -> String {
    let each = tried.iter().map(|t| format!("{}: {} ({})", t.endpoint, t.fault.told_to_client(), t.fault.remedy()));
    format!("No endpoint could answer. {}.", each.collect::<Vec<_>>().join("; "))
}

/// `{"type":"error","error":{"type","message"},"request_id"}`
pub fn error_body(kind: &str, message: &str, request_id: Option<&str>) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: &'a str,
        error: Inner<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'a str,
        message: &'a str,
    }
    let body = Body { r#type: "error", error: Inner { r#type: kind, message }, request_id };
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// The status that Anthropic gives an error type, for an error that came as a stream's event. `None`: nothing that a
/// client could act on, or a login prompt that it must not see.
pub fn status_of_event(kind: &str) -> Option<StatusCode> {
    let status = match kind {
        "invalid_request_error" => 400,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "overloaded_error" => 529,
        _ => return None,
    };
    StatusCode::from_u16(status).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failover;
    use crate::domain::fault::FaultKind;

    /// The only endpoint tried.
    fn alone(fault: &Fault) -> Answer {
        answer_to(&[fault])
    }

    fn answer_to(faults: &[&Fault]) -> Answer {
        let all: Vec<Fault> = faults.iter().copied().cloned().collect();
        let tried: Vec<_> =
            ["a", "b"].into_iter().zip(&all).map(|(endpoint, fault)| Tried { endpoint, fault }).collect();
        concluded(failover::conclude(&all), &tried, "req_1")
    }

    fn body(answer: &Answer) -> serde_json::Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn a_502_names_each_endpoint_its_fault_and_what_to_do() {
        let refused = Fault::new(FaultKind::Credentials, "it answered 401 authentication_error: invalid x-api-key");
        let faults = [refused.with_status(StatusCode::UNAUTHORIZED), Fault::new(FaultKind::Connect, "refused")];
        let answer = answer_to(&[&faults[0], &faults[1]]);
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert!(!answer.headers.contains_key("x-should-retry"));
        let body = body(&answer);
        assert_eq!((body["type"].as_str(), body["error"]["type"].as_str()), (Some("error"), Some("api_error")));
        assert_eq!(body["request_id"], "req_1");
        let message = body["error"]["message"].as_str().unwrap();
        for part in ["a: it answered 401", "check its auth_value", "b: refused", "check its url"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("x-api-key"), "Claude Code would ask for a login: {message}");
    }

    #[test]
    fn a_page_in_place_of_an_answer_does_not_hide_the_message() {
        let faults = [Fault::new(FaultKind::NotAMessage, "it is no JSON: <title>Login</title> x-api-key")];
        let answer = alone(&faults[0]);
        let message = body(&answer)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("a: it is no JSON: ‹title›Login‹/title› x API key"), "{message}");
    }

    #[test]
    fn bad_keys_everywhere_are_not_worth_a_retry() {
        let faults = [Fault::new(FaultKind::Credentials, "401")];
        let answer = alone(&faults[0]);
        assert_eq!(answer.headers["x-should-retry"], "false");
    }

    #[test]
    fn a_limit_keeps_its_status_and_names_only_a_wait_that_was_named() {
        let overloaded = Fault::new(FaultKind::Limited, "busy").with_status(StatusCode::from_u16(529).unwrap());
        let answer = alone(&overloaded);
        assert_eq!(answer.status.as_u16(), 529);
        assert_eq!(body(&answer)["error"]["type"], "overloaded_error");
        assert!(!answer.headers.contains_key(header::RETRY_AFTER));

        let wait = Fault { retry_after: Some(Duration::from_secs(7)), ..overloaded };
        assert_eq!(alone(&wait).headers[header::RETRY_AFTER], "7");
    }
}
