//! Below 40x10 there is one line of health:
//! ```text
//! ● 3 up x 1 down 14/min
//! ```

use ratatui::layout::Rect;

use super::Canvas;
use super::header;
use super::pen::Pen;
use crate::tui::model::Link;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect) {
    let (model, theme) = (canvas.model, canvas.theme);
    let mut pen = Pen::new(canvas.buf, area, 0);
    match &model.link {
        Link::Lost(..) if model.ever_attached => pen.put("x lost the proxy", theme.bad),
        Link::Lost(..) | Link::Connecting => pen.put(&format!("○ no proxy at {}", model.options.address), theme.bad),
        Link::Attached => header::counts(&mut pen, model, &theme),
    };
    if matches!(model.link, Link::Attached) {
        pen.put(&format!(" {}/min", header::per_minute(model)), theme.dim);
    }
}
