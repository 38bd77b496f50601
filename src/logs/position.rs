//! A place in the log that stays what it is while records arrive and files are put aside.

use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::civil::Date;

use super::source::Source;

/// The beginning of a line: what is before it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub date: Date,
    pub mark: u64,
    pub offset: u64,
}

impl Position {
    pub(super) fn in_source(source: &Source, offset: u64) -> Self {
        Self { date: source.date, mark: source.mark, offset }
    }
}

/// Where a page ended, as its reader passes it on: in the files, and among the records that only memory has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// `None`: from the newest on.
    pub files: Option<Position>,
    /// The last one that was shown of those in memory.
    pub memory: Option<String>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.files {
            Some(Position { date, mark, offset }) => write!(f, "{date}.{mark:016x}.{offset}")?,
            None => f.write_str("newest")?,
        }
        self.memory.iter().try_for_each(|id| write!(f, "~{id}"))
    }
}

impl FromStr for Cursor {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let (files, memory) = text.split_once('~').map_or((text, None), |(files, id)| (files, Some(id.to_owned())));
        let files = match files {
            "newest" => None,
            position => Some(parse(position).ok_or_else(foreign)?),
        };
        Ok(Self { files, memory })
    }
}

fn parse(text: &str) -> Option<Position> {
    let mut parts = text.split('.');
    let (date, mark, offset) = (parts.next()?, parts.next()?, parts.next()?);
    let position =
        Position { date: date.parse().ok()?, mark: u64::from_str_radix(mark, 16).ok()?, offset: offset.parse().ok()? };
    parts.next().is_none().then_some(position)
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "`before` is neither the `next` of an earlier page nor a record's id")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let files = Some(Position { date: date(2026, 3, 9), mark: 0xab, offset: 77 });
        for cursor in [
            Cursor { files, memory: None },
            Cursor { files, memory: Some("req~1.x".into()) },
            Cursor { files: None, memory: Some(String::new()) },
            Cursor::default(),
        ] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "1", "2026-03-09", "2026-03-09.x.1", "2026-03-09.1.1.1", "2026-13-09.1.1", "req_1"] {
            assert_eq!(text.parse::<Cursor>().unwrap_err().kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }
}
