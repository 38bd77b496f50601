//! Moments as an operator may write them in a query.

use std::time::{Duration, SystemTime};

use super::answer::{Outcome, Refusal};
use crate::config::units;
use crate::wire::filter::time;

/// As the filter language reads times.
///
/// # Errors
/// 400 with the query's member at fault.
pub fn moment(field: &str, text: &str, now: SystemTime) -> Outcome<SystemTime> {
    // A plus sign that was not encoded arrives as a space.
    let text = if text.contains(['T', 't']) { text.replace(' ', "+") } else { text.to_owned() };
    time::parse(&text, now)
        .map_err(|why| Refusal::bad_request("bad_query", format!("{field}: {why}")).field(field).hint(time::EXPECTED))
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
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(492_516);
        let at = |text: &str| {
            moment("from", text, now).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(at("2026-03-09T12:00:00Z"), Ok(1_773_057_600));
        assert_eq!(at("2026-03-09T20:00:00.000+08:00"), Ok(1_773_057_600));
        assert_eq!(at("2026-03-09T20:00:00 08:00"), Ok(1_773_057_600));
        assert_eq!(at("2h"), Ok(1_773_057_600 - 7200));
        assert!(at("2026-03-09").is_ok() && at("yesterday").is_ok());
        for wrong in ["", "whenever", "2026-13-01", "12", "2026-03-09T25:00:00Z"] {
            let refusal = at(wrong).unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.detail.field.as_deref()), (400, Some("from")), "{wrong}");
        }
    }
}
