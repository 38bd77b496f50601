//! The first lines: what runs, since when, how much, and what the keys go to.
//! ```text
//!  claude-proxy 0.1.0  ● serving :8080  up 3h12m  config ok  ▁▂▃▅▂▁▃▇▅▃ 14 req/min
//!  1 Endpoints  2 Requests  3 Request                      follow ▶  14:02:11
//! ```

use std::time::Duration;

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::Canvas;
use super::Layout;
use super::meter;
use super::pen::Pen;
use crate::tui::message::{Lost, Now};
use crate::tui::model::log::Row;
use crate::tui::model::{Link, Model, Pane};
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::wire::status::StatusView;
use crate::wire::words;

/// Steps of the header's bars, ten seconds each.
const STEPS: usize = 18;

pub(super) fn height(layout: Layout) -> u16 {
    if layout == Layout::Small { 1 } else { 2 }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let (model, theme) = (canvas.model, canvas.theme);
    let mut pen = Pen::new(canvas.buf, area, 0);
    if let Link::Lost(since, lost) = &model.link
        && model.ever_attached
    {
        let left = seconds_left(*since, lost, model.clock());
        let told = format!(" lost {}, retry in {left} s ({}) · {}", model.options.address, lost.attempt, lost.why);
        canvas.buf.set_style(Rect { height: 1, ..area }, theme.banner);
        Pen::new(canvas.buf, area, 0).put(&told, theme.banner);
    } else if let Some(status) = &model.status {
        running(&mut pen, model, status, &theme, layout);
    } else {
        pen.put(" claude-proxy", theme.title).put("  attaching to ", theme.dim).put(&model.options.address, theme.dim);
    }
    panes(&mut Pen::new(canvas.buf, area, 1), model, &theme);
}

fn running(pen: &mut Pen<'_>, model: &Model, status: &StatusView, theme: &Theme, layout: Layout) {
    if layout == Layout::Small {
        pen.skip(1);
        counts(pen, model, theme);
        pen.put(&format!("  {}/min", per_minute(model)), theme.dim);
        if model.is_frozen() {
            pen.put("  FROZEN", theme.mark);
        } else if let Some(count) = unseen(model) {
            pen.put(&format!("  +{count} new"), theme.warn);
        }
        pen.at_end(&words::clock(&status.time), theme.dim);
        return;
    }
    let wide = layout == Layout::Wide;
    let listen = if wide { status.listen.as_str() } else { port(&status.listen) };
    pen.put(&format!(" claude-proxy {}", status.version), theme.title);
    pen.put("  ● serving ", theme.good).put(listen, theme.base);
    if wide {
        pen.put(&format!("  admin {}", port(&status.admin)), theme.dim);
    }
    pen.put(&format!("  up {}", uptime(status.uptime_s)), theme.dim);
    match &status.config.refused {
        Some(_) => pen.put("  x config refused", theme.bad),
        None => pen.put("  config ok", theme.dim),
    };
    if wide && let Some(memory) = status.memory_bytes {
        pen.put(&format!("  {}", words::bytes(memory)), theme.dim);
    }
    let rate = format!(" {} req/min", per_minute(model));
    let room = pen.room().saturating_sub(text::width(&rate) + 3).min(STEPS);
    let steps = activity(model);
    pen.put("  ", theme.dim).put(&meter::bars(&steps[STEPS - room.min(STEPS)..]), theme.accent).put(&rate, theme.base);
}

/// Whole seconds until the next try, begun ones included.
pub(super) fn seconds_left(since: Duration, lost: &Lost, now: Now) -> u128 {
    (since + lost.retry_in).saturating_sub(now.at).as_millis().div_ceil(1000)
}

fn port(address: &str) -> &str {
    address.rfind(':').map_or(address, |at| &address[at..])
}

fn panes(pen: &mut Pen<'_>, model: &Model, theme: &Theme) {
    if !model.ever_attached {
        return;
    }
    let mut panes = vec![(1, "Endpoints", Pane::Endpoints), (2, "Requests", Pane::Requests)];
    if model.detail.is_some() {
        panes.push((3, "Request", Pane::Detail));
    }
    for (number, name, pane) in panes {
        let style = if model.focus == pane { theme.title } else { theme.dim };
        pen.put(" ", theme.base).put(&format!("{number} {name}"), style).put(" ", theme.base);
    }
    if model.options.read_only {
        pen.put("  read-only", theme.warn);
    }
    let time = model.status.as_ref().map_or_else(String::new, |status| words::clock(&status.time));
    let (told, style) = if model.is_frozen() {
        (format!("FROZEN, {} behind: Space goes on", model.behind()), theme.mark)
    } else if let Some(count) = unseen(model) {
        (format!("+{count} new: f follows"), theme.warn)
    } else if model.requests.shown().follows() {
        ("follow ▶".to_owned(), theme.good)
    } else {
        ("paused: f follows".to_owned(), theme.warn)
    };
    let width = text::width(&told) + 2 + time.len() + 1;
    pen.skip(pen.room().saturating_sub(width)).put(&told, style).put("  ", theme.base).put(&time, theme.dim);
}

/// What came since the reader stopped following.
fn unseen(model: &Model) -> Option<usize> {
    let log = model.requests.shown();
    Some(log.unseen).filter(|count| !log.follows() && *count > 0)
}

/// `● 3 up  ◐ 1 degraded  x 1 down`
pub(super) fn counts<'p, 'b>(pen: &'p mut Pen<'b>, model: &Model, theme: &Theme) -> &'p mut Pen<'b> {
    let Some(counts) = model.status.as_ref().map(|status| status.endpoints) else { return pen };
    let states = [
        (counts.up, "up"),
        (counts.degraded, "degraded"),
        (counts.down, "down"),
        (counts.resting, "resting"),
        (counts.disabled, "disabled"),
    ];
    for (number, (count, state)) in states.into_iter().filter(|(count, _)| *count > 0).enumerate() {
        let (sign, style) = theme.state(state);
        let gap = if number == 0 { "" } else { " " };
        pen.put(gap, style).put(sign, style).put(&format!(" {count} {state}"), style);
    }
    pen
}

/// `42s`, `12m`, `3h12m`, `5d4h`
pub(super) fn uptime(seconds: u64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// Requests that ended in each of the last steps of ten seconds, the newest last.
fn activity(model: &Model) -> [u64; STEPS] {
    let mut steps = [0; STEPS];
    for age in ages(model, model.now()) {
        let Some(step) = STEPS.checked_sub(1 + age / 10) else { break };
        steps[step] += 1;
    }
    steps
}

/// Requests that ended in the last minute.
pub(super) fn per_minute(model: &Model) -> usize {
    ages(model, model.now()).take_while(|age| *age < 60).count()
}

/// Seconds since each request ended, the newest first.
fn ages(model: &Model, now: Now) -> impl Iterator<Item = usize> {
    model.requests.all.rows().rev().filter_map(Row::record).filter_map(move |record| {
        let began: Timestamp = record.time.parse().ok()?;
        let ended = began.as_millisecond().saturating_add(i64::try_from(record.duration_ms).ok()?);
        // A clock ahead of ours must not hide what just happened.
        usize::try_from((now.wall.as_millisecond() - ended).max(0) / 1000).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_running_is_short() {
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (61, "1m"), (3 * 3600 + 720, "3h12m"), (90_000, "1d1h")] {
            assert_eq!(uptime(seconds), shown);
        }
        assert_eq!((port("127.0.0.1:8080"), port("[::1]:80"), port("x")), (":8080", ":80", "x"));
    }
}
