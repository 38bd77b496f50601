//! Upstreams that send what no server should: every answer still belongs to its request, and none grows without end.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::machine::memory;
use crate::support::proxy::{Config, Proxy};
use crate::support::upstream::coding::{Coding, Encoder};
use crate::support::{
    End, Framing, Part, Reply, Request, Upstream, answering, assert_right, bodies, eventually, healthy, ms, right_body,
};

/// Alpha, which misbehaves once in a while, and beta, which never does; alpha stays the first to be asked.
async fn watched(alpha: &Upstream, beta: &Upstream) -> Proxy {
    let config = Config::in_order([alpha, beta]).set("health.min_failures", "1000");
    config.set("timeouts.first_byte", "400ms").set("timeouts.stream_idle", "400ms").start().await
}

/// Alpha sends these bytes and hangs up: `name` answers in the end. Then alpha is itself again.
async fn run(table: &[(&str, &str, String)]) {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = watched(&alpha, &beta).await;
    let mut wrong = Vec::new();
    for (row, by, bytes) in table {
        alpha.then(Reply::raw(bytes.clone()));
        let answer = proxy.send(&Request::message()).await;
        if (answer.status(), answer.text(), answer.header("x-upstream")) != (200, &right_body(false), Some(by)) {
            wrong.push(format!("{row}: {} {:?} {}", answer.status(), answer.header("x-upstream"), answer.text()));
        }
        for stream in [false, true] {
            assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A whole answer with these header lines.
fn answer(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nx-upstream: alpha\r\n{lines}\r\n\r\n{body}")
}

fn chunked(size: &str, tail: &str) -> String {
    answer("Transfer-Encoding: chunked", &format!("{size}\r\n{}{tail}", right_body(false)))
}

#[tokio::test]
async fn lengths_and_codings() {
    let body = right_body(false);
    let n = body.len();
    let chunks = format!("{n:x}\r\n{body}\r\n0\r\n\r\n");
    let length = |value: &str| answer(&format!("Content-Length: {value}"), &body);
    run(&[
        ("right", "alpha", length(&n.to_string())),
        ("length twice", "alpha", answer(&format!("Content-Length: {n}\r\nContent-Length: {n}"), &body)),
        ("two lengths", "beta", answer(&format!("Content-Length: {n}\r\nContent-Length: 5"), &body)),
        ("two lengths turned", "beta", answer(&format!("Content-Length: 5\r\nContent-Length: {n}"), &body)),
        ("a list of lengths", "alpha", length(&format!("{n}, {n}"))),
        ("length +", "beta", length(&format!("+{n}"))),
        ("length -", "beta", length(&format!("-{n}"))),
        ("length 0x", "beta", length(&format!("0x{n:x}"))),
        ("length empty", "beta", length("")),
        ("length of 2^64 - 1", "beta", length("18446744073709551615")),
        ("length beyond 2^64", "beta", length("99999999999999999999999")),
        ("length of 2^63", "beta", length("9223372036854775807")),
        ("length too short", "beta", length(&(n - 1).to_string())),
        ("length too long", "beta", length(&(n + 1).to_string())),
        ("length and chunks", "alpha", answer("Content-Length: 5\r\nTransfer-Encoding: chunked", &chunks)),
        ("chunks and length", "alpha", answer("Transfer-Encoding: chunked\r\nContent-Length: 5", &chunks)),
        ("chunked twice", "alpha", answer("Transfer-Encoding: chunked, chunked", &chunks)),
        ("chunked identity", "beta", answer("Transfer-Encoding: chunked, identity", &chunks)),
        ("xchunked", "beta", answer("Transfer-Encoding: xchunked", &chunks)),
        ("gzip, chunked", "beta", answer("Transfer-Encoding: gzip, chunked", &chunks)),
        ("identity", "alpha", answer("Transfer-Encoding: identity", &body)),
        (
            "identity of a length, kept open",
            "alpha",
            answer(&format!("Transfer-Encoding: identity\r\nContent-Length: {n}"), &body),
        ),
        ("old chunked", "beta", answer("Transfer-Encoding: chunked", &chunks).replace("HTTP/1.1", "HTTP/1.0")),
    ])
    .await;
}

#[tokio::test]
async fn chunks() {
    let n = right_body(false).len();
    let end = "\r\n0\r\n\r\n";
    run(&[
        ("right", "alpha", chunked(&format!("{n:x}"), end)),
        ("ext", "alpha", chunked(&format!("{n:X} ;a=b"), end)),
        ("trailers", "alpha", chunked(&format!("{n:x}"), "\r\n0\r\nx-upstream: evil\r\ncontent-length: 3\r\n\r\n")),
        ("0x", "beta", chunked(&format!("0x{n:x}"), end)),
        ("blank first", "beta", chunked(&format!(" {n:x}"), end)),
        ("+", "beta", chunked(&format!("+{n:x}"), end)),
        ("-", "beta", chunked(&format!("-{n:x}"), end)),
        ("none", "beta", chunked("", end)),
        ("overflow", "beta", chunked(&format!("1000000000000000{n:x}"), end)),
        ("too small", "beta", chunked(&format!("{:x}", n - 1), end)),
        ("too large", "beta", chunked(&format!("{:x}", n + 1), end)),
        ("no line end", "beta", chunked(&format!("{n:x}"), "0\r\n\r\n")),
        ("no end", "beta", chunked(&format!("{n:x}"), "\r\n")),
        ("half an end", "beta", chunked(&format!("{n:x}"), "\r\n0\r\n")),
        ("endless ext", "beta", chunked(&format!("{n:x};{}", "e".repeat(64 << 10)), end)),
        (
            "endless trailers",
            "beta",
            chunked(&format!("{n:x}"), &format!("\r\n0\r\n{}\r\n", "x-t: y\r\n".repeat(20_000))),
        ),
    ])
    .await;
}

#[tokio::test]
async fn heads() {
    let body = right_body(false);
    let with = |line: &str| answer(&format!("{line}\r\nContent-Length: {}", body.len()), &body);
    let status = |line: &str| with("x: y").replace("HTTP/1.1 200 OK", line);
    run(&[
        ("folded", "beta", with("x-a: b\r\n c")),
        ("bare CR", "beta", with("x-a: b\rc")),
        ("bare LF", "alpha", with("x-a: b\nx-b: c")),
        ("NUL", "beta", with("x-a: b\0c")),
        ("no colon", "beta", with("x-a")),
        ("no name", "beta", with(": b")),
        ("blank before colon", "beta", with("x-a : b")),
        ("blank in name", "beta", with("x a: b")),
        ("many", "beta", with(&vec!["x-a: b"; 2000].join("\r\n"))),
        ("status 000", "beta", status("HTTP/1.1 000 Zero")),
        ("status 099", "beta", status("HTTP/1.1 099 Low")),
        ("status 999", "beta", status("HTTP/1.1 999 High")),
        ("status 600", "beta", status("HTTP/1.1 600 Strange")),
        ("status 20", "beta", status("HTTP/1.1 20 Short")),
        ("status 2000", "beta", status("HTTP/1.1 2000 Long")),
        ("status -200", "beta", status("HTTP/1.1 -200 Minus")),
        ("version 2", "beta", status("HTTP/2 200 OK")),
        ("version 2.0", "beta", status("HTTP/2.0 200 OK")),
        ("icy", "beta", status("ICY 200 OK")),
        (
            "upgrade",
            "beta",
            answer("Connection: upgrade\r\nUpgrade: websocket", "").replace("200 OK", "101 Switching Protocols"),
        ),
        ("blank lines first", "alpha", format!("\r\n\r\n{}", with("x: y"))),
        ("another answer first", "beta", format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}{}", with("x: y"))),
        (
            "some 1xx first",
            "alpha",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n".to_owned()
                + &with("x: y"),
        ),
        ("1xx with a length", "beta", "HTTP/1.1 103 Hints\r\ncontent-length: 2\r\n\r\n{}".to_owned() + &with("x: y")),
    ])
    .await;
}

/// Nobody judges a file, so it went down as it was: compressed, and labelled as plain.
#[tokio::test]
async fn a_file_does_not_come_down_in_a_coding_that_its_reader_is_not_told_of() {
    let coded = Reply::raw(answer("Transfer-Encoding: gzip, chunked", "5\r\n\x1f\0gz!\r\n0\r\n\r\n"));
    let (alpha, beta) = (answering("alpha", coded).await, healthy("beta").await);
    let answer = Proxy::over([&alpha, &beta]).await.send(&Request::get("/v1/files/f/content")).await;
    assert_eq!((answer.status(), answer.upstream()), (200, "beta"));
}

/// What follows an answer on a kept connection, at once or a moment later, is never the answer to the next request.
#[tokio::test]
async fn unasked_answers_are_nobodys() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = watched(&alpha, &beta).await;
    let evil = answer("Content-Length: 4", "evil");
    let right = || Reply::message("Hello there");
    let no_content = || Reply::new(204, "text/plain", "evil").framed(Framing::None);
    for pause in [0, 20] {
        let after = |reply: Reply| reply.part(Part::Pause(ms(pause))).part(Part::Raw(evil.clone().into()));
        let chunked_twice = right().framed(Framing::Chunked).part(Part::Raw(format!("0\r\n\r\n{evil}").into()));
        for (reply, request) in [
            (after(right()), Request::message()),
            (after(Reply::status(400)), Request::message()),
            (after(Reply::status(500)), Request::message()),
            (after(Reply::stream([right_body(true)]).framed(Framing::Length(0))), Request::stream()),
            (chunked_twice, Request::message()),
            (after(Reply::json("{}")), Request::new("HEAD", "/v1/models", "")),
            (no_content(), Request::message()),
            (no_content(), Request::new("DELETE", "/v1/files/f", "")),
            (Reply::new(304, "text/plain", "evil").framed(Framing::None), Request::message()),
        ] {
            alpha.then(reply);
            let answer = proxy.send(&request).await;
            assert_ne!(answer.text(), "evil");
            tokio::time::sleep(ms(pause)).await;
            for stream in [false, true] {
                // One that came after the connection was used again is judged, found wrong, and replaced by beta's answer.
                let answer = proxy.send(&Request::turn(stream)).await;
                let name = answer.header("x-upstream").unwrap_or_default().to_owned();
                assert_right(&answer, stream, &name);
            }
        }
    }
}

/// An answer that begins with `first` and then says `again` for ever.
fn endless(first: String, again: &str, pause: u64) -> Reply {
    Reply::raw(first).cut_after(1, Part::Forever(again.to_owned().into(), ms(pause)))
}

/// Each is asked for something that never ends: beta answers in its place, soon.
async fn given_up(rows: Vec<(&str, bool, Reply)>) {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = watched(&alpha, &beta).await;
    for (row, stream, reply) in rows {
        alpha.then(reply);
        let answer = proxy.send(&Request::turn(stream)).await;
        assert_right(&answer, stream, "beta");
        assert!(answer.took < Duration::from_secs(4), "{row}: {:?}", answer.took);
        assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
    }
    assert!(peak(&proxy) < MOST_MEMORY, "{} MiB", peak(&proxy) >> 20);
}

fn head(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nx-upstream: alpha\r\n\r\n")
}

#[tokio::test]
async fn heads_without_end() {
    let (ok, big) = (|| "HTTP/1.1 200 OK\r\n".to_owned(), "x".repeat(64 << 10));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    given_up(vec![
        ("a status line", false, endless(String::new(), &big, 0)),
        ("a header", false, endless(ok(), &big, 0)),
        ("headers", true, endless(ok(), &format!("x-line: {big}\r\n"), 0)),
        ("a slow head", true, endless(ok(), "x: y\r\n", 30)),
        ("1xx", false, endless(String::new(), hints, 0)),
        ("slow 1xx", true, endless(String::new(), hints, 30)),
    ])
    .await;
}

#[tokio::test]
async fn bodies_without_end() {
    let big = "x".repeat(64 << 10);
    given_up(vec![
        ("a message", false, endless(head("200 OK"), &big, 0)),
        ("a refusal", false, endless(head("400 Bad Request"), &big, 0)),
        ("a failure", true, endless(head("500 Oops"), &big, 0)),
        ("a slow message", false, endless(head("200 OK"), "", 30)),
    ])
    .await;
}

/// A flood of pings left `first_byte` no moment to run out in: the client waited until the flood was too large.
#[tokio::test]
async fn streams_without_end() {
    let big = "x".repeat(64 << 10);
    let started = head("200 OK") + &bodies::message_start();
    given_up(vec![
        ("a line", true, endless(head("200 OK"), &big, 0)),
        ("blank lines", true, endless(head("200 OK"), "\n\n\n\n\n\n\n\n", 0)),
        ("comments", true, endless(head("200 OK"), &":\n\n".repeat(16 << 10), 0)),
        ("pings", true, endless(head("200 OK"), &bodies::PING.repeat(1000), 0)),
        ("pings after a start", true, endless(started.clone(), &bodies::PING.repeat(1000), 0)),
        ("a line after a start", true, endless(started + "data: ", &big, 0)),
    ])
    .await;
}

#[tokio::test]
async fn a_flood_holds_up_nobody_else() {
    for flood in ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000), head("200 OK") + &bodies::PING.repeat(2000)] {
        let (alpha, beta) = (answering("alpha", endless(String::new(), &flood, 0)).await, healthy("beta").await);
        let proxy = watched(&alpha, &beta).await;
        let client = proxy.client();
        let flooded = tokio::spawn(async move { client.send(&Request::stream()).await });
        eventually("the flood begins", || alpha.written() > 0).await;
        for _ in 0..5 {
            let answer = proxy.send(&Request::get("/healthz")).await;
            assert!(answer.took < ms(400), "{:?}", answer.took);
        }
        assert_right(&flooded.await.unwrap(), true, "beta");
    }
}

