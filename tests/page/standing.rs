//! Who may look, and what the page says when there is nobody to look at.

use super::Visit;
use crate::support::client::Request;
use crate::support::healthy;
use crate::support::proxy::{Config, Proxy};

const TOKEN: &str = "the-operators-token-0001";

#[tokio::test]
async fn a_token_is_asked_for_and_taken_once() {
    let upstream = healthy("only").await;
    let Some(visit) = Visit::to(Config::in_order([&upstream]).set("web_admin.auth_token", TOKEN)).await else { return };
    let page = &visit.page;
    page.shows(".login", "Token").await;
    page.fill("#field-token", "not-this-one").await;
    page.key("Enter").await;
    page.until("the field is at fault", "document.querySelector('.field-fault')?.textContent").await;
    page.picture("login").await;
    page.fill("#field-token", TOKEN).await;
    page.key("Enter").await;
    page.shows(".endpoint-table tr", "only").await;
    page.shows(".live", "Live").await;
    // A script of somebody else's could not read it.
    assert_eq!(page.eval("document.cookie").await, "");
    page.open(&visit.origin()).await;
    page.shows(".endpoint-table tr", "only").await;
    visit.go("system").await;
    page.click("button", "Log out").await;
    page.shows(".login", "Token").await;
    visit.assert_clean();
}

#[tokio::test]
async fn a_proxy_that_is_gone_is_told_and_taken_up_again_when_it_is_back() {
    let upstream = healthy("only").await;
    let config = Config::in_order([&upstream]);
    let Some(mut visit) = Visit::to(config.clone()).await else { return };
    visit.proxy.send(&Request::message()).await;
    visit.page.shows(".tile", "Requests 1").await;
    let ports = [("server.port", visit.proxy.address()), ("web_admin.port", visit.admin.address)];
    let same = ports.iter().fold(config.admin(), |config, (key, address)| config.set(key, &address.port().to_string()));

    visit.proxy.signal("KILL").await;
    visit.proxy.exit().await;
    visit.page.shows(".gone", "The proxy does not answer.").await;
    visit.page.shows(".gone", "What you see is from before.").await;
    visit.page.shows(".tile", "Requests 1").await;
    visit.page.picture("gone").await;

    visit.proxy = Proxy::start(same.folder(), &[]).await;
    visit.page.until("the banner goes by itself", "!document.querySelector('.gone')").await;
    visit.page.shows(".toast", "started anew").await;
    visit.go("requests").await;
    visit.proxy.send(&Request::message()).await;
    visit.page.shows("tr.row", "only").await;
    visit.assert_clean();
}

#[tokio::test]
async fn a_request_opened_while_the_proxy_is_away_is_shown_when_it_is_back() {
    let upstream = healthy("only").await;
    let config = Config::in_order([&upstream]);
    let Some(mut visit) = Visit::to(config.clone()).await else { return };
    let answer = visit.proxy.send(&Request::message()).await;
    let id = visit.proxy.record(&answer).await["id"].as_str().unwrap().to_owned();
    let ports = [("server.port", visit.proxy.address()), ("web_admin.port", visit.admin.address)];
    let same = ports.iter().fold(config.admin(), |config, (key, address)| config.set(key, &address.port().to_string()));

    let folder = visit.proxy.kill().await;
    visit.page.shows(".gone", "The proxy does not answer.").await;
    visit.page.eval(&format!("void (location.hash = '#/requests/{id}')")).await;
    visit.page.shows(".detail .notice", "The proxy does not answer.").await;

    same.write_to(&folder);
    visit.proxy = Proxy::start(folder, &[]).await;
    visit.page.shows("[role=tab]", "Conversation").await;
    visit.page.hides(".detail .notice", "").await;
    visit.assert_clean();
}
