//! The law of failover.
//!
//! - Before a byte went down to the client, a fault moves the request on to the next endpoint. After that nothing can:
//!   there is no way to splice a second answer into a first one.
//! - A request that is not safe to repeat (a POST of a batch, a file, …) moves on only when the endpoint cannot have
//!   acted on it: it was never reached, did not get the whole body, or said that it refuses.
//! - When no endpoint is left, the client gets the one answer that serves it best: a limit that it can wait out, a
//!   time-out, an endpoint's own refusal, or a 502 that names every endpoint and its fault.

use std::time::Duration;

use http::{Method, StatusCode};

use super::fault::{Fault, FaultKind, Progress};

/// Beyond this Claude Code does not wait but gives up at once (protocol.md section 2, measured).
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Whether a request may be sent a second time after its first answer was lost.
pub fn is_repeatable(method: &Method, path: &str) -> bool {
    let judged = method == Method::POST && matches!(path, "/v1/messages" | "/v1/messages/count_tokens");
    judged || matches!(*method, Method::GET | Method::HEAD)
}

/// Whether the next endpoint may be tried after this fault.
pub fn may_move_on(repeatable: bool, fault: &Fault) -> bool {
    repeatable || matches!(fault.progress, Progress::NotDelivered | Progress::Declined)
}

/// What the client gets when no endpoint is left; the index is that of the fault whose answer goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// 429 or 529 of that fault, with this `retry-after`.
    Limited { fault: usize, retry_after: Option<Duration> },
    /// 503: limited for long, but another endpoint may be back sooner.
    Busy,
    /// 504: every attempt ran out of time.
    TimedOut,
    /// That endpoint's own answer, byte for byte.
    Relay(usize),
    /// 502. `hopeless`: every fault is about credentials or billing, so trying again cannot help.
    BadGateway { hopeless: bool },
}

/// Decides among the faults of all attempts, in their order. There is at least one.
pub fn conclude(faults: &[Fault]) -> Conclusion {
    if let Some(conclusion) = conclude_limited(faults) {
        return conclusion;
    }
    if faults.iter().all(|fault| fault.kind.is_timeout()) {
        Conclusion::TimedOut
    } else if faults.iter().all(|fault| fault.relay.is_some()) {
        Conclusion::Relay(0)
    } else {
        Conclusion::BadGateway { hopeless: faults.iter().all(|fault| fault.kind == FaultKind::Credentials) }
    }
}

fn conclude_limited(faults: &[Fault]) -> Option<Conclusion> {
    let limited = || faults.iter().enumerate().filter(|(_, fault)| fault.kind == FaultKind::Limited);
    let soonest = limited().filter_map(|(i, fault)| fault.retry_after.map(|wait| (wait, i))).min();
    let (fault, retry_after) = match soonest {
        Some((wait, i)) if wait <= LONGEST_WAIT || limited().count() == faults.len() => (i, Some(wait)),
        // One that named no time may be back at once.
        _ => match limited().find(|(_, fault)| fault.retry_after.is_none()) {
            Some((i, _)) => (i, None),
            None => return soonest.map(|_| Conclusion::Busy),
        },
    };
    Some(Conclusion::Limited { fault, retry_after })
}

/// Whether the message of a refusal says that the account, not the request, is at fault (credit, billing, spend). What it
/// quotes, or says of a place in the request (`messages.3.content: …`), is about the client's own words.
pub fn is_about_billing(message: &str) -> bool {
    let place = message.split_once(':').map_or("", |(place, _)| place);
    let is_place = place.contains('.') && !place.contains(char::is_whitespace);
    !is_place && message.split('"').step_by(2).any(mentions_billing)
}

/// The same of any text, such as a body that is no error in Anthropic's format.
pub fn mentions_billing(text: &str) -> bool {
    // Anthropic's own when a spend limit is reached: "You have reached your specified API usage limits."
    const PHRASES: [&str; 6] = [
        "usage limit",
        "insufficient funds",
        "insufficient balance",
        "insufficient quota",
        "insufficient_quota",
        "payment required",
    ];
    let lower = text.to_lowercase();
    // `x-anthropic-billing-header` and `get_credit_score` are names in a request, `spend-limit` and `billing_error` are not.
    let words = lower.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    let mut starts = words.filter_map(|word| word.split(['_', '-']).next());
    starts.any(|word| matches!(word, "credit" | "credits" | "billing" | "spend" | "spending"))
        || PHRASES.iter().any(|phrase| lower.contains(phrase))
}

