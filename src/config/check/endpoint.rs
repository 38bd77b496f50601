//! One endpoint of the file, judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Checker;
use super::own::Listeners;
use crate::config::file::{AuthType, FileEndpoint};
use crate::config::mask::looks_secret;
use crate::config::reading;
use crate::config::{Server, WebAdmin};
use crate::domain::endpoint::{Auth, BaseUrl, EndpointSpec, ProxyUrl, normalise_path, well_escaped};

const LONGEST_NAME: usize = 64;

impl Checker<'_> {
    pub(super) fn endpoints(
        &mut self,
        files: &[FileEndpoint],
        server: &Server,
        admin: &WebAdmin,
    ) -> Vec<Arc<EndpointSpec>> {
        if files.is_empty() {
            let problem = self.problem("endpoints", "at least one endpoint is needed").label("none here");
            self.problems.push(problem.help("each has `name`, `url`, `auth_type` and `auth_value`"));
        }
        self.names_are_unique(files);
        let listeners = Listeners::new(server, admin);
        let checked = files.iter().enumerate().filter_map(|(index, file)| self.endpoint(index, file, &listeners));
        checked.map(Arc::new).collect()
    }

    fn names_are_unique(&mut self, files: &[FileEndpoint]) {
        for (index, file) in files.iter().enumerate() {
            let earlier = files[..index].iter().position(|other| other.name.is_some() && other.name == file.name);
            if let Some(earlier) = earlier {
                let what = format!("endpoints[{earlier}] has this name already");
                self.refuse(&format!("endpoints[{index}].name"), what, "a name can be given once");
            }
        }
    }

    fn endpoint(&mut self, index: usize, file: &FileEndpoint, listeners: &Listeners) -> Option<EndpointSpec> {
        let at = |key: &str| format!("endpoints[{index}].{key}");
        let name = self.required(index, "name", file.name.as_ref()).map(|name| self.name(&at("name"), name));
        let url = self.required(index, "url", file.url.as_ref()).and_then(|url| self.url(&at("url"), url, listeners));
        let auth = self.required(index, "auth_type", file.auth_type.as_ref());
        let auth = auth.and_then(|auth_type| self.auth(index, *auth_type, file));
        let prefix = file.path_prefix.as_deref().map(|prefix| self.prefix(&at("path_prefix"), prefix));
        let proxy = file.proxy.as_deref().map(|proxy| self.proxy(&at("proxy"), proxy, listeners));
        let ca_file = file.ca_file.as_deref().and_then(|ca_file| self.ca_file(&at("ca_file"), ca_file));
        Some(EndpointSpec {
            name: name?,
            url: url?,
            path_prefix: prefix.unwrap_or_else(|| "/v1".to_owned()),
            auth: auth?,
            enabled: file.enabled.unwrap_or(true),
            priority: file.priority.unwrap_or(1),
            http: file.http.unwrap_or_default().0,
            proxy: proxy.flatten(),
            ca_file,
        })
    }

    fn required<'v, T>(&mut self, index: usize, key: &str, value: Option<&'v T>) -> Option<&'v T> {
        if value.is_none() {
            let path = format!("endpoints[{index}].{key}");
            let problem = self.problem(&path, "is missing").label(format!("this endpoint has no `{key}`"));
            self.problems.push(problem.help(match key {
                "name" => "add `name: …`, a short word of your choice",
                "url" => "add `url: https://…`",
                "auth_type" => "add `auth_type: api_key`, `auth_token` or `passthrough`",
                _ => "add `auth_value: ${KEY}`, and export KEY; or use `auth_type: passthrough`",
            }));
        }
        value
    }

    fn name(&mut self, path: &str, name: &str) -> String {
        let (what, label) = if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
            ("expected a short word".to_owned(), "empty, or with spaces around it")
        } else if name.chars().count() > LONGEST_NAME {
            (format!("is longer than {LONGEST_NAME} characters"), "too long")
        } else {
            return name.to_owned();
        };
        let problem = self.problem(path, what).label(label);
        self.problems.push(problem.help("logs and commands call it so: choose a word such as primary"));
        name.to_owned()
    }

    fn url(&mut self, path: &str, raw: &str, listeners: &Listeners) -> Option<BaseUrl> {
        let text = self.text(path, raw)?;
        match BaseUrl::parse(&text) {
            Ok(url) => {
                self.not_our_own(path, url.host(), url.port(), listeners);
                Some(url)
            }
            Err(why) => {
                let problem = self.problem(path, why).label("expected https://host[:port][/path]");
                self.problems.push(problem.help("write it as in https://api.anthropic.com"));
                None
            }
        }
    }

    fn proxy(&mut self, path: &str, raw: &str, listeners: &Listeners) -> Option<ProxyUrl> {
        let text = self.text(path, raw)?;
        match ProxyUrl::parse(&text) {
            Ok(proxy) => {
                if let Some(port) = proxy.uri().port_u16() {
                    self.not_our_own(path, proxy.uri().host().unwrap_or_default(), port, listeners);
                }
                Some(proxy)
            }
            Err(why) => {
                let problem = self.problem(path, why).label("expected http://host:port");
                self.problems
                    .push(problem.help("http, https or socks5, with `user:password@` before the host if need be"));
                None
            }
        }
    }

    /// A request that comes back to us would go round for ever.
    fn not_our_own(&mut self, path: &str, host: &str, port: u16, listeners: &Listeners) {
        if let Some(why) = listeners.reached_by(host, port) {
            let what = format!("points at this proxy itself ({why})");
            let problem = self.problem(path, what).label("our own listener");
            self.problems.push(problem.help("write the address of the upstream, or change the port"));
        }
    }

    fn prefix(&mut self, path: &str, raw: &str) -> String {
        let prefix = normalise_path(&self.text(path, raw).unwrap_or_default());
        let fine = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        if !prefix.chars().all(fine) || !well_escaped(&prefix) {
            let problem =
                self.problem(path, "expected a path such as /v1").label("a character that a path cannot hold");
            self.problems.push(problem.help("percent-encode it, as in %20 for a space"));
        }
        prefix
    }

    fn auth(&mut self, index: usize, auth_type: AuthType, file: &FileEndpoint) -> Option<Auth> {
        if auth_type == AuthType::Passthrough {
            return Some(Auth::Passthrough);
        }
        let value = self.required(index, "auth_value", file.auth_value.as_ref())?;
        let name = file.name.as_deref().unwrap_or_default();
        let owner = if name.is_empty() || looks_secret(name) || name.contains(|c: char| c == '"' || c.is_control()) {
            format!("endpoints[{index}]")
        } else {
            format!("endpoint \"{name}\"")
        };
        let secret = self.secret(&format!("endpoints[{index}].auth_value"), value, Some(&owner))?;
        Some(if auth_type == AuthType::ApiKey { Auth::ApiKey(secret) } else { Auth::Bearer(secret) })
    }

    fn ca_file(&mut self, path: &str, raw: &str) -> Option<PathBuf> {
        let file = self.text(path, raw).map(|text| self.file_path(&text))?;
        if let Err((what, label)) = roots(&file) {
            let problem = self.problem(path, what).label(label);
            self.problems.push(problem.help("expected PEM: -----BEGIN CERTIFICATE----- and so on"));
        }
        Some(file)
    }
}

fn roots(file: &Path) -> Result<(), (String, &'static str)> {
    let bytes = reading::regular(file, reading::CERTIFICATES)
        .map_err(|error| (format!("cannot be read: {error}"), "unreadable"))?;
    let mut store = RootCertStore::empty();
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let broken = |_| ("holds a certificate that cannot be read".to_owned(), "broken");
        let certificate = certificate.map_err(|_| ("is no valid PEM".to_owned(), "broken"))?;
        store.add(certificate).map_err(broken)?;
        found = true;
    }
    if found { Ok(()) } else { Err(("holds no PEM certificate".to_owned(), "no certificate")) }
}
