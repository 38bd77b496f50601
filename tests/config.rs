//! What a config file says, and what is said of a broken one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claude_proxy::config::file::FileConfig;
use claude_proxy::config::{self, BodyMode, Config, Level, RequestTypes, mask};
use claude_proxy::domain::endpoint::{Auth, HttpVersion};
use proptest::prelude::*;

/// What stands for a credential in the fixtures; no message may hold it.
const SECRETS: [&str; 3] = ["hunter2", "8675309", "sk-ant"];

const MINIMAL: &str = "endpoints: [{ name: a, url: 'https://a.example', auth_type: passthrough }]\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "KEY" => Some("key-from-the-environment".into()),
        "EMPTY" => Some(String::new()),
        "TWO_LINES" => Some("hunter2\nhunter2".into()),
        _ => None,
    }
}

fn load(text: &str) -> Config {
    Config::from_text(text, None, &environment).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    Config::from_text(text, None, &environment).map(|_| ()).unwrap_err().to_string()
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(paths.len() > 40);
    paths
}

/// Each `x.yaml` is broken; `x.txt` beside it is what the user reads. To write them anew after a change of words:
/// `BLESS=1 cargo test every_broken_file`, then read the difference.
#[test]
fn every_broken_file_gets_its_message() {
    for path in fixtures() {
        let text = fs::read_to_string(&path).unwrap();
        let error = Config::from_text(&text, Some(&path), &environment).map(|_| ()).expect_err(&path.to_string_lossy());
        let said = format!("{error}\n");
        let beside = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&beside, &said).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
        for finding in &error.findings {
            let shown = finding.shown.as_ref().expect("a line");
            assert!(shown.line > 0 && shown.column > 0);
        }
        for secret in SECRETS {
            let all = format!("{said}{}{}{error:?}", error.message(), error.styled());
            assert!(!all.contains(secret), "{}: {all}", path.display());
        }
    }
}

#[test]
fn all_defaults_are_those_of_the_contract() {
    let config = load(MINIMAL);
    let secs = Duration::from_secs;
    assert_eq!(
        (config.server.host.as_str(), config.server.port, config.server.max_body),
        ("127.0.0.1", 8080, 64 << 20)
    );
    assert_eq!((config.server.auth_token.is_none(), config.server.shutdown_grace), (true, secs(30)));
    let endpoint = &config.endpoints[0];
    assert_eq!((endpoint.path_prefix.as_str(), endpoint.enabled, endpoint.priority), ("/v1", true, 1));
    assert_eq!((endpoint.http, &endpoint.proxy, &endpoint.ca_file), (HttpVersion::Http1, &None, &None));
    let logging = &config.logging;
    assert_eq!((logging.level, logging.log_request_types), (Level::Info, RequestTypes::All));
    assert_eq!((logging.log_request_body, logging.log_response_body), (BodyMode::Truncated, BodyMode::Truncated));
    assert_eq!(logging.log_directory, Path::new("./logs"));
    assert_eq!((logging.retention.max_age, logging.retention.max_size), (secs(30 * 86400), 1 << 30));
    let rules = config.validation;
    assert!(rules.strict_anthropic_format && rules.validate_streaming && rules.disconnect_on_invalid);
    let health = &config.health;
    assert_eq!((health.window, health.min_failures, &health.probe_model), (secs(140), 2, &None));
    assert_eq!((health.check_interval, health.check_timeout), (secs(30), secs(30)));
    let clocks = config.timeouts;
    assert_eq!((clocks.connect, clocks.first_byte), (secs(10), secs(60)));
    assert_eq!((clocks.stream_idle, clocks.commit), (secs(120), secs(280)));
    let admin = &config.web_admin;
    assert_eq!(
        (admin.enabled, admin.host.as_str(), admin.port, admin.auth_token.is_none()),
        (true, "127.0.0.1", 8081, true)
    );
}

#[test]
fn the_originals_example_loads() {
    let config = load(
        "server:\n    port: 8080\n    auth_token: your-proxy-secret-token\n\nendpoints:\n    - name: primary-endpoint\n      \
         url: https://api.anthropic.com\n      path_prefix: /v1\n      auth_type: api_key\n      \
         auth_value: sk-ant-api03-your-api-key\n      enabled: true\n      priority: 1\n",
    );
    let key = config.endpoints[0].auth.secret().unwrap();
    assert!(key.matches(b"sk-ant-api03-your-api-key"));
    assert_eq!(config.secrets().len(), 2);
}

