//! A record as a line: for people at a terminal, for people's tools behind a pipe, for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::wire::harmless::{harmless, harmless_json};
use crate::wire::logs::Detail;
use crate::wire::record::{Ending, RequestRecord};
use crate::wire::words::{self, NOTHING};

/// An id that is cut keeps so many columns of its end at least: it is what `logs show` takes.
const SHORTEST_ID: usize = 8;

/// Which kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The record as one JSON object.
    Json,
    /// Tab-separated fields.
    Plain,
    /// In columns. Columns of the terminal; `None` when nobody looks: then a record is one line, and nothing is cut.
    People(Option<usize>),
}

impl Form {
    pub(super) fn of(json: bool, plain: bool, terminal: Option<usize>) -> Self {
        match (json, plain) {
            (true, _) => Self::Json,
            (_, true) => Self::Plain,
            _ => Self::People(terminal),
        }
    }

    /// How much of a record the line needs.
    pub(super) fn detail(self) -> Detail {
        if self == Self::Json { Detail::Whole } else { Detail::Summary }
    }
}

/// Writes one record after the other.
#[derive(Debug)]
pub(super) struct Lines {
    form: Form,
    /// The day of the last line; empty before the first.
    day: String,
}

impl Lines {
    pub(super) fn new(form: Form) -> Self {
        Self { form, day: String::new() }
    }

    /// With everything that belongs before it, and its line's end.
    pub(super) fn text(&mut self, record: &RequestRecord) -> String {
        match self.form {
            Form::Json => json(record),
            Form::Plain => plain(record),
            Form::People(None) => piped(record),
            Form::People(Some(columns)) => self.on_screen(record, columns),
        }
    }

    fn on_screen(&mut self, record: &RequestRecord, columns: usize) -> String {
        let mut text = String::new();
        let time = words::day_and_clock(&record.time);
        let (day, clock) = time.split_once(' ').unwrap_or((NOTHING, NOTHING));
        let quiet = Style::new().effects(Effects::DIMMED);
        let wide = Widths::of(columns);
        if self.day.is_empty() {
            let _ = writeln!(text, "{quiet}{}{quiet:#}", wide.heading());
        }
        if self.day != day {
            let _ = writeln!(text, "{quiet}── {day} ──{quiet:#}");
            day.clone_into(&mut self.day);
        }
        let facts = wide.facts(record);
        let id = harmless(&record.id, false);
        let left = columns.saturating_sub(clock.width() + 1 + facts.width() + 2).max(SHORTEST_ID);
        let (status, rest) = facts.split_once(' ').unwrap_or((&facts, ""));
        let colour = colour(record);
        let _ = writeln!(text, "{clock} {colour}{status}{colour:#} {rest}  {quiet}{}{quiet:#}", end_of(&id, left));
        if let Some(trouble) = trouble(record) {
            let _ = writeln!(text, "         └ {}", fitted(&trouble, columns.saturating_sub(11)));
        }
        text
    }
}

/// Of the columns whose cells differ.
struct Widths {
    endpoint: usize,
    what: usize,
}

impl Widths {
    fn of(columns: usize) -> Self {
        if columns < 110 { Self { endpoint: 14, what: 10 } } else { Self { endpoint: 20, what: 16 } }
    }

    fn heading(&self) -> String {
        let Self { endpoint, what } = self;
        format!(
            "TIME     ST  {:endpoint$} {:what$} {:>6} {:>6} {:>5} {:>5}  ID",
            "ENDPOINT", "MODEL", "IN", "OUT", "FIRST", "TOTAL"
        )
    }

    /// Status, endpoints, model, tokens and times.
    fn facts(&self, record: &RequestRecord) -> String {
        let [input, output] = tokens(record);
        let first = record.first_byte_ms.map_or_else(|| NOTHING.to_owned(), words::seconds);
        format!(
            "{:<3} {} {} {input:>6} {output:>6} {first:>5} {:>5}",
            record.status,
            padded(&harmless(&words::path_of(record), false), self.endpoint),
            padded(&what(record), self.what),
            words::seconds(record.duration_ms),
        )
    }
}

fn colour(record: &RequestRecord) -> Style {
    let colour = match record.ending {
        Ending::Complete => AnsiColor::Green,
        Ending::RelayedError | Ending::ClientGone => AnsiColor::Yellow,
        Ending::Failed | Ending::Cut => AnsiColor::Red,
    };
    colour.on_default()
}

