//! `logs show ID`: one request for a person, from what happened to the last byte that was logged.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anstyle::{Effects, Style};
use unicode_width::UnicodeWidthStr as _;

use super::lines::{Form, json, piped};
use super::output::{Output, columns};
use super::{Log, answer, curl};
use crate::cli::LogsShowArgs;
use crate::commands::{CommandError, Exit, note};
use crate::config::RequestTypes;
use crate::logs::store::Query;
use crate::wire::filter::Filter;
use crate::wire::filter::fields::Field;
use crate::wire::harmless::harmless;
use crate::wire::logs::Detail;
use crate::wire::record::{AttemptRecord, Exchanged, RequestRecord};
use crate::wire::words;

/// Requests that are listed when the beginning of an id fits several.
const LISTED: usize = 10;
/// Letters of an id's end that are looked for in the whole log.
const SHORTEST_END: usize = 4;
const BOLD: Style = Style::new().effects(Effects::BOLD);
const QUIET: Style = Style::new().effects(Effects::DIMMED);

pub(super) fn run(explicit: Option<&Path>, log: &Log, args: &LogsShowArgs) -> Result<Exit, CommandError> {
    let record = find(log, args.id.trim())?;
    if args.curl {
        let curl = curl::command(explicit, &record)?;
        Output::direct(Form::Plain).write(&curl.command)?;
        curl.notes.iter().for_each(|told| note(&format!("note: {told}")));
        return Ok(Exit::Fine);
    }
    let columns = columns();
    let form = Form::of(args.json, false, columns);
    let text = if args.json { json(&record) } else { page(&record, columns.unwrap_or(usize::MAX)) };
    let mut out = Output::paged(form, args.no_pager);
    let wrote = out.write(&text);
    out.finish();
    wrote?;
    Ok(Exit::Fine)
}

/// The newest record of this id, or the only one whose id begins so.
fn find(log: &Log, id: &str) -> Result<RequestRecord, CommandError> {
    let get = |id: &str| log.store.get(id).map_err(|error| log.unreadable(&error));
    if id.is_empty() {
        return Err(CommandError::usage("an id is missing", "`claude-proxy logs tail` shows the newest ones"));
    }
    if let Some(record) = get(id)? {
        return Ok(record);
    }
    let begun = log.store.with_prefix(id, LISTED + 1).map_err(|error| log.unreadable(&error))?;
    let found = if begun.is_empty() { with_end(log, id)? } else { begun };
    match found.as_slice() {
        [] => Err(missing(log, id)),
        [only] => get(&only.id)?.ok_or_else(|| missing(log, id)),
        several => Err(ambiguous(id, several)),
    }
}

