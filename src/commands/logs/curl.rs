//! `logs show --curl`: a command that sends a logged request again, through this proxy, without any credential.

use std::fmt::Write as _;
use std::path::Path;

use crate::commands::CommandError;
use crate::commands::env::{located, reachable};
use crate::config::{Server, load_server};
use crate::domain::redact::{REDACTED, is_secret_header};
use crate::wire::harmless::{harmless, is_obeyed};
use crate::wire::record::{Exchanged, RequestRecord};
use crate::wire::words;

/// Set by `claude-proxy env`; the shell puts its value in when the command runs.
const TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// Where the body is to be when the log does not have the whole of it.
const BODY_FILE: &str = "request.json";
/// Systems take no longer word as an argument, but for what the shell does by itself.
const LONGEST_WORD: usize = 100_000;
/// Belong to the connection, or are set by curl.
const NOT_SENT: [&str; 9] = [
    "host",
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "te",
    "upgrade",
    "expect",
    "accept-encoding",
];

pub(super) struct Curl {
    /// With its line's end.
    pub command: String,
    /// What is to be known about it.
    pub notes: Vec<String>,
}

pub(super) fn command(explicit: Option<&Path>, record: &RequestRecord) -> Result<Curl, CommandError> {
    Ok(of(&located(explicit, load_server(explicit)?)?, record))
}

fn of(server: &Server, record: &RequestRecord) -> Curl {
    let mut notes = Vec::new();
    let path = if record.path.starts_with('/') { record.path.as_str() } else { "/" };
    let url = format!("http://{}:{}{path}", reachable(&server.host), server.port);
    let (piped, body) = body(&record.request, &mut notes);
    let mut command = format!("{piped}curl --no-buffer --globoff -X {} {}", word(&record.method), word(&url));
    for (name, value) in headers(&record.request) {
        let _ = write!(command, " \\\n  -H {}", word(&format!("{name}: {value}")));
    }
    let signed = record.request.headers.values().any(|value| value.contains(REDACTED));
    if server.auth_token.is_some() {
        let _ = write!(command, " \\\n  -H \"Authorization: Bearer ${TOKEN}\"");
        notes.push(format!("the token comes from {TOKEN}: eval \"$(claude-proxy env)\" sets it"));
    } else if signed {
        notes.push(
            "the request's own credentials are not logged; endpoints with auth_type: passthrough need them".to_owned(),
        );
    }
    if [&record.path].into_iter().chain(&record.request.body).any(|text| text.contains(REDACTED)) {
        notes.push(format!("{REDACTED} stands where the request had a credential"));
    }
    command.push_str(&body);
    command.push('\n');
    Curl { command, notes }
}

/// Those that the request needs and that tell no credential.
fn headers(request: &Exchanged) -> impl Iterator<Item = (&String, &String)> {
    request.headers.iter().filter(|(name, value)| {
        !NOT_SENT.contains(&name.as_str())
            && !is_secret_header(name)
            && !name.contains(REDACTED)
            && !value.contains(REDACTED)
    })
}

/// What stands before `curl`, and its last arguments.
fn body(request: &Exchanged, notes: &mut Vec<String>) -> (String, String) {
    match &request.body {
        Some(body) if !request.truncated && request.encoding.is_some() => {
            (format!("printf %s {} | base64 -d | ", word(body)), " \\\n  --data-binary @-".to_owned())
        }
        Some(body) if body.is_empty() => (String::new(), String::new()),
        Some(body) if !request.truncated && body.len() > LONGEST_WORD => {
            (format!("printf %s {} | ", word(body)), " \\\n  --data-binary @-".to_owned())
        }
        Some(body) if !request.truncated => (String::new(), format!(" \\\n  --data-raw {}", word(body))),
        None if request.size == 0 => (String::new(), String::new()),
        held => {
            let size = words::bytes(request.size);
            let held = held.as_ref().map_or(0, String::len) as u64;
            notes.push(format!(
                "the log has {} of the body's {size}: put the body into {BODY_FILE}; with logging.log_request_body: \
                 full later requests are logged whole",
                words::bytes(held),
            ));
            (String::new(), format!(" \\\n  --data-binary @{BODY_FILE}"))
        }
    }
}

