//! The attempts of a request over its time.
//! ```text
//!  0s                     4.9s                    9.8s
//!  kimi      ██ 529 is overloaded or limits the rate
//!  mirror-1    ▒▒▒▒▒▒▒▒▒▒████████████████████████ 200
//!                        │ first byte 3.1s
//! ```
//! `▒` until the first byte went down, `█` from then on.

use ratatui::layout::Rect;

use super::Canvas;
use super::pen::Pen;
use crate::tui::text;
use crate::wire::record::{AttemptRecord, RequestRecord};
use crate::wire::words;

/// Names get at most so much.
const NAME: usize = 16;
/// Behind a bar stands the status.
const STATUS: usize = 4;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, record: &RequestRecord, scroll: usize) {
    let theme = canvas.theme;
    if record.attempts.is_empty() {
        Pen::new(canvas.buf, area, 0).put(" no endpoint was tried", theme.dim);
        return;
    }
    let names = record.attempts.iter().map(|attempt| text::width(&attempt.endpoint)).max().unwrap_or(0).min(NAME);
    let scale = Scale::new(record, usize::from(area.width).saturating_sub(names + 3 + STATUS));
    let mut lines = vec![Drawn::Axis];
    for attempt in &record.attempts {
        lines.push(Drawn::Bar(attempt));
        let told = explanation(attempt);
        let room = usize::from(area.width).saturating_sub(6);
        lines.extend(text::wrap(&told, room).into_iter().filter(|line| !line.is_empty()).map(Drawn::Words));
    }
    if let Some(first) = record.first_byte_ms {
        lines.push(Drawn::Mark(first));
    }
    canvas.areas.detail_lines = lines.len();
    for (line, drawn) in lines.iter().skip(scroll).enumerate() {
        let mut pen = Pen::new(canvas.buf, area, line);
        pen.skip(1);
        match drawn {
            Drawn::Axis => {
                pen.skip(names + 1).put("0s", theme.dim);
                let (half, whole) = (words::seconds(scale.total / 2), words::seconds(scale.total));
                pen.skip((scale.width / 2).saturating_sub(2 + half.len() / 2)).put(&half, theme.dim);
                pen.skip((scale.width / 2).saturating_sub(half.len().div_ceil(2) + whole.len())).put(&whole, theme.dim);
            }
            Drawn::Bar(attempt) => bar(pen.left(&attempt.endpoint, names, theme.base), attempt, record, &scale, &theme),
            Drawn::Words(words) => {
                pen.put("  └ ", theme.dim).put(words, theme.dim);
            }
            Drawn::Mark(first) => {
                let told = format!("first byte {}", words::seconds(*first));
                pen.skip(names + 1);
                // To the left of the mark where there is no room to the right.
                match scale.at(*first) {
                    at if at + told.len() + 2 <= scale.width => {
                        pen.skip(at).put("│ ", theme.accent).put(&told, theme.accent);
                    }
                    at => {
                        let at = at.min(scale.width - 1);
                        pen.skip(at.saturating_sub(told.len() + 1)).put(&told, theme.accent).put(" │", theme.accent);
                    }
                }
            }
        }
    }
}

enum Drawn<'a> {
    Axis,
    Bar(&'a AttemptRecord),
    Words(String),
    Mark(u64),
}

/// Milliseconds as cells.
struct Scale {
    total: u64,
    width: usize,
}

impl Scale {
    fn new(record: &RequestRecord, width: usize) -> Self {
        let ends = record.attempts.iter().map(|attempt| attempt.started_ms.saturating_add(attempt.duration_ms));
        Self { total: ends.max().unwrap_or(0).max(record.duration_ms).max(1), width: width.max(1) }
    }

    fn at(&self, ms: u64) -> usize {
        let cell = u128::from(ms) * self.width as u128 / u128::from(self.total);
        usize::try_from(cell).unwrap_or(usize::MAX).min(self.width)
    }
}

fn bar(
    pen: &mut Pen<'_>,
    attempt: &AttemptRecord,
    record: &RequestRecord,
    scale: &Scale,
    theme: &crate::tui::theme::Theme,
) {
    let (start, end) = (scale.at(attempt.started_ms), scale.at(attempt.started_ms.saturating_add(attempt.duration_ms)));
    // Every attempt is seen, however short it was.
    let start = start.min(scale.width - 1);
    let end = end.max(start + 1);
    let style = if attempt.fault.is_some() { theme.bad } else { theme.good };
    let first = match record.first_byte_ms {
        Some(first) if attempt.fault.is_none() => scale.at(first).clamp(start, end),
        _ if attempt.fault.is_none() => end,
        _ => start,
    };
    pen.skip(start).put(&"▒".repeat(first - start), style).put(&"█".repeat(end - first), style);
    let status = attempt.status.map_or_else(String::new, |status| format!(" {status}"));
    pen.put(&status, style);
}

/// What failed; of an attempt that answered, only how long it took.
fn explanation(attempt: &AttemptRecord) -> String {
    let took = words::seconds(attempt.duration_ms);
    let began = words::seconds(attempt.started_ms);
    match (&attempt.fault, &attempt.detail) {
        (None, _) => format!("answered; began at {began}, took {took}"),
        (Some(fault), None) => format!("{}; began at {began}, took {took}", words::fault(fault)),
        (Some(fault), Some(detail)) => format!("{}: {detail}; began at {began}, took {took}", words::fault(fault)),
    }
}
