//! Talks to a running proxy over its admin API, for the commands and the terminal.
//!
//! Whoever answers need not be a claude-proxy, and need not answer at all: every wait has an end, every answer a
//! largest size.

mod error;
mod events;
mod target;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use self::error::ClientError;
pub use self::events::{EventStream, Pushed};
pub use self::target::{TOKEN_VARIABLE, Target};
use crate::domain::secret::Secret;
use crate::wire::problem::{ApiProblem, ProblemDetail};

/// It is on this machine, mostly: who does not take a connection in by then is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Until the head of an answer, and then until each next piece of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The same where a change or a test of an endpoint is asked for, which may have to wait for that endpoint.
const CHANGE_WITHIN: Duration = Duration::from_mins(5);
const UNFIT_TOKEN: &str = "the token cannot stand in a header";
/// A record with two whole bodies in it is the largest answer.
const LARGEST_ANSWER: usize = 256 << 20;

/// One proxy to talk to. Each call has a connection of its own; dropping a call closes it. A call with a token asks
/// without it first.
#[derive(Clone, Debug)]
pub struct AdminClient {
    target: Target,
    patience: Option<Duration>,
    /// Bytes of one answer.
    largest: usize,
}

impl AdminClient {
    pub fn new(target: Target) -> Self {
        Self { target, patience: None, largest: LARGEST_ANSWER }
    }

    /// Waits no longer than that for an answer to begin, or to go on.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// `path`: from `/api/` on; what stands in it for a name or a value has gone through [`encoded`].
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
            Some(body) => serde_json::to_vec(body).map_err(|error| unsendable(&error))?,
            None => Vec::new(),
        };
        let patience = self.patience_with(&method);
        let answer = self.send(method, path, Bytes::from(body), None).await?;
        let status = answer.status();
        let body = self.body(answer.into_body(), patience).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        // An answer without a body stands for `null`.
        let body = if body.is_empty() { &b"null"[..] } else { &body };
        serde_json::from_slice(body).map_err(|error| self.stranger(format!("what answers there is not ours: {error}")))
    }

    /// The event stream, from behind `last_id` on when there is one.
    pub async fn events(&self, last_id: Option<&str>) -> Result<EventStream, ClientError> {
        let answer = self.send(Method::GET, "/api/events", Bytes::new(), last_id).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = self.body(answer.into_body(), ANSWER_WITHIN).await?;
            return Err(self.refused(status, &body));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(self.stranger("what answers there has no events".to_owned()));
        }
        Ok(EventStream::new(answer.into_body(), self.target.address.clone()))
    }

    fn patience_with(&self, method: &Method) -> Duration {
        self.patience.unwrap_or(if *method == Method::GET { ANSWER_WITHIN } else { CHANGE_WITHIN })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        last_id: Option<&str>,
    ) -> Result<Response<Incoming>, ClientError> {
        let patience = self.patience_with(&method);
        let token = self.wanted_token().await?;
        let request = self.request(method, path, body, last_id, token)?;
        self.exchange(request, patience).await
    }

    /// The token, once whoever is there has asked for one as a claude-proxy does: somebody else on that port must not
    /// get it.
    async fn wanted_token(&self) -> Result<Option<&Secret>, ClientError> {
        let Some(token) = &self.target.token else { return Ok(None) };
        bearer(token).ok_or_else(|| unsendable(&UNFIT_TOKEN))?;
        let request = self.request(Method::GET, "/api/status", Bytes::new(), None, None)?;
        let patience = self.patience_with(&Method::GET);
        let answer = self.exchange(request, patience).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(None);
        }
        let body = self.body(answer.into_body(), patience).await?;
        match self.refused(status, &body) {
            ClientError::Refused { status: StatusCode::UNAUTHORIZED, .. } => Ok(Some(token)),
            other => Err(other),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broke(&e))?;
        tokio::spawn(connection);
        match timeout(patience, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| self.broke(&error)),
            Err(_) => Err(self.lost(&format!("no answer within {} s", patience.as_secs_f32()))),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        last_id: Option<&str>,
        token: Option<&Secret>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.target.address);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = token {
            let value = bearer(token).ok_or_else(|| unsendable(&UNFIT_TOKEN))?;
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        request.body(Full::new(body)).map_err(|error| unsendable(&error))
    }

    async fn connect(&self) -> Result<TcpStream, ClientError> {
        let connecting = timeout(CONNECT_WITHIN, TcpStream::connect(&self.target.address)).await;
        let connected = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(|error| {
            let Target { address, source, start, .. } = self.target.clone();
            let why = match error.kind() {
                io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
                io::ErrorKind::TimedOut => "it does not take a connection in".to_owned(),
                _ => error.to_string(),
            };
            ClientError::NoProxy { address, source, start, why }
        })
    }

    async fn body(&self, mut body: Incoming, patience: Duration) -> Result<Bytes, ClientError> {
        let mut whole = BytesMut::new();
        loop {
            let frame = timeout(patience, body.frame()).await;
            let frame =
                frame.map_err(|_| self.lost(&format!("its answer stopped for {} s", patience.as_secs_f32())))?;
            let Some(frame) = frame else { return Ok(whole.freeze()) };
            let Ok(data) = frame.map_err(|error| self.broke(&error))?.into_data() else { continue };
            if whole.len() + data.len() > self.largest {
                return Err(self.lost(&format!("its answer is larger than {} MiB", self.largest >> 20)));
            }
            whole.extend_from_slice(&data);
        }
    }

    /// What hyper could not go on with. What speaks no HTTP is no claude-proxy; all else may happen to one.
    fn broke(&self, error: &hyper::Error) -> ClientError {
        if error.is_parse() {
            return self.stranger("what answers there speaks no HTTP".to_owned());
        }
        if error.is_incomplete_message() {
            return self.lost("it was closed before the whole answer was there");
        }
        match error.source() {
            Some(cause) => self.lost(cause),
            None => self.lost(error),
        }
    }

    fn lost(&self, why: &(impl fmt::Display + ?Sized)) -> ClientError {
        ClientError::Lost { address: self.target.address.clone(), why: why.to_string() }
    }

    /// Somebody answers there who is no claude-proxy.
    pub fn stranger(&self, why: String) -> ClientError {
        let Target { address, source, .. } = self.target.clone();
        ClientError::Stranger { address, source, why }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let problem = serde_json::from_slice::<ApiProblem>(body).ok().map(|problem| problem.error);
        if let Some(problem) = problem.filter(|problem| !problem.code.is_empty()) {
            return ClientError::Refused { status, problem: Box::new(problem) };
        }
        let for_clients = serde_json::from_slice::<Value>(body).is_ok_and(|body| body["type"] == "error");
        self.stranger(if for_clients {
            "that port is the one for clients; operators have another, web_admin.port".to_owned()
        } else {
            format!("somebody else answers there, with {status}")
        })
    }
}

/// Text as one segment of a path, or one value of a query.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// The header that carries a token; `None` when no header can.
pub fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What could not even be sent; that is a fault of the caller.
fn unsendable(why: &dyn fmt::Display) -> ClientError {
    let problem = ProblemDetail { code: "invalid".to_owned(), message: why.to_string(), ..ProblemDetail::default() };
    ClientError::Refused { status: StatusCode::BAD_REQUEST, problem: Box::new(problem) }
}
