//! Four charts over the chosen range, on wide screens.
//! ```text
//! ┌ Requests/min ──────────────┐┌ Duration s, p50 and p95 ─────┐┌ First byte s, p50 ───┐┌ Output tokens/min ──────────┐
//! │ 30         ▂▇▁             ││ 20        ▂▇▁                ││  4                   ││ 9.0k                         │
//! │    ▁▂▃▅▇▇▇▇███▇▅▃▂▁        ││    ▁▂▃▅▇▇▇▇███▇▅▃▂▁          ││    ▁▂▃▅▇▇▇▇███▇▅▃▂▁  ││    ▁▂▃▅▇▇▇▇███▇▅▃▂▁          │
//! └─13:10────────────────14:10─┘└──────────────────────────────┘└──────────────────────┘└──────────────────────────────┘
//! ```

use ratatui::layout::Rect;

use super::Canvas;
use super::meter;
use super::pen::Pen;
use super::requests::frame;
use crate::tui::model::RANGES;
use crate::wire::stats::{StatsView, Step};
use crate::wire::words;

/// Lines that they take, borders included.
pub(super) const HEIGHT: u16 = 6;
/// Cells of the scale.
const SCALE: usize = 6;

type Value = fn(&Step, u64) -> u64;
type Shown = fn(u64) -> String;

const CHARTS: [(&str, Value, Shown); 4] = [
    ("Requests/min", |step, seconds| step.requests * 60 / seconds.max(1), words::tokens),
    ("Duration p95", |step, _| step.duration.p95_ms.unwrap_or(0), words::seconds),
    ("First byte p50", |step, _| step.first_byte.p50_ms.unwrap_or(0), words::seconds),
    ("Output tokens/min", |step, seconds| step.tokens.output * 60 / seconds.max(1), words::tokens),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect) {
    let count = u16::try_from(CHARTS.len()).unwrap_or(1);
    for (number, (title, value, shown)) in (0..).zip(CHARTS) {
        let (left, right) = (area.width * number / count, area.width * (number + 1) / count);
        let place = Rect { x: area.x + left, width: right - left, ..area };
        let range = if number + 1 == count { RANGES.get(canvas.model.range).map_or("", |(name, _)| *name) } else { "" };
        let inner = frame(canvas, place, title, range, false, false);
        if let Some(stats) = &canvas.model.stats {
            chart(canvas, inner, stats, value, shown);
        } else {
            let dim = canvas.theme.dim;
            Pen::new(canvas.buf, inner, 1).put(" …", dim);
        }
    }
}

fn chart(canvas: &mut Canvas<'_>, area: Rect, stats: &StatsView, value: Value, shown: Shown) {
    let theme = canvas.theme;
    let width = usize::from(area.width).saturating_sub(SCALE + 1);
    let height = usize::from(area.height).saturating_sub(1);
    if width == 0 || height == 0 {
        return;
    }
    let values = fitted(stats, width, value);
    let largest = values.iter().copied().max().unwrap_or(0);
    let columns: Vec<Vec<char>> = values.iter().map(|value| meter::column(*value, largest, height)).collect();
    for line in 0..height {
        let mut pen = Pen::new(canvas.buf, area, line);
        let scale = match line {
            0 if largest > 0 => shown(largest),
            _ if line + 1 == height => "0".to_owned(),
            _ => String::new(),
        };
        pen.right(&scale, SCALE, theme.dim);
        let row: String = columns.iter().filter_map(|column| column.get(height - 1 - line)).collect();
        pen.put(&row, theme.accent);
    }
    let mut pen = Pen::new(canvas.buf, area, height);
    pen.skip(SCALE + 1).put(hour(&words::clock(&stats.from)), theme.dim);
    pen.at_end(hour(&words::clock(&stats.to)), theme.dim);
}

fn hour(clock: &str) -> &str {
    clock.get(..5).unwrap_or(clock)
}

/// One value for each cell: steps that share a cell show the largest of them.
fn fitted(stats: &StatsView, width: usize, value: Value) -> Vec<u64> {
    let steps = &stats.steps;
    let of = |cell: usize| {
        let (from, to) = (cell * steps.len() / width, (cell + 1) * steps.len() / width);
        let shared = steps.get(from..to.max(from + 1)).unwrap_or_default();
        shared.iter().map(|step| value(step, stats.step_s)).max().unwrap_or(0)
    };
    (0..width).map(of).collect()
}
