//! The real program as a process, with a config and a log folder of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::client::{Answer, Client, Request};
use super::upstream::Upstream;
use super::{PATIENCE, eventually, ms};

/// The value of every test endpoint's credential, unless it has another.
pub const KEY: &str = "sk-ant-test-endpoint-key";

/// An endpoint as the config names it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: String,
    keys: BTreeMap<String, String>,
}

impl Endpoint {
    pub fn at(name: &str, url: &str) -> Self {
        let keys = [("url", url), ("auth_type", "api_key"), ("auth_value", KEY)];
        Self { name: name.to_owned(), keys: keys.map(|(key, value)| (key.to_owned(), value.to_owned())).into() }
    }

    pub fn of(upstream: &Upstream) -> Self {
        Self::at(upstream.name(), &upstream.url())
    }

    /// A key with its value as YAML.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    pub fn priority(self, value: u32) -> Self {
        self.set("priority", &value.to_string())
    }
}

impl From<&Upstream> for Endpoint {
    fn from(upstream: &Upstream) -> Self {
        Self::of(upstream)
    }
}

/// What the config will say.
#[derive(Clone, Debug)]
pub struct Config {
    endpoints: Vec<Endpoint>,
    /// `section.key` to YAML.
    settings: BTreeMap<(String, String), String>,
}

impl Config {
    /// Endpoints in order of priority: the first is tried first.
    pub fn in_order<E: Into<Endpoint>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        let ranked = endpoints.into_iter().zip(1..).map(|(endpoint, rank)| endpoint.into().priority(rank));
        Self::of(ranked)
    }

    pub fn of(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let config = Self { endpoints: endpoints.into_iter().collect(), settings: BTreeMap::new() };
        config.set("server.port", "0").set("web_admin.enabled", "false")
    }

    /// `set("timeouts.first_byte", "300ms")`
    pub fn set(mut self, path: &str, value: &str) -> Self {
        let (section, key) = path.split_once('.').expect("section.key");
        self.settings.insert((section.to_owned(), key.to_owned()), value.to_owned());
        self
    }

    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    pub fn yaml(&self) -> String {
        let mut yaml = String::from("endpoints:\n");
        for endpoint in &self.endpoints {
            let _ = writeln!(yaml, "  - name: {}", endpoint.name);
            for (key, value) in &endpoint.keys {
                let _ = writeln!(yaml, "    {key}: {value}");
            }
        }
        let mut open = "";
        for ((section, key), value) in &self.settings {
            if section != open {
                let _ = writeln!(yaml, "{section}:");
                open = section;
            }
            let _ = writeln!(yaml, "  {key}: {value}");
        }
        yaml
    }

    pub async fn start(&self) -> Proxy {
        self.start_with(&[]).await
    }

    /// With these variables in its environment, which has no other but `PATH` and `HOME`.
    pub async fn start_with(&self, environment: &[(&str, &str)]) -> Proxy {
        Proxy::start(self.folder(), environment).await
    }

    /// A fresh folder with this config in it.
    pub fn folder(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        self.write_to(&folder);
        folder
    }

    pub fn write_to(&self, folder: &TempDir) {
        std::fs::write(folder.path().join("config.yaml"), self.yaml()).unwrap();
    }
}

pub struct Proxy {
    folder: TempDir,
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Proxy {
    /// A proxy over these upstreams, the first one first.
    pub async fn over<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>) -> Self {
        Config::in_order(upstreams).start().await
    }

    /// Starts the program in `folder`, which holds its `config.yaml`.
    pub async fn start(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_claude-proxy")), folder, environment).await
    }

    /// With at most that many open descriptors.
    pub async fn start_limited(folder: TempDir, descriptors: u32) -> Self {
        Self::run(shell(&format!("ulimit -n {descriptors}")), folder, &[]).await
    }

