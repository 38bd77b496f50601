//! Who may use the admin API, what it refuses, and what no answer of it ever shows.

use std::time::Duration;

use claude_proxy::clock;
use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::client::Answer;
use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::{PATIENCE, Reply, Request, Upstream, bodies, eventually, healthy, ms};

const TOKEN: &str = "operators-token-4711";

async fn guarded() -> (Proxy, Admin, Upstream) {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().set("web_admin.auth_token", TOKEN).start().await;
    let admin = proxy.admin().await;
    (proxy, admin, alpha)
}

/// The status and the code of a refusal, which has every header and says what to do.
fn refusal(answer: &Answer) -> (u16, String) {
    assert_safe(answer);
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    (answer.status(), error["code"].as_str().unwrap_or_default().to_owned())
}

fn assert_safe(answer: &Answer) {
    let policy = answer.header("content-security-policy").expect("every answer has a policy");
    for part in
        ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert!(answer.header("cache-control").is_some());
    assert!(answer.head.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{:?}", answer.head);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_a_browser_safe() {
    let (_proxy, admin, _alpha) = guarded().await;
    let known = admin.clone().with_token(TOKEN);
    let paths = ["/", "/api/status", "/api/openapi.json", "/metrics", "/healthz", "/readyz", "/nothing", "/api/logs"];
    for path in paths {
        for origin in ["https://evil.example", "null"] {
            assert_safe(&known.get(path).await);
            assert_safe(&admin.get(path).await);
            let asked = known.request("OPTIONS", path, None).header("Origin", origin);
            assert_safe(&admin.client().send(&asked.header("Access-Control-Request-Method", "POST")).await);
        }
    }
    let events = admin.client().open(&known.request("GET", "/api/events", None)).await;
    assert!(events.head.header("content-security-policy").is_some());
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_not_answered() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let port = admin.address.port();
    for (host, status) in [
        (format!("evil.example:{port}"), 403),
        ("evil.example".to_owned(), 403),
        (format!("127.0.0.1.evil.example:{port}"), 403),
        (format!("localhost.evil.example:{port}"), 403),
        (format!("evil.example@127.0.0.1:{port}"), 403),
        ("0.0.0.0".to_owned(), 403),
        (format!("10.0.0.1:{port}"), 403),
        (String::new(), 403),
        (format!("localhost:{port}"), 200),
        ("localhost".to_owned(), 200),
        ("[::1]:9".to_owned(), 200),
    ] {
        for path in ["/", "/api/status", "/healthz", "/nothing"] {
            let answer = admin.client().send(&Request::get(path).header("Host", &host)).await;
            let expected = if status == 200 && path == "/nothing" { 404 } else { status };
            assert_eq!(answer.status(), expected, "{host} {path}");
            if status == 403 {
                assert_eq!(refusal(&answer), (403, "forbidden".into()), "before any route");
            }
        }
    }
    let request =
        Request::new("POST", "/api/endpoints/alpha/disable", "").header("Host", &format!("evil.example:{port}"));
    assert_eq!(admin.client().send(&request).await.status(), 403);
    assert_eq!(admin.endpoint("alpha").await["enabled"], true);
    // By the target, where the header is right.
    let mut wire = admin.client().connect().await;
    wire.write(format!(
        "GET http://evil.example/api/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        admin.address
    ))
    .await;
    assert!(wire.rest().await.starts_with(b"HTTP/1.1 403 "));
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        let mut wire = admin.client().connect().await;
        wire.write(format!("GET /api/status HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await;
        assert!(wire.rest().await.starts_with(b"HTTP/1.1 400 "), "{hosts}");
    }
}

#[tokio::test]
async fn another_page_changes_nothing() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let own = format!("http://{}", admin.address);
    let foreign: [&[(&str, &str)]; 6] = [
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:3000")],
        &[("Origin", "http://localhost")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", &own)],
    ];
    let file = std::fs::read_to_string(proxy.folder().join("config.yaml")).unwrap();
    for headers in foreign {
        for (method, path, body) in [
            ("POST", "/api/endpoints/alpha/disable", None),
            ("POST", "/api/endpoints/alpha/test", None),
            ("POST", "/api/endpoints/alpha/reset", None),
            ("POST", "/api/config/reload", None),
            ("POST", "/api/login", Some(json!({"token": ""}))),
            ("PATCH", "/api/endpoints/alpha", Some(json!({"url": "https://evil.example"}))),
            ("DELETE", "/api/endpoints/alpha", None),
            (
                "POST",
                "/api/endpoints",
                Some(json!({"name": "x", "url": "https://x.example", "auth_type": "passthrough"})),
            ),
        ] {
            let request = admin.request(method, path, body.as_ref());
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            assert_eq!(refusal(&admin.client().send(&request).await), (403, "forbidden".into()), "{headers:?} {path}");
        }
    }
    assert_eq!(alpha.hits(), 0);
    assert_eq!(std::fs::read_to_string(proxy.folder().join("config.yaml")).unwrap(), file);
    for headers in [vec![], vec![("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")]] {
        let request = admin.request("POST", "/api/endpoints/alpha/reset", None);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(admin.client().send(&request).await.status(), 200);
    }
}

#[tokio::test]
async fn a_body_is_json_of_a_reasonable_size_or_refused() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let send = async |content_type: Option<&str>, body: &str| {
        let mut request = Request::new("POST", "/api/endpoints", body.to_owned());
        request.headers.retain(|(name, _)| name != "Content-Type");
        let request = match content_type {
            Some(value) => request.header("Content-Type", value),
            None => request,
        };
        refusal(&admin.client().send(&request).await)
    };
    let whole = r#"{"name":"x","url":"https://x.example","auth_type":"passthrough"}"#;
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data"),
        Some("application/jsonp"),
    ] {
        assert_eq!(send(content_type, whole).await, (415, "not_json".into()), "{content_type:?}");
    }
    let json = Some("application/json; charset=utf-8");
    for body in
        ["{", "[]", "null", "\"x\"", "{}{}", "{\"name\":1}", "\u{feff}{}", "{\"name\":\"a\",\"name\":\"b\"", "\0"]
    {
        assert_eq!(send(json, body).await, (400, "bad_json".into()), "{body}");
    }
    assert_eq!(send(None, "").await, (400, "bad_json".into()));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send(json, &format!("{{\"name\":{deep}}}")).await, (400, "bad_json".into()));
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(send(json, &large).await, (413, "too_large".into()));
    // Announced only, and without an announcement.
    let announced = Request::new("POST", "/api/endpoints", "{}").header("Content-Length", "99999999999");
    assert_eq!(refusal(&admin.client().send(&announced).await), (413, "too_large".into()));
    let mut wire = admin.client().connect().await;
    let head = format!("POST /api/endpoints HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", admin.address);
    wire.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    for _ in 0..4 {
        wire.write(&chunk).await;
    }
    wire.write("1\r\nx\r\n0\r\n\r\n").await;
    assert_eq!(wire.answer(clock::now(), false).await.finish().await.status(), 413);
    assert_eq!(admin.json("/api/endpoints").await["endpoints"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_that_turns_out_empty_needs_no_type() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    for framing in ["Content-Length: 00\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let mut wire = admin.client().connect().await;
        wire.write(format!("POST /api/endpoints/alpha/enable HTTP/1.1\r\nHost: {}\r\n{framing}", admin.address)).await;
        assert_eq!(wire.answer(clock::now(), false).await.finish().await.status(), 200, "{framing}");
    }
    let mut wire = admin.client().connect().await;
    let head = format!("POST /api/endpoints/alpha/disable HTTP/1.1\r\nHost: {}\r\n", admin.address);
    wire.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
    assert_eq!(wire.answer(clock::now(), false).await.finish().await.status(), 415);
}

#[tokio::test]
async fn a_browser_with_many_headers_is_answered_by_us() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let request = (0..200).fold(Request::get("/healthz"), |request, n| request.header(&format!("x-{n}"), "1"));
    let answer = admin.client().send(&request).await;
    assert_eq!(answer.status(), 200);
    assert_safe(&answer);
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_as_everything_else() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let many = "x: y\r\n".repeat(300);
    for (status, line) in [(400, "no header\r\n"), (431, many.as_str())] {
        let mut wire = admin.client().connect().await;
        wire.write(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n{line}\r\n", admin.address)).await;
        let answer = wire.answer(clock::now(), false).await.finish().await;
        assert_eq!((answer.status(), answer.json()["error"]["code"].as_str()), (status, Some("bad_head")));
        assert!(answer.json()["error"]["hint"].is_string());
        assert_safe(&answer);
    }
}

/// An operator reads what is wrong, and what to do about it.
#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let deep = format!("/api/logs?q={}a{}", "(".repeat(2000), ")".repeat(2000));
    let mut refused: Vec<(&str, &str, Option<serde_json::Value>)> = vec![
        ("POST", "/api/endpoints", None),
        ("POST", "/api/endpoints", Some(json!({"priority": "high"}))),
        ("POST", "/api/endpoints", Some(json!({"colour": "red"}))),
        ("POST", "/api/endpoints", Some(json!([]))),
        ("POST", "/api/endpoints/alpha/enable", Some(json!({"colour": "red"}))),
        ("POST", "/api/endpoints/order", Some(json!({"names": 3}))),
        ("POST", "/api/login", None),
        ("POST", "/api/login", Some(json!({"token": 3}))),
        ("GET", "/api/logs?limit=x", None),
        ("GET", "/api/logs?detail=x", None),
        ("GET", "/api/logs?colour=x", None),
        ("GET", "/api/logs?before=x", None),
        ("GET", "/api/stats?range=x", None),
        ("GET", "/api/stats?step=1ms", None),
        ("GET", "/api/stats?from=1h&to=2h", None),
        ("GET", &deep, None),
        ("GET", "/api/nothing", None),
        ("PUT", "/api/status", None),
    ];
    for (key, value) in [
        ("name", ""),
        ("name", " x"),
        ("url", "nowhere"),
        ("auth_type", "key"),
        ("http", "3"),
        ("proxy", "ftp://x"),
        ("proxy", "http://p:x"),
        ("path_prefix", "a b"),
        ("ca_file", "none.pem"),
        ("auth_value", "é"),
    ] {
        refused.push(("PATCH", "/api/endpoints/alpha", Some(json!({ key: value }))));
        refused.push(("POST", "/api/endpoints/alpha/test", Some(json!({ key: value }))));
    }
    for (method, path, body) in refused {
        let answer = admin.send(method, path, body.as_ref()).await;
        assert!((400..500).contains(&answer.status()), "{method} {path}: {}", answer.status());
        let error = &answer.json()["error"];
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{method} {path} {body:?}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let (_proxy, admin, _alpha) = guarded().await;
    for (path, open) in [
        ("/", true),
        ("/healthz", true),
        ("/readyz", true),
        ("/api/status", false),
        ("/api/endpoints", false),
        ("/api/events", false),
        ("/api/logs", false),
        ("/api/logs/x", false),
        ("/api/config", false),
        ("/api/stats", false),
        ("/api/openapi.json", false),
        ("/metrics", false),
        ("/api/nothing", false),
    ] {
        let answer = admin.get(path).await;
        if open {
            assert_eq!(answer.status(), 200, "{path}");
        } else {
            assert_eq!(refusal(&answer), (401, "unauthorized".into()), "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains(TOKEN));
        }
        let request = admin.request("GET", path, None).header("Cookie", "claude_proxy_session=");
        assert_eq!(admin.client().send(&request).await.status(), if open { 200 } else { 401 }, "{path}");
    }
    for (method, path) in
        [("POST", "/api/endpoints/alpha/disable"), ("DELETE", "/api/endpoints/alpha"), ("POST", "/api/config/reload")]
    {
        assert_eq!(admin.send(method, path, None).await.status(), 401, "{method} {path}");
    }
    assert_eq!(admin.clone().with_token("operators-token-4712").get("/api/status").await.status(), 401);
    assert_eq!(admin.with_token(TOKEN).get("/api/status").await.status(), 200);
}

/// The cookie that a login sets, as a browser sends it back.
async fn log_in(admin: &Admin) -> String {
    let answer = admin.send("POST", "/api/login", Some(&json!({"token": TOKEN}))).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN) && !answer.text().contains(TOKEN));
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_stands_for_the_token_until_the_logout_or_another_token() {
    let (proxy, admin, alpha) = guarded().await;
    let wrong = admin.send("POST", "/api/login", Some(&json!({"token": "guess"}))).await;
    assert_eq!((refusal(&wrong), wrong.header("set-cookie")), ((401, "unauthorized".into()), None));
    let with = async |cookie: &str| {
        let request = admin.request("GET", "/api/status", None).header("Cookie", &format!("a=b; {cookie}"));
        admin.client().send(&request).await.status()
    };
    let (first, second) = (log_in(&admin).await, log_in(&admin).await);
    assert_ne!(first, second);
    assert_eq!((with(&first).await, with(&second).await), (200, 200));
    let logout = admin.request("POST", "/api/logout", None).header("Cookie", &first);
    let left = admin.client().send(&logout).await;
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!((with(&first).await, with(&second).await), (401, 200));
    let next = Config::in_order([&alpha]).admin().set("web_admin.auth_token", "another-token-0815");
    proxy.write_config(&next.yaml());
    proxy.signal("HUP").await;
    eventually("it is read", || proxy.said().contains("reloaded by signal")).await;
    assert_eq!(with(&second).await, 401, "a login with the old token is over");
    assert_eq!(admin.clone().with_token(TOKEN).get("/api/status").await.status(), 401);
    assert_eq!(admin.with_token("another-token-0815").get("/api/status").await.status(), 200);
}

#[tokio::test]
async fn guessing_the_token_is_slow_and_does_not_slow_down_who_knows_it() {
    let (_proxy, admin, _alpha) = guarded().await;
    let known = admin.clone().with_token(TOKEN);
    let mut guesses = Vec::new();
    for n in 0..60 {
        let admin = admin.clone();
        guesses.push(tokio::spawn(async move {
            if n % 2 == 0 {
                admin.with_token(&format!("guess-{n}")).get("/api/status").await.status()
            } else {
                admin.send("POST", "/api/login", Some(&json!({"token": format!("guess-{n}")}))).await.status()
            }
        }));
    }
    tokio::time::sleep(ms(200)).await;
    let answer = known.get("/api/status").await;
    assert!(answer.status() == 200 && answer.took < ms(1000), "{:?}", answer.took);
    log_in(&admin).await;
    let began = clock::now();
    let mut told = Vec::new();
    for guess in guesses {
        told.push(guess.await.unwrap());
    }
    assert!(told.iter().all(|status| [401, 429].contains(status)), "{told:?}");
    let answered = told.iter().filter(|status| **status == 401).count();
    assert!(answered <= 20 && began.elapsed() > Duration::from_secs(2), "{answered} in {:?}", began.elapsed());
}

const SECRETS: [&str; 9] = [
    "sk-ant-stored-key-ABCDEFGH-1",
    "sk-ant-from-variable-IJKLMN-2",
    "sk-ant-fallback-default-OPQ-3",
    "file-secret-content-RSTUVW-4",
    "outbound-proxy-password-5",
    "client-token-of-ours-XYZ-6",
    "operators-token-4711",
    "presented-by-the-client-888",
    "query-string-secret-999",
];

/// Every place that can hold a secret holds one, and upstreams echo all of them.
async fn full_of_secrets() -> (Proxy, Admin, Vec<Upstream>) {
    let [stored, variable, fallback, file, outbound, client, operator, presented, query] = SECRETS;
    let echo = format!("{stored} {variable} {fallback} {file} {outbound} {client} {operator} {presented} {query}");
    let mut upstreams = Vec::new();
    for (name, reply) in [
        ("a", Reply::error(401, "authentication_error", &echo)),
        ("b", Reply::new(500, "text/html", echo.clone())),
        ("c", Reply::stream(bodies::events(&[&echo]))),
    ] {
        upstreams.push(Upstream::new(name).always(reply.header("x-echo", &echo)).start().await.unwrap());
    }
    let folder_file = "key.txt";
    let config = Config::in_order([
        Endpoint::of(&upstreams[0]).set("auth_value", "${A_KEY}"),
        Endpoint::of(&upstreams[1]).set("auth_value", &format!("\"${{B_KEY:-{fallback}}}\"")),
        Endpoint::of(&upstreams[2]).set("auth_value", &format!("file:{folder_file}")).set("auth_type", "auth_token"),
        Endpoint::at("d", "https://localhost:9")
            .set("auth_value", stored)
            .set("proxy", &format!("http://me:{outbound}@127.0.0.1:9")),
    ])
    .admin()
    .set("server.auth_token", client)
    .set("web_admin.auth_token", operator)
    .set("logging.log_request_body", "full")
    .set("logging.log_response_body", "full");
    let folder = config.folder();
    std::fs::write(folder.path().join(folder_file), format!("{file}\n")).unwrap();
    let proxy = Proxy::start(folder, &[("A_KEY", variable)]).await;
    let admin = proxy.admin().await.with_token(operator);
    (proxy, admin, upstreams)
}

fn assert_clean(text: &str, what: &str) {
    for secret in SECRETS {
        // Half of one is too much as well; four characters of its end may be shown.
        for piece in [secret, &secret[..secret.len() - 5]] {
            if let Some(at) = text.find(piece) {
                let from = text.floor_char_boundary(at.saturating_sub(120));
                panic!("{what} shows {piece}: {}", &text[from..at]);
            }
        }
    }
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let (proxy, admin, _upstreams) = full_of_secrets().await;
    let [_, _, _, _, _, client, _, presented, query] = SECRETS;
    let mut events = admin.client().open(&admin.request("GET", "/api/events", None)).await;
    for _ in 0..3 {
        let mut request = Request::messages(&json!({"stream": true, "system": SECRETS.join(" ")}))
            .header("x-api-key", client)
            .header("Authorization", &format!("Bearer {presented}"))
            .header("Cookie", &format!("sid={presented}"))
            .session(presented);
        request.target = format!("/v1/messages?api_key={query}");
        assert_eq!(proxy.send(&request).await.status(), 200);
    }
    let refused = Request::message().header("x-api-key", presented);
    assert_eq!(proxy.send(&refused).await.status(), 401);
    admin.until("/api/status", |status| status["totals"]["requests"] == 3).await;
    for name in ["a", "b", "c", "d"] {
        let path = format!("/api/endpoints/{name}/test");
        assert_clean(admin.send("POST", &path, None).await.text(), &path);
    }
    let id = proxy.records()[0]["id"].as_str().unwrap().to_owned();
    for path in get_routes(&admin).await {
        // That stream does not end.
        if path == "/api/events" {
            continue;
        }
        let no_session = path.starts_with("/api/sessions/");
        let path = path.replace("{id}", &id);
        let answer = admin.get(&path).await;
        assert!(answer.status() < 400 || no_session, "{path}: {}", answer.text());
        assert_clean(answer.text(), &path);
        assert!(answer.head.headers.iter().all(|(_, value)| SECRETS.iter().all(|secret| !value.contains(secret))));
    }
    for query in ["q=echo", "detail=summary", "q=sk-ant", "endpoint=nobody", "before=sk-ant-stored-key-ABCDEFGH-1"] {
        assert_clean(admin.get(&format!("/api/logs?{query}")).await.text(), query);
    }
    let stream = admin.request("GET", "/api/logs?limit=10", None);
    let mut stream = stream;
    stream.headers.retain(|(name, _)| name != "Accept");
    assert_clean(admin.client().send(&stream.header("Accept", "application/x-ndjson")).await.text(), "the stream");
    // Changes and their refusals.
    for (method, path, body) in [
        ("PATCH", "/api/endpoints/d?dry_run=true", json!({"priority": 5})),
        ("PATCH", "/api/endpoints/d", json!({"priority": 6})),
        ("PATCH", "/api/endpoints/d", json!({"auth_value": format!("{}\n", SECRETS[0])})),
        ("PATCH", "/api/endpoints/d", json!({"proxy": format!("gopher://me:{}@x", SECRETS[4])})),
        ("PATCH", "/api/endpoints/d", json!({"url": format!("https://me:{}@x.example", SECRETS[4])})),
        ("PATCH", "/api/endpoints/d", json!({"priority": SECRETS[0]})),
        ("PATCH", "/api/endpoints/d", json!({"auth_type": SECRETS[0]})),
        ("PATCH", "/api/endpoints/d", json!({"url": SECRETS[0], "http": SECRETS[0], "ca_file": SECRETS[0]})),
        ("PATCH", "/api/endpoints/d", json!({"auth_value": format!("${{{}}}", SECRETS[0])})),
        (
            "POST",
            "/api/endpoints?dry_run=true",
            json!({"name": "e", "url": "https://e.example", "auth_type": "api_key", "auth_value": SECRETS[0]}),
        ),
        ("POST", "/api/endpoints/e/test", json!({"url": SECRETS[0], "auth_type": "api_key", "auth_value": SECRETS[1]})),
        ("POST", "/api/login", json!({"token": SECRETS[0]})),
        ("POST", "/api/login", json!({"token": [SECRETS[0]]})),
    ] {
        assert_clean(admin.send(method, path, Some(&body)).await.text(), &format!("{method} {path}"));
    }
    proxy.write_config(&format!("endpoints: [\n{}\n", SECRETS.join("\n")));
    admin.until("/api/status", |status| status["config"]["refused"].is_object()).await;
    for path in ["/api/status", "/api/config", "/metrics"] {
        assert_clean(admin.get(path).await.text(), path);
    }
    let mut told = String::new();
    while !told.contains("event: config\n") || !told.contains("\"refused\":{") {
        told.push_str(&events.event().await.unwrap());
    }
    assert!(told.contains("event: request_ended") && told.contains("event: endpoint"));
    assert_clean(&told, "the event stream");
    assert_clean(&proxy.said(), "standard error");
    for file in std::fs::read_dir(proxy.folder().join("logs")).unwrap() {
        let path = file.unwrap().path();
        assert_clean(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()), &path.display().to_string());
    }
}

