//! Which parts of a line of the file may be shown. A key may stand anywhere: under a misspelt name, in the wrong
//! place, on a line that is no YAML at all. So nothing is shown but what is known to be harmless.

use std::ops::Range;

/// What stands for a value that is not shown.
const MASK: &str = "***";

/// Keys whose values are credentials.
const SECRET: [&str; 2] = ["auth_value", "auth_token"];

/// Keys whose values are free text.
const FREE: [&str; 8] = ["name", "url", "path_prefix", "proxy", "ca_file", "host", "log_directory", "probe_model"];

/// All other keys: their values are numbers and single words.
const PLAIN: [&str; 30] = [
    "server",
    "port",
    "max_body",
    "shutdown_grace",
    "endpoints",
    "auth_type",
    "enabled",
    "priority",
    "http",
    "logging",
    "level",
    "log_request_types",
    "log_request_body",
    "log_response_body",
    "retention",
    "max_age",
    "max_size",
    "validation",
    "strict_anthropic_format",
    "validate_streaming",
    "disconnect_on_invalid",
    "health",
    "window",
    "min_failures",
    "check_interval",
    "check_timeout",
    "timeouts",
    "connect",
    "first_byte",
    "stream_idle",
];
const PLAIN_TOO: [&str; 2] = ["commit", "web_admin"];

/// Every key of the file.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    SECRET.into_iter().chain(FREE).chain(PLAIN).chain(PLAIN_TOO)
}

pub fn is_secret_key(key: &str) -> bool {
    SECRET.contains(&key)
}

/// A piece of a line: a key or a value, in bytes of the line.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    pub range: Range<usize>,
    pub is_key: bool,
    pub shown: bool,
}

/// A key for a message: as written when it is harmless. Our keys have no digits, and hardly a credential has none.
pub fn shown_key(key: &str) -> &str {
    let plain = key.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '-' | '<' | '?'));
    if plain && key.chars().count() <= 32 && (known_keys().any(|known| known == key) || !looks_secret(key)) {
        key
    } else {
        MASK
    }
}

/// Whether free text may hold a credential: a key's prefix, user info or a query of a URL, or a long mixed run of
/// letters and digits.
pub fn looks_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mixed = |run: &str| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= 20 || run.len() >= 12 && digits > 0 && digits < run.len()
    };
    lower.contains("sk-")
        || text.contains(['@', '?', '\\'])
        || text.contains(":-")
        || text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '='))).any(mixed)
}

/// Whether the value of `key` may be shown as written.
pub fn may_show(key: Option<&str>, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    match key {
        _ if matches!(value, "" | "~" | "null") => true,
        None => known_keys().any(|known| known == value),
        Some(key) if is_secret_key(key) => is_reference(value),
        Some(key) if FREE.contains(&key) => is_reference(value) || !looks_secret(value),
        Some(key) if known_keys().any(|known| known == key) => is_reference(value) || is_plain(value),
        Some(_) => false,
    }
}

/// `${NAME}` alone, or `file:PATH`: it says where the secret is, not what it is.
fn is_reference(value: &str) -> bool {
    if let Some(path) = value.strip_prefix("file:") {
        return !looks_secret(path);
    }
    let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(is_variable)
}

/// A variable's name that is safe to repeat: upper case, as such names are.
pub fn is_variable(name: &str) -> bool {
    let shouting = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    !name.is_empty() && name.len() <= 48 && (shouting || word && !looks_secret(name))
}

/// A number, perhaps with a unit, or one short word.
fn is_plain(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | ' '));
    let number = value.len() - unit.len();
    let letters = unit.bytes().all(|b| b.is_ascii_alphabetic());
    let word = value.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-'));
    (number > 0 && number <= 12 && unit.len() <= 3 && letters) || (word && value.len() <= 16 && !looks_secret(value))
}

/// The keys and values of one line, in order. Comments are left out.
pub fn tokens(line: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut key: Option<&str> = None;
    // Where YAML expects a key; anywhere else what looks like one may be the inside of a credential.
    let mut key_may_come = true;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        match c {
            '#' if at == 0 || line[..at].ends_with(char::is_whitespace) => break,
            '{' | '[' => (key_may_come, depth, at) = (c == '{', depth + 1, at + 1),
            '}' | ']' | ',' if depth > 0 => {
                (key_may_come, depth, at) = (c == ',', depth - usize::from(c != ','), at + 1);
            }
            '-' | '?' if rest[1..].is_empty() || rest[1..].starts_with([' ', '\t']) => at += 1,
            c if c.is_whitespace() || c == ':' => at += c.len_utf8(),
            _ => {
                let end = at + scalar_length(rest, depth > 0);
                let text = &line[at..end];
                let after = line[end..].trim_start();
                let is_key = after.starts_with(':')
                    && (after[1..].is_empty() || after[1..].starts_with([' ', '\t']) || c == '"' || c == '\'');
                let shown = if is_key {
                    let bare = text.trim_matches(['"', '\'']);
                    key = Some(bare);
                    (key_may_come && shown_key(bare) == bare) || known_keys().any(|known| known == bare)
                } else {
                    may_show(key, text)
                };
                found.push(Token { range: at..end, is_key, shown });
                key_may_come = false;
                at = end;
            }
        }
    }
    found
}

