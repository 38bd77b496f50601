//! The request log: its fields, what it keeps, and that no credential is in it.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::proxy::{Config, Endpoint, Proxy, tried};
use crate::support::{Part, Reply, Request, answering, bodies, eventually, healthy, ms, right_body};

#[tokio::test]
async fn a_stream_is_recorded_with_all_its_fields() {
    let (alpha, beta) = (answering("alpha", Reply::status(529)).await, healthy("beta").await);
    let proxy = Config::in_order([&alpha, &beta]).set("logging.log_response_body", "full").start().await;
    let request = Request::stream().session("session-7").header("X-Claude-Code-Agent-Id", "agent-1");
    let answer = proxy.send(&request).await;
    let record = proxy.record(&answer).await;
    assert_eq!(record["v"], 1);
    assert_eq!((&record["method"], &record["path"]), (&json!("POST"), &json!("/v1/messages?beta=true")));
    assert_eq!(
        (&record["model"], &record["stream"], &record["session"]),
        (&json!(bodies::MODEL), &json!(true), &json!("session-7"))
    );
    assert_eq!(
        (&record["status"], &record["ending"], &record["endpoint"]),
        (&json!(200), &json!("complete"), &json!("beta"))
    );
    assert!(record["duration_ms"].is_u64() && record["first_byte_ms"].is_u64(), "{record}");
    assert_eq!(record["usage"], json!({"input": 12, "output": 34, "cache_read": 5, "cache_creation": 6}));
    assert_eq!(tried(&record), ["alpha", "beta"]);
    for attempt in record["attempts"].as_array().unwrap() {
        assert!(attempt["started_ms"].is_u64() && attempt["duration_ms"].is_u64(), "{attempt}");
    }
    assert_eq!((&record["attempts"][0]["status"], &record["attempts"][1]["status"]), (&json!(529), &json!(200)));
    assert_eq!(record["request"]["size"], request.body.len());
    assert_eq!(record["request"]["body"], std::str::from_utf8(&request.body).unwrap());
    assert_eq!(record["request"]["headers"]["x-claude-code-agent-id"], "agent-1");
    assert_eq!(record["response"]["body"], right_body(true));
    assert_eq!(
        (&record["response"]["size"], &record["response"]["truncated"]),
        (&json!(right_body(true).len()), &json!(false))
    );
    assert_eq!(record["error"], Value::Null);
    let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().expect("RFC 3339");
    assert!((jiff::Timestamp::now() - time).get_seconds().abs() < 60);
    let fraction = record["time"].as_str().unwrap().split('.').nth(1).expect("milliseconds");
    assert!(fraction.chars().take_while(char::is_ascii_digit).count() == 3, "{}", record["time"]);
}

/// Where the time went: connecting, waiting, and the pauses of the stream.
#[tokio::test]
async fn a_record_tells_when_a_request_went_out_and_when_its_stream_stood_still() {
    let mut events = bodies::events(&["Hello", " there"]).into_iter().map(|event| Part::Bytes(event.into()));
    let begun = events.by_ref().take(4).fold(Reply::stream(Vec::<String>::new()), Reply::part);
    let reply = events.fold(begun.part(Part::Pause(ms(1000))), Reply::part);
    let alpha = answering("alpha", reply).await;
    let nobody = Endpoint::at("nobody", "http://127.0.0.1:9");
    let proxy = Config::in_order([nobody, Endpoint::of(&alpha)]).admin().start().await;
    let record = proxy.record(&proxy.send(&Request::stream()).await).await;
    assert_eq!(record["attempts"][0]["sent_ms"], Value::Null, "there was no connection: {record}");
    let sent = record["attempts"][1]["sent_ms"].as_u64().expect("it went out");
    let timeline: Vec<[u64; 2]> = serde_json::from_value(record["timeline"]["marks"].clone()).unwrap();
    let (first, last) = (timeline[0], timeline[timeline.len() - 1]);
    assert!(record["attempts"][1]["started_ms"].as_u64() <= Some(sent) && sent <= first[0], "{record}");
    assert!(timeline.windows(2).any(|pair| pair[1][0] - pair[0][0] >= 300), "{timeline:?}");
    assert!(last[0] <= record["duration_ms"].as_u64().unwrap() && last[1] == right_body(true).len() as u64);

    let admin = proxy.admin().await;
    let one = admin.json(&format!("/api/logs/{}", record["id"].as_str().unwrap())).await;
    assert_eq!(one["timeline"], record["timeline"]);
    for detail in ["short", "summary"] {
        let page = admin.json(&format!("/api/logs?detail={detail}")).await;
        assert_eq!(page["logs"][0].get("timeline"), None, "lists do without");
    }

    let whole = proxy.record(&proxy.send(&Request::message()).await).await;
    assert_eq!(whole.get("timeline"), None, "what came at once has none");
}

