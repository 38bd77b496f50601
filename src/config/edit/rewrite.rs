//! The one place that changes text: a key set, put in or taken out, an endpoint put in or taken out, in lines or in
//! brackets. `None` means that the text is written in a way that this does not know.

use super::super::tree::Node;
use super::layout::{self, Entry, Item, Layout, Span};
use super::scalar::{self, Quotes};
use super::steps::{KEYS, Keys};

fn spliced(text: &str, span: Span, new: &str) -> String {
    [&text[..span.start], new, &text[span.end..]].concat()
}

/// The line break that is used at `at`.
fn line_break(text: &str, at: usize) -> &'static str {
    let crlf = text[at..].starts_with("\r\n") || (!text[at..].starts_with('\n') && text.contains("\r\n"));
    if crlf { "\r\n" } else { "\n" }
}

/// Whether nothing but spaces stands before it on its line.
fn leads_its_line(text: &str, at: usize) -> bool {
    text[layout::line_start(text, at)..at].bytes().all(|byte| byte == b' ')
}

/// Whether nothing but a comment follows on the line.
fn closes_its_line(text: &str, at: usize) -> bool {
    let rest = text[at..layout::line_end(text, at)].trim_start();
    rest.is_empty() || rest.starts_with('#')
}

pub(super) fn set(layout: &Layout, index: usize, key: &str, value: &Node) -> Option<String> {
    let text = layout.text;
    let item = layout.item(index)?;
    if let Some(entry) = item.keys.iter().find(|entry| entry.name == key) {
        let quotes = Quotes::of(&text[entry.value.clone()]);
        let space = if entry.value.is_empty() { " " } else { "" };
        let comment = comment_within(&text[entry.value.clone()]);
        let new = format!("{space}{}{comment}", scalar::write(value, quotes, item.flow));
        return Some(spliced(text, entry.value.clone(), &new));
    }
    let before = predecessor(&item, key)?;
    if item.flow {
        let json = text[item.keys.first()?.key.clone()].starts_with('"');
        return Some(flow_insert(text, before.key.start..before.value.end, &pair(key, value, json)));
    }
    let at = before.end;
    let indent = " ".repeat(layout::column(text, item.start));
    let line = format!("{}{indent}{key}: {}", line_break(text, at), scalar::write(value, Quotes::Needed, false));
    Some(spliced(text, at..at, &line))
}

/// The comment, with the space before it, in what a value of several lines takes up: in a block behind its mark, in a
/// plain one at its end.
fn comment_within(value: &str) -> &str {
    let line = match value.chars().next() {
        Some('|' | '>') => value.lines().next(),
        Some('"' | '\'') => None,
        _ => value.lines().last().filter(|_| value.contains('\n')),
    };
    let line = line.unwrap_or_default();
    let at = [" #", "\t#"].iter().filter_map(|start| line.find(start)).min();
    at.map_or("", |at| &line[line[..at].trim_end().len()..])
}

/// The key of the item that comes last before `key` where keys stand in their usual order.
fn predecessor<'a>(item: &'a Item, key: &str) -> Option<&'a Entry> {
    let rank = |name: &str| KEYS.iter().position(|known| *known == name);
    let earlier = item.keys.iter().filter(|entry| rank(&entry.name).is_some_and(|found| Some(found) < rank(key)));
    earlier.max_by_key(|entry| rank(&entry.name)).or_else(|| item.keys.last())
}

pub(super) fn unset(layout: &Layout, index: usize, key: &str) -> Option<String> {
    let text = layout.text;
    let item = layout.item(index)?;
    let at = item.keys.iter().position(|entry| entry.name == key)?;
    let entry = &item.keys[at];
    if item.flow {
        let before = at.checked_sub(1).map(|before| item.keys[before].value.end);
        return flow_remove(text, before, entry.key.start..entry.value.end);
    }
    if leads_its_line(text, entry.key.start) {
        return Some(without_lines(text, entry.key.start, entry.end));
    }
    // It stands behind the dash: the next key takes its place.
    let next = item.keys.get(at + 1)?.key.start;
    let between = text[entry.end..next].trim().is_empty();
    between.then(|| spliced(text, entry.key.start..next, ""))
}

/// Without the lines from the one that holds `from` to the one that ends at `to`.
fn without_lines(text: &str, from: usize, to: usize) -> String {
    let start = layout::line_start(text, from);
    let end = layout::next_line(text, to);
    if end == text.len() && !text.ends_with('\n') {
        // The file ends without a line break, and shall again.
        let kept = &text[..start];
        let kept = kept.strip_suffix("\r\n").or_else(|| kept.strip_suffix('\n')).unwrap_or(kept);
        return kept.to_owned();
    }
    spliced(text, start..end, "")
}

