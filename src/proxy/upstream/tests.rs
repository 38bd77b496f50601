//! What only shows when the runtime knows less than the socket does.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::coop;
use tokio::time::timeout;

use super::*;
use crate::domain::endpoint::{Auth, BaseUrl};
use crate::proxy::exchange::{RequestHead, SendResult, Upload};

async fn listener() -> (TcpListener, Upstream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::new(&spec(&format!("http://{}", listener.local_addr().unwrap())));
    (listener, upstream.unwrap())
}

fn spec(url: &str) -> EndpointSpec {
    EndpointSpec {
        name: "a".into(),
        url: BaseUrl::parse(url).unwrap(),
        path_prefix: "/v1".into(),
        auth: Auth::Passthrough,
        enabled: true,
        priority: 1,
        http: HttpVersion::Http1,
        proxy: None,
        ca_file: None,
    }
}

fn post(link: Box<dyn Link>, body: Vec<u8>) -> BoxFuture<'static, SendResult> {
    let head = RequestHead {
        method: &Method::POST,
        target: &PathAndQuery::from_static("/v1/messages"),
        spec: &spec("http://a.example"),
        headers: &HeaderMap::new(),
        own_token: None,
        length: Some(body.len() as u64),
    };
    link.send(&head, Upload::new(&[Bytes::from(body)]))
}

/// One request over a new connection, which is kept; the other side of it.
async fn used_once(listener: &TcpListener, upstream: &Upstream) -> TcpStream {
    let asking = async {
        let link = upstream.connect(false).await.unwrap();
        let mut body = post(link, b"hi".to_vec()).await.unwrap().into_body();
        poll_fn(|cx| body.poll_bytes(cx)).await.unwrap().unwrap()
    };
    let answering = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        assert!(peer.read(&mut [0; 1024]).await.unwrap() > 0);
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nright").await.unwrap();
        peer
    };
    let (answer, peer) = tokio::join!(asking, answering);
    assert_eq!(answer, "right");
    peer
}

/// Until the runtime lets the task do no more in this turn.
async fn spend_the_turn() {
    poll_fn(|cx| {
        while let Poll::Ready(turn) = coop::poll_proceed(cx) {
            turn.made_progress();
        }
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn nobody_gets_words_that_came_unasked_as_an_answer_even_when_a_turn_is_spent() {
    let (listener, upstream) = listener().await;
    let mut peer = used_once(&listener, &upstream).await;
    peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong").await.unwrap();
    tokio::task::yield_now().await;
    spend_the_turn().await;
    assert!(!upstream.connect(false).await.unwrap().is_reused(), "it may carry no further request");
}

#[tokio::test]
async fn a_connection_in_order_is_used_again_even_when_a_turn_is_spent() {
    let (listener, upstream) = listener().await;
    let _peer = used_once(&listener, &upstream).await;
    spend_the_turn().await;
    assert!(upstream.connect(false).await.unwrap().is_reused());
}

/// The upload breaks in a moment when the socket holds the refusal and the runtime has not told of it yet.
#[tokio::test]
async fn a_refusal_is_heard_when_the_upload_breaks_a_moment_before_it() {
    let (listener, upstream) = listener().await;
    let mut sending = post(upstream.connect(true).await.unwrap(), vec![b'x'; 32 << 20]);
    let (mut peer, _) = listener.accept().await.unwrap();
    let fits = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_ready())).await;
    assert!(!fits);
    let mut room = vec![0; 64 * 1024];
    while timeout(Duration::from_millis(50), peer.read(&mut room)).await.is_ok() {}
    peer.set_zero_linger().unwrap();
    peer.try_write(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").unwrap();
    drop(peer);
    assert_eq!(sending.await.map(|answer| answer.status()), Ok(StatusCode::PAYLOAD_TOO_LARGE));
}

/// A client would take half of an answer for all of it.
#[tokio::test]
async fn a_reset_that_names_no_error_is_no_end() {
    for ends in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spec = EndpointSpec { http: HttpVersion::Http2, ..spec(&format!("http://{address}")) };
        // A reset takes with it what was not sent yet.
        let (arrived, reset) = tokio::sync::oneshot::channel();
        let mut reset = Some(reset);
        tokio::spawn(async move {
            let (peer, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(peer).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"half of it"), ends).unwrap();
                let reset = reset.take().unwrap();
                tokio::spawn(async move {
                    reset.await.unwrap();
                    stream.send_reset(h2::Reason::NO_ERROR);
                });
            }
        });
        let link = Upstream::new(&spec).unwrap().connect(false).await.unwrap();
        let mut body = post(link, b"hi".to_vec()).await.unwrap().into_body();
        assert_eq!(poll_fn(|cx| body.poll_bytes(cx)).await.unwrap().unwrap(), "half of it");
        arrived.send(()).unwrap();
        assert_eq!(poll_fn(|cx| body.poll_bytes(cx)).await.is_none(), ends);
    }
}

/// A balancer keeps a connection alive whose server is gone: each request, and each probe, would time out on it.
#[tokio::test]
async fn a_shared_connection_that_answers_nothing_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream =
        Upstream::new(&EndpointSpec { http: HttpVersion::Http2, ..spec(&format!("http://{address}")) }).unwrap();
    let (asked, mut unanswered) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(peer).await.unwrap();
                while let Some(Ok(request)) = connection.accept().await {
                    asked.send(request).unwrap();
                }
            });
        }
    });
    let mut give_up = async |reused: bool, waits: Duration| {
        let link = upstream.connect(false).await.unwrap();
        assert_eq!(link.is_reused(), reused);
        let asking = tokio::spawn(post(link, b"hi".to_vec()));
        let request = unanswered.recv().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(waits).await;
        tokio::time::resume();
        asking.abort();
        assert!(asking.await.is_err());
        request
    };
    let _hasty = give_up(false, Duration::from_millis(1)).await;
    let _patient = give_up(true, Duration::from_secs(1)).await;
    let _next = give_up(false, Duration::from_millis(1)).await;
}
