//! A text that is looked for without regard to case, in a record's fields and in the raw lines of a log file.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder, bytes};

/// Characters; what is longer is a slip of the clipboard, and a pattern of it would be large.
pub const LONGEST: usize = 500;

/// Compared by its text.
#[derive(Clone, Debug)]
pub struct Needle {
    text: String,
    lower: String,
    in_fields: Regex,
    in_lines: bytes::Regex,
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Needle {
    /// `None` when it is too long to look for.
    pub fn new(text: &str) -> Option<Self> {
        if text.chars().count() > LONGEST {
            return None;
        }
        let forms = forms(text);
        let any = |patterns: Vec<String>| format!("(?i){}", patterns.join("|"));
        let in_fields = any(forms.iter().map(|form| regex::escape(form)).collect());
        let in_lines = any(forms.iter().map(|form| line_pattern(form)).collect());
        Some(Self {
            text: text.to_owned(),
            lower: text.to_lowercase(),
            in_fields: RegexBuilder::new(&in_fields).build().ok()?,
            in_lines: bytes::RegexBuilder::new(&in_lines).build().ok()?,
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `field` contains it.
    pub fn is_in(&self, field: &str) -> bool {
        self.in_fields.is_match(field)
    }

    /// Whether it is the whole of `field`.
    pub fn is_all_of(&self, field: &str) -> bool {
        // What is searched for in raw lines knows letter by letter only, and no field may fit whose line does not.
        field == self.text || (field.to_lowercase() == self.lower && self.is_in(field))
    }

    /// Finds every line of a log file that has it in one of its texts, and some more.
    pub fn in_lines(&self) -> &bytes::Regex {
        &self.in_lines
    }
}

/// A body is mostly JSON itself, so what people look for may stand there with escapes.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    for form in [json_escaped(text, false), json_escaped(text, true)] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// As a JSON string has it, without the quotes; with `ascii` everything else as `\u….` too.
fn json_escaped(text: &str, ascii: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c.is_ascii_control() || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Matches `form` as any JSON writer would put it into a line: our own escapes more than others do.
fn line_pattern(form: &str) -> String {
    let mut pattern = String::new();
    for c in form.chars() {
        match c {
            '"' | '\\' => pattern.push_str(&regex::escape(&format!("\\{c}"))),
            '/' => pattern.push_str(r"\\?/"),
            c if c.is_control() => {
                let code = u32::from(c);
                let short = match c {
                    '\n' => r"\\n|",
                    '\r' => r"\\r|",
                    '\t' => r"\\t|",
                    '\u{8}' => r"\\b|",
                    '\u{c}' => r"\\f|",
                    _ => "",
                };
                // Our own writer escapes what terminals obey; others leave it as it is beyond what JSON demands.
                let bare = if code < 0x20 { String::new() } else { format!(r"|\x{{{code:x}}}") };
                let _ = write!(pattern, r"(?:{short}\\u{code:04x}{bare})");
            }
            c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needle(text: &str) -> Needle {
        Needle::new(text).unwrap()
    }

    #[test]
    fn case_is_no_matter_in_any_script() {
        assert!(needle("RATE limit").is_in("the Rate Limit was hit"));
        assert!(needle("ÄRGER").is_in("kein ärger"));
        assert!(needle("修一下").is_in("请修一下 parser"));
        assert!(!needle("a.c").is_in("abc"), "it is a text and no pattern");
        assert!(needle("Kimi").is_all_of("kIMI") && !needle("kim").is_all_of("kimi"));
        assert!(!needle("i\u{307}").is_all_of("\u{130}"), "two letters are no one letter");
    }

    #[test]
    fn what_stands_in_a_json_body_with_escapes_is_found() {
        let body = r#"{"text":"say \"hi\"\nC:\\x","zh":"\u4fee\ud83e\udd80"}"#;
        for text in ["say \"hi\"", "\"hi\"\nC:\\x", "修🦀", r"\u4fee"] {
            assert!(needle(text).is_in(body), "{text}");
            let line = serde_json::to_string(body).unwrap();
            assert!(needle(text).in_lines().is_match(line.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_text_without_end_is_refused() {
        assert!(Needle::new(&"ß".repeat(LONGEST)).is_some());
        assert!(Needle::new(&"a".repeat(LONGEST + 1)).is_none());
    }

    proptest! {
        #[test]
        fn a_line_that_has_it_is_never_missed(before in ".{0,8}", text in any::<String>(), after in ".{0,8}") {
            let text: String = text.chars().take(40).collect();
            let field = format!("{before}{text}{after}");
            let line = serde_json::to_string(&field).unwrap();
            let needle = needle(&text);
            prop_assert!(needle.in_lines().is_match(line.as_bytes()), "{line}");
            prop_assert!(needle.is_in(&field));
        }
    }
}
