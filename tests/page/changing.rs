//! The levers: what a click at the page does to config.yaml, and that nothing else in it changes.

use std::path::PathBuf;

use serde_json::json;

use super::Visit;
use crate::support::browser::Page;
use crate::support::client::Request;
use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::upstream::Reply;
use crate::support::{answering, eventually, healthy};

const COMMENT: &str = "# Ask Ada before you change this.";

/// Two endpoints, with comments where people put them.
fn commented(first: &str, second: &str) -> String {
    format!(
        "{COMMENT}
server:
  port: 0
endpoints:
  # the team's account
  - name: first
    url: {first}   # until March
    auth_type: api_key
    auth_value: ${{FIRST_KEY:-sk-ant-first-key-1111}}
    priority: 1
  - name: second
    url: {second}
    auth_type: api_key
    auth_value: 'sk-ant-second-key-2222' # 备用
    priority: 2
web_admin: {{ port: 0 }}
"
    )
}

impl Visit {
    async fn commented(first: &str, second: &str) -> Option<Self> {
        let browser = crate::support::browser::Browser::start().await?;
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), commented(first, second)).unwrap();
        let proxy = Proxy::start(folder, &[]).await;
        Some(Self::at(browser, proxy).await)
    }

    fn file(&self) -> PathBuf {
        self.proxy.folder().join("config.yaml")
    }

    fn yaml(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// Waits until the file says so, and asserts that what people wrote beside it is still there.
    async fn written(&self, what: &str, holds: impl Fn(&str) -> bool) {
        eventually(what, || holds(&self.yaml())).await;
        let yaml = self.yaml();
        for kept in [COMMENT, "# the team's account", "# until March", "# 备用", "${FIRST_KEY:-sk-ant-first-key-1111}"]
        {
            assert!(yaml.contains(kept), "{kept} is gone from\n{yaml}");
        }
    }
}

/// The names in the order in which the file has them tried.
fn ranked(yaml: &str) -> Vec<&str> {
    let mut all: Vec<(i64, &str)> = Vec::new();
    for line in yaml.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- name: ") {
            all.push((1, name));
        } else if let (Some(priority), Some(last)) = (line.strip_prefix("priority: "), all.last_mut()) {
            last.0 = priority.parse().unwrap();
        }
    }
    all.sort_by_key(|(priority, _)| *priority);
    all.into_iter().map(|(_, name)| name).collect()
}

/// The place in the file of each of them.
fn in_order(yaml: &str, names: &[&str]) -> bool {
    let places: Vec<_> = names.iter().map(|name| yaml.find(&format!("name: {name}"))).collect();
    places.iter().all(Option::is_some) && places.is_sorted()
}

#[tokio::test]
async fn an_endpoint_is_added_changed_disabled_moved_and_deleted_and_the_comments_stay() {
    let (first, second, third) = (healthy("first").await, healthy("second").await, healthy("third").await);
    let Some(visit) = Visit::commented(&first.url(), &second.url()).await else { return };
    let page = &visit.page;
    page.key("g").await;
    page.key("e").await;
    page.shows(".card", "first").await;
    add(&visit, &third.url()).await;
    change(&visit).await;
    switch_off_and_on(&visit).await;
    reorder(&visit).await;
    delete(&visit).await;
    let whole = page.eval("document.documentElement.outerHTML").await;
    for key in ["sk-ant-second-key-2222", "sk-ant-third-key-3333"] {
        assert!(!whole.as_str().unwrap().contains(key), "a key is in the page");
    }
    visit.assert_clean();
}

