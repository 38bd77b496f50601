//! A record in people's words: what the log commands and the dashboard both say of it. Plain values, no colour, no layout.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::{AttemptRecord, Ending, RequestRecord};

/// Stands where nothing is known.
pub const NOTHING: &str = "-";

/// The endpoints that were tried, in order: `kimi>mirror-1`. One that was asked twice in a row stands once.
pub fn path_of(record: &RequestRecord) -> String {
    let mut names: Vec<&str> = record.attempts.iter().map(|attempt| attempt.endpoint.as_str()).collect();
    names.dedup();
    match (names.is_empty(), &record.endpoint) {
        (false, _) => names.join(">"),
        (true, Some(endpoint)) => endpoint.clone(),
        (true, None) => NOTHING.to_owned(),
    }
}

/// A model's name without its maker, its family's prefix and its date: `claude-opus-4-8-20260201` is `opus-4-8`.
pub fn short_model(model: &str) -> &str {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    let name = name.strip_prefix("claude-").unwrap_or(name);
    let is_date = |end: &str| end.len() == 8 && end.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(['-', '@']) {
        Some((short, end)) if is_date(end) && !short.is_empty() => short,
        _ => name,
    }
}

/// A count in three or four characters: `912`, `48.1k`, `1.9M`.
pub fn tokens(count: u64) -> String {
    let tenths = |unit: u64| count.saturating_add(unit / 20) / (unit / 10);
    for (unit, letter) in [(1_000, 'k'), (1_000_000, 'M'), (1_000_000_000, 'G')] {
        let tenths = tenths(unit);
        if count < unit && unit == 1_000 {
            return count.to_string();
        }
        if tenths < 10_000 || letter == 'G' {
            return format!("{}.{}{letter}", tenths / 10, tenths % 10);
        }
    }
    count.to_string()
}

/// A stretch of time: `1ms`, `36ms`, `0.8s`, `22.0s`, `2m05s`, `1h02m`.
pub fn seconds(ms: u64) -> String {
    let tenths = ms.saturating_add(50) / 100;
    let whole = ms.saturating_add(500) / 1000;
    match whole {
        _ if ms < 100 => format!("{ms}ms"),
        0..100 => format!("{}.{}s", tenths / 10, tenths % 10),
        100..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Bytes: `912 B`, `48.1 KiB`, `5.0 MiB`.
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 1u64 << 10;
    let mut name = "KiB";
    for (larger, next) in [(1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB")] {
        if count >= larger {
            (unit, name) = (larger, next);
        }
    }
    let tenths = u128::from(count) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// The time of day of a record's `time`, where the reader is: `14:02:09`.
pub fn clock(time: &str) -> String {
    in_local_time(time, "%H:%M:%S")
}

/// Day and time of day of a record's `time`, where the reader is: `2026-03-09 14:02:09`.
pub fn day_and_clock(time: &str) -> String {
    in_local_time(time, "%Y-%m-%d %H:%M:%S")
}

fn in_local_time(time: &str, format: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime(format).to_string(),
        Err(_) => NOTHING.to_owned(),
    }
}

/// `stream` or `json`: what the client asked for.
pub fn kind(record: &RequestRecord) -> &'static str {
    if record.stream { "stream" } else { "json" }
}

impl Ending {
    /// As the log has it and filters name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::RelayedError => "relayed_error",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
        }
    }
}

/// A word of `domain::fault::FaultKind` as part of a sentence: "primary" and then this.
pub fn fault(word: &str) -> &str {
    match word {
        "connect" => "could not be reached",
        "connect_timeout" => "did not take the connection in time",
        "machine" => "was not tried: this machine is out of descriptors or memory",
        "first_byte_timeout" => "did not answer in time",
        "idle_timeout" => "fell silent",
        "commit_timeout" => "was still being tried when the request's time ran out",
        "transport" => "broke the connection",
        "decode" => "sent a body that does not decode",
        "status" => "answered with an error",
        "credentials" => "refused the key",
        "limited" => "is overloaded or limits the rate",
        "refused" => "refused the request",
        "not_a_message" => "answered with something that is no message",
        "broken_stream" => "sent a broken stream",
        "error_event" => "sent an error in its stream",
        "too_large" => "sent too large an answer",
        other => other,
    }
}

/// What became of one attempt that failed: `kimi 529 is overloaded or limits the rate after 0.4s`.
pub fn failure(attempt: &AttemptRecord) -> String {
    let word = attempt.fault.as_deref().map_or("was left", fault);
    let status = attempt.status.map_or_else(String::new, |status| format!(" ({status})"));
    format!("{} {word}{status} after {}", attempt.endpoint, seconds(attempt.duration_ms))
}

