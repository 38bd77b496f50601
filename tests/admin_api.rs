//! What the admin API tells, against the real program with traffic behind it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::admin::Admin;
use crate::support::proxy::{Config, Endpoint, KEY, Proxy};
use crate::support::{Gate, Part, Reply, Request, Upstream, answering, bodies, eventually, healthy, ms};

/// Two endpoints, the first of which is limited once; a stream, a refusal and a failover have passed.
struct Scene {
    proxy: Proxy,
    admin: Admin,
    _upstreams: [Upstream; 2],
}

impl Scene {
    async fn new() -> Self {
        let alpha = Upstream::new("alpha")
            .then(Reply::status(529))
            .then(Reply::stream(bodies::events(&["Hello", " there"])))
            .then(Reply::error(400, "invalid_request_error", "no"))
            .start()
            .await
            .unwrap();
        let beta = healthy("beta").await;
        let proxy = Config::in_order([&alpha, &beta]).set("health.min_failures", "9").admin().start().await;
        let admin = proxy.admin().await;
        let scene = Self { proxy, admin, _upstreams: [alpha, beta] };
        // Limited without a time to rest, alpha is asked again for the next one.
        for (request, status) in [(Request::message(), 200), (Request::stream(), 200), (Request::message(), 400)] {
            assert_eq!(scene.proxy.send(&request.session("s-1")).await.status(), status);
        }
        scene.admin.until("/api/status", |status| status["totals"]["requests"] == 3).await;
        scene
    }
}

