//! Text in terminal cells: foreign text made harmless, measured, cut and wrapped by what it takes on the screen.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::wire::harmless::harmless;

/// `text` on one line with nothing in it that a terminal obeys.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    harmless(text, false)
}

/// Cells that it takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// As a coordinate.
pub(super) fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The beginning of `text` that takes at most `room` cells; `…` stands for what was left out.
pub(super) fn cut(text: &str, room: usize) -> Cow<'_, str> {
    // No character takes less than a byte for each of its cells.
    if text.len() <= room || width(text) <= room {
        return Cow::Borrowed(text);
    }
    if room == 0 {
        return Cow::Borrowed("");
    }
    let end = fitting(text, room - 1);
    Cow::Owned(format!("{}…", &text[..end]))
}

/// How many bytes of `text` take at most `room` cells.
fn fitting(text: &str, room: usize) -> usize {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > room {
            return at;
        }
    }
    text.len()
}

/// `text` in lines of at most `room` cells, broken at its own line breaks, else at a space, else anywhere.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(2);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let line = clean(line.trim_end_matches('\r'));
        let mut rest = line.as_ref();
        while width(rest) > room {
            let fits = fitting(rest, room).max(rest.chars().next().map_or(0, char::len_utf8));
            let space = rest[..fits].rfind(' ').filter(|at| *at > 0);
            let end = space.map_or(fits, |at| at + 1);
            lines.push(rest[..end].trim_end().to_owned());
            rest = &rest[end..];
        }
        lines.push(rest.to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_by_cell() {
        for (text, room, expected) in [
            ("primary", 7, "primary"),
            ("primary", 6, "prima…"),
            ("修一下解析器", 12, "修一下解析器"),
            ("修一下解析器", 11, "修一下解析…"),
            ("修一下解析器", 6, "修一…"),
            ("🦀🦀🦀", 4, "🦀…"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, room), expected, "{text} in {room}");
        }
    }

    #[test]
    fn lines_break_at_spaces_and_inside_what_has_none() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\r\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("修一下", 2), ["修", "一", "下"]);
    }

    proptest! {
        #[test]
        fn what_was_cut_or_wrapped_fits(text in "\\PC{0,40}", room in 2_usize..30) {
            prop_assert!(width(&cut(&text, room)) <= room);
            for line in wrap(&text, room) {
                prop_assert!(width(&line) <= room, "{line:?} in {room}");
            }
        }
    }
}
