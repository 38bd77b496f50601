//! The shape of the command line; no logic but what the original's spelling needs. What Tab offers is in `complete`.

pub mod complete;
mod names;
mod terms;
mod typed;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::wire::filter::page;

const EXAMPLES: &str = "\
Examples:
  claude-proxy init                      write a first config.yaml
  claude-proxy serve                     run the proxy in the foreground
  claude-proxy run -- claude             start Claude Code through it
  claude-proxy status                    see how it is doing
  claude-proxy logs tail -f              watch the requests go by";

const EXITS: &str = "\
Config file: --config, else CLAUDE_PROXY_CONFIG, ./config.yaml, $XDG_CONFIG_HOME/claude-proxy/config.yaml, built-in default
Exit codes: 0 fine, 1 what was asked failed or is unhealthy, 2 usage or config error, 4 no running proxy to talk to
Environment: CLAUDE_PROXY_CONFIG, CLAUDE_PROXY_ADMIN (the running proxy's admin address), CLAUDE_PROXY_ADMIN_TOKEN, NO_COLOR
More help: claude-proxy help COMMAND, claude-proxy help filter";

const EVERYWHERE: &str = "Options of every command";

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
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Cli {
    /// The config file
    #[arg(short, long, value_name = "FILE", global = true, help_heading = EVERYWHERE, value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    #[arg(long, value_name = "WHEN", global = true, help_heading = EVERYWHERE)]
    #[arg(default_value = "auto", hide_possible_values = true, hide_default_value = true)]
    #[arg(help = "When to colour what is printed: auto (the default; heeds NO_COLOR), always or never")]
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
    /// List, test and change endpoints, in the running proxy and in config.yaml
    #[command(
        subcommand,
        before_help = "Examples:\n  claude-proxy endpoints list\n  claude-proxy endpoints disable mirror-1\n  \
                             claude-proxy endpoints test kimi"
    )]
    Endpoints(EndpointsCommand),
    /// Start a command with the environment set to this proxy
    #[command(
        before_help = "Examples:\n  claude-proxy run -- claude\n  claude-proxy -c work.yaml run -- claude -p hello",
        after_help = "Sets what `claude-proxy env` prints, for that command only.\n\
                      Exit codes: the command's own; 2 and 4 as everywhere, 126 it cannot be started, 127 there is no such command\n\
                      No running proxy: the command is not started"
    )]
    Run(RunArgs),
    /// One line for Claude Code's status line; reads its JSON on stdin
    #[command(
        before_help = "Examples:\n  \"statusLine\": { \"type\": \"command\", \"command\": \"claude-proxy statusline\" }\n  \
                       echo '{}' | claude-proxy statusline",
        after_help = "The first example belongs into ~/.claude/settings.json.\n\
                      The session's endpoint and its first byte, the session's tokens since the proxy started, a sign for each endpoint.\n\
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
    #[command(
        before_help = "Examples:\n  claude-proxy init\n  claude-proxy init --yes --url https://api.example.com \\\n    \
                             --auth-type auth_token --auth-value '${EXAMPLE_KEY}'"
    )]
    Init(InitArgs),
    /// Print what Claude Code needs to use this proxy, our own token included
    #[command(
        before_help = "Examples:\n  eval \"$(claude-proxy env)\"\n  claude-proxy env --shell fish | source\n  \
                       claude-proxy env --claude-settings",
        after_help = "The proxy need not run. Where somebody else listens on its port, nothing is printed, and the exit code is 4."
    )]
    Env(EnvArgs),
    /// The filter language of the logs
    #[command(hide = true, disable_help_flag = true, override_help = page::text())]
    Filter,
    /// Print the completion script of a shell
    #[command(before_help = "Examples:\n  source <(claude-proxy completions bash)\n  \
                             claude-proxy completions fish > ~/.config/fish/completions/claude-proxy.fish")]
    Completions(CompletionsArgs),
}

/// Which running proxy to talk to.
#[derive(Clone, Debug, Args)]
pub struct AttachArgs {
    #[arg(long, value_name = "URL", env = "CLAUDE_PROXY_ADMIN", hide_env_values = true, value_hint = ValueHint::Url)]
    #[arg(help = "The running proxy's admin address; without it web_admin.host and .port of the config")]
    pub admin: Option<String>,
}

