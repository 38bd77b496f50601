//! What went wrong with one attempt, and whose fault it is: decided where the fault is born, never guessed later.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// How an attempt at one endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No connection: name lookup, TCP, TLS or the outbound proxy.
    Connect,
    ConnectTimeout,
    /// This machine had nothing to connect with: no file descriptor, no memory for a socket.
    Machine,
    FirstByteTimeout,
    IdleTimeout,
    /// The request's whole time ran out while this endpoint was being tried.
    CommitTimeout,
    /// The connection broke: reset, closed early, or bytes that are no HTTP.
    Transport,
    /// A body whose content coding does not decode.
    Decode,
    /// A status that tells of the endpoint's own trouble.
    Status,
    /// 401, 402, 403, or a refusal over credit: the operator must act.
    Credentials,
    /// 429 or 529, as a status or as an error event.
    Limited,
    /// A refusal in a shape or over a thing that another endpoint may see differently.
    Refused,
    /// A 2xx answer that is not what was asked for.
    NotAMessage,
    /// A stream that broke its grammar or ended too early.
    BrokenStream,
    /// The stream's own `error` event.
    ErrorEvent,
    /// An answer beyond one of our caps.
    TooLarge,
}

impl FaultKind {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Machine => "machine",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::CommitTimeout => "commit_timeout",
            Self::Transport => "transport",
            Self::Decode => "decode",
            Self::Status => "status",
            Self::Credentials => "credentials",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::NotAMessage => "not_a_message",
            Self::BrokenStream => "broken_stream",
            Self::ErrorEvent => "error_event",
            Self::TooLarge => "too_large",
        }
    }

    pub fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::FirstByteTimeout | Self::IdleTimeout | Self::CommitTimeout)
    }
}

/// Whether an attempt counts against its endpoint's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Endpoint,
    Nobody,
}

/// How far an attempt had got; decides whether a request that is not safe to repeat may move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No byte of the request can have arrived, or not all of its body.
    NotDelivered,
    /// The whole request may have arrived, and its answer was lost or is no answer.
    Delivered,
    /// The endpoint itself said that it did not do it: 4xx, 503, 529.
    Declined,
}

/// An upstream's own whole answer: decoded, with the headers that go down to a client.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One failed attempt.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub blame: Blame,
    pub progress: Progress,
    /// The fault in a sentence, without the endpoint's name. May quote the upstream, so it passes the redactor.
    pub detail: String,
    /// The upstream's own status, when its head arrived.
    pub status: Option<StatusCode>,
    /// What the upstream asked for: rest this long.
    pub retry_after: Option<Duration>,
    /// The answer that goes down when no endpoint has a better one; of a limit in a foreign format only its head.
    pub relay: Option<Box<Answer>>,
}

impl Fault {
    /// A fault without any answer in hand.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let progress = match kind {
            FaultKind::Connect | FaultKind::ConnectTimeout | FaultKind::Machine => Progress::NotDelivered,
            _ => Progress::Delivered,
        };
        Self {
            kind,
            blame: if kind == FaultKind::Machine { Blame::Nobody } else { Blame::Endpoint },
            progress,
            detail: detail.into(),
            status: None,
            retry_after: None,
            relay: None,
        }
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// What the operator can do about it.
    pub fn remedy(&self) -> &'static str {
        const WRONG_ADDRESS: &str = "check its url and path_prefix";
        let code = self.status.map_or(0, |status| status.as_u16());
        match self.kind {
            FaultKind::Connect | FaultKind::ConnectTimeout => "check its url, the network and any outbound proxy",
            FaultKind::Machine => "raise this machine's limit of open files (ulimit -n)",
            FaultKind::FirstByteTimeout | FaultKind::IdleTimeout | FaultKind::CommitTimeout => {
                "it may be overloaded; try again"
            }
            FaultKind::Status if matches!(code, 300..400 | 404 | 405) => WRONG_ADDRESS,
            FaultKind::NotAMessage | FaultKind::BrokenStream => "check its url and path_prefix, or ask its operator",
            FaultKind::Transport | FaultKind::Decode | FaultKind::Status | FaultKind::ErrorEvent => {
                "try again; if it stays, ask its operator"
            }
            FaultKind::Credentials => "check its auth_value and its account",
            FaultKind::Limited => "wait, or add an endpoint",
            FaultKind::Refused => "check the request",
            FaultKind::TooLarge => "ask for less",
        }
    }

    /// The fault in words that are safe to show in a client's error. Claude Code takes an upstream's words about a key or
    /// about credit, in whatever error, for its own user's login or account, and of a text with markup it shows the
    /// page's title alone (2.1.330, measured). So those are not quoted, and markup is none.
    pub fn told_to_client(&self) -> String {
        let told = match self.kind {
            FaultKind::Credentials => self.detail.split(": ").next().unwrap_or_default(),
            _ => self.detail.as_str(),
        };
        told.replace('<', "‹").replace('>', "›").replace("-api-key", " API key")
    }
}
