//! HTTP/2: one connection that all requests share, with a task of its own.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Stream;
use super::exchange::{BoxFuture, BoxSource, ByteSource, ConnectError, Link, SendError, SourceError, Upload};
use super::http1::MAX_HEAD;
use super::joining::{Joining, poll_data, send_error};

pub type Sender = http2::SendRequest<Upload>;

pub async fn open(stream: Stream) -> Result<Sender, ConnectError> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).adaptive_window(true);
    builder.max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder.keep_alive_interval(Duration::from_secs(30)).keep_alive_timeout(Duration::from_secs(20));
    let (sender, conn) = builder.handshake(stream).await.map_err(|error| ConnectError(error.to_string()))?;
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

    fn send(
        mut self: Box<Self>,
        request: Request<Upload>,
    ) -> BoxFuture<'static, Result<Response<BoxSource>, SendError>> {
        Box::pin(async move {
            let mut request = request;
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(http::header::HOST);
            let response = self.sender.try_send_request(request).await.map_err(|error| {
                let unsent = error.message().is_some();
                send_error(error.error(), unsent, false)
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
