//! The last lines: sums, what is wrong or was just done, and the keys that work here, or the line that is typed.
//! ```text
//!  1,204 requests  ok 99.2%  failovers 31  in 41.2M (88% cached)  out 1.9M
//!  ! mirror-1 refuses its key (401): check its auth_value          ! go to it  x dismiss
//!  j/k move  Enter open  / filter  f follow  Space freeze  ? help  q quit
//! ```

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;
use super::{Canvas, Layout};
use crate::tui::keys::{Binding, Context};
use crate::tui::model::notices::{Place, Tone};
use crate::tui::model::prompt::{Prompt, Purpose};
use crate::tui::model::{Mode, Model};
use crate::tui::text;
use crate::wire::status::StatusView;
use crate::wire::words;

pub(super) fn height(model: &Model, layout: Layout) -> u16 {
    let sums = u16::from(layout != Layout::Small && model.ever_attached);
    sums + u16::from(tells(model)) + if layout == Layout::Small { 1 } else { 2 }
}

/// Whether there is a line of news.
fn tells(model: &Model) -> bool {
    let fault = matches!(&model.mode, Mode::Typing(prompt) if prompt.fault.is_some() || !prompt.offers.is_empty());
    fault || model.notices.current(model.clock()).is_some() || model.alert().is_some()
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let model = canvas.model;
    let mut rest = area;
    if layout != Layout::Small && model.ever_attached {
        let line;
        (line, rest) = super::split(rest, 1);
        if let Some(status) = &model.status {
            sums(canvas, line, status, layout);
        }
    }
    if tells(model) {
        let line;
        (line, rest) = super::split(rest, 1);
        news(canvas, line);
    }
    match &model.mode {
        Mode::Typing(prompt) => typed(canvas, rest, prompt),
        _ => hints(canvas, rest),
    }
}

fn sums(canvas: &mut Canvas<'_>, area: Rect, status: &StatusView, layout: Layout) {
    let theme = canvas.theme;
    let totals = &status.totals;
    let mut pen = Pen::new(canvas.buf, area, 0);
    pen.put(&format!(" {} requests", grouped(totals.requests)), theme.base);
    let mut tell = |text: String, style: Style| {
        // What there is no room for is left out whole.
        if !text.is_empty() && text::width(&text) <= pen.room() {
            pen.put(&text, style);
        }
    };
    if let Some(share) = percent(totals.complete, totals.requests) {
        tell(format!("  ok {share}"), if totals.failed + totals.cut > 0 { theme.warn } else { theme.good });
    }
    if status.log.dropped > 0 {
        tell(format!("  not logged {}", grouped(status.log.dropped)), theme.bad);
    }
    tell(format!("  failovers {}", grouped(totals.failovers)), theme.base);
    let tokens = &totals.tokens;
    let input = tokens.input + tokens.cache_read + tokens.cache_creation;
    let cached = percent(tokens.cache_read, input).filter(|_| tokens.cache_read > 0);
    let cached = cached.map_or(String::new(), |cached| format!(" ({cached} cached)"));
    tell(format!("  in {}{cached}  out {}", words::tokens(input), words::tokens(tokens.output)), theme.base);
    if totals.refused > 0 {
        tell(format!("  turned away {}", grouped(totals.refused)), theme.warn);
    }
    if status.in_flight > 0 {
        tell(format!("  in flight {}", status.in_flight), theme.accent);
    }
    if layout == Layout::Wide {
        tell(format!("  log {}", words::bytes(status.log.size)), theme.dim);
    }
}

/// `1,204`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut shown = digits[..first].to_owned();
    for start in (first..digits.len()).step_by(3) {
        if !shown.is_empty() {
            shown.push(',');
        }
        shown.push_str(&digits[start..start + 3]);
    }
    shown
}

/// `99.2%`; only what is whole is `100%`.
fn percent(part: u64, whole: u64) -> Option<String> {
    let tenths = (u128::from(part) * 1000).checked_div(u128::from(whole))?;
    Some(if tenths == 1000 { "100%".to_owned() } else { format!("{}.{}%", tenths / 10, tenths % 10) })
}

/// The most urgent of: what is wrong with the typed line, what was just done, what is wrong.
fn news(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let mut pen = Pen::new(canvas.buf, area, 0);
    if let Mode::Typing(prompt) = &model.mode
        && (prompt.fault.is_some() || !prompt.offers.is_empty())
    {
        return match &prompt.fault {
            Some(fault) => {
                pen.put(" ", theme.bad).put(&fault.message, theme.bad);
                if let Some(hint) = &fault.hint {
                    pen.put(": ", theme.dim).put(hint, theme.dim);
                }
            }
            None => offers(&mut pen, prompt, theme.dim, theme.mark),
        };
    }
    if let Some(notice) = model.notices.current(model.clock()) {
        let style = match notice.tone {
            Tone::Plain => theme.base,
            Tone::Good => theme.good,
            Tone::Bad => theme.bad,
        };
        pen.put(" ", style).put(&notice.text, style);
    } else if let Some(alert) = model.alert() {
        pen.put(" ! ", theme.bad).put(&alert.text, theme.bad);
        let keys = if alert.place == Place::Nowhere { "x dismiss " } else { "! go  x dismiss " };
        pen.at_end(keys, theme.dim);
    }
}

