//! What a change does to the lines of the file, in unified form. No credential is in it, and no word of a comment, for
//! a comment may hold a key that was commented out.

use std::fmt::Write as _;

use super::super::mask;

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// Beyond so many pairs of lines the whole stretch counts as changed.
const LARGEST: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Same,
    Gone,
    New,
}

/// `file`: what stands in the heading. Empty when nothing differs.
pub(super) fn unified(file: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let script = script(&old, &new);
    let shown = all_shown(&script, &covered(&old), &covered(&new));
    let mut out = String::new();
    for hunk in hunks(&script) {
        if out.is_empty() {
            out = format!("--- {file}\n+++ {file}\n");
        }
        // Writing to a String cannot fail.
        let before = |kind: Kind| script[..hunk.start].iter().filter(|(found, _)| *found != kind).count();
        let within = |kind: Kind| script[hunk.clone()].iter().filter(|(found, _)| *found != kind).count();
        let (gone, came) = (within(Kind::New), within(Kind::Gone));
        let (from, to) = (before(Kind::New) + usize::from(gone > 0), before(Kind::Gone) + usize::from(came > 0));
        let _ = writeln!(out, "@@ -{from},{gone} +{to},{came} @@");
        for ((kind, _), line) in script[hunk.clone()].iter().zip(&shown[hunk]) {
            let mark = match kind {
                Kind::Same => ' ',
                Kind::Gone => '-',
                Kind::New => '+',
            };
            let _ = writeln!(out, "{mark}{line}");
        }
    }
    out
}

/// Each line as it may be shown. `old`, `new`: which lines of the texts are the inside of a credential.
fn all_shown(script: &[(Kind, &str)], old: &[bool], new: &[bool]) -> Vec<String> {
    let (mut old, mut new) = (old.iter(), new.iter());
    let show = |(kind, line): &(Kind, &str)| {
        let of_old = *kind != Kind::New && old.next() == Some(&true);
        let of_new = *kind != Kind::Gone && new.next() == Some(&true);
        if of_old || of_new { "***".to_owned() } else { shown(line) }
    };
    script.iter().map(show).collect()
}

/// Which lines go on with a credential that began on a line before: there nothing of the line itself tells what it is.
fn covered(lines: &[&str]) -> Vec<bool> {
    let mut covered = vec![false; lines.len()];
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some((column, mut open)) = credential(line) else { continue };
        let deeper = |line: &str| line.trim().is_empty() || line.len() - line.trim_start().len() > column;
        while let Some(line) = lines.get(at).filter(|line| open.is_some() || deeper(line)) {
            covered[at] = true;
            at += 1;
            open = open.filter(|quote| !closes(&format!("{quote}{line}"), *quote));
        }
    }
    covered
}

/// The column of a credential's key on this line, and the quote that its value leaves open.
fn credential(line: &str) -> Option<(usize, Option<char>)> {
    let tokens = mask::tokens(line);
    let bare = |token: &mask::Token| line[token.range.clone()].trim_matches(['"', '\'']);
    let at = tokens.iter().rposition(|token| token.is_key && mask::is_secret_key(bare(token)))?;
    let value = tokens.get(at + 1).map(|token| &line[token.range.clone()]);
    let open = value.and_then(|value| {
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        (!closes(value, quote)).then_some(quote)
    });
    Some((tokens[at].range.start, open))
}

/// Whether what begins with this quote ends with it too.
fn closes(text: &str, quote: char) -> bool {
    mask::quoted_length(&format!("{text}\n"), quote) <= text.len()
}

/// Each changed line as it is, for tests.
#[cfg(test)]
pub(super) fn raw(old: &str, new: &str) -> Vec<(char, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mark = |kind| if kind == Kind::Gone { '-' } else { '+' };
    let changes = script(&old, &new).into_iter().filter(|(kind, _)| *kind != Kind::Same);
    changes.map(|(kind, line)| (mark(kind), line.to_owned())).collect()
}

/// Every line of both texts, in order.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kind, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (gone, came) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let same = |lines: &[&'a str]| lines.iter().map(|line| (Kind::Same, *line)).collect::<Vec<_>>();
    let mut script = same(&old[..head]);
    script.extend(middle(gone, came));
    script.extend(same(&old[old.len() - tail..]));
    script
}

