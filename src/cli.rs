//! The shape of the command line; no logic but what the original's spelling needs. What Tab offers is in `complete`.

pub mod complete;
mod names;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::wire::filter::page;

const EXAMPLES: &str = "\
Examples:
  claude-proxy init                      write a first config.yaml
  claude-proxy serve                     run the proxy in the foreground
  eval \"$(claude-proxy env)\"             point Claude Code in this shell at it
  claude-proxy check                     probe every endpoint once";

const EXITS: &str = "\
Config file: --config, else CLAUDE_PROXY_CONFIG, ./config.yaml, $XDG_CONFIG_HOME/claude-proxy/config.yaml, built-in default
Exit codes: 0 fine, 1 what was asked failed or is unhealthy, 2 usage or config error, 4 no running proxy to talk to";

const STATUS_NOTES: &str = "\
Exit codes: 0 at least one endpoint is up or degraded, 1 none is, 4 no running proxy
--json prints {healthy, status, endpoints, window_s}: GET /api/status and GET /api/endpoints in one
--plain prints rows: a name and its value; endpoint rows have name, state, priority, url, ok and failed in the window, first byte p50 ms, \
whole answer p95 ms, in flight, since, next probe, reason";

const PLAIN_LOG: &str = "\
--plain prints: time, status, ending, endpoints tried, model, stream or json, tokens in, out, read from the cache, put into the cache, \
first byte ms, total ms, id, session, method and path, error
On a narrow terminal an id is cut from the front; `logs show` takes its end as well";

const SEARCH_NOTES: &str = "\
Exit codes: 0 something fits, 1 nothing does or the log cannot be read, 2 usage or config error
On a terminal the hits go through $PAGER, else `less`; LESS=FRX unless it is set
`logs tail --help` names the fields of --plain";

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
    /// Run the proxy, its page and API in the foreground
    #[command(before_help = "Examples:\n  claude-proxy serve\n  claude-proxy --config work.yaml serve")]
    Serve,
    /// Live dashboard, attached to a running proxy
    #[command(before_help = "Examples:\n  claude-proxy tui\n  claude-proxy tui --read-only\n  \
                             claude-proxy tui --admin http://127.0.0.1:9081")]
    Tui(TuiArgs),
    /// One-screen summary of the running proxy
    #[command(
        before_help = "Examples:\n  claude-proxy status\n  claude-proxy status --json | jq .status.totals\n  \
                       claude-proxy status --plain | grep ^endpoint",
        after_help = STATUS_NOTES
    )]
    Status(StatusArgs),
    /// Read the request logs; works while the proxy is down
    #[command(
        subcommand,
        before_help = "Examples:\n  claude-proxy logs tail -f\n  claude-proxy logs search 'status>=400 endpoint:kimi' --since 2h\n  \
                             claude-proxy logs show req_018f"
    )]
    Logs(LogsCommand),
    // Hidden: it is there for `help filter`.
    #[command(hide = true, override_help = page::text())]
    Filter,
    /// List, test and change endpoints, in the running proxy and in config.yaml
    #[command(
        subcommand,
        before_help = "Examples:\n  claude-proxy endpoints list\n  claude-proxy endpoints disable mirror-1\n  \
                             claude-proxy endpoints add kimi --url https://api.example.com --auth-type auth_token --auth-value '${KIMI_KEY}'"
    )]
    Endpoints(EndpointsCommand),
    /// Start a command with the environment set to this proxy
    #[command(
        before_help = "Examples:\n  claude-proxy run -- claude\n  claude-proxy -c work.yaml run -- claude -p hello",
        after_help = "Sets what `claude-proxy env` prints, for that command only.\n\
                      Exit codes: the command's own; 126 it cannot be started, 127 there is no such command"
    )]
    Run(RunArgs),
    /// One line for Claude Code's status line; reads its JSON on stdin
    #[command(
        before_help = "Examples, in ~/.claude/settings.json:\n  \"statusLine\": { \"type\": \"command\", \"command\": \"claude-proxy statusline\" }",
        after_help = "The session's endpoint and its first byte, the session's tokens since the proxy started, a sign for each endpoint.\n\
                      Always one line and exit code 0; coloured unless NO_COLOR is set, since Claude Code shows colours."
    )]
    Statusline(StatuslineArgs),
    /// Write the man pages
    #[command(before_help = "Examples:\n  claude-proxy man ~/.local/share/man/man1")]
    Man(ManArgs),
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