#[tokio::test]
async fn status_shows_the_running_program_on_one_screen() {
    let scene = Scene::new().await;
    assert_eq!(scene.proxy.send(&Request::get("/nothing")).await.status(), 404);
    let status = scene.admin.json("/api/status").await;
    let totals = &status["totals"];
    assert_eq!((&totals["complete"], &totals["relayed_error"], &totals["failed"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!((&totals["failovers"], &totals["refused"]), (&1.into(), &1.into()));
    assert_eq!(totals["tokens"]["output"], 68, "two answers of 34 tokens");
    assert!(totals["duration"]["p50_ms"].is_u64() && totals["first_byte"]["p95_ms"].is_u64(), "{totals}");
    assert_eq!(status["pid"], scene.proxy.pid());
    assert_eq!(status["listen"], scene.proxy.address().to_string());
    assert_eq!(status["admin"], scene.admin.address.to_string());
    assert_eq!((&status["in_flight"], &status["log"]["written"]), (&0.into(), &3.into()));
    assert_eq!(status["endpoints"]["degraded"], 1, "alpha failed once: {}", status["endpoints"]);
    let folder = scene.proxy.folder();
    assert_eq!(status["config"]["file"], folder.join("config.yaml").display().to_string());
    assert_eq!(status["config"]["refused"], Value::Null);
}

/// The records know those requests by the ids that their clients saw, which are the answering endpoint's.
#[tokio::test]
async fn the_requests_behind_a_state_can_be_looked_up_whoever_named_them() {
    let limited = Reply::status(429).header("request-id", "req_alpha");
    let alpha = Upstream::new("alpha").then(Reply::status(500)).always(limited).start().await.unwrap();
    let good = Reply::message("Hello there").header("request-id", "req_beta");
    let beta = Upstream::new("beta").then(good).always(Reply::status(500)).start().await.unwrap();
    let proxy = Config::in_order([&alpha, &beta]).set("health.min_failures", "9").admin().start().await;
    let admin = proxy.admin().await;
    for (status, id) in [(200, "req_beta"), (429, "req_alpha")] {
        let answer = proxy.send(&Request::message()).await;
        assert_eq!((answer.status(), answer.request_id()), (status, id));
        proxy.record(&answer).await;
    }
    assert_eq!(admin.endpoint("alpha").await["causes"], serde_json::json!(["req_beta", "req_alpha"]));
    assert_eq!(admin.endpoint("beta").await["causes"], serde_json::json!(["req_alpha"]));
    proxy.says("req_alpha: POST /v1/messages").await;
}

#[tokio::test]
async fn an_endpoint_tells_its_state_why_and_which_requests_were_behind_it() {
    let scene = Scene::new().await;
    let (alpha, beta) = (scene.admin.endpoint("alpha").await, scene.admin.endpoint("beta").await);
    assert_eq!((&alpha["state"], &beta["state"]), (&"degraded".into(), &"up".into()));
    assert!(alpha["reason"].as_str().unwrap().contains("529"), "{alpha:#}");
    let records = scene.proxy.records();
    assert_eq!(alpha["causes"], serde_json::json!([records[0]["id"]]), "{alpha:#}");
    assert_eq!((&alpha["succeeded"], &alpha["failed"], &beta["succeeded"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&alpha["window_ok"], &alpha["window_failed"]), (&1.into(), &1.into()));
    assert_eq!(alpha["auth_value"], "sk-…-key");
    assert_eq!(
        (&alpha["auth_type"], &alpha["enabled"], &alpha["priority"]),
        (&"api_key".into(), &true.into(), &1.into())
    );
    assert_eq!(alpha["recent"].as_array().unwrap().len(), 2);
    assert_eq!((&beta["reason"], &beta["recent"][0]["ok"]), (&Value::Null, &true.into()));
}

#[tokio::test]
async fn an_endpoint_that_is_down_tells_when_it_is_looked_at_again_and_reset_makes_it_up() {
    let alpha = answering("alpha", Reply::status(500)).await;
    let beta = healthy("beta").await;
    let proxy = Config::in_order([&alpha, &beta]).admin().start().await;
    let admin = proxy.admin().await;
    for _ in 0..3 {
        proxy.send(&Request::message()).await;
    }
    let down = admin.endpoint("alpha").await;
    assert_eq!((&down["state"], down["causes"].as_array().unwrap().len()), (&"down".into(), 2), "{down:#}");
    assert!(down["next_probe"].is_string() && down["since"].is_string());
    let failed = |list: &Value| list["endpoints"][0]["window_failed"] == 2;
    admin.until("/api/endpoints", failed).await;
    let up = admin.change("POST", "/api/endpoints/alpha/reset", &Value::Null).await;
    assert_eq!(up["window_failed"], 0, "what no longer counts is not shown as if it did");
    assert_eq!((&up["name"], &up["state"], &up["next_probe"]), (&"alpha".into(), &"up".into(), &Value::Null));
    proxy.send(&Request::message()).await;
    assert_eq!(alpha.hits(), 3, "it is asked again");
    let unknown = admin.send("POST", "/api/endpoints/nobody/reset", None).await;
    assert_eq!((unknown.status(), &unknown.json()["error"]["code"]), (404, &"not_found".into()));
}

#[tokio::test]
async fn a_request_under_way_is_shown_until_it_ends() {
    let gate = Gate::default();
    let held = Reply::stream(bodies::events(&["Hello"])).cut_after(4, Part::Gate(gate.clone()));
    let alpha = answering("alpha", held).await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let mut answer = proxy.client().open(&Request::stream().session("s-7")).await;
    answer.event().await;
    let status = admin.until("/api/status", |status| status["running"][0]["phase"] == "streaming").await;
    let running = &status["running"][0];
    assert_eq!((&running["session"], &running["endpoint"]), (&"s-7".into(), &"alpha".into()));
    assert_eq!((&running["path"], &running["stream"]), (&"/v1/messages".into(), &true.into()));
    assert!(running["bytes"].as_u64().unwrap() > 0 && status["in_flight"] == 1);
    assert_eq!(admin.endpoint("alpha").await["in_flight"], 1);
    gate.open();
    answer.finish().await;
    admin.until("/api/status", |status| status["in_flight"] == 0 && status["running"] == serde_json::json!([])).await;
}

#[tokio::test]
async fn sums_over_time_add_up_to_what_passed() {
    let scene = Scene::new().await;
    let stats = scene.admin.json("/api/stats?range=10m&step=1m").await;
    let total = &stats["total"];
    assert_eq!((&total["requests"], &total["complete"], &total["relayed_error"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!((&total["failovers"], &total["tokens"]["output"]), (&1.into(), &68.into()));
    assert_eq!(total["endpoints"]["beta"], serde_json::json!({"ok": 1, "failed": 0}));
    assert_eq!(total["endpoints"]["alpha"]["failed"], 1);
    let steps = stats["steps"].as_array().unwrap();
    assert!((10..=11).contains(&steps.len()) && stats["step_s"] == 60, "{} steps", steps.len());
    for key in ["requests", "complete", "failovers"] {
        let sum: u64 = steps.iter().map(|step| step[key].as_u64().unwrap()).sum();
        assert_eq!(sum, total[key].as_u64().unwrap(), "{key}");
    }
    assert_eq!(stats["models"], serde_json::json!([bodies::MODEL]));
    let wrong = scene.admin.get("/api/stats?range=soon").await;
    assert_eq!((wrong.status(), &wrong.json()["error"]["field"]), (400, &"range".into()));
}

/// The value of a series in Prometheus' text.
fn series(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn metrics_are_figures_that_prometheus_reads() {
    let scene = Scene::new().await;
    let answer = scene.admin.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    for (name, value) in [
        (r#"claude_proxy_requests_total{endpoint="alpha",ending="complete"}"#, 1.0),
        (r#"claude_proxy_requests_total{endpoint="beta",ending="complete"}"#, 1.0),
        (r#"claude_proxy_requests_total{endpoint="alpha",ending="relayed_error"}"#, 1.0),
        (r#"claude_proxy_attempts_total{endpoint="alpha",fault="limited"}"#, 1.0),
        (r#"claude_proxy_attempts_total{endpoint="beta",fault="none"}"#, 1.0),
        (r#"claude_proxy_tokens_total{endpoint="alpha",kind="output"}"#, 34.0),
        (r#"claude_proxy_first_byte_seconds_count{endpoint="alpha",stream="true"}"#, 1.0),
        (r#"claude_proxy_duration_seconds_bucket{endpoint="beta",stream="false",le="+Inf"}"#, 1.0),
        (r#"claude_proxy_endpoint_up{endpoint="alpha"}"#, 1.0),
        (r#"claude_proxy_endpoint_state{endpoint="alpha",state="degraded"}"#, 1.0),
        ("claude_proxy_failovers_total", 1.0),
        ("claude_proxy_in_flight", 0.0),
        ("claude_proxy_log_dropped_total", 0.0),
        ("claude_proxy_log_written_total", 3.0),
        ("claude_proxy_config_refused", 0.0),
    ] {
        assert_eq!(series(text, name), Some(value), "{name}\n{text}");
    }
    let mut typed = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap()), "told twice: {line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(typed.contains(base) || typed.contains(name), "{line} has no type before it");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[tokio::test]
async fn the_settings_in_force_are_shown_masked() {
    let scene = Scene::new().await;
    let shown = scene.admin.json("/api/config").await;
    assert_eq!(shown["config"]["health"]["min_failures"], 9);
    assert_eq!(shown["config"]["timeouts"]["first_byte"], "1m", "defaults are filled in: {shown:#}");
    assert_eq!(shown["config"]["endpoints"][0]["auth_value"], "sk-…-key");
    assert!(!shown.to_string().contains(KEY));
    assert_eq!(shown["standing"]["revision"], scene.admin.json("/api/endpoints").await["revision"]);
}

#[tokio::test]
async fn a_supervisor_is_told_whether_it_lives_and_is_ready() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([Endpoint::of(&alpha)]).admin().start().await;
    let admin = proxy.admin().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(admin.get(path).await.status(), 200, "{path}");
    }
    admin.change("POST", "/api/endpoints/alpha/disable", &Value::Null).await;
    let unready = admin.get("/readyz").await;
    assert_eq!((admin.get("/healthz").await.status(), unready.status()), (200, 503));
    assert!(unready.text().contains("disabled"));
}

#[tokio::test]
async fn a_path_or_a_method_that_is_not_there_is_told_as_everything_else() {
    let scene = Scene::new().await;
    for (method, path, status, code) in [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/endpoints/alpha", 405, "method_not_allowed"),
        ("PUT", "/api/endpoints", 405, "method_not_allowed"),
        ("POST", "/api/status", 405, "method_not_allowed"),
        ("GET", "/v1/messages", 404, "not_found"),
        ("GET", "/page/../../etc/passwd", 404, "not_found"),
        ("OPTIONS", "/api/endpoints", 405, "method_not_allowed"),
    ] {
        let answer = scene.admin.send(method, path, None).await;
        let problem = answer.json();
        assert_eq!((answer.status(), problem["error"]["code"].as_str()), (status, Some(code)), "{method} {path}");
        assert!(problem["error"]["message"].is_string() && problem["error"]["hint"].is_string(), "{problem}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    let head = scene.admin.send("HEAD", "/api/status", None).await;
    assert_eq!((head.status(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_full_event_ring_and_many_records_leave_status_quick() {
    let scene = Scene::new().await;
    let client = scene.proxy.client();
    for _ in 0..10 {
        let sends = (0..20).map(|_| tokio::spawn(async move { client.send(&Request::message()).await.status() }));
        for send in sends.collect::<Vec<_>>() {
            assert_eq!(send.await.unwrap(), 200);
        }
    }
    let answer = scene.admin.get("/api/status").await;
    assert!(answer.took < ms(500), "{:?}", answer.took);
    eventually("all are written", || scene.proxy.records().len() == 203).await;
}
