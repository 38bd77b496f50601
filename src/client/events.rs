//! The event stream as values.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use memchr::memmem;
use serde_json::Value;
use tokio::time::timeout_at;

use super::ClientError;
use crate::clock;
use crate::wire::event::Event;

/// One event, and the id to resume behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// Absent for what need not be made up for, such as `status`.
    pub id: Option<String>,
    pub event: Event,
}

/// A status comes every second: who is silent for that long is not there any more.
const SILENCE: Duration = Duration::from_secs(15);
const LARGEST_EVENT: usize = 16 << 20;

/// Events as they come, until the proxy ends.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    address: String,
    buffer: BytesMut,
    /// How much of the buffer holds no end of an event.
    searched: usize,
    heard: Instant,
}

impl EventStream {
    pub(super) fn new(body: Incoming, address: String) -> Self {
        Self { body, address, buffer: BytesMut::new(), searched: 0, heard: clock::now() }
    }

    /// Events of a kind that is new to us are passed over. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the stream is over, or silent for too long.
    pub async fn next(&mut self) -> Result<Pushed, ClientError> {
        loop {
            while let Some(block) = self.block() {
                if let Some(pushed) = parse(&block) {
                    return Ok(pushed);
                }
            }
            if self.buffer.len() > LARGEST_EVENT {
                return Err(self.lost("an event does not end"));
            }
            // The limit counts from what was heard last, however often this future is dropped and made anew.
            let frame = timeout_at((self.heard + SILENCE).into(), self.body.frame()).await;
            let frame = frame.map_err(|_| self.lost(&format!("silent for {} s", SILENCE.as_secs())))?;
            let frame = frame.ok_or_else(|| self.lost("it ended"))?;
            self.heard = clock::now();
            let frame = frame.map_err(|error| self.lost(&error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// The next whole event in the buffer.
    fn block(&mut self) -> Option<BytesMut> {
        let end = memmem::find(&self.buffer[self.searched..], b"\n\n").map(|end| self.searched + end + 2);
        self.searched = if end.is_some() { 0 } else { self.buffer.len().saturating_sub(1) };
        end.map(|end| self.buffer.split_to(end))
    }

    /// As if nothing had been heard for too long.
    #[cfg(test)]
    pub(super) fn hush(&mut self) {
        self.heard -= SILENCE;
    }

    fn lost(&self, why: &str) -> ClientError {
        ClientError::Lost { address: self.address.clone(), why: why.to_owned() }
    }
}

/// One block of lines as our own server writes them: `id`, `event` and one line of `data`.
fn parse(block: &[u8]) -> Option<Pushed> {
    let text = std::str::from_utf8(block).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data: Value = serde_json::from_str(field("data")?).ok()?;
    let named = serde_json::json!({ field("event")?: data });
    Some(Pushed { id: field("id").map(str::to_owned), event: serde_json::from_value(named).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::event::Missed;

    #[test]
    fn a_block_is_an_event_with_its_id() {
        let pushed = parse(b"id: 1-2\nevent: missed\ndata: {\"events\":3}\n\n").unwrap();
        assert_eq!(pushed, Pushed { id: Some("1-2".into()), event: Event::Missed(Missed { events: Some(3) }) });
        assert_eq!(parse(b"event: missed\ndata: {}\n\n").unwrap().id, None);
    }

    #[test]
    fn what_is_new_to_us_is_passed_over() {
        for block in ["event: novel\ndata: {}\n\n", ": a comment\n\n", "event: status\ndata: nonsense\n\n", "\n\n"] {
            assert_eq!(parse(block.as_bytes()), None, "{block}");
        }
    }
}
