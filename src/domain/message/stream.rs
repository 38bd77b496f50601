//! The judge of a message stream, event by event.
//!
//! ```text
//! message_start · (content_block_start · content_block_delta* · content_block_stop)* · message_delta+ · message_stop
//! ```
//! Pings, comments and events of unknown type may stand anywhere; an `error` may end it anywhere. What
//! clients read without trouble is tolerated, what they would stumble over or silently miss is a [`Defect`].

use std::collections::BTreeSet;

use super::shape::{EventShape, usual_delta};
use super::{ApiError, Defect, Usage};
use crate::domain::excerpt::excerpt;
use crate::domain::json;
use crate::domain::sse::Event;

/// The event that is added when a stream ends after its stop reason without it.
pub const MESSAGE_STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// What a right event means for the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A ping, a comment, an event of unknown type: no progress.
    Quiet,
    /// The first `message_start`.
    Started,
    /// `content_block_start`, or `message_delta` with a stop reason: the answer is worth committing to.
    Commit,
    More,
    /// The upstream's own `error` event.
    Error(ApiError),
    /// `message_stop`: the stream is over.
    End,
    /// The stream was over before this event, which is `[DONE]` or comes after the end; no client needs it.
    /// [`StreamCheck::finish`] says whether the `message_stop` is to be added.
    Done,
}

/// How a stream that ended cleanly is to be ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// `message_stop` was there.
    Whole,
    /// Nothing is missing but `message_stop`: add [`MESSAGE_STOP`].
    AddMessageStop,
}

#[derive(Clone, Debug, Default)]
pub struct StreamCheck {
    /// Events so far, without comments and the like.
    events: u64,
    usage: Usage,
    /// The blocks that are started and not stopped.
    open: BTreeSet<u64>,
    started: bool,
    content: bool,
    stop_reason: bool,
    stopped: bool,
    done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
    Ping,
    Unknown,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::MessageStart,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"error" => Self::Error,
            b"ping" => Self::Ping,
            _ => Self::Unknown,
        }
    }

    fn is_quiet(self) -> bool {
        matches!(self, Self::Ping | Self::Unknown)
    }
}

impl StreamCheck {
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the next event.
    ///
    /// # Errors
    /// What is wrong with it. The stream is broken then; ask nothing further.
    pub fn accept(&mut self, event: &Event<'_>) -> Result<Step, Defect> {
        if self.stopped || self.done {
            return Ok(Step::Done);
        }
        if event.is_blank() {
            return Ok(Step::Quiet);
        }
        self.events += 1;
        let name = event.name.unwrap_or_default();
        let data = event.data.as_deref().unwrap_or_default();
        let step = if name.is_empty() { self.unnamed(data) } else { self.named(name, data) };
        step.map_err(|what| {
            let name = if name.is_empty() { String::new() } else { format!(" ({})", excerpt(name)) };
            Defect(format!("event {}{name}: {what}", self.events))
        })
    }

    /// The tokens named so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Whether `message_start` was seen.
    pub fn started(&self) -> bool {
        self.started
    }

    pub fn has_stop_reason(&self) -> bool {
        self.stop_reason
    }

    /// Judges a clean end of the stream. (After a stop reason a cut is one, too.)
    ///
    /// # Errors
    /// The stream ended too early.
    pub fn finish(&self) -> Result<Finish, Defect> {
        if self.stopped {
            return Ok(Finish::Whole);
        }
        if self.stop_reason {
            return Ok(Finish::AddMessageStop);
        }
        let events = self.events;
        Err(Defect(match (events, self.started, self.content) {
            (0, ..) => "the stream ended without any event".to_owned(),
            (_, false, _) => format!("the stream ended after {events} events without a message_start"),
            (_, true, false) => format!("the stream ended after {events} events without any content"),
            (_, true, true) => format!("the stream ended after {events} events without a stop_reason"),
        }))
    }

