//! Which nodes of a tree are open, which rows that makes, and where the reader is in them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::tree::{Doc, Kind, Node};
use crate::tui::keys::Motion;
use crate::tui::text;

/// Containers of at most so many bytes are open at first.
const SMALL: usize = 400;
/// A text that is wrapped shows at most so many lines.
const MOST_LINES: usize = 20_000;

/// One row: a node, or a line of its unwrapped text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowOf {
    pub node: u32,
    /// 0: the node itself; from 1 on, the lines of its text.
    pub line: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Outline {
    doc: Arc<Doc>,
    folded: HashSet<u32>,
    /// Texts that are shown in full, wrapped to `width`.
    unwrapped: BTreeMap<u32, Vec<String>>,
    width: usize,
    rows: Vec<RowOf>,
    cursor: usize,
    top: usize,
    /// What was searched for, in lower case.
    needle: String,
}

impl Outline {
    pub fn new(doc: Arc<Doc>, width: usize) -> Self {
        let mut outline = Self { doc, width, ..Self::default() };
        for (index, node) in (0..).zip(outline.doc.nodes()) {
            let small = outline.doc.raw(node).len() <= SMALL;
            let inner = matches!(node.kind, Kind::Object | Kind::Array) && node.depth > 0;
            if inner && !small {
                outline.folded.insert(index);
            }
        }
        let texts = (0..).zip(outline.doc.nodes()).filter(|(_, node)| node.kind == Kind::Text);
        for index in texts.map(|(index, _)| index).collect::<Vec<u32>>() {
            outline.unwrap(index);
        }
        outline.lay_out();
        outline
    }

    pub fn doc(&self) -> &Doc {
        &self.doc
    }