/// Far more than any case here needs, far less than what their bombs stand for.
const MOST_MEMORY: u64 = 200 << 20;

/// The most memory that the proxy ever held, in bytes.
fn peak(proxy: &Proxy) -> u64 {
    memory(proxy.pid(), "VmHWM")
}

/// Bytes that stand for half a GiB of `x` behind `prefix`.
async fn bomb(coding: Coding, prefix: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(coding);
    let piece = "x".repeat(1 << 20);
    let mut bytes = encoder.push(prefix.as_bytes()).await.unwrap().to_vec();
    for _ in 0..2 {
        bytes.extend_from_slice(&encoder.push(piece.as_bytes()).await.unwrap());
    }
    // From here on one piece is coded like the other.
    bytes.extend(encoder.push(piece.as_bytes()).await.unwrap().repeat(510));
    bytes
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let (alpha, beta) = (healthy("alpha").await, healthy("beta").await);
    let proxy = watched(&alpha, &beta).await;
    let events = bodies::events(&["Hello"]);
    let started = events[0].clone() + "data: ";
    for coding in Coding::ALL {
        for (status, prefix, stream) in [
            (200, "{\"id\":\"", false),
            (400, "{\"type\":\"error\",\"error\":{\"message\":\"", false),
            (500, "", true),
            (200, "data: ", true),
            (200, &started, true),
        ] {
            let reply = Reply::new(status, "application/json", bomb(coding, prefix).await);
            alpha.then(reply.header("content-encoding", coding.label()));
            let answer = proxy.send(&Request::turn(stream)).await;
            assert_right(&answer, stream, "beta");
            let faults = [&json!("too_large"), &json!("broken_stream"), &json!("status")];
            let first = &proxy.record(&answer).await["attempts"][0];
            assert!(faults.contains(&&first["fault"]), "{coding:?} {first}");
        }
        let committed = bomb(coding, &(events[..4].concat() + "data: ")).await;
        alpha.then(Reply::new(200, "text/event-stream", committed).header("content-encoding", coding.label()));
        let answer = proxy.send(&Request::stream()).await;
        assert_eq!((answer.text(), answer.end), (&*events[..4].concat(), End::Cut), "{coding:?}");
    }
    assert!(peak(&proxy) < MOST_MEMORY, "{} MiB", peak(&proxy) >> 20);
}

