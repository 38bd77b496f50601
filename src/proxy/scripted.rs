//! An upstream made of words, for tests under a paused clock: stalls and time-outs take no time.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use super::exchange::{
    BoxFuture, BoxSource, ByteSource, ConnectError, Exchange, Link, RequestHead, SendError, SendResult, SourceError,
    Upload,
};

/// What the endpoint does with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Refuse,
    /// Meets a bug of ours.
    Panic,
    HangOnConnect,
    /// There is no descriptor for a connection to it.
    NoDescriptor,
    /// Takes the request and says nothing.
    Hang,
    /// Dies without a byte, on a connection that was used before.
    DieStale,
    /// Dies without a byte, on a fresh one.
    Die,
    /// Takes none of the body and dies.
    DieBeforeBody,
    Answer(u16, Vec<(&'static str, String)>, Vec<Piece>),
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    Wait(Duration),
    Cut,
    Hang,
}

pub(super) fn bytes(text: impl Into<String>) -> Piece {
    Piece::Bytes(Bytes::from(text.into()))
}

pub(super) fn answer(status: u16, body: &str) -> Act {
    Act::Answer(status, vec![("content-type", "application/json".into())], vec![bytes(body)])
}

pub(super) fn stream(pieces: Vec<Piece>) -> Act {
    Act::Answer(200, vec![("content-type", "text/event-stream".into())], pieces)
}

/// One endpoint's script, and what it was sent.
#[derive(Clone, Default)]
pub(super) struct Scripted(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    acts: VecDeque<Act>,
    sent: Vec<(http::request::Parts, Bytes)>,
    connections: usize,
}

impl Scripted {
    pub(super) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let state = State { acts: acts.into_iter().collect(), ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The requests that were sent, in order.
    pub(super) fn sent(&self) -> Vec<(http::request::Parts, Bytes)> {
        self.0.lock().unwrap().sent.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.0.lock().unwrap().connections
    }
}

impl Exchange for Scripted {
    fn connect(&self, fresh: bool) -> BoxFuture<'_, Result<Box<dyn Link>, ConnectError>> {
        let act = {
            let mut state = self.0.lock().unwrap();
            state.connections += 1;
            state.acts.pop_front().unwrap_or(Act::Refuse)
        };
        Box::pin(async move {
            match act {
                Act::Refuse => Err(ConnectError::There("cannot connect: refused".into())),
                Act::Panic => panic!("as the test wants"),
                Act::HangOnConnect => pending().await,
                Act::NoDescriptor => Err(ConnectError::Here("Too many open files".into())),
                act => {
                    let reused = matches!(act, Act::DieStale) && !fresh;
                    Ok(Box::new(ScriptedLink { act, reused, log: self.clone() }) as Box<dyn Link>)
                }
            }
        })
    }
}

struct ScriptedLink {
    act: Act,
    reused: bool,
    log: Scripted,
}

impl Link for ScriptedLink {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(self: Box<Self>, head: &RequestHead<'_>, body: Upload) -> BoxFuture<'static, SendResult> {
        let request = head.to_request(body).unwrap();
        Box::pin(async move {
            let died =
                |unsent| Err(SendError { detail: "the connection broke: reset".into(), unsent, died_silent: true });
            if matches!(self.act, Act::DieBeforeBody) {
                return died(false);
            }
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|never| match never {})?.to_bytes();
            self.log.0.lock().unwrap().sent.push((head, body));
            match self.act {
                Act::Answer(status, headers, pieces) => {
                    let mut response = Response::new(Box::new(Source::new(pieces)) as BoxSource);
                    *response.status_mut() = status.try_into().unwrap();
                    let headers =
                        headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
                    *response.headers_mut() = headers.collect::<HeaderMap>();
                    Ok(response)
                }
                Act::Hang => pending().await,
                _ => died(false),
            }
        })
    }
}

struct Source {
    pieces: VecDeque<Piece>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Source {
    fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces: pieces.into(), wait: None }
    }
}

impl ByteSource for Source {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            return match self.pieces.front() {
                None => Poll::Ready(None),
                Some(Piece::Hang) => Poll::Pending,
                Some(Piece::Cut) => Poll::Ready(Some(Err(SourceError::Transport("the connection broke: cut".into())))),
                Some(Piece::Bytes(bytes)) => {
                    let bytes = bytes.clone();
                    self.pieces.pop_front();
                    Poll::Ready(Some(Ok(bytes)))
                }
                Some(Piece::Wait(duration)) => {
                    self.wait = Some(Box::pin(tokio::time::sleep(*duration)));
                    self.pieces.pop_front();
                    continue;
                }
            };
        }
    }
}
