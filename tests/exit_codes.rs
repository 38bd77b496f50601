//! How every command ends, in every state that it can meet; and that none of them minds a closed pipe.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use clap::CommandFactory;
use claude_proxy::cli::Cli;

use crate::support::program::{Running, program, run};
use crate::support::proxy::{Config, Endpoint};
use crate::support::{Request, healthy};

/// Each command without a proxy and with a config that can be used, whose one endpoint `a` cannot be reached.
const ALONE: &[(&str, i32)] = &[
    ("tui", 2), // not a terminal
    ("status", 4),
    ("status --json", 4),
    ("status --admin http://127.0.0.1:9", 4),
    ("status --admin nonsense", 2),
    ("status --json --plain", 2),
    ("logs tail", 0),
    ("logs tail status>=", 2),
    ("logs show req_none", 1),
    ("logs search nothing", 1),
    ("logs search --since never", 2),
    ("endpoints list", 0),
    ("endpoints disable a", 0),
    ("endpoints enable a", 0),
    ("endpoints enable nosuch", 2),
    ("endpoints enable a --admin http://127.0.0.1:9", 4),
    ("endpoints add b --url https://b.example --auth-type passthrough", 0),
    ("endpoints add b --url https://b.example --auth-type passthrough", 2), // there is one already
    ("endpoints edit b --priority 3", 0),
    ("endpoints edit b", 2),
    ("endpoints remove b", 2), // without --yes
    ("endpoints remove b --yes", 0),
    ("endpoints test a", 1),
    ("run -- true", 4),
    ("run", 2),
    ("statusline", 0),
    ("statusline --nonsense", 0),
    ("man pages", 0),
    ("man config.yaml", 1), // a file, no folder
    ("check", 1),
    ("check nosuch", 2),
    ("config check", 0),
    ("config path", 0),
    ("config show", 0),
    ("config schema", 0),
    ("init --yes", 1), // never overwrites
    ("env", 0),
    ("completions bash", 0),
    ("completions nosuch", 2),
    ("serve --nonsense", 2),
    ("help", 0),
    ("help filter", 0),
    ("help logs tail", 0),
    ("help nosuch", 2),
    ("--help", 0),
    ("--version", 0),
    ("", 2),
    ("nosuch", 2),
    ("-c none.yaml config check", 2),
];

/// With a config that cannot be used.
const BROKEN: &[(&str, i32)] = &[
    ("serve", 2),
    ("tui", 2),
    ("status", 2),
    ("logs tail", 2),
    ("logs show req_none", 2),
    ("logs search nothing", 2),
    ("endpoints list", 2),
    ("endpoints enable a", 2),
    ("endpoints disable a", 2),
    ("endpoints add b --url https://b.example --auth-type passthrough", 2),
    ("endpoints edit a --priority 3", 2),
    ("endpoints remove a --yes", 2),
    ("endpoints test a", 2),
    ("run -- true", 2),
    ("statusline", 0),
    ("man pages", 0),
    ("check", 2),
    ("config check", 2),
    ("config show", 2),
    ("config path", 0),
    ("config schema", 0),
    ("init --yes", 1),
    ("env", 2),
    ("completions fish", 0),
    ("help", 0),
];

/// Beside a running proxy whose one endpoint is up. `ID` is a request that it answered.
const RUNNING: &[(&str, i32)] = &[
    ("tui", 2), // not a terminal
    ("status", 0),
    ("status --json", 0),
    ("status --plain", 0),
    ("logs tail", 0),
    ("logs tail -n 1 --json", 0),
    ("logs show ID", 0),
    ("logs show ID --curl", 0),
    ("logs search status:200", 0),
    ("endpoints list", 0),
    ("endpoints list --admin ADMIN --json", 0),
    ("endpoints disable alpha --admin ADMIN", 0),
    ("endpoints enable alpha --admin ADMIN", 0),
    ("endpoints add b --url https://b.example --auth-type passthrough --dry-run --admin ADMIN", 0),
    ("endpoints edit alpha --priority 3 --dry-run --admin ADMIN", 0),
    ("endpoints remove nosuch --yes --admin ADMIN", 2),
    ("endpoints test alpha --admin ADMIN", 0),
    ("run -- true", 0),
    ("run -- false", 1),
    ("run -- sh -c exit\u{a0}7", 7),
    ("run -- no-such-command", 127),
    ("run -- ./no/such/file", 127),
    ("run -- ./known.yaml", 126),
    ("statusline", 0),
    ("man pages", 0),
    ("check", 0),
    ("config check", 0),
    ("config show --json", 0),
    ("config path", 0),
    ("config schema", 0),
    ("env --json", 0),
    ("completions zsh", 0),
    ("help", 0),
    ("help filter", 0),
];

