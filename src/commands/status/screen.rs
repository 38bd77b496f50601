//! The overview for people:
//!
//! ```text
//! ● claude-proxy 0.1.0 on 127.0.0.1:8080, up 3h12m
//!   since      10:58:01, pid 4711
//!   page       http://127.0.0.1:8081
//!   config     /etc/claude-proxy/config.yaml, taken at 13:40:12
//!              x refused at 14:01:22, these settings stay in force: config.yaml:2:3: …
//!   requests   1204: 99.2% complete, 31 after a failover, 5 failed
//!   tokens     in 41.2M (88% cached), out 1.9M
//!   in flight  1
//!              primary  sonnet-5  streaming for 3.1s
//!   log        /var/log/claude-proxy, 1.3 GiB
//!   memory     21.0 MiB
//!
//!   P  ENDPOINT  STATE       OK/FAIL  FIRST BYTE   P95  IN FLIGHT
//!   1  primary   ● up          212/1        0.9s  8.4s          2
//!   3  kimi      x down          0/7           -     -          -
//!      since 14:00:59: 529 overloaded_error; next probe in 9s; 3 probes failed
//! ```
//! Coloured always; whoever prints it takes the colours out where they do not belong.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use unicode_width::UnicodeWidthStr as _;

use super::Overview;
use crate::wire::harmless::harmless;
use crate::wire::status::{ConfigStanding, EndpointView, LogStanding, Phase, RunningView, StatusView, Totals};
use crate::wire::words::{NOTHING, bytes, clock, day_and_clock, seconds, short_model, tokens};

/// Requests under way that are shown one by one.
const RUNNING_SHOWN: usize = 5;

const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// How a state is told: never by colour alone.
pub fn sign(state: &str) -> (&'static str, Style) {
    match state {
        "up" => ("●", GOOD),
        "degraded" => ("◐", WARN),
        "down" => ("x", BAD),
        "resting" => ("◌", WARN),
        "disabled" => ("○", DIM),
        _ => ("?", DIM),
    }
}

pub(super) fn draw(overview: &Overview) -> String {
    let status = &overview.status;
    let mut screen = Screen { text: String::new(), now: &status.time };
    screen.headline(overview);
    screen.fact("since", &format!("{}, pid {}", screen.when(&status.started), status.pid));
    screen.fact("page", &format!("http://{}", status.admin));
    screen.config(&status.config);
    screen.fact("requests", &requests(&status.totals));
    if let Some(told) = used(&status.totals) {
        screen.fact("tokens", &told);
    }
    screen.in_flight(status);
    screen.log(&status.log);
    if let Some(memory) = status.memory_bytes {
        screen.fact("memory", &bytes(memory));
    }
    screen.endpoints(&overview.endpoints, overview.window_s);
    screen.text
}

struct Screen<'a> {
    text: String,
    /// The proxy's own time: its clock may differ from ours.
    now: &'a str,
}

