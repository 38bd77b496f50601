//! Finished requests, asked for over the admin API: filtered, in pages, as a stream, one by one.

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::proxy::{Config, Proxy};
use crate::support::{End, Reply, Request, Upstream, bodies, healthy};

struct Scene {
    proxy: Proxy,
    admin: Admin,
    _upstreams: [Upstream; 2],
}

/// `n` requests in all; every third one is for a stream, the first fails over, and one has a word of its own.
async fn scene(n: usize, config: impl FnOnce(Config) -> Config) -> Scene {
    let alpha = Upstream::new("alpha").then(Reply::status(500)).start().await.unwrap();
    let beta = healthy("beta").await;
    let proxy = config(Config::in_order([&alpha, &beta]).admin()).start().await;
    let admin = proxy.admin().await;
    for i in 0..n {
        let more = json!({"stream": i % 3 == 2, "system": if i == 1 { "the needle 针" } else { "hay" }});
        let session = format!("s-{}", i % 2);
        proxy.send(&Request::messages(&more).session(&session)).await;
    }
    admin.until("/api/status", |status| status["totals"]["requests"] == n).await;
    Scene { proxy, admin, _upstreams: [alpha, beta] }
}

impl Scene {
    async fn ids(&self, query: &str) -> Vec<String> {
        let page = self.admin.json(&format!("/api/logs?{query}")).await;
        let logs = page["logs"].as_array().unwrap();
        logs.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }

