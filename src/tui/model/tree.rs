//! A body as a tree that folds. The text stays as it came; a node is a place in it. So five megabytes cost little more
//! than their own bytes, and only the rows on the screen are ever drawn.
//!
//! Bodies in the log are often only a beginning: what is not there closes nothing and is no error.

use std::borrow::Cow;
use std::ops::Range;

/// Nodes beyond it are not told apart: a body of millions of numbers must not cost a hundred times its size.
const MOST_NODES: usize = 400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    /// A number, `true`, `false`, `null`, or what is no JSON at all.
    Plain,
    /// A text that is no JSON, as it is.
    Text,
}

#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub kind: Kind,
    pub depth: u16,
    /// Where its name stands, without quotes; empty for a member of an array.
    key: (u32, u32),
    /// Where its value stands; a string's with its quotes.
    value: (u32, u32),
    /// How many values it holds itself.
    pub children: u32,
    /// Behind its last descendant.
    pub end: u32,
    pub parent: u32,
}

/// What a tab shows: some named parts, each of them JSON or text.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    text: String,
    nodes: Vec<Node>,
}

impl Doc {
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn key(&self, node: &Node) -> &str {
        self.slice(node.key)
    }

    /// As it stands in the text.
    pub fn raw(&self, node: &Node) -> &str {
        self.slice(node.value)
    }

    fn slice(&self, (start, end): (u32, u32)) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// A string as it is meant; everything else as it stands.
    pub fn meant(&self, node: &Node) -> Cow<'_, str> {
        let raw = self.raw(node);
        if node.kind != Kind::String {
            return Cow::Borrowed(raw);
        }
        let inner = raw.strip_prefix('"').unwrap_or(raw);
        let whole = inner.strip_suffix('"');
        if !inner.contains('\\') {
            return Cow::Borrowed(whole.unwrap_or(inner));
        }
        match serde_json::from_str::<String>(raw) {
            Ok(meant) => Cow::Owned(meant),
            Err(_) => Cow::Borrowed(inner),
        }
    }

    /// Adds a part: JSON, or the beginning of one, or any other text.
    pub fn part(&mut self, name: &str, body: &str) {
        let key = self.append(name);
        let value = self.append(body);
        let trimmed = body.trim_start();
        if trimmed.starts_with(['{', '[']) {
            let start = value.end - len(trimmed);
            self.scan(key, start..value.end, 0, None);
        } else {
            let kind = Kind::Text;
            self.node(Node { kind, depth: 0, key: pair(&key), value: pair(&value), children: 0, end: 0, parent: 0 });
        }
    }

    /// Adds a part whose members are the events of a stream, each under its name.
    pub fn events(&mut self, name: &str, stream: &str) {
        let key = self.append(name);
        let value = self.append(stream);
        let top = len_of(&self.nodes);
        let kind = Kind::Array;
        self.node(Node { kind, depth: 0, key: pair(&key), value: pair(&value), children: 0, end: 0, parent: top });
        let mut name = 0..0;
        let mut count = 0;
        let mut at = value.start;
        for line in stream.split_inclusive('\n') {
            let start = at;
            at += len(line);
            let line = line.trim_end_matches(['\r', '\n']);
            let field = |prefix: &str| {
                let rest = line.strip_prefix(prefix)?.trim_start();
                let end = start + len(line);
                Some(end - len(rest)..end)
            };
            if let Some(event) = field("event:") {
                name = event;
            } else if let Some(data) = field("data:") {
                self.scan(std::mem::replace(&mut name, 0..0), data, 1, Some(top));
                count += 1;
            }
        }
        let end = len_of(&self.nodes);
        if let Some(node) = self.nodes.get_mut(top as usize) {
            (node.children, node.end) = (count, end);
        }
    }

    fn append(&mut self, text: &str) -> Range<u32> {
        let start = len(&self.text);
        self.text.push_str(text);
        start..len(&self.text)
    }

    fn node(&mut self, mut node: Node) -> u32 {
        let index = len_of(&self.nodes);
        node.end = index + 1;
        self.nodes.push(node);
        index
    }

    /// Reads one JSON value, or the beginning of one, without recursion.
    fn scan(&mut self, key: Range<u32>, place: Range<u32>, depth: u16, parent: Option<u32>) {
        let text = std::mem::take(&mut self.text);
        Scanner { doc: self, text: text.as_bytes(), at: place.start, end: place.end, open: Vec::new() }
            .run(key, depth, parent);
        self.text = text;
    }
}

/// What has been read of a text, from left to right.
struct Scanner<'a> {
    doc: &'a mut Doc,
    text: &'a [u8],
    at: u32,
    end: u32,
    /// The containers that are open, outermost first.
    open: Vec<u32>,
}

