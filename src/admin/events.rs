//! `GET /api/events`: what happens, as it happens.
//!
//! Nothing is kept per watcher: each has a place in what [`Feed`] tells, and is given the piece behind it when the last one
//! has gone out. So a watcher that does not read costs one piece; when it is dropped (`admin::listen`) or falls behind what
//! is held, it is told what it missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout_at};

use super::Stop;
use super::answer::{Outcome, Pieces, Refusal, Whole, typed};
use super::feed::Feed;
use super::input::Asked;
use super::state::Shared;
use crate::clock;

/// More than this are turned away.
const MOST_WATCHERS: u64 = 100;
/// What comes within this time goes out together. The moments are the same for all watchers, so that they share what is
/// made of it.
const GATHER: Duration = Duration::from_millis(50);
/// The same while much happens: then the processor is the requests' first of all.
const GATHER_MUCH: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_secs(1);

/// What `GET /api/events` can be asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// As the header `Last-Event-ID`, for those who cannot set one.
    pub last_event_id: Option<String>,
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
    tokio::spawn(Watcher { seat, pieces }.run(last.filter(|id| !id.is_empty())));
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
}

/// Nobody reads any more, or the program ends.
struct Over;

impl Watcher {
    async fn run(self, last: Option<String>) {
        let mut stop = self.seat.0.stop.clone();
        tokio::select! {
            _ = self.tell(last) => {}
            () = self.pieces.closed() => {}
            _ = stop.wait_for(|stop| *stop != Stop::No) => {}
        }
    }

    async fn tell(&self, last: Option<String>) -> Result<(), Over> {
        let admin = &self.seat.0;
        let place = match last {
            Some(last) => self.resume(&last).await?,
            None => {
                let (text, place) = Feed::begin(admin);
                self.send(text).await?;
                place
            }
        };
        self.go_on(place).await
    }

    /// All that happened since; where to go on from.
    async fn resume(&self, last: &str) -> Result<u64, Over> {
        let admin = &self.seat.0;
        let (text, mut place) = admin.feed.resume(admin, last);
        self.send(text).await?;
        while let Some(piece) = Feed::missed(admin, place) {
            place = piece.last;
            self.send(piece.text).await?;
            if !piece.is_cut {
                break;
            }
        }
        Ok(place)
    }

    async fn go_on(&self, mut place: u64) -> Result<(), Over> {
        let admin = &self.seat.0;
        let mut tick = self.next(TICK);
        loop {
            let was_much = self.catch_up(&mut place).await?;
            if clock::now() >= tick {
                self.send(admin.feed.status(admin)).await?;
                tick = self.next(TICK);
            }
            // Until then nobody waits for what happens: while much happens, the relay has nobody to wake.
            sleep_until(self.next(if was_much { GATHER_MUCH } else { GATHER }).into()).await;
            let traffic = &admin.parts.traffic;
            if !traffic.has_news(place) && timeout_at(tick.into(), traffic.changed(place)).await.is_ok() {
                sleep_until(self.next(GATHER).into()).await;
            }
        }
    }

    /// Tells everything behind the place but what happens meanwhile, which gathers; whether that was much.
    async fn catch_up(&self, place: &mut u64) -> Result<bool, Over> {
        let (admin, feed) = (&self.seat.0, &self.seat.0.feed);
        let mut was_much = false;
        let mut next = feed.next(admin, *place);
        while let Some(piece) = next {
            was_much |= piece.is_much;
            *place = piece.last;
            self.send(piece.text).await?;
            next = if piece.is_cut { feed.next(admin, *place) } else { feed.made(*place) };
        }
        Ok(was_much)
    }

    /// The next moment that is a multiple of this from the start on. Those of the tick are among the others.
    fn next(&self, step: Duration) -> Instant {
        let (started, _) = self.seat.0.parts.started;
        let passed = clock::now().saturating_duration_since(started).as_millis();
        let steps = passed / step.as_millis() + 1;
        started + step * u32::try_from(steps).unwrap_or(u32::MAX)
    }

    async fn send(&self, piece: Bytes) -> Result<(), Over> {
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(piece)).await.map_err(|_| Over)
    }
}
