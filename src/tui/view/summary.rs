//! What became of a request, and its figures.
//! ```text
//!  mirror-1 answered with 200 in 9.8s, the first byte after 3.1s. Before that: kimi …
//!
//!  request     POST /v1/messages?beta=true
//!  model       claude-sonnet-5, stream
//!  tokens      in 1.2k + 10.8k cached   out 311   31 tokens/s
//! ```

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::Canvas;
use super::pen::Pen;
use crate::tui::text;
use crate::wire::record::{Ending, Exchanged, RequestRecord, Usage};
use crate::wire::words::{self, NOTHING};

const LABEL: usize = 11;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, record: &RequestRecord, scroll: usize) {
    let theme = canvas.theme;
    let width = usize::from(area.width).saturating_sub(2);
    let good = matches!(record.ending, Ending::Complete);
    let told = text::wrap(&words::sentence(record), width);
    let mut lines: Vec<(&str, String)> = told.into_iter().map(|line| ("", line)).collect();
    let sentence = lines.len();
    lines.push(("", String::new()));
    for (label, value) in facts(record) {
        for (number, line) in text::wrap(&value, width.saturating_sub(LABEL + 1)).into_iter().enumerate() {
            lines.push((if number == 0 { label } else { " " }, line));
        }
    }
    canvas.areas.detail_lines = lines.len();
    for (line, (number, (label, value))) in lines.iter().enumerate().skip(scroll).enumerate() {
        let mut pen = Pen::new(canvas.buf, area, line);
        pen.skip(1);
        if !label.is_empty() {
            pen.left(label, LABEL, theme.dim);
        }
        let style = match number < sentence {
            true if good => Style::new().add_modifier(Modifier::BOLD),
            true => theme.warn.add_modifier(Modifier::BOLD),
            false => theme.base,
        };
        pen.put(value, style);
    }
}

/// Labels and values, in the order in which one asks for them.
fn facts(record: &RequestRecord) -> Vec<(&'static str, String)> {
    let kind = words::kind(record);
    let mut facts = vec![
        ("request", format!("{} {}", record.method, record.path)),
        ("model", format!("{}, {kind}", record.model.as_deref().unwrap_or(NOTHING))),
        ("status", format!("{} ({})", record.status, record.ending.word().replace('_', " "))),
        ("endpoint", words::path_of(record)),
        ("time", words::day_and_clock(&record.time)),
        ("took", took(record)),
    ];
    facts.extend(record.usage.map(|usage| ("tokens", tokens(usage, record))));
    facts.extend(record.session.clone().map(|session| ("session", session)));
    facts.push(("sizes", format!("request {}, response {}", size(&record.request), size(&record.response))));
    facts.push(("id", record.id.clone()));
    facts
}

fn took(record: &RequestRecord) -> String {
    let whole = words::seconds(record.duration_ms);
    match record.first_byte_ms {
        Some(first) => format!("{whole}, first byte after {}", words::seconds(first)),
        None => whole,
    }
}

fn tokens(usage: Usage, record: &RequestRecord) -> String {
    let mut told = format!("in {}", words::tokens(usage.input.unwrap_or(0)));
    for (count, what) in [(usage.cache_read, "cached"), (usage.cache_creation, "written to the cache")] {
        if let Some(count) = count.filter(|count| *count > 0) {
            told = format!("{told} + {} {what}", words::tokens(count));
        }
    }
    if let Some(output) = usage.output {
        told = format!("{told}   out {}", words::tokens(output));
        let streaming = record.duration_ms.saturating_sub(record.first_byte_ms.unwrap_or(0));
        if let Some(speed) =
            output.saturating_mul(1000).checked_div(streaming).filter(|_| record.stream && streaming >= 500)
        {
            told = format!("{told}   {speed} tokens/s");
        }
    }
    told
}

fn size(exchanged: &Exchanged) -> String {
    let cut = if exchanged.truncated { " (the log keeps the beginning)" } else { "" };
    format!("{}{cut}", words::bytes(exchanged.size))
}
