//! The stream judge at work: bytes in, the bytes that may go down out.

use bytes::Bytes;

use crate::domain::message::{ApiError, Finish, MESSAGE_STOP, Step, StreamCheck, Usage};
use crate::domain::sse::SseParser;

/// One event larger than this is a fault.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// Judges one stream, event by event.
pub struct StreamJudge {
    parser: SseParser,
    check: StreamCheck,
    committed: bool,
}

/// What a chunk of the stream brought.
pub struct Fed {
    /// The original bytes of all complete, good events.
    pub released: Bytes,
    /// Set once nothing more is to be read.
    pub end: Option<End>,
}

/// How a stream ended.
#[derive(Debug)]
pub enum End {
    /// It is a whole answer once these bytes, if any, follow.
    Whole(Bytes),
    /// The upstream's own `error` event, which is among the released bytes.
    Error(ApiError),
    /// What was wrong. `rest`: the bytes from the bad event on.
    Broken { detail: String, rest: Bytes },
}

impl StreamJudge {
    pub fn new() -> Self {
        Self { parser: SseParser::new(MAX_EVENT), check: StreamCheck::new(), committed: false }
    }

    pub fn feed(&mut self, chunk: Bytes) -> Fed {
        self.parser.push(chunk);
        let mut good = 0;
        let ended = self.judge(&mut good);
        let mut released = self.parser.release();
        let bad = released.split_off(good.min(released.len()));
        let end = ended.map(|end| match end {
            End::Broken { detail, .. } => End::Broken { detail, rest: self.rest(&bad) },
            other => other,
        });
        Fed { released, end }
    }

    fn judge(&mut self, good: &mut usize) -> Option<End> {
        let broken = |detail| Some(End::Broken { detail, rest: Bytes::new() });
        loop {
            let step = match self.parser.next_event() {
                Ok(Some(event)) => self.check.accept(&event),
                Ok(None) => return None,
                Err(error) => return broken(error.to_string()),
            };
            match step {
                Ok(Step::Done) => return Some(self.ended()),
                Ok(step) => {
                    *good = self.parser.returned();
                    match step {
                        Step::Commit => self.committed = true,
                        Step::End => return Some(End::Whole(Bytes::new())),
                        Step::Error(error) => return Some(End::Error(error)),
                        Step::Quiet | Step::Started | Step::More | Step::Done => {}
                    }
                }
                Err(defect) => return broken(defect.to_string()),
            }
        }
    }

    /// Judges the stream's end, clean or (`cut`) not: after a stop reason even a cut leaves a whole answer.
    pub fn finish(&mut self, cut: Option<String>) -> End {
        match cut {
            Some(detail) if !self.check.has_stop_reason() => End::Broken { detail, rest: self.rest(&[]) },
            _ => self.ended(),
        }
    }

    fn ended(&mut self) -> End {
        match self.check.finish() {
            Ok(Finish::Whole) => End::Whole(Bytes::new()),
            Ok(Finish::AddMessageStop) => End::Whole(Bytes::from_static(MESSAGE_STOP)),
            Err(defect) => End::Broken { detail: defect.to_string(), rest: self.rest(&[]) },
        }
    }

    fn rest(&mut self, bad: &[u8]) -> Bytes {
        [bad, &self.parser.take_rest()].concat().into()
    }

    /// Whether the first content was seen.
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// Whether `message_start` was seen.
    pub fn is_started(&self) -> bool {
        self.check.started()
    }

    pub fn usage(&self) -> Usage {
        self.check.usage()
    }

    /// The bytes of the event that is not complete yet.
    pub fn unfinished(&self) -> usize {
        self.parser.unfinished()
    }
}
