//! The filter language and the times of `logs`, completed term by term: fields, then what was seen of them lately.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::names::in_short;
use super::typed::Typed;
use crate::wire::filter::fields::{self, Field, FieldInfo, Kind};
use crate::wire::record::{Ending, RequestRecord};

/// Newest requests that are looked at for values.
const LOOKED_AT: usize = 500;
/// Values of one field that are offered.
const MOST: usize = 50;
/// The longer ones first, since they begin like the shorter ones.
const OPERATORS: [&str; 9] = ["!=", "!~", ">=", "<=", ":", "=", "~", ">", "<"];
const ENDINGS: [Ending; 5] = [Ending::Complete, Ending::RelayedError, Ending::Failed, Ending::Cut, Ending::ClientGone];

const TIMES: [(&str, &str); 8] = [
    ("10m", "ten minutes ago"),
    ("1h", "an hour ago"),
    ("2h", "two hours ago"),
    ("24h", "a day ago"),
    ("today", "since midnight"),
    ("yesterday", "that day"),
    ("monday", "the last one; any weekday"),
    ("7d", "a week ago"),
];

/// A value and what it means.
type Offer = (String, String);

/// For an argument that takes a filter, or a word of one.
pub(super) fn filter() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let Some(typed) = typed.to_str() else { return Vec::new() };
        let (before, word) = last_term(typed);
        let offers = term(word, &Typed::now());
        offers.into_iter().map(|(value, help)| candidate(format!("{before}{value}"), help)).collect()
    })
}

/// For an argument that takes a time.
pub(super) fn time() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_str().unwrap_or_default();
        let fits = TIMES.iter().filter(|(word, _)| word.starts_with(typed));
        fits.map(|(word, help)| candidate((*word).to_owned(), (*help).to_owned())).collect()
    })
}

fn candidate(value: String, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
}

/// What stands before the term that is being typed, and the term.
fn last_term(typed: &str) -> (&str, &str) {
    let (mut begin, mut quoted) = (0, false);
    for (at, letter) in typed.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ' ' | '(' if !quoted => begin = at + 1,
            // A word that begins with a dash is a flag to the shell's user, but not within a longer filter.
            '-' if at == begin && at > 0 => begin = at + 1,
            _ => {}
        }
    }
    typed.split_at(begin)
}

fn term(word: &str, line: &Typed) -> Vec<Offer> {
    let name: String = word.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    let rest = &word[name.len()..];
    let sign = OPERATORS.into_iter().find(|sign| rest.starts_with(sign));
    let (Some(sign), Some(info)) = (sign, fields::find(&name)) else {
        return if rest.is_empty() { field_names(&name) } else { Vec::new() };
    };
    let typed = &rest[sign.len()..];
    let values = values(info, sign, line).into_iter().filter(|(value, _)| starts_like(value, typed));
    values.take(MOST).map(|(value, help)| (format!("{name}{sign}{}", quoted(&value)), help)).collect()
}

fn starts_like(value: &str, typed: &str) -> bool {
    let typed = typed.trim_start_matches('"');
    value.get(..typed.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(typed))
}

/// Each with the operator that is meant mostly.
fn field_names(typed: &str) -> Vec<Offer> {
    let known = fields::names().filter(|(name, info)| *name == info.name || matches!(*name, "since" | "until"));
    let fits = known.filter(|(name, _)| name.starts_with(&typed.to_ascii_lowercase()));
    fits.map(|(name, info)| {
        let sign = match info.kind {
            Kind::Text | Kind::Ending | Kind::Flag | Kind::Status | Kind::Time => ':',
            Kind::Count | Kind::Duration | Kind::Size => '>',
        };
        (format!("{name}{sign}"), format!("{}; {}", info.about, info.example))
    })
    .collect()
}

fn values(info: &FieldInfo, sign: &str, line: &Typed) -> Vec<Offer> {
    let fixed = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), String::new())).collect();
    match info.kind {
        Kind::Ending => ENDINGS.iter().map(|ending| (ending.word().to_owned(), String::new())).collect(),
        Kind::Flag => fixed(&["true", "false"]),
        Kind::Time => TIMES.iter().map(|(word, help)| ((*word).to_owned(), (*help).to_owned())).collect(),
        Kind::Duration => fixed(&["1s", "5s", "30s", "1m", "5m"]),
        Kind::Count => fixed(&["1k", "10k", "100k", "1M"]),
        Kind::Size => fixed(&["100KiB", "1MiB", "10MiB"]),
        Kind::Status if sign.contains(['<', '>']) => fixed(&["400", "500"]),
        Kind::Status => fixed(&["4xx", "5xx"]).into_iter().chain(seen(info.field, line)).collect(),
        Kind::Text if matches!(info.field, Field::Endpoint | Field::Tried) => endpoints(info.field, line),
        Kind::Text => seen(info.field, line),
    }
}

