//! ```text
//! filter = all *( "or" all )
//! all    = 1*( one [ "and" ] )
//! one    = ( "-" / "not" ) one / "(" filter ")" / field operator value / text
//! value  = text = word / quote *( any / "\" any ) quote
//! ```

use std::time::SystemTime;

use super::FilterError;
use super::fields::{self, Field, FieldInfo, Kind};
use super::shown;
use super::term::{Compare, Expr, Test};
use super::text::{LONGEST, Needle};
use super::{time, units};
use crate::wire::record::Ending;

/// Characters of a whole filter, and parentheses and negations within one another: nobody writes more by hand.
const LONGEST_FILTER: usize = 10_000;
const DEEPEST: usize = 50;
/// The longer ones first, since they begin like the shorter ones.
const OPERATORS: [&str; 9] = ["!=", "!~", ">=", "<=", ":", "=", "~", ">", "<"];
const ENDINGS: [Ending; 5] = [Ending::Complete, Ending::RelayedError, Ending::Failed, Ending::Cut, Ending::ClientGone];

pub(super) struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    now: SystemTime,
}

type Parsed<T> = Result<T, FilterError>;

/// An operator with the place where it stands.
struct Operator {
    sign: &'static str,
    start: usize,
}

/// A word or a quoted text with its place.
struct Value {
    text: String,
    span: (usize, usize),
}

impl Parser {
    pub(super) fn new(text: &str, now: SystemTime) -> Self {
        Self { text: text.chars().collect(), at: 0, depth: 0, now }
    }

    pub(super) fn filter(mut self) -> Parsed<Expr> {
        if self.text.len() > LONGEST_FILTER {
            let span = (LONGEST_FILTER, self.text.len());
            return Err(error("this filter is too long", Some("shorten it"), span));
        }
        if self.text.iter().all(|c| c.is_whitespace()) {
            return Ok(Expr::And(Vec::new()));
        }
        let expr = self.any()?;
        self.skip_space();
        match self.next() {
            Some(_) => Err(error("this `)` closes nothing", Some("quote it to look for it"), (self.at, self.at + 1))),
            None => Ok(expr),
        }
    }

