//! What happens, as text.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::state::{Standing, State};
use super::status::endpoint_named;
use crate::clock;
use crate::traffic::{Happening, Numbered};
use crate::wire::event::{EndpointChanged, Event, Missed, RequestEnded};
use crate::wire::lean::{Lean, stripped};
use crate::wire::record::record_time;

/// Makes the text of one piece.
pub struct Teller<'a> {
    admin: &'a State,
    standing: Arc<Standing>,
    now: Instant,
    /// By request's key: of those here nothing older is told.
    newest: HashMap<u64, u64>,
    scratch: Vec<u8>,
    pub text: Vec<u8>,
}

impl<'a> Teller<'a> {
    /// `thinned`: of the requests that these are about only the newest event is told.
    pub fn new(admin: &'a State, thinned: &[Numbered]) -> Self {
        let newest = newest(thinned);
        Self { admin, standing: admin.standing(), now: clock::now(), newest, scratch: Vec::new(), text: Vec::new() }
    }

    /// So many events before this place are no longer held.
    pub fn missed(&mut self, place: u64, events: u64) {
        self.write(place, &Event::Missed(Missed { events: Some(events) }));
    }

    pub fn tell(&mut self, numbered: &Numbered) {
        let outdated = |key| self.newest.get(&key).is_some_and(|newest| *newest > numbered.number);
        if request(&numbered.happening).is_some_and(outdated) {
            return;
        }
        if let Happening::Ended { key, line } = &numbered.happening
            && let Some(parts) = stripped(line.line())
        {
            ended(&mut self.text, &self.admin.parts.traffic.id(numbered.number), *key, parts);
        } else if let Some(event) = self.event(&numbered.happening) {
            self.write(numbered.number, &event);
        }
    }

    fn write(&mut self, number: u64, event: &Event) {
        let id = self.admin.parts.traffic.id(number);
        write(&mut self.text, &mut self.scratch, Some(&id), event);
    }

    /// Nothing, when there is nothing to tell of it any more.
    fn event(&self, happening: &Happening) -> Option<Event> {
        let redactor = &self.standing.redactor;
        Some(match happening {
            Happening::Endpoint { name, from, to, reason, at } => Event::Endpoint(Box::new(EndpointChanged {
                time: record_time(*at),
                name: name.clone(),
                from: (*from).to_owned(),
                to: (*to).to_owned(),
                reason: reason.as_deref().map(|reason| redactor.redact_str(reason, &[]).into_owned()),
                endpoint: endpoint_named(self.admin, &self.standing, name),
            })),
            Happening::Started(request) => Event::RequestStarted(Box::new(request.view(redactor, self.now))),
            Happening::Committed(request) => Event::RequestCommitted(Box::new(request.view(redactor, self.now))),
            Happening::Ended { key, line } => {
                let record = Lean::read(line.line())?.into_record();
                Event::RequestEnded(Box::new(RequestEnded { key: *key, record }))
            }
            Happening::Config => Event::Config(Box::new(self.standing.shown.clone())),
        })
    }
}

/// The number of the newest event of each request.
fn newest(events: &[Numbered]) -> HashMap<u64, u64> {
    events.iter().filter_map(|numbered| Some((request(&numbered.happening)?, numbered.number))).collect()
}

/// The key of the request that it happened to.
fn request(happening: &Happening) -> Option<u64> {
    match happening {
        Happening::Started(request) | Happening::Committed(request) => Some(request.key()),
        Happening::Ended { key, .. } => Some(*key),
        Happening::Endpoint { .. } | Happening::Config => None,
    }
}

/// One event on the wire.
pub fn written(id: Option<&str>, event: &Event) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, &mut Vec::new(), id, event);
    text
}

/// `id` (when there is one), `event`, and one line of `data`.
fn write(text: &mut Vec<u8>, scratch: &mut Vec<u8>, id: Option<&str>, event: &Event) {
    scratch.clear();
    // An enum's variant with content is an object of one member: `{"name":content}`.
    let Ok(()) = serde_json::to_writer(&mut *scratch, event) else { return };
    let Some((name, data)) = member(scratch) else { return };
    for part in id.iter().flat_map(|id| ["id: ", id, "\n"]) {
        text.extend_from_slice(part.as_bytes());
    }
    for part in [b"event: ", name, b"\ndata: ", data, b"\n\n"] {
        text.extend_from_slice(part);
    }
}

/// The same of an [`Event::RequestEnded`], by far the most that is told, from the parts of its record.
fn ended(text: &mut Vec<u8>, id: &str, key: u64, record: [&[u8]; 5]) {
    let head = format!("id: {id}\nevent: request_ended\ndata: {{\"key\":{key},\"record\":");
    text.extend_from_slice(head.as_bytes());
    for part in record {
        text.extend_from_slice(part);
    }
    text.extend_from_slice(b"}\n\n");
}

/// Its name and its content.
fn member(object: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = object.strip_prefix(b"{\"")?.strip_suffix(b"}")?;
    let end = inner.iter().position(|byte| *byte == b'"')?;
    Some((&inner[..end], inner.get(end + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::line::RecordLine;
    use crate::wire::record::RequestRecord;

    #[test]
    fn of_much_the_newest_event_of_each_request_is_left() {
        let line = Arc::new(RecordLine::new("id", b"{}"));
        let ended = |number, key| Numbered { number, happening: Happening::Ended { key, line: Arc::clone(&line) } };
        let config = Numbered { number: 9, happening: Happening::Config };
        assert_eq!(newest(&[ended(5, 1), ended(6, 2), ended(8, 1), config]), HashMap::from([(1, 8), (2, 6)]));
    }

    #[test]
    fn an_event_is_three_lines() {
        let event = Event::Missed(Missed { events: Some(3) });
        assert_eq!(written(Some("r-1"), &event), b"id: r-1\nevent: missed\ndata: {\"events\":3}\n\n");
        assert_eq!(written(None, &event), b"event: missed\ndata: {\"events\":3}\n\n");
    }

    #[test]
    fn an_end_is_told_alike_whichever_way_it_is_written() {
        let record = RequestRecord { id: "a".into(), error: Some("x".into()), ..RequestRecord::default() };
        let mut line = serde_json::to_vec(&record).unwrap();
        line.push(b'\n');
        let mut text = Vec::new();
        ended(&mut text, "r-1", 7, stripped(&line).unwrap());
        let event = Event::RequestEnded(Box::new(RequestEnded { key: 7, record }));
        assert_eq!(String::from_utf8(text), String::from_utf8(written(Some("r-1"), &event)));
    }

    #[test]
    fn hostile_text_stays_within_its_line() {
        let changed = EndpointChanged { reason: Some("a\n\ndata: x\r\u{2028}".into()), ..EndpointChanged::default() };
        let text = String::from_utf8(written(None, &Event::Endpoint(Box::new(changed)))).unwrap();
        assert_eq!(text.trim_end().lines().count(), 2, "{text}");
        assert!(!text.contains('\r'));
    }
}
