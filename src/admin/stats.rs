//! `GET /api/stats`: what passed in a stretch of time.

use std::time::{Duration, SystemTime};

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Outcome, Refusal, Told};
use super::input::Asked;
use super::state::Shared;
use super::when;
use crate::clock;
use crate::wire::stats::StatsView;

/// More would be a file, not a plot.
const MOST_STEPS: u32 = 2000;
/// Steps that one gets without asking for a number.
const STEPS: u32 = 100;

/// What `GET /api/stats` can be asked; the last hour when nothing is said.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatsQuery {
    /// RFC 3339, a date, or how long ago, such as `2h`.
    pub from: Option<String>,
    /// As `from`; now when absent.
    pub to: Option<String>,
    /// How long ago it begins, in place of `from`: `1h`, `6h`, `24h`, `7d`, `30d` or any other duration.
    pub range: Option<String>,
    /// How long one step is, such as `1m`; a fitting one when absent.
    pub step: Option<String>,
}

/// `GET /api/stats`
pub async fn stats(State(admin): State<Shared>, Asked(asked): Asked<StatsQuery>) -> Outcome<Told<StatsView>> {
    let (from, to, step) = stretch(&asked, clock::wall())?;
    let turn = admin.turn_to_read().await?;
    let log = admin.parts.log.clone();
    let view = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        log.stats_between(from, to, step)
    })
    .await;
    let view = view.map_err(|_| Refusal::internal("reading the log crashed"))?;
    view.map(Told).map_err(|error| {
        Refusal::internal(format!("the log cannot be read: {error}"))
            .hint("check the permissions of logging.log_directory")
    })
}

fn stretch(asked: &StatsQuery, now: SystemTime) -> Outcome<(SystemTime, SystemTime, Duration)> {
    let to = asked.to.as_deref().map_or(Ok(now), |to| when::moment("to", to, now))?;
    let from = match (&asked.from, &asked.range) {
        (Some(from), _) => when::moment("from", from, now)?,
        (None, range) => {
            let range = span("range", range.as_deref().unwrap_or("1h"))?;
            to.checked_sub(range).ok_or_else(|| wrong("range", "it begins before time does"))?
        }
    };
    let length = to.duration_since(from).ok().filter(|length| !length.is_zero());
    let length = length.ok_or_else(|| wrong("from", "it must lie before `to`"))?;
    let step = match &asked.step {
        Some(step) => span("step", step)?,
        None => fitting(length),
    };
    if step < Duration::from_secs(1) || length.as_secs() / step.as_secs().max(1) >= u64::from(MOST_STEPS) {
        return Err(wrong("step", &format!("it must be a second at least, and there are {MOST_STEPS} steps at most")));
    }
    Ok((from, to, step))
}

/// A round step, so that there are at most about [`STEPS`] of them.
fn fitting(length: Duration) -> Duration {
    const ROUND: [u64; 14] = [1, 2, 5, 10, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 24 * 3600];
    let wanted = length.as_secs().div_ceil(u64::from(STEPS)).max(1);
    let round = ROUND.into_iter().find(|step| *step >= wanted);
    Duration::from_secs(round.unwrap_or_else(|| wanted.div_ceil(24 * 3600) * 24 * 3600))
}

fn span(field: &str, text: &str) -> Outcome<Duration> {
    when::duration(text).ok_or_else(|| wrong(field, "expected a duration such as 30s, 5m, 24h or 7d"))
}

fn wrong(field: &str, what: &str) -> Refusal {
    let hint = "such as range=6h&step=5m, or from=2026-03-09&to=2026-03-10";
    Refusal::bad_request("bad_query", format!("{field}: {what}")).field(field).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Outcome<(u64, u64)> {
        let uri = format!("/?{query}").parse().unwrap();
        let asked: StatsQuery = axum::extract::Query::try_from_uri(&uri).unwrap().0;
        let (from, to, step) = stretch(&asked, SystemTime::UNIX_EPOCH + Duration::from_hours(1_000_000))?;
        Ok((to.duration_since(from).unwrap().as_secs(), step.as_secs()))
    }

    #[test]
    fn a_stretch_has_a_fitting_step() {
        for (query, length, step) in [
            ("", 3600, 60),
            ("range=1h", 3600, 60),
            ("range=6h", 6 * 3600, 300),
            ("range=24h", 24 * 3600, 900),
            ("range=7d", 7 * 24 * 3600, 3 * 3600),
            ("range=30d", 30 * 24 * 3600, 24 * 3600),
            ("range=30d&step=6h", 30 * 24 * 3600, 6 * 3600),
            ("from=2h&to=1h&step=1m", 3600, 60),
            ("range=1m", 60, 1),
        ] {
            assert_eq!(asked(query), Ok((length, step)), "{query}");
        }
    }

    #[test]
    fn what_makes_no_stretch_is_refused_with_its_place() {
        for (query, field) in [
            ("range=x", "range"),
            ("from=1h&to=2h", "from"),
            ("from=1h&to=1h", "from"),
            ("from=never", "from"),
            ("step=0s", "step"),
            ("step=100ms", "step"),
            ("range=30d&step=1s", "step"),
        ] {
            assert_eq!(asked(query).unwrap_err().detail.field.as_deref(), Some(field), "{query}");
        }
    }
}
