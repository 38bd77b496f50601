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
    /// A bad event was forgiven, and so are all that follow.
    lenient: bool,
}

/// What a chunk of the stream brought.
pub struct Fed {
    /// The original bytes of all complete, good events.
    pub released: Bytes,
    /// Set once nothing more is to be read.
    pub end: Option<End>,
}

/// What ended the reading of a stream.
enum Verdict {
    Whole,
    Error(ApiError),
    Broken(String),
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

impl Default for StreamJudge {
    fn default() -> Self {
        Self { parser: SseParser::new(MAX_EVENT), check: StreamCheck::new(), committed: false, lenient: false }
    }
}

impl StreamJudge {
    pub fn feed(&mut self, chunk: Bytes) -> Fed {
        self.parser.push(chunk);
        let ended = self.judge();
        let released = self.parser.release();
        let end = ended.map(|end| match end {
            Verdict::Whole => match self.ended() {
                // The line feed that still belongs to the last line's carriage return may come too late to be read.
                End::Whole(missing) if missing.is_empty() && released.ends_with(b"\r\n\r") => {
                    End::Whole(Bytes::from_static(b"\n"))
                }
                end => end,
            },
            Verdict::Error(error) => End::Error(error),
            Verdict::Broken(detail) => End::Broken { detail, rest: self.rest() },
        });
        Fed { released, end }
    }

    fn judge(&mut self) -> Option<Verdict> {
        loop {
            let step = match self.parser.next_event() {
                Ok(Some(event)) => self.check.accept(&event),
                Ok(None) => return None,
                Err(error) => return Some(Verdict::Broken(error.to_string())),
            };
            match step {
                Ok(Step::Commit) => self.committed = true,
                Ok(Step::Quiet | Step::Started | Step::More) => {}
                Ok(Step::End) => return Some(Verdict::Whole),
                Ok(Step::Error(error)) => return Some(Verdict::Error(error)),
                Ok(Step::Done) => {
                    self.parser.reject();
                    return Some(Verdict::Whole);
                }
                Err(_) if self.lenient => {}
                Err(defect) => {
                    self.parser.reject();
                    return Some(Verdict::Broken(defect.to_string()));
                }
            }
        }
    }

    /// Judges the stream's end, clean or (`cut`) not: after a stop reason even a cut leaves a whole answer.
    pub fn finish(&mut self, cut: Option<String>) -> End {
        match cut {
            Some(detail) if !self.check.has_stop_reason() => End::Broken { detail, rest: self.rest() },
            _ => self.ended(),
        }
    }

    fn ended(&mut self) -> End {
        match self.check.finish() {
            Ok(Finish::Whole) => End::Whole(Bytes::new()),
            Ok(Finish::AddMessageStop) => End::Whole(Bytes::from_static(MESSAGE_STOP)),
            Err(defect) => End::Broken { detail: defect.to_string(), rest: self.rest() },
        }
    }

    /// After a bad event: reads on from there, and looks only for what ends the stream.
    pub fn forgive(&mut self) {
        self.parser = SseParser::lenient(MAX_EVENT);
        self.lenient = true;
    }

    /// Everything that was not released; nothing more is judged.
    fn rest(&mut self) -> Bytes {
        std::mem::replace(&mut self.parser, SseParser::new(MAX_EVENT)).into_rest()
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