/// A space within a word is written as a no-break space.
fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\u{a0}', " ")).collect()
}

fn as_str(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn usable() -> String {
    let (port, admin, endpoint) = (closed_port(), closed_port(), closed_port());
    format!(
        "server: {{ port: {port} }}\nweb_admin: {{ port: {admin} }}\nendpoints:\n  - name: a\n    \
         url: http://127.0.0.1:{endpoint}\n    auth_type: api_key\n    auth_value: k\n"
    )
}

/// Runs each line in `folder` and compares; what failed has said why, in plain words.
async fn all_end_as_promised(folder: &Path, table: &[(&str, i32)]) {
    for (line, code) in table {
        let ran = run(program(folder, &as_str(&words(line)))).await;
        assert_eq!(ran.code, Some(*code), "{line}\n{}{}", ran.out, ran.err);
        let told = !ran.err.is_empty() || !ran.out.is_empty();
        assert!(*code == 0 || told, "{line} fails in silence");
        assert!(!ran.err.contains("panicked"), "{line}: {}", ran.err);
    }
}

#[tokio::test]
async fn without_a_proxy_each_command_ends_as_promised() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), usable()).unwrap();
    all_end_as_promised(folder.path(), ALONE).await;
}

#[tokio::test]
async fn with_a_broken_config_each_command_ends_as_promised() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), format!("{}    prioritty: 2\n", usable())).unwrap();
    all_end_as_promised(folder.path(), BROKEN).await;
}

/// A proxy that has answered a request, and the lines of the table for it.
async fn running() -> (Running, Vec<(Vec<String>, i32)>) {
    let alpha = healthy("alpha").await;
    let running = Running::of(Config::in_order([&alpha])).await;
    let answer = running.proxy.send(&Request::message()).await;
    running.proxy.record(&answer).await;
    let admin = format!("http://{}", running.proxy.admin().await.address);
    let table = RUNNING.iter().map(|(line, code)| {
        let line = line.replace("ID", answer.request_id()).replace("ADMIN", &admin);
        (words(&line), *code)
    });
    let table = table.collect();
    // The upstream lives as long as the runtime of the test.
    std::mem::forget(alpha);
    (running, table)
}

#[tokio::test]
async fn beside_a_proxy_each_command_ends_as_promised() {
    let (running, table) = running().await;
    for (line, code) in table {
        let ran = running.run(&as_str(&line)).await;
        assert_eq!(ran.code, Some(code), "{line:?}\n{}{}", ran.out, ran.err);
        assert!(code != 0 || !ran.err.contains("error"), "{line:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_proxy_that_has_nobody_to_ask_is_unhealthy() {
    let nobody = Endpoint::at("a", "http://127.0.0.1:9").set("enabled", "false");
    let running = Running::of(Config::of([nobody])).await;
    for line in [&["status"][..], &["status", "--json"], &["status", "--plain"]] {
        let ran = running.run(line).await;
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{}", ran.out);
        assert!(ran.out.contains("disabled"), "{}", ran.out);
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_error_of_any_command() {
    let (running, table) = running().await;
    // What `run` starts is its own, and the rest of those that fail have said all they have to say on stderr.
    let quiet = table.into_iter().filter(|(line, code)| *code == 0 && line[0] != "run");
    for (line, _) in quiet {
        let mut command = running.program(&as_str(&line));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || command.spawn().unwrap().wait_with_output().unwrap());
        let output = output.await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line:?}: {err}");
        assert!(["error", "panic", "ipe"].iter().all(|word| !err.contains(word)), "{line:?}: {err}");
    }
}

/// A command that is added must be given its rows.
#[test]
fn every_command_is_in_the_tables() {
    let mut leaves = BTreeSet::new();
    collect(&Cli::command(), &mut Vec::new(), &mut leaves);
    for table in [ALONE, BROKEN, RUNNING] {
        let lines: BTreeSet<&str> = table.iter().map(|(line, _)| *line).collect();
        for leaf in &leaves {
            let is_it = |line: &&str| *line == leaf || line.starts_with(&format!("{leaf} "));
            // It would not end, or writes what is there already.
            let left_out = table.len() == RUNNING.len() && ["serve", "init"].contains(&leaf.as_str());
            assert!(left_out || lines.iter().any(is_it), "{leaf} has no row");
        }
    }
}

fn collect(command: &clap::Command, path: &mut Vec<String>, leaves: &mut BTreeSet<String>) {
    if !command.has_subcommands() {
        leaves.insert(path.join(" "));
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        path.push(sub.get_name().to_owned());
        collect(sub, path, leaves);
        path.pop();
    }
}
