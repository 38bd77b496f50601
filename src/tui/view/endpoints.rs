//! The endpoints, each on a line, and below one that is not simply up the reason.
//! ```text
//! ┌ Endpoints 4 ─────────────────── window 140 s ───────────── sort: priority ▲ ─┐
//! │  P NAME         STATE        OK/FAIL    p50    p95   TTFT  t/s LAST           │
//! │▌ 1 primary      ● up           212/1   2.1s   8.4s   0.9s   71 ▂▂▃▂▅▂▂▃▂▂▂    │
//! │  3 kimi         x down           0/7      -      -      -    - xxxxxxx        │
//! │    └ next probe in 9 s; probes failed: 3; 7 of 7 requests failed             │
//! └──────────────────────────────────────────────────────────────────────────────┘
//! ```

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::pen::Pen;
use super::requests::frame;
use super::{Canvas, Layout, header, meter};
use crate::tui::model::endpoints::rank;
use crate::tui::model::{Model, Pane};
use crate::tui::text::cells;
use crate::tui::theme::Theme;
use crate::wire::status::EndpointView;
use crate::wire::words::{self, NOTHING};

/// Lines that it wants of `available` ones.
pub(super) fn height(model: &Model, available: u16, layout: Layout) -> u16 {
    let edges = if layout == Layout::Small { 1 } else { 3 };
    let share = if layout == Layout::Small { available / 2 } else { available * 9 / 20 };
    // A small screen has no lines for reasons, but where it is tall.
    let most = if layout == Layout::Small { share.saturating_sub(edges) } else { u16::MAX };
    let lines = lines(model, usize::from(most)).len();
    cells(lines.max(1)).saturating_add(edges).min(share.max(edges + 1)).min(available)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Endpoint(usize),
    Reason(usize),
}

/// What stands on each line. Where there is no room for all reasons, the one under the cursor is told, then the worst.
fn lines(model: &Model, room: usize) -> Vec<Line> {
    let endpoints = model.endpoints.list();
    let cursor = model.endpoints.position();
    let mut reasons: Vec<usize> = (0..endpoints.len()).filter(|at| reason(&endpoints[*at], model).is_some()).collect();
    reasons.sort_by_key(|at| (*at != cursor, rank(&endpoints[*at].state)));
    // In a list that has to be scrolled anyway the one under the cursor is told all the same.
    let spare = if endpoints.len() > room && room >= 5 { 1 } else { room.saturating_sub(endpoints.len()) };
    reasons.truncate(spare);
    let of = |at: usize| std::iter::once(Line::Endpoint(at)).chain(reasons.contains(&at).then_some(Line::Reason(at)));
    let lines: Vec<Line> = (0..endpoints.len()).flat_map(of).collect();
    // The one under the cursor is in view.
    let at = lines.iter().rposition(|line| matches!(line, Line::Endpoint(at) | Line::Reason(at) if *at == cursor));
    let skipped = at.map_or(0, |at| (at + 1).saturating_sub(room));
    lines.into_iter().skip(skipped).take(room).collect()
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let (model, theme) = (canvas.model, canvas.theme);
    let endpoints = &model.endpoints;
    let right = format!("window {} ── sort: {}", stretch(endpoints.window_s), endpoints.sort.word());
    let title = format!("Endpoints {}", endpoints.list().len());
    let focused = model.focus == Pane::Endpoints;
    let inner = frame(canvas, area, &title, &right, focused, layout == Layout::Small);
    let columns = Columns::of(usize::from(inner.width), layout);
    let (heading, body) = super::split(inner, u16::from(layout != Layout::Small));
    columns.heading(&mut Pen::new(canvas.buf, heading, 0), &theme);
    if endpoints.list().is_empty() {
        let told = if endpoints.known { "no endpoint is configured" } else { "…" };
        Pen::new(canvas.buf, body, 0).put("  ", theme.dim).put(told, theme.dim);
    }
    let lines = lines(model, usize::from(body.height));
    for (number, line) in lines.iter().enumerate() {
        match *line {
            Line::Endpoint(at) => {
                let selected = at == endpoints.position();
                let row = Rect { y: body.y.saturating_add(cells(number)), height: 1, ..body };
                if selected && focused {
                    canvas.buf.set_style(row.intersection(body), theme.cursor);
                }
                let endpoint = &endpoints.list()[at];
                let mut pen = Pen::new(canvas.buf, body, number);
                pen.put(if selected { "▌" } else { " " }, if focused { theme.accent } else { theme.border });
                columns.row(&mut pen, endpoint, model, &theme);
            }
            Line::Reason(at) => {
                let text = reason(&endpoints.list()[at], model).unwrap_or_default();
                Pen::new(canvas.buf, body, number).put("    └ ", theme.dim).put(&text, theme.dim);
            }
        }
    }
    canvas.areas.endpoints = body;
    canvas.areas.endpoint_lines = lines
        .iter()
        .map(|line| match line {
            Line::Endpoint(at) | Line::Reason(at) => *at,
        })
        .collect();
}

struct Columns {
    name: usize,
    url: usize,
    /// p50, p95, first byte and output tokens a second.
    figures: bool,
    bars: usize,
}

const STATE: usize = 12;
const COUNTS: usize = 8;
const TIME: usize = 6;
const SPEED: usize = 5;