fn offers(pen: &mut Pen<'_>, prompt: &Prompt, plain: Style, chosen: Style) {
    pen.put(" ", plain);
    for (number, offer) in prompt.offers.iter().enumerate() {
        pen.put(offer, if prompt.offered == Some(number) { chosen } else { plain }).put("  ", plain);
    }
}

/// The line that is typed, its fault underlined, and how many requests fit.
fn typed(canvas: &mut Canvas<'_>, area: Rect, prompt: &Prompt) {
    let (model, theme) = (canvas.model, canvas.theme);
    let shown = model.requests.shown();
    let count = match prompt.purpose {
        Purpose::Filter if prompt.fault.is_none() => format!("{} of {} ", shown.count(), model.requests.all.count()),
        // A faulty filter lets nothing through and stops nothing.
        Purpose::Filter | Purpose::Search | Purpose::Command => String::new(),
    };
    let room = usize::from(area.width).saturating_sub(text::width(&count) + 5).max(4);
    let mut pen = Pen::new(canvas.buf, area, 0);
    pen.put(" ", theme.base).put(prompt.purpose.sign().encode_utf8(&mut [0; 4]), theme.title);
    let span = prompt.fault.as_ref().map(|fault| fault.span);
    let skipped = prompt.input.visual_scroll(room);
    let (mut at, cursor) = (0, prompt.input.cursor());
    for (number, c) in prompt.text().chars().chain([' ']).enumerate() {
        let letter = text::clean(c.encode_utf8(&mut [0; 4])).into_owned();
        at += text::width(&letter);
        // A fault at the very end is shown where the next letter would be.
        let faulty = span.is_some_and(|(start, end)| (start..end.max(start + 1)).contains(&number));
        let style = match (number == cursor, faulty) {
            (true, _) => theme.cursor.add_modifier(ratatui::style::Modifier::REVERSED),
            (false, true) => theme.bad.add_modifier(ratatui::style::Modifier::UNDERLINED),
            (false, false) => theme.base,
        };
        if at > skipped {
            pen.put(&letter, style);
        }
    }
    pen.at_end(&count, theme.dim);
    hints(canvas, super::split(area, 1).1);
}

/// As many hints as fit, the most wanted ones; in the order of the table.
fn hints(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let width = usize::from(area.width).saturating_sub(1);
    let lines = usize::from(area.height);
    let all: Vec<&Binding> =
        model.offered(&model.contexts()).into_iter().filter(|line| !line.hint.is_empty()).collect();
    let mut ranks: Vec<u8> = all.iter().map(|line| line.rank).collect();
    ranks.sort_unstable();
    // All hints up to some rank, the highest that fits.
    let fitting = ranks.iter().rev().find_map(|rank| {
        let kept: Vec<&Binding> = all.iter().copied().filter(|line| line.rank <= *rank).collect();
        let split = fill(&kept, width);
        (split.len() <= lines).then_some(split)
    });
    for (number, line) in fitting.unwrap_or_default().iter().enumerate() {
        let mut pen = Pen::new(canvas.buf, area, number);
        pen.put(" ", theme.base);
        for binding in line {
            pen.put(&keys_of(binding), theme.accent)
                .put(" ", theme.base)
                .put(binding.hint, theme.dim)
                .put("  ", theme.base);
        }
    }
}

fn fill<'b>(hints: &[&'b Binding], width: usize) -> Vec<Vec<&'b Binding>> {
    let mut lines: Vec<Vec<&Binding>> = vec![Vec::new()];
    let mut used = 0;
    for hint in hints {
        let needed = text::width(&keys_of(hint)) + 1 + hint.hint.len() + 2;
        if used + needed > width && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += needed;
        if let Some(line) = lines.last_mut() {
            line.push(hint);
        }
    }
    lines
}

/// What stands for the keys: the first one, and that of the opposite where the hint names both.
fn keys_of(binding: &Binding) -> String {
    let first = binding.keys.first().map_or_else(String::new, |key| key.name());
    let opposite = match first.as_str() {
        _ if matches!(binding.context, Context::Confirm | Context::CopyMenu) => return first,
        "j" => "k",
        "n" => "N",
        "p" => "P",
        "J" => "K",
        "]" => "[",
        _ => return first,
    };
    format!("{first}/{opposite}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shares() {
        assert_eq!([0, 999, 1204, 1_000_000].map(grouped), ["0", "999", "1,204", "1,000,000"]);
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(9999, 10_000).unwrap(), "99.9%");
        assert_eq!((percent(5, 5).unwrap(), percent(0, 5).unwrap()), ("100%".into(), "0.0%".into()));
    }
}
