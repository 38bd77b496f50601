//! `endpoints …` as the real program: what changes where, what is told, and how it exits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A port of this machine where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder of its own with a config file, and the program in it with nothing of the tester's environment.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

const ENDPOINTS: &str = "
# who answers
endpoints:
  - name: primary      # 主
    url: https://a.example
    auth_type: api_key
    auth_value: ${PRIMARY_KEY}
    priority: 2
  - name: mirror 1
    url: https://b.example
    auth_type: auth_token
    auth_value: sk-ant-hunter2-hunter2-9999   # old: hunter1
";

impl Place {
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), port: 0 }
    }

    /// `port`: where the proxy's admin API would be.
    fn new(port: u16) -> Self {
        let place = Self { port, ..Self::empty() };
        fs::write(place.file(), place.text()).unwrap();
        place
    }

    fn text(&self) -> String {
        format!("server: {{ port: 1 }}\nweb_admin: {{ port: {} }}   # page\n{ENDPOINTS}", self.port)
    }

    fn file(&self) -> PathBuf {
        // As the program names it: macOS has its temporary folder behind a link.
        fs::canonicalize(self.folder.path()).unwrap().join("config.yaml")
    }

    fn now(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn run(&self, line: &[&str]) -> Ran {
        self.run_with(line, "")
    }

    fn start(&self, line: &[&str]) -> Child {
        self.command(&[&["endpoints"], line].concat()).spawn().unwrap()
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
        command.args(line).current_dir(fs::canonicalize(self.folder.path()).unwrap()).env_clear();
        command.env("HOME", self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run_with(&self, line: &[&str], input: &str) -> Ran {
        Self::finish(self.start(line), line, input)
    }

    fn finish(mut running: Child, line: &[&str], input: &str) -> Ran {
        // A program that reads nothing may be gone by now.
        let _ = running.stdin.take().unwrap().write_all(input.as_bytes());
        let output = running.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!ran.out.contains("hunter") && !ran.err.contains("hunter"), "{line:?}: {}{}", ran.out, ran.err);
        ran
    }
}

impl Ran {
    /// It went well, printed nothing on stdout and said this.
    #[track_caller]
    fn said(&self, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (0, ""), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word}: {}", self.err);
        }
    }

    /// It was refused with this code, and said this.
    #[track_caller]
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word}: {}", self.err);
        }
    }

    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

mod without_a_proxy {
    use super::*;

    fn place() -> Place {
        Place::new(closed_port())
    }

    #[test]
    fn the_file_changes_in_one_line_and_the_way_is_told() {
        let place = place();
        let port = place.port;
        let told = format!("no proxy is running at 127.0.0.1:{port}, so only {} was changed", place.file().display());
        place.run(&["disable", "mirror 1"]).said(&["mirror 1 is disabled: ", &told]);
        let off = place.text().replace("# old: hunter1\n", "# old: hunter1\n    enabled: false\n");
        assert_eq!(place.now(), off);
        place.run(&["disable", "mirror 1"]).said(&["nothing to change"]);
        place.run(&["enable", "mirror 1", "primary"]).said(&["mirror 1 is enabled", "nothing to change"]);
        assert_eq!(place.now(), off.replace("enabled: false", "enabled: true"));
    }

    #[test]
    fn a_key_that_only_the_proxy_has_is_not_needed() {
        let place = place();
        place.run(&["edit", "primary", "--auth-value", "${OTHER_KEY}"]).said(&["OTHER_KEY is not set here"]);
        assert_eq!(place.now(), place.text().replace("${PRIMARY_KEY}", "${OTHER_KEY}"));
    }

    #[test]
    fn flags_become_keys() {
        let place = place();
        let keys = ["--url", "https://k.example", "--auth-type", "auth_token", "--auth-value", "-", "--priority", "-3"];
        let line = [&["add", "kimi", "--http", "2", "--disabled"][..], &keys].concat();
        let ran = place.run_with(&line, "sk-hunter3\n");
        ran.said(&["kimi is added"]);
        let added = "  - name: kimi\n    url: https://k.example\n    auth_type: auth_token\n    auth_value: sk-hunter3\n    \
                     enabled: false\n    priority: -3\n    http: \"2\"\n";
        assert_eq!(place.now(), place.text() + added);
        let line =
            ["edit", "kimi", "--rename", "moon", "--http", "", "--auth-type", "passthrough", "--path-prefix", ""];
        place.run(&line).said(&["kimi is changed"]);
        let changed = "  - name: moon\n    url: https://k.example\n    path_prefix: \"\"\n    auth_type: passthrough\n    \
                       auth_value: sk-hunter3\n    enabled: false\n    priority: -3\n";
        assert_eq!(place.now(), place.text() + changed);
        place.run(&["remove", "moon", "--yes"]).said(&["moon is removed"]);
        assert_eq!(place.now(), place.text());
    }

