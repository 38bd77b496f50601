//! What the shell asks when somebody presses Tab. Answering it reads at most the config file, resolves no credential,
//! starts nothing, and says nothing on stderr: that would land in the middle of the line being typed.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::engine::{self, CompletionCandidate};
use clap_complete::env::Shells;

use super::{Cli, accept_original_spelling};

/// Set by the script in front of its question. Not clap's own `COMPLETE`, which another program's set-up may leave
/// in the environment.
pub const VARIABLE: &str = "CLAUDE_PROXY_COMPLETE";

/// Answers on stdout when this run is a question of the shell, `claude-proxy -- WORDS…`; `None` when it is not.
///
/// # Errors
/// When there is no answer; the shell then falls back to what it does without one.
pub fn answer(arguments: &[OsString]) -> Option<io::Result<()>> {
    let shell = std::env::var(VARIABLE).ok()?;
    words(arguments).map(|words| {
        let mut answer = Vec::new();
        write_answer(&shell, words, &mut answer)?;
        io::stdout().write_all(&answer)
    })
}

/// The line being typed, when this run is about one.
pub fn words(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (mark, words) = arguments.get(1..)?.split_first()?;
    (mark == "--" && !words.is_empty()).then(|| accept_original_spelling(words.iter().cloned()).0)
}

fn write_answer(shell: &str, words: Vec<OsString>, out: &mut Vec<u8>) -> io::Result<()> {
    let folder = std::env::current_dir().ok();
    let mut command = Cli::command();
    let mut ask = |words, index| engine::complete(&mut command, words, index, folder.as_deref());
    match shell {
        "bash" => {
            let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
            let line = Line::joined(&words, index.unwrap_or_default());
            let found = ask(line.words, line.index)?;
            let separator = std::env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".to_owned());
            write!(out, "{}", in_bash(&found, &line.typed).join(&separator))
        }
        // What stands in its line was read by the shell already, and what is put there it quotes itself.
        "elvish" => {
            let index = words.len() - 1;
            let begun = words[index].to_string_lossy().starts_with('-');
            without_flags(ask(words, index)?, begun).iter().try_for_each(|candidate| {
                let value = candidate.get_value().to_string_lossy();
                writeln!(out, "{}", with_help(&value, candidate))
            })
        }
        "powershell" => {
            let index = words.len() - 1;
            let words = words.iter().map(|word| bare(word)).collect();
            ask(words, index)?.iter().try_for_each(|candidate| writeln!(out, "{}", in_powershell(candidate)))
        }
        shell => {
            let adapter = Shells::builtins();
            let adapter = adapter.completer(shell).ok_or(io::ErrorKind::Unsupported)?;
            adapter.write_complete(&mut Cli::command(), words, folder.as_deref(), out)
        }
    }
}

/// A line of bash's, whose words end at `=` and `:` too: `--config=a` comes as three.
struct Line {
    words: Vec<OsString>,
    /// The word to complete.
    index: usize,
    /// What of that word stands before the piece that bash will replace.
    typed: String,
}

impl Line {
    fn joined(pieces: &[OsString], cursor: usize) -> Self {
        let breaks = |piece: &OsString| {
            !piece.is_empty() && piece.to_str().is_some_and(|p| p.trim_matches(['=', ':']).is_empty())
        };
        let mut line = Self { words: Vec::new(), index: 0, typed: String::new() };
        let mut open = false;
        for (at, piece) in pieces.iter().enumerate() {
            let closes = breaks(piece);
            match line.words.last_mut() {
                Some(word) if at > 1 && (open || closes) => word.push(bare(piece)),
                _ => line.words.push(bare(piece)),
            }
            open = closes;
            if at == cursor {
                let word = line.words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
                line.index = line.words.len() - 1;
                let piece = bare(piece).to_string_lossy().into_owned();
                line.typed = word.strip_suffix(&piece).map(str::to_owned).unwrap_or_default();
            }
        }
        line
    }
}

