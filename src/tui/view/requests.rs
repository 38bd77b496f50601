//! The log of the requests, the newest at the bottom, and below it those under way.
//! ```text
//! ┌ Requests ─ filter: status>=400 or ttft>5s ──────────────────── 37 of 1204 ─┐
//! │ 14:01:12 ─── kimi up > down: 7 of 7 requests failed in 140 s ───────────── │
//! │ 14:02:07 200 kimi>mirror-1  sonnet-5  stream  in 12.0k out 311  3.1s/9.8s  │
//! │          └ kimi is overloaded or limits the rate (529) after 0.4s          │
//! │ 14:02:09 ··· primary        opus-4-8  waiting                        3.2s  │
//! └────────────────────────────────────────────────────────────────────────────┘
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::widgets::{Block, Widget as _};

use super::pen::Pen;
use super::{Canvas, Layout};
use crate::tui::model::log::Row;
use crate::tui::model::{Model, Pane};
use crate::tui::text::{self, cells};
use crate::tui::theme::Theme;
use crate::wire::event::EndpointChanged;
use crate::wire::record::{Ending, RequestRecord};
use crate::wire::status::{Phase, RunningView};
use crate::wire::words::{self, NOTHING};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let model = canvas.model;
    let shown = model.requests.shown();
    let title = match model.requests.filter_text() {
        Some(filter) => format!("Requests ─ filter: {filter}"),
        None => "Requests".to_owned(),
    };
    let of = model.requests.all.count();
    let count = if model.requests.matching.is_some() { format!("{} of {of}", shown.count()) } else { of.to_string() };
    let focused = model.focus == Pane::Requests;
    let inner = frame(canvas, area, &title, &count, focused, layout == Layout::Small);
    let under_way = running_lines(model, inner.height);
    let (list, bottom) = super::split_end(inner, under_way);
    log(canvas, list, focused);
    running(canvas, bottom);
    canvas.areas.requests = list;
}

/// A pane's border with its title to the left and the right; where room is short, one line instead. What is inside.
pub(super) fn frame(canvas: &mut Canvas<'_>, area: Rect, title: &str, right: &str, focused: bool, small: bool) -> Rect {
    let theme = canvas.theme;
    let border = if focused { theme.focus } else { theme.border };
    let heading = if focused { theme.title } else { theme.dim };
    let (top, below) = super::split(area, 1);
    let inner = if small {
        canvas.buf.set_style(top, border);
        Pen::new(canvas.buf, top, 0).put(&"─".repeat(usize::from(top.width)), border);
        below
    } else {
        let set = if focused { border::Set { vertical_left: "│", ..border::PLAIN } } else { border::PLAIN };
        let block = Block::bordered().border_set(set).border_style(border);
        let inner = block.inner(area);
        block.render(area, canvas.buf);
        inner
    };
    let line = Rect { x: top.x + 1.min(top.width), width: top.width.saturating_sub(2), ..top };
    let mut pen = Pen::new(canvas.buf, line, 0);
    if !title.is_empty() {
        pen.put(" ", heading).put(title, heading).put(" ", heading);
    }
    let right = if right.is_empty() { String::new() } else { format!(" {right} ") };
    pen.at_end(&right, theme.dim);
    inner
}

fn log(canvas: &mut Canvas<'_>, area: Rect, focused: bool) {
    let (model, theme) = (canvas.model, canvas.theme);
    let shown = model.requests.shown();
    let height = usize::from(area.height);
    let window = shown.window(height);
    if window.is_empty() {
        return empty(canvas, area);
    }
    let used: usize = window.iter().map(|(_, row)| row.height()).sum();
    let mut line = height - used;
    if line > 0 && shown.fetching {
        Pen::new(canvas.buf, area, 0).put(" fetching older ones …", theme.dim);
    }
    for (at, row) in window {
        let selected = at == shown.cursor();
        if selected && focused {
            let lines = Rect { y: area.y.saturating_add(cells(line)), height: cells(row.height()), ..area };
            canvas.buf.set_style(lines.intersection(area), theme.cursor);
        }
        let mark = if focused { theme.accent } else { theme.border };
        Pen::new(canvas.buf, area, line).put(if selected { "▌" } else { " " }, mark);
        let inside = Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(1), ..area };
        draw_row(canvas, inside, line, row);
        line += row.height();
    }
}

