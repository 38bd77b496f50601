//! `env`: what Claude Code needs to talk to this proxy. The one place where our own token is printed, because that
//! is what was asked for.

pub mod clash;

use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::standing::{self, Absent};
use super::{CommandError, Exit, attach, block_on, note, print, print_json};
use crate::cli::{AttachArgs, EnvArgs, EnvShell};
use crate::config::{Server, load_server, locate, process_environment};
use crate::wire::status::StatusView;

/// It is on this machine, mostly.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

pub type Variables = Vec<(&'static str, String)>;

pub fn run(explicit: Option<&Path>, args: &EnvArgs) -> Result<Exit, CommandError> {
    let server = located(explicit, load_server(explicit)?)?;
    let variables = variables(&server);
    not_for_somebody_else(&server)?;
    if server.auth_token.is_none() {
        note(
            "note: no auth_token is configured: ANTHROPIC_AUTH_TOKEN is left out, and the client's own login stays in use",
        );
    }
    for clash in clash::all(&server, &variables) {
        note(&format!("note: {clash}"));
    }
    if args.json {
        print_json(&object(&variables))?;
    } else if args.claude_settings {
        print_json(&json!({ "env": object(&variables) }))?;
    } else {
        let shell = args.shell.unwrap_or_else(|| own_shell(std::env::var("SHELL").ok().as_deref()));
        let lines: Vec<String> = variables.iter().map(|(name, value)| assignment(shell, name, value)).collect();
        print(&lines.join("\n"))?;
    }
    Ok(Exit::Fine)
}

/// Nobody there is fine, since a proxy may start later. Somebody else would get our token, or the client's own login.
fn not_for_somebody_else(server: &Server) -> Result<(), CommandError> {
    let address = address(server);
    if standing::now(&address) != Err(Absent::SomebodyElse) {
        return Ok(());
    }
    Err(CommandError::Other {
        exit: Exit::NoProxy,
        code: "no_proxy",
        message: format!("somebody else listens at {address}, and a client would hand its credentials over there"),
        hint: Some("end that program, or give server.port of the config another number".to_owned()),
    })
}

/// Where a client on this machine finds it: `host:port`.
pub fn address(server: &Server) -> String {
    format!("{}:{}", reachable(&server.host), server.port)
}

/// What points a client at this proxy.
pub fn variables(server: &Server) -> Variables {
    variables_in(server, &process_environment)
}

/// With the port that it really has, where the config leaves it to the system: the running proxy says it.
///
/// # Errors
/// When there is nobody to ask.
pub fn located(explicit: Option<&Path>, server: Server) -> Result<Server, CommandError> {
    if server.port != 0 {
        return Ok(server);
    }
    match listening(explicit) {
        Ok(port) => Ok(Server { port, ..server }),
        Err((exit, why)) => {
            let message = format!("server.port is 0, so only the running proxy knows the port, and {why}");
            let hint = "start it with `claude-proxy serve`, or give server.port a number, such as 8080";
            Err(CommandError::Other { exit, code: "port_unknown", message, hint: Some(hint.to_owned()) })
        }
    }
}

/// The port of the running proxy that has this config.
fn listening(explicit: Option<&Path>) -> Result<u16, (Exit, String)> {
    let attach = AttachArgs { admin: process_environment("CLAUDE_PROXY_ADMIN") };
    let failed = |error: CommandError| (error.exit(), error.message());
    let client = attach::client(explicit, &attach).map_err(failed)?.within(ASKED_WITHIN);
    let asked = block_on(client.get::<StatusView>("/api/status"));
    let status = asked.map_err(|error| (Exit::Failed, error.to_string()))?.map_err(|error| failed(error.into()))?;
    let own = locate(explicit, &process_environment).ok().and_then(|located| located.file);
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    // Another one would get our token.
    if own.as_deref().and_then(real) != status.config.file.as_deref().and_then(|file| real(Path::new(file))) {
        return Err((Exit::Failed, format!("the one at {} has another config", client.target().address)));
    }
    let listen: Option<SocketAddr> = status.listen.parse().ok();
    listen.map(|address| address.port()).ok_or_else(|| (Exit::Failed, "what answers is no claude-proxy".to_owned()))
}

fn variables_in(server: &Server, env: &dyn Fn(&str) -> Option<String>) -> Variables {
    let host = reachable(&server.host);
    let mut variables = vec![("ANTHROPIC_BASE_URL", format!("http://{}", address(server)))];
    if let Some(token) = &server.auth_token {
        variables.push(("ANTHROPIC_AUTH_TOKEN", token.expose().to_owned()));
    }
    let upper = env("NO_PROXY");
    // Many clients read the lower-case name first: where it is set, the other one alone would do nothing.
    if let Some(lower) = env("no_proxy") {
        variables.push(("NO_PROXY", without_proxy(upper.as_deref().unwrap_or(&lower), &host)));
        variables.push(("no_proxy", without_proxy(&lower, &host)));
    } else {
        variables.push(("NO_PROXY", without_proxy(upper.as_deref().unwrap_or_default(), &host)));
    }
    variables
}

/// Where a client on this machine finds a listener on `host`.
pub fn reachable(host: &str) -> String {
    let host = if host.eq_ignore_ascii_case("localhost") { &of_localhost() } else { host };
    match host.parse() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

/// The address that a listener on `localhost` has. A client may try another one first, and somebody else may listen there.
fn of_localhost() -> String {
    let mut all = ("localhost", 0).to_socket_addrs().into_iter().flatten();
    let has = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    all.find(has).map_or_else(|| "localhost".to_owned(), |address| address.ip().to_string())
}

/// The existing list with this machine, and the proxy's own address, added.
fn without_proxy(existing: &str, host: &str) -> String {
    let existing: String = existing.chars().filter(|c| !c.is_control()).collect();
    let mut hosts: Vec<&str> = existing.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    let bare = host.trim_matches(['[', ']']);
    for ours in ["localhost", "127.0.0.1", bare] {
        if !hosts.contains(&ours) {
            hosts.push(ours);
        }
    }
    hosts.join(",")
}

fn object(variables: &Variables) -> Value {
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn own_shell(shell: Option<&str>) -> EnvShell {
    match shell.and_then(|shell| shell.rsplit(['/', '\\']).next()) {
        Some("fish") => EnvShell::Fish,
        Some("pwsh") => EnvShell::Powershell,
        None if cfg!(windows) => EnvShell::Powershell,
        _ => EnvShell::Sh,
    }
}

fn assignment(shell: EnvShell, name: &str, value: &str) -> String {
    match shell {
        EnvShell::Sh => format!("export {name}='{}'", value.replace('\'', r"'\''")),
        EnvShell::Fish => format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
        EnvShell::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
        EnvShell::Cmd => format!("set \"{name}={}\"", value.replace('%', "%%")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::secret::Secret;

    fn server(host: &str, token: Option<&str>) -> Server {
        Server {
            host: host.into(),
            port: 8080,
            auth_token: token.map(Secret::new),
            max_body: 1,
            shutdown_grace: Duration::ZERO,
        }
    }

    #[test]
    fn the_address_is_one_that_a_client_can_use() {
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:8080"),
            ("0.0.0.0", "http://127.0.0.1:8080"),
            ("::", "http://[::1]:8080"),
            ("::1", "http://[::1]:8080"),
            ("192.168.1.5", "http://192.168.1.5:8080"),
        ] {
            assert_eq!(variables_in(&server(host, None), &|_| None)[0].1, url);
        }
        // By name a client may find somebody else, at the other address that it has.
        let local = variables_in(&server("localhost", None), &|_| None).swap_remove(0).1;
        assert!(["http://127.0.0.1:8080", "http://[::1]:8080"].contains(&&*local), "{local}");
    }

    #[test]
    fn the_list_of_hosts_without_a_proxy_keeps_what_was_there() {
        let of = |name: &'static str| move |asked: &str| (asked == name).then(|| "corp.example, localhost".to_owned());
        let upper = variables_in(&server("127.0.0.1", None), &of("NO_PROXY"));
        assert_eq!(upper[1..], [("NO_PROXY", "corp.example,localhost,127.0.0.1".to_owned())]);
        let lower = variables_in(&server("127.0.0.1", None), &of("no_proxy"));
        assert_eq!(lower.last(), Some(&("no_proxy", "corp.example,localhost,127.0.0.1".to_owned())));
        let none = variables_in(&server("::1", None), &|_| None);
        assert_eq!(none[1..], [("NO_PROXY", "localhost,127.0.0.1,::1".to_owned())]);
    }

    #[test]
    fn every_shell_gets_its_own_quotes() {
        let value = r#"a'b\c"d$e %f% `g`"#;
        for (shell, expected) in [
            (EnvShell::Sh, r#"export X='a'\''b\c"d$e %f% `g`'"#),
            (EnvShell::Fish, r#"set -gx X 'a\'b\\c"d$e %f% `g`'"#),
            (EnvShell::Powershell, r#"$env:X = 'a''b\c"d$e %f% `g`'"#),
            (EnvShell::Cmd, r#"set "X=a'b\c"d$e %%f%% `g`""#),
        ] {
            assert_eq!(assignment(shell, "X", value), expected);
        }
        assert_eq!(own_shell(Some("/usr/bin/fish")), EnvShell::Fish);
        assert_eq!(own_shell(Some("/bin/zsh")), EnvShell::Sh);
    }
}
