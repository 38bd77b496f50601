//! From what the file says to what is in force: references are resolved, every value is judged. All problems of a
//! file are found in one go; what is returned beside problems is a stopgap and never used.

mod endpoint;
mod own;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::own::{is_loopback, overlap};
use super::diagnose::Problem;
use super::file::{FileConfig, FileHealth, FileLogging, FileServer, FileTimeouts, FileWebAdmin};
use super::mask::looks_secret;
use super::reference::{self, Broken, Environment};
use super::tree::Node;
use super::units::Span;
use super::watch::Content;
use super::{Config, Logging, Retention, Server, Timeouts, WebAdmin};
use crate::domain::health::HealthRules;
use crate::domain::secret::Secret;

pub struct Checker<'a> {
    root: &'a Node,
    /// Relative paths count from here; empty: from the working directory.
    folder: &'a Path,
    env: Environment<'a>,
    pub problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub fn new(root: &'a Node, folder: &'a Path, env: Environment<'a>) -> Self {
        Self { root, folder, env, problems: Vec::new() }
    }

    pub fn config(&mut self, file: &FileConfig, path: Option<PathBuf>, content: Content) -> Config {
        let server = self.server(&file.server);
        let web_admin = self.web_admin(&file.web_admin);
        self.ports_differ(&server, &web_admin);
        let endpoints = self.endpoints(&file.endpoints, &server, &web_admin);
        Config {
            file: path,
            content,
            server,
            endpoints,
            logging: self.logging(&file.logging),
            validation: file.validation,
            health: self.health(&file.health),
            timeouts: self.timeouts(&file.timeouts),
            web_admin,
        }
    }

    pub fn server(&mut self, file: &FileServer) -> Server {
        let host = self.host("server.host", &file.host);
        let auth_token = self.token("server.auth_token", file.auth_token.as_deref());
        self.guarded("server", &host, file.auth_token.is_some());
        if file.max_body.0 == 0 {
            self.refuse("server.max_body", "must be more than zero", "nothing could be sent");
        }
        Server { host, port: file.port, auth_token, max_body: file.max_body.0, shutdown_grace: file.shutdown_grace.0 }
    }

    pub fn web_admin(&mut self, file: &FileWebAdmin) -> WebAdmin {
        let host = self.host("web_admin.host", &file.host);
        let auth_token = self.token("web_admin.auth_token", file.auth_token.as_deref());
        if file.enabled {
            self.guarded("web_admin", &host, file.auth_token.is_some());
        }
        WebAdmin { enabled: file.enabled, host, port: file.port, auth_token }
    }

    pub(super) fn logging(&mut self, file: &FileLogging) -> Logging {
        let directory = self.text("logging.log_directory", &file.log_directory);
        if directory.as_deref() == Some("") {
            self.refuse("logging.log_directory", "is empty", "expected a folder");
        }
        let max_age = self.positive("logging.retention.max_age", file.retention.max_age);
        if file.retention.max_size.0 == 0 {
            self.refuse("logging.retention.max_size", "must be more than zero", "every log would be deleted");
        }
        Logging {
            level: file.level,
            log_request_types: file.log_request_types,
            log_request_body: file.log_request_body,
            log_response_body: file.log_response_body,
            log_directory: self.file_path(&directory.unwrap_or_default()),
            retention: Retention { max_age, max_size: file.retention.max_size.0 },
        }
    }

    fn health(&mut self, file: &FileHealth) -> HealthRules {
        if file.min_failures == 0 {
            self.refuse("health.min_failures", "must be at least 1", "no endpoint would ever be up");
        }
        let probe_model = file.probe_model.as_deref().and_then(|model| self.text("health.probe_model", model));
        if probe_model.as_deref() == Some("") {
            self.refuse("health.probe_model", "is empty", "expected a model's name");
        }
        HealthRules {
            window: self.positive("health.window", file.window),
            min_failures: file.min_failures,
            check_interval: self.positive("health.check_interval", file.check_interval),
            check_timeout: self.positive("health.check_timeout", file.check_timeout),
            probe_model,
        }
    }

    fn timeouts(&mut self, file: &FileTimeouts) -> Timeouts {
        Timeouts {
            connect: self.positive("timeouts.connect", file.connect),
            first_byte: self.positive("timeouts.first_byte", file.first_byte),
            stream_idle: self.positive("timeouts.stream_idle", file.stream_idle),
            commit: self.positive("timeouts.commit", file.commit),
        }
    }

    fn positive(&mut self, path: &str, span: Span) -> Duration {
        if span.0.is_zero() {
            self.refuse(path, "must be more than zero", "expected a duration such as 30s");
        }
        span.0
    }

    /// An IP address or `localhost`, without brackets.
    fn host(&mut self, path: &str, raw: &str) -> String {
        let host = self.text(path, raw).unwrap_or_else(|| "localhost".to_owned());
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        if bare.parse::<IpAddr>().is_err() && !bare.eq_ignore_ascii_case("localhost") {
            let problem = self.problem(path, "expected an IP address or localhost").label("not an IP address");
            self.problems.push(problem.help("127.0.0.1 is this machine alone, 0.0.0.0 every interface"));
            return "127.0.0.1".to_owned();
        }
        bare.to_lowercase()
    }

    /// What other machines can reach needs a token.
    fn guarded(&mut self, section: &str, host: &str, has_token: bool) {
        if has_token || is_loopback(host) {
            return;
        }
        let what = format!("other machines can reach this address, so {section}.auth_token is required");
        let problem = self.problem(&format!("{section}.host"), what).label("not loopback");
        self.problems.push(problem.help(format!("add `auth_token: …` under {section}, or use 127.0.0.1")));
    }

    fn ports_differ(&mut self, server: &Server, admin: &WebAdmin) {
        if admin.enabled && admin.port != 0 && admin.port == server.port && overlap(&server.host, &admin.host) {
            let what = format!("server.port is {} too", server.port);
            let problem = self.problem("web_admin.port", what).label("taken by the proxy itself");
            self.problems.push(problem.help("give each its own port"));
        }
    }

    fn token(&mut self, path: &str, raw: Option<&str>) -> Option<Secret> {
        raw.and_then(|raw| self.secret(path, raw, None))
    }

    /// A credential that can stand in a header. `owner` is the endpoint that has no key without it.
    fn secret(&mut self, path: &str, raw: &str, owner: Option<&str>) -> Option<Secret> {
        let problem = match reference::secret(raw, self.folder, self.env) {
            Ok(value) => match unfit_for_a_header(&value) {
                None => return Some(Secret::new(value)),
                Some((what, help)) => self.problem(path, what).label("not a key").help(help),
            },
            Err(broken) => self.broken(path, &broken, owner),
        };
        self.problems.push(problem);
        None
    }

    fn broken(&self, path: &str, broken: &Broken, owner: Option<&str>) -> Problem {
        let key = path.rsplit('.').next().unwrap_or(path);
        let named = |what: String| match owner {
            Some(owner) => self.problem(path, format!("has no key: {what}")).about(owner),
            None => self.problem(path, what),
        };
        match broken {
            Broken::Unset(name) => {
                let file = name.to_lowercase();
                let file = file.trim_end_matches("_key").trim_end_matches("_token");
                let mut help = format!("export {name}=…, or write `{key}: file:keys/{file}`");
                if owner.is_some() {
                    help = format!("{help}, or give a default: ${{{name}:-…}}, or take the endpoint out of the file");
                }
                named(format!("${{{name}}} is not set")).label("not in the environment").help(help)
            }
            Broken::Form(why) => {
                self.problem(path, *why).label("a broken reference").help("write `$$` for a dollar sign")
            }
            Broken::File(file, why) => {
                let shown = super::display_name(file);
                let shown = if looks_secret(&shown) { "the file" } else { &shown };
                named(format!("{shown}: {why}"))
                    .label("no key in this file")
                    .help("write the key into the file, on one line; a relative path counts from the config's folder")
            }
        }
    }

    /// A value with its variables put in.
    fn text(&mut self, path: &str, raw: &str) -> Option<String> {
        match reference::expand(raw, self.env) {
            Ok(text) => Some(text),
            Err(Broken::Unset(name)) => {
                let problem = self.problem(path, format!("${{{name}}} is not set")).label("not in the environment");
                self.problems.push(problem.help(format!("export {name}=…, or give a default: ${{{name}:-…}}")));
                None
            }
            Err(broken) => {
                let problem = self.broken(path, &broken, None);
                self.problems.push(problem);
                None
            }
        }
    }

    fn file_path(&self, path: &str) -> PathBuf {
        let joined = reference::resolve_path(path, self.folder, self.env);
        if self.folder.as_os_str().is_empty() { joined } else { std::path::absolute(&joined).unwrap_or(joined) }
    }

    fn problem(&self, path: &str, what: impl Into<String>) -> Problem {
        Problem::new(self.root.find(path), what).path(path)
    }

    fn refuse(&mut self, path: &str, what: impl Into<String>, label: &str) {
        let problem = self.problem(path, what).label(label);
        self.problems.push(problem);
    }
}

/// What is wrong with a credential, and what to do.
fn unfit_for_a_header(value: &str) -> Option<(&'static str, &'static str)> {
    if value.is_empty() {
        Some(("is empty", "give it a value, or remove the line"))
    } else if value.contains(['\n', '\r']) {
        Some(("holds a line break", "a key is one line: check for a second line, or a `|` that keeps the last break"))
    } else if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Some((
            "holds a character that is not printable ASCII",
            "copy the key again, without quotes or spaces of a text editor",
        ))
    } else if value.starts_with(' ') || value.ends_with(' ') {
        Some(("starts or ends with a space", "remove the space"))
    } else {
        None
    }
}
