//! Foreign bytes quoted in our own sentences: short, on one line, harmless to a terminal.

const LONGEST: usize = 72;

/// The beginning of `bytes` as printable text; `…` stands for what was left out.
pub fn excerpt(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(4 * (LONGEST + 1))];
    let mut shown = String::new();
    let mut length = 0;
    for c in String::from_utf8_lossy(head).chars() {
        let escaped = Some(c.escape_debug()).filter(|_| !matches!(c, '"' | '\'' | '\\'));
        let width = escaped.as_ref().map_or(1, ExactSizeIterator::len);
        if length + width > LONGEST {
            shown.push('…');
            return shown;
        }
        length += width;
        match escaped {
            Some(escaped) => shown.extend(escaped),
            None => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_short_and_printable() {
        assert_eq!(excerpt(b"<html>\r\n\t\x1b[31m"), "<html>\\r\\n\\t\\u{1b}[31m");
        assert_eq!(excerpt(br#"{"a":'b\n'}"#), r#"{"a":'b\n'}"#);
        assert_eq!(excerpt(b"\xff\xe4\xb8\xad"), "\u{fffd}中");
        for long in ["x".repeat(9_999), "\x07".repeat(9_999), "🦀".repeat(9_999)] {
            let shown = excerpt(long.as_bytes());
            assert!(shown.ends_with('…') && shown.chars().count() <= 80, "{shown}");
        }
    }
}
