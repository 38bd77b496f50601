//! One request's ledger: what was asked, what was tried, what went down. Ends exactly once; dropped before that, the
//! client has gone, or a bug of ours or our own end came between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::intake::Inbound;
use crate::clock;
use crate::domain::fault::Fault;
use crate::domain::headers::REQUEST_ID;
use crate::domain::redact::{self, Redactor};
use crate::domain::secret::Secret;
use crate::domain::timeline::Timeline;
use crate::live::Live;
use crate::logs::capture::Capture;
use crate::logs::{Entry, LogHandle};
use crate::traffic::{Begun, Ticket, Traffic, UnderWay};
use crate::wire::record::{AttemptRecord, Ending, RequestRecord, TimelineRecord, Usage, record_time};

/// Nginx's number for a client that left before anything went down.
const CLIENT_GONE: u16 = 499;

/// Where trips end up, and whether it is we who end them.
#[derive(Clone)]
pub struct Ledgers {
    pub log: LogHandle,
    pub traffic: Arc<Traffic>,
    /// The program's time is up: what is dropped from now on was cut by us.
    pub closing: Arc<AtomicBool>,
}

pub struct Trip {
    ledgers: Ledgers,
    /// `None` once it has ended.
    ticket: Option<Ticket>,
    started: Instant,
    wall: SystemTime,
    record: RequestRecord,
    request_headers: Arc<HeaderMap>,
    request_body: Capture,
    response_headers: HeaderMap,
    response_body: Capture,
    timeline: Timeline,
    attempt_started: Instant,
    redactor: Redactor,
    presented: Vec<Secret>,
    ended: bool,
}

/// When a request's head arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub at: Instant,
    pub wall: SystemTime,
}

impl Trip {
    /// Begins with the request's head. `id`: ours; it gives way to the upstream's when that answers with one.
    pub fn new(ledgers: &Ledgers, redactor: &Redactor, id: String, arrival: Arrival, inbound: &Inbound) -> Box<Self> {
        let mut presented = redact::presented(&inbound.headers);
        presented.extend(inbound.target.query().map(redact::presented_in_query).unwrap_or_default());
        let (request_body, response_body) = ledgers.log.captures(&presented);
        let ticket = ledgers.traffic.begin(Begun {
            at: arrival.at,
            wall: arrival.wall,
            method: inbound.method.clone(),
            path: inbound.target.path().to_owned(),
            presented: presented.clone(),
        });
        let record = RequestRecord {
            id,
            method: inbound.method.to_string(),
            path: inbound.target.to_string(),
            session: inbound.session.clone(),
            ..RequestRecord::default()
        };
        Box::new(Self {
            ledgers: ledgers.clone(),
            ticket: Some(ticket),
            started: arrival.at,
            wall: arrival.wall,
            record,
            request_headers: Arc::clone(&inbound.headers),
            request_body,
            response_headers: HeaderMap::new(),
            response_body,
            timeline: Timeline::default(),
            attempt_started: arrival.at,
            redactor: redactor.clone(),
            presented,
            ended: false,
        })
    }

    /// The request's body is in.
    pub fn note_body(&mut self, inbound: &Inbound) {
        for chunk in &inbound.body {
            self.request_body.push(chunk);
        }
        self.record.model.clone_from(&inbound.peek.model);
        self.record.stream = inbound.peek.stream;
        self.record.session.clone_from(&inbound.session);
        if let Some(ticket) = &self.ticket {
            ticket.known(inbound.peek.model.as_deref(), inbound.peek.stream, inbound.session.as_deref());
        }
    }

    /// The request among those under way.
    pub fn under_way(&self) -> Option<Arc<UnderWay>> {
        self.ticket.as_ref().map(Ticket::request)
    }