    /// With that many at first, and the system's own limit to grow to.
    pub async fn start_soft_limited(folder: TempDir, descriptors: u32) -> Self {
        Self::run(shell(&format!("ulimit -Sn {descriptors}")), folder, &[]).await
    }

    /// Where no file can grow beyond a few KiB: as on a full disk, a write fails half-way.
    pub async fn start_on_a_full_disk(folder: TempDir) -> Self {
        Self::run(shell("trap '' XFSZ; ulimit -Sf 16"), folder, &[]).await
    }

    /// In an empty folder, with what is built in: it listens at the usual ports.
    pub async fn start_without_config() -> Self {
        Self::run_with(Command::new(env!("CARGO_BIN_EXE_claude-proxy")), TempDir::new().unwrap(), &[], &["serve"]).await
    }

    async fn run(program: Command, folder: TempDir, environment: &[(&str, &str)]) -> Self {
        Self::run_with(program, folder, environment, &["--config", "config.yaml", "serve"]).await
    }

    async fn run_with(mut program: Command, folder: TempDir, environment: &[(&str, &str)], args: &[&str]) -> Self {
        let mut child = program
            .args(args)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut said = keep.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let address = listening(&mut child, &said).await;
        Self { folder, child, address, said }
    }

    pub fn client(&self) -> Client {
        Client(self.address)
    }

    pub async fn send(&self, request: &Request) -> Answer {
        self.client().send(request).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the proxy runs")
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Everything on its standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// `TERM`, `INT`, `HUP`
    pub async fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &command]).status().await.unwrap().success());
    }

    pub async fn exit(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the proxy ends").unwrap()
    }

    /// Ends it as a machine without mercy does; what is left of it.
    pub async fn kill(mut self) -> TempDir {
        self.child.kill().await.unwrap();
        self.folder
    }

    /// Puts another config in place, as editors do: beside it, then over it.
    pub fn write_config(&self, yaml: &str) {
        let path = self.folder.path().join("config.yaml");
        let beside = path.with_extension("new");
        std::fs::write(&beside, yaml).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    /// All of its log, oldest first.
    pub fn records(&self) -> Vec<Value> {
        let whole = self.log_text();
        // The last line may be half written.
        let whole = whole.rfind('\n').map_or("", |end| &whole[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The log files' text.
    pub fn log_text(&self) -> String {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("logs")) else { return String::new() };
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        // The index lies beside them.
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        // A line that is being written may end within a character.
        paths.iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
    }

    /// The record of the request that `answer` belongs to.
    pub async fn record(&self, answer: &Answer) -> Value {
        let id = answer.request_id();
        self.record_where(&format!("record {id}"), |record| record["id"] == id).await
    }

    pub async fn record_where(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        eventually(what, || {
            found = self.records().into_iter().find(&matches);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Waits for a line on standard error.
    pub async fn says(&self, what: &str) {
        eventually(&format!("it says {what}"), || self.said().contains(what)).await;
    }
}

/// The program behind a shell that runs `first`.
fn shell(first: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_claude-proxy")]);
    shell
}

/// The endpoints that a record's attempts name, in order.
pub fn tried(record: &Value) -> Vec<&str> {
    record["attempts"].as_array().unwrap().iter().map(|attempt| attempt["endpoint"].as_str().unwrap()).collect()
}

async fn listening(child: &mut Child, said: &Mutex<String>) -> SocketAddr {
    let find = || {
        let said = said.lock().unwrap();
        let rest = said.split_once("listening on http://")?.1;
        rest.lines().next()?.split_whitespace().next()?.trim_end_matches(['/', ',', '.']).parse().ok()
    };
    let wait = async {
        loop {
            if let Some(address) = find() {
                return address;
            }
            let over = child.try_wait().unwrap();
            tokio::time::sleep(ms(5)).await;
            assert!(over.is_none() || find().is_some(), "the proxy ended: {over:?}\n{}", said.lock().unwrap());
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the proxy does not listen:\n{}", said.lock().unwrap()))
}