/// We look into a request for its model; the bomb itself is the endpoint's to refuse.
#[tokio::test]
async fn a_request_may_be_a_bomb_too() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for coding in Coding::ALL {
        let mut request = Request::message().header("Content-Encoding", coding.label());
        request.body = bomb(coding, "{\"model\":\"").await.into();
        assert_right(&proxy.send(&request).await, false, "alpha");
        assert_eq!(alpha.requests().pop().unwrap().body, request.body);
    }
    assert!(peak(&proxy) < MOST_MEMORY, "{} MiB", peak(&proxy) >> 20);
}

/// Twenty bodies at once come in so many pieces each, one by one, and then stand still.
const PIECES: usize = 400;

/// Memory that the proxy took on since it held `before`. A piece as it comes keeps the buffer alive that it was read
/// into: all pieces of twenty bodies would be 64 MiB.
fn more(proxy: &Proxy, before: u64) -> u64 {
    memory(proxy.pid(), "VmRSS").saturating_sub(before)
}

const FAR_LESS: u64 = 16 << 20;

#[tokio::test]
async fn a_trickle_costs_no_more_than_its_bytes() {
    let trickle = |reply: Reply| reply.framed(Framing::Chunked).split_every(1).spaced(&Part::Pause(ms(1)));
    let message = || trickle(Reply::message(&"x".repeat(PIECES)));
    let comments = || Reply::stream(vec![": x\n\n"; PIECES]).spaced(&Part::Pause(ms(1)));
    let mut checked = JoinSet::new();
    for (what, request, reply) in [
        ("a message", Request::message(), message()),
        ("a coded message", Request::message(), message().coded(Coding::Gzip)),
        ("a stream before its content", Request::stream(), comments()),
        ("a coded stream before its content", Request::stream(), comments().coded(Coding::Zstd)),
        ("an answer that is not judged", Request::get("/v1/models"), message().coded(Coding::Brotli)),
    ] {
        checked.spawn(async move {
            let more = held_for(&request, reply).await;
            assert!(more < FAR_LESS, "{what}: {} KiB", more >> 10);
        });
    }
    checked.join_all().await;
}

