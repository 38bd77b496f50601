//! The real program beside an example: started with a config in a temporary folder, ended with the example.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

pub type Failure = Box<dyn Error + Send + Sync>;

pub struct Program {
    folder: TempDir,
    child: Child,
    pub address: SocketAddr,
    /// What it said before and after it listened, line by line.
    pub lines: mpsc::UnboundedReceiver<String>,
}

impl Program {
    pub async fn start(config: &str) -> Result<Self, Failure> {
        let program = find().await?;
        let folder = TempDir::with_prefix("claude-proxy-")?;
        write_private(&folder.path().join("config.yaml"), config)?;
        let mut child = Command::new(program)
            .arg("--config")
            .arg(folder.path().join("config.yaml"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().ok_or("no standard error")?).lines();
        let (keep, lines) = mpsc::unbounded_channel();
        let address = loop {
            let line = said.next_line().await?.ok_or("claude-proxy ended before it listened")?;
            let address = listening(&line);
            keep.send(line)?;
            if let Some(address) = address {
                break address;
            }
        };
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                // Nobody has to listen; but the pipe must not fill up.
                let _ = keep.send(line);
            }
        });
        Ok(Self { folder, child, address, lines })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Configs hold keys; the program warns about one that others can read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.split_whitespace().next()?.trim_end_matches(['/', ',', '.']).parse().ok()
}

/// The program of the same build: it lies one folder above the examples. Builds it when it is not there.
async fn find() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).ok_or("this example lies in no target folder")?;
    let program = folder.join(format!("claude-proxy{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        build(folder).await?;
    }
    if program.exists() { Ok(program) } else { Err(format!("{} is not there", program.display()).into()) }
}

async fn build(folder: &Path) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bin", "claude-proxy"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    if command.status().await?.success() { Ok(()) } else { Err("cargo build --bin claude-proxy failed".into()) }
}