fn empty(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let filter = model.requests.filter_text();
    let listen = model.status.as_ref().map_or("the proxy", |status| status.listen.as_str());
    let told = match filter {
        Some(_) if model.requests.shown().fetching => "searching …".to_owned(),
        Some(_) => "nothing fits: Esc clears the filter".to_owned(),
        None => format!("no request yet: claude-proxy run -- claude, or point Claude Code at http://{listen}"),
    };
    for (number, line) in text::wrap(&told, usize::from(area.width.saturating_sub(4))).iter().enumerate() {
        Pen::new(canvas.buf, area, number).put("  ", theme.dim).put(line, theme.dim);
    }
}

fn draw_row(canvas: &mut Canvas<'_>, area: Rect, line: usize, row: &Row) {
    let theme = canvas.theme;
    let mut pen = Pen::new(canvas.buf, area, line);
    match row {
        Row::Request(record) => {
            request(&mut pen, record, &theme);
            if row.height() > 1 {
                Pen::new(canvas.buf, area, line + 1).skip(9).put("└ ", theme.dim).put(&story(record), theme.dim);
            }
        }
        Row::Change(change) => state_change(&mut pen, change, &theme),
        Row::Note(note) => {
            pen.put("─── ", theme.dim).put(note, theme.dim).put(" ", theme.dim);
            rule(&mut pen, theme.dim);
        }
    }
}

fn rule(pen: &mut Pen<'_>, style: Style) {
    let room = pen.room().saturating_sub(1);
    pen.put(&"─".repeat(room), style);
}

fn state_change(pen: &mut Pen<'_>, change: &EndpointChanged, theme: &Theme) {
    let (_, style) = theme.state(&change.to);
    let reason = change.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    pen.left(&words::clock(&change.time), 8, theme.dim).put("─── ", style);
    let to = if change.endpoint.is_none() && change.to.is_empty() { "gone" } else { &change.to };
    let from = if change.from.is_empty() { "new" } else { &change.from };
    pen.put(&format!("{} {from} > {to}{reason} ", change.name), style);
    rule(pen, style);
}

/// The columns of a line of `width` cells, by what there is room for.
struct Columns {
    path: usize,
    model: usize,
    kind: bool,
    /// The beginning of the session's name.
    session: usize,
    /// `in 48.1k out 912`, or only the first half.
    tokens: usize,
    /// `0.8s/7.2s`, or only the second half.
    times: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        // The time, the status and the gaps behind them.
        let rest = width.saturating_sub(9 + 4);
        let (model, kind, session, tokens, times) = match width {
            100.. => (12, true, 14, 18, 13),
            76.. => (10, true, 0, 17, 13),
            54.. => (10, false, 0, 8, 6),
            _ => (0, false, 0, 0, 6),
        };
        let used = [model, if kind { 6 } else { 0 }, session, tokens, times].into_iter().filter(|width| *width > 0);
        let taken: usize = used.map(|width| width + 1).sum();
        Self { path: rest.saturating_sub(taken).min(38), model, kind, session, tokens, times }
    }
}

fn request(pen: &mut Pen<'_>, record: &RequestRecord, theme: &Theme) {
    let columns = Columns::of(pen.room());
    let plain = Style::new();
    let style = match record.status {
        _ if record.ending == Ending::Cut => theme.bad,
        ..400 => plain,
        499 => theme.dim,
        400..500 => theme.warn,
        _ => theme.bad,
    };
    pen.left(&words::clock(&record.time), 8, theme.dim).left(&record.status.to_string(), 3, style);
    pen.left(&words::path_of(record), columns.path, style);
    if columns.model > 0 {
        let model = record.model.as_deref().map_or(NOTHING, words::short_model);
        pen.left(model, columns.model, theme.accent);
    }
    if columns.kind {
        pen.left(words::kind(record), 6, theme.dim);
    }
    if columns.session > 0 {
        pen.left(record.session.as_deref().unwrap_or_default(), columns.session, theme.dim);
    }
    let told = match record.ending {
        Ending::ClientGone => words::trouble(record),
        _ if record.usage.is_none() => Some(asked(record)),
        _ => None,
    };
    if columns.tokens > 8
        && let Some(told) = told
    {
        // It may take the room of the times, which it tells itself.
        let whole = columns.tokens + 1 + columns.times;
        let gone = record.ending == Ending::ClientGone;
        pen.left(&told, if gone { whole } else { columns.tokens }, theme.dim);
        if gone {
            return;
        }
    } else if columns.tokens > 0 {
        pen.left(&tokens(record, columns.tokens > 8), columns.tokens, plain);
    }
    pen.right(&times(record, columns.times > 6), columns.times, plain);
}

