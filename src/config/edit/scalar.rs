//! One value as YAML: plain where every reader takes it for the same text, in quotes else.

use super::super::tree::{self, Node};

/// What stands around a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Only where they are needed.
    Needed,
    Single,
    Double,
}

impl Quotes {
    /// As what is written there now.
    pub(super) fn of(written: &str) -> Self {
        match written.chars().next() {
            Some('\'') => Self::Single,
            Some('"') => Self::Double,
            _ => Self::Needed,
        }
    }
}

/// `flow`: it will stand in brackets.
pub(super) fn write(value: &Node, quotes: Quotes, flow: bool) -> String {
    let text = match value {
        Node::Bool(value) => return value.to_string(),
        Node::Int(value) => return value.to_string(),
        Node::Text(text) => text,
        _ => return "null".to_owned(),
    };
    // A JSON string is a YAML string.
    let double = || serde_json::Value::from(text.as_str()).to_string();
    match quotes {
        Quotes::Needed if is_plain(text, flow) => text.clone(),
        Quotes::Single if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', "''")),
        _ => double(),
    }
}

/// Old readers know more words for true and more ways to write a number than ours does.
fn is_plain(text: &str, flow: bool) -> bool {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~"];
    let begins = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '$' | '_'))
        || ["./", "../", "~/"].iter().any(|start| text.starts_with(start));
    let harmless = |c: char| c.is_alphanumeric() || "_-./:@+=$%~ ".contains(c) || (!flow && "{},()!?;&*".contains(c));
    begins && text.chars().all(harmless) && !WORDS.contains(&text.to_ascii_lowercase().as_str()) && reads_as(text, flow)
}

/// A colon or a space may still make something else of it.
fn reads_as(text: &str, flow: bool) -> bool {
    let written = if flow { format!("{{k: {text}, l: 1}}") } else { format!("k: {text} # c\n") };
    let Ok(Node::Map(entries)) = tree::parse(&written) else { return false };
    matches!(entries.first(), Some((_, Node::Text(read))) if read == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_stand_where_they_are_needed() {
        for (text, block, flow) in [
            ("primary", "primary", "primary"),
            ("https://api.example.com/a", "https://api.example.com/a", "https://api.example.com/a"),
            ("${KEY}", "${KEY}", "\"${KEY}\""),
            ("file:keys/kimi", "file:keys/kimi", "file:keys/kimi"),
            ("主 名", "主 名", "主 名"),
            ("./corp.pem", "./corp.pem", "./corp.pem"),
            ("1.1", "\"1.1\"", "\"1.1\""),
            ("yes", "\"yes\"", "\"yes\""),
            ("", "\"\"", "\"\""),
            ("a: b", "\"a: b\"", "\"a: b\""),
            ("a #b", "\"a #b\"", "\"a #b\""),
            ("a ", "\"a \"", "\"a \""),
            ("-x", "\"-x\"", "\"-x\""),
            ("*x", "\"*x\"", "\"*x\""),
            ("a\"b", "\"a\\\"b\"", "\"a\\\"b\""),
            ("9router", "\"9router\"", "\"9router\""),
            ("a,b", "a,b", "\"a,b\""),
        ] {
            let node = Node::Text(text.into());
            assert_eq!(write(&node, Quotes::Needed, false), block);
            assert_eq!(write(&node, Quotes::Needed, true), flow);
        }
        let odd = Node::Text("it's".into());
        assert_eq!(write(&odd, Quotes::Single, false), "'it''s'");
        assert_eq!(write(&Node::Text("a\tb".into()), Quotes::Single, false), "\"a\\tb\"");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(text in "[ -~é主\\t]{0,20}", style in 0..3, flow: bool) {
            let quotes = [Quotes::Needed, Quotes::Single, Quotes::Double][usize::try_from(style).unwrap()];
            let written = write(&Node::Text(text.clone()), quotes, flow);
            let whole = if flow { format!("{{auth_value: {written}, b: 1}}") } else { format!("auth_value: {written} # c\n") };
            let Ok(Node::Map(entries)) = tree::parse(&whole) else { panic!("{whole}") };
            prop_assert!(entries[0].1 == Node::Text(text), "{}", whole);
        }
    }
}
