//! `status`, `statusline`, `run` and `man` as somebody calls them, with and without a running proxy.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claude_proxy::clock;
use claude_proxy::wire::harmless::is_obeyed;
use serde_json::{Value, json};

use crate::support::program::{Ran, Running, program, run, run_with};
use crate::support::proxy::{Config, Endpoint};
use crate::support::{Reply, Request, Upstream, answering, healthy};

/// A server that takes connections in and never says a word.
fn mute() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    mute().1
}

/// A folder whose config names these ports.
fn place(port: u16, admin: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "server: {{ port: {port}, auth_token: hunter2-hunter2 }}\nweb_admin: {{ port: {admin} }}\n\
         endpoints: [{{ name: a, url: 'https://a.example', auth_type: passthrough }}]\n"
    );
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    folder
}

mod status {
    use super::*;

    #[tokio::test]
    async fn one_screen_tells_how_the_proxy_is_doing() {
        let (alpha, beta) = (answering("alpha", Reply::status(529)).await, healthy("beta").await);
        let running = Running::of(Config::in_order([&alpha, &beta])).await;
        let answer = running.proxy.send(&Request::message()).await;
        running.proxy.record(&answer).await;
        let ran = running.run(&["status"]).await;
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
        let begin = format!("● claude-proxy {} on {}, up ", env!("CARGO_PKG_VERSION"), running.proxy.address());
        assert!(ran.out.starts_with(&begin) && !ran.out.contains('\x1b'), "{}", ran.out);
        for line in ["  requests   1: 100.0% complete, 1 after a failover", "  in flight  0", "  2  beta "] {
            assert!(ran.out.lines().any(|told| told.starts_with(line)), "{line}\n{}", ran.out);
        }
        assert!(ran.out.contains("529"), "the reason of alpha's state is told: {}", ran.out);
        let coloured = running.run(&["status", "--color", "always"]).await;
        assert!(coloured.out.contains("\x1b["), "{}", coloured.out);
    }

    #[tokio::test]
    async fn programs_get_one_object_or_one_row_each() {
        let alpha = healthy("alpha").await;
        let running = Running::of(Config::in_order([&alpha])).await;
        let answer = running.proxy.send(&Request::message()).await;
        running.proxy.record(&answer).await;
        let json = running.run(&["status", "--json"]).await.json();
        assert_eq!((&json["healthy"], &json["status"]["totals"]["complete"]), (&json!(true), &json!(1)));
        assert_eq!((&json["endpoints"][0]["name"], &json["endpoints"][0]["state"]), (&json!("alpha"), &json!("up")));
        let plain = running.run(&["status", "--plain"]).await.out;
        assert!(plain.lines().any(|row| row == "complete\t1"), "{plain}");
        assert!(plain.contains(&format!("endpoint\talpha\tup\t1\t{}\t1\t0\t", alpha.url())), "{plain}");
    }

    #[tokio::test]
    async fn who_is_not_there_is_told_with_what_to_do() {
        let admin = closed_port();
        let folder = place(1, admin);
        let off = run(program(folder.path(), &["status"])).await;
        off.refused(
            4,
            &[&format!("no running claude-proxy at 127.0.0.1:{admin}"), "nobody listens", "claude-proxy serve"],
        );
        let ran = run(program(folder.path(), &["-c", "config.yaml", "status", "--json"])).await;
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!((ran.code, &error["error"]["code"]), (Some(4), &json!("no_proxy")));
        assert!(error["error"]["hint"].as_str().unwrap().contains("claude-proxy --config config.yaml serve"));
    }

    #[tokio::test]
    async fn the_port_for_clients_is_no_port_for_operators() {
        let alpha = healthy("alpha").await;
        let proxy = Config::in_order([&alpha]).start().await;
        let admin = format!("http://{}", proxy.address());
        run(program(&proxy.folder(), &["status", "--admin", &admin]))
            .await
            .refused(4, &["the one for clients", "--admin"]);
    }
}

mod statusline {
    use super::*;

    /// What Claude Code 2.1 sends, but for the session.
    fn input(session: &str) -> String {
        json!({
            "session_id": session, "transcript_path": "/home/me/.claude/projects/p/6e1f.jsonl", "cwd": "/home/me/p",
            "permission_mode": "default", "hook_event_name": "Status",
            "model": { "id": "claude-opus-4-8", "display_name": "Opus 4.8" },
            "workspace": { "current_dir": "/home/me/p", "project_dir": "/home/me/p", "added_dirs": [] },
            "version": "2.1.197", "output_style": { "name": "default" },
            "cost": {
                "total_cost_usd": 0.0123, "total_duration_ms": 45000, "total_api_duration_ms": 2300,
                "total_lines_added": 156, "total_lines_removed": 23
            },
            "context_window": {
                "total_input_tokens": 15234, "total_output_tokens": 4521, "context_window_size": 200_000,
                "current_usage": null, "used_percentage": null, "remaining_percentage": null
            },
            "exceeds_200k_tokens": false, "fast_mode": false, "thinking": { "enabled": true }
        })
        .to_string()
    }

