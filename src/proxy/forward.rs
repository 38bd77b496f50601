//! The failover loop: one endpoint after another until one has an answer that may go down. What happens after that
//! is the relay's; nothing here can run again once bytes went down.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::attempt::{self, Call, Sent, shown};
use super::intake::Inbound;
use super::opening::Opened;
use super::trip::Trip;
use super::{Proxy, Running, connect};
use crate::clock;
use crate::domain::failover::{self, Conclusion};
use crate::domain::fault::{Answer, Blame, Fault, FaultKind, Progress};
use crate::domain::headers::STAINLESS_TIMEOUT;
use crate::domain::health::{Failure, Outcome};
use crate::domain::reply::{self, Problem, Tried};
use crate::live::Lease;
use crate::wire::record::Ending;

/// What the client gets.
pub enum Forwarded {
    /// An endpoint's answer, and the loan of that endpoint.
    Opened(Opened, Lease),
    /// Ours, or the best of the failed ones.
    Failed(Failed),
}

/// What goes down when no endpoint has an answer, and what the record says of it.
pub struct Failed {
    pub answer: Answer,
    pub error: String,
    pub ending: Ending,
    /// Whose answer it is; `None`: ours.
    pub endpoint: Option<String>,
}

/// How long all attempts together may take.
#[derive(Clone, Copy)]
struct Time {
    deadline: Instant,
    budget: Duration,
}

/// The faults of one request so far.
#[derive(Default)]
struct Faults {
    endpoints: Vec<String>,
    faults: Vec<Fault>,
}

pub async fn forward(proxy: &Proxy, running: &Running, inbound: &Inbound, trip: &mut Trip) -> Forwarded {
    let budget = budget(running.config.timeouts.commit, inbound);
    let deadline = trip.started() + budget;
    let (mut tried, mut so_far) = (Vec::new(), Faults::default());
    while let Some(lease) = proxy.live.choose(&tried, inbound.session.as_deref()) {
        tried.push(lease.id);
        trip.begin_attempt(&lease.spec.name);
        let time = Time { deadline, budget };
        let fault = match attempt_within(proxy, running, inbound, &lease, time, trip).await {
            Ok(opened) => {
                trip.end_attempt(Some(opened.status));
                return Forwarded::Opened(opened, lease);
            }
            Err(fault) => Fault { detail: trip.redacted(&fault.detail), ..fault },
        };
        trip.note(&fault);
        tracing::debug!("{}: {}: {}", trip.id(), lease.spec.name, fault.detail);
        let out_of_time = fault.kind == FaultKind::CommitTimeout;
        let move_on = failover::may_move_on(inbound.is_repeatable(), &fault);
        so_far.endpoints.push(lease.spec.name.clone());
        lease.report(&outcome(&fault, trip.id()));
        so_far.faults.push(fault);
        if !move_on {
            return so_far.stopped(trip.id());
        }
        if out_of_time {
            break;
        }
    }
    so_far.concluded(trip.id())
}

async fn attempt_within(
    proxy: &Proxy,
    running: &Running,
    inbound: &Inbound,
    lease: &Lease,
    time: Time,
    trip: &mut Trip,
) -> Result<Opened, Fault> {
    let Time { deadline, budget } = time;
    let exchange = proxy.exchange(lease.id, &lease.spec).map_err(|detail| {
        // Certificates are files too.
        let kind = if connect::is_exhausted() { FaultKind::Machine } else { FaultKind::Connect };
        Fault::new(kind, detail)
    })?;
    let call = Call {
        exchange: &*exchange,
        spec: &lease.spec,
        inbound,
        validation: running.config.validation,
        timeouts: running.config.timeouts,
        own_token: running.config.server.auth_token.as_ref(),
        sent: Sent::default(),
        under_way: trip.under_way(),
    };
    let began = clock::now();
    let opened = timeout_at(deadline.into(), attempt::open(&call)).await;
    trip.note_sent(call.sent.at());
    let Ok(opened) = opened else {
        let detail = format!("no answer within the request's {}", shown(budget));
        let fault = Fault::new(FaultKind::CommitTimeout, detail);
        // One that only got what others had left of the time is not to blame.
        let blame = if (clock::now() - began) * 2 >= budget { Blame::Endpoint } else { Blame::Nobody };
        let progress = if call.sent.at().is_some() { Progress::Delivered } else { Progress::NotDelivered };
        return Err(Fault { blame, progress, ..fault });
    };
    opened
}

/// How long after the request's head bytes are to go down: our own limit, or a little less than the client's patience.
pub fn budget(commit: Duration, inbound: &Inbound) -> Duration {
    let named =
        inbound.headers.get(STAINLESS_TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
    let client = named.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    client.map_or(commit, |client| commit.min(client.saturating_sub((client / 20).min(Duration::from_secs(1)))))
}

fn outcome(fault: &Fault, request_id: &str) -> Outcome {
    match fault.blame {
        Blame::Nobody => Outcome::Neutral,
        Blame::Endpoint => {
            let reason = fault.detail.clone();
            Outcome::Failure(Failure { reason, request_id: request_id.to_owned(), rest: fault.retry_after })
        }
    }
}

impl Faults {
    fn tried(&self) -> Vec<Tried<'_>> {
        self.endpoints.iter().zip(&self.faults).map(|(endpoint, fault)| Tried { endpoint, fault }).collect()
    }

    /// No endpoint is left.
    fn concluded(self, request_id: &str) -> Forwarded {
        if self.faults.is_empty() {
            let problem = Problem::nothing_enabled();
            let answer = problem.answer(request_id);
            return Forwarded::Failed(Failed {
                answer,
                error: problem.message,
                ending: Ending::Failed,
                endpoint: None,
            });
        }
        let conclusion = failover::conclude(&self.faults);
        let (ending, whose) = match conclusion {
            Conclusion::Relay(fault) => (Ending::RelayedError, Some(fault)),
            Conclusion::Limited { fault, .. } => (Ending::Failed, Some(fault)),
            _ => (Ending::Failed, None),
        };
        let answer = reply::concluded(conclusion, &self.tried(), request_id);
        self.failed(answer, ending, whose)
    }

    /// There may be others, but this request must not be sent twice.
    fn stopped(self, request_id: &str) -> Forwarded {
        let answered = [FaultKind::Status, FaultKind::Credentials, FaultKind::Limited, FaultKind::Refused];
        if self.faults.last().is_some_and(|fault| answered.contains(&fault.kind)) {
            return self.concluded(request_id);
        }
        let answer = reply::lost(&self.tried(), request_id);
        self.failed(answer, Ending::Failed, None)
    }

    fn failed(self, answer: Answer, ending: Ending, whose: Option<usize>) -> Forwarded {
        let each =
            self.tried().iter().map(|tried| format!("{}: {}", tried.endpoint, tried.fault.detail)).collect::<Vec<_>>();
        let endpoint = whose.map(|fault| self.endpoints[fault].clone());
        Forwarded::Failed(Failed { answer, error: each.join("; "), ending, endpoint })
    }
}

#[cfg(test)]
mod tests;
