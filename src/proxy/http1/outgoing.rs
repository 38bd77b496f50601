//! A request on its way out: head and body in as few writes as the socket lets them go in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::proxy::exchange::{RequestHead, Upload};

/// Pieces of one write; what does not fit goes with the next.
const PIECES: usize = 32;
/// Bytes of a head beside the client's own headers: the request line, `Host`, a longer credential.
const BESIDE: usize = 256;

pub(super) struct Outgoing {
    head: Vec<u8>,
    /// How much of the head is written.
    at: usize,
    body: Upload,
    flushed: bool,
}

impl Outgoing {
    pub(super) fn new(head: &RequestHead<'_>, body: Upload) -> Self {
        Self { head: head_bytes(head), at: 0, body, flushed: false }
    }

    /// Whether no byte of it was written.
    pub(super) fn is_unsent(&self) -> bool {
        self.at == 0
    }

    /// Whether all of it was.
    pub(super) fn is_done(&self) -> bool {
        self.flushed
    }

    /// Writes what can be written. Ready once there is nothing left.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.flushed {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = self.pieces(&mut pieces);
            if count == 0 {
                ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                self.flushed = true;
                // Kept for as long as the answer comes, which may be minutes.
                self.head = Vec::new();
                break;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &pieces[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn pieces<'a>(&'a self, room: &mut [IoSlice<'a>; PIECES]) -> usize {
        let head = &self.head[self.at..];
        if head.is_empty() {
            return self.body.pieces(room);
        }
        room[0] = IoSlice::new(head);
        1 + self.body.pieces(&mut room[1..])
    }

    fn advance(&mut self, written: usize) {
        let of_head = written.min(self.head.len() - self.at);
        self.at += of_head;
        self.body.advance(written - of_head);
    }
}

/// The request line in origin form and the headers; whoever made them has settled the framing.
fn head_bytes(head: &RequestHead<'_>) -> Vec<u8> {
    // No more than is used: among what a stream holds for minutes it would leave a hole of its size.
    let lines: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut bytes = Vec::with_capacity(lines + head.target.as_str().len() + BESIDE);
    bytes.extend_from_slice(head.method.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(head.target.as_str().as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    };
    line("host", head.spec.url.authority().as_str().as_bytes());
    head.each_header(|name, value| line(name.as_str(), value.as_bytes()));
    if let Some(length) = head.length {
        line("content-length", length.to_string().as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
