//! A real Chromium, driven over its debugging pipe: what a person does at the page, and a record of what the page must
//! never do.
//!
//! It is the one that `CLAUDE_PROXY_BROWSER` names, or else one on the `PATH`. Where there is none the tests say that the
//! page was not tested, and pass; with `CLAUDE_PROXY_BROWSER_REQUIRED=1` they fail.
//! `CLAUDE_PROXY_PICTURES=FOLDER` keeps what [`Page::picture`] takes.

mod input;
mod pipe;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use claude_proxy::clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

use super::ms;
use pipe::Pipe;

/// A browser on a machine that compiles beside it is slower than anything else here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the tests ask the page with; there before any script of its own.
const HELPERS: &str = include_str!("browser/helpers.js");

/// One at a time: two that start together on a small machine make each other look slow.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Browser {
    pipe: Pipe,
    _child: Child,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What Chromium is called where it is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

impl Browser {
    /// `None` where there is no Chromium that runs, which is said on the real standard error.
    ///
    /// # Panics
    /// When there is none though one is required.
    pub async fn start() -> Option<Self> {
        let Some(program) = program() else { return missing("no Chromium on the PATH") };
        let turn = TURN.lock().await;
        let profile = TempDir::new().unwrap();
        let mut child = launch(&program, &profile);
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else { panic!("pipes") };
        let pipe = Pipe::new(to, from);
        // Some systems have a program of that name that only tells how to install it.
        if pipe.try_call(None, "Browser.getVersion", json!({})).await.is_none() {
            let said = std::fs::read_to_string(profile.path().join("said")).unwrap_or_default();
            return missing(&format!("{} does not run: {}", program.display(), said.trim()));
        }
        Some(Self { pipe, _child: child, _profile: profile, _turn: turn })
    }

    /// A fresh page, of a desktop's size, that has been nowhere.
    pub async fn page(&self) -> Page {
        let context = self.pipe.call(None, "Target.createBrowserContext", json!({})).await;
        let context = context["browserContextId"].as_str().unwrap().to_owned();
        let target = json!({"url": "about:blank", "browserContextId": context});
        let target = self.pipe.call(None, "Target.createTarget", target).await;
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.pipe.call(None, "Target.attachToTarget", attached).await;
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let page = Page { pipe: self.pipe.clone(), session, context };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": HELPERS})).await;
        page.size(1280, 800).await;
        page
    }
}

/// The shell gives Chromium its third and fourth descriptors, which a Rust program cannot hand on safely.
fn launch(program: &Path, profile: &TempDir) -> Child {
    Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>\"$PROFILE/said\""])
        .arg(program)
        .args(["--remote-debugging-pipe", "--headless=new", "--no-first-run", "--disable-gpu", "--disable-extensions"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"])
        // Root may not use the sandbox, and nothing but our own page is opened.
        .args(["--no-sandbox", "--disable-dev-shm-usage", "--lang=en-US", "--force-color-profile=srgb"])
        .arg("--hide-scrollbars")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env("PROFILE", profile.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a shell")
}

/// An empty name is a wish to do without.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CLAUDE_PROXY_BROWSER") {
        return (!named.is_empty()).then(|| PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|program| program.is_file())
}

fn missing(why: &str) -> Option<Browser> {
    let required = std::env::var_os("CLAUDE_PROXY_BROWSER_REQUIRED").is_some_and(|value| value == "1");
    assert!(!required, "{why}");
    skipped(&format!("{why}: the page is not tested in a browser"));
    None
}

/// Tells somebody who watches the tests pass that one of them did nothing; `eprintln` is kept from them.
pub fn skipped(what: &str) {
    let _ = std::io::stderr().write_all(format!("\n{what}\n").as_bytes());
}

/// One tab. Everything that waits panics after [`PATIENCE`] and says what the page showed.
pub struct Page {
    pipe: Pipe,
    session: String,
    context: String,
}

impl Page {
    pub async fn call(&self, method: &str, params: Value) -> Value {
        self.pipe.call(Some(&self.session), method, params).await
    }

    pub async fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.until("the page is there", "document.readyState === 'complete' && document.querySelector('main')").await;
    }

    pub async fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// `dark` or `light`, as the system would have it.
    pub async fn scheme(&self, name: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": name}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// What the expression comes to, awaited where it is a promise.
    pub async fn eval(&self, expression: &str) -> Value {
        let params =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", params).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}\n{thrown:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until the expression is true.
    pub async fn until(&self, what: &str, expression: &str) {
        let wanted = format!("Boolean({expression})");
        let limit = clock::now() + PATIENCE;
        while self.eval(&wanted).await != true {
            if clock::now() > limit {
                let text = self.eval("(document.body?.innerText ?? '').slice(0, 3000)").await;
                self.picture("failed").await;
                panic!(
                    "this did not come true: {what}\n{expression}\n{}\n{}",
                    text.as_str().unwrap_or(""),
                    self.faults("")
                );
            }
            tokio::time::sleep(ms(25)).await;
        }
    }

    /// Whether the expression comes true within a moment.
    pub async fn is_soon(&self, expression: &str) -> bool {
        let (wanted, limit) = (format!("Boolean({expression})"), clock::now() + ms(2000));
        while self.eval(&wanted).await != true {
            if clock::now() > limit {
                return false;
            }
            tokio::time::sleep(ms(25)).await;
        }
        true
    }

    /// Waits until something that fits the selector shows this text.
    pub async fn shows(&self, selector: &str, text: &str) {
        self.until(&format!("{selector} shows {text}"), &format!("T.find({}, {})", quoted(selector), quoted(text)))
            .await;
    }

    /// Waits until nothing that fits the selector shows this text.
    pub async fn hides(&self, selector: &str, text: &str) {
        let expression = format!("!T.find({}, {})", quoted(selector), quoted(text));
        self.until(&format!("{selector} no longer shows {text}"), &expression).await;
    }

    /// The visible text of the first that fits.
    pub async fn text(&self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText ?? ''", quoted(selector))).await;
        text.as_str().unwrap().to_owned()
    }

    pub async fn count(&self, selector: &str) -> u64 {
        self.eval(&format!("document.querySelectorAll({}).length", quoted(selector))).await.as_u64().unwrap()
    }

    /// Keeps what the page looks like now, when somebody wants to see it.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("CLAUDE_PROXY_PICTURES") else { return };
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let png = BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }

    /// # Panics
    /// When the page asked another origin for anything, broke its own content policy, threw, or wrote an error.
    pub fn assert_clean(&self, origin: &str) {
        let faults = self.faults(origin);
        assert!(faults.is_empty(), "{faults}");
    }

    /// A refusal or a lost connection is the page's to show, and the browser's note of it no fault of the page.
    fn faults(&self, origin: &str) -> String {
        let mut faults = String::new();
        for (method, params) in self.pipe.heard(&self.session) {
            let fault = match method.as_str() {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if params["type"] != "log" => Some(params["args"].to_string()),
                "Log.entryAdded" if params["entry"]["source"] != "network" && params["entry"]["level"] != "info" => {
                    Some(params["entry"].to_string())
                }
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    (!url.starts_with(origin) && !url.starts_with("data:")).then(|| format!("it asked for {url}"))
                }
                _ => None,
            };
            if let Some(fault) = fault {
                let _ = writeln!(faults, "{fault}");
            }
        }
        faults
    }
}

/// A JavaScript string.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
