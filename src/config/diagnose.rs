//! What is wrong with the file, drawn: what, where, why, and what to do.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::mask;
use super::tree::{self, Node, Place};

/// Longer lines are cut around the mark.
const WIDEST: usize = 120;

/// One thing that is wrong, before it is drawn.
#[derive(Debug)]
pub struct Problem {
    pub place: Place,
    /// The key's path as it should be; empty: that of `place`.
    pub path: String,
    /// A whole sentence; without it the key's path stands before `what`.
    pub subject: Option<String>,
    pub what: String,
    /// Stands beside the carets.
    pub label: String,
    pub help: Option<String>,
}

impl Problem {
    pub fn new(place: Place, what: impl Into<String>) -> Self {
        Self { place, path: String::new(), subject: None, what: what.into(), label: String::new(), help: None }
    }

    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Says who it is about in place of the key's path, which then stands behind the position.
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// The text that problems are drawn into.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// How the file is called in messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// One thing that is wrong, with the line where it stands; holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `endpoints[1].priority`; empty when it is about the file as a whole.
    pub path: String,
    pub message: String,
    pub help: Option<String>,
    pub shown: Option<Excerpt>,
}

/// A line of the file with the part that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    text: String,
    indent: usize,
    width: usize,
    label: String,
}

impl Source<'_> {
    pub fn draw(self, root: &Node, problem: Problem) -> Finding {
        let offset = tree::offset(self.text, &problem.place);
        let path = if problem.path.is_empty() { root.path(&problem.place) } else { problem.path.clone() };
        self.draw_at(offset, path, problem)
    }

    /// Draws a problem at a byte of the text rather than at a node.
    pub fn draw_at(self, offset: usize, path: String, problem: Problem) -> Finding {
        let message = match &problem.subject {
            Some(subject) => format!("{subject} {}", problem.what),
            None if path.is_empty() => problem.what,
            None => format!("{path}: {}", problem.what),
        };
        Finding { path, message, help: problem.help, shown: Some(self.excerpt(offset, problem.label)) }
    }

    fn excerpt(self, offset: usize, label: String) -> Excerpt {
        let offset = self.text.floor_char_boundary(offset);
        let breaks = |c: char| c == '\n' || c == '\r';
        let start = self.text[..offset].rfind(breaks).map_or(0, |at| at + 1);
        let end = self.text[offset..].find(breaks).map_or(self.text.len(), |at| offset + at);
        let line = &self.text[start..end];
        let (text, mark) = mask::masked(line, offset - start);
        let (text, mark) = cut(&text, mark.start.min(text.len())..mark.end.min(text.len()));
        Excerpt {
            file: self.name.to_owned(),
            line: count_lines(&self.text[..start]),
            column: line[..offset - start].chars().count() + 1,
            indent: printable(&text[..mark.start]).width(),
            width: printable(&text[mark]).width().max(1),
            text: printable(&text),
            label,
        }
    }
}

/// The number of the line that begins behind `before`, from 1; CR, LF and CRLF each end a line.
fn count_lines(before: &str) -> usize {
    let lone = before.bytes().zip(before.bytes().skip(1)).filter(|&(a, b)| a == b'\r' && b != b'\n').count();
    before.bytes().filter(|b| *b == b'\n').count() + lone + usize::from(before.ends_with('\r')) + 1
}

/// At most `WIDEST` characters around the mark.
fn cut(text: &str, mark: std::ops::Range<usize>) -> (String, std::ops::Range<usize>) {
    let count = |part: &str| part.chars().count();
    if count(text) <= WIDEST {
        return (text.to_owned(), mark);
    }
    let skip = count(&text[..mark.start]).saturating_sub(WIDEST / 3);
    let from = text.char_indices().nth(skip).map_or(0, |(at, _)| at);
    let to = text[from..].char_indices().nth(WIDEST).map_or(text.len(), |(at, _)| from + at);
    let head = if from > 0 { "…" } else { "" };
    let tail = if to < text.len() { "…" } else { "" };
    let moved = |at: usize| at.clamp(from, to) - from + head.len();
    (format!("{head}{}{tail}", &text[from..to]), moved(mark.start)..moved(mark.end))
}

/// One column for each tab; nothing that could drive a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The settings cannot be used. `Display` is the whole of what a person should see.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// At least one.
    pub findings: Vec<Finding>,
    pub file: Option<PathBuf>,
}

impl ConfigError {
    /// About a file as a whole.
    pub fn file(path: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        let finding = Finding { path: String::new(), message: message.into(), help: Some(help.into()), shown: None };
        Self { findings: vec![finding], file: Some(path.to_path_buf()) }
    }

    /// On one line: for logs and the admin API.
    pub fn message(&self) -> String {
        let one = |finding: &Finding| match &finding.shown {
            Some(at) => format!("{}:{}:{}: {}{}", at.file, at.line, at.column, finding.message, finding.behind()),
            None => finding.message.clone(),
        };
        self.findings.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// What to do about the first problem.
    pub fn hint(&self) -> Option<&str> {
        self.findings.first().and_then(|finding| finding.help.as_deref())
    }

    /// As `Display`, with colours.
    pub fn styled(&self) -> String {
        self.render(AnsiColor::Red.on_default().bold(), AnsiColor::Cyan.on_default())
    }

    fn render(&self, alarm: Style, quiet: Style) -> String {
        let drawn: Vec<String> = self.findings.iter().map(|finding| finding.render(alarm, quiet)).collect();
        drawn.join("\n\n")
    }
}

impl Finding {
    /// The key's path, where the message does not hold it.
    fn behind(&self) -> String {
        if self.path.is_empty() || self.message.contains(&self.path) {
            String::new()
        } else {
            format!(" ({})", self.path)
        }
    }

