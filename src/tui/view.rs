//! The whole screen: which regions there are at this size, and where. Each region is a file of its own with its picture.
//!
//! Nothing here changes the model: a view is a function of it, and hands back where it put things ([`Areas`]).

mod charts;
mod detail;
mod endpoints;
mod footer;
mod header;
mod meter;
mod pen;
mod popups;
mod requests;
mod summary;
mod tiny;
mod tree;
mod waterfall;
mod welcome;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::model::{Areas, Link, Mode, Model, Pane};
use super::theme::{self, Theme};

/// What every region is given.
struct Canvas<'a> {
    buf: &'a mut Buffer,
    model: &'a Model,
    theme: Theme,
    areas: Areas,
}

/// By the number of columns, where there are lines enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Below 40x10: one line.
    Tiny,
    Small,
    Normal,
    /// From 110 columns on: charts, and a request beside the list.
    Wide,
}

impl Layout {
    fn of(area: Rect) -> Self {
        match (area.width, area.height) {
            (..40, _) | (_, ..10) => Self::Tiny,
            (..70, _) | (_, ..16) => Self::Small,
            (..110, _) => Self::Normal,
            _ => Self::Wide,
        }
    }
}

/// Draws everything; says where.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) -> Areas {
    let area = frame.area();
    paint(frame.buffer_mut(), area, model)
}

fn paint(buf: &mut Buffer, area: Rect, model: &Model) -> Areas {
    let theme = Theme::new(model.options.theme, model.options.screen);
    buf.set_style(area, theme.base);
    let mut canvas = Canvas { buf, model, theme, areas: Areas::default() };
    let layout = Layout::of(area);
    if layout == Layout::Tiny {
        tiny::draw(&mut canvas, area);
    } else {
        screen(&mut canvas, area, layout);
    }
    let areas = canvas.areas;
    if model.options.ascii {
        theme::to_ascii(buf);
    }
    areas
}

fn screen(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let (top, rest) = split(area, header::height(layout));
    let (body, bottom) = split_end(rest, footer::height(canvas.model, layout));
    header::draw(canvas, top, layout);
    if canvas.model.ever_attached {
        panes(canvas, body, layout);
        if matches!(canvas.model.link, Link::Lost(..)) {
            dim(canvas.buf, body);
        }
    } else {
        welcome::draw(canvas, body);
    }
    footer::draw(canvas, bottom, layout);
    match canvas.model.mode {
        Mode::Help { .. } => popups::help(canvas, body),
        Mode::CopyMenu => popups::copy_menu(canvas, body),
        Mode::Confirm { .. } => popups::confirm(canvas, body),
        Mode::Panes | Mode::Typing(_) => {}
    }
}

/// ```text
/// ┌ Requests/min ┐┌ Latency ┐┌ First byte ┐┌ Tokens/min ┐      wide only
/// ┌ Endpoints ─────────────────────────────────────────┐
/// ┌ Requests ──────────────┐┌ Request ─────────────────┐      beside each other when wide, else one of them
/// ```
fn panes(canvas: &mut Canvas<'_>, area: Rect, layout: Layout) {
    let model = canvas.model;
    let open = model.detail.is_some();
    // A request takes the whole body where there is no room beside the list, and zoom gives it to any pane.
    if open && model.focus == Pane::Detail && (model.zoom || layout != Layout::Wide) {
        return detail::draw(canvas, area);
    }
    if model.zoom {
        return match model.focus {
            Pane::Endpoints => endpoints::draw(canvas, area, layout),
            Pane::Requests | Pane::Detail => requests::draw(canvas, area, layout),
        };
    }
    let mut rest = area;
    if layout == Layout::Wide && area.height >= 26 {
        let charts;
        (charts, rest) = split(rest, charts::HEIGHT);
        charts::draw(canvas, charts);
    }
    let (table, rest) = split(rest, endpoints::height(model, rest.height, layout));
    endpoints::draw(canvas, table, layout);
    if open && layout == Layout::Wide {
        let left = Rect { width: rest.width / 2, ..rest };
        let right = Rect { x: rest.x + left.width, width: rest.width - left.width, ..rest };
        requests::draw(canvas, left, layout);
        detail::draw(canvas, right);
    } else {
        requests::draw(canvas, rest, layout);
    }
}

/// `height` lines, and those below.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// All but `height` lines, and those at the end.
fn split_end(area: Rect, height: u16) -> (Rect, Rect) {
    split(area, area.height.saturating_sub(height))
}

/// What is shown is no longer so.
fn dim(buf: &mut Buffer, area: Rect) {
    buf.set_style(area, Style::new().add_modifier(Modifier::DIM));
}

#[cfg(test)]
mod tests;
