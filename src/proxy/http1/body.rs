//! An answer's body together with the connection that it comes on.

use std::cell::RefCell;
use std::sync::Weak;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::framing::Framing;
use super::outgoing::Outgoing;
use super::{CLOSED, Home, Http1, PIECE, broken};
use crate::proxy::exchange::{ByteSource, SourceError};

/// How long an answer that is complete for us may take to end its framing and so keep its connection.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Body1 {
    /// `None` once the answer was read to its end, or broke.
    connection: Option<Box<Http1>>,
    framing: Framing,
    /// Whether the connection may carry another request.
    keeps: bool,
    /// What of the request is not written yet.
    outgoing: Option<Box<Outgoing>>,
    /// Came with the head.
    brought: Bytes,
    failed: Option<SourceError>,
    home: Weak<dyn Home>,
}

impl Body1 {
    pub(super) fn new(
        connection: Box<Http1>,
        framing: Framing,
        keeps: bool,
        outgoing: Option<Box<Outgoing>>,
        home: Weak<dyn Home>,
    ) -> Self {
        Self { connection: Some(connection), framing, keeps, outgoing, brought: Bytes::new(), failed: None, home }
    }

    /// This came behind the head.
    pub(super) fn begun_with(mut self, taken: Taken) -> Self {
        self.brought = self.accept(taken);
        self
    }

    /// What is body of it. An error in the framing is told once that went on.
    fn accept(&mut self, taken: Taken) -> Bytes {
        match taken.used {
            Ok(used) => {
                // An answer to nothing: whose could it be?
                self.keeps &= used == taken.read;
                if self.framing.is_over() {
                    self.over();
                }
            }
            Err(detail) => self.fail(format!("its answer is no HTTP: {detail}")),
        }
        taken.body
    }

    fn over(&mut self) {
        let connection = self.connection.take();
        if let Some(connection) = connection.filter(|_| self.keeps && self.outgoing.is_none())
            && let Some(home) = self.home.upgrade()
        {
            home.keep(connection);
        }
    }

    fn fail(&mut self, detail: String) {
        self.connection = None;
        self.failed = Some(SourceError::Transport(detail));
    }

    /// Reads once.
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Bytes::new()) };
        if let Some(outgoing) = &mut self.outgoing
            && let Poll::Ready(written) = outgoing.poll_write(&mut connection.stream, cx)
        {
            // Who answers without having read all of the request may not want the rest.
            self.keeps &= written.is_ok();
            self.outgoing = None;
        }
        let framing = &mut self.framing;
        match ready!(connection.poll_read(cx, |bytes| Taken::of(framing, bytes))) {
            Ok(taken) if taken.read > 0 => return Poll::Ready(self.accept(taken)),
            Ok(_) if self.framing == Framing::UntilClose => self.connection = None,
            Ok(_) => self.fail(CLOSED.to_owned()),
            Err(error) => self.fail(broken(&error)),
        }
        Poll::Ready(Bytes::new())
    }
}

/// What one read brought.
pub(super) struct Taken {
    read: usize,
    /// How much of that belongs to the answer.
    used: Result<usize, &'static str>,
    body: Bytes,
}

impl Taken {
    pub(super) fn of(framing: &mut Framing, bytes: &[u8]) -> Self {
        let is_large = bytes.len() >= LARGE;
        let mut body = if is_large { large_room() } else { BytesMut::with_capacity(bytes.len()) };
        let used = framing.take(bytes, &mut body);
        let taken = Self { read: bytes.len(), used, body: body.split().freeze() };
        if is_large {
            give_back(body);
        }
        taken
    }
}

/// A piece beyond this size is worth room that is used again: so much fresh memory is a page fault for each 4 KiB. A
/// smaller one is not, as whoever keeps it keeps all of the room; and many are one record of TLS, a quarter of that.
const LARGE: usize = PIECE / 2;
/// Rooms of a thread. One can be used again once nobody holds a piece of it, which a client that reads is quick to see to.
const ROOMS: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

fn large_room() -> BytesMut {
    let used_before = FREE.with_borrow_mut(|free| {
        let at = free.iter_mut().position(|room| room.try_reclaim(PIECE))?;
        Some(free.swap_remove(at))
    });
    used_before.unwrap_or_else(|| BytesMut::with_capacity(PIECE))
}

fn give_back(room: BytesMut) {
    FREE.with_borrow_mut(|free| {
        if free.len() < ROOMS {
            free.push(room);
        }
    });
}

impl ByteSource for Body1 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        loop {
            if !self.brought.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.brought))));
            }
            if let Some(error) = &self.failed {
                return Poll::Ready(Some(Err(error.clone())));
            }
            if self.connection.is_none() {
                return Poll::Ready(None);
            }
            self.brought = ready!(self.poll_once(cx));
        }
    }

    fn retire(mut self: Box<Self>) {
        // Mostly the end of the framing has come with the end of the answer, or is there by now.
        let mut cx = Context::from_waker(Waker::noop());
        if self.connection.is_none() || self.poll_bytes(&mut cx).is_ready() && self.connection.is_none() {
            return;
        }
        tokio::spawn(async move {
            let ended = tokio::time::timeout(RETIRE_WITHIN, async {
                let mut left = PIECE;
                while let Some(Ok(rest)) = std::future::poll_fn(|cx| self.poll_bytes(cx)).await {
                    left = left.saturating_sub(rest.len());
                    if left == 0 {
                        return;
                    }
                }
            });
            let _ = ended.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever holds megabytes of an answer gets them in such pieces.
    #[test]
    fn a_held_piece_takes_no_more_than_twice_its_size() {
        for size in [1, 16 * 1024, 24 * 1024] {
            let taken = Taken::of(&mut Framing::UntilClose, &vec![b'x'; size]);
            let alone = taken.body.try_into_mut().ok().map(|piece| piece.capacity());
            assert!(alone.is_some_and(|held| held <= 2 * size), "a piece of {size}: {alone:?}");
        }
    }
}