async fn add(visit: &Visit, url: &str) {
    let page = &visit.page;
    page.key("a").await;
    page.fill("#field-name", "first").await;
    page.fill("#field-url", "nowhere").await;
    page.click("dialog button", "Review the change").await;
    page.shows(".field", "It must begin with http://").await;
    page.until("the field has the focus", "document.activeElement.id === 'field-url'").await;
    page.fill("#field-url", url).await;
    page.click("dialog button", "Review the change").await;
    page.shows(".field", "It needs a key").await;
    page.fill("#field-auth_value", "sk-ant-third-key-3333").await;
    page.click("dialog button", "Review the change").await;
    // What only the proxy knows comes to its field too: the name is taken.
    page.until(
        "the name is at fault",
        "document.querySelector('#field-name')?.getAttribute('aria-invalid') === 'true'",
    )
    .await;
    page.picture("form-fault").await;
    page.fill("#field-name", "third").await;
    page.click("dialog button", "Test").await;
    page.shows("dialog .notice", "Healthy.").await;
    let before = visit.yaml();
    page.click("dialog button", "Review the change").await;
    page.shows("dialog .diff .added", "name: third").await;
    page.picture("form-diff").await;
    assert_eq!(visit.yaml(), before, "looking at a change writes nothing");
    page.click("dialog button", "Write it").await;
    page.shows(".card.up", "third").await;
    visit.written("the third is in the file", |yaml| in_order(yaml, &["first", "second", "third"])).await;
}

async fn change(visit: &Visit) {
    let page = &visit.page;
    page.click("#endpoint-third button", "Edit").await;
    page.fill("#field-priority", "3").await;
    page.click("dialog button", "Review the change").await;
    page.shows("dialog .diff .added", "priority: 3").await;
    // Somebody else writes the file in the meantime.
    let theirs = visit.yaml().replace("# until March", "# until March, says Bo");
    visit.proxy.write_config(&theirs);
    page.click("dialog button", "Write it").await;
    page.shows("dialog .notice", "Somebody changed the file").await;
    page.click("dialog button", "Apply them to the file as it is now").await;
    page.shows("dialog .diff .added", "priority: 3").await;
    page.click("dialog button", "Write it").await;
    page.shows("#endpoint-third", "priority 3").await;
    visit.written("the new priority", |yaml| yaml.contains("priority: 3") && yaml.contains("says Bo")).await;
    assert!(visit.yaml().contains("sk-ant-third-key-3333"), "a key that is not named stays");
    visit.proxy.write_config(&visit.yaml().replace(", says Bo", ""));
}

async fn switch_off_and_on(visit: &Visit) {
    let page = &visit.page;
    page.click("#endpoint-second button", "Disable").await;
    page.shows("#endpoint-second .state", "disabled").await;
    visit.written("it is disabled in the file", |yaml| yaml.contains("enabled: false")).await;
    page.click(".toast button", "Undo").await;
    page.shows("#endpoint-second .state", "up").await;
    visit.written("and is not any more", |yaml| !yaml.contains("enabled: false")).await;
}

async fn reorder(visit: &Visit) {
    let page = &visit.page;
    page.eval("document.querySelector('#endpoint-third').focus()").await;
    page.alt_key("ArrowUp").await;
    visit.written("the third is second", |yaml| ranked(yaml) == ["first", "third", "second"]).await;
    page.until("it is shown so", "T.order().join() === 'first,third,second'").await;
    page.drag(("#endpoint-second .grip", ""), ("#endpoint-first", "")).await;
    visit.written("the second is first", |yaml| ranked(yaml) == ["second", "first", "third"]).await;
    page.until("it is shown so", "T.order().join() === 'second,first,third'").await;
    page.shows(".toast", "The new order is in force").await;
}

async fn delete(visit: &Visit) {
    let page = &visit.page;
    page.click("#endpoint-third button", "Delete third").await;
    page.shows("dialog .diff .removed", "name: third").await;
    page.key("Escape").await;
    page.until("nothing is asked any more", "!document.querySelector('dialog')").await;
    assert!(visit.yaml().contains("third"), "who leaves the question deletes nothing");
    page.click("#endpoint-third button", "Delete third").await;
    page.click("dialog button", "Delete third").await;
    page.hides(".card", "third").await;
    visit.written("it is gone", |yaml| !yaml.contains("third")).await;
}

