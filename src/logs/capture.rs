//! Collects of a body what the log needs while the body passes by.

use std::fmt;

use bytes::Bytes;

use crate::config::BodyMode;

/// What `truncated` keeps of a body.
pub const TRUNCATED: usize = 1024;
/// What `full` keeps of a body.
const FULL: usize = 64 << 20;
/// A smaller chunk is copied: it may be a slice of a big read buffer, which a reference would keep alive.
const WORTH_A_REFERENCE: usize = 16 << 10;

/// One body on its way. Never keeps more than its mode wants.
pub struct Capture {
    size: u64,
    /// Bytes still wanted; 0 makes a push a mere count.
    room: usize,
    mode: BodyMode,
    parts: Vec<Bytes>,
    tail: Vec<u8>,
}

impl Default for Capture {
    /// Of a body that is not logged.
    fn default() -> Self {
        Self::new(BodyMode::None, 0)
    }
}

impl Capture {
    /// `spare`: bytes to keep beyond what is shown, so that a secret at the border is still recognised
    /// (the longest one's length).
    pub fn new(mode: BodyMode, spare: usize) -> Self {
        let room = shown(mode).map_or(0, |shown| shown + spare);
        Self { size: 0, room, mode, parts: Vec::new(), tail: Vec::new() }
    }

    #[inline]
    pub fn push(&mut self, chunk: &Bytes) {
        self.size += chunk.len() as u64;
        if self.room > 0 {
            self.keep(chunk);
        }
    }

    fn keep(&mut self, chunk: &Bytes) {
        let wanted = chunk.len().min(self.room);
        self.room -= wanted;
        if self.mode == BodyMode::Full && wanted >= WORTH_A_REFERENCE {
            self.flush();
            self.parts.push(chunk.slice(..wanted));
        } else {
            self.tail.extend_from_slice(&chunk[..wanted]);
        }
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    pub fn finish(mut self) -> Captured {
        self.flush();
        Captured { size: self.size, mode: self.mode, parts: self.parts }
    }
}

/// What was kept of a body. The default is a body that is not logged.
#[derive(Clone)]
pub struct Captured {
    /// Bytes of the whole body.
    pub size: u64,
    mode: BodyMode,
    parts: Vec<Bytes>,
}

impl Default for Captured {
    fn default() -> Self {
        Capture::new(BodyMode::None, 0).finish()
    }
}

impl Captured {
    /// How many bytes of it may be shown; `None`: the body is not logged.
    pub fn shown(&self) -> Option<usize> {
        shown(self.mode)
    }

    /// Bytes held in memory.
    pub fn held(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Makes one piece of everything held, which copies a body of several parts once.
    pub(super) fn join(&mut self) -> &[u8] {
        if self.parts.len() > 1 {
            self.parts = vec![Bytes::from(self.parts.concat())];
        }
        self.joined()
    }

    /// Everything held, once it was joined.
    pub(super) fn joined(&self) -> &[u8] {
        self.parts.first().map_or(&[], Bytes::as_ref)
    }
}

/// Not the bytes: credentials may still be among them.
impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("size", &self.size).field("mode", &self.mode).finish_non_exhaustive()
    }
}

fn shown(mode: BodyMode) -> Option<usize> {
    match mode {
        BodyMode::None => None,
        BodyMode::Truncated => Some(TRUNCATED),
        BodyMode::Full => Some(FULL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(mode: BodyMode, spare: usize, chunks: &[Bytes]) -> Captured {
        let mut capture = Capture::new(mode, spare);
        for chunk in chunks {
            capture.push(chunk);
        }
        capture.finish()
    }

    #[test]
    fn none_counts_and_keeps_nothing() {
        let body = captured(BodyMode::None, 50, &[Bytes::from_static(b"hello"), Bytes::from_static(b" you")]);
        assert_eq!((body.size, body.held(), body.shown()), (9, 0, None));
    }

    #[test]
    fn truncated_copies_the_head_and_the_spare() {
        let chunks: Vec<Bytes> = (0..5).map(|n| Bytes::from(vec![b'0' + n; 300])).collect();
        let mut body = captured(BodyMode::Truncated, 10, &chunks);
        assert_eq!((body.size, body.shown()), (1500, Some(1024)));
        assert_eq!(body.join(), &chunks.concat()[..1034]);
        assert!(chunks.iter().all(Bytes::is_unique), "a copy must not keep the read buffer alive");
    }

    #[test]
    fn full_keeps_all_in_order_and_big_chunks_by_reference() {
        let chunks = [Bytes::from(vec![b'a'; 200]), Bytes::from(vec![b'b'; 40_000]), Bytes::from(vec![b'c'; 7])];
        let mut body = captured(BodyMode::Full, 10, &chunks);
        assert_eq!(chunks.each_ref().map(Bytes::is_unique), [true, false, true]);
        assert_eq!((body.size, body.held()), (40_207, 40_207));
        assert_eq!(body.join(), chunks.concat());
    }

    #[test]
    fn full_has_a_cap() {
        let chunk = Bytes::from(vec![0; 40 << 20]);
        let body = captured(BodyMode::Full, 10, &[chunk.clone(), chunk]);
        assert_eq!((body.size, body.held()), (80 << 20, (64 << 20) + 10));
    }
}
