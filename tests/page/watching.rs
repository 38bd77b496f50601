//! Watching: a request while it is under way and afterwards, an endpoint that goes down and returns.

use serde_json::json;

use super::Visit;
use crate::support::browser::Page;
use crate::support::client::Request;
use crate::support::proxy::{Config, KEY};
use crate::support::upstream::{Gate, Part, Reply, Upstream, bodies};
use crate::support::{answering, healthy};

/// A stream that says a word, waits for the gate, and says the rest.
fn held(gate: &Gate) -> Reply {
    let mut events = bodies::events(&["Hello", " there"]).into_iter().map(|event| Part::Bytes(event.into()));
    let mut reply = Reply::stream(Vec::<String>::new());
    for part in events.by_ref().take(4).collect::<Vec<_>>() {
        reply = reply.part(part);
    }
    reply = reply.part(Part::Gate(gate.clone()));
    events.fold(reply, Reply::part)
}

/// A turn with tools: a call, its result, and a question about it.
fn conversation() -> Request {
    let call = json!({"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "/src/parser.rs"}});
    let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "fn parse() {}"});
    Request::messages(&json!({
        "stream": true,
        "system": "You mend parsers.",
        "tools": [{"name": "Read", "description": "Reads a file", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Why does the parser lose a line?"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "A look first."}, call]},
            {"role": "user", "content": [result, {"type": "text", "text": "And add a test."}]},
        ],
    }))
    .session("session-of-ada")
    .header("x-api-key", "sk-ant-the-clients-own-key")
}

#[tokio::test]
async fn a_request_is_seen_while_it_runs_and_told_in_full_afterwards() {
    let gate = Gate::default();
    let tired = answering("tired", Reply::status(529)).await;
    let fresh = answering("fresh", held(&gate)).await;
    let config = Config::in_order([&tired, &fresh])
        .set("logging.log_request_body", "full")
        .set("logging.log_response_body", "full");
    let Some(visit) = Visit::to(config).await else { return };
    let page = &visit.page;
    page.shows(".overview .empty", "No requests in this time").await;

    page.key("g").await;
    page.key("r").await;
    page.shows(".requests .empty", "No requests yet").await;
    let client = visit.proxy.client();
    let answer = tokio::spawn(async move { client.send(&conversation()).await });
    page.shows(".under", "tired › fresh").await;
    page.shows(".under", "streaming").await;
    page.picture("live").await;
    gate.open();
    answer.await.unwrap();
    page.shows("tr.row", "fresh").await;
    page.until("nothing is under way", "!T.find('.under')").await;

    page.click("tr.row", "fresh").await;
    page.shows(".story", "tired is overloaded or limits the rate (529)").await;
    page.shows(".story", "fresh answered with 200").await;
    page.shows(".waterfall li", "tired").await;
    page.shows(".waterfall .legend", "streaming").await;
    told_in_full(&visit).await;
    copied_without_secrets(&visit).await;
    page.key("Escape").await;
    page.shows(".view-head", "Requests").await;
    visit.assert_clean();
}

async fn told_in_full(visit: &Visit) {
    let page = &visit.page;
    for said in
        ["Why does the parser lose a line?", "Read /src/parser.rs", "fn parse() {}", "And add a test.", "Hello there"]
    {
        page.shows(".conversation", said).await;
    }
    // A result stands with its call, not where the client had to put it.
    page.shows(".call", "fn parse() {}").await;
    page.click("summary", "System prompt").await;
    page.shows(".conversation", "You mend parsers.").await;
    page.click("[role=tab]", "Request").await;
    page.shows("#tab-panel .json", "max_tokens").await;
    page.click(".json-toggle", "messages").await;
    page.hides("#tab-panel .json", "Why does the parser lose a line?").await;
    page.click("[role=tab]", "Events").await;
    page.shows(".event", "message_start").await;
    page.shows(".timeline", "went down between").await;
    page.shows(".event-time", " s").await;
    page.click(".event-line", "there").await;
    page.shows(".event .json", "text_delta").await;
    page.click("[role=tab]", "Headers").await;
    page.shows(".headers tr", "anthropic-version 2023-06-01").await;
    page.shows(".headers tr", "x-claude-code-session-id session-of-ada").await;
}

async fn copied_without_secrets(visit: &Visit) {
    let page = &visit.page;
    let _ = page.clipboard(&visit.origin()).await;
    page.click("button", "curl").await;
    page.shows(".toast", "Copied").await;
    let curl = page.clipboard(&visit.origin()).await;
    assert!(curl.starts_with("curl -N 'http://"), "{curl}");
    assert!(curl.contains("/v1/messages?beta=true") && curl.contains("Why does the parser lose a line?"), "{curl}");
    let whole = page.eval("document.documentElement.outerHTML").await;
    for secret in [KEY, "sk-ant-the-clients-own-key"] {
        assert!(!curl.contains(secret), "{curl}");
        assert!(!whole.as_str().unwrap().contains(secret));
    }
}

#[tokio::test]
async fn an_endpoint_is_seen_to_go_down_and_to_return() {
    let main = healthy("main").await;
    let spare = healthy("spare").await;
    let config = Config::in_order([&main, &spare]).set("health.check_interval", "1s");
    let Some(visit) = Visit::to(config).await else { return };
    let page = &visit.page;
    let send = async || visit.proxy.send(&Request::message()).await;
    // No success yet: one within the window would only make it degraded.
    page.shows(".endpoint-table tr", "main up").await;

    main.set_default(Some(Reply::status(529)));
    for _ in 0..2 {
        send().await;
    }
    page.shows(".endpoint-table tr", "main down").await;
    page.shows(".attention .notice", "main down").await;
    page.shows(".tile", "Requests 2").await;
    page.until("the title says so", "document.title.startsWith('(1) ')").await;
    page.picture("down").await;
    page.click(".attention a", "Look").await;
    page.shows(".card.down .card-reason", "next probe in").await;
    let causes = page.count(".card.down .causes a").await;
    assert!(causes >= 2, "{causes} requests are named as causes");

    main.set_default(None);
    page.shows(".card.up", "main").await;
    page.hides(".card.down", "main").await;
    page.shows(".live", "Live").await;
    visit.assert_clean();
}

/// Waits until the list has so many, seen or not.
async fn listed(page: &Page, count: usize) {
    let words = if count == 1 { "1 request".to_owned() } else { format!("{count} requests") };
    page.until(&words, &format!("document.querySelector('.view-head [role=status]')?.innerText === '{words}'")).await;
}

/// One request after another, each asking for a model of its own.
async fn send_models(visit: &Visit, models: impl IntoIterator<Item = String>) {
    for model in models {
        visit.proxy.send(&Request::messages(&json!({ "model": model }))).await;
    }
}

#[tokio::test]
async fn the_list_is_filtered_paused_and_walked_by_keyboard() {
    let upstream = Upstream::new("only")
        .choose(|seen| String::from_utf8_lossy(&seen.body).contains("refuse-me").then(|| Reply::status(400)))
        .start()
        .await
        .unwrap();
    let Some(visit) = Visit::to(Config::in_order([&upstream])).await else { return };
    let page = &visit.page;
    send_models(&visit, (0..30).map(|n| if n == 7 { "refuse-me".to_owned() } else { format!("claude-nr-{n}-end") }))
        .await;
    visit.go("requests").await;
    listed(page, 30).await;

    page.key("/").await;
    page.call("Input.insertText", json!({"text": "status>=400"})).await;
    listed(page, 1).await;
    page.shows("tr.row", "refuse-me").await;
    page.fill("input[type=search]", "status>>400").await;
    page.until("what is wrong is marked", "document.querySelector('.marked mark')?.textContent").await;
    assert!(!page.text("#filter-fault").await.is_empty());
    page.picture("filter-wrong").await;
    page.fill("input[type=search]", "model~nr-1").await;
    listed(page, 11).await;
    send_models(&visit, ["claude-nr-1-late".to_owned(), "claude-other".to_owned()]).await;
    listed(page, 12).await;
    page.key("Escape").await;
    listed(page, 32).await;
    page.click(".chip", "Errors").await;
    listed(page, 1).await;
    page.click(".chip", "Errors").await;
    listed(page, 32).await;

    page.eval("document.activeElement.blur()").await;
    page.key("p").await;
    page.shows("button", "Follow").await;
    send_models(&visit, ["claude-waits".to_owned(), "claude-waits-too".to_owned()]).await;
    page.shows(".pill", "2 new").await;
    listed(page, 32).await;
    page.key("G").await;
    page.shows("tr.row", "waits-too").await;
    page.hides(".pill", "").await;

    page.key("j").await;
    page.key("j").await;
    page.key("k").await;
    page.until("the first is picked", "T.find('tr.row')?.classList.contains('picked')").await;
    page.key("Enter").await;
    page.shows(".story", "only answered with 200").await;
    page.key("Escape").await;
    page.until("back at the list", "T.find('tr.row')").await;
    page.key("?").await;
    page.shows("dialog", "Next").await;
    page.key("Escape").await;
    page.until("the help is gone", "!document.querySelector('dialog')").await;
    visit.assert_clean();
}

#[tokio::test]
async fn no_request_of_a_burst_is_missing_from_a_filtered_list() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::to(Config::in_order([&upstream])).await else { return };
    let page = &visit.page;
    send_models(&visit, ["claude-before".to_owned()]).await;
    visit.go("requests?q=model~claude").await;
    listed(page, 1).await;
    // However long they take here, to the page they end at once.
    page.eval(
        "globalThis.held = new Promise((go) => (globalThis.release = go));
         globalThis.fetch = ((real) => (...asked) => held.then(() => real(...asked)))(fetch); 0",
    )
    .await;
    send_models(&visit, (0..450).map(|n| format!("claude-nr-{n}-end"))).await;
    page.eval("release(); 0").await;
    listed(page, 451).await;
    visit.assert_clean();
}