#[tokio::test]
async fn an_endpoint_is_tested_and_taken_as_up_again() {
    let bad = answering("bad", Reply::status(401)).await;
    let good = healthy("good").await;
    let Some(visit) = Visit::to(Config::in_order([&bad, &good])).await else { return };
    let page = &visit.page;
    for _ in 0..2 {
        visit.proxy.send(&Request::message()).await;
    }
    visit.go("endpoints").await;
    page.shows(".card.down", "bad").await;
    page.click("#endpoint-bad button", "Test").await;
    page.shows("#endpoint-bad .notice.bad", "Not healthy").await;
    page.picture("tested").await;
    page.click("#endpoint-bad button", "Reset").await;
    page.shows(".card.up", "bad").await;
    visit.assert_clean();
}

#[tokio::test]
async fn without_a_config_file_the_page_offers_to_write_the_first_one() {
    // What is built in says where it listens; somebody else may be there.
    let ports = [8080, 8081].map(|port| std::net::TcpListener::bind(("127.0.0.1", port)));
    if ports.iter().any(Result::is_err) {
        return;
    }
    drop(ports);
    let Some(browser) = crate::support::browser::Browser::start().await else { return };
    let upstream = healthy("mine").await;
    let proxy = Proxy::start_without_config().await;
    let visit = Visit::at(browser, proxy).await;
    let page = &visit.page;
    visit.go("endpoints").await;
    page.shows(".notice", "There is no config file.").await;
    page.picture("no-file").await;
    // What is built in cannot be changed, by no key either.
    page.eval("document.querySelector('#endpoint-anthropic').focus()").await;
    page.key("Enter").await;
    assert_eq!(page.count("dialog").await, 0);
    page.click("button", "Add an endpoint and create it").await;
    page.shows("dialog .notice", "It takes the place of what is built in (anthropic)").await;
    page.fill("#field-name", "mine").await;
    page.fill("#field-url", &upstream.url()).await;
    page.fill("#field-auth_value", "sk-ant-my-key-4444").await;
    page.click("dialog button", "Review the change").await;
    page.shows("dialog .diff .added", "name: mine").await;
    page.shows("dialog .notice", "It takes the place of what is built in (anthropic)").await;
    page.picture("first-file").await;
    page.click("dialog button", "Write it").await;
    page.shows(".card", "mine").await;
    page.hides(".notice", "There is no config file.").await;
    eventually("the file is there", || visit.file().exists()).await;
    assert!(visit.yaml().contains("name: mine"));
    visit.assert_clean();
}

/// The page shows a refused file where its reader is, and what a change needs a restart for.
#[tokio::test]
async fn a_broken_file_is_told_and_the_settings_in_force_are_shown_without_secrets() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::commented(&upstream.url(), &upstream.url()).await else { return };
    let page = &visit.page;
    visit.go("system").await;
    page.shows(".panel", "The file is in force").await;
    page.shows(".yaml", "auth_value").await;
    settings_without_secrets(page).await;
    let good = visit.yaml();
    visit.proxy.write_config(&good.replace("auth_type: api_key", "auth_tpye: api_key"));
    page.shows(".notice.bad", "auth_tpye").await;
    page.picture("refused").await;
    visit.proxy.write_config(&good);
    page.hides(".notice.bad", "auth_tpye").await;
    page.click("button", "Reload the file").await;
    page.shows(".toast", "read").await;
    for fact in ["Version", "Memory", "Process", "Request log"] {
        page.shows(".panel", fact).await;
    }
    visit.assert_clean();
}

async fn settings_without_secrets(page: &Page) {
    let shown = page.text(".yaml").await;
    assert!(shown.contains("…2222"), "{shown}");
    assert!(!shown.contains("sk-ant-second-key-2222") && !shown.contains("sk-ant-first-key-1111"), "{shown}");
    assert_ne!(json!(shown), json!(""));
}

