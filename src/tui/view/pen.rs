//! Writes on a line of the screen, from left to right, by cell. Whatever is written is made harmless first and cut at
//! the end of the room that it has.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::text::{self, cells};

pub(super) struct Pen<'a> {
    buf: &'a mut Buffer,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> Pen<'a> {
    /// On line `line` of `area`; below its end nothing is written.
    pub(super) fn new(buf: &'a mut Buffer, area: Rect, line: usize) -> Self {
        let area = area.intersection(buf.area);
        let inside = line < usize::from(area.height);
        let end = if inside { area.right() } else { area.x };
        Self { buf, x: area.x, y: area.y.saturating_add(cells(line)), end }
    }

    /// Cells left.
    pub(super) fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    pub(super) fn x(&self) -> u16 {
        self.x
    }

    pub(super) fn put(&mut self, text: &str, style: Style) -> &mut Self {
        let room = self.room();
        self.write(text, room, style)
    }

    /// At most `room` cells of it.
    fn write(&mut self, text: &str, room: usize, style: Style) -> &mut Self {
        let room = room.min(self.room());
        if room > 0 && !text.is_empty() {
            let text = text::clean(text);
            let (x, _) = self.buf.set_stringn(self.x, self.y, text::cut(&text, room), room, style);
            self.x = x.min(self.end);
        }
        self
    }

    pub(super) fn skip(&mut self, count: usize) -> &mut Self {
        self.x = self.x.saturating_add(cells(count)).min(self.end);
        self
    }

    /// In `width` cells and a gap of one, to the left.
    pub(super) fn left(&mut self, text: &str, width: usize, style: Style) -> &mut Self {
        let next = self.x.saturating_add(cells(width + 1)).min(self.end);
        self.write(text, width, style);
        self.x = next;
        self
    }

    /// In `width` cells and a gap of one, to the right.
    pub(super) fn right(&mut self, text: &str, width: usize, style: Style) -> &mut Self {
        let next = self.x.saturating_add(cells(width + 1)).min(self.end);
        let gap = width.saturating_sub(text::width(&text::clean(text)));
        self.skip(gap).write(text, width - gap, style);
        self.x = next;
        self
    }

    /// At the end of the line, if there is room behind what stands there.
    pub(super) fn at_end(&mut self, text: &str, style: Style) -> &mut Self {
        let width = text::width(&text::clean(text));
        if width < self.room() {
            self.x = self.end - cells(width);
            self.put(text, style);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_they_belong_whatever_is_in_them() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 2));
        let area = buf.area;
        let style = Style::new();
        Pen::new(&mut buf, area, 0).left("修一下解析", 6, style).right("12", 4, style).put("end", style);
        Pen::new(&mut buf, area, 1).left("a\u{1b}[2J", 6, style).right("123456", 4, style).at_end("x", style);
        assert_eq!(buf, Buffer::with_lines(["修一…    12 end     ", "a\\u{1… 123…        x"]));
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
        let beyond = Rect::new(2, 0, 30, 9);
        Pen::new(&mut buf, beyond, 0).put("abcdef", Style::new()).at_end("z", Style::new());
        Pen::new(&mut buf, beyond, 5).put("abcdef", Style::new()).right("1", 3, Style::new());
        assert_eq!(buf, Buffer::with_lines(["  a…"]));
    }
}