    /// Patient, so that a busy machine changes nothing about what is told.
    const PATIENT: &[&str] = &["statusline", "--within", "5000"];

    fn is_one_line(ran: &Ran) {
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
        assert!(ran.out.ends_with('\n') && ran.out.lines().count() == 1 && ran.out.trim().len() > 3, "{:?}", ran.out);
    }

    #[tokio::test]
    async fn the_session_is_told_with_its_endpoint_and_its_tokens() {
        let (alpha, beta) = (answering("alpha", Reply::status(500)).await, healthy("beta").await);
        let running = Running::of(Config::in_order([&alpha, &beta])).await;
        let session = "6e1f2a00-0000-4000-8000-000000000001";
        for _ in 0..2 {
            let answer = running.proxy.send(&Request::message().session(session)).await;
            running.proxy.record(&answer).await;
        }
        let mut command = running.program(PATIENT);
        command.env("NO_COLOR", "1");
        let ran = run_with(command, &input(session)).await;
        is_one_line(&ran);
        let line = ran.out.trim_end();
        assert!(line.starts_with("● beta ") && line.ends_with(" 1 down") && line.contains("x●"), "{line}");
        assert!(line.contains("  in ") && line.contains(" out "), "{line}");
        let other = run_with(running.program(PATIENT), &input("another")).await;
        is_one_line(&other);
        assert!(other.out.contains("\x1b[") && !other.out.contains("out"), "{}", other.out);
    }

    #[tokio::test]
    async fn the_pipe_need_not_be_closed_for_the_session_to_be_known() {
        let alpha = healthy("alpha").await;
        let running = Running::of(Config::in_order([&alpha])).await;
        let answer = running.proxy.send(&Request::message().session("s")).await;
        running.proxy.record(&answer).await;
        let mut command = running.program(&["statusline", "--within", "5000", "--color", "never"]);
        let ran = tokio::task::spawn_blocking(move || {
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut held = child.stdin.take().unwrap();
            held.write_all(input("s").as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            drop(held);
            Ran::of(output)
        });
        let ran = ran.await.unwrap();
        is_one_line(&ran);
        assert!(ran.out.contains(" out "), "{}", ran.out);
    }

    #[tokio::test]
    async fn whatever_is_wrong_there_is_a_line_and_no_error() {
        let (_mute, hung) = mute();
        let broken = tempfile::tempdir().unwrap();
        fs::write(broken.path().join("config.yaml"), "server: [").unwrap();
        let (off, hangs) = (place(1, closed_port()), place(1, hung));
        for (folder, line, told) in [
            (&off, PATIENT, "claude-proxy off"),
            (&hangs, &["statusline"], "claude-proxy busy"),
            (&broken, PATIENT, "claude-proxy: bad settings"),
            (&off, &["-c", "none.yaml", "statusline", "--within", "5000"], "claude-proxy: bad settings"),
            (&off, &["statusline", "--admin", "nonsense", "--within", "5000"], "claude-proxy: bad settings"),
        ] {
            for text in [input("s"), String::new(), "{\"session_id\":".to_owned(), "\u{0}garbage".to_owned()] {
                let mut command = program(folder.path(), line);
                command.env("NO_COLOR", "1");
                let ran = run_with(command, &text).await;
                is_one_line(&ran);
                assert!(ran.out.starts_with(told), "{line:?}: {}", ran.out);
            }
        }
        let ran = run(program(off.path(), &["statusline", "--nonsense"])).await;
        assert!(
            ran.code == Some(0) && ran.out.contains("wrong arguments") && ran.err.contains("--nonsense"),
            "{ran:?}"
        );
    }

    /// Not how fast it is, which a busy machine would spoil, but that nothing which hangs is waited for.
    #[tokio::test]
    async fn nothing_that_hangs_is_waited_for() {
        let (_mute, hung) = mute();
        let hangs = place(1, hung);
        let pipe = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(pipe.path().join("config.yaml")).status().unwrap();
        assert!(made.success());
        for folder in [&hangs, &pipe] {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let mut command = program(folder.path(), &["-c", "config.yaml", "statusline"]);
                let asked = clock::now();
                let ran = tokio::task::spawn_blocking(move || {
                    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                    // Held open and silent.
                    let held = child.stdin.take();
                    let output = child.wait_with_output().unwrap();
                    drop(held);
                    Ran::of(output)
                });
                is_one_line(&ran.await.unwrap());
                best = best.min(clock::now() - asked);
            }
            assert!(best < Duration::from_millis(300), "{best:?}");
        }
    }
}

