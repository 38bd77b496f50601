//! The page in a real browser: every view and every action, and what it must never do.

mod changing;
mod everywhere;
mod hostile;
mod standing;
mod watching;
mod words;

use crate::support::admin::Admin;
use crate::support::browser::{Browser, Page};
use crate::support::proxy::{Config, Proxy};

/// A proxy, its admin API, and a browser at its page.
struct Visit {
    #[expect(dead_code, reason = "it ends when this is dropped")]
    browser: Browser,
    page: Page,
    proxy: Proxy,
    admin: Admin,
}

impl Visit {
    /// `None` where there is no browser.
    async fn to(config: Config) -> Option<Self> {
        let browser = Browser::start().await?;
        let proxy = config.admin().start().await;
        Some(Self::at(browser, proxy).await)
    }

    async fn at(browser: Browser, proxy: Proxy) -> Self {
        let admin = proxy.admin().await;
        let page = browser.page().await;
        page.open(&format!("http://{}/", admin.address)).await;
        Self { browser, page, proxy, admin }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.admin.address)
    }

    /// `requests?q=…`
    async fn go(&self, view: &str) {
        self.page.eval(&format!("void (location.hash = '#/{view}')")).await;
    }

    fn assert_clean(&self) {
        self.page.assert_clean(&self.origin());
    }
}