/// The paths of every GET route, from the API's own description.
async fn get_routes(admin: &Admin) -> Vec<String> {
    let described = admin.json("/api/openapi.json").await;
    let paths = described["paths"].as_object().unwrap();
    paths.iter().filter(|(_, methods)| methods["get"].is_object()).map(|(path, _)| path.clone()).collect()
}

#[tokio::test]
async fn who_holds_connections_open_does_not_keep_others_out() {
    let (proxy, admin, _alpha) = guarded().await;
    let known = admin.clone().with_token(TOKEN);
    let mut held = Vec::new();
    for n in 0..600 {
        let mut wire = admin.client().connect().await;
        match n % 3 {
            0 => {}
            1 => wire.write("GET /api/status HT").await,
            _ => {
                let login = format!(
                    "POST /api/login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
                    admin.address
                );
                wire.write(format!("{login}Content-Length: 1000\r\n\r\n{{")).await;
            }
        }
        held.push(wire);
        if n % 50 == 0 {
            let answer = known.get("/api/status").await;
            assert!(answer.status() == 200 && answer.took < Duration::from_secs(2), "{n}: {:?}", answer.took);
        }
    }
    #[cfg(target_os = "linux")]
    {
        let open = || crate::support::machine::descriptors(proxy.pid());
        eventually(&format!("most of {} are closed again", open()), || open() < 320).await;
    }
    assert_eq!(proxy.send(&Request::message()).await.status(), 200);
    assert_eq!(known.get("/api/status").await.status(), 200);
}

