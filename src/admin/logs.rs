//! `GET /api/logs`: finished requests, read back from the log.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{BrokenOff, Outcome, Pieces, Refusal, Told, Whole, typed};
use super::input::{Asked, Named};
use super::state::Shared;
use super::when;
use crate::clock;
use crate::logs::LogHandle;
use crate::logs::store::Query;
use crate::wire::filter::{Filter, FilterError};
use crate::wire::logs::Detail;
use crate::wire::record::RequestRecord;

const NDJSON: &str = "application/x-ndjson";
const LIMIT: usize = 100;
const MOST: usize = 1000;
/// A stream of hits may be longer: it is not held.
const MOST_STREAMED: usize = 100_000;
/// Hits that wait for a slow reader.
const WAITING: usize = 16;
/// A stream of hits takes no longer, however slowly somebody reads.
const STREAM_WITHIN: Duration = Duration::from_mins(5);

/// Whoever opens a request that has just ended waits so long for all of its bodies; then for what memory has of them.
const WHOLE_WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What `GET /api/logs` can be asked; all that is given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogsQuery {
    /// At most so many, 100 by default; up to 1000, as a stream up to 100000.
    pub limit: Option<String>,
    /// Only what is older than this: `next` of the page before, a record's id, or a time as `from` takes it.
    pub before: Option<String>,
    /// The endpoint whose answer went down, or that was tried last.
    pub endpoint: Option<String>,
    /// `429`, `4xx` or `>=400`.
    pub status: Option<String>,
    /// `complete`, `relayed_error`, `failed`, `cut` or `client_gone`.
    pub ending: Option<String>,
    /// What the request asked for, as it named it.
    pub model: Option<String>,
    /// The session's whole name.
    pub session: Option<String>,
    /// RFC 3339, a date, or how long ago, such as `2h`.
    pub from: Option<String>,
    /// As `from`.
    pub to: Option<String>,
    /// A plain word, or the filter language.
    pub q: Option<String>,
    /// `summary` (no headers and bodies) or `short` (1024 bytes of each body, the default).
    pub detail: Option<String>,
}

/// `GET /api/logs`
pub async fn page(
    State(admin): State<Shared>,
    Asked(asked): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Outcome<Response> {
    let streamed = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == NDJSON.as_bytes());
    let search = Search::of(&asked, if streamed { MOST_STREAMED } else { MOST })?;
    let log = admin.parts.log.clone();
    if streamed {
        let turn = admin.turn_to_stream().await?;
        let (hits, found) = mpsc::channel(WAITING);
        tokio::spawn(stream(search, log, hits, turn));
        return Ok(typed(NDJSON, Body::new(Pieces(found))));
    }
    let turn = admin.turn_to_read().await?;
    let gone = Gone::default();
    let stop = gone.flag();
    let page = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        log.page(&search.query(), &stop)
    })
    .await;
    page.map_err(|_| crashed())?.map(|page| Told(page).into_response()).map_err(|error| unreadable(&error))
}

/// `GET /api/logs/{id}`
pub async fn one(State(admin): State<Shared>, Named(id): Named) -> Outcome<Told<RequestRecord>> {
    let until = clock::now() + WHOLE_WITHIN;
    loop {
        let (log, id) = (admin.parts.log.clone(), id.clone());
        let found = tokio::task::spawn_blocking(move || log.get(&id)).await.map_err(|_| crashed())?;
        match found.map_err(|error| unreadable(&error))? {
            Some(found) if found.more_to_come && clock::now() < until => sleep(LOOK_AGAIN).await,
            Some(found) => return Ok(Told(found.record)),
            None => {
                return Err(Refusal::not_found("there is no record of that id")
                    .hint("it may be older than logging.retention, or logging.log_request_types leaves it out"));
            }
        }
    }
}

