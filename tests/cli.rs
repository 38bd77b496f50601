//! The real program: what goes to which stream, and how it exits.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap_complete::Shell;
use claude_proxy::commands::completions;
use serde_json::Value;

/// Nobody listens on it: what asks who does must not depend on what else runs on the tester's machine.
const QUIET: &str = "server: { port: 1 }\n";
const PASSTHROUGH: &str = "endpoints: [{ name: a, url: 'https://a.example', auth_type: passthrough }]\n";

/// The program in a folder of its own, with nothing of the tester's environment.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(text: &str) -> Self {
        let place = Self::new();
        place.write("config.yaml", text);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
        command.args(line).current_dir(self.path()).env_clear().env("HOME", self.path()).stdin(Stdio::null());
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

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

#[test]
fn help_is_data_and_no_command_is_a_usage_error() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.starts_with("Examples:"), "{}", help.out);
    let nothing = place.run(&[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (2, ""));
    assert!(nothing.err.contains("Usage:"), "{}", nothing.err);
    assert_eq!(place.run(&["--version"]).out, concat!("claude-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
    let wrong = place.run(&["sevre"]);
    assert!(wrong.code == 2 && wrong.out.is_empty() && wrong.err.contains("serve"), "{}", wrong.err);
}

#[test]
fn a_broken_config_exits_2_with_its_line() {
    let place = Place::with("server:\n  prot: hunter2\n");
    for command in [&["config", "check"][..], &["config", "show"], &["serve"], &["check"], &["env"]] {
        let ran = place.run(command);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{command:?}");
        let expected = "error: server.prot: unknown key `prot`\n --> config.yaml:2:3\n2 |   prot: ***\n  |   ^^^^ unknown key\n\
                        help: did you mean `port`?";
        assert!(ran.err.starts_with(expected), "{}", ran.err);
    }
    let ran = place.run(&["config", "check", "--json"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (ran.code, &error["error"]["code"], &error["error"]["hint"]),
        (2, &"config".into(), &"did you mean `port`?".into())
    );
    assert_eq!(error["error"]["message"], "config.yaml:2:3: server.prot: unknown key `prot`");
}

#[test]
fn usage_errors_are_json_when_json_is_asked_for() {
    let ran = Place::new().run(&["config", "chekc", "--json"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, ran.out.as_str(), &error["error"]["code"]), (2, "", &"usage".into()));
}

#[test]
fn the_config_is_looked_up_in_the_promised_order() {
    let place = Place::new();
    let real = |name: &str| fs::canonicalize(place.path()).unwrap().join(name).display().to_string();
    let found = |line: &[&str], env: &[(&str, String)]| {
        let ran = Ran::of(place.command(line).envs(env.iter().cloned()).output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
        (ran.out.trim_end().to_owned(), ran.err.trim_end().to_owned())
    };
    let variable = [("CLAUDE_PROXY_CONFIG", real("variable.yaml"))];
    let path = ["config", "path"];
    assert_eq!(found(&path, &[]), (String::new(), "no file: the built-in default".into()));
    place.write(".config/claude-proxy/config.yaml", PASSTHROUGH);
    assert_eq!(found(&path, &[]).0, place.path().join(".config/claude-proxy/config.yaml").display().to_string());
    place.write("xdg/claude-proxy/config.yaml", PASSTHROUGH);
    assert_eq!(found(&path, &[("XDG_CONFIG_HOME", real("xdg"))]).0, real("xdg/claude-proxy/config.yaml"));
    place.write("config.yaml", PASSTHROUGH);
    assert_eq!(found(&path, &[]), (real("config.yaml"), "found in the working directory".into()));
    place.write("variable.yaml", PASSTHROUGH);
    assert_eq!(found(&path, &variable), (real("variable.yaml"), "named by CLAUDE_PROXY_CONFIG".into()));
    place.write("flag.yaml", PASSTHROUGH);
    let flag = ["config", "path", "-c", "flag.yaml"];
    assert_eq!(found(&flag, &variable), (real("flag.yaml"), "named by --config".into()));
    let json: Value = serde_json::from_str(&found(&["config", "path", "--json"], &[]).0).unwrap();
    assert_eq!((&json["path"], &json["why"]), (&real("config.yaml").into(), &"found in the working directory".into()));
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let place = Place::with(PASSTHROUGH);
    for (line, variable) in [(&["config", "check", "-c", "none.yaml"][..], ""), (&["config", "check"], "none.yaml")] {
        let ran = Ran::of(place.command(line).env("CLAUDE_PROXY_CONFIG", variable).output().unwrap());
        assert!(ran.code == 2 && ran.err.contains("none.yaml: there is no such file"), "{}", ran.err);
    }
}

#[test]
fn the_originals_config_flag_works_with_a_hint() {
    let place = Place::new();
    place.write("other.yaml", PASSTHROUGH);
    let ran = place.run(&["-config", "other.yaml", "config", "check"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("--config"), "{}", ran.err);
    assert!(ran.out.ends_with("other.yaml: fine, 1 endpoint, 1 enabled\n"), "{}", ran.out);
}

#[test]
fn show_and_check_print_data_without_credentials() {
    let text = "server: { auth_token: hunter2-hunter2-7777 }\nendpoints: [{ name: a, url: 'https://a.example', \
                auth_type: api_key, auth_value: sk-ant-hunter2-hunter2-9999, proxy: 'http://me:hunter2@p' }]\n";
    let place = Place::with(text);
    for line in
        [&["config", "show"][..], &["config", "show", "--json"], &["config", "check"], &["config", "check", "--json"]]
    {
        let ran = place.run(line);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{line:?}: {} {}", ran.out, ran.err);
    }
    let shown = place.run(&["config", "show", "--json"]).json();
    assert_eq!(shown["endpoints"][0]["auth_value"], "sk-…9999");
    assert_eq!(shown["timeouts"]["commit"], "280s");
    let checked = place.run(&["config", "check", "--json"]).json();
    assert_eq!((&checked["ok"], &checked["endpoints"]), (&true.into(), &1.into()));
    assert_eq!(place.run(&["config", "schema"]).json()["title"], "claude-proxy configuration");
}

#[test]
fn a_good_file_is_told_in_one_line() {
    let doubled = PASSTHROUGH.replace("https://a.example", "https://a.example/v1");
    for (text, end) in [(PASSTHROUGH, ": fine, 1 endpoint, 1 enabled\n"), (&doubled, ", 1 enabled, 1 warning\n")] {
        let ran = Place::with(text).run(&["config", "check"]);
        assert!(ran.code == 0 && ran.out.ends_with(end) && ran.out.lines().count() == 1, "{}", ran.out);
    }
}

#[test]
fn colour_is_for_terminals_or_on_demand() {
    let place = Place::with("");
    let err = |line: &[&str], no_color: &str| {
        Ran::of(place.command(line).env("NO_COLOR", no_color).env("TERM", "xterm").output().unwrap()).err
    };
    assert!(!err(&["config", "check"], "").contains('\x1b'));
    assert!(err(&["config", "check", "--color", "always"], "1").contains('\x1b'));
    assert!(!err(&["config", "check", "--color=never"], "").contains('\x1b'));
    assert!(err(&["--color=always", "nonsense"], "").contains('\x1b'));
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_quietly() {
    let place = Place::with(&format!("{QUIET}{PASSTHROUGH}"));
    for line in ["config schema", "config show", "--help", "completions bash", "env"] {
        let program = env!("CARGO_BIN_EXE_claude-proxy");
        let script = format!("\"{program}\" {line} 2>err | true; exit ${{PIPESTATUS[0]}}");
        let ran = Command::new("bash").args(["-c", &script]).current_dir(place.path()).output().unwrap();
        let err = fs::read_to_string(place.path().join("err")).unwrap();
        assert_eq!(ran.status.code(), Some(0), "{line}: {err}");
        assert!(!err.contains("panic") && !err.contains("error"), "{line}: {err}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_with_what_to_look_at() {
    let place = Place::with(&format!("{QUIET}{PASSTHROUGH}"));
    for line in [&["config", "schema"][..], &["config", "show", "--json"], &["env"], &["completions", "bash"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = place.command(line).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{line:?}: {err}");
        assert!(
            err.contains("cannot write the output") && err.contains("look at where stdout goes"),
            "{line:?}: {err}"
        );
    }
}

mod env {
    use super::*;

    const TOKEN: &str = r#"a'b"c$d`e\f!g h%i"#;

    fn place() -> Place {
        Place::with(&format!(
            "server: {{ port: 1, auth_token: {} }}\n{PASSTHROUGH}",
            Value::from(TOKEN.replace('$', "$$"))
        ))
    }

    #[test]
    #[cfg(unix)]
    fn a_shell_gets_exactly_the_token() {
        let place = place();
        let program = env!("CARGO_BIN_EXE_claude-proxy");
        let script = format!(
            "NO_PROXY='corp.example'; export NO_PROXY; eval \"$('{program}' env --shell sh)\"; \
             printf '%s\\n' \"$ANTHROPIC_BASE_URL\" \"$ANTHROPIC_AUTH_TOKEN\" \"$NO_PROXY\""
        );
        let ran = Ran::of(Command::new("sh").args(["-c", &script]).current_dir(place.path()).output().unwrap());
        assert_eq!(ran.out, format!("http://127.0.0.1:1\n{TOKEN}\ncorp.example,localhost,127.0.0.1\n"), "{}", ran.err);
    }

    #[test]
    fn json_and_settings_hold_the_same() {
        let json = place().run(&["env", "--json"]).json();
        assert_eq!((&json["ANTHROPIC_AUTH_TOKEN"], &json["NO_PROXY"]), (&TOKEN.into(), &"localhost,127.0.0.1".into()));
        assert_eq!(place().run(&["env", "--claude-settings"]).json()["env"], json);
    }

    #[test]
    fn without_a_token_the_clients_own_login_is_kept() {
        let ran = Place::with(&format!("{QUIET}{PASSTHROUGH}")).run(&["env"]);
        assert!(ran.code == 0 && !ran.out.contains("AUTH_TOKEN"), "{}", ran.out);
        assert!(ran.err.contains("ANTHROPIC_AUTH_TOKEN is left out"), "{}", ran.err);
    }

    #[test]
    fn a_key_that_only_the_proxy_has_is_not_needed() {
        let text = PASSTHROUGH.replace("passthrough", "api_key, auth_value: '${ONLY_THERE}'");
        let place = Place::with(&format!("{QUIET}{text}"));
        assert_eq!(place.run(&["config", "check"]).code, 2);
        assert_eq!(place.run(&["env"]).code, 0);
    }

    #[test]
    fn an_unknown_port_is_told() {
        let ran = Place::with(&format!("server: {{ port: 0 }}\nweb_admin: {{ port: 2 }}\n{PASSTHROUGH}")).run(&["env"]);
        assert!(ran.code == 4 && ran.err.contains("server.port is 0"), "{}", ran.err);
    }
}

mod init {
    use super::*;

    #[test]
    fn the_first_file_works_at_once_and_is_never_overwritten() {
        let place = Place::new();
        let ran = place.run(&["init", "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.out.contains("claude-proxy serve") && ran.err.contains("wrote config.yaml"),
            "{}{}",
            ran.out,
            ran.err
        );
        assert_eq!(place.run(&["config", "check"]).code, 0);
        let written = fs::read(place.path().join("config.yaml")).unwrap();
        let again = place.run(&["init", "--yes"]);
        assert!(again.code == 1 && again.err.contains("exists already"), "{}", again.err);
        assert_eq!(fs::read(place.path().join("config.yaml")).unwrap(), written);
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_for_its_owner_and_holds_a_token_of_its_own() {
        use std::os::unix::fs::PermissionsExt;
        let tokens = [(); 2].map(|()| {
            let place = Place::new();
            let ran = Ran::of(
                place.command(&["init", "--yes", "--port", "1"]).env("ANTHROPIC_API_KEY", "k").output().unwrap(),
            );
            assert_eq!(ran.code, 0, "{}", ran.err);
            let path = place.path().join("config.yaml");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(fs::read_to_string(&path).unwrap().contains("${ANTHROPIC_API_KEY}"));
            place.run(&["env", "--json"]).json()["ANTHROPIC_AUTH_TOKEN"].as_str().unwrap().to_owned()
        });
        assert!(tokens[0].starts_with("cp-") && tokens[0] != tokens[1], "{tokens:?}");
    }

    #[test]
    fn flags_are_the_answers() {
        let place = Place::new();
        let line =
            ["init", "--yes", "-c", "sub/own.yaml", "--url", "https://api.example.com", "--auth-type", "auth_token"];
        let ran = place.run(&[&line[..], &["--auth-value", "${OWN_KEY}", "--port", "9100"]].concat());
        assert!(ran.code == 0 && ran.out.contains("export OWN_KEY=…"), "{}{}", ran.out, ran.err);
        let shown = Ran::of(
            place.command(&["config", "show", "--json", "-c", "sub/own.yaml"]).env("OWN_KEY", "k").output().unwrap(),
        )
        .json();
        let endpoint = &shown["endpoints"][0];
        assert_eq!(
            (&endpoint["url"], &endpoint["auth_type"]),
            (&"https://api.example.com".into(), &"auth_token".into())
        );
        assert_eq!((&shown["server"]["port"], &shown["web_admin"]["port"]), (&9100.into(), &9101.into()));
    }

    #[test]
    fn without_a_terminal_it_asks_for_yes() {
        let ran = Place::new().run(&["init"]);
        assert!(ran.code == 2 && ran.err.contains("--yes"), "{}", ran.err);
        let bad = Place::new().run(&["init", "--yes", "--url", "api.example.com"]);
        assert!(bad.code == 2 && bad.err.contains("https://"), "{}", bad.err);
    }
}

mod completing {
    use super::*;

    const NAMED: &str = "server: { auth_token: hunter2 }\nendpoints:\n\
        - { name: primary, url: 'https://a.example/base', auth_type: api_key, auth_value: '${NOT_SET_HERE}' }\n\
        - { name: my mirror, url: 'https://b.example', auth_type: api_key, auth_value: sk-ant-hunter2 }\n\
        - { name: 'or:free', url: 'https://c.example', auth_type: api_key, auth_value: 'file:/dev/zero' }\n";

    /// What `shell` is told about the last of these words.
    fn answer(place: &Place, shell: &str, words: &[&str]) -> Ran {
        let mut command = place.command(&[&["--", "claude-proxy"][..], words].concat());
        command.env("CLAUDE_PROXY_COMPLETE", shell);
        command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
        Ran::of(command.output().unwrap())
    }

    /// The same from fish, whose answers have their help behind a tab.
    fn values(place: &Place, words: &[&str]) -> Vec<String> {
        let ran = answer(place, "fish", words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
        ran.out.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    #[cfg(unix)]
    fn a_real_bash_offers_names_and_everything_else() {
        let place = Place::with(NAMED);
        place.write("other.yaml", &PASSTHROUGH.replace("name: a", "name: elsewhere"));
        let program = Path::new(env!("CARGO_BIN_EXE_claude-proxy"));
        let script = "eval \"$(claude-proxy completions bash)\"; complete -p claude-proxy >/dev/null || exit 9\n\
            ask() { COMP_WORDS=(claude-proxy \"$@\") COMP_CWORD=$# COMP_TYPE=9 COMPREPLY=()\n\
            _clap_complete_claude_proxy claude-proxy \"${COMP_WORDS[$#]}\" \"\"; printf '%s\\n' \"${COMPREPLY[@]}\" .; }\n\
            ask check ''; ask check primary m; ask check or : f; ask check -c other.yaml e\n\
            ask check --config = other.yaml e; ask --color = al; ask se; ask config pa; ask check --no; ask completions fi\n\
            ask check -c oth; ask check -c none.yaml p";
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "-c", script]).env_clear().env("PATH", path).env("HOME", place.path());
        let ran = Ran::of(bash.current_dir(place.path()).output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let answers: Vec<_> = ran.out.split_terminator(".\n").map(str::trim_end).collect();
        let first = "primary\nmy\\ mirror\nor:free\n--json\n--no-spend\n--help\n--config\n--color";
        let rest = ["my\\ mirror", "free", "elsewhere", "elsewhere", "always", "serve", "path", "--no-spend", "fish"];
        assert_eq!(answers, [&[first][..], &rest, &["other.yaml", ""]].concat());
    }

    #[test]
    fn a_shell_that_shows_help_shows_the_address() {
        let place = Place::with(NAMED);
        assert_eq!(answer(&place, "zsh", &["check", "p"]).out, "primary:https://a.example/base");
        assert_eq!(answer(&place, "fish", &["check", "p"]).out, "primary\thttps://a.example/base\n");
        assert_eq!(answer(&place, "powershell", &["check", "my"]).out, "'my mirror'\thttps://b.example\n");
        assert_eq!(answer(&place, "elvish", &["check", "or"]).out, "or:free\thttps://c.example\n");
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let ran = answer(&place, shell, &["check", ""]);
            assert!(ran.out.contains("primary") && !ran.out.contains("hunter2"), "{shell}: {}", ran.out);
        }
    }

    #[test]
    fn the_config_is_the_one_that_the_line_would_use() {
        let place = Place::new();
        let named = |name: &str| PASSTHROUGH.replace("name: a", &format!("name: {name}"));
        assert_eq!(values(&place, &["check", "in-"]), Vec::<String>::new());
        place.write(".config/claude-proxy/config.yaml", &named("in-home"));
        assert_eq!(values(&place, &["check", "in-"]), ["in-home"]);
        place.write("config.yaml", &named("in-folder"));
        assert_eq!(values(&place, &["check", "in-"]), ["in-folder"]);
        place.write("flag.yaml", &named("in-flag"));
        assert_eq!(values(&place, &["-config", "flag.yaml", "check", "in-"]), ["in-flag"]);
        assert_eq!(values(&place, &["check", "--config=~/flag.yaml", "in-"]), ["in-flag"]);
    }

    #[test]
    fn a_config_that_cannot_be_read_completes_nothing_and_says_nothing() {
        for text in ["", "endpoints: [", "endpoints:\n- { name: hunter2, prot: 1 }\n", "\0"] {
            let place = Place::with(text);
            assert_eq!(values(&place, &["check", "h"]), Vec::<String>::new(), "{text}");
            assert_eq!(values(&place, &["check", "--js"]), ["--json"], "{text}");
        }
        let place = Place::with("endpoints: [{ name: \"\\e[31mred\" }, { name: --json }, { name: fine }]");
        assert_eq!(values(&place, &["check", ""])[..2], ["fine", "--json"]);
        let pipe = ["check", "-c", "/dev/zero", "f"];
        assert_eq!(values(&place, &pipe), Vec::<String>::new());
    }

    #[test]
    fn only_a_question_is_answered() {
        let place = Place::with(PASSTHROUGH);
        let ran = Ran::of(place.command(&["config", "check"]).env("CLAUDE_PROXY_COMPLETE", "bash").output().unwrap());
        assert!(ran.code == 0 && ran.out.contains("1 endpoint"), "{}{}", ran.out, ran.err);
        let unknown = answer(&place, "tcsh", &["check", ""]);
        assert_eq!((unknown.code, unknown.out.as_str(), unknown.err.as_str()), (1, "", ""));
    }
}

#[test]
fn the_originals_start_line_says_what_starts_it_now() {
    let place = Place::with("endpoints: []\n");
    // It goes on to serve, and so meets the fault of the file.
    let ran = place.run(&["-config", "config.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("-config is now --config") && ran.err.contains("at least one endpoint"), "{}", ran.err);
    let ran = place.run(&["-c", "config.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("claude-proxy serve") && ran.err.contains("--help"), "{}", ran.err);
    assert!(!ran.err.contains("filter"), "{}", ran.err);
    let ran = place.run(&[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("serve") && ran.err.contains("--help"), "{}", ran.err);
    let ran = place.run(&["-config", "config.yaml", "config", "show", "--json"]);
    assert!(serde_json::from_str::<Value>(&ran.err).is_ok(), "one object: {}", ran.err);
    assert_eq!(place.run(&["-config", "config.yaml", "--version"]).code, 0);
}

#[test]
fn every_command_that_prints_data_prints_it_for_programs() {
    let place = Place::with(&format!("{QUIET}{PASSTHROUGH}"));
    let json = |line: &[&str]| {
        let ran = place.run(line);
        serde_json::from_str::<Value>(&ran.out)
            .unwrap_or_else(|error| panic!("{line:?}: {error}: {}{}", ran.out, ran.err))
    };
    assert!(json(&["config", "schema", "--json"])["properties"].is_object());
    let path = place.path().join("config.yaml").display().to_string();
    assert_eq!(json(&["config", "path", "--json"])["path"], path);
    assert!(json(&["statusline", "--json"])["line"].as_str().is_some_and(|line| !line.contains('\u{1b}')));
    let first = place.path().join("first.yaml").display().to_string();
    assert_eq!(json(&["init", "--yes", "--json", "-c", "first.yaml"])["file"], first);
}

#[test]
fn an_empty_variable_names_no_admin_server_and_a_password_in_its_address_is_not_repeated() {
    let place = Place::with(&format!("{QUIET}web_admin: {{ port: 2 }}\n{PASSTHROUGH}"));
    let mut command = place.command(&["status"]);
    let ran = Ran::of(command.env("CLAUDE_PROXY_ADMIN", "").output().unwrap());
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("127.0.0.1:2"), "{}", ran.err);
    let ran = place.run(&["status", "--admin", "http://me:hunter2@127.0.0.1:1"]);
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains("hunter2") && ran.err.contains("127.0.0.1:1"), "{}", ran.err);
}

#[test]
fn a_broken_config_is_one_object_to_a_program_that_lists_the_endpoints() {
    let place = Place::with("web_admin: { port: 2 }\nendpoints: [{ name: a }]\n");
    let ran = place.run(&["endpoints", "list", "--json"]);
    assert_eq!(ran.code, 2);
    assert!(serde_json::from_str::<Value>(&ran.err).is_ok(), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn a_config_that_cannot_be_read_is_not_passed_over() {
    let place = Place::new();
    std::os::unix::fs::symlink("gone.yaml", place.path().join("config.yaml")).unwrap();
    let ran = place.run(&["config", "show"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("config.yaml: is a link to a file that is not there"), "{}", ran.err);
    fs::remove_file(place.path().join("config.yaml")).unwrap();
    fs::create_dir(place.path().join("config.yaml")).unwrap();
    assert!(place.run(&["config", "show"]).err.contains("config.yaml: is no file"));
}

/// To write them anew: `for s in bash zsh fish powershell elvish; do claude-proxy completions $s; done` into these
/// files, or `BLESS=1 cargo test the_completions`.
#[test]
fn the_completions_in_the_repository_are_what_the_program_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, file) in [
        (Shell::Bash, "claude-proxy.bash"),
        (Shell::Zsh, "_claude-proxy"),
        (Shell::Fish, "claude-proxy.fish"),
        (Shell::PowerShell, "_claude-proxy.ps1"),
        (Shell::Elvish, "claude-proxy.elv"),
    ] {
        let script = completions::script(shell).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(folder.join(file), &script).unwrap();
        }
        let stored = fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(stored == script, "completions/{file} is old: BLESS=1 cargo test the_completions");
        assert_eq!(Place::new().run(&["completions", &shell.to_string()]).out, script);
    }
}
