//! Where a body ends, and what of the bytes between is body.

use bytes::BytesMut;
use memchr::memchr;

/// What all chunk extensions and trailers of one body together may have: nobody reads either.
const MAX_OVERHEAD: usize = 16 * 1024;
/// Zeros in front of a chunk's size, and blanks behind it.
const MAX_PADDING: usize = 64;
const MAX_TRAILERS: usize = 128;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks::default())
    }

    /// Whether the body is complete. One that only the connection ends never is.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.at == At::End,
            Self::UntilClose => false,
        }
    }

    /// Moves what is body from `bytes` to `body`; says how many bytes belong to this answer. All of them do until it
    /// is over.
    ///
    /// # Errors
    /// What is wrong with the chunks. What came before it has been moved.
    pub(super) fn take(&mut self, bytes: &[u8], body: &mut BytesMut) -> Result<usize, &'static str> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                body.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.take(bytes, body),
            Self::UntilClose => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }
}

/// The chunked coding (RFC 9112 section 7.1), resumable at any byte:
/// ```text
/// body   = *chunk last-chunk *( trailer CRLF ) CRLF
/// chunk  = 1*HEXDIG [ *blank ] [ ";" extensions ] CRLF data CRLF
/// ```
/// Lines end in CRLF and in nothing else: who reads a lone LF as an end sees other chunks than who does not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk; while its size is read, that.
    left: u64,
    padding: usize,
    overhead: usize,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    #[default]
    Size,
    /// Its further digits.
    Digits,
    /// Blanks behind them.
    Blank,
    Extension,
    /// The LF of a size's line.
    SizeEnd,
    Data,
    /// The CR behind data.
    DataEnd,
    /// And its LF.
    DataLf,
    Trailers,
    End,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8], body: &mut BytesMut) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && self.at != At::End {
            at += match self.at {
                At::Data => self.data(&bytes[at..], body),
                At::Extension => self.extension(&bytes[at..])?,
                _ => self.byte(bytes[at]).map(|()| 1)?,
            };
        }
        Ok(at)
    }

    fn data(&mut self, bytes: &[u8], body: &mut BytesMut) -> usize {
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        body.extend_from_slice(&bytes[..taken]);
        self.left -= taken as u64;
        if self.left == 0 {
            self.at = At::DataEnd;
        }
        taken
    }

    /// Skipped up to its CR.
    fn extension(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let end = memchr(b'\r', bytes);
        let length = end.unwrap_or(bytes.len());
        self.spend(length)?;
        if memchr(b'\n', &bytes[..length]).is_some() {
            return Err("a chunk extension has a lone line feed");
        }
        if end.is_none() {
            return Ok(length);
        }
        self.at = At::SizeEnd;
        Ok(length + 1)
    }

    fn byte(&mut self, byte: u8) -> Result<(), &'static str> {
        self.at = match (self.at, byte) {
            (At::Size | At::Digits, digit) if digit.is_ascii_hexdigit() => return self.digit(digit),
            (At::Digits | At::Blank, b'\r') => At::SizeEnd,
            (At::Digits | At::Blank, b';') => At::Extension,
            (At::Digits | At::Blank, b' ' | b'\t') => {
                self.pad()?;
                At::Blank
            }
            (At::SizeEnd, b'\n') if self.left == 0 => At::Trailers,
            (At::SizeEnd, b'\n') => At::Data,
            (At::DataEnd, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Trailers, byte) => return self.trailer(byte),
            (At::Size | At::Digits | At::Blank, _) => return Err("a chunk has no right size"),
            _ => return Err("a chunk has no right end"),
        };
        Ok(())
    }

    fn digit(&mut self, digit: u8) -> Result<(), &'static str> {
        let value = char::from(digit).to_digit(16).unwrap_or_default();
        if self.at == At::Size {
            (self.left, self.padding) = (0, 0);
        } else if self.left == 0 {
            self.pad()?;
        }
        let size = self.left.checked_mul(16).ok_or("a chunk's size is beyond all measure")?;
        self.left = size + u64::from(value);
        self.at = At::Digits;
        Ok(())
    }

    fn trailer(&mut self, byte: u8) -> Result<(), &'static str> {
        self.spend(1)?;
        if byte == b'\n' && self.trailers.last() != Some(&b'\r') {
            return Err("a trailer ends in a lone line feed");
        }
        self.trailers.push(byte);
        if self.trailers == b"\r\n" {
            self.at = At::End;
        } else if self.trailers.ends_with(b"\r\n\r\n") {
            let mut room = [httparse::EMPTY_HEADER; MAX_TRAILERS];
            httparse::parse_headers(&self.trailers, &mut room).map_err(|_| "its trailers are no headers")?;
            self.at = At::End;
        }
        Ok(())
    }

    fn pad(&mut self) -> Result<(), &'static str> {
        self.padding += 1;
        if self.padding > MAX_PADDING { Err("a chunk's size is padded beyond all measure") } else { Ok(()) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.overhead += bytes;
        if self.overhead > MAX_OVERHEAD { Err("its chunks have more than 16 KiB beside data") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is body of it, how many bytes belong to it, and whether it is over; at every split the same.
    fn taken(text: &str) -> Result<(String, usize, bool), &'static str> {
        let mut framing = Framing::chunked();
        let mut body = BytesMut::new();
        let whole = framing.take(text.as_bytes(), &mut body);
        for split in 0..text.len() {
            let (mut piecewise, mut again) = (Framing::chunked(), BytesMut::new());
            let first = piecewise.take(&text.as_bytes()[..split], &mut again);
            let second = first.and_then(|first| {
                let rest = &text.as_bytes()[split..];
                Ok(first + if piecewise.is_over() { 0 } else { piecewise.take(rest, &mut again)? })
            });
            assert_eq!((&second, &again), (&whole, &body), "{text:?} at {split}");
        }
        Ok((String::from_utf8(body.to_vec()).unwrap(), whole?, framing.is_over()))
    }

    #[test]
    fn chunks_become_one_body_however_they_are_split() {
        let long = format!("{:x};a=\"b\"\r\n{}\r\n0;last\r\nx: y\r\nz: \r\n\r\n", 300, "x".repeat(300));
        for (text, body) in [
            ("5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n", "hello there"),
            ("05 \t;x\r\nhello\r\n000\r\n\r\n", "hello"),
            ("0\r\n\r\n", ""),
            (&long, &"x".repeat(300)),
        ] {
            assert_eq!(taken(text), Ok((body.to_owned(), text.len(), true)), "{text:?}");
            let unfinished = &text[..text.len() - 1];
            assert!(!taken(unfinished).unwrap().2, "{unfinished:?}");
        }
    }

    #[test]
    fn what_follows_the_last_chunk_is_not_of_this_answer() {
        assert_eq!(taken("1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK"), Ok(("a".to_owned(), 11, true)));
    }

    #[test]
    fn chunks_that_others_may_read_otherwise_are_refused() {
        let endless = format!("{}\r\n", "0".repeat(20_000));
        let extensions = format!("1;{}\r\na\r\n", "e".repeat(4000)).repeat(5);
        for text in [
            "\r\na",
            " 1\r\na",
            "0x1\r\na",
            "+1\r\na",
            "-1\r\na",
            "1\na",
            "1 1\r\na",
            "1\r\r\na",
            "1;a\nb\r\na",
            "1;a\rb\r\na",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "1\r\na\r0\r\n\r\n",
            "10000000000000000\r\n",
            "0\r\nx: y\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n x: y\r\n\r\n",
            &endless,
            &extensions,
        ] {
            assert!(taken_once(text).is_err(), "{text:?}");
        }
        let trailers = format!("0\r\n{}\r\n", "x: y\r\n".repeat(5000));
        assert!(taken_once(&trailers).is_err());
    }

    fn taken_once(text: &str) -> Result<usize, &'static str> {
        Framing::chunked().take(text.as_bytes(), &mut BytesMut::new())
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let (mut framing, mut body) = (Framing::Length(5), BytesMut::new());
        assert_eq!(framing.take(b"he", &mut body), Ok(2));
        assert!(!framing.is_over());
        assert_eq!(framing.take(b"llo HTTP/1.1", &mut body), Ok(3));
        assert!(framing.is_over());
        assert_eq!(body, "hello");
    }
}
