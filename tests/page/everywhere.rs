//! What holds in every view: both themes, both languages, a phone's width, and a checker of accessibility.

use serde_json::{Value, json};

use super::Visit;
use crate::support::browser::{Page, skipped};
use crate::support::client::Request;
use crate::support::proxy::Config;
use crate::support::upstream::Reply;
use crate::support::{answering, healthy};

/// A visit with something to see: an endpoint that is down, one that answers, a request that moved on.
async fn lively() -> Option<(Visit, Vec<crate::support::Upstream>)> {
    let tired = answering("tired", Reply::status(529)).await;
    let fresh = healthy("fresh").await;
    let config = Config::in_order([&tired, &fresh]).set("logging.log_request_body", "full");
    let visit = Visit::to(config).await?;
    for _ in 0..3 {
        visit.proxy.send(&Request::stream().session("ada")).await;
    }
    Some((visit, vec![tired, fresh]))
}

/// Each view with what shows that it is there.
async fn views(visit: &Visit) -> Vec<(&'static str, String, &'static str)> {
    let page = visit.admin.until("/api/logs?limit=1", |page| page["logs"][0]["ending"] == "complete").await;
    let detail = |tab: &str| format!("requests/{}?tab={tab}", page["logs"][0]["id"].as_str().unwrap());
    vec![
        ("overview", "overview".to_owned(), ".plot canvas"),
        ("endpoints", "endpoints".to_owned(), ".card"),
        ("requests", "requests".to_owned(), "tr.row"),
        ("detail", detail("talk"), ".conversation"),
        ("request", detail("request"), ".json"),
        ("answer", detail("answer"), ".body-head"),
        ("events", detail("events"), ".event"),
        ("headers", detail("headers"), ".headers"),
        ("system", "system".to_owned(), ".yaml"),
    ]
}

#[tokio::test]
async fn every_view_fits_a_phone_and_speaks_both_languages() {
    let Some((visit, _upstreams)) = lively().await else { return };
    let page = &visit.page;
    fits_every_size(&visit, "en").await;
    page.size(1280, 800).await;
    page.click("button", "中文").await;
    page.shows("h1", "系统").await;
    page.until("the document says so", "document.documentElement.lang === 'zh-CN'").await;
    let bare =
        regex::Regex::new(r"\b(act|col|nav|detail|endpoint|say|log|plot|tile|system|config|keys)\.[a-z_]+\b").unwrap();
    for (name, text) in fits_every_size(&visit, "zh").await {
        // A key without words shows as itself.
        let text = text.replace("log.jsonl", "").replace("config.yaml", "");
        assert!(!bare.is_match(&text), "{name}: {text}");
    }
    page.open(&visit.origin()).await;
    page.shows("h1", "总览").await;
    visit.assert_clean();
}

/// Whether nothing is wider than the screen; what each view says.
async fn fits_every_size(visit: &Visit, language: &str) -> Vec<(&'static str, String)> {
    let page = &visit.page;
    let mut said = Vec::new();
    for (width, scheme) in [LOOKS[0], LOOKS[2]] {
        page.size(width, 800).await;
        page.scheme(scheme).await;
        for (name, view, there) in views(visit).await {
            visit.go(&view).await;
            page.until(name, &format!("T.find({there:?})")).await;
            let over = page.eval("document.documentElement.scrollWidth - innerWidth").await.as_i64().unwrap();
            assert!(over <= 0, "{name} ({language}) is {over} pixels wider than a screen of {width}");
            page.picture(&format!("{name}-{language}-{scheme}-{width}")).await;
            said.push((name, page.eval("document.body.innerText").await.as_str().unwrap().to_owned()));
        }
    }
    said
}

#[tokio::test]
async fn the_theme_follows_the_system_until_somebody_chooses() {
    let Some((visit, _upstreams)) = lively().await else { return };
    let page = &visit.page;
    let ground =
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((all, one) => all + one)";
    page.scheme("dark").await;
    page.until("dark", &format!("{ground} < 150")).await;
    page.scheme("light").await;
    page.until("light", &format!("{ground} > 600")).await;
    visit.go("system").await;
    page.click("button", "Dark").await;
    page.until("dark though the system is light", &format!("{ground} < 150")).await;
    page.open(&visit.origin()).await;
    page.until("still", &format!("{ground} < 150")).await;
    visit.assert_clean();
}

