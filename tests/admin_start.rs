//! The admin server's place in the program: where it listens, what a first file is, and which settings need a restart.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::admin::Admin;
use crate::support::proxy::{Config, KEY};
use crate::support::{Client, PATIENCE, Request, assert_right, healthy, ms};

#[tokio::test]
async fn a_taken_port_is_told_holds_nothing_up_and_is_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let alpha = healthy("alpha").await;
    let config = Config::in_order([&alpha]).admin().set("web_admin.port", &address.port().to_string());
    let proxy = config.start().await;
    proxy.says("the admin server cannot listen on 127.0.0.1").await;
    assert!(proxy.said().contains("web_admin.port"), "it says what to do: {}", proxy.said());
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    drop(taken);
    proxy.says(&format!("the admin server listens on http://{address} now")).await;
    let status = Admin::at(address).json("/api/status").await;
    assert_eq!((&status["totals"]["requests"], &status["admin"]), (&1.into(), &address.to_string().into()));
}

#[tokio::test]
async fn switched_off_it_listens_nowhere() {
    let alpha = healthy("alpha").await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = Config::in_order([&alpha]).set("web_admin.port", &free.port().to_string());
    let proxy = config.start().await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert!(tokio::net::TcpStream::connect(free).await.is_err());
    assert!(!proxy.said().contains("admin "), "{}", proxy.said());
}

#[tokio::test]
async fn what_listens_where_needs_a_restart_and_all_else_does_not() {
    let alpha = healthy("alpha").await;
    let proxy = Config::in_order([&alpha]).admin().start().await;
    let admin = proxy.admin().await;
    let next = Config::in_order([&alpha]).admin().set("web_admin.enabled", "false").set("web_admin.port", "9");
    proxy.write_config(&next.set("web_admin.auth_token", "needed-from-now-on").yaml());
    let known = admin.clone().with_token("needed-from-now-on");
    // The token is asked for as soon as the file is read; the listener stays what it was.
    let limit = claude_proxy::clock::now() + PATIENCE;
    while admin.get("/api/status").await.status() != 401 {
        assert!(claude_proxy::clock::now() < limit, "{}", proxy.said());
    }
    let standing = &known.json("/api/status").await["config"];
    let needed = standing["restart_needed"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert_eq!(needed, ["web_admin.enabled: true -> false", "web_admin.port: 0 -> 9"]);
    proxy.says("needs a restart").await;
}

/// The program without any config file, in a folder of its own.
struct Bare {
    folder: TempDir,
    client: Client,
    admin: Admin,
    _child: Child,
}

impl Bare {
    /// Its ports are the built-in ones: `None` when somebody else has one of them for good.
    async fn start() -> Option<Self> {
        for _ in 0..20 {
            if let Some(bare) = Self::try_start().await {
                return Some(bare);
            }
            tokio::time::sleep(ms(500)).await;
        }
        None
    }

    async fn try_start() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_claude-proxy"))
            .arg("serve")
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("FIRST_KEY", "sk-first-key-from-outside")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut client, mut admin) = (None, None);
        while client.is_none() || admin.is_none() {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("it says something").unwrap()?;
            if let Some((_, address)) = line.split_once("listening on http://") {
                client = Some(Client(address.trim().parse().unwrap()));
            } else if let Some((_, address)) = line.split_once("  admin      http://") {
                admin = Some(Admin::at(address.trim().parse().unwrap()));
            } else if line.contains("cannot listen") {
                return None;
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { folder, client: client?, admin: admin?, _child: child })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }
}

#[tokio::test]
async fn a_program_without_a_file_makes_a_first_one_when_an_endpoint_is_added() {
    let Some(bare) = Bare::start().await else {
        eprintln!("not tested: another program has port 8080 or 8081");
        return;
    };
    let admin = &bare.admin;
    let status = admin.json("/api/status").await;
    assert_eq!(status["config"]["file"], Value::Null);
    assert_eq!(status["config"]["would_write"], bare.file().display().to_string());
    let alpha = healthy("alpha").await;
    let body = json!({"name": "alpha", "url": alpha.url(), "auth_type": "api_key", "auth_value": "${FIRST_KEY}"});
    let rehearsed = admin.change("POST", "/api/endpoints?dry_run=true", &body).await;
    assert!(rehearsed["diff"].as_str().unwrap().contains("+  - name: alpha"), "{rehearsed:#}");
    assert!(!bare.file().exists());
    let refused = admin.send("PATCH", "/api/endpoints/anthropic", Some(&json!({"priority": 2}))).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("init"), "{}", refused.text());
    let wrong = json!({"name": "alpha", "url": "nowhere", "auth_type": "api_key", "auth_value": KEY});
    assert_eq!(admin.send("POST", "/api/endpoints", Some(&wrong)).await.json()["error"]["field"], "url");
    assert!(!bare.file().exists());
    let made = admin.send("POST", "/api/endpoints", Some(&body)).await;
    assert_eq!((made.status(), &made.json()["file"]), (201, &bare.file().display().to_string().into()));
    assert_right(&bare.client.send(&Request::message()).await, false, "alpha");
    assert_eq!(alpha.requests()[0].header("x-api-key"), Some("sk-first-key-from-outside"));
    let text = std::fs::read_to_string(bare.file()).unwrap();
    assert!(text.contains("${FIRST_KEY}") && !text.contains("sk-first"), "{text}");
    #[cfg(unix)]
    {
        let permissions = std::fs::metadata(bare.file()).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, 0o600);
    }
    // From now on it is a file like any other: changed by the API, and watched.
    admin.change("PATCH", "/api/endpoints/alpha", &json!({"priority": 4})).await;
    let text = std::fs::read_to_string(bare.file()).unwrap().replace("priority: 4", "priority: 5");
    std::fs::write(bare.file(), text).unwrap();
    admin.until("/api/endpoints", |list| list["endpoints"][0]["priority"] == 5).await;
}

/// As after `claude-proxy init` beside it.
#[tokio::test]
async fn a_program_without_a_file_takes_one_that_came_later_when_it_is_told_to() {
    let Some(bare) = Bare::start().await else {
        eprintln!("not tested: another program has port 8080 or 8081");
        return;
    };
    assert_eq!(bare.admin.send("POST", "/api/config/reload", None).await.status(), 422, "there is none");
    let alpha = healthy("alpha").await;
    std::fs::write(bare.file(), "endpoints: [\n").unwrap();
    assert_eq!(bare.admin.send("POST", "/api/config/reload", None).await.status(), 422);
    let text =
        format!("endpoints:\n  - {{ name: a, url: '{}', auth_type: api_key, auth_value: {KEY} }}\n", alpha.url());
    std::fs::write(bare.file(), text).unwrap();
    // From the first time on it is watched.
    bare.admin.until("/api/endpoints", |list| list["endpoints"][0]["name"] == "a").await;
    assert_right(&bare.client.send(&Request::message()).await, false, "alpha");
    let status = bare.admin.json("/api/status").await;
    assert_eq!(status["config"]["file"], bare.file().display().to_string());
}