/// The newest requests whose id ends so: on a narrow screen the lists show no more of it.
fn with_end(log: &Log, id: &str) -> Result<Vec<RequestRecord>, CommandError> {
    let id = id.trim_start_matches('…');
    let Some(filter) = Filter::contains(Field::Id, id).filter(|_| id.len() >= SHORTEST_END) else {
        return Ok(Vec::new());
    };
    let query = Query { filter: &filter, before: None, limit: usize::MAX, detail: Detail::Summary };
    let mut found: Vec<RequestRecord> = Vec::new();
    let mut hit = |record: RequestRecord| {
        let new = record.id.ends_with(id) && found.iter().all(|known| known.id != record.id);
        found.extend(Some(record).filter(|_| new));
        if found.len() > LISTED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    log.store.search(&query, &AtomicBool::new(false), &mut hit).map_err(|error| log.unreadable(&error))?;
    Ok(found)
}

fn missing(log: &Log, id: &str) -> CommandError {
    let message = format!(
        "no request in {} has an id that begins or ends with `{}`",
        log.directory().display(),
        harmless(id, false)
    );
    let hint = match log.settings.log_request_types {
        RequestTypes::All => "`claude-proxy logs tail` shows the newest ones",
        RequestTypes::Failed => "logging.log_request_types is `failed`: only such requests are in the files",
        RequestTypes::Success => "logging.log_request_types is `success`: only such requests are in the files",
    };
    CommandError::failed("not_found", message, hint)
}

fn ambiguous(id: &str, several: &[RequestRecord]) -> CommandError {
    let count = if several.len() > LISTED { format!("more than {LISTED}") } else { several.len().to_string() };
    let mut shown = String::new();
    for record in several.iter().take(LISTED) {
        shown.push_str("  ");
        shown.push_str(&anstream::adapter::strip_str(&piped(record)).to_string());
    }
    let message = format!("{count} requests have such an id, `{}`; the newest first:", harmless(id, false));
    CommandError::failed("ambiguous", format!("{message}\n{}", shown.trim_end()), "write more of it")
}

/// All of it, as text. Only sentences are broken to fit into the columns; the rest is copied and searched.
fn page(record: &RequestRecord, columns: usize) -> String {
    let mut page = String::new();
    head(record, columns, &mut page);
    attempts(record, &mut page);
    headers("Request headers", &record.request, &mut page);
    page.push_str(&answer::request(&record.request));
    headers("Response headers", &record.response, &mut page);
    page.push_str(&answer::response(&record.response));
    page
}

pub(super) fn heading(title: &str) -> String {
    format!("\n{BOLD}{title}{BOLD:#}\n")
}

/// Broken between words.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut used = 0;
    for word in text.split(' ') {
        let width = word.width();
        if used > 0 && used + 1 + width > columns {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += width;
    }
    lines
}

/// A stretch of time, finely where it is short.
fn took(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { words::seconds(ms) }
}

fn head(record: &RequestRecord, columns: usize, page: &mut String) {
    let RequestRecord { id, time, method, path, .. } = record;
    // Writing to a String cannot fail.
    let _ =
        writeln!(page, "{BOLD}{}{BOLD:#}  {QUIET}{time}{QUIET:#}", harmless(id, false), time = harmless(time, false));
    let _ = writeln!(page, "{} {}\n", harmless(method, false), harmless(path, false));
    let _ = writeln!(page, "{}\n", wrapped(&harmless(&words::sentence(record), false), columns));
    let status = format!("{} {}", record.status, record.ending.word());
    let asked = record.model.as_deref().map(|model| format!("{model}, {}", words::kind(record)));
    let fact = |name: &str, value: Option<String>| {
        value.map(|value| format!("  {QUIET}{name:9}{QUIET:#} {}\n", harmless(&value, false)))
    };
    let facts = [
        fact("status", Some(status)),
        fact("model", asked),
        fact("session", record.session.clone()),
        fact("tokens", tokens(record)),
        fact(
            "size",
            Some(format!("{} up, {} down", words::bytes(record.request.size), words::bytes(record.response.size))),
        ),
    ];
    page.extend(facts.into_iter().flatten());
}

fn tokens(record: &RequestRecord) -> Option<String> {
    let usage = record.usage.filter(|usage| *usage != crate::wire::record::Usage::default())?;
    let parts = [
        (usage.input, "in"),
        (usage.cache_read, "from the cache"),
        (usage.cache_creation, "into the cache"),
        (usage.output, "out"),
    ];
    let parts = parts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?)));
    Some(parts.collect::<Vec<_>>().join(", "))
}

fn attempts(record: &RequestRecord, page: &mut String) {
    if record.attempts.is_empty() {
        return;
    }
    page.push_str(&heading("Attempts"));
    let widest = record.attempts.iter().map(|attempt| harmless(&attempt.endpoint, false).width()).max().unwrap_or(0);
    for (number, attempt) in (1..).zip(&record.attempts) {
        page.push_str(&one_attempt(number, attempt, widest, record));
    }
}

