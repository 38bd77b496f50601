//! An endpoint that leads back to the proxy: a request would come back for ever, and take the machine with it.

use serde_json::json;

use crate::support::program::run;
use crate::support::proxy::{Config, Endpoint};
use crate::support::{Request, assert_right, eventually, healthy};

/// One that nobody has had for a moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_port_that_was_given_is_as_much_ours_as_one_that_was_asked_for() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let ports = [proxy.address().port(), admin.address.port()];
    for url in ports
        .into_iter()
        .flat_map(|port| ["localhost", "127.1", "0x7f000001"].map(|host| format!("http://{host}:{port}")))
    {
        let added = json!({"name": "loop", "url": url, "auth_type": "passthrough"});
        let tunnel = json!({"name": "loop", "url": "https://a.example", "auth_type": "passthrough", "proxy": url});
        let refused = [
            ("PATCH", "/api/endpoints/alpha", json!({ "url": url }), "url"),
            ("POST", "/api/endpoints", added.clone(), "url"),
            ("POST", "/api/endpoints", tunnel, "proxy"),
            ("POST", "/api/endpoints/loop/test", added, "url"),
        ];
        for (method, path, body, field) in refused {
            let answer = admin.send(method, path, Some(&body)).await;
            let error = &answer.json()["error"];
            assert_eq!(
                (answer.status(), error["field"].as_str()),
                (422, Some(field)),
                "{method} {path} {body}: {error}"
            );
            assert!(error["message"].as_str().unwrap().contains("proxy itself"), "{error}");
        }
    }
    let own = format!("http://127.0.0.1:{}", proxy.address().port());
    let mut edit = crate::support::program::program(&proxy.folder(), &["endpoints", "edit", "alpha", "--url", &own]);
    edit.env("CLAUDE_PROXY_ADMIN", format!("http://{}", admin.address));
    run(edit).await.refused(2, &["points at this proxy itself"]);
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
}

#[tokio::test]
async fn a_file_that_waits_for_a_restart_cannot_lead_back_to_the_port_of_before() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).start().await;
    let own = Endpoint::at("loop", &format!("http://localhost:{}", proxy.address().port()));
    proxy.write_config(&Config::in_order([own]).set("server.port", &free_port().to_string()).yaml());
    proxy.signal("HUP").await;
    eventually("the refusal is told", || proxy.said().contains("points at this proxy itself")).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
}

#[tokio::test]
async fn a_way_back_that_no_setting_shows_is_not_taken() {
    let port = free_port().to_string();
    let config = Config::of([Endpoint::at("alpha", "http://upstream.invalid")]).set("server.port", &port);
    let proxy = config.start_with(&[("HTTP_PROXY", &format!("http://127.0.0.1:{port}"))]).await;
    let answer = proxy.send(&Request::message()).await;
    assert_eq!(answer.status(), 502, "{}", answer.text());
    let record = proxy.record(&answer).await;
    assert!(record["attempts"][0]["fault"].as_str().unwrap().contains("connect"), "{record}");
    assert!(proxy.said().contains("is claude-proxy itself"), "{}", proxy.said());
    assert_eq!(proxy.records().len(), 1, "nothing came back");
}
