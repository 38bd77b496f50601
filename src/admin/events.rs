//! `GET /api/events`: what happens, as it happens.
//!
//! Every happening is made into text once, however many watch, and nothing is kept per watcher: each has a place in the
//! one ring that [`Traffic`] keeps, and fetches what lies behind it when the last piece has gone out. So a watcher that
//! does not read costs one piece; when it is dropped (`admin::listen`) or falls behind the ring, it is told what it missed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::Stop;
use super::answer::{Outcome, Pieces, Refusal, Whole, typed};
use super::input::Asked;
use super::state::{Shared, State as Admin};
use super::status::{endpoint_named, status_view};
use crate::clock;
use crate::traffic::{Backlog, Happening, Numbered};
use crate::wire::event::{EndpointChanged, Event, RequestEnded};
use crate::wire::record::{Exchanged, RequestRecord, record_time};

/// More than this are turned away.
const MOST_WATCHERS: u64 = 100;
/// What comes within this time goes out together.
const GATHER: Duration = Duration::from_millis(60);
const TICK: Duration = Duration::from_secs(1);
/// A status younger than this is good enough for the next watcher too.
const FRESH: Duration = Duration::from_millis(150);
/// Bytes of one piece, but for one event that is larger by itself.
const PIECE: usize = 64 * 1024;
/// Events whose text is kept.
const KEPT: usize = 4096;

/// What `GET /api/events` can be asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// As the header `Last-Event-ID`, for those who cannot set one.
    pub last_event_id: Option<String>,
}

/// What all watchers share.
#[derive(Debug, Default)]
pub struct Feed {
    pub watchers: AtomicU64,
    told: Mutex<Told>,
    status: Mutex<Option<(Instant, Bytes)>>,
}

/// Texts of successive happenings.
#[derive(Debug, Default)]
struct Told {
    first: u64,
    texts: VecDeque<Bytes>,
}

impl Told {
    fn get(&self, number: u64) -> Option<&Bytes> {
        self.texts.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Keeps the text when it follows the newest one, or is newer still; older ones are for one late watcher only.
    fn keep(&mut self, number: u64, text: &Bytes) {
        let next = self.first + self.texts.len() as u64;
        if number < next && !self.texts.is_empty() {
            return;
        }
        if number != next {
            self.texts.clear();
        }
        if self.texts.is_empty() {
            self.first = number;
        }
        self.texts.push_back(text.clone());
        if self.texts.len() > KEPT {
            self.texts.pop_front();
            self.first += 1;
        }
    }
}

impl Feed {
    fn text(&self, admin: &Admin, id: &str, numbered: &Numbered) -> Bytes {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = told.get(numbered.number) {
            return text.clone();
        }
        let event = event(admin, &numbered.happening);
        let text = event.map(|event| written(Some(id), &event)).unwrap_or_default();
        told.keep(numbered.number, &text);
        text
    }

