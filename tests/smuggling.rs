//! Requests made to be read in two ways. Whatever comes in: exactly one well-formed request goes out for each that
//! was taken, and every answer belongs to its request.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::proxy::{Config, Endpoint};
use crate::support::strict::{Strict, Taken};
use crate::support::{PATIENCE, ms};

/// What comes of the bytes of one connection, one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The upstream took a request with that nonce and body, and the client got its answer.
    Answer(&'static str, &'static str),
    /// Our own answer with that status.
    Own(u16),
    /// The connection is over.
    Closed,
    /// The connection is open, and nothing came.
    Open,
}
use Fate::{Answer, Closed, Open, Own};

/// A whole good request that must never be taken out of another one's body.
const EVIL: &str = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-nonce: evil\r\nContent-Length: 4\r\n\r\nevil";
/// Another, for those that may well follow.
const NEXT: &str = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-nonce: next\r\nContent-Length: 4\r\n\r\nnext";

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-nonce: one\r\n{headers}\r\n{body}")
}

fn chunked(chunks: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

fn line(line: &str) -> String {
    format!("{line}\r\nHost: localhost\r\nx-nonce: one\r\n\r\n")
}

/// Everything that comes until the connection ends, or until nothing more comes once `enough` is there.
async fn exchange(proxy: SocketAddr, bytes: &[u8], enough: impl Fn(&[u8]) -> bool) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    // The end of a refused connection may come before all was written.
    let _ = stream.write_all(bytes).await;
    let mut got = Vec::new();
    loop {
        let patience = if enough(&got) { ms(50) } else { PATIENCE };
        match timeout(patience, stream.read_buf(&mut got)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return (got, true),
            Err(_) => return (got, false),
        }
    }
}