pub(super) fn add(text: &str, root: &Node, keys: &Keys) -> Option<String> {
    let Some(layout) = Layout::new(text, root) else { return add_section(text, root, keys) };
    let Some(last) = layout.nodes().len().checked_sub(1) else { return add_first(&layout, keys) };
    if layout.flow() {
        let span = layout.braces(last)?;
        let braces = braces(keys, &text[span.clone()]);
        return Some(flow_insert(text, span, &braces));
    }
    let (dash, item) = (layout.dash(last)?, layout.item(last)?);
    let end = if item.flow { layout.braces(last)?.end } else { item.keys.last()?.end };
    let end = layout::line_end(text, end);
    let column = layout::column(text, dash);
    let at = layout::with_own_comments(text, end, layout.item_limit(last), column);
    let indent = " ".repeat(column);
    let same_line = layout::line_start(text, item.start) == layout::line_start(text, dash);
    let gap = " ".repeat(if same_line { item.start - dash - 1 } else { 1 });
    let lines = if item.flow {
        vec![format!("{indent}-{gap}{}", braces(keys, &text[item.start..]))]
    } else {
        lines(keys, &indent, &gap)
    };
    let nl = line_break(text, at);
    let apart = if last > 0 && stands_apart(&layout, last, dash) { nl } else { "" };
    Some(spliced(text, at..at, &format!("{nl}{apart}{}", lines.join(nl))))
}

/// Whether a blank line separates an item from the one before it.
fn stands_apart(layout: &Layout, index: usize, dash: usize) -> bool {
    let text = layout.text;
    let before = layout.item(index - 1).and_then(|item| item.keys.last().map(|last| last.end));
    let from = before.map_or(text.len(), |end| layout::next_line(text, end));
    text.get(from..layout::line_start(text, dash)).is_some_and(|between| between.lines().any(layout::is_blank))
}

/// An endpoint in lines, its dash behind `indent`.
pub(super) fn lines(keys: &Keys, indent: &str, gap: &str) -> Vec<String> {
    let write = |(at, (key, value)): (usize, &(&str, Node))| {
        let lead = if at == 0 { format!("-{gap}") } else { format!(" {gap}") };
        format!("{indent}{lead}{key}: {}", scalar::write(value, Quotes::Needed, false))
    };
    keys.iter().enumerate().map(write).collect()
}

/// In braces, in the manner of `like`.
fn braces(keys: &Keys, like: &str) -> String {
    let inside = like.trim_start_matches('{');
    let pad = if inside.starts_with(' ') || inside.starts_with(['\n', '\r']) { " " } else { "" };
    let json = inside.trim_start().starts_with('"');
    let pairs: Vec<String> = keys.iter().map(|(key, value)| pair(key, value, json)).collect();
    format!("{{{pad}{}{pad}}}", pairs.join(", "))
}

fn pair(key: &str, value: &Node, json: bool) -> String {
    if json {
        format!("\"{key}\": {}", scalar::write(value, Quotes::Double, true))
    } else {
        format!("{key}: {}", scalar::write(value, Quotes::Needed, true))
    }
}

/// The first endpoint of a section that has none.
fn add_first(layout: &Layout, keys: &Keys) -> Option<String> {
    let text = layout.text;
    let list = layout.list();
    if text.trim_start().starts_with('{') {
        let inside = layout::skip_blank(text, list.value.start + 1, true);
        let empty = text[list.value.start..].starts_with('[') && text[inside..].starts_with(']');
        return empty.then(|| spliced(text, inside..inside, &braces(keys, text.trim_start())));
    }
    let colon = list.key.end + text[list.key.end..].find(':')? + 1;
    let emptied = spliced(text, colon..list.value.end.max(colon), "");
    let at = layout::line_end(&emptied, colon);
    let nl = line_break(&emptied, at);
    Some(spliced(&emptied, at..at, &format!("{nl}{}", lines(keys, "  ", " ").join(nl))))
}

/// The whole section, at the end of a file that has none.
fn add_section(text: &str, root: &Node, keys: &Keys) -> Option<String> {
    if !matches!(root, Node::Null | Node::Map(_)) || text.trim_start().starts_with('{') {
        return None;
    }
    let nl = line_break(text, text.len());
    let ended = if text.is_empty() || text.ends_with('\n') { "" } else { nl };
    Some(format!("{text}{ended}endpoints:{nl}{}{nl}", lines(keys, "  ", " ").join(nl)))
}

