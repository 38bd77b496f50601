//! Pieces of a body that are kept for a while.
//!
//! A piece as it comes is a slice of the buffer that it was read into, and keeps all of that buffer alive: kept as they
//! are, a million pieces of one byte would hold gigabytes. So small ones are copied together.

use bytes::{Bytes, BytesMut};

/// A piece of at least this size is worth a reference: a copy would cost more than what it keeps alive beside itself.
const LARGE: usize = 16 * 1024;
/// Small pieces are joined into blocks of about this size.
const BLOCK: usize = 64 * 1024;

/// What came so far, in order.
#[derive(Default)]
pub struct Pieces {
    kept: Vec<Bytes>,
    small: BytesMut,
    size: usize,
}

impl Pieces {
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.size += piece.len();
        // The first one is mostly the only one, and one buffer is no matter.
        if piece.len() >= LARGE || self.size == piece.len() {
            self.flush();
            self.kept.push(piece);
            return;
        }
        self.small.extend_from_slice(&piece);
        if self.small.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.kept.push(std::mem::take(&mut self.small).freeze());
        }
    }

    /// Bytes of all pieces together.
    pub fn size(&self) -> usize {
        self.size
    }

    /// All of it, in as few pieces as it is kept in.
    pub fn into_vec(mut self) -> Vec<Bytes> {
        self.flush();
        self.kept
    }

    /// All of it in one piece.
    pub fn into_bytes(self) -> Bytes {
        let size = self.size;
        let mut pieces = self.into_vec();
        if pieces.len() <= 1 {
            return pieces.pop().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(size);
        for piece in pieces {
            joined.extend_from_slice(&piece);
        }
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a piece comes: a slice of what it was read into.
    fn slice_of_a_buffer(byte: u8, length: usize) -> Bytes {
        Bytes::from(vec![byte; 64 * 1024]).slice(..length)
    }

    #[test]
    fn small_pieces_let_go_of_their_buffers() {
        let mut pieces = Pieces::default();
        pieces.push(slice_of_a_buffer(b'0', 1));
        let buffer = slice_of_a_buffer(b'1', LARGE - 1);
        pieces.push(buffer.clone());
        assert!(buffer.is_unique(), "nobody else holds the buffer");
        for _ in 0..200_000 {
            pieces.push(Bytes::from_static(b"2"));
        }
        assert_eq!(pieces.size(), 1 + LARGE - 1 + 200_000);
        let kept = pieces.into_vec();
        assert!(kept.len() < 8, "{} pieces", kept.len());
        assert_eq!(kept.concat().len(), LARGE + 200_000);
    }

    #[test]
    fn large_pieces_and_a_single_one_are_not_copied() {
        let (single, large) = (slice_of_a_buffer(b'x', 5), slice_of_a_buffer(b'y', LARGE));
        let mut pieces = Pieces::default();
        pieces.push(single.clone());
        assert_eq!(pieces.into_bytes().as_ptr(), single.as_ptr());
        let mut pieces = Pieces::default();
        for piece in [&single, &single, &large, &single] {
            pieces.push(piece.clone());
        }
        let kept = pieces.into_vec();
        assert_eq!(kept.iter().map(Bytes::len).collect::<Vec<_>>(), [5, 5, LARGE, 5]);
        assert_eq!(kept[2].as_ptr(), large.as_ptr());
    }

    #[test]
    fn all_pieces_come_out_in_order() {
        let mut pieces = Pieces::default();
        let mut expected = Vec::new();
        for (byte, length) in [(b'a', 3), (b'b', 0), (b'c', LARGE), (b'd', 1), (b'e', BLOCK), (b'f', LARGE - 1)] {
            pieces.push(slice_of_a_buffer(byte, length));
            expected.extend(std::iter::repeat_n(byte, length));
        }
        assert_eq!(pieces.into_bytes(), expected);
        assert_eq!(Pieces::default().into_bytes(), Bytes::new());
    }
}