/// Input (with what came from the cache or went into it) and output, short.
fn tokens(record: &RequestRecord) -> [String; 2] {
    let usage = record.usage.unwrap_or_default();
    let input = [usage.input, usage.cache_read, usage.cache_creation].into_iter().flatten().reduce(u64::saturating_add);
    [input, usage.output].map(|count| count.map_or_else(|| NOTHING.to_owned(), words::tokens))
}

/// The model, or what else was asked for.
fn what(record: &RequestRecord) -> String {
    let path = record.path.split('?').next().unwrap_or_default();
    let what = match record.model.as_deref().map(words::short_model) {
        Some(model) if !model.is_empty() => model,
        _ => path.strip_prefix("/v1/").filter(|rest| !rest.is_empty()).unwrap_or(NOTHING),
    };
    harmless(what, false).into_owned()
}

/// What went wrong, in the upstream's own words where they say more.
fn trouble(record: &RequestRecord) -> Option<String> {
    let trouble = words::trouble(record)?;
    let said = record.error.as_deref().map(str::trim).filter(|said| !said.is_empty() && !trouble.contains(said));
    let told = match (record.ending, said) {
        (Ending::Complete | Ending::ClientGone, _) | (_, None) => trouble,
        (Ending::Failed, Some(said)) => said.to_owned(),
        (_, Some(said)) => format!("{trouble}: {said}"),
    };
    Some(harmless(&told, false).into_owned())
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Cut to so many columns, with a sign that it was.
fn fitted(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = text.chars().take_while(|c| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    });
    fits.chain(std::iter::once('…')).collect()
}

/// The last columns of a text, with a sign when it is cut. Ids begin alike, and differ in their ends.
fn end_of(text: &str, columns: usize) -> String {
    let width = text.width();
    if width <= columns {
        return text.to_owned();
    }
    let mut over = (width + 1).saturating_sub(columns);
    let end = text.chars().skip_while(|c| {
        let cut = over > 0;
        over = over.saturating_sub(c.width().unwrap_or(0).max(1));
        cut
    });
    std::iter::once('…').chain(end).collect()
}

/// All on one line, with the whole id, for `grep` and the like.
pub(super) fn piped(record: &RequestRecord) -> String {
    let facts = Widths { endpoint: 16, what: 12 }.facts(record);
    let colour = colour(record);
    let (status, rest) = facts.split_once(' ').unwrap_or((&facts, ""));
    let time = words::day_and_clock(&record.time);
    let id = harmless(&record.id, false);
    let trouble = trouble(record).map(|trouble| format!("  {trouble}")).unwrap_or_default();
    format!("{time} {colour}{status}{colour:#} {rest}  {id}{trouble}\n")
}

fn plain(record: &RequestRecord) -> String {
    let usage = record.usage.unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let path = words::path_of(record);
    let fields = [
        record.time.clone(),
        record.status.to_string(),
        record.ending.word().to_owned(),
        if path == NOTHING { String::new() } else { path },
        text(&record.model),
        words::kind(record).to_owned(),
        number(usage.input),
        number(usage.output),
        number(usage.cache_read),
        number(usage.cache_creation),
        number(record.first_byte_ms),
        record.duration_ms.to_string(),
        record.id.clone(),
        text(&record.session),
        format!("{} {}", record.method, record.path),
        text(&record.error),
    ];
    let fields: Vec<_> = fields.iter().map(|field| harmless(field, false)).collect();
    fields.join("\t") + "\n"
}