mod run_command {
    use super::*;

    const TOKEN: &str = "hunter2-hunter2";

    async fn running(alpha: &Upstream) -> Running {
        Running::of(Config::in_order([alpha]).set("server.auth_token", TOKEN)).await
    }

    #[tokio::test]
    async fn the_command_finds_this_proxy_in_its_environment_and_nothing_else_changed() {
        let alpha = healthy("alpha").await;
        let running = running(&alpha).await;
        let mut command =
            running.program(&["run", "--", "sh", "-c", "env; cat; echo \"$0 $*\"", "a b", "--json", "-c"]);
        command.env("OWN", "kept").env("no_proxy", "corp.example");
        let ran = run_with(command, "from stdin\n").await;
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        for line in [
            &format!("ANTHROPIC_BASE_URL=http://{}", running.proxy.address()),
            &format!("ANTHROPIC_AUTH_TOKEN={TOKEN}"),
            "NO_PROXY=corp.example,localhost,127.0.0.1",
            "no_proxy=corp.example,localhost,127.0.0.1",
            "OWN=kept",
            "from stdin",
            "a b --json -c",
        ] {
            assert!(ran.out.lines().any(|told| told == line), "{line}\n{}", ran.out);
        }
    }

    #[tokio::test]
    async fn the_end_is_the_commands_own() {
        use std::os::unix::process::ExitStatusExt;
        let alpha = healthy("alpha").await;
        let running = running(&alpha).await;
        let mut command = running.program(&["run", "--", "sh", "-c", "kill -TERM $$"]);
        let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
        assert_eq!(status.signal(), Some(15));
        let ran = running.run(&["run", "--", "no-such-command"]).await;
        ran.refused(127, &["cannot start no-such-command: there is no such command", "install it"]);
        running.run(&["run", "--", "./known.yaml"]).await.refused(126, &["may not be run", "chmod +x"]);
        running
            .run(&["run", "--", "./\u{1b}[2J"])
            .await
            .refused(127, &["cannot start ./\\u{1b}[2J: there is no such file"]);
    }

    #[tokio::test]
    async fn without_a_proxy_nothing_is_started() {
        let folder = place(closed_port(), 1);
        let ran = run(program(folder.path(), &["run", "--", "touch", "started"])).await;
        ran.refused(
            4,
            &["no running claude-proxy", "nobody listens there; the command was not started", "claude-proxy serve"],
        );
        assert!(!folder.path().join("started").exists());
    }

