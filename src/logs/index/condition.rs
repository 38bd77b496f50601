//! What a filter means for the rows of the index, as SQL.

use std::fmt;

use super::{Words, ending_number};
use crate::wire::filter::Filter;
use crate::wire::filter::fields::Field;
use crate::wire::filter::term::{Expr, Test};

/// More words than this are not listed in a query.
const MOST_WORDS: usize = 500;

/// A condition that every row fulfils whose record matches. Never NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::logs) struct Condition {
    sql: String,
    /// Whether only such rows fulfil it: then it can be turned round.
    exact: bool,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

impl Condition {
    pub(super) fn of(expr: &Expr, words: &Words) -> Option<Self> {
        match expr {
            Expr::And(parts) => {
                let known: Vec<Self> = parts.iter().filter_map(|part| Self::of(part, words)).collect();
                let exact = known.len() == parts.len() && known.iter().all(|part| part.exact);
                (!known.is_empty()).then(|| Self::joined(&known, " AND ", exact))
            }
            Expr::Or(parts) => {
                let known = parts.iter().map(|part| Self::of(part, words)).collect::<Option<Vec<Self>>>()?;
                let exact = known.iter().all(|part| part.exact);
                Some(Self::joined(&known, " OR ", exact))
            }
            Expr::Not(part) => {
                let turned = Self::of(part, words).filter(|part| part.exact)?;
                Some(Self { sql: format!("(NOT {})", turned.sql), exact: true })
            }
            Expr::Text(_) => None,
            Expr::Term(field, test) => Self::term(*field, test, words),
        }
    }

    fn joined(parts: &[Self], between: &str, exact: bool) -> Self {
        let sql = parts.iter().map(|part| part.sql.as_str()).collect::<Vec<_>>().join(between);
        Self { sql: format!("({sql})"), exact }
    }

    fn exact(test: impl fmt::Display) -> Self {
        Self { sql: format!("(({test}) IS TRUE)"), exact: true }
    }

    fn needed(test: impl fmt::Display) -> Self {
        Self { exact: false, ..Self::exact(test) }
    }

    fn term(field: Field, test: &Test, words: &Words) -> Option<Self> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Some(match test {
            Test::Is(_) | Test::Has(_) => return Self::text(field, test, words),
            Test::Ending(ending) => Self::exact(format!("ending = {}", ending_number(*ending))),
            Test::Flag(flag) => Self::exact(format!("stream = {}", i32::from(*flag))),
            Test::Number(compare, value) => {
                Self::exact(format!("{} {} {}", column(field)?, compare.sign(), number(*value)))
            }
            Test::Within(low, high) => {
                Self::exact(format!("{} BETWEEN {} AND {}", column(field)?, number(*low), number(*high)))
            }
            Test::From(ms) => Self::exact(format!("time >= {ms}")),
            Test::Before(ms) => Self::exact(format!("time < {ms}")),
        })
    }

    fn text(field: Field, test: &Test, words: &Words) -> Option<Self> {
        let fits = |word: &str| match test {
            Test::Is(needle) if field == Field::Model => Filter::is_model(needle, word),
            Test::Is(needle) => needle.is_all_of(word),
            Test::Has(needle) => needle.is_in(word),
            _ => false,
        };
        let listed = |column: &str| words.listed(fits).map(|ids| format!("{column} IN ({ids})"));
        Some(match field {
            Field::Endpoint | Field::Model | Field::Session | Field::Method | Field::Path => {
                Self::exact(listed(column(field)?)?)
            }
            Field::Tried => Self::needed(format!("attempts IS NOT NULL OR {}", listed("endpoint")?)),
            Field::Fault => Self::needed("attempts IS NOT NULL"),
            _ => return None,
        })
    }
}

impl Words {
    /// The numbers of the words that fit, for an `IN`; `None` when they are too many.
    fn listed(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let words = self.known.iter().enumerate().filter_map(|(id, word)| Some((id, word.as_deref()?)));
        let ids: Vec<String> = words.filter(|(_, word)| fits(word)).map(|(id, _)| id.to_string()).collect();
        (ids.len() <= MOST_WORDS).then(|| ids.join(","))
    }
}

fn column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Status => "status",
        Field::Endpoint => "endpoint",
        Field::Model => "model",
        Field::Session => "session",
        Field::Method => "method",
        Field::Path => "path",
        Field::Duration => "duration",
        Field::FirstByte => "first_byte",
        Field::Input => "input",
        Field::Output => "output",
        Field::CacheRead => "cache_read",
        Field::CacheCreation => "cache_creation",
        Field::Attempts => "tries",
        Field::Size => "size",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn condition(text: &str) -> Option<String> {
        let mut words = Words::default();
        for (id, word) in (1..).zip(["kimi", "claude-opus-4-8", "POST", "a'b"]) {
            words.set(id, word);
        }
        let filter = Filter::parse(text, UNIX_EPOCH).unwrap();
        Condition::of(filter.expr(), &words).map(|condition| condition.to_string())
    }

    #[test]
    fn what_the_index_knows_is_asked_of_it() {
        for (text, sql) in [
            ("status>=400", "((status >= 400) IS TRUE)"),
            ("-status:4xx", "(NOT ((status BETWEEN 400 AND 499) IS TRUE))"),
            ("endpoint:KIMI", "((endpoint IN (1)) IS TRUE)"),
            ("model:opus-4-8 text", "(((model IN (2)) IS TRUE))"),
            ("session:none", "((session IN ()) IS TRUE)"),
            ("path~\"'\"", "((path IN (4)) IS TRUE)"),
            ("fault:x ending:cut", "(((attempts IS NOT NULL) IS TRUE) AND ((ending = 3) IS TRUE))"),
            ("tried:kimi", "((attempts IS NOT NULL OR endpoint IN (1)) IS TRUE)"),
            ("status:1 or stream:yes", "(((status = 1) IS TRUE) OR ((stream = 1) IS TRUE))"),
        ] {
            assert_eq!(condition(text).as_deref(), Some(sql), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_know_leaves_rows_in() {
        for text in ["", "text", "-text", "error~x", "status:1 or text", "-(status:1 text)", "-fault:x", "id:1"] {
            assert_eq!(condition(text), None, "{text}");
        }
    }
}
