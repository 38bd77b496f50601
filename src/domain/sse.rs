//! The event stream parser: over bytes, never sockets; it watches the bytes and never changes them.
//!
//! The grammar is that of the WHATWG (HTML standard, "Server-sent events"):
//! ```text
//! stream        = [ bom ] *event
//! event         = *( comment / field ) end-of-line
//! comment       = colon *any-char end-of-line
//! field         = 1*name-char [ colon [ space ] *any-char ] end-of-line
//! end-of-line   = ( cr lf / cr / lf )
//! ```
//! One thing is stricter here: a field is `event`, `data`, `id` or `retry`. Clients skip any other line
//! without a word, and what skips so is a web page or a JSON answer, so it is an error as soon as the
//! line cannot become a field any more.

mod field;
mod held;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;

use self::field::Field;
use self::held::Held;
use super::excerpt::excerpt;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What one blank line, or a comment between events, completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of the last `event:` line.
    pub name: Option<&'a [u8]>,
    /// The values of the `data:` lines, joined by line feeds.
    pub data: Option<Cow<'a, [u8]>>,
}

impl Event<'_> {
    /// Whether clients see nothing in it: only comments, `id:` or `retry:` lines, or nothing at all.
    pub fn is_blank(&self) -> bool {
        self.name.is_none() && self.data.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SseError {
    NotAField {
        event: u64,
        line: String,
    },
    TooLong {
        event: u64,
        limit: usize,
    },
    /// By [`SseParser::reject`].
    Rejected {
        event: u64,
    },
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAField { event, line } => {
                write!(f, "event {event} has a line that is no field of an event stream: {line}")
            }
            Self::TooLong { event, limit } => write!(f, "event {event} is longer than {limit} bytes"),
            Self::Rejected { event } => write!(f, "event {event} was rejected"),
        }
    }
}

impl std::error::Error for SseError {}

/// Cuts a stream into events, however its bytes are split.
///
/// Push, take events until there is none, then release: bytes are released only up to the last complete
/// event, and nothing is ever searched twice. Between pushes only the unfinished event is kept.
#[derive(Debug)]
pub struct SseParser {
    max_event: usize,
    /// By [`SseParser::lenient`].
    lenient: bool,
    /// What is not released yet.
    held: Held,
    /// Where the current line starts.
    line: usize,
    /// Up to where the current line has no end.
    searched: usize,
    /// The last line ended in a CR that was the last byte there was: a LF may belong to it.
    after_cr: bool,
    /// Nothing was read yet but, perhaps, half a BOM.
    at_start: bool,
    block: Option<Block>,
    /// Where the event that was returned last starts.
    last: usize,
    /// An event was returned since the last release.
    owing: bool,
    events: u64,
    failed: Option<SseError>,
}

/// The event being read. What is inside it counts from its start, as that moves when bytes are released.
#[derive(Debug)]
struct Block {
    start: usize,
    name: Option<Range<usize>>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    None,
    Line(Range<usize>),
    Lines(Vec<u8>),
}

