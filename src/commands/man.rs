//! `man DIR`: the man pages, one for each command, from the same definitions as the help.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{CommandError, Exit, note};
use crate::cli::{Cli, ManArgs};
use crate::wire::filter;

const MANUAL: &str = "claude-proxy manual";
/// Stands before each piece that is rendered; once is enough.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

pub fn run(args: &ManArgs) -> Result<Exit, CommandError> {
    let dir = &args.dir;
    let failed = |what: &str, path: &Path, error: &io::Error| {
        let message = format!("cannot {what} {}: {error}", path.display());
        CommandError::failed("not_written", message, "name a folder that you may write to")
    };
    fs::create_dir_all(dir).map_err(|error| failed("make the folder", dir, &error))?;
    let mut pages = pages()?;
    pages.push(("claude-proxy-filter.7".to_owned(), filter_page()?));
    for (name, text) in &pages {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| failed("write", &path, &error))?;
    }
    note(&format!("wrote {} man pages into {}", pages.len(), dir.display()));
    Ok(Exit::Fine)
}

/// Every page with its file's name: `claude-proxy-logs-tail.1`.
///
/// # Errors
/// Never, but that writing into memory may fail by its type.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut all = Vec::new();
    collect(&root, &mut all);
    let names: Vec<&str> = all.iter().map(|command| page_name(command)).collect();
    all.iter().map(|command| Ok((format!("{}.1", page_name(command)), page(command, &root, &names)?))).collect()
}

fn collect<'a>(command: &'a Command, all: &mut Vec<&'a Command>) {
    all.push(command);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, all);
    }
}

/// `claude-proxy-logs-tail`
fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, root: &Command, names: &[&str]) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut sections = Vec::new();
    man.render_name_section(&mut sections)?;
    man.render_synopsis_section(&mut sections)?;
    if command.get_long_about().is_some() {
        man.render_description_section(&mut sections)?;
    }
    examples(command).to_writer(&mut sections)?;
    man.render_options_section(&mut sections)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut sections)?;
    }
    notes(command, root).to_writer(&mut sections)?;
    see_also(command, names).to_writer(&mut sections)?;

    let (name, version) = (page_name(command).to_uppercase(), root.get_version().unwrap_or_default());
    // Without a date: the same program writes the same pages.
    let title = format!(".TH {name} 1 \"\" \"{} {version}\" \"{MANUAL}\"\n", root.get_name());
    let sections = String::from_utf8_lossy(&sections).replace(PREAMBLE, "");
    Ok([PREAMBLE, &title, &sections].concat().into_bytes())
}

/// `help filter` as a page of its own.
fn filter_page() -> io::Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control("TH", ["CLAUDE-PROXY-FILTER", "7", "", concat!("claude-proxy ", env!("CARGO_PKG_VERSION")), MANUAL]);
    page.control("SH", ["NAME"]).text([roman("claude-proxy-filter - the filter language of the request log")]);
    page.control("SH", ["DESCRIPTION"]).control("nf", []);
    for line in filter::page::text().lines() {
        // A short line of letters alone, at the margin, stands above what it names.
        let is_heading = !line.is_empty() && line.len() < 20 && line.chars().all(|c| c.is_alphabetic() || c == ' ');
        if is_heading && !line.starts_with(' ') {
            page.control("fi", []).control("SH", [line.to_uppercase().as_str()]).control("nf", []);
        } else {
            page.text([roman(line)]);
        }
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]).text([bold("claude-proxy-logs"), roman("(1)")]);
    let mut text = Vec::new();
    page.to_writer(&mut text)?;
    Ok(text)
}

/// What stands at the top of the help, `Examples:` and lines below it.
fn examples(command: &Command) -> Roff {
    let mut section = Roff::new();
    let Some(text) = command.get_before_help().map(ToString::to_string) else { return section };
    section.control("SH", ["EXAMPLES"]);
    section.control("PP", []).control("nf", []);
    for line in text.lines().skip(1) {
        section.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    section.control("fi", []);
    section
}

/// What stands at the end of the help, a section for each `Name: text`; the program's own belongs to every command.
fn notes(command: &Command, root: &Command) -> Roff {
    let mut section = Roff::new();
    let own = command.get_after_help().map(ToString::to_string).filter(|_| page_name(command) != page_name(root));
    if let Some(own) = own {
        section.control("SH", ["NOTES"]);
        for line in own.lines() {
            section.text([roman(line.trim())]).control("br", []);
        }
    }
    let common = root.get_after_help().map(ToString::to_string).unwrap_or_default();
    for (name, text) in common.lines().filter_map(|line| line.split_once(": ")) {
        section.control("SH", [name.to_uppercase().as_str()]);
        section.text([roman(text)]);
    }
    section
}

/// The commands above and below it.
fn see_also(command: &Command, names: &[&str]) -> Roff {
    let own = page_name(command);
    let near = |name: &&&str| {
        let above = own.strip_prefix(**name).is_some_and(|rest| rest.starts_with('-'));
        let below = name.strip_prefix(own).is_some_and(|rest| rest.starts_with('-'));
        above || below
    };
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]);
    let near: Vec<_> = names.iter().filter(near).collect();
    for (at, name) in near.iter().enumerate() {
        let end = if at + 1 < near.len() { "(1)," } else { "(1)" };
        section.text([bold(**name), roman(end)]);
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(name: &str) -> String {
        let pages = pages().unwrap();
        let (_, text) = pages.iter().find(|(page, _)| page == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(text.clone()).unwrap()
    }

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let mut root = Cli::command();
        root.build();
        let mut all = Vec::new();
        collect(&root, &mut all);
        let all = all.into_iter().filter(|command| !page_name(command).contains("-help"));
        for command in all {
            let text = text_of(&format!("{}.1", page_name(command)));
            for heading in [".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES", ".SH OPTIONS", ".SH \"EXIT CODES\""] {
                assert!(text.contains(heading), "{}: {heading}", page_name(command));
            }
        }
    }

    #[test]
    fn a_page_says_what_the_help_says() {
        let text = text_of("claude-proxy-logs-tail.1");
        for line in [
            ".TH CLAUDE-PROXY-LOGS-TAIL 1 \"\" \"claude-proxy ",
            "claude\\-proxy\\-logs\\-tail \\- Print the newest requests",
            "\\fBclaude\\-proxy logs tail\\fR",
            "\nclaude\\-proxy logs tail \\-n 50 \\-f \\*(Aqstatus>=400\\*(Aq\n",
            "\\fBclaude\\-proxy\\fR(1),\n\\fBclaude\\-proxy\\-logs\\fR(1)\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
