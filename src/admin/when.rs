//! Moments as an operator may write them in a query.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::answer::{Outcome, Refusal};
use crate::config::units;

/// RFC 3339, a local date (its first moment), or a duration: so long ago.
///
/// # Errors
/// 400 with the query's member at fault.
pub fn moment(field: &str, text: &str, now: SystemTime) -> Outcome<SystemTime> {
    let read = timestamp(text).or_else(|| date(text)).or_else(|| ago(text, now));
    read.ok_or_else(|| {
        let message = format!("{field}: expected a time such as 2026-03-09T20:00:00Z, a date, or 2h for two hours ago");
        Refusal::bad_request("bad_query", message).field(field)
    })
}

/// A plus sign that was not encoded arrives as a space.
fn timestamp(text: &str) -> Option<SystemTime> {
    text.replace(' ', "+").parse::<Timestamp>().ok().map(SystemTime::from)
}

fn date(text: &str) -> Option<SystemTime> {
    let midnight =
        text.parse::<Date>().ok().filter(|date| date.to_string() == text)?.to_zoned(TimeZone::system()).ok()?;
    Some(midnight.timestamp().into())
}

fn ago(text: &str, now: SystemTime) -> Option<SystemTime> {
    now.checked_sub(duration(text.strip_prefix('-').unwrap_or(text))?)
}

/// As the config file writes durations.
pub fn duration(text: &str) -> Option<Duration> {
    units::parse_span(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_773_057_600);
        let at = |text: &str| {
            moment("from", text, now).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(at("2026-03-09T12:00:00Z"), Ok(1_773_057_600));
        assert_eq!(at("2026-03-09T20:00:00.000+08:00"), Ok(1_773_057_600));
        assert_eq!(at("2026-03-09T20:00:00 08:00"), Ok(1_773_057_600));
        assert_eq!(at("2h"), Ok(1_773_057_600 - 7200));
        assert_eq!(at("-30m"), Ok(1_773_057_600 - 1800));
        assert!(at("2026-03-09").is_ok());
        for wrong in ["", "yesterday", "2026-13-01", "12", "2026-03-09T25:00:00Z"] {
            let refusal = at(wrong).unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.detail.field.as_deref()), (400, Some("from")), "{wrong}");
        }
    }
}
