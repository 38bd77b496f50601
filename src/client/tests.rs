//! Against sockets that play their part by script: whoever answers there, a call ends, and says what happened.

use std::future::pending;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::wire::event::Event;

const SOON: Duration = Duration::from_millis(150);

/// What a socket does once a request is in.
enum Part {
    Say(Vec<u8>),
    /// Piece by piece, each after a pause.
    Drip(Vec<&'static str>, Duration),
    /// Sends for ever.
    Flood(&'static str),
    Hang,
    /// Closes this connection and takes the next one in, with its request.
    Again,
}

/// Plays its parts to one connection and closes it; returns what it was asked last.
async fn played(parts: Vec<Part>) -> (AdminClient, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let play = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 64 << 10];
        let mut size = socket.read(&mut asked).await.unwrap();
        for part in parts {
            match part {
                Part::Say(bytes) => drop(socket.write_all(&bytes).await),
                Part::Drip(pieces, pause) => {
                    for piece in pieces {
                        sleep(pause).await;
                        let _ = socket.write_all(piece.as_bytes()).await;
                    }
                }
                Part::Flood(piece) => while socket.write_all(piece.as_bytes()).await.is_ok() {},
                Part::Hang => pending().await,
                Part::Again => {
                    assert!(!String::from_utf8_lossy(&asked[..size]).contains("hunter2"), "the token came unasked");
                    socket = listener.accept().await.unwrap().0;
                    size = socket.read(&mut asked).await.unwrap();
                }
            }
        }
        String::from_utf8_lossy(&asked[..size]).into_owned()
    });
    let target = Target::parse(&address.to_string(), "a test").unwrap();
    (AdminClient::new(target), play)
}