    /// Somebody else's server: it answers as one does that knows no claude-proxy, and keeps its connections open. Tells
    /// all that it was ever sent.
    fn somebody_else() -> (u16, Arc<Mutex<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let writes_down = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let writes_down = Arc::clone(&writes_down);
                std::thread::spawn(move || {
                    let mut piece = [0; 4096];
                    while let Ok(size @ 1..) = stream.read(&mut piece) {
                        writes_down.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..size]));
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nserver: else\r\ncontent-length: 2\r\n\r\n{}");
                    }
                });
            }
        });
        (port, heard)
    }

    #[tokio::test]
    async fn somebody_else_on_that_port_does_not_get_the_token() {
        let (port, heard) = somebody_else();
        let folder = place(port, 1);
        let asked = clock::now();
        let ran = run(program(folder.path(), &["run", "--", "sh", "-c", "echo $ANTHROPIC_AUTH_TOKEN > told"])).await;
        ran.refused(4, &["somebody else listens there; the command was not started", "server.port"]);
        assert!(!folder.path().join("told").exists());
        for line in [&["env"][..], &["env", "--json"], &["env", "--claude-settings"], &["env", "--shell", "fish"]] {
            run(program(folder.path(), line)).await.refused(4, &["somebody else listens at", "server.port"]);
        }
        assert!(clock::now() - asked < Duration::from_secs(9), "it waited for somebody else to hang up");
        let heard = heard.lock().unwrap();
        assert!(heard.contains("HEAD / HTTP/1.1") && !heard.contains("hunter2"), "{heard}");
    }

    #[tokio::test]
    async fn somebody_else_on_the_admin_port_does_not_get_its_token() {
        let (admin, heard) = somebody_else();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "web_admin: {{ port: {admin}, auth_token: hunter2-hunter2 }}\n\
             endpoints: [{{ name: a, url: 'https://a.example', auth_type: passthrough }}]\n"
        );
        fs::write(folder.path().join("config.yaml"), text).unwrap();
        let ran = run(program(folder.path(), &["status"])).await;
        ran.refused(4, &["no running claude-proxy at"]);
        for line in [&["statusline", "--within", "5000"][..], &["endpoints", "list"], &["endpoints", "disable", "a"]] {
            assert_eq!(run(program(folder.path(), line)).await.code, Some(0));
        }
        let heard = heard.lock().unwrap();
        assert!(heard.contains("GET /api/status") && !heard.contains("hunter2"), "{heard}");
    }

    #[tokio::test]
    async fn env_is_printed_while_no_proxy_runs_and_while_one_does() {
        let off = place(closed_port(), 1);
        assert_eq!(run(program(off.path(), &["env", "--json"])).await.json()["ANTHROPIC_AUTH_TOKEN"], TOKEN);
        let alpha = healthy("alpha").await;
        let ran = running(&alpha).await.run(&["env", "--json"]).await;
        assert_eq!((&ran.json()["ANTHROPIC_AUTH_TOKEN"], ran.err.as_str()), (&json!(TOKEN), ""));
    }

    #[tokio::test]
    async fn a_port_that_the_system_gave_is_asked_for() {
        let alpha = healthy("alpha").await;
        let proxy = Config::in_order([&alpha]).admin().start().await;
        let admin = format!("http://{}", proxy.admin().await.address);
        let url = format!("http://{}", proxy.address());
        let with = |line: &[&str]| {
            let mut command = program(&proxy.folder(), line);
            command.env("CLAUDE_PROXY_ADMIN", &admin);
            command
        };
        assert_eq!(run(with(&["env", "--json"])).await.json()["ANTHROPIC_BASE_URL"], url);
        let ran = run(with(&["run", "--", "sh", "-c", "echo $ANTHROPIC_BASE_URL"])).await;
        assert_eq!((ran.code, ran.out.trim()), (Some(0), url.as_str()), "{}", ran.err);
        fs::write(proxy.folder().join("other.yaml"), Config::in_order([&alpha]).yaml()).unwrap();
        run(with(&["-c", "other.yaml", "env"])).await.refused(1, &["has another config"]);
    }

    #[tokio::test]
    async fn settings_of_claude_code_that_win_are_named() {
        let alpha = healthy("alpha").await;
        let running = running(&alpha).await;
        let settings = running.folder().join(".claude/settings.json");
        fs::create_dir_all(settings.parent().unwrap()).unwrap();
        let env =
            json!({ "env": { "ANTHROPIC_BASE_URL": "https://elsewhere.example", "ANTHROPIC_AUTH_TOKEN": "hunter3" } });
        fs::write(&settings, env.to_string()).unwrap();
        let ran = running.run(&["run", "--", "true"]).await;
        let told =
            "settings.json sets another ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN, and Claude Code heeds that one";
        assert!(ran.code == Some(0) && ran.err.contains(told), "{}", ran.err);
        assert!(!ran.err.contains("hunter") && !ran.err.contains("elsewhere"), "{}", ran.err);
    }
}

mod man {
    use super::*;

    #[tokio::test]
    async fn every_command_gets_a_page_that_a_reader_of_man_can_open() {
        let folder = tempfile::tempdir().unwrap();
        let ran = run(program(folder.path(), &["man", "new/man1"])).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
        let pages = folder.path().join("new/man1");
        for name in
            ["claude-proxy.1", "claude-proxy-endpoints-add.1", "claude-proxy-logs-tail.1", "claude-proxy-filter.7"]
        {
            let text = fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(text.contains(".SH NAME") && text.contains("EXAMPLES"), "{name}: {text}");
        }
        let count = fs::read_dir(&pages).unwrap().count();
        assert!(ran.err.contains(&format!("wrote {count} man pages into new/man1")) && count > 25, "{}", ran.err);
        // Once more over what is there; the same program writes the same pages.
        let before = fs::read(pages.join("claude-proxy.1")).unwrap();
        assert_eq!(run(program(folder.path(), &["man", "new/man1"])).await.code, Some(0));
        assert_eq!(fs::read(pages.join("claude-proxy.1")).unwrap(), before);
    }