/// As one word of a POSIX shell. What a terminal would obey is written out, which takes the quotes of bash, zsh and ksh.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if harmless(text, true) == text {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' | '\t' => quoted.push(c),
            c if is_obeyed(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(quoted, "\\{byte:03o}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::secret::Secret;

    fn server(token: Option<&str>) -> Server {
        Server {
            host: "0.0.0.0".into(),
            port: 8080,
            auth_token: token.map(Secret::new),
            max_body: 1,
            shutdown_grace: Duration::ZERO,
        }
    }

    fn record(body: &str) -> RequestRecord {
        let headers = [
            ("anthropic-version", "2023-06-01"),
            ("authorization", "[redacted]"),
            ("content-length", "9"),
            ("x-echo", "a [redacted] b"),
            ("x-app", "it's"),
        ];
        RequestRecord {
            method: "POST".into(),
            path: "/v1/messages?beta=true".into(),
            request: Exchanged {
                headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                body: Some(body.into()),
                size: body.len() as u64,
                ..Exchanged::default()
            },
            ..RequestRecord::default()
        }
    }

    #[test]
    fn it_is_a_command_for_a_shell_without_a_credential() {
        let curl = of(&server(Some("our-own-token")), &record("{\"a\":\"it's\"}"));
        assert_eq!(
            curl.command,
            "curl --no-buffer --globoff -X POST 'http://127.0.0.1:8080/v1/messages?beta=true' \\\n  \
             -H 'anthropic-version: 2023-06-01' \\\n  -H 'x-app: it'\\''s' \\\n  \
             -H \"Authorization: Bearer $ANTHROPIC_AUTH_TOKEN\" \\\n  --data-raw '{\"a\":\"it'\\''s\"}'\n"
        );
        assert!(curl.notes[0].contains("claude-proxy env") && curl.notes.len() == 1, "{:?}", curl.notes);
    }

    #[test]
    fn without_the_whole_body_it_says_what_is_missing() {
        let mut record = record("{\"a\":");
        (record.request.truncated, record.request.size) = (true, 50_000);
        let curl = of(&server(None), &record);
        assert!(curl.command.ends_with("--data-binary @request.json\n"), "{}", curl.command);
        assert!(curl.notes.iter().any(|note| note.contains("5 B of the body's 48.8 KiB")), "{:?}", curl.notes);
        assert!(curl.notes.iter().any(|note| note.contains("passthrough")), "{:?}", curl.notes);
        (record.request.body, record.request.size, record.request.truncated) = (None, 0, false);
        assert!(of(&server(None), &record).command.ends_with("'x-app: it'\\''s'\n"));
    }

    #[test]
    fn no_byte_of_a_body_reaches_the_terminal_as_an_order() {
        let curl = of(&server(None), &record("a\u{9b}2J'\\\n\u{202e}")).command;
        assert!(curl.ends_with("--data-raw $'a\\302\\2332J\\'\\\\\n\\342\\200\\256'\n"), "{curl}");
        let mut binary = record("/wA=");
        binary.request.encoding = Some("base64".into());
        assert!(of(&server(None), &binary).command.starts_with("printf %s /wA= | base64 -d | curl "));
    }

    /// Claude Code's requests mostly are longer than that.
    #[test]
    fn a_body_that_is_too_long_for_an_argument_is_piped() {
        let curl = of(&server(None), &record(&"it's ".repeat(30_000))).command;
        assert!(curl.starts_with("printf %s 'it'\\''s it'") && curl.ends_with("--data-binary @-\n"));
    }
}
