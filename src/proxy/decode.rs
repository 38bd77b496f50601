//! Content codings: gzip, br, zstd and deflate in both its forms, alone or on top of one another.
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
/// More layers than anybody uses honestly.
const MAX_LAYERS: usize = 3;
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
/// A sentence: it names a coding that nobody asked for and we do not know.
pub fn decoded(body: BoxSource, headers: &HeaderMap) -> Result<BoxSource, String> {
    let codings = codings(headers)?;
    Ok(codings.into_iter().rev().fold(body, |body, coding| Box::new(Decoded::new(body, coding))))
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
                    return Err(format!(
                        "its Content-Encoding is {:.20}, which we did not ask for",
                        other.escape_debug()
                    ));
                }
            });
        }
    }
    if codings.len() > MAX_LAYERS {
        return Err("its body is coded more than three times over".to_owned());
    }
    Ok(codings)
}

/// One coding taken off.
struct Decoded {
    decoder: Decoder,
    /// An error that came behind bytes which had to go on first.
    failed: Option<SourceError>,
}

enum Decoder {
    /// "deflate" is zlib by the book and raw by habit: the first two bytes tell.
    Sniffing(Option<SourceReader>),
    Running(Box<dyn AsyncRead + Send + Unpin>),
}

impl Decoded {
    fn new(body: BoxSource, coding: Coding) -> Self {
        let reader = SourceReader { body, ready: Bytes::new(), ended: false };
        let decoder = match coding {
            Coding::Gzip => {
                let mut gzip = GzipDecoder::new(reader);
                gzip.multiple_members(true);
                Decoder::Running(Box::new(gzip))
            }
            Coding::Brotli => Decoder::Running(Box::new(BrotliDecoder::new(reader))),
            Coding::Zstd => {
                let params = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                let mut zstd = ZstdDecoder::with_params(reader, &params);
                zstd.multiple_members(true);
                Decoder::Running(Box::new(zstd))
            }
            Coding::Deflate => Decoder::Sniffing(Some(reader)),
        };
        Self { decoder, failed: None }
    }

    fn poll_decoder(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut (dyn AsyncRead + Send + Unpin)>> {
        if let Decoder::Sniffing(reader) = &mut self.decoder {
            let Some(sniffed) = reader else { return Poll::Ready(Err(io::ErrorKind::InvalidData.into())) };
            let zlib = ready!(sniffed.poll_is_zlib(cx))?;
            let Some(reader) = reader.take() else { return Poll::Ready(Err(io::ErrorKind::InvalidData.into())) };
            self.decoder = Decoder::Running(if zlib {
                Box::new(ZlibDecoder::new(reader))
            } else {
                Box::new(DeflateDecoder::new(reader))
            });
        }
        match &mut self.decoder {
            Decoder::Running(decoder) => Poll::Ready(Ok(&mut **decoder)),
            Decoder::Sniffing(_) => Poll::Pending,
        }
    }
}

impl ByteSource for Decoded {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let decoder = match ready!(self.poll_decoder(cx)) {
            Ok(decoder) => decoder,
            Err(error) => return Poll::Ready(Some(Err(source_error(&error)))),
        };
        // A coder that yields a little at a time must not cost a write each.
        let mut buffer = BytesMut::new();
        while buffer.len() < PIECE {
            let start = buffer.len();
            buffer.resize(PIECE.min(start + 8 * 1024), 0);
            let mut read = ReadBuf::new(&mut buffer[start..]);
            let polled = Pin::new(&mut *decoder).poll_read(cx, &mut read);
            let filled = read.filled().len();
            buffer.truncate(start + filled);
            match polled {
                Poll::Ready(Ok(())) if filled > 0 => {}
                Poll::Ready(Ok(())) if buffer.is_empty() => return Poll::Ready(None),
                Poll::Pending if buffer.is_empty() => return Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => break,
                Poll::Ready(Err(error)) if buffer.is_empty() => return Poll::Ready(Some(Err(source_error(&error)))),
                Poll::Ready(Err(error)) => {
                    self.failed = Some(source_error(&error));
                    break;
                }
            }
        }
        Poll::Ready(Some(Ok(buffer.freeze())))
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
    body: BoxSource,
    ready: Bytes,
    ended: bool,
}

impl SourceReader {
    /// Reads until the first two bytes tell zlib (RFC 1950 section 2.2) from raw deflate.
    fn poll_is_zlib(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.ready.len() < 2 && !self.ended {
            match ready!(self.body.poll_bytes(cx)) {
                Some(Ok(bytes)) if self.ready.is_empty() => self.ready = bytes,
                Some(Ok(bytes)) => self.ready = [self.ready.as_ref(), bytes.as_ref()].concat().into(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(Carried(error)))),
                None => self.ended = true,
            }
        }
        let zlib =
            matches!(*self.ready, [cmf, flags, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flags]) % 31 == 0);
        Poll::Ready(Ok(zlib))
    }
}

impl AsyncBufRead for SourceReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.ready.is_empty() && !this.ended {
            match ready!(this.body.poll_bytes(cx)) {
                Some(Ok(bytes)) => this.ready = bytes,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(Carried(error)))),
                None => this.ended = true,
            }
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