#[tokio::test]
async fn a_search_that_nobody_reads_does_not_keep_others_from_searching() {
    let alpha = Upstream::new("alpha").always(Reply::message(&"long ".repeat(2000))).start().await.unwrap();
    let proxy = Config::in_order([&alpha]).admin().set("logging.log_response_body", "full").start().await;
    let admin = proxy.admin().await;
    for _ in 0..400 {
        proxy.send(&Request::messages(&json!({"system": "x".repeat(900)}))).await;
    }
    admin.until("/api/status", |status| status["log"]["written"] == 400).await;
    let mut request = admin.request("GET", "/api/logs?limit=400", None);
    request.headers.retain(|(name, _)| name != "Accept");
    let request = request.header("Accept", "application/x-ndjson");
    let mut deaf = Vec::new();
    for _ in 0..3 {
        deaf.push(admin.client().open(&request).await);
    }
    // Two hold their turns until they are dropped; pages have turns of their own.
    let page = admin.get("/api/logs?limit=5").await;
    assert!(page.status() == 200 && page.took < ms(2000), "{:?}", page.took);
    let whole = tokio::time::timeout(PATIENCE * 2, admin.client().send(&request)).await.expect("its turn comes");
    assert_eq!((whole.status(), whole.text().lines().count()), (200, 400));
    let _: Value = serde_json::from_str(whole.text().lines().last().unwrap()).unwrap();
}
