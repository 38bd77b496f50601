//! A body as rows that fold.
//! ```text
//!  ▾ body { 5 }
//!      model: "claude-sonnet-5"
//!    ▸ system: [ 3 ]  [{"type":"text","text":"You are…
//! ```

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::Canvas;
use super::pen::Pen;
use crate::tui::model::outline::{self, Outline, RowOf};
use crate::tui::model::tree::{Kind, Node};
use crate::tui::text::cells;
use crate::tui::theme::Theme;

/// What of a value is looked at for one row: no screen is wider.
const GLANCE: usize = 1000;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, outline: &Outline, focused: bool) {
    let theme = canvas.theme;
    let height = usize::from(area.height);
    if outline.rows().is_empty() {
        let told = if outline.doc().nodes().is_empty() { " there is nothing in it" } else { "" };
        Pen::new(canvas.buf, area, 0).put(told, theme.dim);
        return;
    }
    // The view may have become smaller since the cursor moved.
    let top = outline.top().clamp((outline.cursor() + 1).saturating_sub(height.max(1)), outline.cursor());
    for (line, row) in outline.rows().iter().skip(top).take(height).enumerate() {
        let selected = top + line == outline.cursor();
        if selected && focused {
            let here = Rect { y: area.y.saturating_add(cells(line)), height: 1, ..area };
            canvas.buf.set_style(here.intersection(area), theme.cursor);
        }
        let mut pen = Pen::new(canvas.buf, area, line);
        pen.put(if selected { "▌" } else { " " }, theme.accent);
        row_of(&mut pen, outline, *row, &theme);
    }
    let rows = outline.rows().len();
    if rows > height && area.width > 30 {
        let place = format!(" {} of {rows} ", outline.cursor() + 1);
        let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        let width = cells(place.len());
        let corner = Rect { x: last.right().saturating_sub(width), width, ..last };
        Pen::new(canvas.buf, corner, 0).put(&place, theme.dim);
    }
}

fn row_of(pen: &mut Pen<'_>, outline: &Outline, row: RowOf, theme: &Theme) {
    let Some(node) = outline.doc().nodes().get(row.node as usize) else { return };
    pen.skip((usize::from(node.depth) * 2).min(pen.room() / 2));
    if let Some(line) = outline.line(row) {
        pen.put("  │ ", theme.dim);
        return marked(pen, line, outline.needle(), theme.base, theme);
    }
    let sign = match node.kind {
        Kind::Object | Kind::Array if node.children == 0 => "  ",
        Kind::Object | Kind::Array if outline.is_folded(row.node) => "▸ ",
        Kind::Object | Kind::Array => "▾ ",
        _ => "  ",
    };
    pen.put(sign, theme.accent);
    let key = outline.doc().key(node);
    if !key.is_empty() {
        let style = if node.depth == 0 { theme.title } else { theme.accent };
        marked(pen, key, outline.needle(), style, theme);
        pen.put(": ", theme.dim);
    }
    value(pen, outline, row.node, node, theme);
}

fn value(pen: &mut Pen<'_>, outline: &Outline, index: u32, node: &Node, theme: &Theme) {
    let raw = glance(outline.doc().raw(node));
    match node.kind {
        Kind::Object | Kind::Array => {
            let (open, close) = if node.kind == Kind::Object { ('{', '}') } else { ('[', ']') };
            let count = if node.children == 0 { String::new() } else { format!(" {} ", node.children) };
            pen.put(&format!("{open}{count}{close}"), theme.dim);
            if outline.is_folded(index) {
                pen.put("  ", theme.dim).put(raw, theme.dim);
            }
        }
        Kind::String if outline.is_unwrapped(index) => {
            pen.put("▾ text", theme.dim);
        }
        // The quotes of JSON tell a text from a number.
        Kind::String => marked(pen, raw, outline.needle(), theme.good, theme),
        Kind::Plain => marked(pen, raw, outline.needle(), theme.warn.remove_modifier(Modifier::BOLD), theme),
        Kind::Text if outline.is_unwrapped(index) => {}
        Kind::Text => marked(pen, raw, outline.needle(), theme.base, theme),
    }
}

/// The beginning of a text, as far as a row can show it.
fn glance(text: &str) -> &str {
    text.char_indices().nth(GLANCE).map_or(text, |(at, _)| &text[..at])
}

/// `text` with what was searched for set off.
fn marked(pen: &mut Pen<'_>, text: &str, needle: &str, style: Style, theme: &Theme) {
    match outline::find(text, needle) {
        Some((start, end)) if text.is_char_boundary(start) && text.is_char_boundary(end) => {
            pen.put(&text[..start], style).put(&text[start..end], theme.mark).put(&text[end..], style);
        }
        _ => {
            pen.put(text, style);
        }
    }
}