    #[test]
    fn a_dry_run_prints_the_lines_and_changes_nothing() {
        let place = place();
        let ran = place.run(&["edit", "mirror 1", "--auth-value", "sk-hunter3", "--dry-run"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let lines = ["@@ -11,4 +11,4 @@", "-    auth_value: ***  # …", "+    auth_value: ***  # …"];
        assert!(lines.iter().all(|line| ran.out.lines().any(|found| found == *line)), "{}", ran.out);
        let ran = place.run(&["remove", "primary", "--dry-run", "--json"]).json();
        assert_eq!((&ran["via"], &ran["changes"][0]["applied"]), (&json!("file"), &json!(false)));
        assert!(ran["changes"][0]["diff"].as_str().unwrap().contains("-  - name: primary"));
        let line = ["add", "k", "--url", "https://k.example", "--auth-type", "passthrough", "--dry-run"];
        assert!(place.run(&line).out.contains("+  - name: k\n"));
        let ran = place.run(&["disable", "mirror 1", "primary", "--dry-run"]);
        assert_eq!((ran.code, ran.out.matches("+    enabled: false\n").count()), (0, 2), "{}", ran.out);
        assert_eq!(place.now(), place.text());
    }

    #[test]
    fn what_was_asked_wrongly_is_a_usage_error_and_changes_nothing() {
        let place = place();
        for (line, words) in [
            (&["disable", "primery"][..], &["there is no endpoint \"primery\"", "did you mean \"primary\"?"][..]),
            (&["edit", "mirror1", "--priority", "3"], &["did you mean \"mirror 1\"? there are mirror 1, primary"]),
            (&["disable", "mirror 1", "x"], &["there is no endpoint \"x\""]),
            (&["remove", "mirror 1"], &["add --yes"]),
            (&["edit", "primary"], &["nothing to change", "--help"]),
            (&["edit", "primary", "--url", "a.example"], &["url: the URL must start with https://"]),
            (&["edit", "primary", "--rename", "mirror 1"], &["there is an endpoint \"mirror 1\" already"]),
            (&["edit", "primary", "--auth-value", "-"], &["stdin holds no key"]),
            (&["add", "k", "--auth-type", "api_key"], &["--url is missing"]),
            (&["add", "k", "--url", "https://k", "--auth-type", "api_key"], &["auth_value", "missing"]),
            (&["add", "primary", "--url", "https://k", "--auth-type", "passthrough"], &["already", "endpoints edit"]),
            (&["test", "x"], &["there is no endpoint \"x\""]),
        ] {
            place.run(line).refused(2, words);
        }
        let ran = place.run(&["disable", "x", "--json"]);
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!((ran.code, &error["error"]["code"]), (2, &json!("usage")));
        assert_eq!(place.now(), place.text());
    }

    #[test]
    fn a_broken_file_is_shown_where_it_is_broken() {
        let place = place();
        let broken = place.text().replace("priority: 2", "prioritty: 2");
        fs::write(place.file(), &broken).unwrap();
        for line in [&["list"][..], &["disable", "primary"], &["disable", "mirror 1"], &["remove", "mirror 1", "-y"]] {
            place.run(line).refused(2, &["did you mean `priority`?", "config.yaml:10:5"]);
        }
        fs::write(place.file(), "endpoints:\n  - name: [\n").unwrap();
        for line in [&["list"][..], &["disable", "primary"], &["remove", "mirror 1", "-y"]] {
            place.run(line).refused(2, &["not valid YAML", "config.yaml:3"]);
        }
        fs::write(place.file(), b"endpoints: # \xe9\n").unwrap();
        place.run(&["disable", "primary"]).refused(2, &["cannot be read: it is not UTF-8 text"]);
    }

    #[test]
    fn what_is_wrong_can_be_mended_or_taken_out() {
        let place = place();
        for (right, fault, line, mended) in [
            ("priority: 2", "priority: two", ["edit", "primary", "--priority", "3"], "priority: 3"),
            ("https://a.example", "a.example", ["edit", "primary", "--url", "https://k.example"], "https://k.example"),
        ] {
            fs::write(place.file(), place.text().replace(right, fault)).unwrap();
            place.run(&line).said(&["primary is changed"]);
            assert_eq!(place.now(), place.text().replace(right, mended));
        }
        fs::write(place.file(), place.text().replace("priority: 2", "prioritty: 2")).unwrap();
        place.run(&["remove", "primary", "--yes"]).said(&["primary is removed"]);
        assert!(!place.now().contains("prioritty") && place.now().contains("mirror 1"), "{}", place.now());
        let twice = place.text().replace("mirror 1", "primary");
        fs::write(place.file(), &twice).unwrap();
        place.run(&["disable", "primary"]).refused(2, &["has this name already"]);
        place.run(&["edit", "primary", "--rename", "first"]).said(&["primary is changed"]);
        assert_eq!(place.now(), twice.replacen("name: primary", "name: first", 1));
    }

    #[test]
    fn a_file_that_must_not_be_changed_is_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = place();
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o444)).unwrap();
        place.run(&["disable", "primary"]).refused(1, &["config.yaml", "check the permissions"]);
        assert_eq!(place.now(), place.text());
        place.run(&["disable", "primary", "-c", "/dev/null"]).refused(2, &["/dev/null is no regular file"]);
        std::os::unix::fs::symlink("gone.yaml", place.folder.path().join("link.yaml")).unwrap();
        let keys = ["--url", "https://k.example", "--auth-type", "passthrough", "-c", "link.yaml"];
        place.run(&[&["add", "k"][..], &keys].concat()).refused(1, &["is a link to gone.yaml, which is not there"]);
    }

    #[test]
    fn a_key_from_a_pipe_is_taken_as_it_is() {
        let place = place();
        place.run_with(&["edit", "mirror 1", "--auth-value", "-"], "hunter$$4${X}\n").said(&["mirror 1 is changed"]);
        assert!(place.now().contains("auth_value: hunter$$$$4$${X} "), "{}", place.now());
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_quietly() {
        let place = place();
        for line in [&["list"][..], &["list", "--json"], &["disable", "primary", "--dry-run"]] {
            let mut running = place.start(line);
            drop(running.stdout.take());
            let ran = Place::finish(running, line, "");
            assert!(ran.code == 0 && !ran.err.contains("error"), "{line:?}: {}", ran.err);
        }
    }

    #[test]
    fn an_empty_file_takes_its_first_endpoint() {
        let place = Place::empty();
        fs::write(place.file(), "# mine\n").unwrap();
        place.run(&["disable", "k"]).refused(2, &["there is no endpoint \"k\"", "endpoints add"]);
        let line = ["add", "k", "--url", "https://k.example", "--auth-type", "passthrough"];
        place.run(&line).said(&["k is added"]);
        let added = "# mine\nendpoints:\n  - name: k\n    url: https://k.example\n    auth_type: passthrough\n";
        assert_eq!(place.now(), added);
    }

    #[test]
    fn commands_side_by_side_lose_no_change() {
        let place = place();
        let names: Vec<String> = (0..6).map(|number| format!("k{number}")).collect();
        let add =
            |name: &String| place.start(&["add", name, "--url", "https://k.example", "--auth-type", "passthrough"]);
        let running: Vec<Child> = names.iter().map(add).collect();
        assert!(running.into_iter().all(|running| running.wait_with_output().unwrap().status.success()));
        let now = place.now();
        assert!(now.starts_with(&place.text()), "{now}");
        assert!(names.iter().all(|name| now.contains(&format!("  - name: {name}\n"))), "{now}");
    }

    #[test]
    fn a_killed_command_leaves_the_old_file_or_the_new_one() {
        let place = place();
        let (old, new) = (place.text(), place.text().replace("priority: 2", "priority: 5"));
        for delay in 0..20 {
            fs::write(place.file(), &old).unwrap();
            let mut running = place.start(&["edit", "primary", "--priority", "5"]);
            std::thread::sleep(std::time::Duration::from_millis(delay));
            running.kill().unwrap();
            running.wait().unwrap();
            let now = place.now();
            assert!(now == old || now == new, "{now}");
        }
        place.run(&["edit", "primary", "--priority", "6"]).said(&["primary is changed"]);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn the_last_endpoint_stays() {
        let place = place();
        place.run(&["remove", "primary", "-y"]).said(&[]);
        place.run(&["remove", "mirror 1", "-y"]).refused(2, &["only endpoint", "disable it"]);
    }

    #[test]
    fn the_list_tells_what_the_file_has() {
        let place = place();
        let ran = place.run(&["list"]);
        let table = "P  NAME      STATE      URL                AUTH\n\
                     1  mirror 1  ● enabled  https://b.example  auth_token sk-…9999\n\
                     2  primary   ● enabled  https://a.example  api_key ${PRIMARY_KEY}\n";
        assert_eq!((ran.code, ran.out.as_str()), (0, table), "{}", ran.err);
        assert!(ran.err.contains("no proxy is running"), "{}", ran.err);
        let plain = place.run(&["list", "--plain"]).out;
        assert!(plain.starts_with("mirror 1\tenabled\t1\thttps://b.example\tauth_token\tsk-…9999\t0\t0\t"), "{plain}");
        let list = place.run(&["list", "--json"]).json();
        let primary = &list["endpoints"][0];
        assert_eq!((&primary["name"], &primary["auth_value"]), (&json!("primary"), &Value::Null));
        assert_eq!((&primary["auth_reference"], &primary["path_prefix"]), (&json!("${PRIMARY_KEY}"), &json!("/v1")));
        assert_eq!(list["revision"].as_str().map(str::len), Some(16));
    }

    #[test]
    fn the_first_endpoint_makes_a_file() {
        let place = Place::empty();
        let other = format!("{}/own/other.yaml", place.folder.path().display());
        for path in ["config.yaml", "sub/own.yaml", &other] {
            let config: &[&str] = if path == "config.yaml" { &[] } else { &["-c", path] };
            let line = ["add", "kimi", "--url", "https://k.example", "--auth-type", "passthrough"];
            let line = [&line[..], config].concat();
            assert!(place.run(&[&line[..], &["--dry-run"]].concat()).out.contains("+  - name: kimi"));
            assert!(!place.folder.path().join(path).exists());
            // A proxy of somebody else may run on the default port; a named file is not its file.
            if path != "config.yaml" {
                place.run(&line).said(&["kimi is added: there is no config file yet", "was written, a first one"]);
                let written = fs::read_to_string(place.folder.path().join(path)).unwrap();
                assert!(written.contains("  - name: kimi\n    url: https://k.example\n"), "{written}");
            }
        }
        let unknown = place.run(&["test", "kimi", "-c", "sub/own.yaml", "--json"]);
        assert!(unknown.code == 1 && unknown.out.contains("\"healthy\": false"), "{}{}", unknown.out, unknown.err);
        let missing = place.run(&["disable", "kimi", "-c", "none.yaml"]);
        missing.refused(2, &["none.yaml: there is no such file"]);
    }

    #[test]
    fn a_proxy_that_was_named_must_be_there() {
        let place = place();
        let admin = format!("http://127.0.0.1:{}", closed_port());
        place.run(&["disable", "primary", "--admin", &admin]).refused(4, &["no running claude-proxy", "serve"]);
        assert_eq!(place.now(), place.text());
    }

    #[test]
    fn a_test_asks_from_here() {
        let place = place();
        let text = place.text().replace("https://b.example", "http://127.0.0.1:9").replace("${PRIMARY_KEY}", "k");
        fs::write(place.file(), text).unwrap();
        let ran = place.run(&["test", "mirror 1", "--json"]);
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, &report["healthy"]), (1, &json!(false)), "{}", ran.err);
        assert!(ran.err.contains("so this is asked from here"), "{}", ran.err);
    }
}

