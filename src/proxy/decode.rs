//! Content codings: gzip, br, zstd and deflate in both its forms.
//!
//! What is decodable of the bytes so far comes out at once, so that an event inside a coded stream never waits for
//! the next one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::exchange::{BoxSource, ByteSource, SourceError};

/// Decoded bytes come in pieces of at most this size.
const PIECE: usize = 64 * 1024;
/// What RFC 9659 allows on the web: a window of 8 MiB. A larger one is a way to make us allocate.
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

/// The body as plain bytes, by what its `Content-Encoding` names.
///
/// # Errors
/// A sentence: it names a coding that nobody asked for and we do not know, or several on top of one another, which
/// only those use who want a small body to become a huge one.
pub fn decoded(body: BoxSource, headers: &HeaderMap) -> Result<BoxSource, String> {
    match codings(headers)?[..] {
        [] => Ok(body),
        [coding] => Ok(Box::new(Decoded::new(body, coding))),
        _ => Err("its body is coded more than once".to_owned()),
    }
}

/// A body without a byte, in place of one that cannot be read and need not be.
pub fn nothing() -> BoxSource {
    struct Nothing;
    impl ByteSource for Nothing {
        fn poll_bytes(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
            Poll::Ready(None)
        }
    }
    Box::new(Nothing)
}

/// Whether the headers name any coding at all.
pub fn is_coded(headers: &HeaderMap) -> bool {
    codings(headers).map_or(true, |codings| !codings.is_empty())
}

fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = value.to_str().map_err(|_| "its Content-Encoding is not readable".to_owned())?;
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            codings.push(match name.as_str() {
                "gzip" | "x-gzip" => Coding::Gzip,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                "deflate" => Coding::Deflate,
                "" | "identity" => continue,
                other => {
                    let shown = other.escape_debug();
                    return Err(format!("its Content-Encoding is {shown:.20}, which we did not ask for"));
                }
            });
        }
    }
    Ok(codings)
}

/// A body with its coding taken off.
struct Decoded {
    decoder: Decoder,
    /// An error that came behind bytes which had to go on first.
    failed: Option<SourceError>,
}

/// The decoder, once the first bytes are there: "deflate" is zlib by the book and raw by habit, which two bytes tell,
/// and no bytes at all are an empty body in every coding.
enum Decoder {
    Waiting(Option<SourceReader>, Coding),
    Gzip(Box<GzipDecoder<SourceReader>>),
    Brotli(Box<BrotliDecoder<SourceReader>>),
    Zstd(Box<ZstdDecoder<SourceReader>>),
    Zlib(Box<ZlibDecoder<SourceReader>>),
    Deflate(Box<DeflateDecoder<SourceReader>>),
    Empty,
}

impl Decoder {
    fn start(reader: SourceReader, coding: Coding) -> Self {
        match coding {
            _ if reader.ready.is_empty() => Self::Empty,
            Coding::Gzip => {
                let mut gzip = GzipDecoder::new(reader);
                gzip.multiple_members(true);
                Self::Gzip(Box::new(gzip))
            }
            Coding::Brotli => Self::Brotli(Box::new(BrotliDecoder::new(reader))),
            Coding::Zstd => {
                let params = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                let mut zstd = ZstdDecoder::with_params(reader, &params);
                zstd.multiple_members(true);
                Self::Zstd(Box::new(zstd))
            }
            Coding::Deflate if reader.is_zlib() => Self::Zlib(Box::new(ZlibDecoder::new(reader))),
            Coding::Deflate => Self::Deflate(Box::new(DeflateDecoder::new(reader))),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Waiting(reader, coding) => {
                let Some(waiting) = reader else { return Poll::Ready(Ok(())) };
                ready!(waiting.poll_first_two(cx))?;
                let coding = *coding;
                if let Some(reader) = reader.take() {
                    *self = Self::start(reader, coding);
                }
                self.poll_read(cx, read)
            }
            Self::Gzip(decoder) => Pin::new(decoder).poll_read(cx, read),
            Self::Brotli(decoder) => Pin::new(decoder).poll_read(cx, read),
            Self::Zstd(decoder) => Pin::new(decoder).poll_read(cx, read),
            Self::Zlib(decoder) => Pin::new(decoder).poll_read(cx, read),
            Self::Deflate(decoder) => Pin::new(decoder).poll_read(cx, read),
            Self::Empty => Poll::Ready(Ok(())),
        }
    }