/// Whether the endpoint said by this status that it did not do what was asked.
pub fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || matches!(status.as_u16(), 503 | 529)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::domain::fault::Answer;

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "x")
    }

    fn limited(retry_after: Option<u64>) -> Fault {
        Fault { retry_after: retry_after.map(Duration::from_secs), ..fault(FaultKind::Limited) }
    }

    fn relayable(kind: FaultKind) -> Fault {
        let answer = Answer { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: Bytes::new() };
        Fault { relay: Some(Box::new(answer)), ..fault(kind) }
    }

    #[test]
    fn what_the_client_gets_when_no_endpoint_is_left() {
        use Conclusion::{BadGateway, Busy, Limited, Relay, TimedOut};
        let secs = |n| Some(Duration::from_secs(n));
        let (transport, idle) = (fault(FaultKind::Transport), fault(FaultKind::IdleTimeout));
        let (connect, keys) = (fault(FaultKind::ConnectTimeout), fault(FaultKind::Credentials));
        let (refused, billing) = (relayable(FaultKind::Refused), relayable(FaultKind::Credentials));
        for (name, faults, expected) in [
            ("one that broke", vec![transport.clone()], BadGateway { hopeless: false }),
            ("all time-outs", vec![idle.clone(), connect.clone()], TimedOut),
            ("a time-out and another", vec![idle.clone(), transport.clone()], BadGateway { hopeless: false }),
            (
                "a limit wins",
                vec![transport.clone(), limited(Some(5)), idle.clone()],
                Limited { fault: 1, retry_after: secs(5) },
            ),
            (
                "the soonest limit",
                vec![limited(Some(50)), limited(Some(5))],
                Limited { fault: 1, retry_after: secs(5) },
            ),
            ("no wait is invented", vec![transport.clone(), limited(None)], Limited { fault: 1, retry_after: None }),
            ("just a minute", vec![idle.clone(), limited(Some(60))], Limited { fault: 1, retry_after: secs(60) }),
            ("too long a wait", vec![limited(Some(61)), transport.clone()], Busy),
            (
                "all limited for long",
                vec![limited(Some(300)), limited(Some(61))],
                Limited { fault: 1, retry_after: secs(61) },
            ),
            (
                "one named no time",
                vec![limited(Some(300)), limited(None), idle],
                Limited { fault: 1, retry_after: None },
            ),
            ("all refused it", vec![refused.clone(), billing.clone()], Relay(0)),
            ("refused and broke", vec![refused, transport], BadGateway { hopeless: false }),
            ("all keys are bad", vec![keys.clone(), billing], BadGateway { hopeless: true }),
            ("one key is bad", vec![keys, connect], BadGateway { hopeless: false }),
        ] {
            assert_eq!(conclude(&faults), expected, "{name}");
        }
    }

    #[test]
    fn what_is_safe_to_repeat() {
        for (method, path, expected) in [
            (Method::POST, "/v1/messages", true),
            (Method::POST, "/v1/messages/count_tokens", true),
            (Method::GET, "/v1/files/x", true),
            (Method::HEAD, "/v1/models", true),
            (Method::POST, "/v1/messages/batches", false),
            (Method::POST, "/v1/files", false),
            (Method::DELETE, "/v1/files/x", false),
            (Method::PUT, "/v1/messages", false),
        ] {
            assert_eq!(is_repeatable(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn one_that_is_not_safe_moves_on_only_when_the_endpoint_did_not_act() {
        let at = |progress| Fault { progress, ..fault(FaultKind::Transport) };
        assert!(may_move_on(true, &at(Progress::Delivered)));
        assert!(!may_move_on(false, &at(Progress::Delivered)));
        assert!(may_move_on(false, &at(Progress::NotDelivered)));
        assert!(may_move_on(false, &at(Progress::Declined)));
    }

    #[test]
    fn billing_is_told_by_whole_words() {
        for text in [
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.",
            "out of Credits.",
            "see Billing",
            "monthly spend limit reached",
            "Error: spend-limit reached",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            "Insufficient balance",
            "billing_not_active",
            "Error code: insufficient_quota",
            r#"the key "work" has no credit left"#,
        ] {
            assert!(is_about_billing(text), "{text}");
        }
        for text in [
            "tools.0.name: get_credit_score is invalid",
            "tools.0.custom.name: credit is taken",
            "max_tokens: too large",
            "accredited",
            "",
            "x-anthropic-billing-header is a reserved keyword and may not be used in the system prompt.",
            "`redact-billing: unexpected value(s) for the `anthropic-beta` header`",
            r#"messages.3.content: unexpected text "I spend my time""#,
            r#"unexpected text "I spend my time""#,
        ] {
            assert!(!is_about_billing(text), "{text}");
        }
        assert!(mentions_billing(r#"{"error":{"message":"Insufficient credits","code":402}}"#));
    }
}