/// How many bytes the scalar at the start of `rest` has on this line.
fn scalar_length(rest: &str, flow: bool) -> usize {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(length) = quote.map(|quote| quoted_length(rest, quote)) {
        return if length == rest.len() { rest.trim_end().len() } else { length };
    }
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        let next = rest[at + c.len_utf8()..].chars().next();
        let ends = c == ':' && next.is_none_or(char::is_whitespace)
            || c == '#' && before.is_whitespace()
            || flow && matches!(c, ',' | '[' | ']' | '{' | '}');
        if ends {
            return rest[..at].trim_end().len().max(1);
        }
        before = c;
    }
    rest.trim_end().len()
}

/// How many bytes the quoted scalar at the start of `rest` has; all of them when the quote is not closed.
pub fn quoted_length(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        let doubled = quote == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'');
        let escapes = if quote == '"' { letter == '\\' } else { letter == quote && doubled };
        if escapes {
            letters.next();
        } else if letter == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// The line as it may be shown, and where byte `at` of the line stands in it: start and length in bytes of the text.
pub fn masked(line: &str, at: usize) -> (String, Range<usize>) {
    let mut text = String::new();
    let mut copied = 0;
    let mut mark = None;
    for token in tokens(line) {
        text.push_str(&line[copied..token.range.start]);
        let start = text.len();
        text.push_str(if token.shown { &line[token.range.clone()] } else { MASK });
        if token.range.contains(&at) {
            mark = Some(start..text.len());
        } else if at < token.range.start && mark.is_none() {
            // A bracket or a dash before this token: it stood in what was copied just now.
            let here = start - (token.range.start - at);
            mark = Some(here..here + 1);
        }
        copied = token.range.end;
    }
    // Behind the last token there is at most punctuation and a comment, which may hold a key that was commented out.
    let tail = line[copied..].split('#').next().unwrap_or_default().trim_end();
    let here = text.len() + at.saturating_sub(copied).min(tail.len());
    text.push_str(tail);
    let mark = mark.unwrap_or(here..here + 1);
    let bracket = line[at.min(line.len())..].starts_with(['{', '[']);
    let end = if bracket { text.trim_end().len().max(mark.end) } else { mark.end };
    let end = text.ceil_char_boundary(end);
    (text, mark.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        masked(line, 0).0
    }

    #[test]
    fn a_credential_is_masked_wherever_it_stands() {
        for (line, expected) in [
            ("  auth_value: sk-ant-api03-abc", "  auth_value: ***"),
            ("  auth_value: hunter2 # old: hunter3", "  auth_value: ***"),
            ("  auth_value: [hunter2, 'hunter3']", "  auth_value: [***, ***]"),
            ("  auth_valu: hunter2", "  auth_valu: ***"),
            ("  priority: hunter2", "  priority: ***"),
            ("  port: sk-secret", "  port: ***"),
            ("  url: https://me:hunter2@host/", "  url: ***"),
            ("  proxy: \"http://me:hunter2@host\"", "  proxy: ***"),
            (
                "  - { name: a, auth_value: 'hunter2', priority: two }",
                "  - { name: a, auth_value: ***, priority: two }",
            ),
            ("  auth_value:hunter2", "  ***"),
            ("  auth_value hunter2", "  ***"),
            ("    hunter2", "    ***"),
            ("  auth_value: \"hunter2", "  auth_value: ***"),
            ("  auth_value: a: hunter2", "  auth_value: ***: ***"),
            ("  auth_value: [hunter2: 1]", "  auth_value: [***: ***]"),
            ("  auth_value: ${KEY:-hunter2}", "  auth_value: ***"),
            ("  sk-ant-hunter2: x", "  ***: ***"),
            ("# auth_value: hunter2", ""),
            ("  \"auth_value\":hunter2", "  \"auth_value\":***"),
            ("{auth_value: it's hunter2, port: 1}", "{auth_value: ***, port: 1}"),
            (r#"{name: "*\\", auth_value: "hunter2{"}"#, r"{name: ***, auth_value: ***}"),
            (r#"{auth_value: "a\" b: hunter2", port: 1}"#, "{auth_value: ***, port: 1}"),
            (r"{name: 'a\', auth_value: 'it''s hunter2'}", "{name: ***, auth_value: ***}"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn what_helps_and_harms_not_is_shown() {
        for line in [
            "  auth_value: ${MIRROR_KEY}",
            "  auth_value: file:keys/mirror",
            "  level: inof",
            "  priority: two",
            "  port: 99999",
            "  connect: 10 sec",
            "  url: ftp://api.example.com/v1",
            "  log_directory: ./日志",
            "web_admin: { enabled: true, host: 127.0.0.1, port: 8081 }",
        ] {
            assert_eq!(shown(line), line);
        }
    }

    #[test]
    fn the_mark_moves_with_what_was_masked() {
        let line = "  - { auth_value: hunter2222222222222, priority: two }";
        let (text, mark) = masked(line, line.find("two").unwrap());
        assert_eq!(&text[mark], "two");
        let (text, mark) = masked(line, line.find("hunter").unwrap());
        assert_eq!(&text[mark], "***");
        let (text, mark) = masked(line, 4);
        assert_eq!(&text[mark], "{ auth_value: ***, priority: two }");
    }
}