#[tokio::test]
async fn the_keys_of_tabs_go_to_each_that_is_shown_and_back() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::to(Config::in_order([&upstream])).await else { return };
    let page = &visit.page;
    let id = visit.proxy.send(&Request::message()).await.request_id().to_owned();
    // It was no stream, so it has no events.
    visit.go(&format!("requests/{id}?tab=events")).await;
    for (key, tab) in [
        ("", "Conversation"),
        ("]", "Request"),
        ("]", "Answer"),
        ("]", "Headers"),
        ("]", "Conversation"),
        ("[", "Headers"),
        ("[", "Answer"),
    ] {
        if !key.is_empty() {
            page.key(key).await;
        }
        page.shows("[role=tab][aria-selected=true]", tab).await;
        page.until("its panel is not empty", "document.querySelector('#tab-panel').innerText").await;
    }
    visit.assert_clean();
}

#[tokio::test]
async fn a_chip_shows_the_requests_that_a_limited_endpoint_did_not_answer() {
    let tired = answering("tired relay", Reply::status(429)).await;
    let fresh = healthy("fresh").await;
    let Some(visit) = Visit::to(Config::in_order([&tired, &fresh])).await else { return };
    let page = &visit.page;
    // It is down after the second.
    send_models(&visit, ["claude-moved-on", "claude-moved-too", "claude-at-once"].map(str::to_owned)).await;
    visit.go("requests").await;
    listed(page, 3).await;
    page.click(".chip", "tired relay").await;
    listed(page, 2).await;
    page.hides("tr.row", "at-once").await;
    page.shows(".chip[aria-pressed=true]", "tired relay").await;
    page.click(".chip", "tired relay").await;
    listed(page, 3).await;
    visit.assert_clean();
}
