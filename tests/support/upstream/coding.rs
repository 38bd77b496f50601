//! The content codings that an upstream may use, flushed piece by piece.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
    Zstd,
    /// What HTTP means by `deflate`.
    Zlib,
    /// What some servers send as `deflate`.
    RawDeflate,
}

impl Coding {
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Brotli, Self::Zstd, Self::Zlib, Self::RawDeflate];

    pub fn label(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Zlib | Self::RawDeflate => "deflate",
        }
    }
}

/// `bytes` coded as a whole.
pub async fn encode(coding: Coding, bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding);
    let mut coded = encoder.push(bytes).await?.to_vec();
    coded.extend_from_slice(&encoder.finish().await?);
    Ok(coded.into())
}

pub struct Encoder {
    coder: Pin<Box<dyn AsyncWrite + Send>>,
    out: Tap,
}

impl Encoder {
    pub fn new(coding: Coding) -> Self {
        let out = Tap::default();
        let to = out.clone();
        let coder: Pin<Box<dyn AsyncWrite + Send>> = match coding {
            Coding::Gzip => Box::pin(GzipEncoder::new(to)),
            Coding::Brotli => Box::pin(BrotliEncoder::new(to)),
            Coding::Zstd => Box::pin(ZstdEncoder::new(to)),
            Coding::Zlib => Box::pin(ZlibEncoder::new(to)),
            Coding::RawDeflate => Box::pin(DeflateEncoder::new(to)),
        };
        Self { coder, out }
    }

    /// `bytes`, and everything needed to read them now.
    pub async fn push(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        self.coder.write_all(bytes).await?;
        self.coder.flush().await?;
        Ok(self.out.take())
    }

    pub async fn finish(&mut self) -> io::Result<Bytes> {
        self.coder.shutdown().await?;
        Ok(self.out.take())
    }
}

/// Collects what a coder writes.
#[derive(Clone, Default)]
struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