/// One JSON object. What a terminal would obey stands escaped, which JSON takes for the same.
pub(super) fn json(record: &RequestRecord) -> String {
    // A record has no map with keys that are no strings: this cannot fail.
    harmless_json(&serde_json::to_string(record).unwrap_or_default()).into_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::harmless::is_obeyed;
    use crate::wire::record::{AttemptRecord, Usage};

    fn record() -> RequestRecord {
        let attempt = |endpoint: &str, fault: Option<&str>| AttemptRecord {
            endpoint: endpoint.into(),
            duration_ms: 400,
            status: fault.map(|_| 529),
            fault: fault.map(Into::into),
            ..AttemptRecord::default()
        };
        RequestRecord {
            id: "req_011CSHoEeqs5C35K2UUqR7Fy".into(),
            time: "2026-03-09T14:02:09.123+00:00".into(),
            method: "POST".into(),
            path: "/v1/messages?beta=true".into(),
            model: Some("claude-sonnet-5-20260201".into()),
            stream: true,
            status: 200,
            ending: Ending::Complete,
            endpoint: Some("mirror-1".into()),
            duration_ms: 9800,
            first_byte_ms: Some(3100),
            attempts: vec![attempt("kimi", Some("limited")), attempt("mirror-1", None)],
            usage: Some(Usage { input: Some(1200), output: Some(311), cache_read: Some(10_800), cache_creation: None }),
            ..RequestRecord::default()
        }
    }

    fn bare(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_screen_of_80_columns_is_never_overrun() {
        let mut lines = Lines::new(Form::People(Some(80)));
        let text = bare(&(lines.text(&record()) + &lines.text(&record())));
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown[0], "TIME     ST  ENDPOINT       MODEL          IN    OUT FIRST TOTAL  ID");
        assert_eq!(shown[1], "── 2026-03-09 ──");
        assert_eq!(&shown[2][9..], "200 kimi>mirror-1  sonnet-5    12.0k    311  3.1s  9.8s  …5C35K2UUqR7Fy");
        assert_eq!(shown[3], "         └ kimi is overloaded or limits the rate (529) after 0.4s");
        assert_eq!(shown.len(), 6, "the day stands once");
        assert!(shown.iter().all(|line| line.width() <= 80), "{text}");
    }

    #[test]
    fn behind_a_pipe_a_record_is_one_line_and_nothing_is_cut() {
        let mut long = record();
        long.endpoint = None;
        long.attempts =
            (0..9).map(|n| AttemptRecord { endpoint: format!("endpoint-{n}"), ..AttemptRecord::default() }).collect();
        let text = bare(&Lines::new(Form::People(None)).text(&long));
        assert!(
            text.contains("endpoint-0>endpoint-1>") && text.contains(">endpoint-8 ") && text.contains(&long.id),
            "{text}"
        );
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through_in_any_form() {
        let mut evil = record();
        let nasty = "x\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\r\n\ty\u{7f}\u{61c}";
        for text in [&mut evil.id, &mut evil.path, &mut evil.method, &mut evil.attempts[0].endpoint] {
            nasty.clone_into(text);
        }
        (evil.model, evil.session, evil.error) = (Some(nasty.into()), Some(nasty.into()), Some(nasty.into()));
        (evil.response.body, evil.ending) = (Some(nasty.into()), Ending::Failed);
        for form in [Form::Json, Form::Plain, Form::People(None), Form::People(Some(80))] {
            let text = bare(&Lines::new(form).text(&evil));
            let kept = text.chars().filter(|c| is_obeyed(*c) && *c != '\n');
            let tabs = if form == Form::Plain { 15 } else { 0 };
            assert_eq!(kept.collect::<String>(), "\t".repeat(tabs), "{form:?}");
        }
        let back: RequestRecord = serde_json::from_str(&json(&evil)).unwrap();
        assert_eq!(back, evil);
    }

    #[test]
    fn what_asks_for_no_model_says_what_it_asks_for() {
        let of = |path: &str| what(&RequestRecord { path: path.into(), ..RequestRecord::default() });
        assert_eq!((of("/v1/models?limit=1"), of("/v1/"), of("")), ("models".into(), "-".into(), "-".into()));
    }

    #[test]
    fn plain_fields_keep_their_places() {
        let text = plain(&RequestRecord::default());
        assert_eq!(text, "\t0\tfailed\t\t\tjson\t\t\t\t\t\t0\t\t\t \t\n");
        assert_eq!(plain(&record()).matches('\t').count(), 15);
    }

    #[test]
    fn wide_letters_count_as_they_are_shown() {
        assert_eq!((fitted("主节点一", 6).as_str(), fitted("abc", 3).as_str()), ("主节…", "abc"));
        assert_eq!((end_of("主节点一", 6).as_str(), end_of("abc", 3).as_str()), ("…点一", "abc"));
        assert_eq!(padded("主", 4), "主  ");
    }
}