/// Which running proxy to talk to.
#[derive(Debug, Args)]
pub struct AttachArgs {
    #[arg(long, value_name = "URL", env = "CLAUDE_PROXY_ADMIN", hide_env_values = true, value_hint = ValueHint::Url)]
    #[arg(help = "The running proxy's admin address; without it web_admin.host and .port of the config")]
    pub admin: Option<String>,
}

#[derive(Debug, Args)]
pub struct StatuslineArgs {
    #[command(flatten)]
    pub attach: AttachArgs,
    /// How long to wait for the proxy, in milliseconds; what is not there by then is left out
    #[arg(long, value_name = "MS", default_value_t = 15)]
    pub within: u64,
}

#[derive(Debug, Args)]
pub struct TuiArgs {
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Change nothing: no test, no enabling, no priority
    #[arg(long)]
    pub read_only: bool,
    /// Colours
    #[arg(long, value_name = "THEME", default_value = "auto")]
    pub theme: ThemeName,
    /// Draw with ASCII only
    #[arg(long)]
    pub ascii: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    Auto,
    Dark,
    Light,
    HighContrast,
    Mono,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Print one JSON object
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Print tab-separated fields without a heading
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Subcommand)]
pub enum LogsCommand {
    /// Print the newest requests; -f follows
    #[command(before_help = "Examples:\n  claude-proxy logs tail\n  claude-proxy logs tail -n 50 -f 'status>=400'\n  \
                             claude-proxy logs tail -f --json | jq .model", after_help = PLAIN_LOG)]
    Tail(LogsTailArgs),
    /// Show one request: what happened, attempts, headers, bodies
    #[command(before_help = "Examples:\n  claude-proxy logs show req_018f\n  claude-proxy logs show req_018f --curl")]
    Show(LogsShowArgs),
    /// Search all log files, newest first
    #[command(before_help = "Examples:\n  claude-proxy logs search 'ttft>5s model~opus' --since 2h\n  \
                             claude-proxy logs search '\"rate limit\"' --since yesterday --until 14:00 --json", after_help = SEARCH_NOTES)]
    Search(LogsSearchArgs),
}

#[derive(Debug, Args)]
pub struct LogsTailArgs {
    #[arg(value_name = "FILTER", help = "Only requests that fit; `claude-proxy help filter` explains the language")]
    pub filter: Vec<String>,
    /// How many to begin with
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub lines: usize,
    /// Go on with what comes, across midnight and rotation
    #[arg(short, long)]
    pub follow: bool,
    /// Print each record as one JSON line
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Print tab-separated fields without a heading
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Args)]
pub struct LogsShowArgs {
    #[arg(value_name = "ID", add = names::log_id(), help = "The request-id, or its beginning or end")]
    pub id: String,
    /// Print the record as one JSON object
    #[arg(long, conflicts_with = "curl")]
    pub json: bool,
    /// Print a curl command that repeats the request through this proxy, without any credential
    #[arg(long)]
    pub curl: bool,
    /// Do not page
    #[arg(long)]
    pub no_pager: bool,
}

#[derive(Debug, Args)]
pub struct LogsSearchArgs {
    #[arg(value_name = "FILTER", help = "What fits; `claude-proxy help filter` explains the language")]
    pub filter: Vec<String>,
    /// Only requests since then: 2h, 14:00, yesterday, 2026-03-09, 2026-03-09T14:00
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only requests before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Stop after so many
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Print each record as one JSON line
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Print tab-separated fields without a heading
    #[arg(long)]
    pub plain: bool,
    /// Do not page
    #[arg(long)]
    pub no_pager: bool,
}