/// Searches until everything is found, nobody reads any more, or the reader took too long. What is not whole breaks off.
async fn stream(search: Search, log: LogHandle, hits: mpsc::Sender<Whole>, turn: OwnedSemaphorePermit) {
    let gone = Gone::default();
    let stop = gone.flag();
    let sink =
        Sink { hits: hits.clone(), runtime: Handle::current(), until: Instant::from_std(clock::now()) + STREAM_WITHIN };
    let searching = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        search.run(&log, &stop, &sink)
    });
    let over = tokio::select! {
        over = searching => over.unwrap_or_else(|_| Err(io::Error::other("it crashed"))),
        () = hits.closed() => return,
    };
    if let Err(error) = over {
        tracing::warn!("a search of the request log broke off: {error}");
        let _ = hits.send(Err(BrokenOff)).await;
    }
}

/// Where a search on a thread of its own puts its hits.
struct Sink {
    hits: mpsc::Sender<Whole>,
    runtime: Handle,
    until: Instant,
}

impl Sink {
    /// Waits for the reader, but not for ever: others wait for the search's turn.
    fn put(&self, line: Vec<u8>) -> io::Result<()> {
        let sent = self.runtime.block_on(timeout_at(self.until, self.hits.send(Ok(line.into()))));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::Error::other("its reader takes too long")),
        }
    }
}

/// Set when whoever asked is gone.
#[derive(Debug, Default)]
struct Gone(Arc<AtomicBool>);

impl Gone {
    fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A query that was understood.
#[derive(Debug)]
struct Search {
    filter: Filter,
    before: Option<String>,
    limit: usize,
    detail: Detail,
}

impl Search {
    fn of(asked: &LogsQuery, most: usize) -> Outcome<Self> {
        let mut filter = filter(asked)?;
        let mut before = asked.before.clone().filter(|before| !before.is_empty());
        if let Some(time) = before.as_deref().and_then(|before| when::moment("before", before, clock::wall()).ok()) {
            filter = filter.and(Filter::between(None, Some(time)));
            before = None;
        }
        Ok(Self {
            filter,
            before,
            limit: limit(asked.limit.as_deref(), most)?,
            detail: detail(asked.detail.as_deref())?,
        })
    }

    fn query(&self) -> Query<'_> {
        Query { filter: &self.filter, before: self.before.as_deref(), limit: self.limit, detail: self.detail }
    }

