//! Where in the text the endpoints stand: each list, entry, key and value by its first and last byte. Starts are the
//! YAML parser's own positions, ends are read off the text; what is misread here is caught by the reading after the edit.

use super::super::tree::{self, Node, Place};

pub(super) type Span = std::ops::Range<usize>;

/// A file's text with its tree, seen for its endpoints.
pub(super) struct Layout<'a> {
    pub text: &'a str,
    root: &'a [(String, Node)],
    /// Which entry of the root is `endpoints`.
    at: usize,
}

/// One endpoint in the text.
pub(super) struct Item {
    /// In braces.
    pub flow: bool,
    /// Of its first key.
    pub start: usize,
    pub keys: Vec<Entry>,
}

/// A key with its value.
pub(super) struct Entry {
    pub name: String,
    pub key: Span,
    /// Without an anchor before it; empty when there is none.
    pub value: Span,
    /// The last byte of the last line that belongs to it, a comment behind it included; in braces that of the value.
    pub end: usize,
}

impl<'a> Layout<'a> {
    /// `None`: there is no such key.
    pub(super) fn new(text: &'a str, root: &'a Node) -> Option<Self> {
        let Node::Map(root) = root else { return None };
        let at = root.iter().position(|(key, _)| key == "endpoints")?;
        Some(Self { text, root, at })
    }

    pub(super) fn nodes(&self) -> &'a [Node] {
        match &self.root[self.at].1 {
            Node::List(items) => items,
            _ => &[],
        }
    }

    fn offset(&self, rest: &[usize], key: bool) -> usize {
        let indices = [&[self.at], rest].concat();
        tree::offset(self.text, &Place { indices, key })
    }

    /// The key `endpoints` and its value, whatever that is; `end` is meant for one that spans no further lines.
    pub(super) fn list(&self) -> Entry {
        let start = self.offset(&[], true);
        self.entry("endpoints", start, self.offset(&[], false), self.end(), false)
    }

    /// Whether the list is in brackets.
    pub(super) fn flow(&self) -> bool {
        self.text[self.list().value.start..].starts_with('[')
    }

    /// Where the section ends: the next key of the file, or its end.
    pub(super) fn end(&self) -> usize {
        if self.at + 1 < self.root.len() {
            return tree::offset(self.text, &Place { indices: vec![self.at + 1], key: true });
        }
        let from = self.offset(&[], true);
        let ends = |line: &str| ["---", "..."].iter().any(|mark| line.trim_end() == *mark);
        lines(self.text, from).find(|span| ends(&self.text[span.clone()])).map_or(self.text.len(), |span| span.start)
    }

    /// In bytes from the start of its line: the dash of each item of a list that is not in brackets.
    pub(super) fn dash_column(&self) -> usize {
        column(self.text, self.list().value.start)
    }

    /// The dash of an item; `None` when it is not where it should be.
    pub(super) fn dash(&self, index: usize) -> Option<usize> {
        let column = self.dash_column();
        let mut at = self.offset(&[index], false);
        loop {
            let start = line_start(self.text, at);
            let line = &self.text[start..line_end(self.text, start)];
            let blank = line.get(..column).is_some_and(|before| before.bytes().all(|byte| byte == b' '));
            let rest = line.get(column..).and_then(|rest| rest.strip_prefix('-'));
            if blank && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
                return Some(start + column);
            }
            at = start.checked_sub(1)?;
        }
    }

    /// Where an item's lines end at the latest.
    pub(super) fn item_limit(&self, index: usize) -> usize {
        let next = (index + 1 < self.nodes().len()).then(|| self.dash(index + 1)).flatten();
        next.unwrap_or_else(|| self.end())
    }

    pub(super) fn item(&self, index: usize) -> Option<Item> {
        let Node::Map(entries) = self.nodes().get(index)? else { return None };
        let start = after_anchor(self.text, self.offset(&[index], false));
        let flow = self.flow() || self.text[start..].starts_with('{');
        let limit = if flow { self.end() } else { self.item_limit(index) };
        let starts: Vec<usize> = (0..entries.len()).map(|at| self.offset(&[index, at], true)).collect();
        let keys = entries.iter().enumerate().map(|(at, (name, _))| {
            let limit = starts.get(at + 1).copied().unwrap_or(limit);
            self.entry(name, starts[at], self.offset(&[index, at], false), limit, flow)
        });
        Some(Item { flow, start, keys: keys.collect() })
    }

    /// The braces of an item.
    pub(super) fn braces(&self, index: usize) -> Option<Span> {
        let item = self.item(index)?;
        let inside = item.keys.last().map_or(item.start + 1, |last| last.value.end);
        let close = skip_blank(self.text, inside, true);
        let close = if self.text[close..].starts_with(',') { skip_blank(self.text, close + 1, true) } else { close };
        self.text[close..].starts_with('}').then_some(item.start..close + 1)
    }

    /// `valued`: where the parser has the value; that is elsewhere for an alias.
    fn entry(&self, name: &str, start: usize, valued: usize, limit: usize, flow: bool) -> Entry {
        let text = self.text;
        let key = start..scalar_end(text, start, flow);
        let colon = skip_blank(text, key.end, true);
        let behind = if text[colon..].starts_with(':') { colon + 1 } else { key.end };
        let here = skip_blank(text, behind, false);
        let ends_here = text[here..].is_empty() || text[here..].starts_with(['\n', '\r', '#']);
        // On a line of its own, or not there.
        let below = valued >= behind && valued < limit && skip_blank(text, behind, true) == valued;
        let value = if ends_here && !below {
            behind..behind
        } else {
            let begins = after_anchor(text, if ends_here { valued } else { here });
            begins..scalar_end(text, begins, flow)
        };
        let end = if flow { value.end } else { content_end(text, value.end, limit) };
        // A value of several lines: a block, or a plain one that goes on.
        if !flow && end > line_end(text, value.end) && !text[value.start..].starts_with(['"', '\'']) {
            return Entry { name: name.to_owned(), key, value: value.start..end, end };
        }
        Entry { name: name.to_owned(), key, value, end }
    }
}