pub(super) fn remove(layout: &Layout, index: usize) -> Option<String> {
    let text = layout.text;
    if layout.flow() {
        let before = match index.checked_sub(1) {
            Some(before) => Some(layout.braces(before)?.end),
            None => None,
        };
        return flow_remove(text, before, layout.braces(index)?);
    }
    let (dash, item) = (layout.dash(index)?, layout.item(index)?);
    if !leads_its_line(text, dash) {
        return None;
    }
    let end = if item.flow { layout.braces(index)?.end } else { item.keys.last()?.end };
    let end = layout::line_end(text, end);
    let column = layout::column(text, dash);
    let end = layout::with_own_comments(text, end, layout.item_limit(index), column);
    let start = if comments_go_along(layout, index) { comments_above(text, dash) } else { dash };
    let start = layout::line_start(text, start);
    let removed = without_lines(text, start, end);
    Some(without_double_gap(removed, start, index == 0))
}

/// Comments directly above an item tell about it; above the first one they may tell about the list, unless each item
/// has its own.
fn comments_go_along(layout: &Layout, index: usize) -> bool {
    let has = |at: usize| {
        layout.dash(at).is_some_and(|dash| comments_above(layout.text, dash) < layout::line_start(layout.text, dash))
    };
    index > 0 || (1..layout.nodes().len()).all(has)
}

/// Where the comment lines directly above the line of `at` begin; those that are settings commented out stay, and
/// those that are indented deeper, which belong to what stands before them.
fn comments_above(text: &str, at: usize) -> usize {
    let column = layout::column(text, at);
    let own = layout::line_start(text, at);
    let mut start = own;
    while let Some(end) = start.checked_sub(1) {
        let above = layout::line_start(text, end);
        match layout::comment_indent(&text[above..end]) {
            Some(indent) if indent <= column => start = above,
            _ => break,
        }
    }
    let is_setting = |line: &str| {
        let bare = line.trim_start_matches([' ', '#']);
        layout::is_item(line) || KEYS.iter().any(|key| bare.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    };
    if text[start..own].lines().any(is_setting) { own } else { start }
}

/// Two blank lines that met at `at` because of what was taken out become one, one at the end or at the `top` none.
fn without_double_gap(text: String, at: usize, top: bool) -> String {
    let at = at.min(text.len());
    let above = text[..at].ends_with("\n\n") || text[..at].ends_with("\n\r\n");
    let below = layout::is_blank(&text[at..layout::line_end(&text, at)]);
    match (above, below) {
        (true, true) => spliced(&text, layout::line_start(&text, at - 1)..at, ""),
        (false, true) if top => spliced(&text, at..layout::next_line(&text, at), ""),
        _ => text,
    }
}

/// `new` behind the member at `member`, on a line of its own where members have that.
fn flow_insert(text: &str, member: Span, new: &str) -> String {
    let comma = layout::skip_blank(text, member.end, false);
    let comma = text[comma..].starts_with(',').then_some(comma + 1);
    let behind = comma.unwrap_or(member.end);
    if !leads_its_line(text, member.start) || !closes_its_line(text, behind) {
        return spliced(text, member.end..member.end, &format!(", {new}"));
    }
    let at = layout::line_end(text, behind);
    let indent = " ".repeat(layout::column(text, member.start));
    let (before, after) = if comma.is_some() { ("", ",") } else { (",", "") };
    let line = format!("{}{indent}{new}{after}", line_break(text, at));
    [&text[..member.end], before, &text[member.end..at], &line, &text[at..]].concat()
}

/// Without a member and one comma. `before`: where the member before it ends.
fn flow_remove(text: &str, before: Option<usize>, member: Span) -> Option<String> {
    let own_line = leads_its_line(text, member.start);
    let behind = layout::skip_blank(text, member.end, false);
    let comma = text[behind..].starts_with(',').then_some(behind);
    let ahead = before.map(|end| layout::skip_blank(text, end, true)).filter(|at| text[*at..].starts_with(','));
    match (comma, ahead) {
        (Some(comma), _) if own_line && closes_its_line(text, comma + 1) => {
            Some(without_lines(text, member.start, comma))
        }
        (_, Some(ahead)) if text[ahead + 1..member.start].bytes().all(|byte| byte == b' ') => {
            Some(spliced(text, ahead..member.end, ""))
        }
        (Some(comma), _) => Some(spliced(text, member.start..layout::skip_blank(text, comma + 1, false), "")),
        (None, Some(ahead)) => {
            let lone = own_line && closes_its_line(text, member.end);
            let rest = if lone { without_lines(text, member.start, member.end) } else { spliced(text, member, "") };
            Some(spliced(&rest, ahead..ahead + 1, ""))
        }
        (None, None) => before.is_none().then(|| spliced(text, member, "")),
    }
}
