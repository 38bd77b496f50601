//! The program as somebody calls it: a line, what it printed, how it ended. And a running proxy to call it about.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Proxy;
use super::proxy::Config;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that it was refused with `code`, nothing on stdout and each of `words` on stderr.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        assert!(words.iter().all(|word| self.err.contains(word)), "{words:?}: {}", self.err);
    }
}

/// The program in `folder`, with nothing of the tester's environment but the path.
pub fn program(folder: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
    command.args(line).current_dir(folder).stdin(Stdio::null());
    command.env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs it to its end, while the proxy and the upstreams of the test go on.
pub async fn run(mut command: Command) -> Ran {
    Ran::of(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

/// The same with `input` on its stdin.
pub async fn run_with(mut command: Command, input: &str) -> Ran {
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not read it is fine.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    Ran::of(output.await.unwrap())
}

/// A running proxy, and beside its config one that names the ports that it got.
pub struct Running {
    pub proxy: Proxy,
}

impl Running {
    pub async fn of(config: Config) -> Self {
        let config = config.admin();
        let proxy = config.start().await;
        let (port, admin) = (proxy.address().port(), proxy.admin().await.address.port());
        let known = config.set("server.port", &port.to_string()).set("web_admin.port", &admin.to_string());
        std::fs::write(proxy.folder().join("known.yaml"), known.yaml()).unwrap();
        Self { proxy }
    }

    pub fn folder(&self) -> PathBuf {
        self.proxy.folder()
    }

    pub fn program(&self, line: &[&str]) -> Command {
        let mut command = program(&self.folder(), line);
        command.env("CLAUDE_PROXY_CONFIG", "known.yaml");
        command
    }

    pub async fn run(&self, line: &[&str]) -> Ran {
        run(self.program(line)).await
    }
}