impl Columns {
    fn of(width: usize, layout: Layout) -> Self {
        let figures = layout != Layout::Small;
        let (name, url) = match layout {
            Layout::Wide => (16, 26),
            Layout::Normal => (13, 0),
            _ => (12, 0),
        };
        // Marker, priority, and the gaps between all of them.
        let fixed = 1 + 2 + 1 + name + 1 + STATE + 1 + COUNTS + 1;
        let numbers = if figures { 3 * (TIME + 1) + SPEED + 1 } else { 0 };
        let url = if url > 0 && width > fixed + numbers + url + 20 { url } else { 0 };
        let link = if url > 0 { url + 1 } else { 0 };
        Self { name, url, figures, bars: width.saturating_sub(fixed + numbers + link).min(60) }
    }

    fn heading(&self, pen: &mut Pen<'_>, theme: &Theme) {
        let style = theme.dim;
        pen.skip(1).right("P", 2, style).left("NAME", self.name, style).left("STATE", STATE, style);
        if self.url > 0 {
            pen.left("URL", self.url, style);
        }
        pen.right("OK/FAIL", COUNTS, style);
        if self.figures {
            pen.right("p50", TIME, style)
                .right("p95", TIME, style)
                .right("TTFT", TIME, style)
                .right("t/s", SPEED, style);
        }
        pen.put(if self.bars >= 14 { "NEWEST RESULTS" } else { "RESULTS" }, style);
    }

    fn row(&self, pen: &mut Pen<'_>, endpoint: &EndpointView, model: &Model, theme: &Theme) {
        let (sign, style) = theme.state(&endpoint.state);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        pen.right(&endpoint.priority.to_string(), 2, theme.dim).left(&endpoint.name, self.name, bold);
        pen.left(&format!("{sign} {}", state(endpoint, model)), STATE, style);
        if self.url > 0 {
            pen.left(host(&endpoint.url), self.url, theme.dim);
        }
        let counted = endpoint.window_ok + endpoint.window_failed > 0;
        let counts = format!("{}/{}", endpoint.window_ok, endpoint.window_failed);
        let failed = if endpoint.window_failed > 0 { theme.warn } else { Style::new() };
        pen.right(if counted { &counts } else { NOTHING }, COUNTS, failed);
        if self.figures {
            let time = |ms: Option<u64>| ms.map_or_else(|| NOTHING.to_owned(), words::seconds);
            pen.right(&time(endpoint.duration.p50_ms), TIME, Style::new());
            pen.right(&time(endpoint.duration.p95_ms), TIME, Style::new());
            pen.right(&time(endpoint.first_byte.p50_ms), TIME, Style::new());
            let speed = endpoint.output_tokens_per_s.map_or_else(|| NOTHING.to_owned(), |speed| format!("{speed:.0}"));
            pen.right(&speed, SPEED, Style::new());
        }
        self.results(pen, endpoint, theme);
    }

    /// A bar for each of the newest attempts, as high as it took long; failures are an `x`.
    fn results(&self, pen: &mut Pen<'_>, endpoint: &EndpointView, theme: &Theme) {
        let skipped = endpoint.recent.len().saturating_sub(self.bars.min(pen.room()));
        let shown = &endpoint.recent[skipped..];
        let longest = shown.iter().filter(|one| one.ok).map(|one| one.duration_ms).max().unwrap_or(0);
        for one in shown {
            if one.ok {
                let bar = meter::bar(one.duration_ms, longest);
                pen.put(bar.encode_utf8(&mut [0; 4]), theme.good);
            } else {
                pen.put("x", theme.bad);
            }
        }
    }
}

/// `down 1m12s`: its state, and for how long when it is not simply up.
fn state(endpoint: &EndpointView, model: &Model) -> String {
    if model.endpoints.testing.contains(&endpoint.name) {
        return "testing …".to_owned();
    }
    let word = if endpoint.state.is_empty() { "unknown" } else { &endpoint.state };
    match seconds_to(&endpoint.since, model) {
        Some(seconds) if matches!(word, "down" | "resting") => {
            format!("{word} {}", header::uptime(seconds.min(0).unsigned_abs()))
        }
        _ => word.to_owned(),
    }
}

/// Seconds from now until `time`, a begun one as a whole one; zero or less when it is over.
fn seconds_to(time: &str, model: &Model) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    Some(-(model.now().wall.as_millisecond() - time.as_millisecond()).div_euclid(1000))
}

/// `9 s`, `140 s`, `12m05s`, `1h28m`
fn stretch(seconds: u64) -> String {
    if seconds < 300 { format!("{seconds} s") } else { words::seconds(seconds.saturating_mul(1000)) }
}

/// Why it is not simply up, and what happens next.
fn reason(endpoint: &EndpointView, model: &Model) -> Option<String> {
    // What counts down comes first: it must not be cut off.
    let mut told = Vec::new();
    let until = |time: &Option<String>| time.as_deref().and_then(|time| seconds_to(time, model));
    if endpoint.state == "resting" {
        told.extend(until(&endpoint.resting_until).map(|left| match left {
            1.. => format!("rests for {} more", stretch(left.unsigned_abs())),
            _ => "its rest is over".to_owned(),
        }));
    }
    if endpoint.state == "down" {
        told.extend(until(&endpoint.next_probe).map(|left| match left {
            1.. => format!("next probe in {}", stretch(left.unsigned_abs())),
            _ => "next probe now".to_owned(),
        }));
        told.extend((endpoint.failed_probes > 0).then(|| format!("probes failed: {}", endpoint.failed_probes)));
    }
    told.extend(endpoint.reason.clone().filter(|_| endpoint.state != "up" && endpoint.enabled));
    (!told.is_empty()).then(|| told.join("; "))
}

/// What of a URL tells it from others.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.trim_end_matches('/')
}