impl Screen<'_> {
    fn headline(&mut self, overview: &Overview) {
        let StatusView { version, listen, uptime_s, .. } = &overview.status;
        let (mark, style) = if overview.healthy { sign("up") } else { sign("down") };
        let up = seconds((*uptime_s).max(1).saturating_mul(1000));
        let trouble = if overview.healthy { "" } else { ": no endpoint is up" };
        let (version, listen) = (harmless(version, false), harmless(listen, false));
        self.line(&format!(
            "{style}{mark}{style:#} {BOLD}claude-proxy {version} on {listen}{BOLD:#}, up {up}{style}{trouble}{style:#}"
        ));
    }

    fn config(&mut self, config: &ConfigStanding) {
        let file = config.file.as_deref().map_or_else(|| "built in, no file".into(), |file| harmless(file, false));
        self.fact("config", &format!("{file}, taken at {}", self.when(&config.loaded)));
        if let Some(refusal) = &config.refused {
            let hint = refusal.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let when = self.when(&refusal.time);
            let told = format!("refused at {when}, the old settings stay in force: {}{hint}", refusal.message);
            self.remark("down", &told);
        }
        for change in &config.restart_needed {
            self.remark("degraded", &format!("needs a restart: {change}"));
        }
        for warning in &config.warnings {
            self.remark("degraded", warning);
        }
    }

    fn in_flight(&mut self, status: &StatusView) {
        self.fact("in flight", &status.in_flight.to_string());
        for running in status.running.iter().take(RUNNING_SHOWN) {
            self.fact("", &under_way(running));
        }
    }

    fn log(&mut self, log: &LogStanding) {
        self.fact("log", &format!("{}, {}", harmless(&log.directory, false), bytes(log.size)));
        if log.dropped > 0 {
            self.remark("down", &format!("{} dropped: no file has them", log.dropped));
        }
        if let Some(error) = &log.error {
            self.remark("down", &format!("nothing can be written: {error}"));
        }
    }

    fn endpoints(&mut self, endpoints: &[EndpointView], window_s: u64) {
        let mut sorted: Vec<_> = endpoints.iter().collect();
        sorted.sort_by_key(|endpoint| endpoint.priority);
        let rows: Vec<[String; 7]> = sorted.iter().map(|endpoint| cells(endpoint)).collect();
        let heading = ["P", "ENDPOINT", "STATE", "OK/FAIL", "FIRST BYTE", "P95", "IN FLIGHT"].map(str::to_owned);
        let widths: [usize; 7] = std::array::from_fn(|column| {
            rows.iter().chain([&heading]).map(|row| row[column].width()).max().unwrap_or_default()
        });
        let window = format!("(of the last {})", seconds(window_s.saturating_mul(1000)));
        self.line("");
        self.line(&format!("  {DIM}{}  {window}{DIM:#}", aligned(&heading, &widths)));
        for (endpoint, row) in sorted.iter().zip(&rows) {
            let (_, style) = sign(&endpoint.state);
            let whole = aligned(row, &widths);
            let state = format!("{style}{}{style:#}", row[2]);
            self.line(&format!("  {}", whole.replacen(&row[2], &state, 1)));
            if let Some(why) = self.why(endpoint) {
                self.line(&format!("  {:1$}  {why}", "", widths[0]));
            }
        }
    }

    /// Why an endpoint is not simply up, and what comes next.
    fn why(&self, endpoint: &EndpointView) -> Option<String> {
        let reason = endpoint.reason.as_ref()?;
        let mut told = format!("since {}: {}", self.when(&endpoint.since), harmless(reason, false));
        if let Some(until) = &endpoint.resting_until {
            let _ = write!(told, "; left alone for {}", self.until(until));
        }
        if let Some(probe) = &endpoint.next_probe {
            let _ = write!(told, "; next probe in {}", self.until(probe));
        }
        if endpoint.failed_probes > 0 {
            let _ = write!(told, "; {} failed", counted(endpoint.failed_probes.into(), "probe"));
        }
        if let Some(cause) = endpoint.causes.last() {
            let _ = write!(told, "; last request {}", harmless(cause, false));
        }
        Some(told)
    }

    /// A time of day, with its day where that is another one than the proxy's now.
    fn when(&self, time: &str) -> String {
        let day = |time: &str| day_and_clock(time).split(' ').next().map(str::to_owned);
        if day(time) == day(self.now) { clock(time) } else { day_and_clock(time) }
    }

    fn until(&self, time: &str) -> String {
        let (Ok(now), Ok(then)) = (self.now.parse::<Timestamp>(), time.parse::<Timestamp>()) else {
            return NOTHING.to_owned();
        };
        seconds(u64::try_from(then.duration_since(now).as_millis()).unwrap_or_default())
    }

    fn fact(&mut self, name: &str, told: &str) {
        self.line(&format!("  {DIM}{name:9}{DIM:#}  {told}"));
    }

    /// Something about the fact above that wants to be seen.
    fn remark(&mut self, state: &str, told: &str) {
        let (mark, style) = sign(state);
        self.fact("", &format!("{style}{mark}{style:#} {}", harmless(told, false)));
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", line.trim_end());
    }
}

fn requests(totals: &Totals) -> String {
    if totals.requests == 0 {
        return "none yet".to_owned();
    }
    // Rounded down: 100% means all of them.
    let tenths = u128::from(totals.complete) * 1000 / u128::from(totals.requests);
    let mut told = format!("{}: {}.{}% complete", totals.requests, tenths / 10, tenths % 10);
    for (count, what) in [
        (totals.failovers, "after a failover"),
        (totals.relayed_error, "refused by an endpoint"),
        (totals.failed, "failed"),
        (totals.cut, "cut"),
        (totals.client_gone, "left by the client"),
        (totals.refused, "turned away at the door"),
    ] {
        if count > 0 {
            let _ = write!(told, ", {count} {what}");
        }
    }
    told
}

fn used(totals: &Totals) -> Option<String> {
    let used = &totals.tokens;
    let input = used.all_input();
    if input == 0 && used.output == 0 {
        return None;
    }
    let cached = u128::from(used.cache_read) * 100 / u128::from(input.max(1));
    Some(format!("in {} ({cached}% cached), out {}", tokens(input), tokens(used.output)))
}

fn under_way(running: &RunningView) -> String {
    let endpoint = running.endpoint.as_deref().unwrap_or(NOTHING);
    let model = running.model.as_deref().map_or(NOTHING, short_model);
    let doing = match running.phase {
        Phase::Reading => "coming in",
        Phase::Connecting => "connecting",
        Phase::Waiting => "waiting for the first byte",
        Phase::Held => "held until it is worth sending on",
        Phase::Streaming => "streaming",
    };
    let told = format!("{endpoint}  {model}  {doing}, {}", seconds(running.age_ms));
    harmless(&told, false).into_owned()
}

fn cells(endpoint: &EndpointView) -> [String; 7] {
    let time = |ms: Option<u64>| ms.map_or_else(|| NOTHING.to_owned(), seconds);
    let (mark, _) = sign(&endpoint.state);
    let tried = endpoint.window_ok + endpoint.window_failed > 0;
    [
        endpoint.priority.to_string(),
        harmless(&endpoint.name, false).into_owned(),
        format!("{mark} {}", harmless(&endpoint.state, false)),
        if tried { format!("{}/{}", endpoint.window_ok, endpoint.window_failed) } else { NOTHING.to_owned() },
        time(endpoint.first_byte.p50_ms),
        time(endpoint.duration.p95_ms),
        if endpoint.in_flight > 0 { endpoint.in_flight.to_string() } else { NOTHING.to_owned() },
    ]
}

/// Text to the left, numbers to the right.
fn aligned(row: &[String; 7], widths: &[usize; 7]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let space = " ".repeat(width - cell.width());
        let _ = match column {
            1 | 2 => write!(line, "{cell}{space}  "),
            _ => write!(line, "{space}{cell}  "),
        };
    }
    line.trim_end().to_owned()
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