    fn render(&self, alarm: Style, quiet: Style) -> String {
        let mut out = format!("{alarm}error{alarm:#}: {}", self.message);
        // Writing to a String cannot fail.
        if let Some(at) = &self.shown {
            let number = at.line.to_string();
            let gutter = number.len();
            let behind = self.behind();
            let _ = write!(out, "\n{:gutter$}{quiet}-->{quiet:#} {}:{}:{}{behind}", "", at.file, at.line, at.column);
            let _ = write!(out, "\n{quiet}{number} |{quiet:#} {}", at.text);
            let carets = "^".repeat(at.width);
            let _ = write!(out, "\n{:gutter$} {quiet}|{quiet:#} {:2$}{alarm}{carets}", "", "", at.indent);
            let space = if at.label.is_empty() { "" } else { " " };
            let _ = write!(out, "{space}{}{alarm:#}", at.label);
        }
        if let Some(help) = &self.help {
            let _ = write!(out, "\n{quiet}help{quiet:#}: {help}");
        }
        out
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::new(), Style::new()))
    }
}

impl std::error::Error for ConfigError {}

/// `a, b or c`
pub fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

/// How much two words are alike, from 0 to 1; dashes, spaces and case count little.
pub fn likeness(written: &str, known: &str) -> f64 {
    let flat = |word: &str| word.to_lowercase().replace(['-', ' ', '.'], "_");
    let (written, known) = (flat(written), flat(known));
    let plain = strsim::normalized_damerau_levenshtein(&written, &known);
    let squeezed = strsim::normalized_damerau_levenshtein(&written.replace('_', ""), &known.replace('_', ""));
    plain.max(squeezed)
}

/// The known word that was probably meant: the one most alike, else the shortest that the written one is a piece of.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (likeness(written, word), *word)).filter(|(score, _)| *score > 0.5);
    let alike = scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word);
    alike.or_else(|| known.iter().filter(|word| is_piece(written, word)).min_by_key(|word| word.len()).copied())
}

/// `grace` of `shutdown_grace`, `dir` of `log_directory`, `logs` of `logging`.
fn is_piece(written: &str, known: &str) -> bool {
    let written = written.to_lowercase();
    let stem = written.strip_suffix('s').unwrap_or(&written);
    stem.len() > 2 && known.split('_').any(|part| part.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_that_was_meant() {
        let known = ["auth_type", "auth_value", "name", "url", "priority", "path_prefix"];
        for (written, meant) in [
            ("auth_valu", Some("auth_value")),
            ("authType", Some("auth_type")),
            ("auth-type", Some("auth_type")),
            ("prioirty", Some("priority")),
            ("prefix", Some("path_prefix")),
            ("zzz", None),
            ("au", None),
            ("prio", Some("priority")),
            ("auth", Some("auth_type")),
            ("type", Some("auth_type")),
            ("path", Some("path_prefix")),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
        for (written, meant) in [
            ("log", "logging"),
            ("logs", "logging"),
            ("grace", "shutdown_grace"),
            ("dir", "log_directory"),
            ("idle", "stream_idle"),
            ("strict", "strict_anthropic_format"),
            ("age", "max_age"),
        ] {
            assert_eq!(nearest(written, &[meant, "url"]), Some(meant), "{written}");
        }
        assert_eq!(one_of(&["a", "b", "c"]), "a, b or c");
    }

    #[test]
    fn wide_characters_and_tabs_keep_the_carets_below() {
        let source = Source { name: "c.yaml", text: "名字: x\r\nserver: { host: \"主\",\tport: wrong }\r\n" };
        let place = parse_place(source.text, "server.port");
        let finding = source.draw(&tree::parse(source.text).map_err(|e| e.said).unwrap(), place);
        let error = ConfigError { findings: vec![finding], file: None };
        let expected = "error: server.port: expected a number\n --> c.yaml:2:28\n2 | server: { host: \"主\", port: wrong }\n  |                             ^^^^^ here";
        assert_eq!(error.to_string(), expected);
    }

    fn parse_place(text: &str, path: &str) -> Problem {
        let node = tree::parse(text).map_err(|e| e.said).unwrap();
        Problem::new(node.find(path), "expected a number").label("here")
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("server: {{ host: {}, port: wrong }}", "x-".repeat(100));
        let source = Source { name: "c.yaml", text: &text };
        let drawn = source.draw(&Node::Null, parse_place(&text, "server.port"));
        let excerpt = drawn.shown.unwrap();
        assert!(excerpt.text.chars().count() <= WIDEST + 2, "{}", excerpt.text);
        assert_eq!(&excerpt.text.chars().skip(excerpt.indent).take(5).collect::<String>(), "wrong");
    }
}