#[tokio::test]
async fn endings_are_told_apart() {
    let broken = Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Pause(ms(20))).part(Part::Close);
    for (reply, request, ending) in [
        (Reply::message("Hi"), Request::message(), "complete"),
        (Reply::status(400), Request::message(), "relayed_error"),
        (Reply::status(500), Request::message(), "failed"),
        (broken, Request::stream(), "cut"),
    ] {
        let alpha = answering("alpha", reply).await;
        let proxy = Proxy::over([&alpha]).await;
        let answer = proxy.send(&request).await;
        let record = proxy.record(&answer).await;
        assert_eq!(record["ending"], ending);
        assert_eq!(record["status"], answer.status());
        assert_eq!(record["endpoint"], "alpha");
        assert_eq!(record["error"].is_string(), ending != "complete", "{record}");
    }
}

#[tokio::test]
async fn bodies_are_cut_at_a_character() {
    let text = "é".repeat(2000);
    let alpha = answering("alpha", Reply::message(&text)).await;
    let proxy = Proxy::over([&alpha]).await;
    let request = Request::messages(&json!({"system": text}));
    let record = proxy.record(&proxy.send(&request).await).await;
    for (side, size) in [("request", request.body.len()), ("response", bodies::message(&text).len())] {
        let body = record[side]["body"].as_str().unwrap();
        assert!((1000..=1024).contains(&body.len()), "{side}: {}", body.len());
        assert!(!body.contains('\u{fffd}'));
        assert_eq!((&record[side]["size"], &record[side]["truncated"]), (&json!(size), &json!(true)), "{side}");
    }
}

#[tokio::test]
async fn bodies_may_be_left_out() {
    let alpha = healthy("alpha").await;
    let config = Config::in_order([&alpha]).set("logging.log_request_body", "none");
    let proxy = config.set("logging.log_response_body", "none").start().await;
    let record = proxy.record(&proxy.send(&Request::message()).await).await;
    assert_eq!((&record["request"]["body"], &record["response"]["body"]), (&Value::Null, &Value::Null));
    assert_eq!(record["response"]["size"], right_body(false).len());
}