/// Each endpoint's priority, in the order in which they are tried.
async fn priorities(visit: &Visit) -> Vec<(String, i64)> {
    let list = visit.admin.json("/api/endpoints").await;
    let all = list["endpoints"].as_array().unwrap();
    all.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), one["priority"].as_i64().unwrap())).collect()
}

#[tokio::test]
async fn who_shared_the_load_shares_it_again_after_a_move_is_undone() {
    let upstream = healthy("any").await;
    let endpoints = [("a", 1), ("b", 2), ("c", 2), ("d", 4)];
    let endpoints = endpoints.map(|(name, priority)| Endpoint::at(name, &upstream.url()).priority(priority));
    let Some(visit) = Visit::to(Config::of(endpoints)).await else { return };
    let page = &visit.page;
    visit.go("endpoints").await;
    page.shows(".card", "shares the load").await;
    let before = priorities(&visit).await;
    page.click("#endpoint-c button", "Move c down").await;
    page.until("it is moved", "T.order().join() === 'a,b,d,c'").await;
    page.click(".toast button", "Undo").await;
    page.until("it is back", "T.order().join() === 'a,b,c,d'").await;
    page.shows("#endpoint-b .chip", "priority 2 · shares the load").await;
    page.shows("#endpoint-c .chip", "priority 2 · shares the load").await;
    assert_eq!(priorities(&visit).await, before);
    page.until("the focus is at it", "document.activeElement.id === 'endpoint-c'").await;
    visit.assert_clean();
}

/// A click where the dialog is not.
async fn click_beside(page: &Page) {
    for kind in ["mousePressed", "mouseReleased"] {
        let event = json!({"type": kind, "x": 4, "y": 4, "button": "left", "clickCount": 1});
        page.call("Input.dispatchMouseEvent", event).await;
    }
}

#[tokio::test]
async fn what_was_typed_into_a_form_is_not_lost_to_a_slip() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::to(Config::in_order([&upstream])).await else { return };
    let page = &visit.page;
    visit.go("endpoints").await;
    page.shows(".card", "only").await;
    let closed = "!document.querySelector('dialog')";
    page.key("a").await;
    page.shows("dialog", "Add endpoint").await;
    page.key("Escape").await;
    page.until("who typed nothing is not asked", closed).await;

    page.key("a").await;
    page.fill("#field-name", "half typed").await;
    // The browser by itself would close it at the second.
    for _ in 0..3 {
        page.key("Escape").await;
    }
    page.shows("dialog [role=alert]", "Discard what you have entered?").await;
    page.picture("form-discard").await;
    page.click("dialog button", "Keep editing").await;
    page.hides("dialog [role=alert]", "").await;
    page.until("the field has the focus", "document.activeElement.id === 'field-name'").await;
    click_beside(page).await;
    page.shows("dialog [role=alert]", "Discard what you have entered?").await;
    assert_eq!(page.eval("document.querySelector('#field-name').value").await, "half typed");
    page.click("dialog button", "Discard").await;
    page.until("it is closed", closed).await;
    visit.assert_clean();
}

#[tokio::test]
async fn who_changes_a_broken_file_is_told_that_it_is_broken() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::commented(&upstream.url(), &upstream.url()).await else { return };
    let page = &visit.page;
    visit.go("endpoints").await;
    page.shows(".card", "second").await;
    let good = visit.yaml();
    let broken = good.replace("endpoints:", "endpoints: ][");
    visit.proxy.write_config(&broken);
    page.shows(".toast", "The config file was refused").await;
    page.click("#endpoint-second button", "Move second up").await;
    page.shows(".toast", "the config file is broken as it is").await;
    page.click("#endpoint-second button", "Edit").await;
    page.fill("#field-priority", "7").await;
    page.click("dialog button", "Review the change").await;
    page.shows("dialog .notice", "the config file is broken as it is").await;
    page.hides(".notice, .toast", "changed meanwhile").await;
    assert_eq!(visit.yaml(), broken);
    visit.assert_clean();
}
