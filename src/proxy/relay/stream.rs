//! One stream on its way down: judged event by event, and cut where it breaks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use super::{Aborted, Ground};
use crate::clock;
use crate::domain::fault::FaultKind;
use crate::domain::health::{Failure, Outcome};
use crate::live::{LastGood, Lease, Live};
use crate::proxy::attempt::shown;
use crate::proxy::exchange::BoxSource;
use crate::proxy::judge::{End, StreamJudge};
use crate::proxy::opening::{Streaming, broke_off_with};
use crate::proxy::trip::Trip;
use crate::wire::record::Ending;

/// One stream on its way down.
pub struct Relay {
    source: Option<BoxSource>,
    /// `None`: relayed unjudged, from the start or since it broke beyond reading.
    judge: Option<StreamJudge>,
    /// What may go down at once, oldest last.
    ready: Vec<Bytes>,
    fate: Option<Fate>,
    /// It broke, and goes on all the same.
    is_broken: bool,
    idle: Pin<Box<Sleep>>,
    stream_idle: Duration,
    /// When the silence is too long; set only while we wait for the upstream, never while the client makes us wait.
    deadline: Option<Instant>,
    disconnect_on_invalid: bool,
    lease: Option<Lease>,
    trip: Option<Box<Trip>>,
    live: Arc<Live>,
    good: Option<LastGood>,
}

/// How it ends once everything in `ready` went down.
enum Fate {
    /// Cleanly.
    Close { ending: Ending, outcome: Outcome },
    /// Without a clean end, after so many turns.
    Abort { turns: u8 },
}

/// The server drops what it has not written yet when a body fails, so it gets a turn to write first, and another one
/// for when the runtime let it write nothing in that.
const TURNS: u8 = 2;

