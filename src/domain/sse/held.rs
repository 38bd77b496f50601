//! The bytes between what was pushed and what is released.

use bytes::{Bytes, BytesMut};

/// One run of bytes: as it came while one chunk holds it all, joined once it came in several.
#[derive(Debug, Default)]
pub(super) struct Held {
    chunk: Bytes,
    /// Empty while `chunk` is not, and the other way round.
    joined: BytesMut,
}

impl Held {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() { &self.chunk } else { &self.joined }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.bytes().is_empty() {
            self.chunk = bytes;
            return;
        }
        if !self.chunk.is_empty() {
            self.joined = BytesMut::with_capacity(self.chunk.len() + bytes.len());
            self.joined.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
        }
        self.joined.extend_from_slice(&bytes);
    }

    /// Takes the first `length` bytes out; they and the rest share their memory.
    pub(super) fn split_to(&mut self, length: usize) -> Bytes {
        self.chunk = std::mem::take(self).into_bytes();
        self.chunk.split_to(length)
    }

    /// Copies what came as one chunk, so that it keeps neither a read buffer nor released bytes alive.
    pub(super) fn detach(&mut self) {
        if !self.chunk.is_empty() {
            self.joined = BytesMut::from(&self.chunk[..]);
        }
        self.chunk = Bytes::new();
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.chunk } else { self.joined.freeze() }
    }
}
