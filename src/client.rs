//! Talks to a running proxy over its admin API, for the commands and the terminal.

mod events;

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use self::events::{EventStream, Pushed};

use crate::domain::secret::Secret;
use crate::wire::problem::{ApiProblem, ProblemDetail};

/// It is on this machine, mostly: who does not take a connection in by then is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A record with two whole bodies in it is the largest answer.
const LARGEST_ANSWER: usize = 256 << 20;

/// Where a running proxy listens for operators, and why we think so.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`, IPv6 in brackets.
    pub address: String,
    pub token: Option<Secret>,
    /// Where the address comes from, for messages: `web_admin in /etc/config.yaml`.
    pub source: String,
}

impl Target {
    /// A listener as the config names it; one on every interface is reached over loopback.
    pub fn of(host: &str, port: u16, source: &str) -> Self {
        let host = match host {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        Self { address: format!("{host}:{port}"), token: None, source: source.to_owned() }
    }

    /// # Errors
    /// A sentence that says what is wrong with the address.
    pub fn parse(url: &str, source: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        if rest.starts_with("https://") {
            return Err("the admin API speaks plain http".to_owned());
        }
        let uri: http::Uri =
            format!("http://{}", rest.trim_end_matches('/')).parse().map_err(|_| "this is no address".to_owned())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| "this is no address".to_owned())?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err("an address has no path".to_owned());
        }
        let port = authority.port_u16().ok_or_else(|| "it names no port".to_owned())?;
        Ok(Self { address: format!("{}:{port}", authority.host()), token: None, source: source.to_owned() })
    }
}

/// Why nothing came of a call.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody is there, or somebody who is no claude-proxy.
    NoProxy { address: String, source: String, why: String },
    /// It was there, and then it was not.
    Lost { address: String, why: String },
    /// The proxy's own refusal.
    Refused { status: StatusCode, problem: Box<ProblemDetail> },
}

impl ClientError {
    pub fn is_no_proxy(&self) -> bool {
        matches!(self, Self::NoProxy { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProxy { source, .. } => {
                Some(format!("start one with `claude-proxy serve`; the address is from {source}"))
            }
            Self::Lost { .. } => Some("try again; `claude-proxy status` says whether it still runs".to_owned()),
            Self::Refused { problem, .. } => problem.hint.clone(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProxy { address, why, .. } => write!(f, "no running claude-proxy at {address}: {why}"),
            Self::Lost { address, why } => write!(f, "the connection to {address} broke: {why}"),
            Self::Refused { problem, .. } => f.write_str(&problem.message),
        }
    }
}

impl std::error::Error for ClientError {}

/// One proxy to talk to. Each call has a connection of its own.
#[derive(Clone, Debug)]
pub struct AdminClient {
    target: Target,
}

impl AdminClient {
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// `body`: sent as JSON.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| self.lost(&error))?,
            None => Vec::new(),
        };
        let answer = self.send(method, path, Bytes::from(body), None).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| self.lost(&error))?.to_bytes();
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        // An answer without a body stands for `null`.
        let body = if body.is_empty() { &b"null"[..] } else { &body };
        serde_json::from_slice(body).map_err(|error| self.no_proxy(format!("its answer is not ours: {error}")))
    }

    /// The event stream, from behind `last_id` on when there is one.
    pub async fn events(&self, last_id: Option<&str>) -> Result<EventStream, ClientError> {
        let answer = self.send(Method::GET, "/api/events", Bytes::new(), last_id).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.into_body().collect().await.map_err(|error| self.lost(&error))?.to_bytes();
            return Err(self.refused(status, &body));
        }
        Ok(EventStream::new(answer.into_body(), self.target.address.clone()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        last_id: Option<&str>,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let connecting = timeout(CONNECT_WITHIN, TcpStream::connect(&self.target.address)).await;
        let stream = connecting
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(|error| self.no_proxy(error.to_string()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.lost(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.target.address);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.no_proxy(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| self.lost(&error))
    }

    fn no_proxy(&self, why: String) -> ClientError {
        let Target { address, source, .. } = self.target.clone();
        ClientError::NoProxy { address, source, why }
    }

    fn lost(&self, why: &dyn fmt::Display) -> ClientError {
        ClientError::Lost { address: self.target.address.clone(), why: why.to_string() }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ApiProblem>(body) {
            Ok(problem) => ClientError::Refused { status, problem: Box::new(problem.error) },
            Err(_) => self.no_proxy(format!("somebody else answers there, with {status}")),
        }
    }
}