/// The status and body of each answer.
fn answers(mut bytes: &[u8]) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    while let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.strip_prefix("http/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let length = head.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let (status, length): (u16, usize) = (status.expect(&head), length.unwrap_or(0));
        let body = &bytes[end + 4..];
        let (body, rest) = body.split_at(length.min(body.len()));
        answers.push((status, String::from_utf8_lossy(body).into_owned()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "after the answers: {:?}", String::from_utf8_lossy(bytes));
    answers
}

async fn fates(proxy: SocketAddr, strict: &Strict, bytes: &[u8], wanted: usize) -> Vec<Fate> {
    let before = strict.taken().0.len();
    let (got, closed) =
        exchange(proxy, bytes, |got| got.windows(4).filter(|end| end == b"\r\n\r\n").count() >= wanted).await;
    let mut taken = strict.taken().0.split_off(before).into_iter();
    let mut fates = Vec::new();
    for (status, body) in answers(&got) {
        if status == 200
            && !body.is_empty()
            && let Some(Taken { nonce, body: went, .. }) = taken.next()
        {
            assert!(body.contains(&format!("\"{nonce} {}\"", went.len())), "{body} for {nonce}");
            fates.push(Answer(nonce.leak(), String::from_utf8(went).unwrap().leak()));
        } else {
            let problem: Value = if status < 400 { Value::Null } else { serde_json::from_str(&body).expect(&body) };
            assert!(status < 400 || problem["type"] == "error" && problem["error"]["message"].is_string(), "{problem}");
            fates.push(Own(status));
        }
    }
    fates.extend(taken.map(|lost| Answer(lost.nonce.leak(), "UNANSWERED")));
    fates.push(if closed { Closed } else { Open });
    fates
}

async fn run(table: Vec<(&'static str, String, Vec<Fate>)>) {
    let strict = Strict::start().await.unwrap();
    let proxy = Config::in_order([Endpoint::at("strict", &strict.url())]).start().await;
    let mut wrong = Vec::new();
    for (name, bytes, wanted) in table {
        let got = fates(proxy.address(), &strict, bytes.as_bytes(), wanted.len() - 1).await;
        if got != wanted {
            wrong.push(format!("{name}: {got:?}\n      instead of {wanted:?}"));
        }
    }
    let (_, violations) = strict.taken();
    assert!(wrong.is_empty() && violations.is_empty(), "{}\n{violations:#?}", wrong.join("\n"));
}

#[tokio::test]
async fn lengths_and_codings() {
    let both = |first: &str, second: &str| post(&format!("{first}\r\n{second}\r\n"), &format!("0\r\n\r\n{EVIL}"));
    run(vec![
        (
            "plain",
            post("Content-Length: 4\r\n", "body") + NEXT,
            vec![Answer("one", "body"), Answer("next", "next"), Open],
        ),
        ("no framing", post("", NEXT), vec![Answer("one", ""), Answer("next", "next"), Open]),
        ("CL then TE", both("Content-Length: 114", "Transfer-Encoding: chunked"), vec![Answer("one", ""), Closed]),
        ("TE then CL", both("Transfer-Encoding: chunked", "Content-Length: 114"), vec![Answer("one", ""), Closed]),
        ("TE xchunked", both("Transfer-Encoding: xchunked", "Content-Length: 114"), vec![Own(400), Closed]),
        ("TE chunked, identity", both("Transfer-Encoding: chunked, identity", "X: y"), vec![Own(400), Closed]),
        ("TE twice xchunked", both("Transfer-Encoding: chunked", "Transfer-Encoding: x"), vec![Own(400), Closed]),
        ("TE identity", both("Transfer-Encoding: identity", "Content-Length: 114"), vec![Own(400), Closed]),
        ("TE tab", both("Transfer-Encoding:\tchunked", "X: y"), vec![Answer("one", ""), Answer("evil", "evil"), Open]),
        ("TE upper", both("TRANSFER-ENCODING: CHUNKED", "X: y"), vec![Answer("one", ""), Answer("evil", "evil"), Open]),
        (
            "TE trailing blank",
            both("Transfer-Encoding: chunked ", "X: y"),
            vec![Answer("one", ""), Answer("evil", "evil"), Open],
        ),
        ("TE empty", both("Transfer-Encoding:", "Content-Length: 114"), vec![Own(400), Closed]),
        ("TE comma after", both("Transfer-Encoding: chunked,", "X: y"), vec![Own(400), Closed]),
        ("TE quoted", both("Transfer-Encoding: \"chunked\"", "Content-Length: 114"), vec![Own(400), Closed]),
        ("TE params", both("Transfer-Encoding: chunked;q=1", "Content-Length: 114"), vec![Own(400), Closed]),
        ("TE vertical tab", both("Transfer-Encoding: \x0bchunked", "Content-Length: 114"), vec![Own(400), Closed]),
        ("space before colon", both("Transfer-Encoding : chunked", "Content-Length: 114"), vec![Own(400), Closed]),
        ("space before name", both(" Transfer-Encoding: chunked", "Content-Length: 114"), vec![Own(400), Closed]),
        (
            "under_score",
            post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n") + NEXT,
            vec![Answer("one", "0\r\n\r\n"), Answer("next", "next"), Open],
        ),
        (
            "CL twice same",
            post("Content-Length: 4\r\nContent-Length: 4\r\n", "body") + NEXT,
            vec![Answer("one", "body"), Answer("next", "next"), Open],
        ),
        ("CL twice different", post("Content-Length: 4\r\nContent-Length: 0\r\n", EVIL), vec![Own(400), Closed]),
        ("CL list", post("Content-Length: 4, 4\r\n", "body"), vec![Own(400), Closed]),
        ("CL +", post("Content-Length: +4\r\n", "body"), vec![Own(400), Closed]),
        ("CL -", post("Content-Length: -4\r\n", "body"), vec![Own(400), Closed]),
        ("CL 0x", post("Content-Length: 0x4\r\n", "body"), vec![Own(400), Closed]),
        ("CL huge", post("Content-Length: 99999999999999999999\r\n", "body"), vec![Own(400), Closed]),
        ("CL 2^64-1", post("Content-Length: 18446744073709551615\r\n", "body"), vec![Own(431), Closed]),
        ("CL 2^63", post("Content-Length: 9223372036854775807\r\n", "body"), vec![Own(413), Open]),
        ("CL 04", post("Content-Length: 04\r\n", "body"), vec![Answer("one", "body"), Open]),
        ("CL empty", post("Content-Length: \r\n", ""), vec![Own(400), Closed]),
        ("CL 4 4", post("Content-Length: 4 4\r\n", "body"), vec![Own(400), Closed]),
        ("CL decimal", post("Content-Length: 4.0\r\n", "body"), vec![Own(400), Closed]),
        (
            "CL on GET",
            "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nx-nonce: one\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
                .to_owned()
                + NEXT,
            vec![Answer("one", "0\r\n\r\n"), Answer("next", "next"), Open],
        ),
        (
            "Connection names CL",
            post("Content-Length: 4\r\nConnection: content-length, host, x-api-key\r\n", "body") + NEXT,
            vec![Answer("one", "body"), Answer("next", "next"), Open],
        ),
    ])
    .await;
}

#[tokio::test]
async fn heads() {
    let with = |line: &str| post(&format!("{line}\r\nContent-Length: 4\r\n"), "body");
    run(vec![
        ("folded", with("X-A: b\r\n c"), vec![Own(400), Closed]),
        ("folded TE", with("X-A: b\r\n\tTransfer-Encoding: chunked"), vec![Own(400), Closed]),
        ("bare CR in value", with("X-A: b\rTransfer-Encoding: chunked"), vec![Own(400), Closed]),
        ("bare LF between", with("X-A: b\nX-B: c"), vec![Answer("one", "body"), Open]),
        ("bare LF TE", with("X-A: b\nTransfer-Encoding: chunked"), vec![Own(400), Closed]),
        ("NUL in value", with("X-A: b\0c"), vec![Own(400), Closed]),
        ("NUL in name", with("X\0A: b"), vec![Own(400), Closed]),
        ("DEL in value", with("X-A: b\x7f"), vec![Own(400), Closed]),
        ("no colon", with("X-A"), vec![Own(400), Closed]),
        ("empty name", with(": b"), vec![Own(400), Closed]),
        ("empty value", with("X-A:"), vec![Answer("one", "body"), Open]),
        ("quote in name", with("X\"A: b"), vec![Own(400), Closed]),
        ("unicode in name", with("Xé: b"), vec![Own(400), Closed]),
        ("unicode in value", with("X: é"), vec![Answer("one", "body"), Open]),
        ("repeated headers", with("X-A: b\r\nX-A: c"), vec![Answer("one", "body"), Open]),
        ("blank lines first", format!("\r\n\r\n{}", with("X: y")), vec![Answer("one", "body"), Open]),
    ])
    .await;
}

#[tokio::test]
async fn chunks() {
    let one = |body| vec![Answer("one", body), Answer("next", "next"), Open];
    run(vec![
        ("plain", chunked("4\r\nbody\r\n0\r\n\r\n") + NEXT, one("body")),
        ("ext", chunked("4;ext\r\nbody\r\n0;a=b\r\n\r\n") + NEXT, one("body")),
        ("upper", chunked("A\r\n0123456789\r\n0\r\n\r\n") + NEXT, one("0123456789")),
        ("zeros", chunked("0004\r\nbody\r\n000\r\n\r\n") + NEXT, one("body")),
        ("trailing blank", chunked("4 \r\nbody\r\n0\r\n\r\n") + NEXT, one("body")),
        ("trailer", chunked("4\r\nbody\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nx-nonce: two\r\nHost: evil\r\nx-api-key: mine\r\n\r\n") + NEXT, one("body")),
        ("leading blank", chunked(" 4\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("0x", chunked("0x4\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("+", chunked("+4\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("-", chunked("-4\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("overflow", chunked("10000000000000004\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("ffffffffffffffff", chunked("ffffffffffffffff\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Open]),
        ("no size", chunked("\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("only ext", chunked(";x\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("too short", chunked("3\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("no CRLF after data", chunked("4\r\nbody0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("LF after size", chunked("4\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("LF after data", chunked("4\r\nbody\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("LF at end", chunked("4\r\nbody\r\n0\n\n") + EVIL, vec![Own(400), Closed]),
        ("LF in ext", chunked("4;a\nb\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("CR in ext", chunked("4;a\rb\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("CR CR", chunked("4\r\r\nbody\r\n0\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("quoted ext", chunked("4;a=\"\r\nbody\r\n0\r\n\r\n") + NEXT, one("body")),
        ("bad trailer", chunked("4\r\nbody\r\n0\r\nno colon\r\n\r\n") + EVIL, vec![Own(400), Closed]),
        ("LF trailer", chunked("4\r\nbody\r\n0\r\nX: y\n\r\n") + NEXT, vec![Answer("one", "body"), Open]),
        ("endless ext", chunked(&format!("4;{}\r\nbody\r\n0\r\n\r\n", "e".repeat(40_000))) + EVIL, vec![Own(400), Closed]),
        ("endless trailers", chunked(&format!("4\r\nbody\r\n0\r\n{}\r\n", "X-T: y\r\n".repeat(20_000))) + EVIL, vec![Own(400), Closed]),
        ("unfinished", chunked("4\r\nbo"), vec![Open]),
    ]).await;
}

#[tokio::test]
async fn lines() {
    let next = |own| vec![own, Answer("next", "next"), Open];
    run(vec![
        ("upgrade", post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n", "body") + NEXT, next(Answer("one", "body"))),
        ("upgrade h2c", post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 4\r\n", "body") + NEXT, next(Answer("one", "body"))),
        ("upgrade on a free path", line("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c") + NEXT, next(Own(200))),
        ("1.0", line("POST /v1/messages HTTP/1.0\r\nContent-Length: 0") + EVIL, vec![Answer("one", ""), Closed]),
        ("1.0 keep-alive", line("POST /v1/messages HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0") + NEXT, next(Answer("one", ""))),
        ("1.0 chunked", line("POST /v1/messages HTTP/1.0\r\nTransfer-Encoding: chunked") + "0\r\n\r\n" + EVIL, vec![Own(400), Closed]),
        ("0.9", "GET /v1/models\r\n\r\n".to_owned() + EVIL, vec![Own(400), Closed]),
        ("2.0", line("GET /v1/models HTTP/2.0") + EVIL, vec![Own(400), Closed]),
        ("1.2", line("GET /v1/models HTTP/1.2") + EVIL, vec![Own(400), Closed]),
        ("preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned() + EVIL, vec![Closed]),
        ("lower case", line("GET /v1/models http/1.1") + EVIL, vec![Own(400), Closed]),
        ("two spaces", line("GET  /v1/models HTTP/1.1") + EVIL, vec![Own(400), Closed]),
        ("space in target", line("GET /v1/mod els HTTP/1.1") + EVIL, vec![Own(400), Closed]),
        ("tab", line("GET\t/v1/models\tHTTP/1.1") + EVIL, vec![Own(400), Closed]),
        ("absolute", line("GET http://localhost/v1/models HTTP/1.1") + NEXT, next(Answer("one", ""))),
        ("absolute foreign", line("GET http://evil.example/v1/models HTTP/1.1") + NEXT, next(Own(403))),
        ("absolute ftp", line("GET ftp://localhost/v1/models HTTP/1.1") + NEXT, next(Answer("one", ""))),
        ("user info", line("GET http://localhost@evil.example/v1/models HTTP/1.1") + NEXT, next(Own(403))),
        ("user info 2", line("GET http://evil.example@localhost/v1/models HTTP/1.1") + NEXT, next(Own(403))),
        ("authority", line("GET localhost:80 HTTP/1.1") + NEXT, next(Own(404))),
        ("star", line("OPTIONS * HTTP/1.1") + NEXT, next(Own(404))),
        ("no slash", line("GET v1/models HTTP/1.1") + NEXT, vec![Own(400), Closed]),
        ("two slashes", line("GET //v1/models HTTP/1.1") + NEXT, next(Own(404))),
        ("CR in path", line("GET /v1/models%0d%0aX:y HTTP/1.1") + NEXT, next(Answer("one", ""))),
        ("fragment", line("GET /v1/models#x HTTP/1.1") + NEXT, next(Answer("one", ""))),
        ("pipelined", NEXT.repeat(3), vec![Answer("next", "next"), Answer("next", "next"), Answer("next", "next"), Open]),
        ("close then more", post("Connection: close\r\nContent-Length: 4\r\n", "body") + EVIL, vec![Answer("one", "body"), Closed]),
        ("expect refused", "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 109\r\n\r\n".to_owned() + EVIL, vec![Own(404), Closed]),
    ]).await;
}

#[tokio::test]
async fn a_body_that_is_coded_twice_does_not_reach_an_endpoint_half_decoded() {
    let all = |first: &str, second: &str| post(&format!("{first}\r\n{second}\r\n"), &format!("0\r\n\r\n{EVIL}"));
    run(vec![
        (
            "TE identity, chunked",
            all("Transfer-Encoding: identity, chunked", "X: y"),
            vec![Own(400), Answer("evil", "evil"), Open],
        ),
        (
            "TE gzip, chunked",
            all("Transfer-Encoding: gzip, chunked", "X: y"),
            vec![Own(400), Answer("evil", "evil"), Open],
        ),
        (
            "TE chunked, chunked",
            all("Transfer-Encoding: chunked, chunked", "X: y"),
            vec![Own(400), Answer("evil", "evil"), Open],
        ),
        (
            "TE twice",
            all("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            vec![Own(400), Answer("evil", "evil"), Open],
        ),
        (
            "TE twice with identity",
            all("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
            vec![Own(400), Answer("evil", "evil"), Open],
        ),
        ("TE comma", all("Transfer-Encoding: ,chunked", "X: y"), vec![Own(400), Answer("evil", "evil"), Open]),
    ])
    .await;
}

/// A tunnel's answer was lost; a trace brought the endpoint's credential back.
#[tokio::test]
async fn no_tunnel_opens_and_no_trace_tells_an_endpoints_key() {
    let next = |own| vec![own, Answer("next", "next"), Open];
    run(vec![
        ("connect", line("CONNECT api.anthropic.com:443 HTTP/1.1") + NEXT, next(Own(403))),
        ("connect ours", line("CONNECT localhost:443 HTTP/1.1") + NEXT, next(Own(405))),
        ("connect path", line("CONNECT /v1/messages HTTP/1.1") + NEXT, next(Own(405))),
        ("trace", line("TRACE /v1/messages HTTP/1.1") + NEXT, next(Own(405))),
    ])
    .await;
}

#[tokio::test]
async fn no_path_climbs_out_of_an_endpoints_prefix_with_its_key() {
    let next = |own| vec![own, Answer("next", "next"), Open];
    run(vec![
        ("dots", line("GET /v1/../admin HTTP/1.1") + NEXT, next(Own(404))),
        ("dots inside", line("GET /v1/files/../../../admin HTTP/1.1") + NEXT, next(Own(404))),
        ("coded dots", line("GET /v1/%2e%2E/admin HTTP/1.1") + NEXT, next(Own(404))),
        ("half coded dots", line("GET /v1/.%2e/admin HTTP/1.1") + NEXT, next(Own(404))),
        ("coded slash", line("GET /v1/..%2fadmin HTTP/1.1") + NEXT, next(Own(404))),
        ("backslash", line("GET /v1/..\\admin HTTP/1.1") + NEXT, next(Own(404))),
        ("coded backslash", line("GET /v1/..%5Cadmin HTTP/1.1") + NEXT, next(Own(404))),
        ("dot", line("GET /v1/./models HTTP/1.1") + NEXT, next(Own(404))),
        ("dots at end", line("GET /v1/.. HTTP/1.1") + NEXT, next(Own(404))),
        ("dots in query", line("GET /v1/models?a=../.. HTTP/1.1") + NEXT, next(Answer("one", ""))),
        ("dots in name", line("GET /v1/files/a..b/...%2Fc HTTP/1.1") + NEXT, next(Answer("one", ""))),
    ])
    .await;
}

#[tokio::test]
async fn whose_host_is_unclear_is_told_so() {
    let with = |line: &str| post(&format!("{line}\r\nContent-Length: 4\r\n"), "body");
    run(vec![
        ("two hosts", with("Host: localhost"), vec![Own(400), Open]),
        ("foreign second host", with("Host: evil.example"), vec![Own(403), Open]),
        (
            "no host",
            "POST /v1/messages HTTP/1.1\r\nx-nonce: one\r\nContent-Length: 4\r\n\r\nbody".to_owned(),
            vec![Own(400), Open],
        ),
    ])
    .await;
}