    pub fn is_head(&self) -> bool {
        self.record.method == "HEAD"
    }

    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The text without any credential, this client's own included.
    pub fn redacted(&self, text: &str) -> String {
        self.redactor.redact_str(text, &self.presented).into_owned()
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn begin_attempt(&mut self, endpoint: &str) {
        self.attempt_started = clock::now();
        if let Some(ticket) = &self.ticket {
            ticket.attempt(endpoint);
        }
        self.record.endpoint = Some(endpoint.to_owned());
        let started_ms = millis(self.attempt_started - self.started);
        self.record.attempts.push(AttemptRecord {
            endpoint: endpoint.to_owned(),
            started_ms,
            ..AttemptRecord::default()
        });
    }

    /// When the request of the attempt under way began to go out; `None`: it never did.
    pub fn note_sent(&mut self, at: Option<Instant>) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.sent_ms = at.map(|at| millis(at - self.started));
        }
    }

    /// The attempt under way failed.
    pub fn note(&mut self, fault: &Fault) {
        self.end_attempt(fault.status);
        if let Some(ticket) = &self.ticket {
            ticket.failed();
        }
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.fault = Some(fault.kind.word().to_owned());
            attempt.detail = Some(fault.detail.clone());
        }
    }

    /// The attempt under way brought this status; its answer may still be coming.
    pub fn end_attempt(&mut self, status: Option<StatusCode>) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.status = status.map(|status| status.as_u16());
            attempt.duration_ms = millis(clock::now() - self.attempt_started);
        }
    }

    /// The head goes down now. Sees to it that it has a `request-id`, and that the record and the endpoints that failed
    /// before know the request by the same.
    pub fn descend(&mut self, status: StatusCode, headers: &mut HeaderMap, live: &Live) {
        self.record.status = status.as_u16();
        self.record.first_byte_ms = Some(millis(clock::now() - self.started));
        let theirs = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_usable_id(id));
        match theirs {
            Some(id) => {
                let id = self.redacted(id);
                let former = std::mem::replace(&mut self.record.id, id);
                if self.record.attempts.iter().any(|attempt| attempt.fault.is_some()) {
                    live.rename_cause(&former, &self.record.id);
                }
            }
            None => {
                if let Ok(id) = HeaderValue::from_str(&self.record.id) {
                    headers.insert(REQUEST_ID, id);
                }
            }
        }
        self.response_headers.clone_from(headers);
        if let Some(ticket) = &self.ticket {
            ticket.committed();
        }
    }

    /// These bytes of the body go down now.
    pub fn pass(&mut self, bytes: &Bytes) {
        self.response_body.push(bytes);
        if let Some(ticket) = &self.ticket {
            ticket.passed(bytes.len());
        }
    }

    /// This piece of a stream goes down now.
    pub fn pass_piece(&mut self, bytes: &Bytes) {
        self.timeline.pass(millis(clock::now() - self.started), bytes.len());
        self.pass(bytes);
    }

    pub fn set_usage(&mut self, usage: Usage) {
        if usage != Usage::default() {
            self.record.usage = Some(usage);
        }
    }

    /// Whose answer goes down, where it is not the last one's that was tried.
    pub fn set_endpoint(&mut self, endpoint: String) {
        self.record.endpoint = Some(endpoint);
    }

    /// What went wrong after the head went down, or before any attempt.
    pub fn set_error(&mut self, error: impl Into<String>) {
        self.record.error = Some(error.into());
    }

    /// A fault of the stream after bytes went down belongs to the attempt that brought it.
    pub fn note_late(&mut self, word: &str, detail: &str) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.fault = Some(word.to_owned());
            attempt.detail = Some(detail.to_owned());
        }
        self.set_error(detail);
    }

    pub fn end(mut self: Box<Self>, ending: Ending) {
        self.close(ending);
    }

    fn close(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = clock::now();
        let mut record = std::mem::take(&mut self.record);
        record.ending = ending;
        record.time = record_time(self.wall);
        record.duration_ms = millis(now - self.started);
        record.timeline =
            std::mem::take(&mut self.timeline).into_marks().map(|(step_ms, marks)| TimelineRecord { step_ms, marks });
        if let Some(attempt) =
            record.attempts.last_mut().filter(|_| record.first_byte_ms.is_some() || ending == Ending::ClientGone)
        {
            attempt.duration_ms = millis(now - self.attempt_started);
        }
        if record.status == 0 {
            record.status = CLIENT_GONE;
        }
        if record.error.is_none() {
            record.error = match ending {
                Ending::ClientGone => Some("the client left".to_owned()),
                Ending::Cut | Ending::Failed => Some("claude-proxy was stopped".to_owned()),
                Ending::Complete | Ending::RelayedError => None,
            };
        }
        tell(&record);
        let key = self.ticket.take().map_or(0, |ticket| ticket.key());
        self.ledgers.log.submit(Entry {
            key,
            record,
            presented: std::mem::take(&mut self.presented),
            request_headers: Arc::clone(&self.request_headers),
            request_body: std::mem::take(&mut self.request_body).finish(),
            response_headers: std::mem::take(&mut self.response_headers),
            response_body: std::mem::take(&mut self.response_body).finish(),
        });
    }
}

/// For who wants to see every request pass.
fn tell(record: &RequestRecord) {
    tracing::debug!(
        "{}: {} {}: {} {} by {} after {} ms",
        record.id,
        record.method,
        record.path.split('?').next().unwrap_or_default(),
        record.status,
        record.ending.word(),
        record.endpoint.as_deref().unwrap_or("no endpoint"),
        record.duration_ms
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether an upstream's id can stand for the request in logs and messages; one that cannot gives way to ours.
fn is_usable_id(id: &str) -> bool {
    const LONGEST_ID: usize = 128;
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Drop for Trip {
    fn drop(&mut self) {
        let bug = std::thread::panicking();
        if bug {
            self.set_error("a bug in claude-proxy ended it");
        }
        let ours = bug || self.ledgers.closing.load(Ordering::Relaxed);
        self.close(match (ours, self.record.first_byte_ms) {
            (false, _) => Ending::ClientGone,
            (true, Some(_)) => Ending::Cut,
            (true, None) => Ending::Failed,
        });
    }
}
