//! Where there is no proxy yet: what was tried, why, and what to do.
//! ```text
//!  No running claude-proxy at 127.0.0.1:8081
//!
//!  why         Connection refused
//!  address     web_admin in /home/x/config.yaml
//!  start one   claude-proxy serve
//!  next try    in 2 s (3)
//! ```

use ratatui::layout::Rect;

use super::Canvas;
use super::pen::Pen;
use crate::tui::model::Link;
use crate::tui::text;

const LABEL: usize = 10;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let options = &model.options;
    let width = usize::from(area.width).saturating_sub(LABEL + 4);
    let Link::Lost(since, lost) = &model.link else {
        Pen::new(canvas.buf, area, 1).put(&format!("  attaching to {} …", options.address), theme.dim);
        return;
    };
    let left = super::header::seconds_left(*since, lost, model.clock());
    let mut lines = vec![("why", lost.why.clone()), ("address", format!("it is from {}", options.source))];
    lines.push(match &lost.hint {
        Some(hint) => ("what to do", hint.clone()),
        None => ("start one", options.start.clone()),
    });
    lines.push(("elsewhere", "claude-proxy tui --admin http://HOST:PORT".to_owned()));
    lines.push(("next try", format!("in {left} s ({})", lost.attempt + 1)));
    let title = match &lost.hint {
        Some(_) => format!("The proxy at {} does not let us in", options.address),
        None => format!("No running claude-proxy at {}", options.address),
    };
    Pen::new(canvas.buf, area, 1).put("  ", theme.bad).put(&title, theme.bad);
    let mut line = 3;
    for (label, value) in lines {
        for (number, part) in text::wrap(&value, width).into_iter().enumerate() {
            let mut pen = Pen::new(canvas.buf, area, line);
            pen.skip(2).left(if number == 0 { label } else { "" }, LABEL, theme.dim).put(&part, theme.base);
            line += 1;
        }
    }
}