/// What the proxy holds when twenty such requests got so much of their answers.
async fn held_for(request: &Request, reply: Reply) -> u64 {
    let alpha = answering("alpha", reply.part(Part::Hang)).await;
    let proxy = Proxy::over([&alpha]).await;
    let before = memory(proxy.pid(), "VmRSS");
    let mut asked = Vec::new();
    for _ in 0..20 {
        let mut connection = proxy.client().connect().await;
        connection.send(request).await;
        asked.push(connection);
    }
    let (mut last, mut same) = (0, 0);
    eventually("all pieces went out", || {
        same = if alpha.written() == last { same + 1 } else { 0 };
        last = alpha.written();
        last > 0 && same > 20
    })
    .await;
    more(&proxy, before)
}

#[tokio::test]
async fn a_request_that_trickles_in_costs_no_more_than_its_bytes() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let before = memory(proxy.pid(), "VmRSS");
    let mut sending = JoinSet::new();
    for _ in 0..20 {
        let client = proxy.client();
        sending.spawn(async move {
            let mut connection = client.connect().await;
            connection.write(Request::message().header("Transfer-Encoding", "chunked").head("localhost")).await;
            for _ in 0..PIECES {
                connection.write("1\r\n \r\n").await;
                tokio::time::sleep(ms(1)).await;
            }
            connection
        });
    }
    let connections = sending.join_all().await;
    let more = more(&proxy, before);
    assert!(more < FAR_LESS, "{} KiB", more >> 10);
    drop(connections);
}
