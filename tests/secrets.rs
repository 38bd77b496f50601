//! No credential is in any file or message, whoever echoes it.

use serde_json::json;

use crate::support::proxy::{Config, Endpoint, KEY, Proxy};
use crate::support::{Part, Reply, Request, answering, bodies, eventually, healthy};

const TOKEN: &str = "our-very-own-proxy-token-77";
const PRESENTED: &str = "sk-ant-presented-by-the-client-88";
/// In headers that are known for credentials by nothing but a word of their name.
const VAGUE: [(&str, &str); 3] = [
    ("Ocp-Apim-Subscription-Key", "subscription-44-abcdef"),
    ("Cf-Access-Jwt-Assertion", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIzMyJ9.c2lnbmVk"),
    ("X-Auth", "gateway-password-22"),
];
const COOKIE: &str = "session-cookie-value-99";

/// Nothing of what must stay hidden is in `text`.
fn assert_clean(text: &str, what: &str) {
    let vague = VAGUE.iter().map(|(_, secret)| *secret);
    for secret in [KEY, TOKEN, PRESENTED, COOKIE, "proxy-password-55"].into_iter().chain(vague) {
        if let Some(at) = text.find(secret) {
            panic!("{what} shows {secret}: {}", &text[at.saturating_sub(80)..at]);
        }
    }
}

#[tokio::test]
async fn no_credential_is_shown_anywhere() {
    let vague = VAGUE.map(|(_, secret)| secret).join(" and ");
    let echo = format!("you sent {KEY} and {PRESENTED} and {TOKEN} and {vague}");
    let replies = [
        Reply::message(&echo).header("set-cookie", &format!("sid={COOKIE}")).header("x-echo", KEY),
        Reply::stream(bodies::events(&[&echo])),
        Reply::error(400, "invalid_request_error", &echo),
        Reply::error(401, "authentication_error", &echo),
        Reply::error(500, "api_error", &echo),
        Reply::new(500, "text/html", echo.clone()),
        Reply::new(200, "text/html", echo.clone()),
        Reply::stream([format!("event: x\ndata: {echo}\n\n")]),
        Reply::raw(format!("{echo}\r\n\r\n")),
        Reply::stream(bodies::events(&["Hi"])).cut_after(3, Part::Bytes(format!("data: {echo}\n\n").into())),
        // Split so that no single event holds the whole of it.
        Reply::stream(bodies::events(&["Hi"])).split_every(5),
    ];
    let alpha = healthy("alpha").await;
    let through = Endpoint::of(&alpha).set("auth_type", "passthrough").without("auth_value");
    let refused = Endpoint::at("gone", "https://localhost:9").set("proxy", "http://me:proxy-password-55@127.0.0.1:9");
    for endpoint in [Endpoint::of(&alpha), through] {
        let config = Config::in_order([refused.clone(), endpoint])
            .set("server.auth_token", TOKEN)
            .set("logging.level", "debug")
            .set("logging.log_request_body", "full")
            .set("logging.log_response_body", "full")
            .set("health.min_failures", "1000");
        let proxy = config.start().await;
        for reply in &replies {
            alpha.then(reply.clone());
            let mut request =
                Request::messages(&json!({"stream": true, "system": format!("my key is {KEY}, {TOKEN}, {PRESENTED}")}))
                    .header("x-api-key", TOKEN)
                    .header("Authorization", &format!("Bearer {PRESENTED}"))
                    .header("Cookie", &format!("sid={COOKIE}"))
                    .header("Proxy-Authorization", &format!("Basic {PRESENTED}"));
            for (name, secret) in VAGUE {
                request = request.header(name, secret);
            }
            let answer = proxy.send(&request).await;
            proxy.record(&answer).await;
        }
        let mut wrong = Request::message().header("x-api-key", PRESENTED);
        assert_eq!(proxy.send(&wrong).await.status(), 401);
        wrong.target = format!("/v1/messages?key={PRESENTED}");
        proxy.send(&wrong.header("Authorization", &format!("Bearer {TOKEN}"))).await;
        eventually("all records", || proxy.records().len() > replies.len()).await;
        assert_clean(&proxy.log_text(), "the log");
        assert_clean(&proxy.said(), "standard error");
        // What a client may see is its own matter; but our key is not the client's.
        for record in proxy.records() {
            assert_clean(&record.to_string(), "a record");
        }
    }
}

#[tokio::test]
async fn our_own_errors_do_not_show_an_endpoints_key() {
    for reply in [
        Reply::error(401, "authentication_error", KEY),
        Reply::error(500, "api_error", KEY),
        Reply::raw(format!("{KEY}\r\n\r\n")),
    ] {
        let alpha = answering("alpha", reply).await;
        let answer = Proxy::over([&alpha]).await.send(&Request::message()).await;
        assert_eq!(answer.status(), 502);
        assert_clean(answer.text(), "an answer");
    }
}
