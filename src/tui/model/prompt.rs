//! The line that is being typed: a filter, a search or a command.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::wire::filter::FilterError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Filter,
    Search,
    Command,
}

impl Purpose {
    /// What stands before the line.
    pub fn sign(self) -> char {
        match self {
            Self::Filter | Self::Search => '/',
            Self::Command => ':',
        }
    }
}

#[derive(Clone, Debug)]
pub struct Prompt {
    pub purpose: Purpose,
    pub input: Input,
    /// Where what was typed is wrong.
    pub fault: Option<FilterError>,
    /// What Tab offers, and which of them stands in the line.
    pub offers: Vec<String>,
    pub offered: Option<usize>,
    /// How far back in what was typed before; 0: the line itself.
    back: usize,
}

impl Prompt {
    pub fn new(purpose: Purpose, text: &str) -> Self {
        let input = Input::new(text.to_owned());
        Self { purpose, input, fault: None, offers: Vec::new(), offered: None, back: 0 }
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    pub fn set(&mut self, text: &str) {
        self.input = Input::new(text.to_owned());
    }

    /// Whether the text changed.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        self.offered = None;
        self.input.handle_event(&Event::Key(key)).is_some_and(|changed| changed.value)
    }

    /// Pasted text is one line.
    pub fn paste(&mut self, text: &str) {
        let (mut value, cursor) = (self.text().to_owned(), self.input.cursor());
        let at = value.char_indices().nth(cursor).map_or(value.len(), |(at, _)| at);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        value.insert_str(at, text);
        self.input = Input::new(value).with_cursor(cursor + text.chars().count());
        self.offered = None;
    }

    /// Puts the next of what is offered in place of the last word.
    pub fn complete(&mut self) {
        if self.offers.is_empty() {
            return;
        }
        let next = self.offered.map_or(0, |at| (at + 1) % self.offers.len());
        let text = self.text();
        let start = text.rfind(' ').map_or(0, |at| at + 1);
        let line = format!("{}{}", &text[..start], self.offers[next]);
        self.set(&line);
        self.offered = Some(next);
    }

    /// An earlier line of `history` (the newest last), or a later one.
    pub fn recall(&mut self, history: &[String], earlier: bool) {
        self.back = if earlier { (self.back + 1).min(history.len()) } else { self.back.saturating_sub(1) };
        let line = history.len().checked_sub(self.back).and_then(|at| history.get(at)).cloned().unwrap_or_default();
        self.set(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_goes_through_what_is_offered() {
        let mut prompt = Prompt::new(Purpose::Command, "theme d");
        prompt.offers = vec!["dark".into(), "dim".into()];
        for expected in ["theme dark", "theme dim", "theme dark"] {
            prompt.complete();
            assert_eq!(prompt.text(), expected);
        }
    }

    #[test]
    fn earlier_lines_come_back() {
        let history = ["one".to_owned(), "two".to_owned()];
        let mut prompt = Prompt::new(Purpose::Filter, "");
        for (earlier, expected) in
            [(true, "two"), (true, "one"), (true, "one"), (false, "two"), (false, ""), (false, "")]
        {
            prompt.recall(&history, earlier);
            assert_eq!(prompt.text(), expected);
        }
        prompt.recall(&[], true);
        assert_eq!(prompt.text(), "");
    }

    #[test]
    fn what_is_pasted_is_one_line_at_the_cursor() {
        let mut prompt = Prompt::new(Purpose::Filter, "修x");
        prompt.input = prompt.input.clone().with_cursor(1);
        prompt.paste(" a\nb\u{1b} ");
        assert_eq!((prompt.text(), prompt.input.cursor()), ("修a bx", 4));
    }
}