#[test]
fn values_are_read_in_every_form() {
    let config = load(
        "server: { host: '[::1]', auth_token: $$a$b }\r\nendpoints:\r\n- name: 一号\r\n  url: https://a.example/base/\r\n  \
         path_prefix: ''\r\n  auth_type: auth_token\r\n  auth_value: pre-${KEY}-${NONE:-x}\r\n  enabled: false\r\n  \
         priority: -3\r\n  http: 1.1\r\n  proxy: socks5://me:${KEY}@proxy.example:1080\r\n- { name: b, url: 'http://b', \
         auth_type: passthrough, http: 2 }\r\n- { name: c, url: 'http://b', auth_type: passthrough, http: auto, path_prefix: //x//y/ }\r\n\
         logging:\r\n  # nothing\r\n",
    );
    assert_eq!(config.server.host, "::1");
    assert!(config.server.auth_token.unwrap().matches(b"$a$b"));
    let [a, b, c] = &config.endpoints[..] else { panic!() };
    assert_eq!((a.name.as_str(), a.path_prefix.as_str(), a.enabled, a.priority), ("一号", "", false, -3));
    assert!(matches!(&a.auth, Auth::Bearer(key) if key.matches(b"pre-key-from-the-environment-x")));
    assert_eq!(a.proxy.as_ref().unwrap().user_info(), Some("me:key-from-the-environment"));
    assert_eq!((a.http, b.http, c.http), (HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Auto));
    assert_eq!(c.path_prefix, "/x/y");
}

#[test]
fn a_credential_of_digits_needs_no_quotes() {
    let config = load(
        "server: { auth_token: 00123456 }\nweb_admin: { auth_token: 123456789012345678901234567890 }\nendpoints:\n\
         - name: a\n  url: https://a.example\n  auth_type: api_key\n  auth_value: 0987654321  # digits\n\
         - { name: b, url: 'https://b.example', auth_type: auth_token, auth_value: 123456789 }\n",
    );
    let texts = ["00123456", "123456789012345678901234567890", "0987654321", "123456789"];
    for (secret, text) in config.secrets().into_iter().zip(texts) {
        assert!(secret.matches(text.as_bytes()), "{text}");
    }
    assert_eq!(config.secrets().len(), texts.len());
    for other in ["true", "1.5", "1e5", "[1]"] {
        assert!(refused(&format!("server: {{ auth_token: {other} }}\n{MINIMAL}")).contains("expected text"), "{other}");
    }
}

#[test]
fn the_same_line_is_found_in_every_kind_of_text() {
    let lines = ["server:", "  # 注释 - 端口", "  port: wrong"];
    for (start, end) in [("", "\n"), ("\u{feff}", "\n"), ("", "\r\n"), ("\u{feff}", "\r\n"), ("", "\r")] {
        let said = refused(&format!("{start}{}{end}", lines.join(end)));
        assert!(said.contains("config.yaml:3:9\n3 |   port: wrong\n  |         ^^^^^ "), "{said}");
    }
}

#[test]
fn a_key_file_counts_from_the_configs_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    fs::write(folder.path().join("keys/a"), "the-key\r\n").unwrap();
    let text = "endpoints: [{ name: a, url: 'https://a.example', auth_type: api_key, auth_value: 'file:keys/a' }]\n\
                logging: { log_directory: ../logs }\n";
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let config = Config::load(Some(&path)).unwrap();
    assert!(config.endpoints[0].auth.secret().unwrap().matches(b"the-key"));
    assert_eq!(config.logging.log_directory, folder.path().join("../logs"));
    assert_eq!(config.file.as_deref(), Some(path.as_path()));
}

