//! What an answer that is no 2xx counts as: the endpoint's fault, nobody's, or simply the answer.

use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;

use super::failover::{is_about_billing, is_refusal, mentions_billing};
use super::fault::{Answer, Blame, Fault, FaultKind, Progress};
use super::headers;
use super::message::{self, ApiError};

/// A body in a foreign format is looked into up to this size.
const LONGEST_FOREIGN: usize = 4096;

/// `Ok`: it is the answer to this request, to be relayed byte for byte. `on_messages`: the path is `/v1/messages`.
pub fn judge(answer: Answer, on_messages: bool, wall: SystemTime) -> Result<Answer, Fault> {
    let status = answer.status;
    let error = message::api_error(&answer.body);
    let formatted = error.is_some();
    let not_found = error.as_ref().is_some_and(|error| error.kind == "not_found_error");
    let fault = |kind| Fault {
        detail: describe(status, error.as_ref()),
        status: Some(status),
        progress: if is_refusal(status) { Progress::Declined } else { Progress::Delivered },
        ..Fault::new(kind, "")
    };
    let relayed = |fault: Fault, answer| Fault { relay: Some(Box::new(answer)), ..fault };
    let nobodys = |answer| Fault { blame: Blame::Nobody, ..relayed(fault(FaultKind::Refused), answer) };

    match status.as_u16() {
        429 | 529 => {
            let retry_after = headers::retry_after(&answer.headers, wall);
            let mut limited = Fault { retry_after, ..fault(FaultKind::Limited) };
            if formatted {
                return Err(relayed(limited, answer));
            }
            if let Some(words) = words(&answer.body) {
                limited.detail = format!("{}: {}", limited.detail, shortened(&words));
            }
            // The words are all of the body that goes down, so no more of it is held.
            Err(relayed(limited, Answer { body: Bytes::new(), ..answer }))
        }
        401..=403 => Err(fault(FaultKind::Credentials)),
        400 if is_billing(&answer, error.as_ref()) => Err(relayed(fault(FaultKind::Credentials), answer)),
        404 if not_found => Err(nobodys(answer)),
        404 | 405 | 501 if !on_messages => Err(nobodys(answer)),
        404 | 405 if !formatted => Err(fault(FaultKind::Status)),
        408 | 409 | 500.. | ..400 => Err(fault(FaultKind::Status)),
        _ if formatted => Ok(answer),
        _ => Err(nobodys(answer)),
    }
}

fn is_billing(answer: &Answer, error: Option<&ApiError>) -> bool {
    match error {
        Some(error) => error.kind == "billing_error" || is_about_billing(&error.message),
        None => answer.body.len() <= LONGEST_FOREIGN && mentions_billing(&String::from_utf8_lossy(&answer.body)),
    }
}

/// What an answer in a format of its own says: a message where others have theirs, or a line of text. A long one is no
/// message, and would take many times its size to read.
fn words(body: &[u8]) -> Option<String> {
    if body.len() > LONGEST_FOREIGN {
        return None;
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        let text = str::from_utf8(body).ok()?.trim();
        let is_line = !text.is_empty() && !text.starts_with(['<', '{', '[']);
        return is_line.then(|| text.to_owned());
    };
    let said = [&json["error"]["message"], &json["message"], &json["error"], &json["detail"], &json];
    said.into_iter().find_map(|said| said.as_str()).map(str::to_owned)
}

/// Such as `it answered 529 overloaded_error: Overloaded`.
pub fn describe(status: StatusCode, error: Option<&ApiError>) -> String {
    let code = status.as_u16();
    match error {
        Some(error) => format!("it answered {code} {}: {}", error.kind, shortened(&error.message)),
        None => match status.canonical_reason() {
            Some(reason) => format!("it answered {code} {reason}"),
            None => format!("it answered {code}"),
        },
    }
}

