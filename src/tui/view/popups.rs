//! What lies over the panes: the help, the copy menu and a question.
//! ```text
//!        ┌ Keys that work here ─ filter: fo ─────────────┐
//!        │ requests                                      │
//!        │   f G End   go to the newest and stay there   │
//!        └───────────────────────────────────────────────┘
//! ```

use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget as _};

use super::Canvas;
use super::pen::Pen;
use super::requests::frame;
use crate::tui::keys::{self, Context};
use crate::tui::model::{Mode, Model, Pane, command};
use crate::tui::text::{self, cells};

/// Cells for the names of the keys.
const KEYS: usize = 16;

/// One line of the help.
enum Line {
    Heading(&'static str),
    Entry(String, &'static str),
}

/// The keys that work below the help, and the commands; those that `filter` stands in.
fn help_lines(model: &Model, filter: &str) -> Vec<Line> {
    let contexts = model.contexts_of_pane();
    let wanted = |keys: &str, help: &str| {
        let filter = filter.to_lowercase();
        filter.is_empty() || keys.to_lowercase().contains(&filter) || help.to_lowercase().contains(&filter)
    };
    let mut lines = Vec::new();
    let mut heading = None::<Context>;
    for binding in model.offered(&contexts) {
        let names = binding.key_names();
        if !wanted(&names, binding.help) {
            continue;
        }
        if heading.is_none_or(|heading| heading.title() != binding.context.title()) {
            lines.push(Line::Heading(binding.context.title()));
            heading = Some(binding.context);
        }
        lines.push(Line::Entry(names, binding.help));
    }
    let commands: Vec<_> = command::described().filter(|(name, what)| wanted(name, what)).collect();
    if !commands.is_empty() {
        lines.push(Line::Heading("commands"));
        lines.extend(commands.into_iter().map(|(name, what)| Line::Entry(name, what)));
    }
    lines
}

pub(super) fn help(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let Mode::Help { filter, scroll } = &model.mode else { return };
    let lines = help_lines(model, filter.value());
    let place = centred(area, 76, lines.len() + 2);
    Clear.render(place, canvas.buf);
    canvas.buf.set_style(place, theme.base);
    let here = match model.focus {
        Pane::Endpoints => "the endpoints",
        Pane::Requests => "the requests",
        Pane::Detail => "a request",
    };
    let title = match filter.value() {
        "" => format!("Keys that work in {here} ─ type to filter"),
        typed => format!("Keys that work in {here} ─ {typed}"),
    };
    let count = if lines.len() > usize::from(place.height.saturating_sub(2)) { "↑ ↓" } else { "" };
    let inner = frame(canvas, place, &title, count, true, false);
    for (number, line) in lines.iter().skip(*scroll).enumerate() {
        let mut pen = Pen::new(canvas.buf, inner, number);
        match line {
            Line::Heading(title) => pen.put(" ", theme.title).put(title, theme.title),
            Line::Entry(keys, help) => pen.skip(2).left(keys, KEYS, theme.accent).put(help, theme.base),
        };
    }
    if lines.is_empty() {
        Pen::new(canvas.buf, inner, 0).put(" no key does that", theme.dim);
    }
    canvas.areas.help = inner;
    canvas.areas.help_lines = lines.len();
}

pub(super) fn copy_menu(canvas: &mut Canvas<'_>, area: Rect) {
    let theme = canvas.theme;
    let lines = keys::working(&[Context::CopyMenu]);
    let place = centred(area, 58, lines.len() + 2);
    Clear.render(place, canvas.buf);
    canvas.buf.set_style(place, theme.base);
    let inner = frame(canvas, place, "Copy", "", true, false);
    for (number, line) in lines.iter().enumerate() {
        let mut pen = Pen::new(canvas.buf, inner, number);
        pen.skip(1).left(&line.key_names(), 6, theme.accent).put(line.help, theme.base);
    }
}

pub(super) fn confirm(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let Mode::Confirm { question, .. } = &model.mode else { return };
    let width = 56.min(area.width.saturating_sub(4));
    let mut lines = text::wrap(question, usize::from(width).saturating_sub(4));
    lines.push(String::new());
    let place = centred(area, width, lines.len() + 3);
    Clear.render(place, canvas.buf);
    canvas.buf.set_style(place, theme.base);
    let inner = frame(canvas, place, "Sure?", "", true, false);
    for (number, line) in lines.iter().enumerate() {
        Pen::new(canvas.buf, inner, number).put(" ", theme.base).put(line, theme.warn);
    }
    let mut pen = Pen::new(canvas.buf, inner, lines.len());
    for line in keys::working(&[Context::Confirm]) {
        pen.put(" ", theme.base).put(&line.key_names(), theme.accent).put(" ", theme.base).put(line.hint, theme.dim);
        pen.put(" ", theme.base);
    }
}

fn centred(area: Rect, width: u16, lines: usize) -> Rect {
    let (width, height) = (width.min(area.width), cells(lines).min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