/// What was asked for, when it was no message: the end of its path.
fn asked(record: &RequestRecord) -> String {
    let path = record.path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/v1/").unwrap_or(path);
    if path == "messages" { String::new() } else { path.strip_prefix("messages/").unwrap_or(path).to_owned() }
}

fn tokens(record: &RequestRecord, both: bool) -> String {
    let Some(usage) = record.usage else { return String::new() };
    let sum = [usage.input, usage.cache_read, usage.cache_creation].iter().flatten().sum();
    let input = format!("in {}", words::tokens(sum));
    match usage.output.filter(|_| both) {
        Some(output) => format!("{input:<8} out {}", words::tokens(output)),
        None => input,
    }
}

fn times(record: &RequestRecord, both: bool) -> String {
    let whole = words::seconds(record.duration_ms);
    match record.first_byte_ms.filter(|_| both && record.stream) {
        Some(first) => format!("{}/{whole}", words::seconds(first)),
        None => whole,
    }
}

/// What failed on the way, and who answered in the end.
fn story(record: &RequestRecord) -> String {
    let faults: Vec<String> = record.attempts.iter().filter(|one| one.fault.is_some()).map(words::failure).collect();
    match (record.ending, &record.endpoint) {
        (Ending::Complete, Some(endpoint)) => format!("{}, {endpoint} answered", faults.join(", ")),
        (Ending::Failed, _) if !faults.is_empty() => faults.join(", "),
        (Ending::Failed | Ending::RelayedError | Ending::Cut, _) => {
            record.error.clone().or_else(|| words::trouble(record)).unwrap_or_default()
        }
        _ => words::trouble(record).unwrap_or_default(),
    }
}

/// Lines for the requests under way: at most a third.
fn running_lines(model: &Model, height: u16) -> u16 {
    cells(model.running.len()).min((height / 3).max(1)).min(height)
}

fn running(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let room = usize::from(area.height);
    let all = model.running.len();
    for (line, view) in model.running.iter().take(room).enumerate() {
        let mut pen = Pen::new(canvas.buf, area, line);
        pen.put(" ", theme.base);
        // The last line tells of those that there is no room for.
        if line + 1 == room && all > room {
            pen.put(&format!("and {} more under way", all - line), theme.dim);
        } else {
            under_way(&mut pen, view, model, &theme);
        }
    }
}

fn under_way(pen: &mut Pen<'_>, view: &RunningView, model: &Model, theme: &Theme) {
    let columns = Columns::of(pen.room());
    let mut path: Vec<&str> = view.failed.iter().map(String::as_str).collect();
    path.extend(view.endpoint.as_deref());
    let path = if path.is_empty() { NOTHING.to_owned() } else { path.join(">") };
    pen.left(&words::clock(&view.time), 8, theme.dim).left("···", 3, theme.accent).left(
        &path,
        columns.path,
        theme.accent,
    );
    if columns.model > 0 {
        pen.left(view.model.as_deref().map_or(NOTHING, words::short_model), columns.model, theme.accent);
    }
    if columns.kind {
        pen.left(if view.stream { "stream" } else { "json" }, 6, theme.dim);
    }
    if columns.session > 0 {
        pen.left(view.session.as_deref().unwrap_or_default(), columns.session, theme.dim);
    }
    if columns.tokens > 0 {
        let phase = if view.bytes > 0 && columns.tokens > 8 {
            format!("{} {}", phase(view.phase), words::bytes(view.bytes))
        } else {
            phase(view.phase).to_owned()
        };
        // The longest phase is a little longer than half of the tokens.
        let width = columns.tokens.max(10);
        pen.left(&phase, width, theme.accent);
        let age = words::seconds(model.running.age_ms(view.key, model.known_at()));
        pen.right(&age, columns.times - (width - columns.tokens), theme.accent);
    } else {
        pen.right(&words::seconds(model.running.age_ms(view.key, model.known_at())), columns.times, theme.accent);
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Reading => "reading",
        Phase::Connecting => "connecting",
        Phase::Waiting => "waiting",
        Phase::Held => "held",
        Phase::Streaming => "streaming",
    }
}