#[test]
#[cfg(unix)]
fn credentials_that_others_can_read_get_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("config.yaml"), folder.path().join("key"));
    let warned = |text: &str, mode: u32| {
        for file in [&path, &key] {
            fs::write(file, if file == &key { "k" } else { text }).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        Config::load(Some(&path)).unwrap().warnings().join("; ")
    };
    let literal = format!("server: {{ auth_token: literal }}\n{MINIMAL}");
    let by_file = format!("server: {{ auth_token: 'file:key' }}\n{MINIMAL}");
    assert!(warned(&literal, 0o640).contains("config.yaml holds keys"));
    assert!(warned(&by_file, 0o644).contains("server.auth_token: others can read"));
    for text in [literal.as_str(), &by_file] {
        assert_eq!(warned(text, 0o600), "");
    }
    assert_eq!(warned(MINIMAL, 0o644), "");
    let doubled = MINIMAL.replace("https://a.example", "https://a.example/v1");
    assert!(warned(&doubled, 0o600).contains("adds another"));
}

#[test]
fn a_ca_file_with_a_certificate_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    fs::write(folder.path().join("corp.pem"), made.cert.pem()).unwrap();
    let text = "endpoints: [{ name: a, url: 'https://a.example', auth_type: passthrough, ca_file: corp.pem }]";
    let config = Config::from_text(text, Some(&folder.path().join("config.yaml")), &environment).unwrap();
    assert_eq!(config.endpoints[0].ca_file.as_deref(), Some(folder.path().join("corp.pem").as_path()));
}

#[test]
fn the_built_in_default_goes_to_the_official_api() {
    let config = Config::built_in().unwrap();
    assert_eq!(config.endpoints[0].url.to_string(), "https://api.anthropic.com");
    assert_eq!(config.endpoints[0].auth, Auth::Passthrough);
    assert_eq!((config.endpoints.len(), config.server.auth_token.is_none(), &config.file), (1, true, &None));
}

#[test]
fn the_example_file_holds_every_key_with_its_default() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml.example")).unwrap();
    let set = Config::from_text(&example, None, &|_| Some("key".into())).unwrap_or_else(|error| panic!("{error}"));
    let default = load(MINIMAL);
    assert_eq!(set.server, default.server);
    assert_eq!(set.logging, default.logging);
    assert_eq!(set.validation, default.validation);
    assert_eq!(set.health, default.health);
    assert_eq!(set.timeouts, default.timeouts);
    assert_eq!(set.web_admin, default.web_admin);
    let bare: String = example
        .lines()
        .map(|line| line.trim_start().trim_start_matches("# ").trim_start())
        .collect::<Vec<_>>()
        .join("\n");
    for key in mask::known_keys() {
        let there = [format!("\n{key}:"), format!("\n- {key}:"), format!("{{ {key}:"), format!(", {key}:")];
        assert!(there.iter().any(|form| bare.contains(form)), "{key} is not in config.yaml.example");
    }
}

#[test]
fn what_is_shown_loads_again_and_holds_no_credential() {
    let config = load(&format!(
        "server: {{ auth_token: hunter2-hunter2 }}\n{}",
        MINIMAL.replace(
            "auth_type: passthrough",
            "auth_type: api_key, auth_value: sk-ant-hunter2-hunter2-9999, proxy: 'http://me:hunter2@proxy'",
        )
    ));
    let shown = config::to_yaml(&config.shown()).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("https://a.example") && shown.contains("max_age: 30d"), "{shown}");
    let mut again: FileConfig = config.shown();
    again.server.auth_token = Some("token".into());
    again.endpoints[0].auth_value = Some("key".into());
    let reloaded = load(&config::to_yaml(&again).unwrap());
    assert_eq!((reloaded.timeouts, reloaded.logging), (config.timeouts, config.logging));
}

#[test]
fn new_listen_addresses_need_a_restart_and_nothing_else_does() {
    let old = load(MINIMAL);
    let new = load(&format!(
        "server: {{ port: 9000 }}\nweb_admin: {{ enabled: false }}\ntimeouts: {{ connect: 1s }}\n{MINIMAL}"
    ));
    assert_eq!(config::restart_needed(&old, &new), ["server.port: 8080 -> 9000", "web_admin.enabled: true -> false"]);
    assert_eq!(config::restart_needed(&old, &old), Vec::<String>::new());
}

#[test]
fn a_reload_takes_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, MINIMAL).unwrap();
    let old = Config::load(Some(&path)).unwrap();
    fs::write(&path, format!("timeouts: {{ connect: 3s }}\n{MINIMAL}")).unwrap();
    assert_eq!(config::reload(&old).unwrap().timeouts.connect, Duration::from_secs(3));
    fs::write(&path, "").unwrap();
    assert!(config::reload(&old).unwrap_err().message().contains("the file is empty"));
    fs::remove_file(&path).unwrap();
    assert!(config::reload(&old).unwrap_err().message().contains("cannot be read"));
}

