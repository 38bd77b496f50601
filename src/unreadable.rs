//! Words for a head that is no HTTP, or too large: hyper answers one by itself, with a status and nothing else.
//!
//! What hyper writes while no request is under way can only be such an answer. So the stream of a connection and its
//! service share a [`Turn`]: it begins with each request, and is over once the answer's body is dropped and all that was
//! written of it has gone out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::domain::fault::Answer;

/// Whose turn it is on a connection.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<AtomicU8>);

const NOBODYS: u8 = 0;
/// A request was read, and its answer is not all made.
const UNDER_WAY: u8 = 1;
/// The answer is all made, and some of it may wait to be written.
const MADE: u8 = 2;

impl Turn {
    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    /// A request was read; `answer` is what the service makes of it.
    pub fn begin<F>(&self, answer: F) -> Answering<F> {
        self.set(UNDER_WAY);
        Answering { answer, turn: self.clone() }
    }
}

/// An answer in the making.
pub struct Answering<F> {
    answer: F,
    turn: Turn,
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<Lasting<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.map(|response| response.map(|body| Lasting { body, turn: self.turn.clone() })))
    }
}

/// A body that makes the turn last for as long as it is there.
pub struct Lasting<B> {
    body: B,
    turn: Turn,
}

impl<B: Body + Unpin> Body for Lasting<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Lasting<B> {
    fn drop(&mut self) {
        self.turn.set(MADE);
    }
}

/// A stream on which hyper's own answers say what is wrong.
pub struct Explaining<S, E> {
    stream: S,
    turn: Turn,
    /// The answer in place of the bare status.
    explain: E,
    /// Of that answer, yet to be written.
    words: Vec<u8>,
}

impl<S, E> Explaining<S, E>
where
    S: Read + Write + Unpin,
    E: Fn(StatusCode) -> Answer + Unpin,
{
    pub fn new(stream: S, turn: Turn, explain: E) -> Self {
        Self { stream, turn, explain, words: Vec::new() }
    }

    /// Takes hyper's own answer and has ours go out in its place.
    fn replace(&mut self, bare: &[u8]) {
        let text = String::from_utf8_lossy(bare);
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some((head, status)) = text.strip_suffix("\r\n\r\n").zip(status) else {
            return self.words.extend_from_slice(bare);
        };
        let answer = (self.explain)(status);
        for line in head.split("\r\n").filter(|line| !line.starts_with("content-length:")) {
            self.words.extend([line.as_bytes(), b"\r\n"].concat());
        }
        for (name, value) in &answer.headers {
            self.words.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        self.words.extend(format!("content-length: {}\r\n\r\n", answer.body.len()).bytes());
        self.words.extend_from_slice(&answer.body);
    }

    fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.words.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.words))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.words.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Unpin, E: Unpin> Read for Explaining<S, E> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl<S, E> Write for Explaining<S, E>
where
    S: Read + Write + Unpin,
    E: Fn(StatusCode) -> Answer + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.turn.is(NOBODYS) {
            self.replace(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is(NOBODYS) {
            let bytes = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>();
            return self.poll_write(cx, &bytes);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_words(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes once it has written all that it holds.
        if self.turn.is(MADE) {
            self.turn.set(NOBODYS);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_words(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Request};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What hyper itself would write.
    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    fn explain(status: StatusCode) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-why", HeaderValue::from_static("because"));
        Answer { status, headers, body: Bytes::from_static(b"That is no HTTP.") }
    }

    /// Everything that comes of these bytes over a pipe of `width` bytes; a request is answered with `body`.
    async fn served(asked: &str, body: &'static str, width: usize) -> String {
        let (ours, mut theirs) = duplex(width);
        let turn = Turn::default();
        let stream = Explaining::new(TokioIo::new(ours), turn.clone(), explain);
        let service = service_fn(move |_: Request<Incoming>| {
            turn.begin(Box::pin(async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }))
        });
        let server = tokio::spawn(http1::Builder::new().serve_connection(stream, service));
        let (mut reading, mut writing) = tokio::io::split(&mut theirs);
        let mut got = String::new();
        let (written, read) = tokio::join!(writing.write_all(asked.as_bytes()), reading.read_to_string(&mut got));
        assert!(written.is_ok() && read.is_ok());
        assert!(server.await.unwrap().unwrap_err().is_parse());
        // Dates differ.
        got.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
    }

    const EXPLAINED: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\nx-why: because\r\ncontent-length: 16\r\n\r\n\
                             That is no HTTP.";

    #[tokio::test]
    async fn a_head_that_is_no_http_is_told_so_in_full_whatever_the_pipe_takes_at_once() {
        for width in [1, 7, 64, 4096] {
            assert_eq!(served("GET / HTTP/1.1\r\nno header\r\n\r\n", "", width).await, EXPLAINED);
        }
    }

    #[tokio::test]
    async fn behind_answers_it_is_told_so_too() {
        let asked = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nno http\r\n\r\n";
        let right = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright";
        for width in [64, 4096] {
            assert_eq!(served(asked, "right", width).await, format!("{right}{right}{EXPLAINED}"));
        }
    }

    #[tokio::test]
    async fn an_answer_that_looks_like_hypers_own_stays_as_it_is() {
        let right = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BARE}", BARE.len());
        for width in [1, 16, 64, 4096] {
            let got = served("GET / HTTP/1.1\r\n\r\nno http\r\n\r\n", BARE, width).await;
            assert_eq!(got, format!("{right}{EXPLAINED}"));
        }
    }
}