/// By the longest common subsequence.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kind, &'a str)> {
    let width = new.len() + 1;
    let common = if old.len() * new.len() > LARGEST { Vec::new() } else { common_lengths(old, new) };
    let (mut i, mut j, mut script) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let length = |i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
        if !common.is_empty() && i < old.len() && j < new.len() && old[i] == new[j] {
            script.push((Kind::Same, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || length(i + 1, j) >= length(i, j + 1)) {
            script.push((Kind::Gone, old[i]));
            i += 1;
        } else {
            script.push((Kind::New, new[j]));
            j += 1;
        }
    }
    script
}

/// For each pair of line numbers how many lines the rests have in common.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut lengths = vec![0; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    lengths
}

/// Changes with what is around them; those that touch are one.
fn hunks(script: &[(Kind, &str)]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in script.iter().enumerate().filter(|(_, (kind, _))| *kind != Kind::Same) {
        let (start, end) = (at.saturating_sub(AROUND), (at + 1 + AROUND).min(script.len()));
        match hunks.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

/// The line as it may be shown. What stands for a comment says only that there is one.
pub(super) fn shown(line: &str) -> String {
    let (text, _) = mask::masked(line, 0);
    let end = mask::tokens(line).last().map_or(0, |token| token.range.end);
    let comment = line[end..].contains('#');
    let shown = match (comment, text.trim().is_empty()) {
        (true, true) => format!("{}# …", " ".repeat(line.len() - line.trim_start().len())),
        (true, false) => format!("{text}  # …"),
        (false, _) => text,
    };
    shown.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_stands_among_its_neighbours() {
        let old = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\nh: 8\ni: 9\nport: 10\n";
        let new = old.replace("a: 1\n", "").replace("port: 10", "port: 11");
        let lines: Vec<String> = unified("c.yaml", old, &new).lines().map(str::to_owned).collect();
        assert_eq!(lines[..4], ["--- c.yaml", "+++ c.yaml", "@@ -1,4 +1,3 @@", "-a: ***"].map(str::to_owned));
        assert_eq!(lines[7..9], ["@@ -7,4 +6,4 @@", " g: ***"].map(str::to_owned));
        assert_eq!(lines[11..], ["-port: 10", "+port: 11"].map(str::to_owned));
        assert_eq!(unified("c.yaml", old, old), "");
    }

    #[test]
    fn neither_a_key_nor_a_comment_is_shown() {
        for (line, expected) in [
            ("    auth_value: sk-ant-hunter2 # hunter3", "    auth_value: ***  # …"),
            ("  # auth_value: hunter2", "  # …"),
            ("  enabled: true   # not now", "  enabled: true  # …"),
            ("    auth_value: ${KEY}", "    auth_value: ${KEY}"),
            ("  - { name: kimi, auth_value: hunter2 }", "  - { name: kimi, auth_value: *** }"),
            ("", ""),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn the_inside_of_a_credential_is_not_shown_whatever_it_looks_like() {
        for value in [
            "|-\n      level: hunter\n      - info\n\n      enabled",
            ">-\n     hunter",
            "\n     hunter",
            "hunter\n     level: hunter",
            "\"hunter\n level: hunter\n  info\"",
            "'hunter\nlevel: hunter''\ninfo'",
            "\"hunter\\\n\n  info\\\"\nhunter\"",
        ] {
            let old = format!("endpoints:\n  - auth_value: {value}\n    name: a\nlogging:\n  level: info\n");
            let new = old.replace("name: a", "name: b");
            let told = unified("c.yaml", &old, &new);
            let inside = told
                .lines()
                .filter(|line| ["level: hunter", "enabled", " info", "hunter"].iter().any(|word| line.contains(word)));
            assert_eq!(inside.collect::<Vec<_>>(), ["   level: info"], "{told}");
            assert!(told.contains("-    name: a\n+    name: b\n logging:\n   level: info\n"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn the_lines_make_the_old_and_the_new_text(old in "[abc\n]{0,24}", new in "[abc\n]{0,24}") {
            let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
            let script = script(&old, &new);
            let without = |kind| script.iter().filter(|(found, _)| *found != kind).map(|(_, line)| *line).collect::<Vec<_>>();
            prop_assert_eq!(without(Kind::New), old);
            prop_assert_eq!(without(Kind::Gone), new);
        }
    }
}
