//! What strangers wrote is text, and much of it is no burden.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Visit;
use crate::support::admin::Admin;
use crate::support::browser::{Browser, Page};
use crate::support::client::Request;
use crate::support::healthy;
use crate::support::proxy::{Config, Proxy};
use crate::support::upstream::{Reply, Upstream, bodies};

/// Longer than this, a task of the page is a page that hangs; a small machine that runs other tests beside is allowed for.
const LONGEST_TASK_MS: f64 = 1500.0;

const MARKUP: &str = "<script>globalThis.pwned = 1</script><img src=x onerror='globalThis.pwned = 2'><b id=pwned>bold</b>\
                      <svg onload='globalThis.pwned = 3'></svg><iframe src='javascript:globalThis.pwned = 4'></iframe>";
const ODD: &str = "\u{1b}[31mred\u{1b}[0m \u{202e}gnp.exe 漢字かな 👩‍👩‍👧‍👦 \u{0}\u{7}";

/// Everything bad at once, with that much more of it.
fn hostile(size: usize) -> String {
    let mut text = format!("{MARKUP} {ODD} {} ", "W".repeat(20_000));
    let filling = "<b>漢</b> ";
    text.extend(std::iter::repeat_n(filling, (size.saturating_sub(text.len())) / filling.len()));
    text
}

async fn watch_tasks(page: &Page) {
    page.eval(
        "globalThis.tasks = [0]; new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
           .observe({ type: 'longtask' }); 0",
    )
    .await;
}

async fn assert_smooth(page: &Page) {
    let longest = page.eval("Math.max(...tasks)").await.as_f64().unwrap();
    assert!(longest < LONGEST_TASK_MS, "a task of {longest} ms");
}

async fn assert_only_text(page: &Page) {
    assert_eq!(page.eval("globalThis.pwned ?? null").await, Value::Null, "something was run");
    for markup in ["#pwned", "#app img[src=x]", "iframe", "#app script", "#app b b"] {
        assert_eq!(page.count(markup).await, 0, "{markup} came to be");
    }
}

#[tokio::test]
async fn hostile_bodies_of_five_megabytes_show_as_text_and_do_not_hang_the_page() {
    let said = hostile(200_000);
    let events = bodies::events(&[&said, " the end"]);
    let upstream =
        Upstream::new("hostile").always(Reply::stream(events).header("x-odd", MARKUP)).start().await.unwrap();
    let config =
        Config::in_order([&upstream]).set("logging.log_request_body", "full").set("logging.log_response_body", "full");
    let Some(visit) = Visit::to(config).await else { return };
    let page = &visit.page;
    let asked = hostile(5 * 1024 * 1024);
    let tool = json!({"name": MARKUP, "description": MARKUP, "input_schema": {MARKUP: MARKUP}});
    let request = Request::messages(&json!({
        "model": MARKUP,
        "stream": true,
        "tools": [tool],
        "messages": [{"role": MARKUP, "content": asked}, {"role": "user", "content": [{"type": MARKUP, "name": MARKUP}]}],
    }));
    let answer = visit.proxy.send(&request.session(MARKUP)).await;
    // Until the file has it, memory shows the beginning of so much.
    visit.proxy.record(&answer).await;
    visit.go("requests").await;
    // What follows the last slash of the model's name.
    page.shows("tr.row", "iframe>").await;
    watch_tasks(page).await;
    page.click("tr.row", "hostile").await;
    page.shows(".conversation", "<script>globalThis.pwned = 1</script>").await;
    page.shows(".conversation", "\\x1b[31mred").await;
    page.shows(".conversation", "\\u202egnp.exe").await;
    page.shows(".conversation", "漢字かな 👩").await;
    page.picture("hostile").await;
    page.click("summary", "tool").await;
    for tab in ["Request", "Answer", "Events", "Headers"] {
        page.click("[role=tab]", tab).await;
        page.shows("#tab-panel", "").await;
        page.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))").await;
        assert_only_text(page).await;
    }
    assert_smooth(page).await;
    let width = page.eval("document.documentElement.scrollWidth - innerWidth").await;
    assert!(width.as_i64().unwrap() <= 0, "a long word widens the page by {width}");
    visit.assert_clean();
}

/// A log of so many requests, as a long day leaves it.
fn day(count: usize) -> String {
    let start = jiff::Zoned::now() - jiff::Span::new().hours(1);
    let mut log = String::new();
    for n in 0..count {
        let at = start.timestamp() + jiff::SignedDuration::from_millis(i64::try_from(n).unwrap());
        let record = json!({
            "v": 1, "id": format!("req_{n}"), "time": at.to_string(), "method": "POST", "path": "/v1/messages",
            "model": format!("claude-nr-{n}-end"), "stream": true, "status": 200, "ending": "complete", "endpoint": "only",
            "duration_ms": 900 + n % 700, "first_byte_ms": 300,
            "attempts": [{"endpoint": "only", "started_ms": 1, "duration_ms": 899, "status": 200, "fault": null}],
            "usage": {"input": 3, "output": 5, "cache_read": 7, "cache_creation": 0},
            "request": {"headers": {}, "body": "{}", "size": 2, "truncated": false},
            "response": {"headers": {}, "body": "", "size": 0, "truncated": false}, "error": null,
        });
        let _ = writeln!(log, "{record}");
    }
    log
}

/// The folder of a proxy that has been there for a while.
fn with_log(config: &Config, log: &str) -> TempDir {
    let folder = config.folder();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let date = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    std::fs::write(logs.join(format!("requests-{date}.jsonl")), log).unwrap();
    folder
}

#[tokio::test]
async fn ten_thousand_rows_are_scrolled_to_the_last_one_and_stay_smooth() {
    let Some(browser) = Browser::start().await else { return };
    let upstream = healthy("only").await;
    let folder = with_log(&Config::in_order([&upstream]).admin(), &day(10_000));
    let proxy = Proxy::start(folder, &[]).await;
    let visit = Visit::at(browser, proxy).await;
    let page = &visit.page;
    indexed(&visit.admin).await;
    visit.go("requests").await;
    page.shows("tr.row", "nr-9999-end").await;
    watch_tasks(page).await;
    // As somebody who drags the bar down, again and again.
    let scroll = "new Promise((done) => {
        const box = document.querySelector('.scroller');
        let [last, still, slow] = [0, 0, 0];
        const step = (now) => {
            slow = Math.max(slow, last ? now - last : 0);
            last = now;
            const before = box.scrollTop;
            box.scrollTop += 6000;
            still = box.scrollTop === before ? still + 1 : 0;
            if (T.find('tr.row', 'nr-0-end') || still > 400) done(slow);
            else requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
    })";
    let slowest = page.eval(scroll).await.as_f64().unwrap();
    page.shows("tr.row", "nr-0-end").await;
    let rows = page.count("tr.row").await;
    assert!(rows < 100, "{rows} rows exist at once");
    assert!(slowest < LONGEST_TASK_MS, "a frame of {slowest} ms");
    assert_smooth(page).await;
    page.shows(".pill, .view-head", "10,000 requests").await;

    visit.proxy.send(&Request::message()).await;
    page.shows(".pill", "1 new").await;
    page.shows("tr.row", "nr-0-end").await;
    page.click(".pill", "").await;

    page.shows("tr.row", "sonnet-4-5").await;
    visit.assert_clean();
}

/// Until the log that was there before is known.
async fn indexed(admin: &Admin) {
    admin.until("/api/logs?limit=1&detail=summary", |page| page["logs"][0]["id"] == "req_9999").await;
}
