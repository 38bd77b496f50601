//! `logs tail|show|search` as people and their scripts meet them: streams, exit codes, what comes while they look.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::PATIENCE;

const TOKEN: &str = "the-proxys-own-token-0123456789";

/// A folder with a config whose endpoint has no key here, and a log.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let config = format!(
            "server: {{ port: 8123, auth_token: {TOKEN} }}\n\
             endpoints: [{{ name: a, url: 'https://a.example', auth_type: api_key, auth_value: '${{NOT_SET}}' }}]\n"
        );
        fs::write(place.path().join("config.yaml"), config).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file of a day, or of a part of it.
    fn file(&self, part: &str) -> PathBuf {
        self.path().join("logs").join(format!("requests-{part}.jsonl"))
    }

    fn add(&self, part: &str, text: &[u8]) {
        fs::create_dir_all(self.path().join("logs")).unwrap();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.file(part)).unwrap();
        file.write_all(text).unwrap();
    }

    fn log(&self, part: &str, records: &[Value]) {
        let lines: Vec<_> = records.iter().map(Value::to_string).collect();
        self.add(part, (lines.join("\n") + "\n").as_bytes());
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
        command.arg("logs").args(line).current_dir(self.path()).env_clear().env("HOME", self.path()).env("TZ", "UTC");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, line: &[&str]) -> Ran {
        Ran::of(self.command(line).output().unwrap())
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json_ids(&self) -> Vec<String> {
        self.out.lines().map(|line| id(&serde_json::from_str(line).unwrap())).collect()
    }
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

fn record(id: &str, day: u32) -> Value {
    json!({
        "v": 1, "id": id, "time": format!("2026-03-{day:02}T12:00:00.000+00:00"), "method": "POST",
        "path": "/v1/messages", "model": "claude-opus-4-8", "stream": false, "session": null, "status": 200,
        "ending": "complete", "endpoint": "primary", "duration_ms": 1000, "first_byte_ms": 900,
        "attempts": [{ "endpoint": "primary", "started_ms": 0, "duration_ms": 1000, "status": 200, "fault": null }],
        "usage": { "input": 10, "output": 5, "cache_read": null, "cache_creation": null },
        "request": { "headers": {}, "body": "{\"model\":\"claude-opus-4-8\"}", "size": 27, "truncated": false },
        "response": { "headers": {}, "body": "{}", "size": 2, "truncated": false }, "error": null,
    })
}

fn records(prefix: &str, day: u32, count: u32) -> Vec<Value> {
    (0..count).map(|n| record(&format!("{prefix}{n}"), day)).collect()
}

/// A command that goes on, and the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    fn next_id(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line comes");
        id(&serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ends(child: &mut Child) -> i32 {
    let limit = claude_proxy::clock::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().expect("it was not killed");
        }
        assert!(claude_proxy::clock::now() < limit, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn tail_shows_the_newest_ones_in_order_though_no_key_is_set_here() {
    let place = Place::new();
    place.log("2026-03-08", &records("old", 8, 5));
    place.log("2026-03-09", &records("new", 9, 5));
    place.add("2026-03-09", b"{\"id\":\"torn\",\n{\"id\":\"half");
    let tail = place.run(&["tail", "-n", "7", "--json"]);
    assert_eq!((tail.code, tail.err.as_str()), (0, ""));
    assert_eq!(tail.json_ids(), ["old3", "old4", "new0", "new1", "new2", "new3", "new4"]);
    assert_eq!(serde_json::from_str::<Value>(tail.out.lines().last().unwrap()).unwrap(), record("new4", 9));
    assert_eq!(place.run(&["tail", "--json", "id:new1 or", "id:old2"]).json_ids(), ["old2", "new1"]);
    let people = place.run(&["tail", "-n", "1"]).out;
    assert!(people.starts_with("2026-03-09 12:00:00 200 primary") && people.ends_with("  new4\n"), "{people}");
    let plain = place.run(&["tail", "-n", "1", "--plain"]).out;
    assert_eq!(plain.split('\t').nth(12), Some("new4"));
    assert_eq!(plain.split('\t').count(), 16);
}

#[test]
fn following_goes_across_rotation_and_midnight_and_waits_for_whole_lines() {
    let place = Place::new();
    place.log("2026-03-09", &records("a", 9, 3));
    let tail = Following::start(place.command(&["tail", "-f", "-n", "1", "--json", "status:200"]));
    assert_eq!(tail.next_id(), "a2");
    place.log("2026-03-09", &[record("b", 9)]);
    assert_eq!(tail.next_id(), "b");
    let half = record("c", 9).to_string();
    place.add("2026-03-09", &half.as_bytes()[..20]);
    fs::rename(place.file("2026-03-09"), place.file("2026-03-09.1")).unwrap();
    place.log("2026-03-09", &[record("after rotation", 9)]);
    assert_eq!(tail.next_id(), "after rotation");
    place.add("2026-03-09.1", format!("{}\n", &half[20..]).as_bytes());
    assert_eq!(tail.next_id(), "c");
    let mut failed = record("failed", 10);
    failed["status"] = 529.into();
    place.log("2026-03-10", &[failed, record("after midnight", 10)]);
    assert_eq!(tail.next_id(), "after midnight", "the filter goes on to count");
}

#[test]
fn following_a_log_that_is_not_there_yet_waits_for_it() {
    let place = Place::new();
    let tail = Following::start(place.command(&["tail", "-f", "--json"]));
    std::thread::sleep(Duration::from_millis(20));
    place.log("2026-03-09", &[record("first", 9)]);
    assert_eq!(tail.next_id(), "first");
}

#[test]
fn a_closed_pipe_ends_quietly_also_when_nothing_more_comes() {
    let place = Place::new();
    place.log("2026-03-09", &records("a", 9, 3000));
    for line in [&["search"][..], &["tail", "-f"], &["tail", "-f", "--json"], &["search", "--json"]] {
        let mut child = place.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.ends_with('\n'), "{line:?}");
        assert_eq!(ends(&mut child), 0, "{line:?}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "", "{line:?}");
    }
}

#[test]
fn hits_are_there_before_the_search_is_over() {
    let place = Place::new();
    place.log("2026-03-08", &records("old", 8, 2));
    let mut long = records("new", 9, 300);
    for record in &mut long {
        record["request"]["body"] = "x".repeat(2000).into();
    }
    place.log("2026-03-09", &long);
    // It cannot get to the older file before somebody reads: no pipe holds so much.
    let mut child = place.command(&["search", "--json", "claude"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(first.contains("\"new299\""));
    fs::remove_file(place.file("2026-03-08")).unwrap();
    let ids: Vec<String> = out.lines().map(|line| id(&serde_json::from_str(&line.unwrap()).unwrap())).collect();
    assert_eq!((ids.len(), ids.last().unwrap().as_str()), (299, "new0"));
    assert_eq!(ends(&mut child), 0);
}

#[test]
fn a_search_finds_by_filter_and_time_and_says_when_there_is_nothing() {
    let place = Place::new();
    place.log("2026-03-07", &records("a", 7, 3));
    place.log("2026-03-08", &records("b", 8, 3));
    place.log("2026-03-09", &records("c", 9, 3));
    let ids = |line: &[&str]| place.run(&[&["search", "--json"], line].concat()).json_ids();
    assert_eq!(ids(&["--since", "2026-03-08", "--until", "2026-03-09"]), ["b2", "b1", "b0"]);
    assert_eq!(ids(&["-n", "2"]), ["c2", "c1"]);
    assert_eq!(ids(&["--until", "2026-03-08", "id:a1 or id:b1"]), ["a1"], "an or of the filter stays within it");
    assert_eq!(ids(&["(id:a1", "or", "id:c0)", "model~opus"]), ["c0", "a1"]);
    let nothing = place.run(&["search", "status:500"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));
    assert!(nothing.err.starts_with("note: nothing fits in "), "{}", nothing.err);
    let wrong = place.run(&["search", "--since", "soon"]);
    assert!(
        wrong.code == 2 && wrong.err.contains("`soon` is no time") && wrong.err.contains("yesterday"),
        "{}",
        wrong.err
    );
}

#[test]
fn a_wrong_filter_is_shown_with_a_mark_under_the_fault() {
    let place = Place::new();
    for command in ["tail", "search"] {
        let wrong = place.run(&[command, "status>=400", "stauts:4"]);
        assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
        assert_eq!(
            wrong.err,
            "error: there is no field `stauts`\n  | status>=400 stauts:4\n  |             ^^^^^^\n\
             help: did you mean `status`?\n"
        );
    }
    let told = place.run(&["search", "--json", "ttft>5"]);
    let told: Value = serde_json::from_str(&told.err).unwrap();
    assert_eq!(told["error"]["code"], "filter");
    assert!(told["error"]["message"].as_str().unwrap().ends_with("(at character 6 of the filter)"), "{told}");
}

#[test]
fn a_log_that_is_not_there_is_said_to_be_so() {
    let place = Place::new();
    for (line, code) in [(&["tail"][..], 0), (&["search"], 1), (&["search", "--json", "x"], 1), (&["show", "x"], 1)] {
        let ran = place.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line:?}");
        assert!(ran.err.contains("logs"), "{}", ran.err);
    }
    assert!(!place.path().join("logs").exists(), "reading makes no folder");
    fs::write(place.path().join("logs"), "in the way").unwrap();
    let ran = place.run(&["search", "x"]);
    assert!(ran.code == 1 && ran.err.starts_with("error: cannot read the request log in "), "{}", ran.err);
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let place = Place::new();
    place.log("2026-03-09", &[record("a", 9)]);
    for name in ["requests-2026-03-08.jsonl.gz", "requests-2026-03-08.jsonl.bak", "notes.txt"] {
        fs::write(place.path().join("logs").join(name), [0x1f, 0x8b, 0, b'\n', 0xff]).unwrap();
    }
    place.add("2026-03-08", &[0xff, 0xfe, 0, b'\n', b'{', b'\n']);
    assert_eq!(place.run(&["search", "--json"]).json_ids(), ["a"]);
}

#[test]
fn a_request_is_shown_by_the_beginning_of_its_id() {
    let place = Place::new();
    place.log("2026-03-09", &[record("req_aa1", 9), record("req_aa2", 9), record("req_b", 9)]);
    let shown = place.run(&["show", "req_b"]);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""));
    for part in ["POST /v1/messages", "primary answered with 200 in 1.0s", "Request body: 27 B\n{\n  \"model\""] {
        assert!(shown.out.contains(part), "{}", shown.out);
    }
    let one = place.run(&["show", "req_aa1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&one.out).unwrap(), record("req_aa1", 9));
    let several = place.run(&["show", "req_a"]);
    assert_eq!((several.code, several.out.as_str()), (1, ""));
    assert!(several.err.contains("2 requests") && several.err.contains("req_aa1") && several.err.contains("req_aa2"));
    let by_its_end = place.run(&["show", "…_aa2"]);
    assert!(by_its_end.code == 0 && by_its_end.out.starts_with("req_aa2 "), "{}", by_its_end.out);
    let none = place.run(&["show", "req_c", "--json"]);
    assert_eq!(none.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&none.err).unwrap()["error"]["code"], "not_found");
}

#[test]
fn a_curl_command_has_no_credential_in_it() {
    let place = Place::new();
    let mut signed = record("req_1", 9);
    signed["request"]["headers"] = json!({ "authorization": "[redacted]", "x-api-key": "[redacted]", "x-app": "cli" });
    signed["request"]["body"] = "{\"text\":\"it's\"}".into();
    place.log("2026-03-09", &[signed]);
    let curl = place.run(&["show", "req_1", "--curl"]);
    assert_eq!(curl.code, 0);
    for part in ["curl ", "http://127.0.0.1:8123/v1/messages", "-H 'x-app: cli'", "$ANTHROPIC_AUTH_TOKEN", r"it'\''s"] {
        assert!(curl.out.contains(part), "{part}: {}", curl.out);
    }
    assert!(!curl.out.contains(TOKEN) && !curl.err.contains(TOKEN) && !curl.out.contains("redacted"), "{}", curl.out);
    let checked = Command::new("sh").args(["-n", "-c", &curl.out]).status().unwrap();
    assert!(checked.success(), "a shell takes it");
}

#[test]
fn no_form_gives_the_terminal_an_order_from_upstream() {
    let place = Place::new();
    let nasty = "x\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}\u{2066}\u{200f}\r\u{8}y";
    let mut evil = record("evil", 9);
    for at in ["/path", "/model", "/session", "/endpoint", "/error", "/attempts/0/endpoint", "/attempts/0/fault"] {
        *evil.pointer_mut(at).unwrap() = nasty.into();
    }
    evil["ending"] = "cut".into();
    evil["attempts"][0]["detail"] = nasty.into();
    for side in ["request", "response"] {
        evil[side]["body"] = format!("{nasty}\n{nasty}").into();
        evil[side]["headers"] = json!({ nasty: nasty });
    }
    let mut streamed = record("streamed", 9);
    let delta = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": nasty, "text": nasty } });
    streamed["response"]["body"] = format!("event: content_block_start\ndata: {delta}\n\n").into();
    place.log("2026-03-09", &[evil, streamed]);
    for line in [
        &["tail"][..],
        &["tail", "--json"],
        &["tail", "--plain"],
        &["search"],
        &["search", "--json"],
        &["show", "evil"],
        &["show", "evil", "--json"],
        &["show", "evil", "--curl"],
        &["show", "streamed"],
        &["show", nasty],
        &["search", nasty, ")"],
    ] {
        let ran = place.run(line);
        let obeyed = |c: &char| claude_proxy::wire::harmless::is_obeyed(*c) && !matches!(c, '\n' | '\t');
        let text = format!("{}{}", ran.out, ran.err);
        assert_eq!(text.chars().find(obeyed), None, "{line:?}: {text:?}");
        assert!(text.len() > 20, "{line:?}");
    }
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let place = Place::new();
    place.log("2026-03-09", &[record("a", 9)]);
    assert!(!place.run(&["tail"]).out.contains('\u{1b}'));
    assert!(place.run(&["tail", "--color", "always"]).out.contains("\u{1b}[32m200\u{1b}[0m"));
    assert!(!place.run(&["tail", "--color", "always", "--json"]).out.contains('\u{1b}'));
    let quiet = Ran::of(place.command(&["tail"]).env("NO_COLOR", "1").output().unwrap());
    assert!(!quiet.out.contains('\u{1b}'));
}

#[test]
fn help_explains_the_filter_language() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
    let help = Ran::of(command.args(["help", "filter"]).current_dir(place.path()).env_clear().output().unwrap());
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.starts_with("The filter language") && help.out.contains("\n  status "), "{}", help.out);
    assert!(help.out.contains("claude-proxy logs search 'session:6e1f2a in>100k'"), "{}", help.out);
}
