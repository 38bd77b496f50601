//! A proxy that never was: what it would have told the dashboard, always the same.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::json;

use super::message::{Effect, Lost, Message, News, Now};
use super::model::opened::Opened;
use super::model::{Areas, Model, Options};
use super::theme::Screen;
use super::{text, view};
use crate::wire::event::{EndpointChanged, Event, RequestEnded};
use crate::wire::logs::LogPage;
use crate::wire::record::{AttemptRecord, Ending, Exchanged, RequestRecord, Usage};
use crate::wire::stats::{Percentiles, StatsView, Step, Tokens};
use crate::wire::status::{
    EndpointCounts, EndpointList, EndpointView, LogStanding, Phase, RecentAttempt, RunningView, StatusView, Totals,
};

const START: &str = "2026-03-09T14:02:11Z";

/// So many seconds after the dashboard began.
pub(crate) fn at(seconds: u64) -> Now {
    let start: Timestamp = START.parse().unwrap();
    let wall = start + jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap());
    Now { at: Duration::from_secs(seconds), wall }
}

pub(crate) fn options() -> Options {
    Options {
        address: "127.0.0.1:8081".into(),
        source: "web_admin in config.yaml".into(),
        start: "claude-proxy --config config.yaml serve".into(),
        screen: Screen { utf8: true, ..Screen::default() },
        ..Options::default()
    }
}

/// Attached, with some traffic behind it and some under way.
pub(crate) fn attached() -> Model {
    attached_with(options())
}

pub(crate) fn attached_with(options: Options) -> Model {
    let mut model = Model::new(options);
    for news in all_news() {
        feed(&mut model, news, 0);
    }
    model
}

pub(crate) fn all_news() -> Vec<News> {
    vec![
        News::Attached,
        News::Pushed(Event::Status(Box::new(status()))),
        News::Endpoints(endpoints()),
        News::Recent(LogPage { logs: records(), next: Some("older".into()) }),
        News::Stats(Box::new(stats())),
        News::Pushed(Event::Endpoint(Box::new(kimi_went_down()))),
        ended(record(9, "14:02:09", &["primary"], 200)),
    ]
}

pub(crate) fn feed(model: &mut Model, news: News, seconds: u64) {
    assert_eq!(model.update(Message::Feed(Box::new(news)), at(seconds)), []);
}

pub(crate) fn ended(record: RequestRecord) -> News {
    News::Pushed(Event::RequestEnded(Box::new(RequestEnded { key: 0, record })))
}

pub(crate) fn lost(attempt: u32) -> News {
    let retry_in = Duration::from_secs(2);
    News::Lost(Lost { why: "nobody listens there".into(), hint: None, attempt, retry_in })
}

pub(crate) fn status() -> StatusView {
    StatusView {
        version: "0.1.0".into(),
        time: "2026-03-09T14:02:11.000+00:00".into(),
        uptime_s: 11_520,
        listen: "127.0.0.1:8080".into(),
        admin: "127.0.0.1:8081".into(),
        endpoints: EndpointCounts { up: 1, degraded: 1, down: 1, disabled: 1, ..EndpointCounts::default() },
        totals: Totals {
            requests: 1204,
            complete: 1194,
            failed: 10,
            failovers: 31,
            tokens: Tokens { input: 4_900_000, output: 1_900_000, cache_read: 36_300_000, cache_creation: 0 },
            ..Totals::default()
        },
        in_flight: 3,
        running: vec![
            under_way(1, Phase::Streaming, &[], "primary", 2150),
            under_way(2, Phase::Held, &["kimi"], "mirror-1", 0),
            under_way(3, Phase::Connecting, &[], "备用节点", 0),
        ],
        log: LogStanding { size: 1_400_000_000, ..LogStanding::default() },
        memory_bytes: Some(18 << 20),
        ..StatusView::default()
    }
}

fn under_way(key: u64, phase: Phase, failed: &[&str], endpoint: &str, bytes: u64) -> RunningView {
    RunningView {
        key,
        time: "2026-03-09T14:02:08.000+00:00".into(),
        age_ms: 3200 - key * 1000,
        model: Some("claude-opus-4-8".into()),
        stream: true,
        session: Some("6e1f0c52-session".into()),
        phase,
        endpoint: Some(endpoint.into()),
        failed: failed.iter().map(|name| (*name).to_owned()).collect(),
        bytes,
        ..RunningView::default()
    }
}