impl AttachArgs {
    /// An empty variable counts as none.
    pub fn named(&self) -> Option<&str> {
        self.admin.as_deref().filter(|url| !url.is_empty())
    }
}

#[derive(Clone, Debug, Args)]
pub struct StatuslineArgs {
    #[command(flatten)]
    pub attach: AttachArgs,
    /// How long to wait for the proxy, in milliseconds; what is not there by then is left out
    #[arg(long, value_name = "MS", default_value_t = 15)]
    pub within: u64,
    /// Print one JSON object: the line without its colours
    #[arg(long)]
    pub json: bool,
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
                             claude-proxy logs search '\"rate limit\"' --since yesterday --until 14:00\n  \
                             claude-proxy logs search session:6e1f2a --json | jq .usage", after_help = SEARCH_NOTES)]
    Search(LogsSearchArgs),
}

#[derive(Debug, Args)]
pub struct LogsTailArgs {
    #[arg(value_name = "FILTER", add = terms::filter(), help = "Only requests that fit; `claude-proxy help filter` explains the language")]
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
    #[arg(value_name = "FILTER", add = terms::filter(), help = "What fits; `claude-proxy help filter` explains the language")]
    pub filter: Vec<String>,
    /// Only requests since then: 2h, 14:00, yesterday, 2026-03-09, 2026-03-09T14:00
    #[arg(long, value_name = "TIME", add = terms::time())]
    pub since: Option<String>,
    /// Only requests before then
    #[arg(long, value_name = "TIME", add = terms::time())]
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
    #[command(
        before_help = "Examples:\n  claude-proxy endpoints list\n  claude-proxy endpoints list --json | jq '.endpoints[].state'"
    )]
    List(StatusArgs),
    /// Use an endpoint again
    #[command(before_help = "Examples:\n  claude-proxy endpoints enable mirror-1")]
    Enable(EndpointNames),
    /// Stop using an endpoint; what is under way there finishes
    #[command(
        before_help = "Examples:\n  claude-proxy endpoints disable mirror-1\n  claude-proxy endpoints disable mirror-1 mirror-2 --json"
    )]
    Disable(EndpointNames),
    /// Add an endpoint
    #[command(before_help = "Examples:\n  claude-proxy endpoints add kimi --url https://api.example.com \\\n    \
                             --auth-type auth_token --auth-value '${KIMI_KEY}' --priority 2\n  \
                             claude-proxy endpoints add own --url https://api.anthropic.com \\\n    \
                             --auth-type passthrough --dry-run")]
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
pub struct EndpointTestArgs {
    #[arg(value_name = "NAME", add = names::endpoint(), help = "Which endpoints; all enabled ones without it")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub attach: AttachArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

const AUTH_TYPE: &str = "How requests to it authenticate: api_key (x-api-key), auth_token (Authorization: Bearer) or \
                         passthrough (the client's own login)";

/// The keys of an endpoint as flags. An empty value takes an optional key out, but for `--path-prefix`.
#[derive(Debug, Args)]
pub struct EndpointKeys {
    /// The address, without /v1
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// What stands where the client wrote /v1; '' = nothing
    #[arg(long, value_name = "PATH")]
    pub path_prefix: Option<String>,
    #[arg(long, value_name = "TYPE", hide_possible_values = true, help = AUTH_TYPE)]
    pub auth_type: Option<InitAuth>,
    #[arg(
        long,
        value_name = "VALUE",
        help = "Its key: '${VARIABLE}' or file:PATH, or the key itself; - reads the key itself from stdin"
    )]
    pub auth_value: Option<String>,
    /// Smaller is tried first; equals share the load
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// The version of HTTP: 1.1, 2 or auto
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
    Schema(JsonArgs),
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
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    #[arg(long, value_name = "TYPE", hide_possible_values = true, help = AUTH_TYPE)]
    pub auth_type: Option<InitAuth>,
    #[arg(long, value_name = "VALUE", help = "Its key: '${VARIABLE}' or file:PATH, or the key itself")]
    pub auth_value: Option<String>,
    /// The port that the proxy listens on, from 1 to 65534
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65534))]
    pub port: Option<u16>,
    /// Print one JSON object: the file that was written
    #[arg(long)]
    pub json: bool,
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
    /// The shell to print for: sh (bash and zsh too), fish, powershell or cmd; without it the one that $SHELL names
    #[arg(long, hide_possible_values = true, conflicts_with_all = ["json", "claude_settings"])]
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
    /// Whose script
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

