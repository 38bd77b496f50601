//! The settings that are in force: validated, with every default filled in.
//!
//! ```text
//! locate -> text -> syntax (tree) -> decode (file) -> check -> Config
//! ```
//! A problem met on the way is drawn into the text by `diagnose`, past `mask`, which lets no credential through.

pub mod check;
pub mod decode;
pub mod diagnose;
pub mod edit;
pub mod file;
pub mod listening;
pub mod locate;
pub mod mask;
pub mod names;
pub mod reading;
pub mod reference;
pub mod schema;
pub mod show;
pub mod syntax;
pub mod tree;
pub mod units;
pub mod warnings;
pub mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::check::Checker;
pub use self::diagnose::ConfigError;
use self::diagnose::{Problem, Source};
use self::file::FileConfig;
pub use self::locate::{Located, Why, locate};
use self::reference::Environment;
pub use self::reference::process_environment;
use self::syntax::LARGEST;
pub use self::watch::{Content, Watch, watch};
use crate::domain::endpoint::{EndpointSpec, ProxyUrl};
use crate::domain::health::HealthRules;
use crate::domain::secret::Secret;

/// Everything that `config.yaml` says, checked as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from; `None` for the built-in default.
    pub file: Option<PathBuf>,
    /// What it held, so that a watch can tell whether it holds something else.
    pub content: Content,
    pub server: Server,
    /// In the file's order; names are unique, there is at least one.
    pub endpoints: Vec<Arc<EndpointSpec>>,
    pub logging: Logging,
    pub validation: Validation,
    pub health: HealthRules,
    pub timeouts: Timeouts,
    pub web_admin: WebAdmin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// An IP address or `localhost`.
    pub host: String,
    /// 0 = any free one.
    pub port: u16,
    /// `None`: no client authentication, loopback only.
    pub auth_token: Option<Secret>,
    /// Bytes.
    pub max_body: u64,
    pub shutdown_grace: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    pub level: Level,
    pub log_request_types: RequestTypes,
    pub log_request_body: BodyMode,
    pub log_response_body: BodyMode,
    /// Absolute, or relative to the working directory when there is no file.
    pub log_directory: PathBuf,
    pub retention: Retention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Which requests the log files keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestTypes {
    Failed,
    Success,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyMode {
    None,
    /// The first 1024 bytes, cut at a character boundary.
    Truncated,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Duration,
    /// Bytes, all log files together.
    pub max_size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// Judge 2xx answers of messages and `count_tokens`.
    pub strict_anthropic_format: bool,
    /// Judge event streams event by event.
    pub validate_streaming: bool,
    /// Invalid after bytes went down: cut the client connection; false: log it and let it pass.
    pub disconnect_on_invalid: bool,
}

impl Default for Validation {
    fn default() -> Self {
        Self { strict_anthropic_format: true, validate_streaming: true, disconnect_on_invalid: true }
    }
}

/// One attempt's clocks, and `commit`: the whole of a request until bytes go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub stream_idle: Duration,
    pub commit: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAdmin {
    pub enabled: bool,
    pub host: String,
    pub port: u16,
    pub auth_token: Option<Secret>,
}

impl Config {
    /// The settings of the file that [`locate`] finds, or the built-in default.
    pub fn load(explicit: Option<&Path>) -> Result<Self, ConfigError> {
        match locate(explicit, &process_environment)?.file {
            Some(path) => Self::from_text(&read(&path)?, Some(&path), &process_environment),
            None => Self::built_in(),
        }
    }

    /// The settings that `text` makes; `file` is where it came from, for messages and relative paths.
    pub fn from_text(text: &str, file: Option<&Path>, env: Environment) -> Result<Self, ConfigError> {
        let content = Content::of(text.as_bytes());
        interpret(text, file, env, |checker, settings, path| checker.config(settings, path, content))
    }

    /// What is in force without a file.
    pub fn built_in() -> Result<Self, ConfigError> {
        let text = tree::to_yaml(&FileConfig::built_in()).unwrap_or_default();
        Self::from_text(&text, None, &|_| None)
    }

    /// What should be known about the file though nothing is wrong with it.
    pub fn warnings(&self) -> Vec<String> {
        let Some(path) = &self.file else { return Vec::new() };
        read_again(path).map(|text| warnings::of(&text, path, &process_environment)).unwrap_or_default()
    }

    /// The settings in force in the file's form, with every credential masked.
    pub fn shown(&self) -> FileConfig {
        show::effective(self)
    }

    /// Every credential in these settings, for the redactor; the passwords of outbound proxies too.
    pub fn secrets(&self) -> Vec<Secret> {
        let tokens = [&self.server.auth_token, &self.web_admin.auth_token].into_iter().flatten().cloned();
        let keys = self.endpoints.iter().filter_map(|endpoint| endpoint.auth.secret().cloned());
        let passwords =
            self.endpoints.iter().filter_map(|endpoint| endpoint.proxy.as_ref()).flat_map(ProxyUrl::secrets);
        tokens.chain(keys).chain(passwords).chain(environment_passwords()).collect()
    }
}

/// The passwords of the outbound proxies that the environment names.
fn environment_passwords() -> impl Iterator<Item = Secret> {
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let proxies = names.into_iter().filter_map(|name| ProxyUrl::read(&process_environment(name)?).ok());
    proxies.flat_map(|proxy| proxy.secrets().collect::<Vec<_>>())
}

/// The settings of the same file as it is now. The built-in default stays what it is.
pub fn reload(old: &Config) -> Result<Config, ConfigError> {
    match &old.file {
        Some(path) => Config::from_text(&read_again(path)?, Some(path), &process_environment),
        None => Ok(old.clone()),
    }
}

/// The `server` section alone, for commands that need no endpoint: a key that is missing here may be set where the
/// proxy runs.
pub fn load_server(explicit: Option<&Path>) -> Result<Server, ConfigError> {
    match locate(explicit, &process_environment)?.file {
        Some(path) => interpret(&read(&path)?, Some(&path), &process_environment, |checker, settings, _| {
            checker.server(&settings.server)
        }),
        None => Config::built_in().map(|config| config.server),
    }
}

/// The `web_admin` section alone, and the file it is from, for commands that talk to a running proxy.
pub fn load_admin(explicit: Option<&Path>) -> Result<(WebAdmin, Option<PathBuf>), ConfigError> {
    admin_section(explicit, Needed::Whole)
}

/// As [`load_admin`], whatever is wrong with the other sections: a proxy that runs has older settings in force.
pub fn load_admin_alone(explicit: Option<&Path>) -> Result<(WebAdmin, Option<PathBuf>), ConfigError> {
    admin_section(explicit, Needed::Section("web_admin"))
}

fn admin_section(explicit: Option<&Path>, needed: Needed) -> Result<(WebAdmin, Option<PathBuf>), ConfigError> {
    match locate(explicit, &process_environment)?.file {
        Some(path) => {
            interpret_some(&read(&path)?, Some(&path), &process_environment, needed, |checker, settings, file| {
                (checker.web_admin(&settings.web_admin), file)
            })
        }
        None => Config::built_in().map(|config| (config.web_admin, None)),
    }
}

/// The `logging` section alone, for commands that read the log: it may be read where no key is set.
pub fn load_logging(explicit: Option<&Path>) -> Result<Logging, ConfigError> {
    match locate(explicit, &process_environment)?.file {
        Some(path) => interpret(&read(&path)?, Some(&path), &process_environment, |checker, settings, _| {
            checker.logging(&settings.logging)
        }),
        None => Config::built_in().map(|config| config.logging),
    }
}

/// Settings as YAML.
pub fn to_yaml(settings: &FileConfig) -> Result<String, String> {
    tree::to_yaml(settings)
}

/// What differs and cannot take effect while the program runs: `server.port: 8080 -> 9090`.
pub fn restart_needed(old: &Config, new: &Config) -> Vec<String> {
    let listeners = |config: &Config| {
        [
            ("server.host", config.server.host.clone()),
            ("server.port", config.server.port.to_string()),
            ("web_admin.enabled", config.web_admin.enabled.to_string()),
            ("web_admin.host", config.web_admin.host.clone()),
            ("web_admin.port", config.web_admin.port.to_string()),
        ]
    };
    let pairs = listeners(old).into_iter().zip(listeners(new));
    let changed = pairs.filter(|((_, before), (_, after))| before != after);
    changed.map(|((key, before), (_, after))| format!("{key}: {before} -> {after}")).collect()
}

/// Once, at the start of a program: it may be a pipe, such as `<(decrypt config)` is.
fn read(path: &Path) -> Result<String, ConfigError> {
    as_text(path, reading::any(path, LARGEST))
}

/// The file's text, for whoever must not be kept waiting, as by a pipe.
pub fn read_again(path: &Path) -> Result<String, ConfigError> {
    as_text(path, reading::regular(path, LARGEST))
}

fn as_text(path: &Path, read: io::Result<Vec<u8>>) -> Result<String, ConfigError> {
    let unreadable = |why: String| {
        let message = format!("{}: cannot be read: {why}", display_name(path));
        ConfigError::file(path, message, "check the file and its permissions")
    };
    let bytes = read.map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))
}