    fn reader(&mut self) -> Option<&mut SourceReader> {
        match self {
            Self::Waiting(reader, _) => reader.as_mut(),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Brotli(decoder) => Some(decoder.get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut()),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Deflate(decoder) => Some(decoder.get_mut()),
            Self::Empty => None,
        }
    }
}

impl Decoded {
    fn new(body: BoxSource, coding: Coding) -> Self {
        let reader = SourceReader { body: Some(body), ready: Bytes::new(), ended: false, moved: false };
        Self { decoder: Decoder::Waiting(Some(reader), coding), failed: None }
    }

    /// Whether coded bytes came since this was asked last.
    fn moved(&mut self) -> bool {
        self.decoder.reader().is_some_and(|reader| std::mem::take(&mut reader.moved))
    }

    /// The coded text may be over before the body is: what is there of the rest is read, so that the body can end and
    /// give its connection back.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some(reader) = self.decoder.reader()
            && let Some(body) = &mut reader.body
            && !reader.ended
        {
            let _ = body.poll_bytes(cx);
        }
    }
}

impl ByteSource for Decoded {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        // A coder that yields a little at a time must not cost a write each.
        let mut buffer = BytesMut::new();
        while buffer.len() < PIECE {
            let start = buffer.len();
            buffer.resize(PIECE.min(start + 8 * 1024), 0);
            let mut read = ReadBuf::new(&mut buffer[start..]);
            let polled = self.decoder.poll_read(cx, &mut read);
            let filled = read.filled().len();
            buffer.truncate(start + filled);
            match polled {
                Poll::Ready(Ok(())) if filled > 0 => {}
                Poll::Ready(Ok(())) if buffer.is_empty() => {
                    self.finish(cx);
                    return Poll::Ready(None);
                }
                Poll::Pending if buffer.is_empty() && !self.moved() => return Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => break,
                Poll::Ready(Err(error)) if buffer.is_empty() => return Poll::Ready(Some(Err(source_error(&error)))),
                Poll::Ready(Err(error)) => {
                    self.failed = Some(source_error(&error));
                    break;
                }
            }
        }
        self.moved();
        Poll::Ready(Some(Ok(buffer.freeze())))
    }

    fn retire(mut self: Box<Self>) {
        if let Some(body) = self.decoder.reader().and_then(|reader| reader.body.take()) {
            body.retire();
        }
    }
}

/// Carries a transport error through a decoder, so that a cut connection is not taken for a bad coding.
#[derive(Debug)]
struct Carried(SourceError);

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

fn source_error(error: &io::Error) -> SourceError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Carried>()) {
        Some(carried) => carried.0.clone(),
        None => SourceError::Decode(format!("its body does not decode: {error}")),
    }
}

/// A [`ByteSource`] as the reader that decoders want.
struct SourceReader {
    /// `None` once it was retired.
    body: Option<BoxSource>,
    ready: Bytes,
    ended: bool,
    /// Bytes came.
    moved: bool,
}

impl SourceReader {
    /// Reads until there are two bytes, or all that there will be.
    fn poll_first_two(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ready.len() < 2 && !self.ended {
            let before = std::mem::take(&mut self.ready);
            let polled = self.poll_more(cx);
            if !before.is_empty() {
                self.ready = [before.as_ref(), self.ready.as_ref()].concat().into();
            }
            ready!(polled)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the first two bytes are a zlib header (RFC 1950 section 2.2).
    fn is_zlib(&self) -> bool {
        matches!(*self.ready, [cmf, flags, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flags]) % 31 == 0)
    }

    /// The next bytes. A decoder that makes nothing of ever so many of them still lets others have their turn.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let Some(body) = &mut self.body else {
            self.ended = true;
            return Poll::Ready(Ok(()));
        };
        match ready!(body.poll_bytes(cx)) {
            Some(Ok(bytes)) => (self.ready, self.moved) = (bytes, true),
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(Carried(error)))),
            None => self.ended = true,
        }
        turn.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for SourceReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.ready.is_empty() && !this.ended {
            ready!(this.poll_more(cx))?;
        }
        Poll::Ready(Ok(&this.ready))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().ready.advance(amount);
    }
}

impl AsyncRead for SourceReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = available.len().min(buf.remaining());
        buf.put_slice(&available[..amount]);
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}