/// The script of axe-core, where `CLAUDE_PROXY_AXE` names its `axe.min.js`.
fn checker() -> Option<String> {
    let Some(named) = std::env::var_os("CLAUDE_PROXY_AXE").filter(|named| !named.is_empty()) else {
        skipped("no CLAUDE_PROXY_AXE: the page is not checked for accessibility");
        return None;
    };
    Some(std::fs::read_to_string(named).unwrap())
}

#[tokio::test]
async fn a_checker_of_accessibility_finds_nothing_serious() {
    let Some(checker) = checker() else { return };
    let Some((visit, _upstreams)) = lively().await else { return };
    let mut faults = Vec::new();
    visit.page.eval(&format!("{checker}; 0")).await;
    for (width, scheme) in LOOKS {
        visit.page.size(width, 800).await;
        visit.page.scheme(scheme).await;
        faults.extend(faults_of_views(&visit, &format!("{scheme}-{width}")).await);
    }
    visit.assert_clean();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A desk's and a phone's width, in both themes.
const LOOKS: [(u32, &str); 4] = [(1280, "light"), (1280, "dark"), (390, "dark"), (390, "light")];

async fn faults_of_views(visit: &Visit, look: &str) -> Vec<String> {
    let page = &visit.page;
    let mut faults = Vec::new();
    for (name, view, there) in views(visit).await {
        visit.go(&view).await;
        page.until(name, &format!("T.find({there:?})")).await;
        faults.extend(serious(page, &format!("{name}, {look}")).await);
    }
    for (view, button, said) in DIALOGS {
        visit.go(view).await;
        page.click_until("button", button, &format!("T.find('dialog', {said:?})")).await;
        page.picture(&format!("dialog-{}-{look}", button.replace(' ', "-"))).await;
        faults.extend(serious(page, &format!("{button}, {look}")).await);
        page.click("dialog button", "Close").await;
        page.until("it is closed", "!document.querySelector('dialog')").await;
    }
    faults
}

/// The one view of those who are not let in yet.
#[tokio::test]
async fn a_checker_of_accessibility_finds_nothing_serious_at_the_login() {
    let Some(checker) = checker() else { return };
    let upstream = healthy("only").await;
    let config = Config::in_order([&upstream]).set("web_admin.auth_token", "the-operators-token-0001");
    let Some(visit) = Visit::to(config).await else { return };
    let page = &visit.page;
    page.eval(&format!("{checker}; 0")).await;
    page.shows(".login", "Token").await;
    let mut faults = Vec::new();
    for (width, scheme) in LOOKS {
        page.size(width, 800).await;
        page.scheme(scheme).await;
        faults.extend(serious(page, &format!("login, {scheme}-{width}")).await);
        page.picture(&format!("login-{scheme}-{width}")).await;
    }
    page.fill("#field-token", "not-this-one").await;
    page.key("Enter").await;
    page.until("the field is at fault", "document.querySelector('.field-fault')?.textContent").await;
    faults.extend(serious(page, "login refused").await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    visit.assert_clean();
}

/// The view, the button that opens one, and what stands in it.
const DIALOGS: [(&str, &str, &str); 4] = [
    ("endpoints", "Add endpoint", "Credential"),
    ("endpoints", "Delete fresh", "It leaves the config file"),
    ("requests", "What can be asked for", "Operators"),
    ("system", "Keyboard", "Everywhere"),
];

/// What it calls serious or critical, one line each.
async fn serious(page: &Page, place: &str) -> Vec<String> {
    // Colours are judged when they have come to rest.
    page.eval("Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => {})))").await;
    let found = page
        .eval(
            "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
               .filter(({ impact }) => impact === 'serious' || impact === 'critical')
               .map(({ id, help, nodes }) => [id, help, nodes.slice(0, 3).map((one) => one.html.slice(0, 160) + ' ' + (one.any[0]?.message ?? ''))]))",
        )
        .await;
    let found = found.as_array().cloned().unwrap_or_else(|| vec![json!("the checker said nothing")]);
    found.iter().map(|one: &Value| format!("{place}: {one:#}")).collect()
}