/// As short as it is clear: without the working directory.
fn display_name(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    short.as_deref().unwrap_or(path).display().to_string()
}

/// How much of the file must be right.
#[derive(Clone, Copy)]
enum Needed {
    Whole,
    /// Any other one counts as absent.
    Section(&'static str),
}

/// Text to checked settings, or every problem drawn into the text.
fn interpret<T>(
    text: &str,
    file: Option<&Path>,
    env: Environment,
    check: impl FnOnce(&mut Checker, &FileConfig, Option<PathBuf>) -> T,
) -> Result<T, ConfigError> {
    interpret_some(text, file, env, Needed::Whole, check)
}

fn interpret_some<T>(
    text: &str,
    file: Option<&Path>,
    env: Environment,
    needed: Needed,
    check: impl FnOnce(&mut Checker, &FileConfig, Option<PathBuf>) -> T,
) -> Result<T, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let name = file.map_or_else(|| "config.yaml".to_owned(), display_name);
    let source = Source { name: &name, text };
    let path = file.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    let refuse = |findings| ConfigError { findings, file: path.clone() };

    let mut root = syntax::read(source).map_err(|finding| refuse(vec![*finding]))?;
    if let Needed::Section(section) = needed {
        root.keep_only(section);
    }
    let draw = |problems: Vec<Problem>| {
        let mut findings: Vec<_> = problems.into_iter().map(|problem| source.draw(&root, problem)).collect();
        findings.sort_by_key(|finding| finding.shown.as_ref().map(|at| (at.line, at.column)));
        refuse(findings)
    };
    let settings = decode::decode(&root).map_err(draw)?;
    let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let mut checker = Checker::new(&root, folder, env);
    let outcome = check(&mut checker, &settings, path.clone());
    let problems = std::mem::take(&mut checker.problems);
    if problems.is_empty() { Ok(outcome) } else { Err(draw(problems)) }
}