    /// Clients see nothing in an event without a name.
    fn unnamed(&mut self, data: &[u8]) -> Result<Step, String> {
        if self.stop_reason && data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(Step::Done);
        }
        Err(format!("it has no `event:` line: {}", excerpt(data)))
    }

    fn named(&mut self, name: &[u8], data: &[u8]) -> Result<Step, String> {
        let kind = Kind::of(name);
        if kind == Kind::Ping && data.is_empty() {
            return Ok(Step::Quiet);
        }
        if kind == Kind::BlockDelta && self.started && usual_delta(data).is_some_and(|index| self.open.contains(&index))
        {
            return Ok(Step::More);
        }
        let shape = match json::read(data, EventShape::read) {
            Ok(Some(shape)) => shape,
            Ok(None) => return Err(format!("its data is no JSON object: {}", excerpt(data))),
            Err(_) if data.is_empty() => return Err("it has no data".to_owned()),
            Err(error) => return Err(format!("its data is no JSON ({error}): {}", excerpt(data))),
        };
        let Some(typed) = shape.kind.as_deref() else {
            return Err(format!("its data has no string `type`: {}", excerpt(data)));
        };
        if typed.as_bytes() != name && !(kind.is_quiet() && Kind::of(typed.as_bytes()).is_quiet()) {
            return Err(format!("its data is of another type, {}", excerpt(typed.as_bytes())));
        }
        if !self.started && !kind.is_quiet() && !matches!(kind, Kind::MessageStart | Kind::Error) {
            return Err("it came before message_start".to_owned());
        }
        match kind {
            Kind::Ping | Kind::Unknown => Ok(Step::Quiet),
            Kind::Error => Ok(Step::Error(shape.error.unwrap_or_default().guess())),
            Kind::MessageStart => self.message_start(&shape),
            Kind::BlockStart => self.block_start(&shape),
            Kind::BlockDelta => self.block_delta(&shape),
            Kind::BlockStop => Ok(self.block_stop(&shape)),
            Kind::MessageDelta => Ok(self.message_delta(&shape)),
            Kind::MessageStop => self.message_stop(),
        }
    }

    /// A second one is tolerated, as Claude Code does.
    fn message_start(&mut self, shape: &EventShape<'_>) -> Result<Step, String> {
        let message = shape.message.as_ref().ok_or("it has no object `message`")?;
        if let Some(lack) = message.lack() {
            return Err(format!("its `message` has {lack}"));
        }
        self.usage.update(message.usage);
        Ok(if std::mem::replace(&mut self.started, true) { Step::More } else { Step::Started })
    }

    fn block_start(&mut self, shape: &EventShape<'_>) -> Result<Step, String> {
        let index = shape.index.ok_or(NO_INDEX)?;
        if !shape.block {
            return Err("it has no object `content_block`".to_owned());
        }
        self.open.insert(index);
        self.content = true;
        Ok(Step::Commit)
    }

    fn block_delta(&self, shape: &EventShape<'_>) -> Result<Step, String> {
        let index = shape.index.ok_or(NO_INDEX)?;
        if !self.open.contains(&index) {
            return Err(format!("block {index} is not open"));
        }
        match &shape.delta {
            Some(delta) if delta.typed => Ok(Step::More),
            Some(_) => Err("its `delta` has no string `type`".to_owned()),
            None => Err("it has no object `delta`".to_owned()),
        }
    }

    /// Of a block that is not open, too: some gateways repeat it when their guardrails step in.
    fn block_stop(&mut self, shape: &EventShape<'_>) -> Step {
        if let Some(index) = shape.index {
            self.open.remove(&index);
        }
        Step::More
    }

    fn message_delta(&mut self, shape: &EventShape<'_>) -> Step {
        self.usage.update(shape.usage);
        if !shape.delta.as_ref().is_some_and(|delta| delta.stop_reason) {
            return Step::More;
        }
        self.stop_reason = true;
        Step::Commit
    }

    fn message_stop(&mut self) -> Result<Step, String> {
        if !self.content && !self.stop_reason {
            return Err("it came without any content or stop_reason".to_owned());
        }
        self.stopped = true;
        Ok(Step::End)
    }
}

const NO_INDEX: &str = "it has no number `index`";

#[cfg(test)]
mod tests;
