//! From the arguments to a filter. A wrong one is shown with a mark under the fault.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use unicode_width::UnicodeWidthChar as _;

use crate::clock;
use crate::commands::CommandError;
use crate::wire::filter::{Filter, FilterError, time};
use crate::wire::harmless::harmless;

/// Columns of a filter that are shown around its fault.
const WIDEST: usize = 70;

/// What somebody wrote that is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFilter {
    text: String,
    error: FilterError,
}

/// The words of the command line are one filter.
pub(super) fn filter(words: &[String]) -> Result<Filter, CommandError> {
    let text = words.join(" ");
    Filter::parse(&text, clock::wall()).map_err(|error| Box::new(BadFilter { text, error }).into())
}

/// What `--since` and `--until` leave.
pub(super) fn between(since: Option<&str>, until: Option<&str>) -> Result<Filter, CommandError> {
    let moment = |flag: &str, word: Option<&str>| -> Result<Option<SystemTime>, CommandError> {
        let Some(word) = word else { return Ok(None) };
        let wrong = |why| CommandError::usage(format!("{flag}: {why}"), time::EXPECTED);
        time::parse(word, clock::wall()).map(Some).map_err(wrong)
    };
    Ok(Filter::between(moment("--since", since)?, moment("--until", until)?))
}

impl BadFilter {
    /// On one line.
    pub fn message(&self) -> String {
        format!("{} (at character {} of the filter)", self.error.message, self.error.span.0 + 1)
    }

    pub fn hint(&self) -> Option<&str> {
        self.error.hint.as_deref()
    }

    /// The part of the filter around the fault, and the columns that the mark takes.
    fn shown(&self) -> (String, usize, usize) {
        let (start, end) = self.error.span;
        let letters: Vec<char> = self.text.chars().map(printable).collect();
        let from = if letters.len() > WIDEST { start.saturating_sub(WIDEST / 2).min(letters.len()) } else { 0 };
        let to = (from + WIDEST).min(letters.len());
        let columns = |part: &[char]| part.iter().map(|c| c.width().unwrap_or(1)).sum::<usize>();
        let head = if from > 0 { "…" } else { "" };
        let tail = if to < letters.len() { "…" } else { "" };
        let (start, end) = (start.clamp(from, to), end.clamp(from, to));
        let text = format!("{head}{}{tail}", letters[from..to].iter().collect::<String>());
        let indent = usize::from(from > 0) + columns(&letters[from..start]);
        (text, indent, columns(&letters[start..end.max(start)]).max(1))
    }
}

/// The message, the filter, and the mark under the place where it is wrong.
impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, indent, width) = self.shown();
        writeln!(f, "{}", self.error.message)?;
        writeln!(f, "  | {text}")?;
        write!(f, "  | {:indent$}{}", "", "^".repeat(width))
    }
}

impl std::error::Error for BadFilter {}

/// A column for a column: what a terminal would obey is one strange letter.
fn printable(c: char) -> char {
    match harmless(c.encode_utf8(&mut [0; 4]), false) {
        Cow::Borrowed(_) => c,
        Cow::Owned(_) => '\u{fffd}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> String {
        let error = Filter::parse(text, SystemTime::UNIX_EPOCH).unwrap_err();
        BadFilter { text: text.to_owned(), error }.to_string()
    }

    fn mark(text: &str) -> String {
        drawn(text).lines().skip(1).map(|line| line.strip_prefix("  | ").unwrap()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_mark_is_under_the_fault() {
        for (filter, expected) in [
            ("status>=400 stauts:4", "status>=400 stauts:4\n            ^^^^^^"),
            ("修一下 stauts:4", "修一下 stauts:4\n       ^^^^^^"),
            ("ttft>5 x", "ttft>5 x\n     ^"),
            ("(a", "(a\n^"),
            ("a or", "a or\n    ^"),
            ("a\u{1b}[2J )", "a\u{fffd}[2J )\n      ^"),
        ] {
            assert_eq!(mark(filter), expected);
        }
    }

    #[test]
    fn a_long_filter_is_shown_around_its_fault() {
        let text = format!("{} stauts:4 {}", "a".repeat(200), "b".repeat(200));
        let shown = mark(&text);
        let (line, mark) = shown.split_once('\n').unwrap();
        assert!(line.starts_with('…') && line.ends_with('…') && line.chars().count() == WIDEST + 2, "{line}");
        let at = mark.find('^').unwrap();
        assert_eq!(line.chars().skip(at).take(6).collect::<String>(), "stauts");
    }
}
