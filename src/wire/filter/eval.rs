//! Whether a record, or the raw line of one, fits.

use jiff::Timestamp;

use super::fields::Field;
use super::term::{Expr, Test};
use super::text::Needle;
use crate::wire::record::{AttemptRecord, RequestRecord};
use crate::wire::words;

pub(super) fn matches(expr: &Expr, record: &RequestRecord) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| matches(part, record)),
        Expr::Or(parts) => parts.iter().any(|part| matches(part, record)),
        Expr::Not(part) => !matches(part, record),
        Expr::Text(needle) => contains(record, needle),
        Expr::Term(field, test) => fits(record, *field, test),
    }
}

/// False only when no record that this line can be would match.
pub(super) fn may_match_line(expr: &Expr, line: &[u8]) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| may_match_line(part, line)),
        Expr::Or(parts) => parts.iter().any(|part| may_match_line(part, line)),
        Expr::Text(needle) | Expr::Term(_, Test::Is(needle) | Test::Has(needle)) => needle.in_lines().is_match(line),
        Expr::Not(_) | Expr::Term(..) => true,
    }
}

fn fits(record: &RequestRecord, field: Field, test: &Test) -> bool {
    match test {
        Test::Is(needle) if field == Field::Model => {
            record.model.as_deref().is_some_and(|model| is_model(needle, model))
        }
        Test::Is(needle) => any_text(record, field, |text| needle.is_all_of(text)),
        Test::Has(needle) => any_text(record, field, |text| needle.is_in(text)),
        Test::Ending(ending) => record.ending == *ending,
        Test::Flag(flag) => record.stream == *flag,
        Test::Number(compare, limit) => number(record, field).is_some_and(|value| compare.holds(value, *limit)),
        Test::Within(low, high) => number(record, field).is_some_and(|value| (*low..=*high).contains(&value)),
        Test::From(start) => began(record).is_some_and(|time| time >= *start),
        Test::Before(end) => began(record).is_some_and(|time| time < *end),
    }
}

/// Its whole name or the short one.
pub(super) fn is_model(needle: &Needle, model: &str) -> bool {
    needle.is_all_of(model) || needle.is_all_of(words::short_model(model))
}

fn began(record: &RequestRecord) -> Option<i64> {
    record.time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn any_text(record: &RequestRecord, field: Field, fits: impl Fn(&str) -> bool) -> bool {
    let one = |text: Option<&str>| text.is_some_and(&fits);
    match field {
        Field::Endpoint => one(record.endpoint.as_deref()),
        Field::Tried => record.attempts.iter().any(|attempt| fits(&attempt.endpoint)),
        Field::Fault => record.attempts.iter().filter_map(|attempt| attempt.fault.as_deref()).any(fits),
        Field::Model => one(record.model.as_deref()),
        Field::Session => one(record.session.as_deref()),
        Field::Id => fits(&record.id),
        Field::Method => fits(&record.method),
        Field::Path => fits(&record.path),
        Field::Error => one(record.error.as_deref()),
        _ => false,
    }
}

fn number(record: &RequestRecord, field: Field) -> Option<u64> {
    match field {
        Field::Status => Some(record.status.into()),
        Field::Duration => Some(record.duration_ms),
        Field::FirstByte => record.first_byte_ms,
        Field::Input => record.usage?.input,
        Field::Output => record.usage?.output,
        Field::CacheRead => record.usage?.cache_read,
        Field::CacheCreation => record.usage?.cache_creation,
        Field::Attempts => Some(record.attempts.len() as u64),
        Field::Size => Some(record.request.size.saturating_add(record.response.size)),
        _ => None,
    }
}

/// Anywhere among its texts, its status and its ending.
fn contains(record: &RequestRecord, needle: &Needle) -> bool {
    let RequestRecord { id, time, method, path, model, session, endpoint, error, attempts, request, response, .. } =
        record;
    let present = [model, session, endpoint, error, &request.body, &response.body].into_iter().flatten();
    let headers = request.headers.iter().chain(&response.headers);
    [id, time, method, path].into_iter().chain(present).any(|text| needle.is_in(text))
        || needle.is_in(record.ending.word())
        || needle.is_in(&record.status.to_string())
        || attempts.iter().any(|attempt| attempt_contains(attempt, needle))
        || headers.into_iter().any(|(name, value)| needle.is_in(name) || needle.is_in(value))
}

fn attempt_contains(attempt: &AttemptRecord, needle: &Needle) -> bool {
    let optional = [&attempt.fault, &attempt.detail].into_iter().flatten();
    std::iter::once(&attempt.endpoint).chain(optional).any(|text| needle.is_in(text))
}
