//! Commands that are typed after `:`, and what Tab offers for them.

use super::notices::Tone;
use super::prompt::{Prompt, Purpose};
use super::{Model, Pane, RANGES};
use crate::tui::keys::Action;
use crate::tui::message::{Ask, Effect};
use crate::tui::theme::Choice;

/// What stands behind a command's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Endpoint,
    Theme,
    Range,
    /// Anything; nothing can be offered.
    Text,
}

/// A command's name, what it takes, and what it does.
const COMMANDS: [(&str, Takes, &str); 14] = [
    ("endpoint", Takes::Endpoint, "go to an endpoint"),
    ("enable", Takes::Endpoint, "use an endpoint again"),
    ("disable", Takes::Endpoint, "stop using an endpoint"),
    ("test", Takes::Endpoint, "test an endpoint now"),
    ("reset", Takes::Endpoint, "forget an endpoint's failures"),
    ("filter", Takes::Text, "show only requests that fit; alone: all"),
    ("open", Takes::Text, "open the request of that id"),
    ("follow", Takes::Nothing, "go to the newest request"),
    ("theme", Takes::Theme, "change the colours"),
    ("range", Takes::Range, "the stretch that the charts show"),
    ("ascii", Takes::Nothing, "draw with ASCII only, or not"),
    ("mouse", Takes::Nothing, "let go of the mouse, or take it"),
    ("help", Takes::Nothing, "show the keys"),
    ("quit", Takes::Nothing, "leave"),
];

/// Keys of the filter language.
const FILTER_WORDS: [&str; 12] = [
    "status>=",
    "endpoint:",
    "model~",
    "session:",
    "ttft>",
    "duration>",
    "ending:",
    "path~",
    "time>",
    "in>",
    "out>",
    "not",
];

/// Commands for the help: how each is written, and what it does.
pub fn described() -> impl Iterator<Item = (String, &'static str)> {
    COMMANDS.iter().map(|(name, takes, what)| {
        let takes = match takes {
            Takes::Nothing => "",
            Takes::Endpoint => " NAME",
            Takes::Theme => " THEME",
            Takes::Range => " 6h",
            Takes::Text => " …",
        };
        (format!(":{name}{takes}"), *what)
    })
}

impl Model {
    /// What Tab offers for the last word of what is typed.
    pub(super) fn offers(&self, prompt: &Prompt) -> Vec<String> {
        let text = prompt.text();
        let (before, last) = text.rsplit_once(' ').unwrap_or(("", text));
        let endpoints = || self.endpoints.list().iter().map(|endpoint| endpoint.name.clone());
        let all: Vec<String> = match prompt.purpose {
            Purpose::Search => Vec::new(),
            Purpose::Filter if last.starts_with("endpoint:") => {
                endpoints().map(|name| format!("endpoint:{name}")).collect()
            }
            Purpose::Filter if last.is_empty() => Vec::new(),
            Purpose::Filter => FILTER_WORDS.map(str::to_owned).into(),
            Purpose::Command if before.is_empty() => COMMANDS.map(|(name, _, _)| name.to_owned()).into(),
            Purpose::Command => match takes(before.trim()) {
                Some(Takes::Endpoint) => endpoints().collect(),
                Some(Takes::Theme) => Choice::ALL.map(|choice| choice.word().to_owned()).into(),
                Some(Takes::Range) => RANGES.map(|(name, _)| name.to_owned()).into(),
                Some(Takes::Nothing | Takes::Text) | None => Vec::new(),
            },
        };
        all.into_iter().filter(|offer| offer.starts_with(last) && offer != last).collect()
    }

    /// Does what was typed.
    pub(super) fn command(&mut self, line: &str) -> Vec<Effect> {
        let (typed, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        if typed.is_empty() {
            return Vec::new();
        }
        let Some(name) = full_name(typed) else {
            self.say(Tone::Bad, format!("there is no command :{typed}; Tab offers what there is, ? shows them"));
            return Vec::new();
        };
        match name {
            "quit" => return vec![Effect::Quit],
            "filter" => return self.filter_by(rest),
            "open" if !rest.is_empty() => return self.open(rest),
            "follow" => return self.act(Action::Follow),
            "mouse" => return self.act(Action::Mouse),
            "help" => return self.act(Action::Help),
            "ascii" => self.options.ascii = !self.options.ascii,
            "theme" => match Choice::named(rest) {
                Some(choice) => self.options.theme = choice,
                None => self.say(Tone::Bad, format!("themes are {}", Choice::ALL.map(Choice::word).join(", "))),
            },
            "range" => match RANGES.iter().position(|(name, _)| *name == rest) {
                Some(range) => return self.show_range(range),
                None => self.say(Tone::Bad, format!("ranges are {}", RANGES.map(|(name, _)| name).join(", "))),
            },
            _ => return self.command_for_endpoint(name, rest),
        }
        Vec::new()
    }

    fn command_for_endpoint(&mut self, command: &str, name: &str) -> Vec<Effect> {
        if self.endpoints.get(name).is_none() {
            let known: Vec<&str> = self.endpoints.list().iter().map(|endpoint| endpoint.name.as_str()).collect();
            let told = match (name, known.is_empty()) {
                ("", false) => format!(":{command} takes one of {}", known.join(", ")),
                (_, true) => "no endpoint is known yet".to_owned(),
                _ => format!("there is no endpoint {name}; there is {}", known.join(", ")),
            };
            self.say(Tone::Bad, told);
            return Vec::new();
        }
        if command != "endpoint" && self.options.read_only {
            self.say(Tone::Bad, "read-only: started with --read-only, so nothing is changed from here");
            return Vec::new();
        }
        let name = name.to_owned();
        match command {
            "enable" | "disable" => vec![Effect::Ask(Ask::Enable { name, on: command == "enable" })],
            "reset" => vec![Effect::Ask(Ask::Reset(name))],
            "test" => self.test(name),
            _ => {
                self.endpoints.select(&name);
                self.focus = Pane::Endpoints;
                Vec::new()
            }
        }
    }

    fn filter_by(&mut self, text: &str) -> Vec<Effect> {
        match self.apply_filter(text) {
            Ok(()) => self.search_for_filter(),
            Err(fault) => {
                let hint = fault.hint.map_or(String::new(), |hint| format!(": {hint}"));
                self.say(Tone::Bad, format!("{}{hint}", fault.message));
                Vec::new()
            }
        }
    }
}

/// The command that `typed` stands for: its name, or a beginning that no other has; `q` is quit, as everywhere.
fn full_name(typed: &str) -> Option<&'static str> {
    let mut fitting = COMMANDS.iter().map(|(name, _, _)| *name).filter(|name| name.starts_with(typed));
    match (fitting.next(), fitting.next()) {
        (Some(name), None) => Some(name),
        (Some(_), Some(_)) => COMMANDS.iter().map(|(name, _, _)| *name).find(|name| *name == typed),
        (None, _) => ["q!", "exit"].contains(&typed).then_some("quit"),
    }
}

fn takes(typed: &str) -> Option<Takes> {
    let name = full_name(typed)?;
    COMMANDS.iter().find(|(known, _, _)| *known == name).map(|(_, takes, _)| *takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_enough_when_it_can_mean_one_thing_only() {
        for (typed, meant) in [("q", Some("quit")), ("th", Some("theme")), ("e", None), ("endpoint", Some("endpoint"))]
        {
            assert_eq!(full_name(typed), meant, "{typed}");
        }
    }
}