    /// All ids, newest first, as the files have them.
    fn all(&self) -> Vec<String> {
        self.proxy.records().iter().rev().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_page_may_begin_behind_a_record_or_a_time() {
    let scene = scene(5, |config| config).await;
    let all = scene.all();
    for (place, id) in all.iter().enumerate() {
        assert_eq!(scene.ids(&format!("before={id}")).await, all[place + 1..]);
        assert_eq!(
            scene.ids(&format!("before={id}&limit=1")).await,
            all[place + 1..].iter().take(1).cloned().collect::<Vec<_>>()
        );
    }
    assert_eq!(scene.ids("before=now").await, all);
    let second = scene.proxy.records()[1]["time"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(scene.ids(&format!("before={second}")).await, all[4..]);
    assert_eq!(scene.ids("before=2026-01-01").await, [""; 0]);
}

#[tokio::test]
async fn every_filter_narrows_and_the_newest_come_first() {
    let scene = scene(9, |config| config).await;
    let all = scene.all();
    assert_eq!(scene.ids("").await, all);
    let oldest_first: Vec<_> = all.iter().rev().cloned().collect();
    let at = |places: &[usize]| places.iter().rev().map(|place| oldest_first[*place].clone()).collect::<Vec<_>>();
    for (query, expected) in [
        ("limit=2", at(&[7, 8])),
        ("endpoint=beta", at(&[0])),
        ("session=s-1", at(&[1, 3, 5, 7])),
        ("status=200", all.clone()),
        ("status=4xx", vec![]),
        ("model=nothing", vec![]),
        ("ending=complete&session=s-1&limit=1", at(&[7])),
        ("q=needle", at(&[1])),
        ("q=%E9%92%88", at(&[1])),
        ("q=attempts%3E1", at(&[0])),
        ("q=stream:true%20session:s-0", at(&[2, 8])),
        ("q=needle%20or%20endpoint:beta", at(&[0, 1])),
        ("from=1h", all.clone()),
        ("to=1h", vec![]),
    ] {
        assert_eq!(scene.ids(query).await, expected, "{query}");
    }
    for (query, field) in [
        ("q=status%3E", "q"),
        ("q=colour:red", "q"),
        ("before=nowhere", "before"),
        ("limit=many", "limit"),
        ("from=whenever", "from"),
        ("detail=everything", "detail"),
    ] {
        let refused = scene.admin.get(&format!("/api/logs?{query}")).await;
        let error = &refused.json()["error"];
        assert_eq!((refused.status(), &error["field"]), (400, &field.into()), "{query}: {error}");
        assert_eq!(error["span"].is_array(), field == "q", "{error}");
    }
    let unknown = scene.admin.get("/api/logs?colour=red").await;
    assert_eq!((unknown.status(), unknown.json()["error"]["code"].as_str()), (400, Some("bad_query")));
}

#[tokio::test]
async fn pages_follow_one_another_without_a_gap() {
    let scene = scene(11, |config| config).await;
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = scene.admin.json(&format!("/api/logs?limit=4&before={before}")).await;
        seen.extend(page["logs"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => before = claude_proxy::client::encoded(next),
            None => break,
        }
        // What comes meanwhile is for the next first page.
        scene.proxy.send(&Request::message()).await;
    }
    assert_eq!(seen.len(), 11);
    assert!(scene.all().ends_with(&seen));
}

/// Memory has it a moment before the file does, and has only the beginnings of its bodies.
#[tokio::test]
async fn a_request_that_is_opened_the_moment_it_is_known_is_whole() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().set("logging.log_request_body", "full").start().await;
    let admin = proxy.admin().await;
    let long = "x".repeat(100_000);
    for _ in 0..10 {
        let answer = proxy.send(&Request::messages(&json!({"system": long}))).await;
        let path = format!("/api/logs/{}", answer.request_id());
        let record = loop {
            let record = admin.get(&path).await;
            if record.status() == 200 {
                break record.json();
            }
        };
        assert_eq!(
            record["request"]["truncated"],
            false,
            "{} of its bytes",
            record["request"]["body"].as_str().unwrap().len()
        );
    }
}

#[tokio::test]
async fn a_record_is_whole_by_its_id_and_as_short_as_asked_in_pages() {
    let long = "long ".repeat(1000);
    let whole =
        move |config: Config| config.set("logging.log_request_body", "full").set("logging.log_response_body", "full");
    let scene = scene(0, whole).await;
    let request = Request::messages(&json!({"system": long, "stream": true}));
    let answer = scene.proxy.send(&request).await;
    scene.proxy.record(&answer).await;
    let one = scene.admin.json(&format!("/api/logs/{}", answer.request_id())).await;
    assert_eq!(one["request"]["body"].as_str().unwrap().as_bytes(), request.body);
    assert_eq!(one["response"]["body"], crate::support::right_body(true));
    assert_eq!((&one["attempts"][0]["endpoint"], &one["attempts"][1]["endpoint"]), (&"alpha".into(), &"beta".into()));
    let short = &scene.admin.json("/api/logs").await["logs"][0];
    let body = short["request"]["body"].as_str().unwrap();
    assert!(body.len() <= 1024 && request.body.starts_with(body.as_bytes()), "{}", body.len());
    assert_eq!((&short["request"]["truncated"], &short["request"]["size"]), (&true.into(), &request.body.len().into()));
    let summary = &scene.admin.json("/api/logs?detail=summary").await["logs"][0];
    assert_eq!((&summary["request"]["body"], &summary["request"]["headers"]), (&Value::Null, &json!({})));
    assert_eq!((&summary["id"], &summary["usage"]["output"]), (&one["id"], &34.into()));
    let missing = scene.admin.get("/api/logs/req_nothing").await;
    assert_eq!((missing.status(), missing.json()["error"]["code"].as_str()), (404, Some("not_found")));
    assert!(missing.json()["error"]["hint"].is_string());
}

#[tokio::test]
async fn hits_come_as_lines_when_a_stream_is_asked_for() {
    let scene = scene(7, |config| config).await;
    let ask = |query: &str| {
        let mut request = Request::get(&format!("/api/logs?{query}"));
        request.headers.retain(|(name, _)| name != "Accept");
        request.header("Accept", "application/x-ndjson")
    };
    let answer = scene.admin.client().send(&ask("q=session:s-0")).await;
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("application/x-ndjson")));
    assert_eq!((answer.end, answer.header("transfer-encoding")), (End::Clean, Some("chunked")));
    let ids: Vec<_> =
        answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(json!(ids), json!(scene.ids("session=s-0").await));
    assert_eq!(scene.admin.client().send(&ask("q=nothing-like-it")).await.text(), "");
    let refused = scene.admin.client().send(&ask("q=status%3E")).await;
    assert_eq!((refused.status(), refused.header("content-type")), (400, Some("application/json")));
}

#[tokio::test]
async fn what_the_files_leave_out_is_shown_as_long_as_memory_has_it() {
    let scene = scene(4, |config| config.set("logging.log_request_types", "failed")).await;
    assert_eq!(scene.proxy.records().len(), 0);
    let page = scene.admin.json("/api/logs").await;
    let logs = page["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 4);
    let id = logs[3]["id"].as_str().unwrap();
    let one = scene.admin.json(&format!("/api/logs/{id}")).await;
    assert_eq!((&one["endpoint"], &one["model"]), (&"beta".into(), &bodies::MODEL.into()));
    assert_eq!(scene.admin.json("/api/stats").await["total"]["requests"], 4);
}