mod watching {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(8);

    async fn changed(watch: &mut config::Watch) {
        timeout(SOON, watch.changed()).await.expect("the change is seen");
    }

    #[tokio::test]
    async fn every_way_of_saving_is_seen_and_the_same_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "1").unwrap();
        let mut watch = config::watch(&path).unwrap();
        fs::write(&path, "2").unwrap();
        changed(&mut watch).await;
        let temporary = folder.path().join("config.yaml~");
        fs::write(&temporary, "3").unwrap();
        fs::rename(&temporary, &path).unwrap();
        changed(&mut watch).await;
        fs::remove_file(&path).unwrap();
        fs::write(&path, "3").unwrap();
        assert!(timeout(Duration::from_millis(1500), watch.changed()).await.is_err(), "the content is what it was");
        fs::write(&path, "4").unwrap();
        changed(&mut watch).await;
    }

    #[tokio::test]
    async fn a_change_between_loading_and_watching_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, MINIMAL).unwrap();
        let loaded = Config::load(Some(&path)).unwrap();
        fs::write(&path, format!("timeouts: {{ connect: 3s }}\n{MINIMAL}")).unwrap();
        let mut watch = config::watch(&path).unwrap().since(loaded.content);
        changed(&mut watch).await;
        let loaded = config::reload(&loaded).unwrap();
        let mut watch = config::watch(&path).unwrap().since(loaded.content);
        assert!(timeout(Duration::from_millis(1500), watch.changed()).await.is_err(), "it was loaded like this");
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn a_swapped_link_is_seen_wherever_it_leads() {
        use std::os::unix::fs::symlink;
        let (folder, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, data) = (folder.path().join("config.yaml"), folder.path().join("..data"));
        for version in ["1", "2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("config.yaml"), version).unwrap();
        }
        symlink("1", &data).unwrap();
        symlink("..data/config.yaml", &path).unwrap();
        let mut watch = config::watch(&path).unwrap();
        symlink("2", folder.path().join("..new")).unwrap();
        fs::rename(folder.path().join("..new"), &data).unwrap();
        changed(&mut watch).await;

        let target = far.path().join("real.yaml");
        fs::write(&target, "1").unwrap();
        let link = far.path().join("link");
        fs::create_dir(&link).unwrap();
        symlink(&target, link.join("config.yaml")).unwrap();
        let mut watch = config::watch(&link.join("config.yaml")).unwrap();
        fs::write(&target, "2").unwrap();
        changed(&mut watch).await;
    }
}

/// A config as text with one thing in it broken at random.
fn mutated() -> impl Strategy<Value = String> {
    let whole = "server: { auth_token: hunter2, port: 8080 }\nendpoints:\n  - name: a\n    url: https://me.example/x\n    \
                 auth_type: api_key\n    auth_value: hunter2\n    priority: 1\nlogging:\n  retention: { max_age: 30d }\n";
    let pieces = prop::sample::select(vec![
        "", "\n", " ", "\t", ":", ": ", "- ", "{", "}", "[", "]", ",", "\"", "'", "#", "&a ", "*a", "!x ", "|", ">",
        "?", "%", "@", "${", "}", "$", "~", "---\n", "\r", "\u{feff}", "\u{0}", "\u{85}", "\u{2028}", "主", "0x1",
        "1e999", "<<: ",
    ]);
    (0..=whole.len(), 0..12_usize, prop::collection::vec(pieces, 0..4)).prop_map(move |(at, gone, pieces)| {
        let end = (at + gone).min(whole.len());
        format!("{}{}{}", &whole[..at], pieces.concat(), &whole[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[ -~\n\t]{0,200}|[a-z:{}\\[\\],\n &*!|>'\"-]{0,120}") {
        let _ = Config::from_text(&text, None, &environment).map_err(|error| error.styled());
    }

    #[test]
    fn a_damaged_file_never_shows_its_keys(text in mutated()) {
        if let Err(error) = Config::from_text(&text, None, &environment) {
            let said = format!("{error}\n{}", error.message());
            prop_assert!(!said.contains("hunter2"), "{text}\n{said}");
        }
    }
}
