//! The event stream as values.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use memchr::memmem;
use serde_json::Value;

use super::ClientError;
use crate::wire::event::Event;

/// One event, and the id to resume behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// Absent for what need not be made up for, such as `status`.
    pub id: Option<String>,
    pub event: Event,
}

/// Events as they come, until the proxy ends.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    address: String,
    buffer: BytesMut,
}

impl EventStream {
    pub(super) fn new(body: Incoming, address: String) -> Self {
        Self { body, address, buffer: BytesMut::new() }
    }

    /// Events of a kind that is new to us are passed over. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the stream is over.
    pub async fn next(&mut self) -> Result<Pushed, ClientError> {
        loop {
            while let Some(end) = memmem::find(&self.buffer, b"\n\n") {
                let block = self.buffer.split_to(end + 2);
                if let Some(pushed) = parse(&block) {
                    return Ok(pushed);
                }
            }
            let frame = self.body.frame().await.ok_or_else(|| self.lost("it ended"))?;
            let frame = frame.map_err(|error| self.lost(&error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
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
