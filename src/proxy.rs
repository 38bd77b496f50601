//! The front door of the proxy port: every request comes in here and leaves with exactly one answer.

pub mod attempt;
pub mod client_stream;
pub mod connect;
pub mod decode;
pub mod exchange;
pub mod forward;
pub mod http1;
pub mod http2;
pub mod intake;
pub mod joining;
pub mod judge;
pub mod listen;
pub mod opening;
pub mod pieces;
pub mod probe;
pub mod relay;
#[cfg(test)]
mod scripted;
pub mod trip;
mod trust;
pub mod upstream;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use self::exchange::Exchange;
use self::forward::Forwarded;
use self::intake::{ApiPath, Inbound, NotRead};
use self::relay::{Ground, RelayBody};
use self::trip::{Arrival, Ledgers, Trip};
use self::upstream::Upstream;
use crate::clock;
use crate::config::Config;
use crate::config::watch::Content;
use crate::domain::endpoint::EndpointSpec;
use crate::domain::fault::Answer;
use crate::domain::headers::REQUEST_ID;
use crate::domain::pool::EndpointId;
use crate::domain::redact::Redactor;
use crate::domain::reply::Problem;
use crate::live::{LastGood, Live};
use crate::logs::LogHandle;
use crate::traffic::Traffic;
use crate::wire::record::Ending;

/// Everything that requests share.
pub struct Proxy {
    pub live: Arc<Live>,
    running: RwLock<Arc<Running>>,
    exchanges: Mutex<HashMap<EndpointId, MadeFor>>,
    ledgers: Ledgers,
    /// Makes an endpoint's client.
    make: MakeExchange,
    ids: RequestIds,
    /// Requests that were refused at the door; they are counted, not recorded.
    refused: AtomicU64,
}

/// Makes the client of an endpoint, or says in a sentence why its settings cannot be used.
pub type MakeExchange = Box<dyn Fn(&EndpointSpec) -> Result<Arc<dyn Exchange>, String> + Send + Sync>;

/// An endpoint's client, with the settings that it was made for.
struct MadeFor {
    spec: Arc<EndpointSpec>,
    /// What `ca_file` held.
    roots: Option<Content>,
    exchange: Arc<dyn Exchange>,
}

impl MadeFor {
    /// Whether the client of an endpoint with these settings would be the same.
    fn is_same_way(&self, spec: &EndpointSpec) -> bool {
        (&self.spec.url, self.spec.http, &self.spec.proxy, &self.spec.ca_file)
            == (&spec.url, spec.http, &spec.proxy, &spec.ca_file)
    }
}

/// The settings in force; a request keeps the ones that it began with.
pub struct Running {
    pub config: Config,
    pub redactor: Redactor,
}

impl Proxy {
    pub fn new(config: Config, redactor: Redactor, log: LogHandle, traffic: Arc<Traffic>) -> Arc<Self> {
        Self::with_exchanges(config, redactor, log, traffic, Box::new(|spec| Ok(Arc::new(Upstream::new(spec)?))))
    }

    /// [`Proxy::new`] over other transports than sockets.
    pub fn with_exchanges(
        config: Config,
        redactor: Redactor,
        log: LogHandle,
        traffic: Arc<Traffic>,
        make: MakeExchange,
    ) -> Arc<Self> {
        let live = Live::new(&config.endpoints, config.health.clone());
        let watchers = Arc::clone(&traffic);
        live.observe(Box::new(move |change| {
            watchers.endpoint_changed(&change.name, change.from, change.to, change.reason.as_deref());
        }));
        Arc::new(Self {
            live,
            running: RwLock::new(Arc::new(Running { config, redactor })),
            exchanges: Mutex::default(),
            ledgers: Ledgers { log, traffic, closing: Arc::default() },
            make,
            ids: RequestIds::new(),
            refused: AtomicU64::new(0),
        })
    }

