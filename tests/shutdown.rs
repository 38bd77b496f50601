//! The end: what is in flight finishes, what is new is turned away.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::program::program;
use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::{End, Gate, Part, Reply, Request, answering, assert_right, bodies, eventually, healthy, ms};

async fn refuses(proxy: &Proxy) {
    let address = proxy.address();
    let mut refused = false;
    for _ in 0..500 {
        refused = TcpStream::connect(address).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(ms(10)).await;
    }
    assert!(refused, "new connections are refused");
}

#[tokio::test]
async fn an_idle_proxy_ends_at_once() {
    let alpha = healthy("alpha").await;
    for signal in ["TERM", "INT"] {
        let mut proxy = Proxy::over([&alpha]).await;
        let (answer, _idle) = proxy.client().open(&Request::message()).await.finish_keeping().await;
        assert_right(&answer, false, "alpha");
        let start = claude_proxy::clock::now();
        proxy.signal(signal).await;
        assert_eq!(proxy.exit().await.code(), Some(0));
        assert!(start.elapsed() < Duration::from_secs(3), "an idle connection holds nothing up");
        assert_eq!(proxy.records().len(), 1, "the log is complete");
    }
}

#[tokio::test]
async fn half_a_request_holds_nothing_up() {
    let alpha = healthy("alpha").await;
    let mut proxy = Proxy::over([&alpha]).await;
    let half = b"POST /v1/messages HTTP/1.1\r\nHost: loc";
    let mut first = proxy.client().connect().await;
    first.write(half).await;
    let (answer, mut second) = proxy.client().open(&Request::message()).await.finish_keeping().await;
    second.write(half).await;
    assert_right(&answer, false, "alpha");
    // Later than the halves above on the proxy's one thread.
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    let start = claude_proxy::clock::now();
    proxy.signal("TERM").await;
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(first.rest().await, "");
}

