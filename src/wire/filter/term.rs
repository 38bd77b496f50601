//! What a filter is made of, and how it is written.

use std::fmt;

use super::fields::Field;
use super::text::Needle;
use crate::wire::record::Ending;

/// A filter as a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// Anywhere in the record.
    Text(Needle),
    Term(Field, Test),
}

/// What a field's value has to be. A value that is not there passes no test.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Text that is this.
    Is(Needle),
    /// Text that contains this.
    Has(Needle),
    Ending(Ending),
    Flag(bool),
    /// A number, in the field's smallest unit: milliseconds, bytes.
    Number(Compare, u64),
    /// A number from the first to the second, both included.
    Within(u64, u64),
    /// A time, in milliseconds since 1970: at or after this.
    From(i64),
    /// Before this.
    Before(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Compare {
    pub fn holds(self, value: u64, limit: u64) -> bool {
        match self {
            Self::Equal => value == limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }

    /// As filters and SQL both write it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// Parses to the same again.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " "),
            Self::Or(parts) => join(f, parts, " or "),
            Self::Not(part) => {
                f.write_str("-")?;
                within(f, part)
            }
            Self::Text(needle) => quoted(f, needle.text()),
            Self::Term(field, test) => term(f, *field, test),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        within(f, part)?;
    }
    Ok(())
}

fn within(f: &mut fmt::Formatter<'_>, part: &Expr) -> fmt::Result {
    match part {
        Expr::And(_) | Expr::Or(_) => write!(f, "({part})"),
        _ => write!(f, "{part}"),
    }
}

fn term(f: &mut fmt::Formatter<'_>, field: Field, test: &Test) -> fmt::Result {
    let name = field.name();
    match test {
        Test::Is(needle) => {
            write!(f, "{name}:")?;
            quoted(f, needle.text())
        }
        Test::Has(needle) => {
            write!(f, "{name}~")?;
            quoted(f, needle.text())
        }
        Test::Ending(ending) => write!(f, "{name}:{}", ending.word()),
        Test::Flag(flag) => write!(f, "{name}:{flag}"),
        Test::Number(compare, value) => {
            let unit = if matches!(field, Field::Duration | Field::FirstByte) { "ms" } else { "" };
            write!(f, "{name}{}{value}{unit}", compare.sign())
        }
        Test::Within(low, _) => write!(f, "{name}:{}xx", low / 100),
        Test::From(ms) => write!(f, "{name}>={}", at(*ms)),
        Test::Before(ms) => write!(f, "{name}<{}", at(*ms)),
    }
}

fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Always in quotes, so that no word is taken for an operator.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"))
}