/// The lines from the one that holds `from` on, each without its break.
fn lines(text: &str, from: usize) -> impl Iterator<Item = Span> {
    let mut next = Some(line_start(text, from));
    std::iter::from_fn(move || {
        let start = next?;
        let end = line_end(text, start);
        next = text[end..].find('\n').map(|at| end + at + 1);
        Some(start..end)
    })
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// Before the line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    if text[..end].ends_with('\r') && end > at { end - 1 } else { end }
}

/// Behind the line break.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |found| at + found + 1)
}

/// In bytes from the start of the line.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// How far a line of nothing but a comment is indented; `None` for any other line.
pub(super) fn comment_indent(line: &str) -> Option<usize> {
    let bare = line.trim_start();
    bare.starts_with('#').then(|| line.len() - bare.len())
}

/// Where the last line before `limit` ends that is neither blank nor a comment; at least the line of `from`.
fn content_end(text: &str, from: usize, limit: usize) -> usize {
    let own = line_end(text, from);
    let filled = |span: &Span| {
        let line = &text[span.clone()];
        !is_blank(line) && comment_indent(line).is_none()
    };
    let further =
        lines(text, from).skip(1).take_while(|span| span.start < line_start(text, limit) || limit == text.len());
    further.filter(filled).last().map_or(own, |span| span.end)
}

/// Further comment lines that are indented deeper than `column`: they belong to what ends at `end`.
pub(super) fn with_own_comments(text: &str, end: usize, limit: usize, column: usize) -> usize {
    let mut own = end;
    for span in lines(text, end).skip(1).take_while(|span| span.start < limit) {
        match comment_indent(&text[span.clone()]) {
            Some(indent) if indent > column => own = span.end,
            None if is_blank(&text[span.clone()]) => {}
            _ => break,
        }
    }
    own
}

/// Behind spaces; `further`: behind comments and line breaks as well.
pub(super) fn skip_blank(text: &str, from: usize, further: bool) -> usize {
    let mut at = from;
    while let Some(letter) = text[at..].chars().next() {
        match letter {
            ' ' | '\t' => at += 1,
            '\n' | '\r' if further => at += 1,
            '#' if further && (at == 0 || text[..at].ends_with(char::is_whitespace)) => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

fn after_anchor(text: &str, at: usize) -> usize {
    if !text[at..].starts_with('&') {
        return at;
    }
    let ends = text[at..].find(char::is_whitespace).map_or(text.len(), |found| at + found);
    skip_blank(text, ends, true)
}

/// Where the scalar that starts at `at` ends: one in quotes over any number of lines, a plain one within its line.
fn scalar_end(text: &str, at: usize, flow: bool) -> usize {
    let rest = &text[at..];
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => at + quoted_length(rest, quote),
        _ => at + plain_length(rest, flow),
    }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && quote == '"' {
            letters.next();
        } else if letter == quote && quote == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'') {
            letters.next();
        } else if letter == quote {
            return at + 1;
        }
    }
    rest.len()
}

fn plain_length(rest: &str, flow: bool) -> usize {
    let mut before = ' ';
    for (at, letter) in rest.char_indices() {
        let next = rest[at + letter.len_utf8()..].chars().next();
        let ends = match letter {
            '\n' | '\r' => true,
            ':' => next.is_none_or(|next| next.is_whitespace() || flow && matches!(next, ',' | '}' | ']')),
            '#' => before.is_whitespace(),
            ',' | '[' | ']' | '{' | '}' => flow,
            _ => false,
        };
        if ends {
            return rest[..at].trim_end().len();
        }
        before = letter;
    }
    rest.trim_end().len()
}