/// The first 200 characters of what an upstream said, on one line.
pub fn shortened(message: &str) -> String {
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if line.len() < message.len() { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn error(kind: &str, message: &str) -> String {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#)
    }

    /// The row of the table in a few words: `answer`, or fault kind, blame and whether it leaves an answer to relay.
    fn row(status: u16, body: &str, on_messages: bool) -> String {
        match judge(answer(status, body), on_messages, SystemTime::UNIX_EPOCH) {
            Ok(_) => "answer".into(),
            Err(fault) => {
                let blame = if fault.blame == Blame::Endpoint { "endpoint" } else { "nobody" };
                let relay = if fault.relay.is_some() { " relay" } else { "" };
                format!("{} {blame}{relay}", fault.kind.word())
            }
        }
    }

    #[test]
    fn the_fault_table() {
        let invalid = error("invalid_request_error", "max_tokens: required");
        let credit = error("invalid_request_error", "Your credit balance is too low");
        let missing = error("not_found_error", "model: x");
        let limited = error("rate_limit_error", "slow down");
        let html = "<html>nope</html>";
        for (status, body, on_messages, expected) in [
            (400, invalid.as_str(), true, "answer"),
            (413, &invalid, true, "answer"),
            (422, &invalid, false, "answer"),
            (418, &invalid, true, "answer"),
            (400, html, true, "refused nobody relay"),
            (422, html, false, "refused nobody relay"),
            (400, &credit, true, "credentials endpoint relay"),
            (400, "credit exhausted", true, "credentials endpoint relay"),
            (401, &invalid, true, "credentials endpoint"),
            (402, html, true, "credentials endpoint"),
            (403, "", false, "credentials endpoint"),
            (404, &missing, true, "refused nobody relay"),
            (404, &missing, false, "refused nobody relay"),
            (404, html, true, "status endpoint"),
            (404, html, false, "refused nobody relay"),
            (405, html, true, "status endpoint"),
            (405, &invalid, true, "answer"),
            (405, html, false, "refused nobody relay"),
            (501, html, false, "refused nobody relay"),
            (501, html, true, "status endpoint"),
            (408, &invalid, true, "status endpoint"),
            (409, &invalid, true, "status endpoint"),
            (429, &limited, true, "limited endpoint relay"),
            (429, html, true, "limited endpoint relay"),
            (529, "", false, "limited endpoint relay"),
            (500, &invalid, true, "status endpoint"),
            (503, html, false, "status endpoint"),
            (302, "", true, "status endpoint"),
            (304, "", false, "status endpoint"),
        ] {
            assert_eq!(row(status, body, on_messages), expected, "{status} {body} messages: {on_messages}");
        }
    }

    #[test]
    fn only_a_refusal_lets_an_unsafe_request_move_on() {
        for (status, declined) in
            [(400, true), (404, true), (429, true), (503, true), (529, true), (500, false), (302, false)]
        {
            let fault = judge(answer(status, ""), false, SystemTime::UNIX_EPOCH).unwrap_err();
            assert_eq!(fault.progress == Progress::Declined, declined, "{status}");
        }
    }

    #[test]
    fn the_words_of_a_limit_are_told_in_whatever_format_they_came() {
        for (body, expected) in [
            ("slow down\n", "it answered 429 Too Many Requests: slow down"),
            (r#"{"error":{"message":"slow down","code":"x"}}"#, "it answered 429 Too Many Requests: slow down"),
            (r#"{"error":"slow down"}"#, "it answered 429 Too Many Requests: slow down"),
            (r#"{"a":1}"#, "it answered 429 Too Many Requests"),
            ("<html>slow</html>", "it answered 429 Too Many Requests"),
            ("", "it answered 429 Too Many Requests"),
        ] {
            assert_eq!(judge(answer(429, body), true, SystemTime::UNIX_EPOCH).unwrap_err().detail, expected, "{body}");
        }
    }

    /// Some thirty megabytes of numbers would take half a gigabyte to read.
    #[test]
    fn a_long_body_of_a_limit_in_a_foreign_format_is_neither_read_nor_held() {
        let long = format!(r#"{{"message":"slow down","numbers":[{}1]}}"#, "1,".repeat(4096));
        let fault = judge(answer(429, &long), true, SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!((fault.detail.as_str(), fault.relay.unwrap().body.len()), ("it answered 429 Too Many Requests", 0));
    }

    #[test]
    fn the_wait_is_the_upstreams() {
        let mut limited = answer(529, "");
        limited.headers.insert("retry-after", HeaderValue::from_static("12"));
        let fault = judge(limited, true, SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(fault.retry_after.unwrap().as_secs(), 12);
    }

    #[test]
    fn what_an_upstream_said_stays_on_one_short_line() {
        assert_eq!(shortened("a\r\n\u{1b}[31mb"), "a   [31mb");
        assert_eq!(shortened(&"x".repeat(300)).chars().count(), 201);
    }
}