impl Scanner<'_> {
    fn run(mut self, key: Range<u32>, depth: u16, parent: Option<u32>) {
        let root = len_of(&self.doc.nodes);
        self.value(key, depth, parent.unwrap_or(root));
        while let Some(container) = self.open.last().copied() {
            if self.doc.nodes.len() >= MOST_NODES {
                self.at = self.end;
            }
            match self.peek() {
                None => self.close(container),
                Some(b'}' | b']') => {
                    self.at += 1;
                    self.close(container);
                }
                Some(b',' | b':') => self.at += 1,
                Some(_) => self.member(container),
            }
        }
    }

    fn member(&mut self, container: u32) {
        let Node { kind, depth, .. } = self.doc.nodes[container as usize];
        let mut key = 0..0;
        if kind == Kind::Object && self.peek() == Some(b'"') {
            let whole = self.string();
            key = whole.start + 1..(whole.end - 1).max(whole.start + 1);
            if self.peek() == Some(b':') {
                self.at += 1;
            }
        }
        self.doc.nodes[container as usize].children += 1;
        self.value(key, depth.saturating_add(1), container);
    }

    fn value(&mut self, key: Range<u32>, depth: u16, parent: u32) {
        let start = self.skip_space();
        let (kind, end) = match self.peek() {
            Some(b'{') => (Kind::Object, self.end),
            Some(b'[') => (Kind::Array, self.end),
            Some(b'"') => (Kind::String, self.string().end),
            _ => (Kind::Plain, self.plain()),
        };
        let value = (start, end);
        let index = self.doc.node(Node { kind, depth, key: pair(&key), value, children: 0, end: 0, parent });
        if matches!(kind, Kind::Object | Kind::Array) {
            self.at += 1;
            self.open.push(index);
        }
    }

    fn close(&mut self, container: u32) {
        self.open.pop();
        let end = len_of(&self.doc.nodes);
        let node = &mut self.doc.nodes[container as usize];
        (node.value.1, node.end) = (self.at, end);
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        (self.at < self.end).then(|| self.text[self.at as usize])
    }

    fn skip_space(&mut self) -> u32 {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }

    /// The place of a string with its quotes; the closing one may be missing.
    fn string(&mut self) -> Range<u32> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'\\' => self.at = (self.at + 1).min(self.end),
                b'"' => break,
                _ => {}
            }
        }
        start..self.at
    }

    fn plain(&mut self) -> u32 {
        let start = self.at;
        while self.byte().is_some_and(|byte| !matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']')) {
            self.at += 1;
        }
        let bytes = &self.text[start as usize..self.at as usize];
        start + u32::try_from(bytes.trim_ascii_end().len()).unwrap_or(0)
    }
}

fn len(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

fn len_of(nodes: &[Node]) -> u32 {
    u32::try_from(nodes.len()).unwrap_or(u32::MAX)
}

fn pair(range: &Range<u32>) -> (u32, u32) {
    (range.start, range.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(doc: &Doc) -> Vec<String> {
        let line = |node: &Node| {
            let indent = " ".repeat(usize::from(node.depth));
            let value = match node.kind {
                Kind::Object => format!("{{{}}}", node.children),
                Kind::Array => format!("[{}]", node.children),
                _ => doc.raw(node).to_owned(),
            };
            format!("{indent}{}={value}", doc.key(node))
        };
        doc.nodes().iter().map(line).collect()
    }

    fn doc(body: &str) -> Doc {
        let mut doc = Doc::default();
        doc.part("body", body);
        doc
    }

    #[test]
    fn a_body_is_a_tree() {
        let doc = doc(r#" {"a": 1, "b\"c": [true, {"x": "y"}], "e": {}} "#);
        let expected = ["body={3}", " a=1", r#" b\"c=[2]"#, "  =true", "  ={1}", r#"   x="y""#, " e={0}"];
        assert_eq!(lines(&doc), expected);
        assert_eq!(doc.nodes().iter().map(|node| node.end).collect::<Vec<_>>(), [7, 2, 6, 4, 6, 6, 7]);
        assert_eq!(doc.raw(&doc.nodes()[4]), r#"{"x": "y"}"#);
    }

    #[test]
    fn a_body_that_is_only_a_beginning_is_shown_as_far_as_it_goes() {
        assert_eq!(lines(&doc(r#"{"a": [1, {"b": "unfin"#)), ["body={1}", " a=[2]", "  =1", "  ={1}", "   b=\"unfin"]);
        assert_eq!(lines(&doc(r#"{"a"#)), ["body={1}", " ="]);
    }

    #[test]
    fn what_is_no_json_is_text() {
        assert_eq!(lines(&doc("<html>")), ["body=<html>"]);
        assert_eq!(lines(&doc("")), ["body="]);
    }

    #[test]
    fn strings_are_shown_as_they_are_meant() {
        let doc = doc(r#"["a\nb", "plain", "修\u4e00", "cut \u00"#);
        let meant: Vec<_> = doc.nodes()[1..].iter().map(|node| doc.meant(node).into_owned()).collect();
        assert_eq!(meant, ["a\nb", "plain", "修一", r"cut \u00"]);
    }

    #[test]
    fn a_stream_is_a_list_of_its_events() {
        let mut doc = Doc::default();
        doc.events(
            "events",
            "event: ping\ndata: {\"type\":\"ping\"}\n\n: x\r\nevent: a\r\ndata: [DONE]\r\n\r\ndata: 1",
        );
        assert_eq!(lines(&doc), ["events=[3]", " ping={1}", "  type=\"ping\"", " a=[1]", "  =DONE", " =1"]);
        assert_eq!(doc.nodes()[0].end, 6);
    }

    #[test]
    fn nesting_costs_no_stack_and_numbers_no_hundredfold() {
        let deep = doc(&"[".repeat(300_000));
        assert_eq!((deep.nodes().len(), deep.nodes()[0].end), (300_000, 300_000));
        let wide = doc(&format!("[{}]", "1,".repeat(1_000_000)));
        assert!(wide.nodes().len() <= MOST_NODES + 1);
    }

    proptest! {
        #[test]
        fn any_text_and_any_beginning_of_it_is_shown(text in "[\\[\\]{}\":,a\\\\ 1修]{0,60}") {
            let doc = doc(&text);
            for node in doc.nodes() {
                let _ = (doc.key(node), doc.raw(node), doc.meant(node));
                prop_assert!(node.end as usize <= doc.nodes().len());
            }
        }
    }
}
