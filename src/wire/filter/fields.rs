//! What a filter can ask about: one table for the parser, the documentation and whoever completes a word.

/// A fact about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Status,
    Ending,
    Endpoint,
    Tried,
    Fault,
    Model,
    Session,
    Id,
    Method,
    Path,
    Stream,
    Error,
    Time,
    Duration,
    FirstByte,
    Input,
    Output,
    CacheRead,
    CacheCreation,
    Attempts,
    Size,
}

/// What stands behind a field's operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word, compared without regard to case.
    Text,
    /// One of the endings.
    Ending,
    /// `true` or `false`.
    Flag,
    /// A number, also with `k` or `M`.
    Count,
    /// A number, or `4xx`.
    Status,
    /// A number with `ms`, `s`, `m` or `h`.
    Duration,
    /// A number of bytes, also with `KiB`, `MB`, …
    Size,
    /// As [`super::time`] reads it.
    Time,
}

impl Kind {
    /// The operators that make sense with it.
    pub fn operators(self) -> &'static str {
        match self {
            Self::Text => ": = != ~ !~",
            Self::Ending | Self::Flag => ": = !=",
            _ => ": = != > >= < <=",
        }
    }
}

/// A field as the table has it.
#[derive(Debug)]
pub struct FieldInfo {
    pub field: Field,
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// In a few words.
    pub about: &'static str,
    pub example: &'static str,
}

const fn info(
    field: Field,
    name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
    about: &'static str,
    example: &'static str,
) -> FieldInfo {
    FieldInfo { field, name, aliases, kind, about, example }
}

pub const FIELDS: &[FieldInfo] = &[
    info(Field::Status, "status", &[], Kind::Status, "what the client got", "status>=400  status:5xx"),
    info(
        Field::Ending,
        "ending",
        &[],
        Kind::Ending,
        "complete, relayed_error, failed, cut or client_gone",
        "ending:cut",
    ),
    info(Field::Endpoint, "endpoint", &[], Kind::Text, "whose answer went down; else tried last", "endpoint:kimi"),
    info(Field::Tried, "tried", &[], Kind::Text, "any endpoint that was tried", "tried:kimi -endpoint:kimi"),
    info(Field::Fault, "fault", &[], Kind::Text, "how any attempt failed", "fault:limited  fault~timeout"),
    info(Field::Model, "model", &[], Kind::Text, "what was asked for; = takes the short name too", "model~opus"),
    info(Field::Session, "session", &[], Kind::Text, "the client's session", "session:6e1f2a"),
    info(Field::Id, "id", &[], Kind::Text, "the request-id that the client saw", "id~018f"),
    info(Field::Method, "method", &[], Kind::Text, "GET, POST, …", "method:GET"),
    info(Field::Path, "path", &[], Kind::Text, "path and query", "path~count_tokens"),
    info(Field::Stream, "stream", &[], Kind::Flag, "whether a stream was asked for", "stream:false"),
    info(Field::Error, "error", &[], Kind::Text, "what went wrong, in a sentence", "error~\"no content\""),
    info(Field::Time, "time", &["since", "until"], Kind::Time, "when it began", "time>2h  time:yesterday  since:14:00"),
    info(Field::Duration, "duration", &[], Kind::Duration, "to the end of the answer", "duration>1m"),
    info(Field::FirstByte, "ttft", &["first_byte"], Kind::Duration, "to the first byte that went down", "ttft>5s"),
    info(Field::Input, "in", &["input"], Kind::Count, "input tokens, the cached ones aside", "in>100k"),
    info(Field::Output, "out", &["output"], Kind::Count, "output tokens", "out<10"),
    info(Field::CacheRead, "cache_read", &[], Kind::Count, "tokens read from the cache", "cache_read:0"),
    info(Field::CacheCreation, "cache_creation", &[], Kind::Count, "tokens put into the cache", "cache_creation>50k"),
    info(Field::Attempts, "attempts", &[], Kind::Count, "how many attempts it took", "attempts>1"),
    info(Field::Size, "size", &[], Kind::Size, "bytes of request and answer together", "size>1MiB"),
];

impl Field {
    pub fn info(self) -> &'static FieldInfo {
        FIELDS.iter().find(|info| info.field == self).unwrap_or(&FIELDS[0])
    }

    pub fn name(self) -> &'static str {
        self.info().name
    }
}

/// The field of this name or alias, whatever its case.
pub fn find(name: &str) -> Option<&'static FieldInfo> {
    names().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, info)| info)
}

/// Every name and alias, with its field: what can be completed.
pub fn names() -> impl Iterator<Item = (&'static str, &'static FieldInfo)> {
    FIELDS
        .iter()
        .flat_map(|info| std::iter::once(info.name).chain(info.aliases.iter().copied()).map(move |name| (name, info)))
}

/// The name that somebody who wrote `word` may have meant.
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let slips = |name: &str| strsim::damerau_levenshtein(&word, name);
    let close =
        names().map(|(name, _)| (slips(name), name)).filter(|(slips, name)| *slips <= 2 && slips * 2 < name.len());
    close.min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_the_table_once() {
        for info in FIELDS {
            assert_eq!(info.field.info().name, info.name);
            assert_eq!(find(&info.name.to_uppercase()).unwrap().field, info.field);
        }
        let mut all: Vec<_> = names().map(|(name, _)| name).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names().count());
    }

    #[test]
    fn a_slip_finds_its_field() {
        for (slip, meant) in [("stauts", "status"), ("endpont", "endpoint"), ("tfft", "ttft"), ("Modle", "model")] {
            assert_eq!(nearest(slip), Some(meant));
        }
        assert_eq!(nearest("https"), None);
        assert_eq!(nearest(""), None);
    }
}