    /// Each hit as a line of JSON.
    fn run(&self, log: &LogHandle, stop: &AtomicBool, sink: &Sink) -> io::Result<()> {
        let mut put = Ok(());
        log.search(&self.query(), stop, &mut |record| {
            let Ok(mut line) = serde_json::to_vec(&record) else { return ControlFlow::Continue(()) };
            line.push(b'\n');
            put = sink.put(line);
            if put.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        put
    }
}

fn limit(text: Option<&str>, most: usize) -> Outcome<usize> {
    let Some(text) = text else { return Ok(LIMIT) };
    let refused = || {
        let refusal = Refusal::bad_request("bad_query", format!("limit: expected a number from 1 to {most}"));
        refusal.field("limit").hint(format!("leave it out for {LIMIT}; pass `next` as `before` to get more"))
    };
    let limit: usize = text.parse().map_err(|_| refused())?;
    if limit == 0 { Err(refused()) } else { Ok(limit.min(most)) }
}

fn detail(text: Option<&str>) -> Outcome<Detail> {
    match text {
        None | Some("short") => Ok(Detail::Short),
        Some("summary") => Ok(Detail::Summary),
        Some(_) => Err(Refusal::bad_request("bad_query", "detail: expected summary or short")
            .field("detail")
            .hint("GET /api/logs/{id} has the whole of a record")),
    }
}

/// The query's members and its `q` in the one language that the log knows.
fn filter(asked: &LogsQuery) -> Outcome<Filter> {
    let now = clock::wall();
    let parse = |field: &str, text: &str| Filter::parse(text, now).map_err(|error| refused(field, error));
    let mut filter = parse("q", asked.q.as_deref().unwrap_or_default())?;
    let is = |field: &str, value: &str| format!("{field}:{}", quoted(value));
    for (field, value, term) in [
        ("endpoint", &asked.endpoint, is as fn(&str, &str) -> String),
        ("model", &asked.model, is),
        ("session", &asked.session, is),
        ("ending", &asked.ending, is),
        ("status", &asked.status, compared),
    ] {
        if let Some(value) = value {
            filter = filter.and(parse(field, &term(field, value))?);
        }
    }
    let moment = |field, text: &Option<String>| text.as_deref().map(|text| when::moment(field, text, now)).transpose();
    let (from, to) = (moment("from", &asked.from)?, moment("to", &asked.to)?);
    Ok(filter.and(Filter::between(from, to)))
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `429`, or with an operator of its own.
fn compared(field: &str, value: &str) -> String {
    let value = value.trim();
    if value.starts_with(['<', '>', '=', '!']) {
        format!("{field}{value}")
    } else {
        format!("{field}:{}", quoted(value))
    }
}

fn refused(field: &str, error: FilterError) -> Refusal {
    let mut refusal = Refusal::bad_request("bad_filter", error.message).field(field);
    refusal.detail.hint = error.hint.or(refusal.detail.hint);
    // Only `q` is the text that the span counts in.
    refusal.detail.span = (field == "q").then_some(error.span);
    refusal
}

fn crashed() -> Refusal {
    Refusal::internal("reading the log crashed")
}

fn unreadable(error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::InvalidInput {
        let message = "before: this is no place in the log, no record's id and no time";
        return Refusal::bad_request("bad_query", message)
            .field("before")
            .hint("pass `next` of the page before as it is, the `id` of a record that there is, or a time such as 2h");
    }
    Refusal::internal(format!("the log cannot be read: {error}")).hint("check the permissions of logging.log_directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> LogsQuery {
        axum::extract::Query::try_from_uri(&format!("/?{query}").parse().unwrap()).unwrap().0
    }

    fn record(status: u16, endpoint: &str) -> RequestRecord {
        let (time, model) = ("2026-03-09T12:00:00.000+00:00".into(), Some("claude-opus-4".into()));
        let (session, endpoint) = (Some("s\"1".into()), Some(endpoint.into()));
        RequestRecord { time, model, session, status, endpoint, ..RequestRecord::default() }
    }

    #[test]
    fn every_member_of_the_query_narrows() {
        let own = record(429, "a b");
        for (query, fits) in [
            ("", true),
            ("status=429", true),
            ("status=4xx", true),
            ("status=%3E%3D400", true),
            ("status=%3E=430", false),
            ("status=200", false),
            ("endpoint=a%20b", true),
            ("endpoint=a", false),
            ("model=claude-opus-4", true),
            ("model=claude-sonnet-4", false),
            ("session=s%221", true),
            ("session=s", false),
            ("ending=failed", true),
            ("ending=complete", false),
            ("from=2026-03-09T11:59:00Z&to=2026-03-09T12:01:00Z", true),
            ("from=2026-03-09T12:01:00Z", false),
            ("to=2026-03-09T11:00:00Z", false),
            ("q=status:429%20endpoint~b", true),
            ("q=status:429&status=200", false),
            ("q=status:200%20or%20status:429&endpoint=c", false),
        ] {
            assert_eq!(filter(&asked(query)).unwrap().matches(&own), fits, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused_with_its_place() {
        for (query, field, spanned) in [
            ("q=status%3E", "q", true),
            ("status=x", "status", false),
            ("ending=gone", "ending", false),
            ("from=whenever", "from", false),
            ("limit=0", "limit", false),
            ("limit=x", "limit", false),
            ("detail=whole", "detail", false),
        ] {
            let refusal = Search::of(&asked(query), MOST).unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.detail.field.as_deref()), (400, Some(field)), "{query}");
            assert_eq!(refusal.detail.span.is_some(), spanned, "{query}");
        }
        assert_eq!(Search::of(&asked("limit=99999"), MOST).unwrap().limit, MOST);
    }
}