    #[tokio::test]
    async fn where_nothing_can_be_written_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let ran = run(program(folder.path(), &["man", "file"])).await;
        ran.refused(1, &["cannot make the folder file", "name a folder"]);
        fs::create_dir_all(folder.path().join("taken/claude-proxy.1")).unwrap();
        let ran = run(program(folder.path(), &["man", "taken"])).await;
        ran.refused(1, &["cannot write taken/claude-proxy.1", "name a folder"]);
    }
}

/// A name that would move the cursor, from a config or an upstream, is written out.
#[tokio::test]
async fn control_characters_never_reach_a_terminal_raw() {
    let refusal = Reply::new(401, "application/json", "{\"error\":\"\u{1b}[2J\u{9b}31m\u{7}\u{7f}\u{80}\u{202e}\"}");
    let alpha = answering("alpha", refusal).await;
    let running = Running::of(Config::of([Endpoint::of(&alpha)]).set("health.min_failures", "1")).await;
    let answer = running.proxy.send(&Request::message().session("a\tb")).await;
    running.proxy.record(&answer).await;
    for line in [
        &["status"][..],
        &["status", "--plain"],
        &["status", "--json"],
        &["endpoints", "list", "--json"],
        &["endpoints", "test"],
        &["endpoints", "test", "--json"],
        &["endpoints", "enable", "alpha", "--json"],
        &["endpoints", "edit", "alpha", "--path-prefix", "/\u{7f}\u{9b}2J", "--json"],
        &["endpoints", "enable", "\u{9b}2J\u{7f}"],
        &["endpoints", "enable", "\u{9b}2J\u{7f}", "--json"],
        &["config", "show", "--json"],
        &["config", "path", "--json"],
        &["config", "check", "--json"],
        &["env", "--json"],
        &["logs", "tail", "--json"],
        &["logs", "search", "--plain", "status:502"],
        &["logs", "search", "--json", "status:502"],
        &["logs", "search", "--json", "\u{9b}2J:"],
        &["logs", "show", "--json", answer.request_id()],
        &["logs", "show", "req_\u{9b}2J\u{7f}"],
        &["endpoints", "list"],
        &["endpoints", "list", "--plain"],
        &["logs", "tail"],
        &["logs", "tail", "--plain"],
        &["logs", "show", answer.request_id()],
        &["logs", "show", answer.request_id(), "--curl"],
        &["logs", "search", "status:502"],
        &["check", "--json"],
        &["check"],
    ] {
        let ran = running.run(line).await;
        let raw = |letter: char| is_obeyed(letter) && letter != '\n' && letter != '\t';
        assert!(!ran.out.contains(raw) && !ran.err.contains(raw), "{line:?}: {ran:?}");
        assert!(ran.out.len() + ran.err.len() > 10, "{line:?}: {ran:?}");
    }
}

/// Whoever reads a pipe wants all of it, however wide.
#[tokio::test]
async fn nothing_is_cut_when_it_is_piped() {
    let alpha = answering("alpha", Reply::status(500)).await;
    let name = "a-very-long-name-of-an-endpoint-".repeat(2);
    let mut long = Endpoint::of(&alpha);
    long.name = name.trim_end_matches('-').to_owned();
    let running = Running::of(Config::of([long.clone()])).await;
    let session = "s".repeat(200);
    let answer = running.proxy.send(&Request::message().session(&session)).await;
    running.proxy.record(&answer).await;
    for (line, whole) in [
        (&["status"][..], vec![long.name.as_str()]),
        (&["endpoints", "list"], vec![long.name.as_str()]),
        (&["logs", "tail"], vec![long.name.as_str(), answer.request_id()]),
        (&["logs", "tail", "--plain"], vec![session.as_str(), answer.request_id()]),
        (&["logs", "search", "status:502"], vec![long.name.as_str(), answer.request_id()]),
    ] {
        let mut command = running.program(line);
        command.env("COLUMNS", "40");
        let ran = run(command).await;
        assert!(whole.iter().all(|word| ran.out.contains(word)), "{line:?}: {}", ran.out);
    }
}

/// The pages themselves are read by what shows them, where it is installed.
#[tokio::test]
async fn the_pages_are_right_by_groffs_own_word() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(program(folder.path(), &["man", "."])).await.code, Some(0));
    let Ok(found) = std::process::Command::new("sh").args(["-c", "command -v groff"]).output() else { return };
    if !found.status.success() {
        return;
    }
    for page in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let shown =
            std::process::Command::new("groff").args(["-Kutf8", "-man", "-Tutf8", "-ww"]).arg(&page).output().unwrap();
        let (text, err) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
        assert!(text.len() > 400 && err.is_empty(), "{}: {err}", page.display());
    }
}
