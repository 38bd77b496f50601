//! `● primary 0.9s  in 41.0k out 3.2k  ●◐x○ 1 down`

use std::fmt::Write as _;

use anstyle::Style;

use crate::commands::status::{is_available, sign};
use crate::wire::harmless::harmless;
use crate::wire::session::SessionView;
use crate::wire::status::EndpointView;
use crate::wire::words::{seconds, tokens};

pub(super) const OFF: &str = "\x1b[2mclaude-proxy off\x1b[0m";
pub(super) const SLOW: &str = "\x1b[33mclaude-proxy busy\x1b[0m";
pub(super) const REFUSED: &str = "\x1b[31mclaude-proxy wants a token\x1b[0m";
pub(super) const BAD_CONFIG: &str = "\x1b[31mclaude-proxy: bad settings, see `claude-proxy status`\x1b[0m";
pub(super) const WRONG_ARGUMENTS: &str =
    "\x1b[31mclaude-proxy: wrong arguments, see `claude-proxy statusline --help`\x1b[0m";

const DIM: Style = Style::new().dimmed();

pub(super) fn draw(endpoints: &[EndpointView], session: Option<&SessionView>) -> String {
    // A config has one endpoint at least: who has none is somebody else.
    if endpoints.is_empty() {
        return OFF.to_owned();
    }
    let mut sorted: Vec<_> = endpoints.iter().collect();
    sorted.sort_by_key(|endpoint| endpoint.priority);
    let mut pieces = vec![in_use(&sorted, session)];
    if let Some(session) = session.filter(|session| session.requests > 0) {
        let used = &session.tokens;
        pieces.push(format!("{DIM}in{DIM:#} {} {DIM}out{DIM:#} {}", tokens(used.all_input()), tokens(used.output)));
    }
    if sorted.len() > 1 {
        pieces.push(everyone(&sorted));
    }
    pieces.join("  ")
}

/// The endpoint that the session is at, or that its next request goes to.
fn in_use(sorted: &[&EndpointView], session: Option<&SessionView>) -> String {
    let own = session.and_then(|session| session.endpoint.as_deref());
    let is_own = |endpoint: &&&EndpointView| own == Some(endpoint.name.as_str());
    let available = || sorted.iter().filter(|endpoint| is_available(endpoint));
    let Some(endpoint) = available().find(is_own).or_else(|| available().next()) else {
        let (mark, style) = sign("down");
        return format!("{style}{mark} no endpoint is up{style:#}");
    };
    let (mark, style) = sign(&endpoint.state);
    let mut told = format!("{style}{mark}{style:#} {}", harmless(&endpoint.name, false));
    let first_byte = session.filter(|_| is_own(&endpoint)).and_then(|session| session.first_byte_ms);
    if let Some(ms) = first_byte.or(endpoint.first_byte.p50_ms) {
        let _ = write!(told, " {}", seconds(ms));
    }
    told
}

/// One sign for each endpoint, the first one tried first, and how many are not to be had.
fn everyone(sorted: &[&EndpointView]) -> String {
    let mut told = String::new();
    for endpoint in sorted {
        let (mark, style) = sign(&endpoint.state);
        let _ = write!(told, "{style}{mark}{style:#}");
    }
    for state in ["down", "resting"] {
        let count = sorted.iter().filter(|endpoint| endpoint.state == state).count();
        if count > 0 {
            let (_, style) = sign(state);
            let _ = write!(told, " {style}{count} {state}{style:#}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stats::{Percentiles, Tokens};

    fn endpoint(name: &str, priority: i64, state: &str) -> EndpointView {
        let first_byte = Percentiles { p50_ms: Some(900), p95_ms: None };
        EndpointView { name: name.into(), priority, state: state.into(), first_byte, ..EndpointView::default() }
    }

    fn at(endpoint: &str) -> SessionView {
        SessionView {
            requests: 3,
            endpoint: Some(endpoint.into()),
            first_byte_ms: Some(1_200),
            tokens: Tokens { input: 1_000, cache_read: 40_000, output: 3_200, cache_creation: 0 },
            ..SessionView::default()
        }
    }

    fn drawn(endpoints: &[EndpointView], session: Option<&SessionView>) -> String {
        anstream::adapter::strip_str(&draw(endpoints, session)).to_string()
    }

    #[test]
    fn the_line_tells_the_sessions_endpoint_its_tokens_and_every_endpoints_health() {
        let all = [
            endpoint("kimi", 3, "down"),
            endpoint("primary", 1, "up"),
            endpoint("mirror", 2, "degraded"),
            endpoint("spare", 4, "disabled"),
            endpoint("limited", 5, "resting"),
        ];
        for (session, expected) in [
            (None, "● primary 0.9s  ●◐x○◌ 1 down 1 resting"),
            (Some(at("primary")), "● primary 1.2s  in 41.0k out 3.2k  ●◐x○◌ 1 down 1 resting"),
            (Some(at("mirror")), "◐ mirror 1.2s  in 41.0k out 3.2k  ●◐x○◌ 1 down 1 resting"),
            (Some(at("kimi")), "● primary 0.9s  in 41.0k out 3.2k  ●◐x○◌ 1 down 1 resting"),
            (Some(SessionView::default()), "● primary 0.9s  ●◐x○◌ 1 down 1 resting"),
        ] {
            assert_eq!(drawn(&all, session.as_ref()), expected);
        }
        assert!(draw(&all, None).contains("\x1b["));
    }

    #[test]
    fn one_endpoint_needs_no_row_of_signs() {
        let mut only = endpoint("only\x1b[2J", 1, "up");
        assert_eq!(drawn(&[only.clone()], None), "● only\\u{1b}[2J 0.9s");
        only.first_byte = Percentiles::default();
        only.state = "down".into();
        assert_eq!(drawn(&[only], None), "x no endpoint is up");
        assert_eq!(drawn(&[], None), "claude-proxy off");
    }
}