/// The original served when it was told no more than its config: so does a line in its spelling.
pub fn serve_by_default(arguments: &mut Vec<OsString>) {
    let says_more = |argument: &OsString| ["-h", "--help", "-V", "--version", "--"].iter().any(|word| argument == word);
    if verb(arguments).is_none() && !arguments.iter().any(says_more) {
        arguments.push("serve".into());
    }
}

/// The command that a line which was not understood asks for.
pub fn verb(arguments: &[OsString]) -> Option<&str> {
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    while let Some(word) = words.next() {
        match word {
            "-c" | "--config" | "--color" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
    None
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

    /// Every command that a reader of the help can find.
    fn each(command: &clap::Command, visit: &mut dyn FnMut(&clap::Command)) {
        visit(command);
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            each(sub, visit);
        }
    }

    /// A line of a help's examples as the shell would hand it over, up to a pipe; `None` when it is no call of ours,
    /// such as a line for a file of settings.
    fn example(line: &str) -> Option<Vec<OsString>> {
        if line.starts_with('"') {
            return None;
        }
        let call = &line[line.find("claude-proxy")?..];
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for letter in call.chars() {
            match letter {
                '\'' | '"' if quote == Some(letter) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(letter),
                '|' | '>' | ')' if quote.is_none() => break,
                ' ' if quote.is_none() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                _ => word.push(letter),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        Some(words.into_iter().map(OsString::from).collect())
    }

    #[test]
    fn every_help_begins_with_examples_that_work_and_can_be_pasted() {
        let mut root = Cli::command();
        root.build();
        let mut seen = 0;
        each(&root, &mut |command| {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            let text = command.get_before_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.starts_with("Examples"), "{name}: {text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: too wide for a terminal\n{text}");
            // Text behind two spaces tells what the example does.
            let joined = text.replace("\\\n", " ");
            let lines = joined.lines().skip(1).map(|line| line.trim_start().split("  ").next().unwrap_or_default());
            for call in lines.filter_map(example) {
                let parsed = Cli::try_parse_from(&call);
                assert!(parsed.is_ok(), "{name}: {call:?}: {}", parsed.unwrap_err());
                seen += 1;
            }
        });
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn every_argument_says_what_it_is_and_every_help_is_of_one_form() {
        let mut root = Cli::command();
        root.build();
        each(&root, &mut |command| {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let flag = argument.get_id();
                assert!(!help.is_empty() && !help.ends_with('.'), "{name} {flag}: {help}");
                // Either would have clap print this one command's help in its other, longer form.
                let explained = argument.get_possible_values().iter().any(|value| value.get_help().is_some());
                assert!(!explained || argument.is_hide_possible_values_set(), "{name} {flag}");
                assert!(argument.get_long_help().is_none(), "{name} {flag}");
            }
        });
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
    fn the_verb_of_a_wrong_line_is_known() {
        for line in ["p statusline --nonsense", "p -c a.yaml --color never statusline x", "p --color=x statusline"] {
            assert_eq!(verb(&arguments(line)), Some("statusline"), "{line}");
        }
        assert_eq!(verb(&arguments("p logs show statusline --x")), Some("logs"));
        assert_eq!(verb(&arguments("p --nonsense")), None);
    }

    #[test]
    fn colour_and_json_are_known_before_the_rest() {
        assert_eq!(peek(&arguments("p config show --json --color never")), (true, Some(When::Never)));
        assert_eq!(peek(&arguments("p --color=always nonsense")), (false, Some(When::Always)));
        assert_eq!(peek(&arguments("p run -- x --json --color never")), (false, None));
    }
}