#[tokio::test]
async fn a_request_whose_body_is_on_its_way_up_is_finished() {
    let alpha = healthy("alpha").await;
    let mut proxy = Proxy::over([&alpha]).await;
    let request = Request::message();
    let mut whole = request.head("localhost").into_bytes();
    whole.extend_from_slice(&request.body);
    let mut connection = proxy.client().connect().await;
    connection.write(&whole[..whole.len() - 5]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    proxy.signal("TERM").await;
    refuses(&proxy).await;
    connection.write(&whole[whole.len() - 5..]).await;
    let answer = connection.answer(claude_proxy::clock::now(), false).await.finish().await;
    assert_right(&answer, false, "alpha");
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_stream_in_flight_is_finished() {
    let gate = Gate::default();
    let events = bodies::events(&["Hello", " there"]);
    let reply = Reply::stream(events.clone()).cut_after(4, Part::Gate(gate.clone()));
    let alpha = answering("alpha", reply.part(Part::Bytes(events[4..].concat().into()))).await;
    let mut proxy = Proxy::over([&alpha]).await;
    let mut answer = proxy.client().open(&Request::stream()).await;
    assert_eq!(answer.event().await, Some(bodies::message_start()));
    proxy.signal("TERM").await;
    refuses(&proxy).await;
    gate.open();
    let answer = answer.finish().await;
    assert_eq!((answer.text(), answer.end), (&*events.concat(), End::Clean));
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert_eq!(proxy.records()[0]["ending"], "complete");
}

#[tokio::test]
async fn failover_in_flight_is_finished() {
    let gate = Gate::default();
    let alpha = answering("alpha", Reply::status(500).lead(Part::Gate(gate.clone()))).await;
    let beta = healthy("beta").await;
    let mut proxy = Proxy::over([&alpha, &beta]).await;
    let client = proxy.client();
    let asking = tokio::spawn(async move { client.send(&Request::message()).await });
    eventually("alpha is asked", || alpha.hits() == 1).await;
    proxy.signal("INT").await;
    refuses(&proxy).await;
    gate.open();
    assert_right(&asking.await.unwrap(), false, "beta");
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn grace_has_an_end() {
    let alpha = answering("alpha", Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Hang)).await;
    let mut proxy = Config::in_order([&alpha]).set("server.shutdown_grace", "500ms").start().await;
    let mut answer = proxy.client().open(&Request::stream()).await;
    assert!(answer.event().await.is_some());
    let start = claude_proxy::clock::now();
    proxy.signal("TERM").await;
    assert_eq!(proxy.exit().await.code(), Some(0));
    let took = start.elapsed();
    assert!(took > ms(400) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(answer.finish().await.end, End::Cut, "an unfinished answer must not look whole");
    let records = proxy.records();
    assert_eq!((records.len(), records[0]["ending"].as_str()), (1, Some("cut")), "{records:?}");
}

/// To a client of HTTP/1.0 the end of the connection ends the answer, so only a reset can tell it of a cut.
#[tokio::test]
async fn an_old_client_does_not_take_the_end_of_grace_for_the_end_of_its_answer() {
    let alpha = answering("alpha", Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Hang)).await;
    let mut proxy = Config::in_order([&alpha]).set("server.shutdown_grace", "100ms").start().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let head = Request::stream().head(&proxy.address().to_string()).replace("HTTP/1.1", "HTTP/1.0");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&Request::stream().body).await.unwrap();
    let mut answer = [0; 1000];
    assert!(stream.read(&mut answer).await.is_ok_and(|length| length > 0));
    proxy.signal("TERM").await;
    let rest = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert_eq!(proxy.records()[0]["ending"], "cut");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let alpha = answering("alpha", Reply::silence()).await;
    let mut proxy = Proxy::over([&alpha]).await;
    let mut connection = proxy.client().connect().await;
    connection.send(&Request::message()).await;
    eventually("alpha is asked", || alpha.hits() == 1).await;
    proxy.signal("TERM").await;
    refuses(&proxy).await;
    let start = claude_proxy::clock::now();
    proxy.signal("TERM").await;
    proxy.exit().await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// Names are looked up by the C library, in threads that nobody can stop; here it waits for a file without end.
#[tokio::test]
async fn a_name_lookup_that_hangs_holds_no_end_up() {
    let config = Config::of([Endpoint::at("alpha", "http://nowhere")]).set("health.check_timeout", "300ms");
    let config = config.set("server.shutdown_grace", "300ms").set("timeouts.connect", "300ms");
    let folder = config.folder();
    let aliases = folder.path().join("aliases").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&aliases).status().unwrap().success());
    let mut proxy = config.start_with(&[("HOSTALIASES", aliases.as_str())]).await;
    proxy.send(&Request::message()).await;
    let start = claude_proxy::clock::now();
    proxy.signal("TERM").await;
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(3));

    let mut check = tokio::process::Command::from(program(folder.path(), &["check"]));
    let mut check = check.env("HOSTALIASES", &aliases).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let ended = timeout(Duration::from_secs(10), check.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(1));
}

#[tokio::test]
async fn the_log_survives_a_kill() {
    let alpha = healthy("alpha").await;
    let mut proxy = Proxy::over([&alpha]).await;
    for _ in 0..3 {
        let answer = proxy.send(&Request::message()).await;
        proxy.record(&answer).await;
    }
    proxy.signal("KILL").await;
    proxy.exit().await;
    assert_eq!(proxy.records().len(), 3);
    // A half-written line, as a crash may leave it.
    let log = std::fs::read_dir(proxy.folder().join("logs")).unwrap().next().unwrap().unwrap().path();
    let mut text = std::fs::read_to_string(&log).unwrap();
    text.push_str("{\"v\":1,\"id\":\"half");
    std::fs::write(&log, &text).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    std::fs::copy(&log, folder.path().join("logs").join(log.file_name().unwrap())).unwrap();
    std::fs::copy(proxy.folder().join("config.yaml"), folder.path().join("config.yaml")).unwrap();
    let again = Proxy::start(folder, &[]).await;
    let answer = again.send(&Request::message()).await;
    assert_right(&answer, false, "alpha");
    let id = answer.request_id().to_owned();
    let whole = |text: &str| {
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect::<Vec<_>>()
    };
    eventually("the new line parses", || whole(&again.log_text()).iter().any(|record| record["id"] == *id)).await;
    assert_eq!(whole(&again.log_text()).len(), 4);
}
