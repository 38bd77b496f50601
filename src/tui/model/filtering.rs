//! Lines that are typed: filter, search and command, while they are typed and when they are done.

use crossterm::event::KeyEvent;

use super::notices::Tone;
use super::prompt::{Prompt, Purpose};
use super::{Mode, Model};
use crate::tui::message::{Ask, Effect};
use crate::wire::filter::{Filter, FilterError};

/// Lines that come back with the up arrow.
const MOST_HISTORY: usize = 100;
/// What `F` filters by.
const FAILURES: &str = "-ending:complete";

impl Model {
    pub(super) fn begin(&mut self, purpose: Purpose) {
        let text = match purpose {
            Purpose::Filter => self.requests.filter_text().unwrap_or_default(),
            Purpose::Search => {
                self.detail.as_ref().and_then(|detail| detail.outline()).map_or("", |tree| tree.needle())
            }
            Purpose::Command => "",
        };
        let mut prompt = Prompt::new(purpose, text);
        prompt.offers = self.offers(&prompt);
        self.mode = Mode::Typing(prompt);
    }

    /// A key that is part of the text.
    pub(super) fn type_key(&mut self, key: KeyEvent) {
        if let Mode::Typing(prompt) = &mut self.mode
            && prompt.key(key)
        {
            self.typed();
        }
    }

    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        if let Mode::Typing(prompt) = &mut self.mode {
            prompt.paste(text);
            self.typed();
        }
        Vec::new()
    }

    /// The text changed: what it filters is shown at once, what Tab offers is found anew.
    fn typed(&mut self) {
        let Mode::Typing(prompt) = &self.mode else { return };
        let (purpose, text) = (prompt.purpose, prompt.text().to_owned());
        let offers = self.offers(prompt);
        let fault = if purpose == Purpose::Filter { self.apply_filter(&text).err() } else { None };
        if let Mode::Typing(prompt) = &mut self.mode {
            (prompt.offers, prompt.fault) = (offers, fault);
        }
    }

    /// Shows only what fits; a faulty filter changes nothing.
    pub(super) fn apply_filter(&mut self, text: &str) -> Result<(), FilterError> {
        let filter = Filter::parse(text, self.now.wall.into())?;
        if text.trim().is_empty() || filter.is_empty() {
            self.requests.clear_filter(self.height());
        } else {
            self.requests.filter(text.trim(), filter);
        }
        Ok(())
    }

    /// Asks the proxy too: it has older requests, and bodies.
    pub(super) fn search_for_filter(&mut self) -> Vec<Effect> {
        let Some(filter) = self.requests.filter_text().map(str::to_owned) else { return Vec::new() };
        vec![Effect::Ask(Ask::Older { filter: Some(filter), before: None })]
    }

    pub(super) fn complete(&mut self) {
        let Mode::Typing(prompt) = &mut self.mode else { return };
        prompt.complete();
        if prompt.purpose == Purpose::Filter {
            let offers = std::mem::take(&mut prompt.offers);
            let offered = prompt.offered;
            self.typed();
            if let Mode::Typing(prompt) = &mut self.mode {
                (prompt.offers, prompt.offered) = (offers, offered);
            }
        }
    }

    pub(super) fn recall(&mut self, earlier: bool) {
        let Mode::Typing(prompt) = &mut self.mode else { return };
        let lines = self.history.iter().filter(|(purpose, _)| *purpose == prompt.purpose);
        let lines: Vec<String> = lines.map(|(_, line)| line.clone()).collect();
        prompt.recall(&lines, earlier);
        self.typed();
    }

    /// Enter: the line is done.
    pub(super) fn submit(&mut self) -> Vec<Effect> {
        let Mode::Typing(prompt) = &self.mode else { return Vec::new() };
        // A faulty filter stays to be put right.
        if prompt.fault.is_some() {
            return Vec::new();
        }
        let (purpose, text) = (prompt.purpose, prompt.text().trim().to_owned());
        self.mode = Mode::Panes;
        self.remember(purpose, &text);
        match purpose {
            Purpose::Filter => self.search_for_filter(),
            Purpose::Search => {
                self.search(&text);
                Vec::new()
            }
            Purpose::Command => self.command(&text),
        }
    }

    fn remember(&mut self, purpose: Purpose, text: &str) {
        if text.is_empty() {
            return;
        }
        self.history.retain(|(other, line)| *other != purpose || line != text);
        self.history.push((purpose, text.to_owned()));
        if self.history.len() > MOST_HISTORY {
            self.history.remove(0);
        }
    }

    fn search(&mut self, text: &str) {
        let height = self.detail_height();
        let Some(outline) = self.detail.as_mut().and_then(|detail| detail.outline_mut()) else { return };
        let hits = outline.search(text, height);
        match hits {
            _ if text.is_empty() => {}
            0 => self.say(Tone::Bad, format!("“{text}” is not in here")),
            1 => self.say(Tone::Plain, "one place has it"),
            _ => self.say(Tone::Plain, format!("{hits} places have it: n goes to the next, N to the previous one")),
        }
    }

    /// Esc: the line is forgotten; a filter goes back to none.
    pub(super) fn cancel(&mut self) {
        if let Mode::Typing(prompt) = &self.mode
            && prompt.purpose == Purpose::Filter
        {
            self.requests.clear_filter(self.height());
        }
        self.mode = Mode::Panes;
    }

    pub(super) fn only_failures(&mut self) -> Vec<Effect> {
        if self.requests.filter_text() == Some(FAILURES) {
            self.requests.clear_filter(self.height());
            return Vec::new();
        }
        match self.apply_filter(FAILURES) {
            Ok(()) => self.search_for_filter(),
            Err(fault) => {
                self.say(Tone::Bad, fault.message);
                Vec::new()
            }
        }
    }
}
