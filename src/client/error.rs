//! Why nothing came of a call, and what to do about it.

use std::fmt;

use http::StatusCode;

use super::TOKEN_VARIABLE;
use crate::wire::problem::ProblemDetail;

/// Why nothing came of a call.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody is there.
    NoProxy { address: String, source: String, start: String, why: String },
    /// Somebody is there who is no claude-proxy, or no port for operators. Nothing was changed.
    Stranger { address: String, source: String, why: String },
    /// It was there, and then it was not: a change may have been made.
    Lost { address: String, why: String },
    /// The proxy's own refusal.
    Refused { status: StatusCode, problem: Box<ProblemDetail> },
}

impl ClientError {
    /// Whether there is no running proxy to talk to, so that nothing can have changed in it.
    pub fn is_no_proxy(&self) -> bool {
        matches!(self, Self::NoProxy { .. } | Self::Stranger { .. })
    }

    /// A word that programs may compare.
    pub fn code(&self) -> &str {
        match self {
            Self::NoProxy { .. } | Self::Stranger { .. } => "no_proxy",
            Self::Lost { .. } => "lost",
            Self::Refused { problem, .. } => &problem.code,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProxy { source, start, .. } => {
                Some(format!("start one with `{start}`; the address is from {source}"))
            }
            Self::Stranger { source, .. } => Some(format!(
                "the address is from {source}; name the running proxy's own with --admin http://HOST:PORT"
            )),
            Self::Lost { .. } => Some("try again; what `claude-proxy serve` printed may say more".to_owned()),
            // The proxy's own hint is for whoever speaks HTTP.
            Self::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
                Some(format!("set {TOKEN_VARIABLE} to the web_admin.auth_token of that proxy"))
            }
            Self::Refused { problem, .. } => problem.hint.clone(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProxy { address, why, .. } | Self::Stranger { address, why, .. } => {
                write!(f, "no running claude-proxy at {address}: {why}")
            }
            Self::Lost { address, why } => write!(f, "the connection to {address} broke: {why}"),
            Self::Refused { problem, .. } => f.write_str(&problem.message),
        }
    }
}

impl std::error::Error for ClientError {}