impl SseParser {
    /// An event of more than `max_event` bytes, finished or not, is an error.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            lenient: false,
            held: Held::default(),
            line: 0,
            searched: 0,
            after_cr: false,
            at_start: true,
            block: None,
            last: 0,
            owing: false,
            events: 0,
            failed: None,
        }
    }

    /// One that reads over lines that are no field, as clients do.
    pub fn lenient(max_event: usize) -> Self {
        Self { lenient: true, ..Self::new(max_event) }
    }

    /// The next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        if self.failed.is_none() {
            self.held.push(bytes);
        }
    }

    /// The next complete event; `None`: it needs more bytes. A comment between events is one of its own,
    /// so that keep-alives need not wait for the next event.
    ///
    /// # Errors
    /// The stream is broken. It stays so; the good events before can still be released.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while let Some(line) = self.next_line() {
            let start = self.block.as_ref().map_or(line.start, |block| block.start);
            if line.end - start > self.max_event {
                return Err(self.too_long(start));
            }
            let comment = self.block.is_none() && self.held.bytes().get(line.start) == Some(&b':');
            if line.is_empty() || comment {
                self.last = start;
                self.owing = true;
                return Ok(Some(self.dispatch()));
            }
            self.field(line)?;
        }
        self.check_unfinished()?;
        if !self.owing {
            self.held.detach();
        }
        Ok(None)
    }

    /// Takes the event that was returned last back: it is not released, and the stream counts as broken.
    pub fn reject(&mut self) {
        self.block = Some(Block { start: self.last, name: None, data: Data::None });
        self.fail(SseError::Rejected { event: self.events });
    }

    /// The original bytes of everything that [`Self::next_event`] returned since the last release.
    pub fn release(&mut self) -> Bytes {
        self.owing = false;
        let length = self.complete();
        if length == 0 {
            return Bytes::new();
        }
        let all_read = self.searched == self.held.bytes().len();
        let released = self.held.split_to(length);
        self.line -= length;
        self.searched -= length;
        self.last = 0;
        if let Some(block) = &mut self.block {
            block.start -= length;
        }
        if all_read {
            self.held.detach();
        }
        released
    }

    /// All bytes that were pushed and not released, judged or not: for a relay that goes on unjudged.
    pub fn into_rest(self) -> Bytes {
        self.held.into_bytes()
    }

    /// How many bytes there are of the event that is still incomplete.
    pub fn unfinished(&self) -> usize {
        self.held.bytes().len() - self.complete()
    }

    /// How many bytes belong to events that were returned.
    fn complete(&self) -> usize {
        self.block.as_ref().map_or(self.line, |block| block.start)
    }

    /// Skips what belongs to no line: a BOM, or the LF of a CR. `false`: more bytes are needed to tell.
    fn skip_to_line(&mut self) -> bool {
        let bytes = self.held.bytes();
        if self.at_start && !bytes.is_empty() {
            if bytes.len() < BOM.len() && BOM.starts_with(bytes) {
                return false;
            }
            self.at_start = false;
            self.line = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
            self.searched = self.line;
        }
        if self.after_cr && self.line < bytes.len() {
            self.after_cr = false;
            self.line += usize::from(bytes[self.line] == b'\n');
            self.searched = self.line;
        }
        true
    }

    /// The next complete line without its end; the line after it becomes the current one.
    fn next_line(&mut self) -> Option<Range<usize>> {
        if (self.at_start || self.after_cr) && !self.skip_to_line() {
            return None;
        }
        let bytes = self.held.bytes();
        let rest = &bytes[self.searched..];
        // Every third line is blank: not worth a search.
        let found = if rest.first() == Some(&b'\n') { Some(0) } else { memchr2(b'\n', b'\r', rest) };
        let Some(length) = found else {
            self.searched = bytes.len();
            return None;
        };
        let line = self.line..self.searched + length;
        self.line = line.end + 1;
        if bytes[line.end] == b'\r' {
            match bytes.get(self.line) {
                Some(b'\n') => self.line += 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        self.searched = self.line;
        Some(line)
    }

    /// Takes in a line that is neither blank nor a comment between events.
    fn field(&mut self, line: Range<usize>) -> Result<(), SseError> {
        let bytes = self.held.bytes();
        let block = self.block.get_or_insert(Block { start: line.start, name: None, data: Data::None });
        let text = &bytes[line.clone()];
        let Some(field) = Field::of(text) else {
            if self.lenient {
                return Ok(());
            }
            let line = excerpt(text);
            return Err(self.not_a_field(line));
        };
        let value = line.start + field.value_offset(text)..line.end;
        let value = value.start - block.start..value.end - block.start;
        match field {
            Field::Event => block.name = Some(value),
            Field::Data => block.data.add(&bytes[block.start..], value),
            Field::Comment | Field::Id | Field::Retry => {}
        }
        Ok(())
    }

    /// The event that the line just read completes.
    fn dispatch(&mut self) -> Event<'_> {
        let Some(block) = self.block.take() else { return Event { name: None, data: None } };
        let bytes = &self.held.bytes()[block.start..];
        let event = Event {
            name: block.name.map(|name| &bytes[name]),
            data: match block.data {
                Data::None => None,
                Data::Line(line) => Some(Cow::Borrowed(&bytes[line])),
                Data::Lines(text) => Some(Cow::Owned(text)),
            },
        };
        self.events += u64::from(!event.is_blank());
        event
    }

    /// A line without an end may already be no field, and an event without an end too long.
    fn check_unfinished(&mut self) -> Result<(), SseError> {
        let (bytes, start) = (self.held.bytes(), self.complete());
        if bytes.len() - start > self.max_event {
            return Err(self.too_long(start));
        }
        let line = &bytes[self.line..];
        if self.at_start || self.lenient || Field::may_become(line) {
            return Ok(());
        }
        let line = excerpt(line);
        Err(self.not_a_field(line))
    }

    fn not_a_field(&mut self, line: String) -> SseError {
        self.fail(SseError::NotAField { event: self.events + 1, line })
    }

    /// `start`: where the event starts, so that nothing of it is ever released.
    fn too_long(&mut self, start: usize) -> SseError {
        self.block.get_or_insert(Block { start, name: None, data: Data::None });
        self.fail(SseError::TooLong { event: self.events + 1, limit: self.max_event })
    }

    fn fail(&mut self, error: SseError) -> SseError {
        self.failed = Some(error.clone());
        error
    }
}

impl Data {
    fn add(&mut self, bytes: &[u8], value: Range<usize>) {
        let mut text = match std::mem::replace(self, Self::None) {
            Self::None => {
                *self = Self::Line(value);
                return;
            }
            Self::Line(first) => bytes[first].to_vec(),
            Self::Lines(text) => text,
        };
        text.push(b'\n');
        text.extend_from_slice(&bytes[value]);
        *self = Self::Lines(text);
    }
}

#[cfg(test)]
mod tests;
