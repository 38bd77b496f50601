//! Pictures of an overview, as values.

use super::*;
use crate::wire::stats::{Percentiles, Tokens};
use crate::wire::status::{ConfigStanding, LogStanding, Phase, Refusal, RunningView, Totals};
use crate::wire::words;

const NOW: &str = "2026-03-09T14:02:11.000+08:00";
const EARLIER: &str = "2026-03-09T14:00:59.000+08:00";

fn endpoint(name: &str, priority: i64, state: &str) -> EndpointView {
    EndpointView {
        name: name.into(),
        url: format!("https://{name}.example"),
        priority,
        state: state.into(),
        enabled: state != "disabled",
        since: EARLIER.into(),
        ..EndpointView::default()
    }
}

fn status() -> StatusView {
    StatusView {
        version: "0.1.0".into(),
        pid: 4711,
        time: NOW.into(),
        started: "2026-03-08T10:02:11.000+08:00".into(),
        uptime_s: 11_520,
        listen: "127.0.0.1:8080".into(),
        admin: "127.0.0.1:8081".into(),
        config: ConfigStanding { file: Some("/etc/proxy.yaml".into()), loaded: EARLIER.into(), ..Default::default() },
        log: LogStanding { directory: "/logs".into(), size: 5 << 20, ..Default::default() },
        ..StatusView::default()
    }
}

/// Everything that can be told, told.
fn busy() -> Overview {
    let mut status = status();
    status.config.refused = Some(Refusal {
        time: EARLIER.into(),
        message: "proxy.yaml:2:3: server.prot: unknown key `prot`".into(),
        hint: Some("did you mean `port`?".into()),
    });
    status.config.restart_needed = vec!["server.port: 8080 -> 9090".into()];
    status.config.warnings = vec!["others can read it".into()];
    status.totals = Totals {
        requests: 1204,
        complete: 1203,
        failed: 1,
        failovers: 31,
        refused: 12,
        tokens: Tokens { input: 1_000_000, cache_read: 9_000_000, output: 1_900_000, cache_creation: 0 },
        ..Totals::default()
    };
    status.in_flight = 2;
    status.running = vec![RunningView {
        endpoint: Some("primary".into()),
        model: Some("claude-sonnet-5-20260101\x1b[2J".into()),
        age_ms: 3_100,
        phase: Phase::Streaming,
        ..RunningView::default()
    }];
    status.log.dropped = 1;
    status.log.error = Some("no space left".into());
    status.memory_bytes = Some(21 << 20);
    let mut primary = endpoint("primary", 1, "up");
    (primary.window_ok, primary.window_failed, primary.in_flight) = (212, 1, 2);
    primary.first_byte = Percentiles { p50_ms: Some(900), p95_ms: Some(4_000) };
    primary.duration = Percentiles { p50_ms: Some(2_100), p95_ms: Some(8_400) };
    let mut down = endpoint("备用-kimi", 3, "down");
    down.window_failed = 7;
    down.reason = Some("529 overloaded_error\r\n\x1b[31mred".into());
    down.next_probe = Some("2026-03-09T14:02:20.000+08:00".into());
    down.failed_probes = 3;
    down.causes = vec!["req_1".into(), "req_2".into()];
    let mut resting = endpoint("mirror", 2, "resting");
    resting.reason = Some("429 rate_limit_error".into());
    resting.resting_until = Some("2026-03-09T14:03:11.000+08:00".into());
    let endpoints = vec![endpoint("backup", 9, "disabled"), down, resting, primary];
    Overview::new(status, EndpointList { endpoints, revision: None, window_s: 140 })
}

fn drawn(overview: &Overview) -> String {
    anstream::adapter::strip_str(&screen::draw(overview)).to_string()
}

/// As the reader's own clock has it.
fn local(time: &str) -> String {
    words::clock(time)
}

#[test]
fn one_screen_tells_everything() {
    let overview = busy();
    let (at, started) = (local(EARLIER), words::day_and_clock("2026-03-08T10:02:11.000+08:00"));
    let expected = format!(
        "\
● claude-proxy 0.1.0 on 127.0.0.1:8080, up 3h12m
  since      {started}, pid 4711
  page       http://127.0.0.1:8081
  config     /etc/proxy.yaml, taken at {at}
             x refused at {at}, the old settings stay in force: proxy.yaml:2:3: server.prot: unknown key `prot` (did you mean `port`?)
             ◐ needs a restart: server.port: 8080 -> 9090
             ◐ others can read it
  requests   1204: 99.9% complete, 31 after a failover, 1 failed, 12 turned away at the door
  tokens     in 10.0M (90% cached), out 1.9M
  in flight  2
             primary  sonnet-5-20260101\\u{{1b}}[2J  streaming, 3.1s
  log        /logs, 5.0 MiB
             x 1 dropped: no file has them
             x nothing can be written: no space left
  memory     21.0 MiB

  P  ENDPOINT   STATE       OK/FAIL  FIRST BYTE   P95  IN FLIGHT  (of the last 2m20s)
  1  primary    ● up          212/1        0.9s  8.4s          2
  2  mirror     ◌ resting         -           -     -          -
     since {at}: 429 rate_limit_error; left alone for 60.0s
  3  备用-kimi  x down          0/7           -     -          -
     since {at}: 529 overloaded_error\\r\\n\\u{{1b}}[31mred; next probe in 9.0s; 3 probes failed; last request req_2
  9  backup     ○ disabled        -           -     -          -
"
    );
    assert_eq!(drawn(&overview), expected);
    assert!(screen::draw(&overview).contains("\x1b["));
}

#[test]
fn a_proxy_that_nobody_used_yet_is_told_as_one() {
    let overview =
        Overview::new(status(), EndpointList { endpoints: vec![endpoint("a", 1, "up")], ..Default::default() });
    let drawn = drawn(&overview);
    assert!(drawn.contains("\n  requests   none yet\n  in flight  0\n"), "{drawn}");
    assert!(!drawn.contains("tokens") && !drawn.contains("memory"), "{drawn}");
}

#[test]
fn it_is_healthy_while_one_endpoint_is_up_or_degraded() {
    for (states, healthy) in [
        (&["up"][..], true),
        (&["down", "degraded"], true),
        (&["down", "resting", "disabled"], false),
        (&["novel"], false),
        (&[], false),
    ] {
        let endpoints = states.iter().map(|state| endpoint("a", 1, state)).collect();
        let overview = Overview::new(status(), EndpointList { endpoints, ..Default::default() });
        assert_eq!(overview.healthy, healthy, "{states:?}");
        assert_eq!(drawn(&overview).contains("no endpoint is up"), !healthy);
    }
}

#[test]
fn plain_rows_are_one_a_line_and_keep_every_number() {
    let rows = plain::rows(&busy());
    for row in [
        "healthy\ttrue",
        "config_refused\tproxy.yaml:2:3: server.prot: unknown key `prot`",
        "requests\t1204",
        "cache_read_tokens\t9000000",
        "memory_bytes\t22020096",
        "warning\tothers can read it",
        "endpoint\tprimary\tup\t1\thttps://primary.example\t212\t1\t900\t8400\t2\t2026-03-09T14:00:59.000+08:00\t\t",
        "endpoint\t备用-kimi\tdown\t3\thttps://备用-kimi.example\t0\t7\t\t\t0\t2026-03-09T14:00:59.000+08:00\t\
         2026-03-09T14:02:20.000+08:00\t529 overloaded_error\\r\\n\\u{1b}[31mred",
    ] {
        assert!(rows.lines().any(|line| line == row), "{row}\n{rows}");
    }
}