    pub fn rows(&self) -> &[RowOf] {
        &self.rows
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn top(&self) -> usize {
        self.top
    }

    pub fn needle(&self) -> &str {
        &self.needle
    }

    pub fn is_folded(&self, node: u32) -> bool {
        self.folded.contains(&node)
    }

    /// The line of an unwrapped text.
    pub fn line(&self, row: RowOf) -> Option<&str> {
        let lines = self.unwrapped.get(&row.node)?;
        lines.get(row.line.checked_sub(1)? as usize).map(String::as_str)
    }

    pub fn is_unwrapped(&self, node: u32) -> bool {
        self.unwrapped.contains_key(&node)
    }

    /// For a view of another width texts are wrapped anew. Whether it is another one.
    pub fn set_width(&mut self, width: usize) -> bool {
        if self.width == width {
            return false;
        }
        self.width = width;
        let open: Vec<u32> = self.unwrapped.keys().copied().collect();
        for node in open {
            self.unwrap(node);
        }
        self.lay_out();
        true
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.doc.nodes().get(index as usize)
    }

    fn unwrap(&mut self, index: u32) {
        let Some(node) = self.node(index) else { return };
        let indent = usize::from(node.depth) * 2 + 4;
        let mut lines = text::wrap(&self.doc.meant(node), self.width.saturating_sub(indent).max(16));
        if lines.len() > MOST_LINES {
            let more = lines.len() - MOST_LINES;
            lines.truncate(MOST_LINES);
            lines.push(format!("… {more} more lines: y copies the record"));
        }
        self.unwrapped.insert(index, lines);
    }

    /// The rows anew; the cursor stays on its node.
    fn lay_out(&mut self) {
        let on = self.rows.get(self.cursor).copied();
        self.rows.clear();
        let mut at = 0;
        while let Some(node) = self.node(at) {
            let end = node.end;
            self.rows.push(RowOf { node: at, line: 0 });
            let folded = self.folded.contains(&at);
            if let Some(lines) = self.unwrapped.get(&at).filter(|_| !folded) {
                let lines = 1..=u32::try_from(lines.len()).unwrap_or(u32::MAX);
                self.rows.extend(lines.map(|line| RowOf { node: at, line }));
            }
            at = if folded { end } else { at + 1 };
        }
        if let Some(on) = on {
            self.cursor = self.rows.partition_point(|row| (row.node, row.line) <= (on.node, on.line)).saturating_sub(1);
        }
        self.cursor = self.cursor.min(self.rows.len().saturating_sub(1));
    }

    pub fn go(&mut self, motion: Motion, height: usize) {
        let last = self.rows.len().saturating_sub(1);
        let page = height.max(2) - 1;
        self.cursor = match motion {
            Motion::Up => self.cursor.saturating_sub(1),
            Motion::Down => self.cursor + 1,
            Motion::PageUp => self.cursor.saturating_sub(page),
            Motion::PageDown => self.cursor + page,
            Motion::HalfUp => self.cursor.saturating_sub(height / 2),
            Motion::HalfDown => self.cursor + height / 2,
            Motion::First => 0,
            Motion::Last => last,
        }
        .min(last);
        self.reveal(height);
    }

    pub fn reveal(&mut self, height: usize) {
        let height = height.max(1);
        self.top = self.top.clamp((self.cursor + 1).saturating_sub(height), self.cursor);
    }

    /// Puts the cursor on a row of the screen.
    pub fn point(&mut self, line: usize) {
        self.cursor = (self.top + line).min(self.rows.len().saturating_sub(1));
    }

    /// Folds or unfolds a container, wraps or unwraps a text.
    pub fn toggle(&mut self, height: usize) {
        let Some(row) = self.rows.get(self.cursor).copied() else { return };
        let Some(kind) = self.node(row.node).map(|node| node.kind) else { return };
        match kind {
            Kind::Object | Kind::Array if !self.folded.remove(&row.node) => {
                self.folded.insert(row.node);
            }
            Kind::Object | Kind::Array | Kind::Plain => {}
            Kind::String | Kind::Text => {
                if self.unwrapped.remove(&row.node).is_none() {
                    self.unwrap(row.node);
                } else {
                    self.cursor = self.rows.iter().position(|other| other.node == row.node).unwrap_or(self.cursor);
                }
            }
        }
        self.lay_out();
        self.reveal(height);
    }

    /// Folds the container that the cursor is in, or on, and goes to it.
    pub fn fold(&mut self, height: usize) {
        let Some(row) = self.rows.get(self.cursor).copied() else { return };
        let Some(node) = self.node(row.node).copied() else { return };
        let open = |index: u32, kind| matches!(kind, Kind::Object | Kind::Array) && !self.folded.contains(&index);
        let target = if open(row.node, node.kind) { row.node } else { node.parent };
        if self.node(target).is_some_and(|node| matches!(node.kind, Kind::Object | Kind::Array)) {
            self.folded.insert(target);
        }
        self.cursor = self.rows.iter().position(|row| row.node == target).unwrap_or(self.cursor);
        self.lay_out();
        self.reveal(height);
    }

    pub fn fold_all(&mut self, height: usize) {
        let containers = (0..)
            .zip(self.doc.nodes())
            .filter(|(_, node)| matches!(node.kind, Kind::Object | Kind::Array) && node.depth > 0);
        self.folded = containers.map(|(index, _)| index).collect();
        self.lay_out();
        self.reveal(height);
    }

    pub fn unfold_all(&mut self, height: usize) {
        self.folded.clear();
        self.lay_out();
        self.reveal(height);
    }

    /// Looks for `text`, letters of either case, and goes to the first place from the cursor on. How many nodes have it.
    pub fn search(&mut self, text: &str, height: usize) -> usize {
        self.needle = text.to_lowercase();
        let hits = self.hits();
        self.go_to_hit(&hits, true, true, height);
        hits.len()
    }

    /// To the next place, or the previous one; around the end.
    pub fn next_hit(&mut self, forward: bool, height: usize) {
        let hits = self.hits();
        self.go_to_hit(&hits, forward, false, height);
    }

    fn go_to_hit(&mut self, hits: &[u32], forward: bool, here_too: bool, height: usize) {
        let here = self.rows.get(self.cursor).map_or(0, |row| row.node);
        let found = if forward {
            hits.iter().find(|hit| **hit > here || here_too && **hit == here).or(hits.first())
        } else {
            hits.iter().rev().find(|hit| **hit < here).or(hits.last())
        };
        let Some(found) = found.copied() else { return };
        let mut at = found;
        // A container that holds itself is at the top.
        while let Some(parent) = self.node(at).map(|node| node.parent).filter(|parent| *parent != at) {
            self.folded.remove(&parent);
            at = parent;
        }
        self.lay_out();
        self.cursor = self.rows.partition_point(|row| row.node < found);
        self.reveal(height);
    }

    fn hits(&self) -> Vec<u32> {
        if self.needle.is_empty() {
            return Vec::new();
        }
        let has = |text: &str| find(text, &self.needle).is_some();
        let holds = |node: &Node| {
            let own = matches!(node.kind, Kind::Object | Kind::Array);
            has(self.doc.key(node)) || !own && has(&self.doc.meant(node))
        };
        (0..).zip(self.doc.nodes()).filter(|(_, node)| holds(node)).map(|(index, _)| index).collect()
    }
}

/// Where `needle`, in lower case, stands in `text`, letters of either case: first byte and last.
pub fn find(text: &str, needle: &str) -> Option<(usize, usize)> {
    if needle.is_empty() {
        return None;
    }
    if needle.is_ascii() {
        let (text, needle) = (text.as_bytes(), needle.as_bytes());
        let at = text.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))?;
        return Some((at, at + needle.len()));
    }
    text.to_lowercase()
        .contains(needle)
        .then(|| text.find(needle).map_or((0, text.len()), |at| (at, at + needle.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(body: &str) -> Outline {
        let mut doc = Doc::default();
        doc.part("body", body);
        Outline::new(Arc::new(doc), 40)
    }

    fn rows(outline: &Outline) -> Vec<String> {
        let shown = |row: &RowOf| match outline.line(*row) {
            Some(line) => format!("| {line}"),
            None => {
                let node = &outline.doc().nodes()[row.node as usize];
                let sign = if outline.is_folded(row.node) { "+" } else { "" };
                format!("{sign}{}", outline.doc().key(node))
            }
        };
        outline.rows().iter().map(shown).collect()
    }

    #[test]
    fn what_is_large_is_folded_at_first() {
        let long = "x".repeat(SMALL);
        let mut tree = outline(&format!(r#"{{"a": {{"b": "{long}"}}, "c": {{"d": 1}}}}"#));
        assert_eq!(rows(&tree), ["body", "+a", "c", "d"]);
        tree.go(Motion::Down, 10);
        tree.toggle(10);
        assert_eq!(rows(&tree), ["body", "a", "b", "c", "d"]);
        tree.go(Motion::Down, 10);
        tree.fold(10);
        assert_eq!((rows(&tree), tree.cursor()), (vec!["body".into(), "+a".into(), "c".into(), "d".into()], 1));
        tree.unfold_all(10);
        assert_eq!(rows(&tree).len(), 5);
        tree.fold_all(10);
        assert_eq!(rows(&tree), ["body", "+a", "+c"]);
    }

    #[test]
    fn a_long_string_unwraps_in_place() {
        let mut tree = outline(r#"{"text": "one\ntwo", "n": 1}"#);
        tree.go(Motion::Down, 10);
        tree.toggle(10);
        assert_eq!(rows(&tree), ["body", "text", "| one", "| two", "n"]);
        tree.go(Motion::Down, 10);
        tree.toggle(10);
        assert_eq!((rows(&tree).len(), tree.cursor()), (3, 1));
    }

    #[test]
    fn text_is_wrapped_to_the_width_that_the_view_has() {
        let mut tree = outline("one two three four five six seven eight nine");
        assert_eq!(tree.rows().len(), 3);
        tree.set_width(20);
        assert_eq!(tree.rows().len(), 4);
    }

    #[test]
    fn a_search_opens_what_hides_its_hits() {
        let long = "x".repeat(SMALL);
        let mut tree = outline(&format!(r#"{{"a": {{"Needle": "{long}"}}, "c": ["a needle", 1]}}"#));
        assert_eq!(tree.search("NEEDLE", 10), 2);
        assert_eq!(rows(&tree)[tree.cursor()], "Needle");
        tree.next_hit(true, 10);
        assert_eq!(tree.cursor(), 4);
        tree.next_hit(true, 10);
        assert_eq!(rows(&tree)[tree.cursor()], "Needle", "around the end");
        tree.next_hit(false, 10);
        assert_eq!(tree.cursor(), 4);
        assert_eq!(tree.search("nothing like it", 10), 0);
        assert_eq!(tree.cursor(), 4, "nothing found, nothing moved");
    }

    #[test]
    fn the_cursor_stays_in_view() {
        let mut tree = outline(&format!("[{}1]", "1,".repeat(100)));
        for (motion, cursor, top) in [
            (Motion::PageDown, 9, 0),
            (Motion::Down, 10, 1),
            (Motion::Last, 101, 92),
            (Motion::HalfUp, 96, 92),
            (Motion::First, 0, 0),
            (Motion::Up, 0, 0),
        ] {
            tree.go(motion, 10);
            assert_eq!((tree.cursor(), tree.top()), (cursor, top), "{motion:?}");
        }
    }
}
