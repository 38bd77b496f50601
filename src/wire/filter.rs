//! The filter language of `logs search`, the page and the dashboard: `status>=400 endpoint:kimi ttft>5s "text"`.
//!
//! ```text
//! fields (the table) -> parser -> term (the tree) -> eval: whole records, or raw lines of a log file
//! ```
//! Readers of the log with an index of their own walk the tree ([`Filter::expr`]) for what they can use of it.

pub mod fields;
pub mod page;
pub mod term;
pub mod text;
pub mod time;

mod eval;
mod parser;
mod units;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use self::parser::Parser;
use self::term::Expr;
use self::text::Needle;
use super::harmless::harmless;
use super::record::RequestRecord;

/// What a reader wants to see of the log. The default lets everything through.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expr: Expr,
}

/// Where a filter is wrong, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    pub message: String,
    pub hint: Option<String>,
    /// First and last character of the fault, counted from 0, the last one excluded.
    pub span: (usize, usize),
}

impl Default for Filter {
    fn default() -> Self {
        Self { expr: Expr::And(Vec::new()) }
    }
}

impl Filter {
    /// `now`: what `time>2h` and `time>14:00` count from.
    ///
    /// # Errors
    /// The first thing in `text` that is no filter.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, FilterError> {
        Parser::new(text, now).filter().map(|expr| Self { expr })
    }

    /// Only what has `text` in a field of texts; `None` when it is too long to look for.
    pub fn contains(field: fields::Field, text: &str) -> Option<Self> {
        Some(Self { expr: Expr::Term(field, term::Test::Has(Needle::new(text)?)) })
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        matches!(&self.expr, Expr::And(parts) if parts.is_empty())
    }

    pub fn matches(&self, record: &RequestRecord) -> bool {
        eval::matches(&self.expr, record)
    }

    /// Whether the record that this line of a log file holds may match: false is certain, true is not. Far cheaper than
    /// parsing the line.
    pub fn may_match_line(&self, line: &[u8]) -> bool {
        eval::may_match_line(&self.expr, line)
    }

    /// Whether it looks into headers and bodies, so that a record without them cannot be judged.
    pub fn reads_bodies(&self) -> bool {
        eval::reads_bodies(&self.expr)
    }

    /// What lets through only what both do.
    pub fn and(self, other: Self) -> Self {
        let parts = [self, other].into_iter().filter(|filter| !filter.is_empty()).map(|filter| filter.expr);
        let mut parts: Vec<Expr> = parts.collect();
        let expr = if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) };
        Self { expr }
    }

    /// Only what began at `start` or later, and before `end`.
    pub fn between(start: Option<SystemTime>, end: Option<SystemTime>) -> Self {
        let ms = |time| jiff::Timestamp::try_from(time).map_or(i64::MAX, jiff::Timestamp::as_millisecond);
        let from = start.map(|time| term::Test::From(ms(time)));
        let before = end.map(|time| term::Test::Before(ms(time)));
        let terms = from.into_iter().chain(before).map(|test| Expr::Term(fields::Field::Time, test));
        terms.fold(Self::default(), |all, expr| all.and(Self { expr }))
    }

    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// A text that every line must have whose record matches: the longest there is. With it a whole file can be searched
    /// without looking for the ends of its lines.
    pub fn needed_text(&self) -> Option<&Needle> {
        let needed =
            |expr: &'_ Expr| matches!(expr, Expr::Text(_) | Expr::Term(_, term::Test::Is(_) | term::Test::Has(_)));
        let parts = match &self.expr {
            Expr::And(parts) => parts.as_slice(),
            only => std::slice::from_ref(only),
        };
        let needles = parts.iter().filter(|part| needed(part)).filter_map(|part| match part {
            Expr::Text(needle) | Expr::Term(_, term::Test::Is(needle) | term::Test::Has(needle)) => Some(needle),
            _ => None,
        });
        needles.filter(|needle| !needle.text().is_empty()).max_by_key(|needle| needle.text().len())
    }

    /// The stretch of time, in milliseconds since 1970, outside of which nothing matches.
    pub fn stretch(&self) -> (i64, i64) {
        let parts = match &self.expr {
            Expr::And(parts) => parts.as_slice(),
            only => std::slice::from_ref(only),
        };
        parts.iter().fold((i64::MIN, i64::MAX), |(start, end), part| match part {
            Expr::Term(_, term::Test::From(from)) => (start.max(*from), end),
            Expr::Term(_, term::Test::Before(before)) => (start, end.min(*before)),
            _ => (start, end),
        })
    }

    /// Whether a model of this name is one that `needle` stands for: the whole name, or the short one.
    pub fn is_model(needle: &Needle, model: &str) -> bool {
        eval::is_model(needle, model)
    }
}

/// A filter that parses to the same.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

/// A piece of somebody's text for a message: short, and harmless to a terminal.
fn shown(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", harmless(&text[..end], false))),
        None => harmless(text, false),
    }
}

#[cfg(test)]
mod tests;
