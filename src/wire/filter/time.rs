//! Times as people write them: `2h`, `14:00`, `yesterday`, `2026-03-09`, `2026-03-09T14:00`, RFC 3339.

use std::time::SystemTime;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::units;

/// What to write, for messages.
pub const EXPECTED: &str =
    "a time is 2h, 30m, 14:00, today, yesterday, monday, 2026-03-09, 2026-03-09T14:00 or RFC 3339";

/// The stretch that a word means: `yesterday` is a day long, `14:00` a minute, `2h` (that long ago) a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Milliseconds since 1970; the end is not part of it.
    pub start: i64,
    pub end: i64,
    /// Whether it is a day: then "after it" means from the next day on.
    pub is_day: bool,
}

/// Where the stretch that `word` means begins, for `--since` and `--until`.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn parse(word: &str, now: SystemTime) -> Result<SystemTime, String> {
    let stretch = stretch(word, now).ok_or_else(|| format!("`{}` is no time", super::shown(word)))?;
    let start = Timestamp::from_millisecond(stretch.start).map_err(|error| error.to_string())?;
    Ok(start.into())
}

/// In the local time zone.
pub(super) fn stretch(word: &str, now: SystemTime) -> Option<Stretch> {
    stretch_in(&TimeZone::system(), word, Timestamp::try_from(now).ok()?)
}

fn stretch_in(zone: &TimeZone, word: &str, now: Timestamp) -> Option<Stretch> {
    let word = word.trim().to_ascii_lowercase();
    let today = zone.to_datetime(now).date();
    if word == "now" {
        return Some(moment(now));
    }
    if let Some(ago) = units::duration(&word) {
        return Some(moment(now.checked_sub(SignedDuration::from_millis(i64::try_from(ago).ok()?)).ok()?));
    }
    if let Some(date) = day(&word, today) {
        return whole_day(zone, date);
    }
    if let Ok(time) = word.parse::<Timestamp>() {
        return Some(moment(time));
    }
    if let Some(time) = time_of_day(&word) {
        return last_passed(zone, today, time, now).map(|start| lasting(start, word.len()));
    }
    let (date, time) = word.split_once(['t', ' '])?;
    let at = date_of(date)?.to_datetime(time_of_day(time.trim())?);
    at_local(zone, at).map(|start| lasting(start, time.trim().len()))
}

fn moment(time: Timestamp) -> Stretch {
    let start = time.as_millisecond();
    Stretch { start, end: start.saturating_add(1), is_day: false }
}

/// A time with minutes lasts a minute, one with seconds a second, a finer one a moment.
fn lasting(start: Timestamp, length: usize) -> Stretch {
    let span = match length {
        0..=5 => 60_000,
        6..=8 => 1000,
        _ => 1,
    };
    Stretch { start: start.as_millisecond(), end: start.as_millisecond() + span, is_day: false }
}

fn day(word: &str, today: Date) -> Option<Date> {
    match word {
        "today" => Some(today),
        "yesterday" => today.yesterday().ok(),
        _ => weekday(word).map_or_else(|| date_of(word), |weekday| last_weekday(today, weekday)),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let fits = |day: &&str| *day == word || (word.len() == 3 && day.starts_with(word));
    let place = DAYS.iter().position(fits)?;
    Weekday::from_monday_zero_offset(i8::try_from(place).ok()?).ok()
}

/// The last such day before today.
fn last_weekday(today: Date, weekday: Weekday) -> Option<Date> {
    today.nth_weekday(-1, weekday).ok()
}

/// Only as log files spell a date.
fn date_of(word: &str) -> Option<Date> {
    let shape = word.len() == 10
        && word.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shape.then(|| word.parse().ok()).flatten()
}

/// `14:00`, `14:00:05`, `14:00:05.123`
fn time_of_day(word: &str) -> Option<Time> {
    let shape = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.'));
    let word = if word.find(':') == Some(1) { format!("0{word}") } else { word.to_owned() };
    (shape && word.contains(':')).then(|| word.parse().ok()).flatten()
}

fn whole_day(zone: &TimeZone, date: Date) -> Option<Stretch> {
    let start = at_local(zone, date.to_datetime(Time::midnight()))?.as_millisecond();
    let end = at_local(zone, date.tomorrow().ok()?.to_datetime(Time::midnight()))?.as_millisecond();
    Some(Stretch { start, end, is_day: true })
}

/// A time of day that is still to come today was meant for yesterday.
fn last_passed(zone: &TimeZone, today: Date, time: Time, now: Timestamp) -> Option<Timestamp> {
    let at = at_local(zone, today.to_datetime(time))?;
    if at <= now { Some(at) } else { at_local(zone, today.yesterday().ok()?.to_datetime(time)) }
}

fn at_local(zone: &TimeZone, at: DateTime) -> Option<Timestamp> {
    at.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    /// 2026-03-09 is a Monday; here it is 15:30.
    fn read(word: &str) -> Option<(String, String)> {
        let zone = TimeZone::fixed(Offset::from_hours(8).unwrap());
        let now = "2026-03-09T15:30:00+08:00".parse().unwrap();
        let stretch = stretch_in(&zone, word, now)?;
        let shown = |ms| zone.to_datetime(Timestamp::from_millisecond(ms).unwrap()).to_string();
        Some((shown(stretch.start), shown(stretch.end)))
    }

    #[test]
    fn words_are_the_times_that_people_mean() {
        for (word, start, end) in [
            ("today", "2026-03-09T00:00:00", "2026-03-10T00:00:00"),
            ("Yesterday", "2026-03-08T00:00:00", "2026-03-09T00:00:00"),
            ("monday", "2026-03-02T00:00:00", "2026-03-03T00:00:00"),
            ("sun", "2026-03-08T00:00:00", "2026-03-09T00:00:00"),
            ("2026-03-01", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
            ("14:00", "2026-03-09T14:00:00", "2026-03-09T14:01:00"),
            ("9:05", "2026-03-09T09:05:00", "2026-03-09T09:06:00"),
            ("16:00:05", "2026-03-08T16:00:05", "2026-03-08T16:00:06"),
            ("2026-03-01T14:00", "2026-03-01T14:00:00", "2026-03-01T14:01:00"),
            ("2026-03-01 14:00:01", "2026-03-01T14:00:01", "2026-03-01T14:00:02"),
            ("2026-03-01T14:00:00Z", "2026-03-01T22:00:00", "2026-03-01T22:00:00.001"),
            ("2026-03-01T14:00:00.5+08:00", "2026-03-01T14:00:00.5", "2026-03-01T14:00:00.501"),
            ("2h", "2026-03-09T13:30:00", "2026-03-09T13:30:00.001"),
            ("1d12h", "2026-03-08T03:30:00", "2026-03-08T03:30:00.001"),
            ("now", "2026-03-09T15:30:00", "2026-03-09T15:30:00.001"),
        ] {
            assert_eq!(read(word), Some((start.to_owned(), end.to_owned())), "{word}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for word in ["", "soon", "25:00", "2026-13-01", "2026-02-30", "14", "-2h", "2026-3-9", "99999999999d", "14:0x"]
        {
            assert_eq!(read(word), None, "{word}");
        }
        let error = parse("so\u{1b}on", SystemTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(error, "`so\\u{1b}on` is no time");
    }

    proptest! {
        #[test]
        fn nothing_panics(word in any::<String>(), tail in "[0-9:T. -]{0,24}[a-z+Z]{0,3}") {
            let _ = (read(&word), read(&tail));
        }
    }
}