/// A word as the program would get it: without quotes and backslashes. Variables are left alone.
pub fn bare(word: &OsStr) -> OsString {
    let Some(text) = word.to_str() else { return word.to_owned() };
    let mut bare = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' if quote == Some(letter) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(letter),
            '\\' if quote != Some('\'') => bare.extend(letters.next()),
            _ => bare.push(letter),
        }
    }
    bare.into()
}

/// Letters that mean themselves in every shell.
fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() || "-_./=:@%+,~".contains(letter)
}

/// Bash puts an answer into the line as it is: what it would read as syntax gets a backslash.
fn in_bash(found: &[CompletionCandidate], typed: &str) -> Vec<String> {
    let escaped = |text: &str| {
        let letters =
            text.chars().map(|letter| if is_plain(letter) { letter.to_string() } else { format!("\\{letter}") });
        letters.collect::<String>()
    };
    let values = found.iter().filter_map(|candidate| candidate.get_value().to_str()?.strip_prefix(typed));
    values.map(escaped).collect()
}

/// Elvish sorts by letter, so that flags would stand first: they are for who begins one, or where there is nothing else.
fn without_flags(mut found: Vec<CompletionCandidate>, begun: bool) -> Vec<CompletionCandidate> {
    let is_flag = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with('-');
    if !begun && !found.iter().all(is_flag) {
        found.retain(|candidate| !is_flag(candidate));
    }
    found
}

/// The value in quotes where it needs them, with its help.
fn in_powershell(candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    let value =
        if value.chars().all(is_plain) { value.into_owned() } else { format!("'{}'", value.replace('\'', "''")) };
    with_help(&value, candidate)
}

/// The value, a tab, and the first line of its help.
fn with_help(value: &str, candidate: &CompletionCandidate) -> String {
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    match help.lines().next() {
        Some(help) => format!("{value}\t{help}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_question_is_told_from_a_run() {
        assert_eq!(words(&list(&["p", "--", "p", "check", ""])), Some(list(&["p", "check", ""])));
        assert_eq!(words(&list(&["p", "--", "p", "-config", "a"])), Some(list(&["p", "--config", "a"])));
        for run in [&["p"][..], &["p", "serve"], &["p", "--"], &["p", "run", "--", "x"], &[]] {
            assert_eq!(words(&list(run)), None);
        }
    }

    #[test]
    fn bashs_pieces_are_one_word_again() {
        for (pieces, cursor, expected, index, typed) in [
            (&["p", "--color", "=", "al"][..], 3, &["p", "--color=al"][..], 1, "--color="),
            (&["p", "check", "a", ":", "b"], 4, &["p", "check", "a:b"], 2, "a:"),
            (&["p", "-c", "=", "x", "check", ""], 5, &["p", "-c=x", "check", ""], 3, ""),
            (&["p", "check", "my\\ en"], 2, &["p", "check", "my en"], 2, ""),
            (&["p", "check", "", "--json"], 2, &["p", "check", "", "--json"], 2, ""),
        ] {
            let line = Line::joined(&list(pieces), cursor);
            assert_eq!((line.words, line.index, line.typed.as_str()), (list(expected), index, typed));
        }
    }

    #[test]
    fn flags_stand_not_before_the_names_where_the_shell_sorts() {
        let of = |values: &[&str], begun| {
            let found = values.iter().map(CompletionCandidate::new).collect();
            without_flags(found, begun).iter().map(|c| c.get_value().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&["one", "--json"], false), list(&["one"]));
        assert_eq!(of(&["--json"], false), list(&["--json"]));
        assert_eq!(of(&["--json", "--help"], true), list(&["--json", "--help"]));
    }

    #[test]
    fn what_a_shell_would_read_as_syntax_is_quoted() {
        let candidates = ["a:my $(b)", "a:名-1.x"].map(CompletionCandidate::new);
        assert_eq!(in_bash(&candidates, "a:"), [r"my\ \$\(b\)", "名-1.x"]);
        assert_eq!(in_powershell(&candidates[0]), "'a:my $(b)'");
        assert_eq!(in_powershell(&CompletionCandidate::new("a'b").help(Some("x\ny".into()))), "'a''b'\tx");
        assert_eq!(bare(OsStr::new(r#"'a b'"c\"d"e\ f"#)), r#"a bc"de f"#);
    }
}