#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// Show every endpoint: with its state when the proxy runs
    #[command(before_help = "Examples:\n  claude-proxy endpoints list\n  claude-proxy endpoints list --json")]
    List(StatusArgs),
    /// Use an endpoint again
    #[command(before_help = "Examples:\n  claude-proxy endpoints enable mirror-1")]
    Enable(EndpointNames),
    /// Stop using an endpoint; what is under way there finishes
    #[command(before_help = "Examples:\n  claude-proxy endpoints disable mirror-1 mirror-2")]
    Disable(EndpointNames),
    /// Add an endpoint
    #[command(
        before_help = "Examples:\n  claude-proxy endpoints add kimi --url https://api.example.com --auth-type auth_token \
                             --auth-value '${KIMI_KEY}' --priority 2"
    )]
    Add(EndpointAddArgs),
    /// Change an endpoint; what is not named stays
    #[command(before_help = "Examples:\n  claude-proxy endpoints edit kimi --priority 1\n  \
                             claude-proxy endpoints edit kimi --auth-value file:keys/kimi --dry-run")]
    Edit(EndpointEditArgs),
    /// Take an endpoint out of the config
    #[command(
        before_help = "Examples:\n  claude-proxy endpoints remove kimi --dry-run\n  claude-proxy endpoints remove kimi --yes"
    )]
    Remove(EndpointRemoveArgs),
    /// Probe endpoints now, from the running proxy when there is one
    #[command(before_help = "Examples:\n  claude-proxy endpoints test\n  claude-proxy endpoints test kimi --json")]
    Test(EndpointTestArgs),
}

#[derive(Debug, Args)]
pub struct EndpointNames {
    #[arg(value_name = "NAME", required = true, add = names::endpoint(), help = "Which endpoints")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EndpointTestArgs {
    #[arg(value_name = "NAME", add = names::endpoint(), help = "Which endpoints; all enabled ones without it")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The keys of an endpoint as flags. An empty value takes an optional key out, but for `--path-prefix`.
#[derive(Debug, Args)]
pub struct EndpointKeys {
    /// The address, without /v1
    #[arg(long, value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// What stands where the client wrote /v1; '' = nothing
    #[arg(long, value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// How requests to it authenticate
    #[arg(long, value_name = "TYPE")]
    pub auth_type: Option<InitAuth>,
    #[arg(
        long,
        value_name = "VALUE",
        help = "Its key: '${VARIABLE}' or file:PATH, or the key itself; - reads it from stdin"
    )]
    pub auth_value: Option<String>,
    /// Smaller is tried first; equals share the load
    #[arg(long, allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// 1.1, 2 or auto
    #[arg(long, value_name = "VERSION")]
    pub http: Option<String>,
    /// Outbound proxy: http, https or socks5
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// More root certificates (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<String>,
}

#[derive(Debug, Args)]
pub struct EndpointAddArgs {
    /// Its name: unique
    pub name: String,
    #[command(flatten)]
    pub keys: EndpointKeys,
    /// Add it without using it yet
    #[arg(long)]
    pub disabled: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct EndpointEditArgs {
    #[arg(value_name = "NAME", add = names::endpoint(), help = "Which endpoint")]
    pub name: String,
    /// Its new name
    #[arg(long, value_name = "NAME")]
    pub rename: Option<String>,
    #[command(flatten)]
    pub keys: EndpointKeys,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct EndpointRemoveArgs {
    #[arg(value_name = "NAME", add = names::endpoint(), help = "Which endpoint")]
    pub name: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Show what would change in the file, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write into; made when it is not there
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
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
    #[command(before_help = "Examples:\n  claude-proxy config check\n  claude-proxy -c work.yaml config check")]
    Check(JsonArgs),
    /// Print which file is read; why that one goes to stderr
    #[command(before_help = "Examples:\n  $EDITOR \"$(claude-proxy config path)\"")]
    Path(JsonArgs),
    /// Print the settings in force, defaults filled in, credentials masked
    #[command(before_help = "Examples:\n  claude-proxy config show\n  claude-proxy config show --json | jq .timeouts")]
    Show(JsonArgs),
    /// Print the JSON schema of the file, for editors
    #[command(before_help = "Examples:\n  claude-proxy config schema > config.schema.json")]
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