fn answer(head: &str, body: &str) -> Part {
    Part::Say(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

fn raw(text: &str) -> Part {
    Part::Say(text.as_bytes().to_vec())
}

async fn get(parts: Vec<Part>) -> Result<Value, ClientError> {
    let (client, _play) = played(parts).await;
    client.within(SOON).get("/api/status").await
}

#[tokio::test]
async fn a_call_is_json_with_our_token_to_the_host_that_was_named() {
    let wanted = answer("401 Unauthorized", r#"{"error":{"code":"unauthorized","message":"a token is needed"}}"#);
    let (mut client, play) = played(vec![wanted, Part::Again, answer("200 OK", r#"{"fine":true}"#)]).await;
    client.target.token = Some(Secret::new("hunter2"));
    let said: Value = client.call(Method::PATCH, "/api/endpoints/a%2Fb", Some(&json!({"priority": 2}))).await.unwrap();
    assert_eq!(said, json!({"fine": true}));
    let asked = play.await.unwrap();
    let address = &client.target().address;
    assert!(asked.starts_with("PATCH /api/endpoints/a%2Fb HTTP/1.1\r\n"), "{asked}");
    for line in [&format!("host: {address}"), "authorization: Bearer hunter2", "content-type: application/json"] {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{line}: {asked}");
    }
    assert!(asked.ends_with("\r\n\r\n{\"priority\":2}"), "{asked}");
}

#[tokio::test]
async fn a_token_goes_only_to_one_that_asks_for_it_as_we_do() {
    for (first, code) in [
        (answer("401 Unauthorized", "<html>log in"), Some("no_proxy")),
        (answer("200 OK", "{}"), None),
        (answer("403 Forbidden", r#"{"error":{"code":"forbidden","message":"not this Host"}}"#), Some("forbidden")),
        (raw("SSH-2.0-OpenSSH_9.2\r\n"), Some("no_proxy")),
    ] {
        let (mut client, play) = played(vec![first, Part::Again, answer("200 OK", "{}")]).await;
        client.target.token = Some(Secret::new("hunter2"));
        let called = client.call::<Value>(Method::POST, "/api/endpoints", Some(&json!({}))).await;
        assert_eq!(called.err().map(|error| error.code().to_owned()).as_deref(), code);
        match code {
            None => assert!(!play.await.unwrap().contains("hunter2"), "it was not asked for"),
            Some(_) => assert!(!play.is_finished(), "it was asked once more"),
        }
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address_its_origin_and_the_command() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = AdminClient::new(Target::parse(&address, "web_admin in a.yaml").unwrap());
    let error = client.get::<Value>("/api/status").await.unwrap_err();
    assert!(error.is_no_proxy());
    assert_eq!(error.to_string(), format!("no running claude-proxy at {address}: nobody listens there"));
    let hint = "start one with `claude-proxy serve`; the address is from web_admin in a.yaml";
    assert_eq!(error.hint().unwrap(), hint);
}

#[tokio::test]
async fn somebody_else_is_not_taken_for_a_proxy() {
    let client_port = r#"{"type":"error","error":{"type":"not_found_error","message":"no such path"}}"#;
    for (parts, why) in [
        (vec![answer("404 Not Found", "<html>")], "somebody else answers there, with 404 Not Found"),
        (vec![answer("302 Found", "")], "somebody else answers there, with 302 Found"),
        (vec![answer("500 Oops", r#"{"error":"broken"}"#)], "somebody else answers there, with 500 Internal"),
        (vec![answer("404 Not Found", client_port)], "that port is the one for clients"),
        (vec![answer("200 OK", "<html>")], "what answers there is not ours: expected value"),
        (vec![raw("SSH-2.0-OpenSSH_9.2\r\n")], "what answers there speaks no HTTP"),
        (vec![raw("\x15\x03\x03\0\x02\x02\x0a")], "what answers there speaks no HTTP"),
    ] {
        let error = get(parts).await.unwrap_err();
        assert!(error.is_no_proxy() && error.to_string().contains(why), "{error}: {why}");
        assert!(error.hint().unwrap().contains("--admin"));
    }
}

#[tokio::test]
async fn a_proxy_that_goes_away_is_not_taken_for_none() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"";
    let slowly = vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "{\"a\""];
    for (parts, why) in [
        (vec![], "closed before the whole answer"),
        (vec![raw("HTTP/1.1 200 OK\r\ncontent-le")], "closed before the whole answer"),
        (vec![raw(begun)], "end of file before message length reached"),
        (vec![Part::Hang], "no answer within 0.15 s"),
        (vec![raw("HTTP/1.1 200 OK\r\ncontent-le"), Part::Hang], "no answer within 0.15 s"),
        (vec![raw(begun), Part::Hang], "its answer stopped for 0.15 s"),
        (vec![Part::Drip(slowly, SOON / 5), Part::Hang], "its answer stopped for 0.15 s"),
    ] {
        let error = get(parts).await.unwrap_err();
        assert!(!error.is_no_proxy() && error.to_string().contains(why), "{error}: {why}");
        assert_eq!(error.code(), "lost");
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_while_it_moves() {
    let pieces = vec!["HTTP/1.1 200 OK\r\n", "content-length: 8\r\n\r\n", "{", "\"a\"", ": ", "1}"];
    assert_eq!(get(vec![Part::Drip(pieces, SOON / 3)]).await.unwrap(), json!({"a": 1}));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
    assert_eq!(get(vec![raw(chunked)]).await.unwrap(), json!([1, 2]));
    assert_eq!(get(vec![raw("HTTP/1.1 204 No Content\r\n\r\n")]).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk: &'static str = Box::leak(format!("100000\r\n{}\r\n", "x".repeat(1 << 20)).into_boxed_str());
    let (mut client, play) = played(vec![raw(head), Part::Flood(chunk)]).await;
    client.largest = 8 << 20;
    let error = client.get::<Value>("/api/logs").await.unwrap_err();
    assert!(error.to_string().ends_with("its answer is larger than 8 MiB"), "{error}");
    play.await.expect("whoever floods us notices that we are gone");
    let error = get(vec![raw("HTTP/1.1 200 OK\r\n"), Part::Flood("x-more: of the same\r\n")]).await.unwrap_err();
    assert!(error.is_no_proxy(), "{error}");
}

#[tokio::test]
async fn a_refusal_is_the_proxys_own_words() {
    let body = r#"{"error":{"code":"unauthorized","message":"a token is needed","hint":"log in","novel":1}}"#;
    let error = get(vec![answer("401 Unauthorized", body)]).await.unwrap_err();
    let ClientError::Refused { status, .. } = &error else { panic!("{error}") };
    assert_eq!((status.as_u16(), error.code(), error.is_no_proxy()), (401, "unauthorized", false));
    assert_eq!(error.to_string(), "a token is needed");
    assert!(error.hint().unwrap().contains(TOKEN_VARIABLE), "{:?}", error.hint());
    let body = r#"{"error":{"code":"conflict","message":"it changed","hint":"look again"}}"#;
    let error = get(vec![answer("409 Conflict", body)]).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().as_deref()), ("it changed", Some("look again")));
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_without_the_token() {
    let (mut client, _play) = played(vec![]).await;
    assert_eq!(client.get::<Value>("/api/a b").await.unwrap_err().code(), "invalid");
    client.target.token = Some(Secret::new("hunter2\n"));
    let error = client.get::<Value>("/api/status").await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("invalid", "the token cannot stand in a header"));
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = AdminClient::new(Target::parse(&listener.local_addr().unwrap().to_string(), "").unwrap());
    let call = tokio::spawn(async move { client.get::<Value>("/api/status").await });
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut asked = [0; 4096];
    assert!(socket.read(&mut asked).await.unwrap() > 0);
    call.abort();
    assert_eq!(timeout(ANSWER_WITHIN / 2, socket.read(&mut asked)).await.unwrap().unwrap(), 0);
}

mod events {
    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

    async fn attached(mut parts: Vec<Part>) -> Result<(EventStream, JoinHandle<String>), ClientError> {
        parts.insert(0, raw(HEAD));
        let (client, play) = played(parts).await;
        Ok((client.events(Some("3-7")).await?, play))
    }

    #[tokio::test]
    async fn come_whole_however_they_are_cut() {
        let pieces =
            vec![": hello\n", "\nevent: missed\nda", "ta: {\"events\":1}\n", "\nid: 3-8\nevent: missed\ndata: {}\n\n"];
        let (mut stream, play) = attached(vec![Part::Drip(pieces, SOON / 10)]).await.unwrap();
        let first = stream.next().await.unwrap();
        assert!(matches!(first.event, Event::Missed(missed) if missed.events == Some(1)), "{first:?}");
        assert_eq!(stream.next().await.unwrap().id.as_deref(), Some("3-8"));
        let error = stream.next().await.unwrap_err();
        assert!(error.to_string().ends_with("broke: it ended") && !error.is_no_proxy(), "{error}");
        assert!(play.await.unwrap().contains("\r\nlast-event-id: 3-7\r\n"));
    }

    #[tokio::test]
    async fn nothing_is_lost_when_the_wait_for_one_is_dropped() {
        let pieces = vec!["event: missed\n", "data: {}", "\n\n"];
        let (mut stream, _play) = attached(vec![Part::Drip(pieces, SOON / 3), Part::Hang]).await.unwrap();
        let pushed = loop {
            if let Ok(pushed) = timeout(SOON / 10, stream.next()).await {
                break pushed.unwrap();
            }
        };
        assert!(matches!(pushed.event, Event::Missed(_)));
    }

    #[tokio::test]
    async fn an_event_without_an_end_and_silence_are_noticed() {
        let (mut stream, _play) = attached(vec![Part::Flood("data: more and more of it\n")]).await.unwrap();
        assert!(stream.next().await.unwrap_err().to_string().contains("does not end"));
        let (mut stream, _play) = attached(vec![Part::Hang]).await.unwrap();
        stream.hush();
        assert!(stream.next().await.unwrap_err().to_string().contains("silent for 15 s"));
    }

    #[tokio::test]
    async fn only_events_are_an_event_stream() {
        for (parts, code) in [
            (vec![answer("200 OK\r\ncontent-type: text/html", "<html>")], "no_proxy"),
            (vec![answer("404 Not Found", "")], "no_proxy"),
            (vec![answer("401 Unauthorized", r#"{"error":{"code":"unauthorized","message":"no"}}"#)], "unauthorized"),
            (vec![], "lost"),
        ] {
            let (client, _play) = played(parts).await;
            assert_eq!(client.events(None).await.unwrap_err().code(), code);
        }
    }
}

#[test]
fn a_name_is_one_segment_of_a_path() {
    assert_eq!(encoded("my mirror/名?#%"), "my%20mirror%2F%E5%90%8D%3F%23%25");
    assert_eq!(encoded("a-b_c.d~9"), "a-b_c.d~9");
}
