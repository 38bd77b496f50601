//! What the proxy answered to what was asked of it, and what is copied of it.

use std::fmt::Write as _;

use super::notices::Tone;
use super::{Mode, Model, Pane};
use crate::tui::keys::Action;
use crate::tui::message::{Answer, Ask, Effect};
use crate::wire::record::RequestRecord;
use crate::wire::status::{ChangeView, TestView};
use crate::wire::words;

impl Model {
    pub(super) fn answered(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Older { filter, before, page: Ok(page) } => {
                self.requests.older(filter.as_deref(), before.as_deref(), page);
            }
            Answer::Older { page: Err(why), .. } => {
                self.requests.shown_mut().fetching = false;
                self.say(Tone::Bad, format!("older requests cannot be had: {why}"));
            }
            Answer::Record { id, opened } => {
                let width = usize::from(self.areas.detail.width).max(20);
                if let Some(detail) = self.detail.as_mut().filter(|detail| detail.id == id) {
                    detail.fill(opened, width);
                }
            }
            Answer::Changed { ask, done: Ok(change) } => self.changed(&ask, change.as_deref()),
            Answer::Changed { ask, done: Err(why) } => self.say(Tone::Bad, format!("{}: {why}", wish(&ask))),
            Answer::Tested { name, result } => self.tested(&name, result),
            Answer::Copied(Ok(told)) => self.say(Tone::Good, told),
            Answer::Copied(Err(why)) => self.say(Tone::Bad, why),
        }
        Vec::new()
    }

    fn changed(&mut self, ask: &Ask, change: Option<&ChangeView>) {
        let (told, undo) = match ask {
            Ask::Enable { name, on } if change.is_some_and(|change| change.diff.is_empty()) => {
                let word = if *on { "enabled" } else { "disabled" };
                return self.say(Tone::Good, format!("{name} is {word} already"));
            }
            Ask::Enable { name, on } => {
                let word = if *on { "enabled" } else { "disabled; what is under way there finishes" };
                (format!("{name} is {word}"), Some(Ask::Enable { name: name.clone(), on: !on }))
            }
            Ask::Order { names, before } => {
                let undo = Ask::Order { names: before.clone(), before: names.clone() };
                (format!("the order is now {}", names.join(", ")), Some(undo))
            }
            Ask::Reset(name) => (format!("the failures of {name} are forgotten"), None),
            Ask::Delete(name) => (format!("{name} is deleted from the config file"), None),
            Ask::Older { .. } | Ask::Record(_) | Ask::Test(_) => return,
        };
        let hint = if undo.is_some() { " · u takes it back" } else { "" };
        let restart = change.and_then(|change| change.restart_needed.first());
        let restart = restart.map_or(String::new(), |what| format!(" · a restart is needed for {what}"));
        self.notices.undo = undo;
        self.say(Tone::Good, format!("{told}{restart}{hint}"));
    }

    fn tested(&mut self, name: &str, result: Result<TestView, String>) {
        self.endpoints.testing.remove(name);
        match result {
            Ok(test) if test.healthy => {
                let model = test.model.map_or(String::new(), |model| format!(" with {}", words::short_model(&model)));
                self.say(Tone::Good, format!("{name} answered in {}{model}", words::seconds(test.ms)));
            }
            Ok(test) => {
                let why = test.detail.or(test.fault).unwrap_or_else(|| "no reason was given".to_owned());
                let hint = test.hint.map_or(String::new(), |hint| format!(" · {hint}"));
                self.say(Tone::Bad, format!("{name} failed after {}: {why}{hint}", words::seconds(test.ms)));
            }
            Err(why) => self.say(Tone::Bad, format!("{name} cannot be tested: {why}")),
        }
    }

    /// The request that `y` is about.
    pub(super) fn copied_id(&self) -> Option<String> {
        match (self.focus, &self.detail) {
            (Pane::Detail, Some(detail)) => Some(detail.id.clone()),
            _ => self.requests.shown().selected().map(|record| record.id.clone()),
        }
    }

    pub(super) fn copy(&mut self, action: Action) -> Vec<Effect> {
        self.mode = Mode::Panes;
        let Some(id) = self.copied_id() else { return Vec::new() };
        let listen = self.status.as_ref().map_or_else(String::new, |status| status.listen.clone());
        let record = |curl, to_file| Effect::CopyRecord { id: id.clone(), curl, to_file, listen };
        let effect = match action {
            Action::CopyId => Effect::Copy { what: "the id", text: id },
            Action::CopyJson => record(false, false),
            Action::CopyCurl => record(true, false),
            _ => record(false, true),
        };
        vec![effect]
    }
}

/// What was wanted, for when nothing came of it.
fn wish(ask: &Ask) -> String {
    match ask {
        Ask::Enable { name, on: true } => format!("{name} cannot be enabled"),
        Ask::Enable { name, on: false } => format!("{name} cannot be disabled"),
        Ask::Reset(name) => format!("{name} cannot be reset"),
        Ask::Order { .. } => "the order cannot be changed".to_owned(),
        Ask::Delete(name) => format!("{name} cannot be deleted"),
        Ask::Test(name) => format!("{name} cannot be tested"),
        Ask::Older { .. } | Ask::Record(_) => "the log cannot be read".to_owned(),
    }
}

/// A command that repeats the request through the proxy at `listen`. It holds no credential: the log has none, and the
/// token is taken from the environment by the shell.
pub fn curl(record: &RequestRecord, listen: &str) -> String {
    let mut command = format!("curl -X {} {}", record.method, quote(&format!("http://{listen}{}", record.path)));
    let of_the_connection = ["host", "content-length", "connection", "accept-encoding", "transfer-encoding", "expect"];
    for (name, value) in &record.request.headers {
        let credential = ["authorization", "x-api-key", "cookie", "proxy-authorization"].contains(&name.as_str());
        if !credential && !of_the_connection.contains(&name.as_str()) {
            let _ = write!(command, " \\\n  -H {}", quote(&format!("{name}: {value}")));
        }
    }
    command.push_str(" \\\n  -H \"Authorization: Bearer $ANTHROPIC_AUTH_TOKEN\"");
    match &record.request.body {
        Some(body) if record.request.encoding.is_none() => {
            let _ = write!(command, " \\\n  --data-raw {}", quote(body));
            if record.request.truncated {
                command.push_str("\n# the log keeps only the beginning of this body: see logging.log_request_body");
            }
        }
        _ if record.request.size > 0 => {
            command.push_str("\n# the log does not keep this body: see logging.log_request_body");
        }
        _ => {}
    }
    command
}

/// As one word of a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::Exchanged;

    #[test]
    fn curl_repeats_the_request_without_any_key() {
        let headers =
            [("authorization", "[redacted]"), ("x-api-key", "[redacted]"), ("anthropic-version", "1"), ("host", "h")];
        let request = Exchanged {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: Some("{\"a\":\"it's\"}".into()),
            ..Exchanged::default()
        };
        let record = RequestRecord {
            method: "POST".into(),
            path: "/v1/messages?beta=true".into(),
            request,
            ..RequestRecord::default()
        };
        let expected = "curl -X POST 'http://127.0.0.1:8080/v1/messages?beta=true' \\\n  -H 'anthropic-version: 1' \\\n  \
                        -H \"Authorization: Bearer $ANTHROPIC_AUTH_TOKEN\" \\\n  --data-raw '{\"a\":\"it'\\''s\"}'";
        assert_eq!(curl(&record, "127.0.0.1:8080"), expected);
    }
}
