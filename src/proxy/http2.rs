//! HTTP/2: one connection that all requests share, with a task of its own.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Stream;
use super::exchange::{
    BoxFuture, BoxSource, ByteSource, ConnectError, Head, Link, SendError, Sent, SourceError, Upload,
};
use super::http1::MAX_HEAD;
use super::joining::{Joining, poll_data, send_error};

const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

pub type Sender = http2::SendRequest<Upload>;

pub async fn open(stream: Stream) -> Result<Sender, ConnectError> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // A reader that stands still holds back its own stream alone: the connection's window is never what runs out.
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    let (sender, conn) = builder.handshake(stream).await.map_err(|error| ConnectError::There(error.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) = conn.await {
            tracing::debug!("an HTTP/2 connection ended: {error}");
        }
    });
    Ok(sender)
}

/// One request on the shared connection.
pub struct Link2 {
    pub sender: Sender,
    pub reused: bool,
}

impl Link for Link2 {
    fn is_reused(&self) -> bool {
        self.reused
    }

    fn send(mut self: Box<Self>, head: &Head<'_>, body: Upload) -> BoxFuture<'static, Sent> {
        let request = head.to_request(body).ok_or_else(|| SendError::before("its address makes no valid URI"));
        Box::pin(async move {
            let mut request = request?;
            *request.version_mut() = Version::HTTP_2;
            let response = self.sender.try_send_request(request).await.map_err(|error| {
                let unsent = error.message().is_some() || is_unprocessed(error.error());
                // A shared connection that slept too long is found dead by its keep-alive.
                let slept = self.reused && error.error().is_timeout();
                let error = send_error(error.error(), unsent);
                SendError { died_silent: error.died_silent || slept, ..error }
            })?;
            Ok(response.map(|body| Box::new(Body2 { body, joining: Joining::default() }) as BoxSource))
        })
    }
}

/// An HTTP/2 answer's body; its connection has a task of its own.
struct Body2 {
    body: Incoming,
    joining: Joining,
}

impl ByteSource for Body2 {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let body = &mut self.body;
        self.joining.poll(|| poll_data(body, cx))
    }
}

/// Whether the server said that it did nothing: a connection that it retires, a stream that it refuses (RFC 9113
/// section 8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let error = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_go_away() || (error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