    pub fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes new settings: for requests from now on. Health and connections stay with endpoints that stay.
    pub fn reload(&self, config: Config, redactor: Redactor) {
        self.live.replace(&config.endpoints, config.health.clone());
        let stays: HashMap<EndpointId, Option<Content>> =
            self.live.view().iter().map(|slot| (slot.id, roots(&slot.spec))).collect();
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.retain(|id, made| stays.get(id) == Some(&made.roots));
        drop(exchanges);
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Running { config, redactor });
    }

    /// The program's time is up: requests that are dropped from now on were cut by us, not left by their clients.
    pub fn close(&self) {
        self.ledgers.closing.store(true, Ordering::Relaxed);
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The endpoint's client, made at its first use and made anew when its address or way changed.
    pub fn exchange(&self, id: EndpointId, spec: &Arc<EndpointSpec>) -> Result<Arc<dyn Exchange>, String> {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = exchanges.get(&id)
            && made.is_same_way(spec)
        {
            return Ok(Arc::clone(&made.exchange));
        }
        // Before it is read for use: what changes in between is found to have changed at the next reload.
        let roots = roots(spec);
        let exchange = (self.make)(spec)?;
        // A request from before a reload makes do with one of its own rather than bring back what was replaced.
        if !self.live.is_current(id, spec) {
            return Ok(exchange);
        }
        exchanges.insert(id, MadeFor { spec: Arc::clone(spec), roots, exchange: Arc::clone(&exchange) });
        Ok(exchange)
    }

    /// Answers one request. Cannot fail: whatever happens becomes an answer.
    ///
    /// It is taken in before the future is polled: one whose client sent it and left at once has its record too.
    pub fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<RelayBody>, Infallible>> {
        let taken = self.take_in(request);
        async move {
            Ok(match taken {
                Taken::Answered(response) => response,
                Taken::In { running, inbound, body, trip } => self.read_and_serve(&running, inbound, body, trip).await,
            })
        }
    }

    fn take_in(&self, request: Request<Incoming>) -> Taken {
        let arrival = Arrival { at: clock::now(), wall: clock::wall() };
        let running = self.running();
        let path = request.uri().path();
        if is_free(request.method(), path) {
            let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new() };
            return Taken::Answered(relay::respond_plain(with_id(answer, self.ids.next())));
        }
        let admitted = intake::admit(&request, &running.config.server).and_then(|()| intake::route(&request));
        if let Err(problem) = admitted {
            return Taken::Answered(self.refuse(&problem, request));
        }
        let (inbound, body) = intake::head(request);
        let trip = self.begin(&running, arrival, &inbound);
        Taken::In { running, inbound: Box::new(inbound), body, trip }
    }

    async fn read_and_serve(
        &self,
        running: &Running,
        mut inbound: Box<Inbound>,
        body: Incoming,
        mut trip: Box<Trip>,
    ) -> Response<RelayBody> {
        let deadline = trip.started() + forward::budget(running.config.timeouts.commit, &inbound);
        match intake::fill(&mut inbound, body, running.config.server.max_body, deadline).await {
            Ok(()) => {
                trip.note_body(&inbound);
                self.serve(running, *inbound, trip).await
            }
            Err(NotRead::Refused(problem)) => {
                let mut answer = problem.answer(trip.id());
                trip.descend(answer.status, &mut answer.headers, &self.live);
                relay::respond_failed(answer, problem.message, trip, Ending::Failed)
            }
            Err(NotRead::ClientGone) => {
                let problem = Problem::bad_request("The request's body broke off.");
                let answer = with_id(problem.answer(trip.id()), trip.id().to_owned());
                trip.end(Ending::ClientGone);
                relay::respond_plain(answer)
            }
        }
    }

    fn begin(&self, running: &Running, arrival: Arrival, inbound: &Inbound) -> Box<Trip> {
        Trip::new(&self.ledgers, &running.redactor, self.ids.next(), arrival, inbound)
    }

    /// [`Proxy::handle`] for a request that is already in.
    #[cfg(test)]
    async fn serve_whole(&self, inbound: Inbound) -> Response<RelayBody> {
        let arrival = Arrival { at: clock::now(), wall: clock::wall() };
        let mut trip = self.begin(&self.running(), arrival, &inbound);
        trip.note_body(&inbound);
        self.serve(&self.running(), inbound, trip).await
    }

    async fn serve(&self, running: &Running, inbound: Inbound, mut trip: Box<Trip>) -> Response<RelayBody> {
        match forward::forward(self, running, &inbound, &mut trip).await {
            Forwarded::Opened(opened, lease) => {
                let good = (inbound.path == ApiPath::Messages)
                    .then(|| LastGood { model: inbound.peek.model.clone(), headers: Arc::clone(&inbound.headers) });
                let ground = Ground {
                    live: &self.live,
                    stream_idle: running.config.timeouts.stream_idle,
                    disconnect_on_invalid: running.config.validation.disconnect_on_invalid,
                    good,
                };
                relay::respond(opened, lease, trip, ground)
            }
            Forwarded::Failed(mut failed) => {
                trip.descend(failed.answer.status, &mut failed.answer.headers, &self.live);
                let (method, path) = (&inbound.method, inbound.target.path());
                tracing::warn!("{}: {method} {path}: {}", trip.id(), failed.error);
                if let Some(endpoint) = failed.endpoint {
                    trip.set_endpoint(endpoint);
                }
                relay::respond_failed(failed.answer, failed.error, trip, failed.ending)
            }
        }
    }

    /// Turns a request away without reading its body.
    fn refuse(&self, problem: &Problem, request: Request<Incoming>) -> Response<RelayBody> {
        tracing::debug!("refused with {}: {} {}", problem.status, request.method(), request.uri().path());
        // A client that waits for our word before it sends its body gets this one instead.
        if !request.headers().contains_key(header::EXPECT) {
            intake::linger(request.into_body());
        }
        relay::respond_plain(self.refusal(problem))
    }

    fn refusal(&self, problem: &Problem) -> Answer {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let id = self.ids.next();
        with_id(problem.answer(&id), id)
    }

    /// What goes down in place of a bare status, where the head cannot be read.
    pub fn unreadable(&self, status: StatusCode) -> Answer {
        tracing::debug!("refused with {status}: a head that cannot be read");
        self.refusal(&Problem::unreadable(status))
    }
}

