//! What is measured side by side: no proxy, claude-proxy, and nginx where it is installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::load::{self, Load};
use super::process::{Failure, Program};

pub struct Side {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Of the process whose time and memory are counted; none where there is no proxy.
    pub pid: Option<u32>,
    _running: Running,
}

enum Running {
    Nothing,
    ClaudeProxy { _program: Program },
    Nginx { _child: Child, _folder: TempDir },
}

impl Side {
    pub fn direct(upstream: SocketAddr) -> Self {
        Self { name: "direct", address: upstream, pid: None, _running: Running::Nothing }
    }

    /// Validation and logs are on, as they are by default.
    pub async fn claude_proxy(upstream: SocketAddr) -> Result<Self, Failure> {
        let config = format!(
            "server: {{ port: 0 }}\nendpoints:\n  - name: bench\n    url: http://{upstream}\n    auth_type: api_key\n    \
             auth_value: sk-bench\nweb_admin: {{ enabled: false }}\n"
        );
        let program = Program::start(&config).await?;
        let (address, pid) = (program.address, program.pid());
        Ok(Self { name: "claude-proxy", address, pid, _running: Running::ClaudeProxy { _program: program } })
    }

    /// One process that relays unbuffered over kept connections and logs nothing.
    pub async fn nginx(upstream: SocketAddr) -> Result<Self, Failure> {
        let folder = TempDir::with_prefix("nginx-")?;
        let address = free_address().await?;
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, nginx_config(address, upstream, folder.path()))?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&config).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        for _ in 0..1000 {
            if TcpStream::connect(address).await.is_ok() {
                let pid = child.id();
                return Ok(Self {
                    name: "nginx",
                    address,
                    pid,
                    _running: Running::Nginx { _child: child, _folder: folder },
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err("nginx did not start".into())
    }

    /// From the start of the program to its first right answer.
    pub async fn first_answer(&self) -> Result<(), Failure> {
        load::once(self.address, Load::SMALL).await
    }
}

async fn free_address() -> Result<SocketAddr, Failure> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

fn nginx_config(own: SocketAddr, upstream: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_rlimit_nofile 8192; pid {folder}/pid; error_log {folder}/error.log crit;
         events {{ worker_connections 6000; }}
         http {{
           access_log off; client_max_body_size 64m; client_body_buffer_size 1m; keepalive_requests 1000000; gunzip on;
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
           uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
           upstream bench {{ server {upstream}; keepalive 512; keepalive_requests 1000000; }}
           server {{
             listen {own} backlog=4096;
             location / {{
               proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600s;
             }}
           }}
         }}"
    )
}

/// CPU time of a process so far, where the system tells it as Linux does.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields count from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Resident memory of a process in bytes, likewise.
pub fn memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}