#[tokio::test]
async fn bodies_that_are_no_text_are_base64() {
    let bytes: Vec<u8> = (0..=255).collect();
    let alpha = answering("alpha", Reply::new(200, "application/octet-stream", bytes.clone())).await;
    let proxy = Proxy::over([&alpha]).await;
    let record = proxy.record(&proxy.send(&Request::get("/v1/files/f/content")).await).await;
    let body = base64::engine::general_purpose::STANDARD.decode(record["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!((body, &record["response"]["encoding"]), (bytes, &json!("base64")));
}

#[tokio::test]
async fn only_the_wanted_requests_are_kept() {
    for (types, kept) in [
        ("failed", vec!["failed", "relayed_error"]),
        ("success", vec!["complete"]),
        ("all", vec!["complete", "failed", "relayed_error"]),
    ] {
        let alpha = healthy("alpha").await;
        let proxy = Config::in_order([&alpha]).set("logging.log_request_types", types).start().await;
        proxy.send(&Request::message()).await;
        alpha.then(Reply::status(500));
        proxy.send(&Request::message()).await;
        alpha.then(Reply::status(400));
        proxy.send(&Request::message()).await;
        eventually("the records", || proxy.records().len() == kept.len()).await;
        let mut endings: Vec<String> =
            proxy.records().iter().map(|record| record["ending"].as_str().unwrap().to_owned()).collect();
        endings.sort();
        assert_eq!(endings, kept);
    }
}

#[tokio::test]
async fn the_files_are_private_and_come_back_when_removed() {
    use std::os::unix::fs::PermissionsExt as _;
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    proxy.record(&proxy.send(&Request::message()).await).await;
    let logs = proxy.folder().join("logs");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files: Vec<_> = std::fs::read_dir(&logs).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!((mode(&logs), files.len()), (0o700, 1));
    assert_eq!(mode(&files[0]), 0o600);
    let name = files[0].file_name().unwrap().to_str().unwrap();
    let date = name.strip_prefix("requests-").and_then(|rest| rest.strip_suffix(".jsonl")).expect(name);
    assert!(date.parse::<jiff::civil::Date>().is_ok(), "{name}");

    std::fs::remove_file(&files[0]).unwrap();
    proxy.record(&proxy.send(&Request::message()).await).await;
    std::fs::remove_dir_all(&logs).unwrap();
    proxy.record(&proxy.send(&Request::message()).await).await;
    assert_eq!(mode(&logs), 0o700);
}

#[tokio::test]
async fn a_log_folder_that_cannot_be_written_stops_no_request() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    proxy.record(&proxy.send(&Request::message()).await).await;
    let logs = proxy.folder().join("logs");
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "a file in the way").unwrap();
    for _ in 0..3 {
        assert_eq!(proxy.send(&Request::message()).await.status(), 200);
    }
    std::fs::remove_file(&logs).unwrap();
    let answer = proxy.send(&Request::message()).await;
    proxy.record(&answer).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded() {
    let alpha = answering("alpha", Reply::silence()).await;
    let proxy = Proxy::over([&alpha]).await;
    let mut connection = proxy.client().connect().await;
    connection.send(&Request::message()).await;
    eventually("alpha is asked", || alpha.hits() == 1).await;
    drop(connection);
    let record = proxy.record_where("its record", |record| record["ending"] == "client_gone").await;
    assert_eq!((&record["status"], &record["endpoint"]), (&json!(499), &json!("alpha")));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_request_is_no_failure() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    for half in ["Content-Length: 20000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let mut connection = proxy.client().connect().await;
        connection.write(format!("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{half}")).await;
        drop(connection);
    }
    eventually("the records", || proxy.records().len() == 2).await;
    for record in proxy.records() {
        assert_eq!((&record["ending"], &record["status"]), (&json!("client_gone"), &json!(499)), "{record}");
    }
    assert_eq!(alpha.hits(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_large_answer_does_not_count_as_served() {
    let large = "x".repeat(20 << 20);
    let alpha = answering("alpha", Reply::message(&large)).await;
    let proxy = Proxy::over([&alpha]).await;
    let answer = proxy.client().open(&Request::message()).await;
    assert_eq!(answer.status(), 200);
    drop(answer);
    proxy.record_where("its record", |record| record["ending"] == "client_gone").await;
}

/// Its request and the end of its connection come in one read.
#[tokio::test]
async fn a_client_that_asks_and_leaves_at_once_has_its_record() {
    let alpha = healthy("alpha").await;
    let proxy = Proxy::over([&alpha]).await;
    let request = Request::message();
    let bytes = [request.head("localhost").as_bytes(), &request.body].concat();
    for _ in 0..50 {
        let mut connection = std::net::TcpStream::connect(proxy.address()).unwrap();
        std::io::Write::write_all(&mut connection, &bytes).unwrap();
    }
    eventually("fifty records", || proxy.records().len() == 50).await;
}

#[tokio::test]
async fn who_asks_for_debug_sees_every_request_pass() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).set("logging.level", "debug").start().await;
    let answer = proxy.send(&Request::message()).await;
    let line = format!("{}: POST /v1/messages: 200 complete by alpha after ", answer.request_id());
    proxy.says(&line).await;
    let quiet = Config::in_order([&alpha]).start().await;
    let answer = quiet.send(&Request::message()).await;
    quiet.record(&answer).await;
    assert!(!quiet.said().contains(answer.request_id()), "{}", quiet.said());
}
