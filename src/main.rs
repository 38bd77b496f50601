//! Parse, dispatch, exit: the only place that prints an error and picks the exit code.

use std::io::Write;
use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use claude_proxy::cli::{self, Cli, When};
use claude_proxy::commands::{self, CommandError, Exit};
use claude_proxy::wire::harmless::{harmless, harmless_json};
use mimalloc::MiMalloc;
use serde_json::json;

/// What one thread makes of a request, the log's thread frees: this is made for that, and the system's is not.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(answer) = cli::complete::answer(&arguments) {
        return if answer.is_ok() { Exit::Fine } else { Exit::Failed }.into();
    }
    let (mut arguments, original) = cli::accept_original_spelling(arguments);
    let (as_json, color) = cli::peek(&arguments);
    match color.unwrap_or(When::Auto) {
        When::Auto => {}
        When::Always => anstream::ColorChoice::Always.write_global(),
        When::Never => anstream::ColorChoice::Never.write_global(),
    }
    if original {
        cli::serve_by_default(&mut arguments);
    }
    // Whoever reads JSON reads nothing else.
    if original && !as_json {
        let _ = writeln!(anstream::stderr(), "note: -config is now --config (or -c), and `serve` starts the proxy");
    }
    let command = Cli::command().color(match color {
        Some(When::Always) => clap::ColorChoice::Always,
        Some(When::Never) => clap::ColorChoice::Never,
        Some(When::Auto) | None => clap::ColorChoice::Auto,
    });
    let parsed = command.try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let exit = match parsed {
        Ok(cli) => commands::run(cli).unwrap_or_else(|error| report(&error, as_json)),
        Err(error) => {
            let bare = error.kind() == ErrorKind::MissingSubcommand && cli::verb(&arguments).is_none();
            let exit = if bare { report(&no_command(), as_json) } else { usage(&error, as_json) };
            // Claude Code would show nothing at all, and nobody would know why.
            let is_shown = exit == Exit::Usage && cli::verb(&arguments) == Some("statusline");
            if is_shown { commands::statusline::wrong_arguments() } else { exit }
        }
    };
    exit.into()
}

/// clap would list every command, those that the help hides too.
fn no_command() -> CommandError {
    CommandError::usage(
        "no command is named",
        "`claude-proxy serve` runs the proxy, `claude-proxy --help` lists all commands",
    )
}

/// Help and version go to stdout and are no errors.
fn usage(error: &clap::Error, as_json: bool) -> Exit {
    if error.use_stderr() && as_json {
        let text = error.render().to_string();
        // What is wrong, then a tip for some mistakes, with an empty line behind each.
        let parts: Vec<_> =
            text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let message = parts[0].trim_start_matches("error: ").to_owned();
        let tip = parts.iter().find_map(|part| part.strip_prefix("tip: ")).unwrap_or("claude-proxy --help");
        return report(&CommandError::usage(message, tip), true);
    }
    // Whoever closed the pipe does not want to read it.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Fine }
}

fn report(error: &CommandError, as_json: bool) -> Exit {
    let exit = error.exit();
    if exit == Exit::Fine {
        return exit;
    }
    let mut stderr = anstream::stderr();
    let alarm = AnsiColor::Red.on_default().bold();
    let quiet = AnsiColor::Cyan.on_default();
    // There is no one left to tell when stderr is closed.
    let _ = match (error, error.hint()) {
        (_, hint) if as_json => {
            let told = json!({ "code": error.code(), "message": error.message(), "hint": hint });
            writeln!(stderr, "{}", harmless_json(&json!({ "error": told }).to_string()))
        }
        (CommandError::Config(config), _) => writeln!(stderr, "{}", config.styled()),
        (other, hint) => {
            let help = hint.map(|hint| format!("\n{quiet}help{quiet:#}: {}", harmless(hint, true)));
            let told = other.to_string();
            writeln!(stderr, "{alarm}error{alarm:#}: {}{}", harmless(&told, true), help.unwrap_or_default())
        }
    };
    exit
}