/// The record's trouble in a few words; `None` when the first endpoint answered and all went well.
pub fn trouble(record: &RequestRecord) -> Option<String> {
    let after = seconds(record.duration_ms);
    match record.ending {
        Ending::Complete => {
            let failed: Vec<String> = failed(record).map(failure).collect();
            (!failed.is_empty()).then(|| failed.join(", "))
        }
        Ending::RelayedError => Some("refused the request".to_owned()),
        Ending::Failed => Some(last_fault(record).unwrap_or("no endpoint answered").to_owned()),
        Ending::Cut => Some(format!("broke off after {after}")),
        Ending::ClientGone => Some(format!("client left after {after}")),
    }
}

/// What happened to the request, in one sentence, or two when endpoints failed on the way.
pub fn sentence(record: &RequestRecord) -> String {
    let whose = record.endpoint.as_deref().unwrap_or("the proxy");
    let total = seconds(record.duration_ms);
    let end = match record.ending {
        Ending::Complete => {
            let first = record.first_byte_ms.map(|ms| format!(", the first byte after {}", seconds(ms)));
            format!("{whose} answered with {} in {total}{}.", record.status, first.unwrap_or_default())
        }
        Ending::RelayedError => {
            format!("{whose} refused the request with {}, and its answer went to the client.", record.status)
        }
        Ending::Failed if record.attempts.is_empty() => {
            format!("No endpoint was tried; the client got {} after {total}.", record.status)
        }
        Ending::Failed => format!("No endpoint had an answer; the client got {} after {total}.", record.status),
        Ending::Cut => {
            format!("The answer of {whose} broke off after {total}, when part of it had gone to the client.")
        }
        Ending::ClientGone => client_left(record, &total),
    };
    let before: Vec<String> = failed(record).map(failure).collect();
    let why = record.error.as_deref().filter(|_| record.ending != Ending::ClientGone);
    let mut told = end;
    if record.ending != Ending::Cut && !before.is_empty() {
        told = format!("{told} Before that: {}.", before.join("; "));
        if record.ending == Ending::Failed {
            told = told.replacen("Before that: ", "", 1);
        }
    }
    match why {
        Some(why) if record.ending != Ending::Complete => format!("{told} {}", why.trim()),
        _ => told,
    }
}

fn client_left(record: &RequestRecord, total: &str) -> String {
    match (&record.endpoint, record.first_byte_ms) {
        (Some(endpoint), Some(_)) => format!("The client left after {total}, while {endpoint} was answering."),
        (Some(endpoint), None) => {
            format!("The client left after {total}, before the first byte, while {endpoint} was being asked.")
        }
        (None, _) => format!("The client left after {total}, before an endpoint was asked."),
    }
}

fn failed(record: &RequestRecord) -> impl Iterator<Item = &AttemptRecord> {
    record.attempts.iter().filter(|attempt| attempt.fault.is_some())
}