    /// Without an id: only the newest counts.
    fn status(&self, admin: &Admin) -> Bytes {
        let now = clock::now();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match &*status {
            Some((at, text)) if now.saturating_duration_since(*at) < FRESH => text.clone(),
            _ => {
                let text = written(None, &Event::Status(Box::new(status_view(admin))));
                *status = Some((now, text.clone()));
                text
            }
        }
    }
}

/// Nothing, when there is nothing to tell of it any more.
fn event(admin: &Admin, happening: &Happening) -> Option<Event> {
    let standing = admin.standing();
    Some(match happening {
        Happening::Endpoint { name, from, to, reason, at } => Event::Endpoint(Box::new(EndpointChanged {
            time: record_time(*at),
            name: name.clone(),
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            reason: reason.as_deref().map(|reason| standing.redactor.redact_str(reason, &[]).into_owned()),
            endpoint: endpoint_named(admin, &standing, name),
        })),
        Happening::Started(request) => Event::RequestStarted(Box::new(request.view(&standing.redactor, clock::now()))),
        Happening::Committed(request) => {
            Event::RequestCommitted(Box::new(request.view(&standing.redactor, clock::now())))
        }
        Happening::Ended { key, line } => {
            let record = serde_json::from_slice(line.line()).ok()?;
            Event::RequestEnded(Box::new(RequestEnded { key: *key, record: without_bodies(record) }))
        }
        Happening::Config => Event::Config(Box::new(standing.shown.clone())),
    })
}

fn without_bodies(record: RequestRecord) -> RequestRecord {
    let bare = |side: Exchanged| Exchanged { size: side.size, truncated: side.truncated, ..Exchanged::default() };
    RequestRecord { request: bare(record.request), response: bare(record.response), ..record }
}

/// One event on the wire: `id` (when there is one), `event`, and one line of `data`.
fn written(id: Option<&str>, event: &Event) -> Bytes {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    // An enum's variant with content is an object of one member: `{"name":content}`.
    let text = serde_json::to_string(event).unwrap_or_default();
    let member = text.strip_prefix("{\"").and_then(|text| text.strip_suffix('}')?.split_once("\":"));
    member.map(|(name, data)| format!("{id}event: {name}\ndata: {data}\n\n").into()).unwrap_or_default()
}

/// `GET /api/events`
pub async fn events(
    State(admin): State<Shared>,
    Asked(asked): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Outcome<Response> {
    if admin.is_stopping() {
        return Err(Refusal::stopping());
    }
    let seat = Seat::take(&admin)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(asked.last_event_id);
    let (pieces, taken) = mpsc::channel(1);
    tokio::spawn(Watcher::new(seat, pieces).run(last.filter(|id| !id.is_empty())));
    Ok(typed("text/event-stream", Body::new(Pieces(taken))))
}

/// A place among those who watch.
struct Seat(Shared);

impl Seat {
    fn take(admin: &Shared) -> Outcome<Self> {
        // Taken before it is looked at, so that two cannot get the last one.
        let seat = Self(Arc::clone(admin));
        if admin.feed.watchers.fetch_add(1, Ordering::Relaxed) < MOST_WATCHERS {
            return Ok(seat);
        }
        let message = format!("{MOST_WATCHERS} event streams are attached already");
        Err(Refusal::busy(message, "close a page or a dashboard that nobody looks at"))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.feed.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Watcher {
    seat: Seat,
    pieces: mpsc::Sender<Whole>,
    run: String,
    /// The number of the last happening that was told.
    seen: u64,
}

/// Nobody reads any more, or the program ends.
struct Over;

impl Watcher {
    fn new(seat: Seat, pieces: mpsc::Sender<Whole>) -> Self {
        Self { seat, pieces, run: String::new(), seen: 0 }
    }

    async fn run(mut self, last: Option<String>) {
        let mut stop = self.seat.0.stop.clone();
        let pieces = self.pieces.clone();
        tokio::select! {
            _ = self.tell(last) => {}
            () = pieces.closed() => {}
            _ = stop.wait_for(|stop| *stop != Stop::No) => {}
        }
    }

    async fn tell(&mut self, last: Option<String>) -> Result<(), Over> {
        let traffic = Arc::clone(&self.seat.0.parts.traffic);
        match last {
            Some(last) => {
                self.send(self.seat.0.feed.status(&self.seat.0)).await?;
                self.catch_up(last).await?;
            }
            None => self.begin().await?,
        }
        let mut tick = self.next_tick();
        loop {
            tokio::select! {
                () = sleep_until(tick.into()) => {
                    self.send(self.seat.0.feed.status(&self.seat.0)).await?;
                    tick = self.next_tick();
                }
                () = traffic.changed(self.seen) => {
                    sleep(GATHER).await;
                    self.catch_up(self.place(self.seen)).await?;
                }
            }
        }
    }

    /// Its first event has an id, so that a watcher that comes back before anything happened has a place to go on from.
    async fn begin(&mut self) -> Result<(), Over> {
        // The place first: what happens in between is told twice rather than never.
        let start = self.seat.0.parts.traffic.since(None);
        (self.run, self.seen) = (start.run, start.last);
        let status = Event::Status(Box::new(status_view(&self.seat.0)));
        self.send(written(Some(&self.place(self.seen)), &status)).await
    }

    fn place(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// Ticks are the same for all, so that one status does for all.
    fn next_tick(&self) -> Instant {
        let (started, _) = self.seat.0.parts.started;
        let ticks = clock::now().saturating_duration_since(started).as_secs() + 1;
        started + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// Tells everything behind `last`.
    async fn catch_up(&mut self, mut last: String) -> Result<(), Over> {
        loop {
            let backlog = self.seat.0.parts.traffic.since(Some(&last));
            self.run.clone_from(&backlog.run);
            self.seen = backlog.last;
            if backlog.events.is_empty() && backlog.missed.is_none() {
                return Ok(());
            }
            self.tell_backlog(&backlog).await?;
            last = self.place(self.seen);
        }
    }

    async fn tell_backlog(&self, backlog: &Backlog) -> Result<(), Over> {
        let mut piece = Vec::new();
        if let Some(missed) = backlog.missed {
            let before = backlog.events.first().map_or(backlog.last, |first| first.number - 1);
            piece.extend_from_slice(&written(Some(&backlog.id(before)), &Event::Missed(missed)));
        }
        for numbered in &backlog.events {
            let id = backlog.id(numbered.number);
            piece.extend_from_slice(&self.seat.0.feed.text(&self.seat.0, &id, numbered));
            if piece.len() >= PIECE {
                self.send(std::mem::take(&mut piece).into()).await?;
            }
        }
        self.send(piece.into()).await
    }

    async fn send(&self, piece: Bytes) -> Result<(), Over> {
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(piece)).await.map_err(|_| Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::Missed;

    #[test]
    fn an_event_is_three_lines() {
        let event = Event::Missed(Missed { events: Some(3) });
        assert_eq!(written(Some("r-1"), &event), "id: r-1\nevent: missed\ndata: {\"events\":3}\n\n");
        assert_eq!(written(None, &event), "event: missed\ndata: {\"events\":3}\n\n");
    }

    #[test]
    fn hostile_text_stays_within_its_line() {
        let changed = EndpointChanged { reason: Some("a\n\ndata: x\r\u{2028}".into()), ..EndpointChanged::default() };
        let text = written(None, &Event::Endpoint(Box::new(changed)));
        let text = std::str::from_utf8(&text).unwrap();
        assert_eq!(text.trim_end().lines().count(), 2, "{text}");
        assert!(!text.contains('\r'));
    }

    #[test]
    fn texts_are_kept_in_order_and_in_bounds() {
        let mut told = Told::default();
        let text = |n: u64| Bytes::from(n.to_string());
        (5..8).for_each(|n| told.keep(n, &text(n)));
        assert_eq!((told.get(4), told.get(5), told.get(8)), (None, Some(&text(5)), None));
        told.keep(2, &text(2));
        assert_eq!((told.get(2), told.get(6)), (None, Some(&text(6))), "a late watcher changes nothing");
        told.keep(20, &text(20));
        assert_eq!((told.get(6), told.get(20)), (None, Some(&text(20))), "a gap begins anew");
        (21..21 + KEPT as u64).for_each(|n| told.keep(n, &text(n)));
        assert_eq!((told.get(20), told.texts.len()), (None, KEPT));
        assert_eq!(told.get(21), Some(&text(21)));
    }
}
