//! One request: its tabs, and the one that is shown.
//! ```text
//! ┌ Request req_8f31c2 ── 1 Summary  2 Request  3 Response  4 SSE  5 Attempts ─┐
//! ```

use ratatui::layout::Rect;

use super::Canvas;
use super::pen::Pen;
use super::requests::frame;
use super::{summary, tree, waterfall};
use crate::tui::model::Pane;
use crate::tui::model::detail::{Detail, State, Tab};
use crate::tui::text::{self, cells};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let Some(detail) = &model.detail else { return };
    let focused = model.focus == Pane::Detail;
    let small = area.width < 40 || area.height < 8;
    let tabs_width: usize = Tab::ALL.iter().map(|tab| tab.title().len() + 4).sum();
    let room = usize::from(area.width).saturating_sub(tabs_width + 6);
    let id = if room >= 12 { text::cut(&detail.id, room).into_owned() } else { String::new() };
    let inner = frame(canvas, area, &id, "", focused, small);
    let tabs =
        Rect { x: area.right().saturating_sub(cells(tabs_width + 1)).max(area.x), height: area.height.min(1), ..area };
    let tabs = tabs.intersection(area);
    let mut pen = Pen::new(canvas.buf, tabs, 0);
    for tab in Tab::ALL {
        let start = pen.x();
        let style = if tab == detail.tab { theme.title } else { theme.dim };
        pen.put(&format!(" {} {} ", tab.number() + 1, tab.title()), style);
        canvas.areas.tabs.push(Rect { x: start, width: pen.x().saturating_sub(start), ..tabs });
    }
    canvas.areas.detail = inner;
    content(canvas, inner, detail, focused);
}

fn content(canvas: &mut Canvas<'_>, area: Rect, detail: &Detail, focused: bool) {
    let theme = canvas.theme;
    match &detail.state {
        State::Loading => {
            Pen::new(canvas.buf, area, 0).put(" fetching it …", theme.dim);
        }
        State::Failed(why) => {
            for (number, line) in text::wrap(why, usize::from(area.width).saturating_sub(2)).iter().enumerate() {
                Pen::new(canvas.buf, area, number).put(" ", theme.bad).put(line, theme.bad);
            }
        }
        State::Ready(opened) => match (detail.outline(), detail.tab) {
            (Some(outline), _) => tree::draw(canvas, area, outline, focused),
            (None, Tab::Attempts) => waterfall::draw(canvas, area, &opened.record, detail.scroll()),
            (None, _) => summary::draw(canvas, area, &opened.record, detail.scroll()),
        },
    }
}