fn with_id(mut answer: Answer, id: String) -> Answer {
    answer.headers.extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    answer
}

/// A request as far as its head decides about it.
enum Taken {
    Answered(Response<RelayBody>),
    In { running: Arc<Running>, inbound: Box<Inbound>, body: Incoming, trip: Box<Trip> },
}

/// What start-up probes of clients and health checks of supervisors ask for; touches no endpoint.
fn is_free(method: &Method, path: &str) -> bool {
    match path {
        "/" | "/healthz" => matches!(*method, Method::GET | Method::HEAD),
        "/api/hello" => *method == Method::HEAD,
        _ => false,
    }
}

/// What the endpoint's `ca_file` holds now.
fn roots(spec: &EndpointSpec) -> Option<Content> {
    spec.ca_file.as_deref().and_then(Content::read)
}

/// Ids for requests whose upstream names none: unlike any of another run, in order within this one.
struct RequestIds {
    /// `req_` and what tells this run from others.
    run: String,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let since = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let run = u64::try_from(since.as_micros()).unwrap_or_default() ^ (u64::from(std::process::id()) << 44);
        Self { run: format!("req_{:013x}", run & 0x000f_ffff_ffff_ffff), count: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        let mut id = String::with_capacity(self.run.len() + 6);
        id.push_str(&self.run);
        let _ = write!(id, "{:06x}", self.count.fetch_add(1, Ordering::Relaxed));
        id
    }
}