pub(crate) fn endpoints() -> EndpointList {
    let recent = |marks: &str| {
        let attempt = |c: char| RecentAttempt {
            ok: c != 'x',
            duration_ms: c.to_digit(10).map_or(0, |digit| u64::from(digit) * 1000),
            id: String::new(),
        };
        marks.chars().map(attempt).collect::<Vec<_>>()
    };
    let primary = EndpointView {
        window_ok: 212,
        window_failed: 1,
        duration: Percentiles { p50_ms: Some(2100), p95_ms: Some(8400) },
        first_byte: Percentiles { p50_ms: Some(900), p95_ms: Some(1500) },
        output_tokens_per_s: Some(71.3),
        recent: recent("2232523242232523x2228322242"),
        ..endpoint("primary", 1, "up", "https://api.anthropic.com")
    };
    let mirror = EndpointView {
        window_ok: 18,
        window_failed: 6,
        duration: Percentiles { p50_ms: Some(4000), p95_ms: Some(31_000) },
        first_byte: Percentiles { p50_ms: Some(3200), p95_ms: None },
        output_tokens_per_s: Some(38.0),
        reason: Some("it answered 401 authentication_error: invalid x-api-key".into()),
        recent: recent("257x5x75xx5"),
        ..endpoint("mirror-1", 2, "degraded", "https://mirror.example.com")
    };
    let kimi = EndpointView {
        window_failed: 7,
        reason: Some("it answered 529 overloaded_error: try again later".into()),
        next_probe: Some("2026-03-09T14:02:20Z".into()),
        failed_probes: 3,
        causes: vec!["req_4".into()],
        recent: recent("xxxxxxx"),
        ..endpoint("kimi", 3, "down", "https://api.kimi.example/anthropic")
    };
    let backup =
        EndpointView { enabled: false, ..endpoint("备用节点", 4, "disabled", "https://backup.example.com") };
    EndpointList { endpoints: vec![primary, mirror, kimi, backup], revision: None, window_s: 140 }
}

fn endpoint(name: &str, priority: i64, state: &str, url: &str) -> EndpointView {
    EndpointView {
        name: name.into(),
        priority,
        state: state.into(),
        url: url.into(),
        enabled: true,
        since: "2026-03-09T14:00:59Z".into(),
        ..EndpointView::default()
    }
}

pub(crate) fn kimi_went_down() -> EndpointChanged {
    EndpointChanged {
        time: "2026-03-09T14:01:12.000+00:00".into(),
        name: "kimi".into(),
        from: "up".into(),
        to: "down".into(),
        reason: Some("7 of 7 requests failed in 140 s".into()),
        endpoint: endpoints().endpoints.into_iter().find(|endpoint| endpoint.name == "kimi"),
    }
}

/// Tried at `path`, the last one with `status`.
pub(crate) fn record(number: usize, clock: &str, path: &[&str], status: u16) -> RequestRecord {
    let failed = |name: &&str| AttemptRecord {
        endpoint: (*name).to_owned(),
        duration_ms: 400,
        status: Some(529),
        fault: Some("overloaded".into()),
        detail: Some("it answered 529 overloaded_error".into()),
        ..AttemptRecord::default()
    };
    let (last, before) = path.split_last().unwrap();
    let mut attempts: Vec<_> = before.iter().map(failed).collect();
    let started_ms = 400 * before.len() as u64;
    let answered = AttemptRecord { started_ms, duration_ms: 6800, status: Some(status), ..AttemptRecord::default() };
    attempts.push(AttemptRecord { endpoint: (*last).to_owned(), ..answered });
    RequestRecord {
        id: format!("req_{number}"),
        time: format!("2026-03-09T{clock}.000+00:00"),
        method: "POST".into(),
        path: "/v1/messages?beta=true".into(),
        model: Some("claude-opus-4-8-20260201".into()),
        stream: true,
        session: Some("6e1f0c52-session".into()),
        status,
        ending: Ending::Complete,
        endpoint: Some((*last).to_owned()),
        duration_ms: started_ms + 6800,
        first_byte_ms: Some(started_ms + 800),
        attempts,
        usage: Some(Usage { input: Some(4800), output: Some(912), cache_read: Some(43_300), cache_creation: None }),
        ..RequestRecord::default()
    }
}