/// Those of the config, then those that only the log knows any more.
fn endpoints(field: Field, line: &Typed) -> Vec<Offer> {
    let mut known: Vec<Offer> =
        line.endpoints().into_iter().map(|(name, url)| (name, url.unwrap_or_default())).collect();
    let gone = seen(field, line).into_iter().filter(|(name, _)| known.iter().all(|(other, _)| other != name));
    let gone: Vec<_> = gone.collect();
    known.extend(gone);
    known
}

/// The values of a field in the newest requests, the newest first, each once.
fn seen(field: Field, line: &Typed) -> Vec<Offer> {
    let mut found: Vec<Offer> = Vec::new();
    for record in line.recent(LOOKED_AT) {
        let help = if field == Field::Id { in_short(&record) } else { String::new() };
        for value in values_in(&record, field) {
            if !value.is_empty()
                && !value.chars().any(char::is_control)
                && found.iter().all(|(known, _)| *known != value)
            {
                found.push((value, help.clone()));
            }
        }
    }
    found
}

fn values_in(record: &RequestRecord, field: Field) -> Vec<String> {
    let one = |value: &Option<String>| value.iter().cloned().collect();
    match field {
        Field::Status => vec![record.status.to_string()],
        Field::Endpoint => one(&record.endpoint),
        Field::Tried => record.attempts.iter().map(|attempt| attempt.endpoint.clone()).collect(),
        Field::Fault => record.attempts.iter().filter_map(|attempt| attempt.fault.clone()).collect(),
        Field::Model => one(&record.model),
        Field::Session => one(&record.session),
        Field::Id => vec![record.id.clone()],
        Field::Method => vec![record.method.clone()],
        Field::Path => vec![record.path.clone()],
        _ => Vec::new(),
    }
}

/// As a value stands in a filter.
fn quoted(value: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:@+,%?=&*".contains(letter);
    if value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::filter::Filter;

    #[test]
    fn only_the_last_term_is_completed() {
        for (typed, expected) in [
            ("", ("", "")),
            ("status", ("", "status")),
            ("status>=400 end", ("status>=400 ", "end")),
            ("(model~opus or -end", ("(model~opus or -", "end")),
            ("error~\"no con", ("", "error~\"no con")),
            ("-x", ("", "-x")),
        ] {
            assert_eq!(last_term(typed), expected, "{typed}");
        }
    }

    #[test]
    fn whatever_is_offered_is_a_filter() {
        let mut offered = 0;
        for (name, info) in fields::names() {
            for sign in info.kind.operators().split(' ') {
                for (value, _) in term(&format!("{name}{sign}"), &Typed::none()) {
                    let parsed = Filter::parse(&value, SystemTime::UNIX_EPOCH);
                    assert!(parsed.is_ok(), "{value}: {parsed:?}");
                    offered += 1;
                }
            }
        }
        assert!(offered > 100, "{offered}");
        for value in ["my mirror", "a\"b\\c", "req_1", "/v1/messages?beta=true", "a(b)", "<synthetic>", "名"] {
            let text = format!("path:{}", quoted(value));
            assert!(Filter::parse(&text, SystemTime::UNIX_EPOCH).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_name_comes_with_its_operator() {
        let names = |typed: &str| term(typed, &Typed::none()).into_iter().map(|(value, _)| value).collect::<Vec<_>>();
        assert_eq!(names("st"), ["status:", "stream:"]);
        assert_eq!(names("TT"), ["ttft>"]);
        assert_eq!(names("sin"), ["since:"]);
        assert_eq!(names("ending:c"), ["ending:complete", "ending:cut", "ending:client_gone"]);
        assert_eq!(names("nosuch:"), Vec::<String>::new());
        assert_eq!(names("\"quo"), Vec::<String>::new());
    }
}