fn last_fault(record: &RequestRecord) -> Option<&str> {
    record.attempts.iter().rev().find_map(|attempt| attempt.fault.as_deref()).map(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(endpoint: &str, fault: Option<&str>) -> AttemptRecord {
        AttemptRecord {
            endpoint: endpoint.into(),
            duration_ms: 400,
            status: fault.map(|_| 529),
            fault: fault.map(Into::into),
            ..AttemptRecord::default()
        }
    }

    fn record(ending: Ending, attempts: Vec<AttemptRecord>) -> RequestRecord {
        RequestRecord {
            ending,
            status: 200,
            endpoint: attempts.last().map(|attempt| attempt.endpoint.clone()),
            attempts,
            duration_ms: 9800,
            first_byte_ms: Some(3100),
            ..RequestRecord::default()
        }
    }

    #[test]
    fn a_path_names_each_endpoint_once_in_a_row() {
        let of =
            |names: &[&str]| path_of(&record(Ending::Complete, names.iter().map(|name| attempt(name, None)).collect()));
        assert_eq!(of(&["kimi", "mirror-1"]), "kimi>mirror-1");
        assert_eq!(of(&["a", "a", "b", "a"]), "a>b>a");
        assert_eq!(of(&[]), "-");
        assert_eq!(path_of(&RequestRecord { endpoint: Some("x".into()), ..RequestRecord::default() }), "x");
    }

    #[test]
    fn models_lose_what_all_of_them_have() {
        for (model, short) in [
            ("claude-opus-4-8-20260201", "opus-4-8"),
            ("claude-sonnet-5", "sonnet-5"),
            ("claude-3-5-haiku-20241022", "3-5-haiku"),
            ("anthropic/claude-opus-4.8", "opus-4.8"),
            ("claude-opus-4-1@20250805", "opus-4-1"),
            ("kimi-k2", "kimi-k2"),
            ("claude-", ""),
            ("-20260201", "-20260201"),
            ("名-20260201", "名"),
            ("", ""),
        ] {
            assert_eq!(short_model(model), short, "{model}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (count, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (48_149, "48.1k"),
            (999_949, "999.9k"),
            (999_950, "1.0M"),
            (1_900_000, "1.9M"),
            (41_200_000_000, "41.2G"),
        ] {
            assert_eq!(tokens(count), shown);
        }
        assert!(tokens(u64::MAX).ends_with('G'));
        for (ms, shown) in [
            (0, "0ms"),
            (36, "36ms"),
            (99, "99ms"),
            (100, "0.1s"),
            (849, "0.8s"),
            (7_200, "7.2s"),
            (99_400, "99.4s"),
            (99_500, "1m40s"),
            (125_000, "2m05s"),
            (3_720_000, "1h02m"),
        ] {
            assert_eq!(seconds(ms), shown);
        }
        assert!(!seconds(u64::MAX).is_empty());
        for (count, shown) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB")] {
            assert_eq!(bytes(count), shown);
        }
        assert!(bytes(u64::MAX).ends_with("TiB"));
    }

    #[test]
    fn times_are_local_and_nonsense_is_none() {
        assert_eq!(clock("2026-03-09T20:00:00.050+08:00").len(), 8);
        assert_eq!(day_and_clock("yesterday"), "-");
    }

    #[test]
    fn each_ending_has_its_sentence() {
        let tried = || vec![attempt("kimi", Some("limited")), attempt("mirror-1", None)];
        for (record, expected) in [
            (
                record(Ending::Complete, vec![attempt("primary", None)]),
                "primary answered with 200 in 9.8s, the first byte after 3.1s.",
            ),
            (
                record(Ending::Complete, tried()),
                "mirror-1 answered with 200 in 9.8s, the first byte after 3.1s. Before that: kimi is overloaded or \
                 limits the rate (529) after 0.4s.",
            ),
            (
                record(Ending::Failed, vec![attempt("kimi", Some("limited"))]),
                "No endpoint had an answer; the client got 200 after 9.8s. kimi is overloaded or limits the rate (529) \
                 after 0.4s.",
            ),
            (record(Ending::Failed, vec![]), "No endpoint was tried; the client got 200 after 9.8s."),
            (
                RequestRecord { error: Some("it was silent".into()), ..record(Ending::Cut, tried()) },
                "The answer of mirror-1 broke off after 9.8s, when part of it had gone to the client. it was silent",
            ),
            (
                record(Ending::ClientGone, vec![attempt("primary", None)]),
                "The client left after 9.8s, while primary was answering.",
            ),
        ] {
            assert_eq!(sentence(&record), expected);
        }
        assert!(sentence(&record(Ending::RelayedError, tried())).starts_with("mirror-1 refused the request with 200"));
    }

    #[test]
    fn only_trouble_is_told_as_trouble() {
        assert_eq!(trouble(&record(Ending::Complete, vec![attempt("a", None)])), None);
        let tried = vec![attempt("kimi", Some("limited")), attempt("b", None)];
        assert_eq!(
            trouble(&record(Ending::Complete, tried)).unwrap(),
            "kimi is overloaded or limits the rate (529) after 0.4s"
        );
        assert_eq!(trouble(&record(Ending::ClientGone, vec![])).unwrap(), "client left after 9.8s");
    }

    #[test]
    fn every_fault_has_words_of_its_own() {
        use crate::domain::fault::FaultKind as Kind;
        for kind in [
            Kind::Connect,
            Kind::ConnectTimeout,
            Kind::FirstByteTimeout,
            Kind::IdleTimeout,
            Kind::CommitTimeout,
            Kind::Transport,
            Kind::Decode,
            Kind::Status,
            Kind::Credentials,
            Kind::Limited,
            Kind::Refused,
            Kind::NotAMessage,
            Kind::BrokenStream,
            Kind::ErrorEvent,
            Kind::TooLarge,
        ] {
            assert_ne!(fault(kind.word()), kind.word());
        }
        assert_eq!(fault("of_a_newer_proxy"), "of_a_newer_proxy");
    }
}