impl Relay {
    pub(super) fn new(streaming: Streaming, lease: Lease, trip: Box<Trip>, ground: Ground<'_>) -> Self {
        let Streaming { mut held, judge, source, end } = streaming;
        held.reverse();
        let is_judged = judge.is_some();
        let mut relay = Self {
            source: Some(source),
            judge,
            ready: held,
            fate: None,
            is_broken: false,
            idle: Box::pin(tokio::time::sleep(ground.stream_idle)),
            stream_idle: ground.stream_idle,
            deadline: None,
            disconnect_on_invalid: ground.disconnect_on_invalid,
            lease: Some(lease),
            trip: Some(trip),
            live: Arc::clone(ground.live),
            good: ground.good.filter(|_| is_judged),
        };
        if let Some(end) = end {
            relay.end(end);
        }
        relay
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if let Some(bytes) = self.ready.pop() {
                if let Some(trip) = &mut self.trip {
                    trip.pass_piece(&bytes);
                }
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(fate) = self.fate.take() {
                return self.meet(fate, cx);
            }
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            match source.poll_bytes(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.deadline = None;
                    self.take_in(chunk);
                }
                Poll::Ready(Some(Err(error))) => self.finish(Some((error.kind(), error.to_string()))),
                Poll::Ready(None) => self.finish(None),
                Poll::Pending if self.is_silent(cx) => {
                    let detail = format!("its stream stood still for {}", shown(self.stream_idle));
                    self.finish(Some((FaultKind::IdleTimeout, detail)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The timer is set anew only when it rings too early: events are many, silences few.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = *self.deadline.get_or_insert_with(|| clock::now() + self.stream_idle);
        while self.idle.as_mut().poll(cx).is_ready() {
            if clock::now() >= deadline {
                return true;
            }
            self.idle.as_mut().reset(deadline.into());
        }
        false
    }

    fn take_in(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let Some(judge) = &mut self.judge else {
            self.ready.insert(0, chunk);
            return;
        };
        let fed = judge.feed(chunk);
        if !fed.released.is_empty() {
            self.ready.insert(0, fed.released);
        }
        if let Some(end) = fed.end {
            self.end(end);
        }
    }

    /// The source has no more, cleanly or for that reason.
    fn finish(&mut self, cut: Option<(FaultKind, String)>) {
        self.source = None;
        match (&mut self.judge, cut) {
            (Some(judge), None) => match judge.finish(None) {
                End::Broken { detail, rest } if !self.disconnect_on_invalid => {
                    self.note_usage();
                    self.note_broken(&detail);
                    self.ready.extend((!rest.is_empty()).then_some(rest));
                    self.close();
                }
                end => self.end(end),
            },
            (Some(judge), Some((kind, detail))) => {
                let end = judge.finish(Some(detail));
                self.end_as(end, kind);
            }
            (None, None) => self.close(),
            (None, Some((kind, detail))) => self.abort(kind, &detail),
        }
    }

    fn end(&mut self, end: End) {
        self.end_as(end, FaultKind::BrokenStream);
    }

    fn end_as(&mut self, end: End, kind: FaultKind) {
        self.note_usage();
        match end {
            End::Whole(missing) => {
                if !missing.is_empty() {
                    self.ready.insert(0, missing);
                }
                self.retire();
                self.close();
            }
            End::Error(error) => {
                let outcome = self.failure(FaultKind::ErrorEvent, &broke_off_with(&error));
                self.retire();
                self.fate = Some(Fate::Close { ending: Ending::Cut, outcome });
            }
            End::Broken { detail, rest } if !self.disconnect_on_invalid && self.source.is_some() => {
                self.let_pass(&detail, rest);
            }
            End::Broken { detail, .. } => self.abort(kind, &detail),
        }
    }

    fn note_usage(&mut self) {
        if let (Some(trip), Some(judge)) = (&mut self.trip, &self.judge) {
            trip.set_usage(judge.usage());
        }
    }

    /// From here on the stream goes down as it is, to what ends it.
    fn let_pass(&mut self, detail: &str, rest: Bytes) {
        match &mut self.judge {
            Some(judge) if !self.is_broken => judge.forgive(),
            _ => self.judge = None,
        }
        self.note_broken(detail);
        self.take_in(rest);
    }

    /// Its first fault is the one that counts.
    fn note_broken(&mut self, detail: &str) {
        self.good = None;
        if std::mem::replace(&mut self.is_broken, true) {
            return;
        }
        let outcome = self.failure(FaultKind::BrokenStream, detail);
        if let Some(lease) = self.lease.take() {
            lease.report(&outcome);
        }
    }

    /// It has come to its end; where it was broken and let pass, it counts for no more than that.
    fn close(&mut self) {
        let (ending, outcome) =
            if self.is_broken { (Ending::Cut, Outcome::Neutral) } else { (Ending::Complete, Outcome::Success) };
        self.fate = Some(Fate::Close { ending, outcome });
    }

    fn abort(&mut self, kind: FaultKind, detail: &str) {
        self.source = None;
        let outcome = self.failure(kind, detail);
        if let Some(lease) = self.lease.take() {
            lease.report(&outcome);
        }
        self.fate = Some(Fate::Abort { turns: TURNS });
    }

    fn failure(&mut self, kind: FaultKind, detail: &str) -> Outcome {
        let Some(trip) = &mut self.trip else { return Outcome::Neutral };
        let detail = trip.redacted(detail);
        trip.note_late(kind.word(), &detail);
        tracing::warn!("{}: {detail}", trip.id());
        Outcome::Failure(Failure { reason: detail, request_id: trip.id().to_owned(), rest: None })
    }

    fn retire(&mut self) {
        if let Some(source) = self.source.take() {
            source.retire();
        }
    }

    fn meet(&mut self, fate: Fate, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        match fate {
            Fate::Abort { turns: turns @ 1.. } => {
                self.fate = Some(Fate::Abort { turns: turns - 1 });
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Fate::Abort { .. } => {
                if let Some(trip) = self.trip.take() {
                    trip.end(Ending::Cut);
                }
                Poll::Ready(Some(Err(Aborted)))
            }
            Fate::Close { ending, outcome } => {
                if let (Some(good), Outcome::Success) = (self.good.take(), &outcome) {
                    self.live.remember_good(good);
                }
                if let Some(lease) = self.lease.take() {
                    lease.report(&outcome);
                }
                if let Some(trip) = self.trip.take() {
                    trip.end(ending);
                }
                self.source = None;
                Poll::Ready(None)
            }
        }
    }
}
