//! Messages on their connections: lengths and chunks, interim answers, kept connections.

use serde_json::json;

use crate::support::upstream::coding::{Coding, encode};
use crate::support::{Client, End, Framing, Part, Proxy, Reply, Request, answering, assert_right, bodies, healthy};

#[tokio::test]
async fn expect_is_answered_here() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let request = Request::message().header("Expect", "100-continue");
    let mut connection = proxy.client().connect().await;
    connection.write(request.head("127.0.0.1")).await;
    let asked = claude_proxy::clock::now();
    let interim = connection.answer(asked, true).await;
    assert_eq!(interim.status(), 100);
    let (_, mut connection) = interim.finish_keeping().await;
    connection.write(&request.body).await;
    let answer = connection.answer(asked, false).await.finish().await;
    assert_right(&answer, false, "alpha");
    let seen = alpha.requests().pop().unwrap();
    assert_eq!((seen.header("expect"), &seen.body), (None, &request.body));
}

#[tokio::test]
async fn one_framing_goes_out_whatever_came_in() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let request = Request::message().header("Transfer-Encoding", "chunked");
    let mut connection = proxy.client().connect().await;
    connection.write(request.head(&proxy.address().to_string())).await;
    let asked = claude_proxy::clock::now();
    for piece in request.body.chunks(10) {
        connection.write(format!("{:x};ext=1\r\n", piece.len())).await;
        connection.write(piece).await;
        connection.write("\r\n").await;
    }
    connection.write("0\r\nX-Trailer: x\r\n\r\n").await;
    assert_right(&connection.answer(asked, false).await.finish().await, false, "alpha");
    let seen = alpha.requests().pop().unwrap();
    assert_eq!(seen.body, request.body);
    let framings = seen.all("content-length").len() + seen.all("transfer-encoding").len();
    assert_eq!(framings, 1, "{:?}", seen.headers);
}

#[tokio::test]
async fn a_server_that_wants_a_length_has_one_for_an_empty_body() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for (method, length) in
        [("POST", Some("0")), ("PUT", Some("0")), ("PATCH", Some("0")), ("GET", None), ("DELETE", None)]
    {
        let mut connection = proxy.client().connect().await;
        connection.write(format!("{method} /v1/things HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        connection.answer(claude_proxy::clock::now(), false).await.finish().await;
        let seen = alpha.requests().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.header("content-length")), (method, length));
    }
}

#[tokio::test]
async fn two_framings_are_refused_or_made_one() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut connection = proxy.client().connect().await;
    let head = Request::message().header("Content-Length", "5").header("Transfer-Encoding", "chunked");
    connection.write(head.head(&proxy.address().to_string())).await;
    connection.write("2\r\n{}\r\n0\r\n\r\n").await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await;
    if answer.status() == 200 {
        let seen = alpha.requests().pop().unwrap();
        assert_eq!(
            (&seen.body[..], seen.all("content-length").len() + seen.all("transfer-encoding").len()),
            (&b"{}"[..], 1)
        );
    } else {
        assert_eq!((answer.status(), alpha.hits()), (400, 0));
    }
}

#[tokio::test]
async fn bodies_go_up_byte_for_byte() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let odd = "{ \"stream\" :\tfalse,\r\n \"b\":1e2, \"a\":\"\\u00e9 é\", \"a\":2 }  ";
    let gzip = encode(Coding::Gzip, odd.as_bytes());
    for (coding, body) in [(None, odd.into()), (None, "not json at all".into()), (Some("gzip"), gzip.await.unwrap())] {
        let mut request = Request::message();
        request.body = body;
        if let Some(coding) = coding {
            request = request.header("Content-Encoding", coding);
        }
        proxy.send(&request).await;
        let seen = alpha.requests().pop().unwrap();
        assert_eq!((seen.header("content-encoding"), &seen.body), (coding, &request.body));
    }
}

#[tokio::test]
async fn interim_answers_are_dropped() {
    let hints = Part::Raw("HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n".into());
    for stream in [false, true] {
        let right =
            if stream { Reply::stream(bodies::events(&["Hello", " there"])) } else { Reply::message("Hello there") };
        let alpha = answering("alpha", right.lead(hints.clone()).lead(hints.clone())).await;
        assert_right(&Proxy::over([&alpha]).await.send(&Request::turn(stream)).await, stream, "alpha");
    }
}

#[tokio::test]
async fn a_body_without_length_ends_with_its_connection() {
    for framing in [Framing::Close, Framing::Chunked] {
        let alpha = answering("alpha", Reply::message("Hello there").framed(framing)).await;
        assert_right(&Proxy::over([&alpha]).await.send(&Request::message()).await, false, "alpha");
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let models = Reply::json(bodies::models()).cut_at(0, Part::Pause(crate::support::ms(1)));
    let alpha = answering("alpha", models).await;
    let proxy = Proxy::over([&alpha]).await;
    let answer = proxy.send(&Request::new("HEAD", "/v1/models", "")).await;
    assert_eq!((answer.status(), answer.upstream(), answer.body.len()), (200, "alpha", 0));
}

/// A GET of it comes down decoded.
#[tokio::test]
async fn head_tells_nothing_of_a_coding_that_is_taken_off() {
    for (coding, told) in [("identity", true), ("gzip", false)] {
        let models = Reply::json(bodies::models()).header("content-encoding", coding);
        let alpha = answering("alpha", models.cut_at(0, Part::Pause(crate::support::ms(1)))).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::new("HEAD", "/v1/models", "")).await;
        assert_eq!((answer.status(), answer.upstream()), (200, "alpha"));
        assert_eq!(answer.header("content-length").is_some(), told, "{coding}");
        assert_ne!(answer.header("content-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut connection = proxy.client().connect().await;
    for stream in [false, true, true, false] {
        let (answer, kept) = connection.ask(&Request::turn(stream)).await.finish_keeping().await;
        assert_right(&answer, stream, "alpha");
        connection = kept;
    }
    assert_eq!(alpha.connections(), 1, "the upstream's connection is kept too");
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let mut connection = proxy.client().connect().await;
    for _ in 0..3 {
        connection.send(&Request::count_tokens()).await;
    }
    for _ in 0..3 {
        let (answer, kept) = connection.answer(claude_proxy::clock::now(), false).await.finish_keeping().await;
        assert_eq!((answer.status(), answer.json()), (200, json!({"input_tokens": 42})));
        connection = kept;
    }
}

#[tokio::test]
async fn what_is_no_http_is_turned_away() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v1/messages HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut connection = Client(proxy.address()).connect().await;
        connection.write(bytes).await;
        let answer = connection.rest().await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    assert_eq!(alpha.hits(), 0);
    assert_eq!(proxy.send(&Request::message()).await.end, End::Clean);
}
