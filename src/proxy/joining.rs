//! What comes down over HTTP/2: chunks joined, errors in words.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};

use super::exchange::{SendError, SourceError};

/// What is ready goes on in pieces of at most about this size.
const PIECE: usize = 64 * 1024;

/// The next data of a body; trailers and empty frames are passed over.
pub fn poll_data(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
    loop {
        return Poll::Ready(match ready!(pin!(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => Some(Ok(data)),
                _ => continue,
            },
            Some(Err(error)) => Some(Err(SourceError::Transport(describe(&error)))),
            // hyper takes a reset that names no error for the end, which it is only where the end came before it.
            None if !body.is_end_stream() => {
                Some(Err(SourceError::Transport("it reset the stream before its answer was complete".to_owned())))
            }
            None => None,
        });
    }
}

/// Joins all chunks that are ready into one piece, so that they go on in one write.
#[derive(Default)]
pub struct Joining {
    /// What came behind a piece: told after it.
    behind: Option<Result<(), SourceError>>,
}

impl Joining {
    pub fn poll(
        &mut self,
        mut next: impl FnMut() -> Poll<Option<Result<Bytes, SourceError>>>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        match &self.behind {
            Some(Ok(())) => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.clone()))),
            None => {}
        }
        let first = match ready!(next()) {
            Some(Ok(first)) => first,
            other => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        while first.len().max(joined.len()) < PIECE {
            match next() {
                Poll::Ready(Some(Ok(more))) => {
                    if joined.is_empty() {
                        joined.reserve(PIECE);
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&more);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.behind = Some(Err(error));
                    break;
                }
                Poll::Ready(None) => {
                    self.behind = Some(Ok(()));
                    break;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Some(Ok(if joined.is_empty() { first } else { joined.freeze() })))
    }
}

pub fn send_error(error: &hyper::Error, unsent: bool) -> SendError {
    let died = error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_io(error);
    SendError { detail: describe(error), unsent, died_silent: unsent || died }
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn describe(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    match source {
        _ if error.is_parse_too_large() => "its head is larger than 64 KiB".to_owned(),
        None if error.is_incomplete_message() => "it closed the connection before its answer was complete".to_owned(),
        _ if error.is_parse() => format!("its answer is no HTTP: {error}"),
        Some(source) => format!("the connection broke: {source}"),
        None => format!("the connection broke: {error}"),
    }
}