/// Newest first, one of each kind.
fn records() -> Vec<RequestRecord> {
    let refused = RequestRecord {
        model: Some("claude-haiku-4-5".into()),
        stream: false,
        usage: None,
        first_byte_ms: None,
        ending: Ending::Failed,
        error: Some("mirror-1 refuses its key (401)".into()),
        attempts: vec![AttemptRecord {
            endpoint: "mirror-1".into(),
            duration_ms: 300,
            status: Some(401),
            fault: Some("credentials".into()),
            ..AttemptRecord::default()
        }],
        ..record(6, "14:01:58", &["mirror-1"], 502)
    };
    let left = RequestRecord {
        ending: Ending::ClientGone,
        usage: None,
        first_byte_ms: None,
        duration_ms: 3100,
        ..record(5, "14:01:31", &["primary"], 499)
    };
    let cut = RequestRecord {
        ending: Ending::Cut,
        error: Some("the stream broke off".into()),
        usage: None,
        ..record(4, "14:01:20", &["kimi"], 200)
    };
    let hostile = RequestRecord {
        model: Some("\u{1b}[2J\u{7}修一下🦀".into()),
        session: Some("\u{202e}evil".into()),
        ..record(3, "14:01:10", &["备用节点"], 200)
    };
    vec![record(8, "14:02:07", &["kimi", "mirror-1"], 200), refused, left, cut, hostile]
}

fn stats() -> StatsView {
    let step = |number: u64| Step {
        requests: number % 7,
        tokens: Tokens { output: number * 100, ..Tokens::default() },
        duration: Percentiles { p50_ms: Some(900), p95_ms: Some(2000 + number % 11 * 500) },
        first_byte: Percentiles { p50_ms: Some(500 + number % 5 * 300), p95_ms: None },
        ..Step::default()
    };
    StatsView {
        from: "2026-03-09T13:47:00Z".into(),
        to: "2026-03-09T14:02:00Z".into(),
        step_s: 15,
        steps: (0..60).map(step).collect(),
        ..StatsView::default()
    }
}

/// `req_8` as the log has it, taken apart.
pub(crate) fn opened() -> Arc<Opened> {
    let request = json!({"model": "claude-opus-4-8", "max_tokens": 32000, "system": [{"type": "text", "text": "x".repeat(500)}],
        "messages": [{"role": "user", "content": "修一下 parser…\nand then\u{1b}[31m the rest"}], "tools": []});
    let stream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Done: 修好了 🦀\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let exchanged = |body: String, headers: &[(&str, &str)]| Exchanged {
        size: body.len() as u64,
        body: Some(body),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Exchanged::default()
    };
    Arc::new(Opened::new(RequestRecord {
        request: exchanged(request.to_string(), &[("anthropic-version", "2023-06-01"), ("x-api-key", "[redacted]")]),
        response: exchanged(stream.to_owned(), &[("content-type", "text/event-stream")]),
        ..record(8, "14:02:07", &["kimi", "mirror-1"], 200)
    }))
}

/// A key by its name in the help: `G`, `Enter`, `Ctrl-d`.
pub(crate) fn key(name: &str) -> KeyEvent {
    let (modifiers, name) = match name.strip_prefix("Ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Space" => KeyCode::Char(' '),
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Backspace" => KeyCode::Backspace,
        letter => KeyCode::Char(letter.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}

/// Keys by name, with spaces between them; what they asked for.
pub(crate) fn press(model: &mut Model, names: &str) -> Vec<Effect> {
    names.split_whitespace().flat_map(|name| model.update(Message::Key(key(name)), at(1))).collect()
}

/// Letter by letter.
pub(crate) fn type_in(model: &mut Model, text: &str) {
    for letter in text.chars() {
        model.update(Message::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)), at(1));
    }
}

/// Draws until nothing moves any more, as the main loop does.
pub(crate) fn draw(model: &mut Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    loop {
        let mut areas = Areas::default();
        terminal.draw(|frame| areas = view::draw(frame, model)).unwrap();
        if !model.drawn(areas) {
            return terminal.backend().buffer().clone();
        }
    }
}

/// The text on a screen of that size.
pub(crate) fn picture(model: &mut Model, width: u16, height: u16) -> String {
    as_text(&draw(model, width, height))
}

pub(crate) fn as_text(buffer: &Buffer) -> String {
    let mut lines = Vec::new();
    for y in 0..buffer.area.height {
        let (mut line, mut x) = (String::new(), 0);
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide letter covers the cell behind it.
            x += text::cells(text::width(symbol).max(1));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}