/// Answers as the admin API would, by a script, and notes what it was asked.
struct Admin {
    port: u16,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Admin {
    /// `answer`: of a request such as `GET /api/status`.
    fn start(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answer, &seen);
            }
        });
        Self { port, asked }
    }

    /// What was asked but for reading.
    fn changes(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().iter().filter(|(line, _)| !line.starts_with("GET")).cloned().collect()
    }
}

fn serve(stream: TcpStream, answer: &impl Fn(&str) -> (u16, Value), seen: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = request.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().unwrap().push((line.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
    let (status, answer) = answer(&line);
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let mut stream = reader.into_inner();
    let _ = stream.write_all((head + &answer).as_bytes());
}

/// A proxy that uses `file` and has the endpoints primary and mirror 1.
fn proxy_with(file: &Path) -> Admin {
    let file = file.display().to_string();
    Admin::start(move |line| match line {
        "GET /api/status" => (200, json!({ "version": "0.1.0", "config": { "file": file } })),
        "GET /api/endpoints" => {
            let primary = json!({ "name": "primary", "state": "down", "reason": "529\u{1b}[2J", "enabled": true });
            (200, json!({ "endpoints": [primary, { "name": "mirror 1", "state": "disabled" }] }))
        }
        "PATCH /api/endpoints/primary" => {
            let error = json!({ "code": "invalid", "message": "url: no", "hint": "another one", "field": "url" });
            (422, json!({ "error": error }))
        }
        line if line.ends_with("/test") => (200, json!({ "name": "primary", "healthy": line.contains("mirror") })),
        line if line.contains("dry_run=true") => (200, json!({ "file": file, "diff": "+  - name: k\n" })),
        _ => (
            200,
            json!({ "applied": true, "file": file, "diff": "-a\n+b\n", "restart_needed": ["server.port: 1 -> 2"] }),
        ),
    })
}

mod with_a_proxy {
    use super::*;

    /// A place whose file is the one that the proxy uses.
    fn place() -> (Place, Admin) {
        let place = Place::empty();
        let admin = proxy_with(&place.file());
        let place = Place { port: admin.port, ..place };
        fs::write(place.file(), place.text()).unwrap();
        (place, admin)
    }

    #[test]
    fn changes_go_through_it_and_leave_the_file_to_it() {
        let (place, admin) = place();
        let told = format!("changed in the running proxy and in {}", place.file().display());
        place.run(&["disable", "mirror 1"]).said(&["mirror 1 is disabled: ", &told, "needs a restart"]);
        place.run(&["enable", "primary"]).said(&["primary is enabled"]);
        let keys = ["--url", "https://k.example", "--auth-type", "api_key", "--auth-value", "${K}"];
        place.run(&[&["add", "k"][..], &keys].concat()).said(&["k is added"]);
        place.run(&["edit", "mirror 1", "--http", "", "--priority", "3"]).said(&["mirror 1 is changed"]);
        place.run(&["remove", "mirror 1", "--yes"]).said(&["mirror 1 is removed"]);
        let added = json!({ "name": "k", "url": "https://k.example", "auth_type": "api_key", "auth_value": "${K}" });
        let expected = [
            ("POST /api/endpoints/mirror%201/disable", Value::Null),
            ("POST /api/endpoints/primary/enable", Value::Null),
            ("POST /api/endpoints", added),
            ("PATCH /api/endpoints/mirror%201", json!({ "priority": 3, "http": null })),
            ("DELETE /api/endpoints/mirror%201", Value::Null),
        ];
        assert_eq!(admin.changes(), expected.map(|(line, body)| (line.to_owned(), body)));
        assert_eq!(place.now(), place.text());
    }

    #[test]
    fn a_dry_run_and_a_refusal_are_passed_on() {
        let (place, admin) = place();
        let line = ["add", "k", "--url", "https://k.example", "--auth-type", "passthrough", "--dry-run"];
        assert_eq!(place.run(&line).out, "+  - name: k\n");
        assert_eq!(admin.changes()[0].0, "POST /api/endpoints?dry_run=true");
        place.run(&["edit", "primary", "--url", "x"]).refused(2, &["url: no", "another one"]);
        place.run(&["remove", "kimi", "--yes"]).refused(2, &["there is no endpoint \"kimi\""]);
        assert_eq!(admin.changes().len(), 2, "a name that it does not have is not asked for");
    }

    #[test]
    fn the_list_and_the_test_are_its_own() {
        let (place, _admin) = place();
        let ran = place.run(&["list"]);
        assert!(ran.out.contains("x down") && ran.out.contains("since") && !ran.out.contains('\u{1b}'), "{}", ran.out);
        assert_eq!(ran.err, "");
        assert_eq!(place.run(&["list", "--json"]).json()["endpoints"][0]["state"], "down");
        let ran = place.run(&["test"]);
        assert!(ran.code == 1 && ran.out.starts_with("x primary  not healthy"), "{}{}", ran.out, ran.err);
        assert_eq!(place.run(&["test", "mirror 1", "--json"]).json()["healthy"], true);
    }

    #[test]
    fn another_ones_file_is_not_touched_through_it() {
        let other = Place::new(0);
        let admin = proxy_with(&other.file());
        let place = Place::new(admin.port);
        let told = format!("the proxy at 127.0.0.1:{} uses another file, {}", admin.port, other.file().display());
        place.run(&["disable", "primary", "-c", "config.yaml"]).said(&[&told, "so only"]);
        assert!(place.now().contains("enabled: false") && admin.changes().is_empty());
        let named = format!("http://127.0.0.1:{}", admin.port);
        place.run(&["disable", "mirror 1", "--admin", &named]).said(&["changed in the running proxy", "mirror 1"]);
        assert_eq!(admin.changes().len(), 1);
    }

    #[test]
    fn somebody_else_on_that_port_is_no_proxy() {
        let admin = Admin::start(|_| (200, json!({})));
        let place = Place::new(admin.port);
        place.run(&["disable", "primary"]).said(&["somebody else", "so only"]);
        assert!(place.now().contains("enabled: false"));
    }
}

/// The program itself, serving; killed when this is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Serving {
    /// Starts it in the place, with these variables, and waits until its admin API can be asked.
    fn start(place: &Place, environment: &[(&str, &str)]) -> Self {
        let mut command = place.command(&["serve"]);
        let mut serving = Self(command.envs(environment.iter().copied()).stdout(Stdio::null()).spawn().unwrap());
        let mut lines = BufReader::new(serving.0.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("admin ") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            said = format!("{said}{line}\n");
        }
        // It must be able to go on talking.
        std::thread::spawn(move || lines.count());
        serving
    }
}

mod with_the_real_proxy {
    use std::time::Duration;

    use super::*;

    const KEYS: [(&str, &str); 2] = [("PRIMARY_KEY", "sk-hunter-1111"), ("OTHER_KEY", "sk-hunter-2222")];

    fn serving() -> (Place, Serving) {
        let place = Place { port: closed_port(), ..Place::empty() };
        fs::write(place.file(), place.text().replace("port: 1 }", "port: 0 }")).unwrap();
        let serving = Serving::start(&place, &KEYS);
        (place, serving)
    }

    fn states(place: &Place) -> Vec<(String, String)> {
        let list = place.run(&["list", "--json"]).json();
        let word = |endpoint: &Value, key: &str| endpoint[key].as_str().unwrap().to_owned();
        let pair = |endpoint: &Value| (word(endpoint, "name"), word(endpoint, "state"));
        list["endpoints"].as_array().unwrap().iter().map(pair).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
    }

    #[test]
    fn a_change_is_in_force_at_once_and_in_the_file() {
        let (place, _serving) = serving();
        let text = place.now();
        assert_eq!(states(&place), pairs(&[("mirror 1", "up"), ("primary", "up")]));
        place.run(&["disable", "mirror 1"]).said(&["mirror 1 is disabled: changed in the running proxy"]);
        assert_eq!(states(&place), pairs(&[("mirror 1", "disabled"), ("primary", "up")]));
        assert_eq!(place.now(), text.replace("# old: hunter1\n", "# old: hunter1\n    enabled: false\n"));
        place.run(&["disable", "mirror 1"]).said(&["nothing to change"]);
        // The key is known where the proxy runs, and only there.
        let keys = ["--url", "https://k.example", "--auth-type", "api_key", "--auth-value", "${OTHER_KEY}"];
        let before = place.now();
        assert!(place.run(&[&["add", "k", "--dry-run"][..], &keys].concat()).out.contains("+  - name: k\n"));
        assert_eq!(place.now(), before);
        place.run(&[&["add", "k"][..], &keys].concat()).said(&["k is added: changed in the running proxy"]);
        place.run(&["edit", "k", "--rename", "九", "--priority", "0"]).said(&["k is changed"]);
        assert_eq!(states(&place)[0], ("九".to_owned(), "up".to_owned()));
        let list = place.run(&["list"]);
        assert!(list.out.contains("九        ● up        https://k.example  api_key ${OTHER_KEY}"), "{}", list.out);
        place.run(&["remove", "九", "--yes"]).said(&["九 is removed"]);
        place.run(&["enable", "mirror 1", "primary"]).said(&["mirror 1 is enabled", "nothing to change"]);
        assert_eq!(states(&place), pairs(&[("mirror 1", "up"), ("primary", "up")]));
        assert_eq!(place.now(), text.replace("# old: hunter1\n", "# old: hunter1\n    enabled: true\n"));
    }

    #[test]
    fn what_it_refuses_is_refused_as_in_the_file() {
        let (place, _serving) = serving();
        let text = place.now();
        for (line, words) in [
            (&["disable", "primery"][..], &["there is no endpoint \"primery\"", "did you mean \"primary\"?"][..]),
            (&["edit", "primary", "--url", "a.example"], &["url: the URL must start with https://"]),
            (&["edit", "primary", "--url", "https://me:hunter2@a.example"], &["credentials do not belong in the URL"]),
            (&["edit", "primary", "--auth-value", "${NOT_SET}"], &["NOT_SET", "is not set"]),
            (&["edit", "primary", "--rename", "mirror 1"], &["there is an endpoint \"mirror 1\" already"]),
            (&["add", "primary", "--url", "https://k", "--auth-type", "passthrough"], &["already"]),
            (&["add", "k", "--url", "https://k", "--auth-type", "api_key"], &["auth_value"]),
        ] {
            place.run(line).refused(2, words);
        }
        assert_eq!(place.now(), text);
        place.run(&["remove", "mirror 1", "-y"]).said(&["mirror 1 is removed"]);
        place.run(&["remove", "primary", "-y"]).refused(2, &["only endpoint", "disable"]);
    }

    #[test]
    fn a_file_that_was_broken_meanwhile_hides_nothing_and_is_left_alone() {
        let (place, _serving) = serving();
        let broken = place.now().replace("priority: 2", "prioritty: 2");
        fs::write(place.file(), &broken).unwrap();
        assert_eq!(states(&place), pairs(&[("mirror 1", "up"), ("primary", "up")]));
        place
            .run(&["disable", "mirror 1"])
            .refused(2, &["the config file is broken as it is", "did you mean `priority`"]);
        assert_eq!(place.now(), broken);
    }

    #[test]
    fn commands_side_by_side_lose_no_change() {
        let (place, _serving) = serving();
        let names: Vec<String> = (0..4).map(|number| format!("k{number}")).collect();
        let add =
            |name: &String| place.start(&["add", name, "--url", "https://k.example", "--auth-type", "passthrough"]);
        let running: Vec<Child> = names.iter().map(add).collect();
        assert!(running.into_iter().all(|running| running.wait_with_output().unwrap().status.success()));
        assert_eq!(states(&place).len(), 6);
        assert!(names.iter().all(|name| place.now().contains(&format!("  - name: {name}\n"))), "{}", place.now());
    }

    #[test]
    fn a_proxy_that_cannot_be_asked_takes_the_change_from_the_file() {
        let place = Place { port: closed_port(), ..Place::empty() };
        let text = place.text().replace("port: 1 }", "port: 0 }").replace(" }   # page", ", auth_token: '${WORD}' }");
        fs::write(place.file(), text).unwrap();
        let word = ("WORD", "hunter-word-hunter");
        let _serving = Serving::start(&place, &[KEYS[0], word]);
        place.run(&["disable", "mirror 1"]).said(&["no running proxy can be asked", "WORD", "so only"]);
        let line = ["endpoints", "list", "--plain"];
        let in_force = || {
            let running = place.command(&line).env(word.0, word.1).spawn().unwrap();
            let ran = Place::finish(running, &line, "");
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "it is the proxy's own list");
            ran.out.contains("mirror 1\tdisabled\t")
        };
        let found = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            in_force()
        });
        assert!(found, "the proxy did not read its file again");
    }
}