fn one_attempt(number: usize, attempt: &AttemptRecord, widest: usize, record: &RequestRecord) -> String {
    let AttemptRecord { started_ms, duration_ms, status, fault, detail, .. } = attempt;
    let endpoint = harmless(&attempt.endpoint, false);
    let space = " ".repeat(widest.saturating_sub(endpoint.width()));
    let status = status.map_or_else(|| words::NOTHING.to_owned(), |status| status.to_string());
    let became = match fault.as_deref() {
        Some(fault) => harmless(words::fault(fault), false).into_owned(),
        None if number == record.attempts.len() && record.first_byte_ms.is_some() => "answered".to_owned(),
        None => "was left".to_owned(),
    };
    let (start, took) = (took(*started_ms), took(*duration_ms));
    let line = format!("  {number}  {endpoint}{space}  at {start}, for {took}  {status}  {became}\n");
    match detail.as_deref().filter(|detail| !detail.trim().is_empty()) {
        Some(detail) => format!("{line}     {QUIET}{}{QUIET:#}\n", harmless(detail.trim(), false)),
        None => line,
    }
}

fn headers(title: &str, exchanged: &Exchanged, page: &mut String) {
    if exchanged.headers.is_empty() {
        return;
    }
    page.push_str(&heading(title));
    for (name, value) in &exchanged.headers {
        let _ = writeln!(page, "  {QUIET}{}:{QUIET:#} {}", harmless(name, false), harmless(value, false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{Ending, Usage};

    fn record() -> RequestRecord {
        RequestRecord {
            id: "req_1".into(),
            time: "2026-03-09T14:02:09.123+00:00".into(),
            method: "POST".into(),
            path: "/v1/messages".into(),
            model: Some("claude-sonnet-5".into()),
            stream: true,
            status: 200,
            ending: Ending::Complete,
            endpoint: Some("mirror-1".into()),
            duration_ms: 9800,
            first_byte_ms: Some(3100),
            attempts: vec![
                AttemptRecord {
                    endpoint: "kimi".into(),
                    duration_ms: 400,
                    status: Some(529),
                    fault: Some("limited".into()),
                    detail: Some("overloaded_error: \u{1b}[31mbusy".into()),
                    ..AttemptRecord::default()
                },
                AttemptRecord {
                    endpoint: "mirror-1".into(),
                    started_ms: 400,
                    duration_ms: 9400,
                    status: Some(200),
                    ..AttemptRecord::default()
                },
            ],
            usage: Some(Usage { input: Some(12), output: Some(7), cache_read: Some(3), cache_creation: None }),
            request: Exchanged {
                headers: [("x-evil".to_owned(), "a\u{9b}2J".to_owned())].into(),
                body: Some("{\"model\":\"m\",\"messages\":[{\"ro".into()),
                size: 48_000,
                truncated: true,
                ..Exchanged::default()
            },
            ..RequestRecord::default()
        }
    }

    #[test]
    fn a_person_reads_what_happened_first_and_everything_after() {
        let shown = anstream::adapter::strip_str(&page(&record(), usize::MAX)).to_string();
        let expected = r#"req_1  2026-03-09T14:02:09.123+00:00
POST /v1/messages

mirror-1 answered with 200 in 9.8s, the first byte after 3.1s. Before that: kimi is overloaded or limits the rate (529) after 0.4s.

  status    200 complete
  model     claude-sonnet-5, stream
  tokens    12 in, 3 from the cache, 7 out
  size      46.8 KiB up, 0 B down

Attempts
  1  kimi      at 0 ms, for 400 ms  529  is overloaded or limits the rate
     overloaded_error: \u{1b}[31mbusy
  2  mirror-1  at 400 ms, for 9.4s  200  answered

Request headers
  x-evil: a\u{9b}2J

Request body: the first 29 B of 46.8 KiB
{
  "model": "m",
  "messages": [
    {
      "ro
"#;
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(wrapped("ab cd efghijkl m 修修 n", 6), "ab cd\nefghijkl\nm 修修\nn");
        assert_eq!(wrapped("", 6), "");
    }

    #[test]
    fn several_that_fit_are_listed() {
        let error = ambiguous("req", &[record(), record()]);
        assert_eq!((error.exit(), error.code()), (Exit::Failed, "ambiguous"));
        assert!(error.message().starts_with("2 requests have such an id, `req`; the newest first:\n  20"));
        assert_eq!(error.message().lines().count(), 3);
        let many = ambiguous("req", &vec![record(); LISTED + 1]).message();
        assert!(many.starts_with("more than 10 ") && many.lines().count() == LISTED + 1, "{many}");
    }
}
