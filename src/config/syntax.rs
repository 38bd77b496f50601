//! Text to tree, with the YAML parser's complaints in words that help.

use super::diagnose::{Finding, Problem, Source};
use super::tree::{self, Node, Place, SyntaxError};

/// A larger file is not a config file, and the parser would take long over it.
pub(super) const LARGEST: u64 = 1 << 20;

/// What the parser says, what that means, and what to do. The first that fits counts.
const MEANINGS: [(&str, &str, &str); 17] = [
    ("unexpected end of stream", "a quote is never closed", "close the quote, or write the value without quotes"),
    ("unexpected document indicator", "a quote is never closed", "close the quote, or write the value without quotes"),
    ("while scanning a simple key", "expected `key: value`", "write a colon and a space after the key"),
    (
        "mapping values are not allowed",
        "a key cannot stand here",
        "check the indentation, the space after the colon in the line above, and quote a value that holds `: `",
    ),
    (
        "did not find expected key",
        "this does not line up with the lines above",
        "keys of one section start in the same column, indented with spaces",
    ),
    (
        "did not find expected '-' indicator",
        "expected the next `- ` of the list",
        "entries of one list start in the same column, indented with spaces",
    ),
    (
        "did not find expected ','",
        "expected a comma or the closing bracket",
        "quote a value that holds braces, brackets or a comma, such as \"${KEY}\"",
    ),
    (
        "unknown escape character",
        "a backslash in double quotes starts an escape",
        "use single quotes, or write two backslashes",
    ),
    ("cannot start any token", "a value cannot start with this character", "put the value in quotes"),
    (
        "did not find expected node content",
        "a value is missing here, or a bracket or comma is too many",
        "close every bracket that is open, and quote a value that holds brackets, braces or commas",
    ),
    (
        "did not find expected alphabetic or numeric character",
        "a value cannot start with this character",
        "put a value that starts with `*` or `&` in quotes",
    ),
    (
        "did not find expected comment or line break",
        "nothing can stand behind `>` or `|` on their line",
        "write the text on the lines below, or put a value that starts so in quotes",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot begin on the line of its key",
        "begin each entry with `- ` on a line of its own",
    ),
    (
        "directive",
        "a line cannot start with this character",
        "remove the line, or put a value that starts with `%` in quotes",
    ),
    ("unknown anchor", "there is no such anchor", "put a value that starts with `*` in quotes"),
    ("limit exceeded", "the file is nested too deeply", "the settings have three levels"),
    ("without a !tag", "a !tag has no meaning here", "put a value that starts with `!` in quotes"),
];

/// # Errors
/// When the text is not one YAML document, or an empty one.
pub fn read(source: Source<'_>) -> Result<Node, Box<Finding>> {
    let whole = |what: &str, help: &str| {
        let problem = Problem::new(Place::default(), what).help(help);
        Box::new(source.draw_at(0, String::new(), problem))
    };
    if source.text.len() as u64 > LARGEST {
        return Err(whole("the file is larger than 1 MiB", "is this the right file?"));
    }
    if let Some(at) = source.text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) {
        let problem = Problem::new(Place::default(), "not valid YAML: a control character").label("here");
        let problem = problem.help("is this a text file in UTF-8?");
        return Err(Box::new(source.draw_at(at, String::new(), problem)));
    }
    match tree::parse(source.text) {
        Ok(Node::Null) => Err(whole("the file is empty", "`claude-proxy init` writes a first one")),
        Ok(root) => Ok(root),
        Err(error) => Err(Box::new(explain(source, &error))),
    }
}

fn explain(source: Source<'_>, error: &SyntaxError) -> Finding {
    let said = error.said.as_str();
    if said.contains("more than one document")
        && let Some((before, _)) = source.text.match_indices("\n---").next()
    {
        let second = before + 1;
        let problem = Problem::new(Place::default(), "the file holds more than one YAML document").label("the second");
        return source.draw_at(second, String::new(), problem.help("keep one of them"));
    }
    let offset = if said.contains("unexpected") || said.contains("simple key") {
        began(source.text, said).unwrap_or(error.offset)
    } else {
        error.offset
    };
    let tab = source.text.get(offset..).is_some_and(|rest| rest.starts_with('\t'));
    let (what, help) = if tab {
        ("a tab cannot indent YAML", "use spaces")
    } else {
        let meaning = MEANINGS.iter().find(|(words, ..)| said.contains(words));
        meaning.map_or(("expected sections of `key: value` lines", "check this line and the one above"), |m| (m.1, m.2))
    };
    let problem = Problem::new(Place::default(), format!("not valid YAML: {what}")).label("here").help(help);
    source.draw_at(offset, String::new(), problem)
}

/// Where the parser says that the broken thing began: `…, while scanning a quoted scalar at line 3 column 5`.
fn began(text: &str, said: &str) -> Option<usize> {
    let (_, context) = said.split_once(", while ")?;
    let (_, position) = context.rsplit_once(" at line ")?;
    let (line, column) = position.split_once(" column ")?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let start = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let rest = text.get(start..)?;
    Some(start + rest.char_indices().nth(column.checked_sub(1)?).map_or(0, |(at, _)| at))
}
