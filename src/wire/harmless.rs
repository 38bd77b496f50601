//! Text from anywhere, made so that a terminal shows it and obeys none of it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a terminal can show without obeying it: every control character, and every one that turns the direction of
/// text, is written out (`\u{1b}`). Line breaks stay when `lines` says so, and tabs with them.
pub fn harmless(text: &str, lines: bool) -> Cow<'_, str> {
    let obeyed = |c: char| is_obeyed(c) && !(lines && matches!(c, '\n' | '\t'));
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does something at this character instead of showing it.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// JSON with every character escaped that a terminal obeys, which JSON takes for the same. JSON text has them within
/// strings only, but for the line breaks and tabs that lay it out; those stay.
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    let obeyed = |c: char| is_obeyed(c) && !matches!(c, '\n' | '\t');
    if !json.contains(obeyed) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if obeyed(c) {
            // Writing to a String cannot fail; every one of them is of one UTF-16 unit.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(harmless("a\u{1b}[31m\u{9b}2J\u{7f}\n", false), "a\\u{1b}[31m\\u{9b}2J\\u{7f}\\n");
        assert_eq!(harmless("a\n\tb\r", true), "a\n\tb\\r");
        assert_eq!(harmless("\u{202e}evil", true), "\\u{202e}evil");
        assert!(matches!(harmless("修一下 🦀", false), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_json_and_drives_no_terminal() {
        let told = serde_json::json!({ "a": "x\u{1b}[2J\u{7f}\u{80}\u{9b}31m\u{9f}\u{202e}\u{feff}\r\n\t修🦀" });
        for text in [told.to_string(), serde_json::to_string_pretty(&told).unwrap()] {
            let shown = harmless_json(&text);
            assert!(!shown.contains(|c| is_obeyed(c) && c != '\n'), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), told);
        }
        assert!(matches!(harmless_json("{\n\t\"修\": 1\n}"), Cow::Borrowed(_)));
    }
}