    fn any(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn all(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.one()?];
        loop {
            let joined = self.take_word("and");
            self.skip_space();
            let ended = matches!(self.next(), None | Some(')')) || self.peek_word().is_some_and(|w| w == "or");
            if ended && !joined {
                return Ok(one_or(parts, Expr::And));
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Parsed<Expr> {
        self.skip_space();
        let start = self.at;
        if self.depth >= DEEPEST {
            return Err(error("this is nested too deep", None, (start, self.text.len())));
        }
        self.depth += 1;
        let expr = self.one_within(start);
        self.depth -= 1;
        expr
    }

    fn one_within(&mut self, start: usize) -> Parsed<Expr> {
        if self.take('-') || self.take_word("not") {
            return Ok(Expr::Not(Box::new(self.one()?)));
        }
        if self.take('(') {
            let inner = self.any()?;
            self.skip_space();
            return if self.take(')') {
                Ok(inner)
            } else {
                Err(error("this `(` is not closed", Some("add a `)`"), (start, start + 1)))
            };
        }
        match self.next() {
            None => Err(error("something is missing at the end", Some("add a term or a text"), (start, start))),
            Some(')') => Err(error("something is missing before this `)`", None, (start, start + 1))),
            Some('"') => {
                let quoted = self.quoted()?;
                needle(&quoted).map(Expr::Text)
            }
            Some(_) => self.term_or_text(),
        }
    }

    fn term_or_text(&mut self) -> Parsed<Expr> {
        let start = self.at;
        let name: String = self.rest().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let known = fields::find(&name);
        self.at += name.len();
        let end = self.at;
        if let (false, Some(operator)) = (name.is_empty(), self.operator(known.is_some())) {
            let Some(info) = known.filter(|_| !name.is_empty()) else {
                return Err(unknown_field(&name, (start, end)));
            };
            return self.term(&name, info, &operator);
        }
        self.at = start;
        let word = self.word();
        if word.text.is_empty() {
            return Err(error("nothing stands before this", Some("write a field there, such as status"), word.span));
        }
        needle(&word).map(Expr::Text)
    }

    /// Behind a field's name spaces may stand around it; any other word before a space is a text.
    fn operator(&mut self, spaces: bool) -> Option<Operator> {
        let before = self.at;
        if spaces {
            self.skip_space();
        }
        let start = self.at;
        let found =
            OPERATORS.iter().find(|sign| self.rest().zip(sign.chars()).filter(|(a, b)| a == b).count() == sign.len());
        let Some(sign) = found else {
            self.at = before;
            return None;
        };
        self.at += sign.len();
        Some(Operator { sign, start })
    }

    fn term(&mut self, name: &str, info: &'static FieldInfo, operator: &Operator) -> Parsed<Expr> {
        let place = (operator.start, operator.start + operator.sign.len());
        if !info.kind.operators().split(' ').any(|known| known == operator.sign) {
            let message = format!("`{}` cannot be asked with `{}`", info.name, operator.sign);
            return Err(FilterError {
                message,
                hint: Some(format!("it takes {}", info.kind.operators())),
                span: place,
            });
        }
        self.skip_space();
        let value = if self.next() == Some('"') { self.quoted()? } else { self.word() };
        if value.span.0 == value.span.1 {
            return Err(FilterError {
                message: format!("a value is missing behind `{name}{}`", operator.sign),
                hint: Some(format!("for example {}", info.example)),
                span: place,
            });
        }
        let (sign, negated) = match operator.sign {
            "!=" => ("=", true),
            "!~" => ("~", true),
            ":" => ("=", false),
            other => (other, false),
        };
        let expr = match info.kind {
            Kind::Time => self.time(name, sign, &value)?,
            _ => Expr::Term(info.field, test(info, sign, &value)?),
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn time(&self, name: &str, sign: &str, value: &Value) -> Parsed<Expr> {
        let wrong = || error(&format!("`{}` is no time", shown(&value.text)), Some(time::EXPECTED), value.span);
        let stretch = time::stretch(&value.text, self.now).ok_or_else(wrong)?;
        let from = |ms| Expr::Term(Field::Time, Test::From(ms));
        let before = |ms| Expr::Term(Field::Time, Test::Before(ms));
        let end = if stretch.is_day { stretch.end } else { stretch.start.saturating_add(1) };
        Ok(match (name.to_ascii_lowercase().as_str(), sign) {
            ("since", "=") | (_, ">=") => from(stretch.start),
            ("until", "=") | (_, "<") => before(stretch.start),
            (_, ">") => from(end),
            (_, "<=") => before(end),
            _ => Expr::And(vec![from(stretch.start), before(stretch.end)]),
        })
    }

    fn word(&mut self) -> Value {
        let start = self.at;
        let text: String = self.rest().take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"')).collect();
        self.at += text.chars().count();
        Value { text, span: (start, self.at) }
    }

    /// What stands between this quote and the next; `\` takes the meaning from the one behind it.
    fn quoted(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.next() {
            self.at += 1;
            match c {
                '"' => return Ok(Value { text, span: (start, self.at) }),
                '\\' => {
                    let escaped = self.next();
                    self.at += usize::from(escaped.is_some());
                    match escaped {
                        Some('n') => text.push('\n'),
                        Some('t') => text.push('\t'),
                        Some(c) if matches!(c, '"' | '\\') => text.push(c),
                        other => text.extend(std::iter::once('\\').chain(other)),
                    }
                }
                c => text.push(c),
            }
        }
        Err(error("this quote is not closed", Some("add a `\"`"), (start, self.text.len())))
    }

    fn rest(&self) -> impl Iterator<Item = char> {
        self.text[self.at.min(self.text.len())..].iter().copied()
    }

    fn next(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().take_while(|c| c.is_whitespace()).count();
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.next() == Some(c);
        self.at += usize::from(there);
        there
    }

    /// The next word in small letters, behind spaces, if it is of letters alone.
    fn peek_word(&self) -> Option<String> {
        let word: String = self.rest().skip_while(|c| c.is_whitespace()).take_while(|c| !is_border(*c)).collect();
        (!word.is_empty()).then(|| word.to_ascii_lowercase())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.peek_word().is_some_and(|next| next == word);
        if there {
            self.skip_space();
            self.at += word.len();
        }
        there
    }
}

fn is_border(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn test(info: &FieldInfo, sign: &str, value: &Value) -> Parsed<Test> {
    let text = value.text.as_str();
    let compare = match sign {
        ">" => Compare::Above,
        ">=" => Compare::AtLeast,
        "<" => Compare::Below,
        "<=" => Compare::AtMost,
        _ => Compare::Equal,
    };
    let number = |number: Option<u64>| number.map(|number| Test::Number(compare, number));
    let (read, expected) = match info.kind {
        Kind::Text => return needle(value).map(if sign == "~" { Test::Has } else { Test::Is }),
        Kind::Ending => (ending(text).map(Test::Ending), "complete, relayed_error, failed, cut or client_gone"),
        Kind::Flag => (flag(text).map(Test::Flag), "true or false"),
        Kind::Status => (status(compare, text), "a status is a number such as 529, or 4xx"),
        Kind::Count => (number(units::count(text)), "a count is a number, also with k or M: 500, 10k, 1.5M"),
        Kind::Duration => (number(units::duration(text)), "a duration has a unit: 500ms, 5s, 2m, 1h"),
        Kind::Size => (number(units::size(text)), "a size is a number of bytes, also with a unit: 10KiB, 1MB"),
        Kind::Time => (None, time::EXPECTED),
    };
    let message = || format!("`{}` is nothing that `{}` can be", shown(text), info.name);
    read.ok_or_else(|| error(&message(), Some(expected), value.span))
}

fn ending(text: &str) -> Option<Ending> {
    ENDINGS.into_iter().find(|ending| ending.word().eq_ignore_ascii_case(text))
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

fn status(compare: Compare, text: &str) -> Option<Test> {
    let class = text.to_ascii_lowercase().strip_suffix("xx").and_then(|digit| digit.parse::<u64>().ok());
    match (class, compare) {
        (Some(class @ 1..=9), Compare::Equal) => Some(Test::Within(class * 100, class * 100 + 99)),
        (Some(_), _) => None,
        (None, _) => text.parse().ok().map(|number| Test::Number(compare, number)),
    }
}

fn needle(value: &Value) -> Parsed<Needle> {
    let hint = format!("{LONGEST} characters are the most");
    Needle::new(&value.text).ok_or_else(|| error("this text is too long", Some(&hint), value.span))
}

fn unknown_field(name: &str, span: (usize, usize)) -> FilterError {
    let hint = match fields::nearest(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "put it in quotes to look for the text; `claude-proxy help filter` lists the fields".to_owned(),
    };
    FilterError { message: format!("there is no field `{}`", shown(name)), hint: Some(hint), span }
}

fn error(message: &str, hint: Option<&str>, span: (usize, usize)) -> FilterError {
    FilterError { message: message.to_owned(), hint: hint.map(ToOwned::to_owned), span }
}
