//! The shape of the command line; no logic but what the original's spelling needs. What Tab offers is in `complete`.

pub mod complete;
mod names;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  claude-proxy init                      write a first config.yaml
  claude-proxy serve                     run the proxy in the foreground
  eval \"$(claude-proxy env)\"             point Claude Code in this shell at it
  claude-proxy check                     probe every endpoint once";

const EXITS: &str = "\
Config file: --config, else CLAUDE_PROXY_CONFIG, ./config.yaml, $XDG_CONFIG_HOME/claude-proxy/config.yaml, built-in default
Exit codes: 0 fine, 1 what was asked failed or is unhealthy, 2 usage or config error";

/// A local gateway between Claude Code and several Anthropic-compatible endpoints
#[derive(Debug, Parser)]
#[command(name = "claude-proxy", version, before_help = EXAMPLES, after_help = EXITS)]
#[command(arg_required_else_help = true, subcommand_required = true, propagate_version = true)]
pub struct Cli {
    /// The config file
    #[arg(short, long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    #[arg(help = "When to colour what is printed; NO_COLOR counts too")]
    pub color: When,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy in the foreground
    Serve,
    /// Probe endpoints from the config; needs no running proxy
    #[command(before_help = "Examples:\n  claude-proxy check\n  claude-proxy check primary --json")]
    Check(CheckArgs),
    /// Check, find and show the settings
    #[command(subcommand, before_help = "Examples:\n  claude-proxy config check\n  claude-proxy config show --json")]
    Config(ConfigCommand),
    /// Write a first config.yaml: asks, or --yes; never overwrites
    #[command(before_help = "Examples:\n  claude-proxy init\n  claude-proxy init --yes --url https://api.example.com \
                             --auth-type auth_token --auth-value '${EXAMPLE_KEY}'")]
    Init(InitArgs),
    /// Print what Claude Code needs to use this proxy, our own token included
    #[command(before_help = "Examples:\n  eval \"$(claude-proxy env)\"\n  claude-proxy env --shell fish | source\n  \
                             claude-proxy env --claude-settings")]
    Env(EnvArgs),
    /// Print the completion script of a shell
    #[command(before_help = "Examples:\n  source <(claude-proxy completions bash)\n  \
                             claude-proxy completions fish > ~/.config/fish/completions/claude-proxy.fish")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only these endpoints; disabled ones too
    #[arg(value_name = "NAME", add = names::endpoint())]
    pub names: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Ask for nothing that costs money
    #[arg(long)]
    pub no_spend: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the config can be used, and if not, why
    Check(JsonArgs),
    /// Print which file is read; why that one goes to stderr
    Path(JsonArgs),
    /// Print the settings in force, defaults filled in, credentials masked
    Show(JsonArgs),
    /// Print the JSON schema of the file, for editors
    Schema,
}

#[derive(Debug, Args)]
pub struct JsonArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Ask nothing: take the flags given here, and defaults for the rest
    #[arg(short, long)]
    pub yes: bool,
    /// The endpoint's address, without /v1
    #[arg(long, value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// How requests to it authenticate
    #[arg(long, value_name = "TYPE")]
    pub auth_type: Option<InitAuth>,
    #[arg(long, value_name = "VALUE", help = "Its key: '${VARIABLE}' or file:PATH, or the key itself")]
    pub auth_value: Option<String>,
    /// The port that the proxy listens on, from 1 to 65534
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65534))]
    pub port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum InitAuth {
    /// x-api-key: VALUE
    ApiKey,
    /// Authorization: Bearer VALUE
    AuthToken,
    /// the client's own login goes through
    Passthrough,
}

#[derive(Debug, Args)]
pub struct EnvArgs {
    /// The shell to print for; without it the one that $SHELL names
    #[arg(long, conflicts_with_all = ["json", "claude_settings"])]
    pub shell: Option<EnvShell>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "claude_settings")]
    pub json: bool,
    /// Print the block for Claude Code's settings.json
    #[arg(long)]
    pub claude_settings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnvShell {
    /// sh, bash, zsh and their kin
    #[value(alias = "bash", alias = "zsh")]
    Sh,
    Fish,
    Powershell,
    /// for a batch file
    Cmd,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    pub shell: Shell,
}

/// The original took `-config FILE`, which would now read as `-c onfig FILE`. True when something was changed.
pub fn accept_original_spelling(arguments: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, bool) {
    let mut changed = false;
    let mut ours = true;
    let arguments = arguments.into_iter().map(|argument| {
        ours &= argument != "--";
        let value = argument.to_str().and_then(|text| text.strip_prefix("-config"));
        match value {
            Some(value) if ours && (value.is_empty() || value.starts_with('=')) => {
                changed = true;
                OsString::from(format!("--config{value}"))
            }
            _ => argument,
        }
    });
    (arguments.collect(), changed)
}

/// Before the command line is understood: whether errors should be JSON, and in colour.
pub fn peek(arguments: &[OsString]) -> (bool, Option<When>) {
    let ours = || arguments.iter().skip(1).take_while(|argument| *argument != "--");
    let json = ours().any(|argument| argument == "--json");
    let joined = ours().filter_map(|argument| argument.to_str()?.strip_prefix("--color="));
    let split = ours().zip(ours().skip(1)).filter(|(flag, _)| *flag == "--color");
    let word = joined.last().or_else(|| split.last().and_then(|(_, word)| OsStr::to_str(word)));
    (json, word.and_then(|word| When::from_str(word, false).ok()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_shape_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_originals_config_flag_is_understood() {
        for (line, expected) in [
            ("p -config a.yaml serve", "p --config a.yaml serve"),
            ("p -config=a.yaml serve", "p --config=a.yaml serve"),
        ] {
            assert_eq!(accept_original_spelling(arguments(line)), (arguments(expected), true));
        }
        for line in ["p -c a.yaml serve", "p -cconfig serve", "p run -- x -config y", "p -configure"] {
            assert_eq!(accept_original_spelling(arguments(line)), (arguments(line), false));
        }
    }

    #[test]
    fn colour_and_json_are_known_before_the_rest() {
        assert_eq!(peek(&arguments("p config show --json --color never")), (true, Some(When::Never)));
        assert_eq!(peek(&arguments("p --color=always nonsense")), (false, Some(When::Always)));
        assert_eq!(peek(&arguments("p run -- x --json --color never")), (false, None));
    }
}
