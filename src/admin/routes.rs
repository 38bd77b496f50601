//! Every route, once: what it answers to, what it takes, what it gives. Both the router and the API's description are
//! made from this table, so neither can leave the other behind.

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, get as answer_get, on, patch as answer_patch};
use http::{HeaderMap, Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::answer::Refusal;
use super::input::Revision;
use super::state::Shared;
use super::{assets, endpoints, events, login, logs, metrics, openapi, settings, stats, status};
use crate::config::edit::EndpointChange;
use crate::wire::event::Event;
use crate::wire::logs::LogPage;
use crate::wire::record::RequestRecord;
use crate::wire::session::SessionView;
use crate::wire::stats::StatsView;
use crate::wire::status::{
    ChangeView, ConfigStanding, EndpointList, EndpointOrder, EndpointView, StatusView, TestView,
};

/// Makes a type's JSON schema.
pub type Make = fn(&mut SchemaGenerator) -> Schema;

/// One method on one path.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub summary: &'static str,
    /// Its members are the query's parameters.
    pub query: Option<Make>,
    pub body: Option<Body>,
    pub status: StatusCode,
    pub answer: Answer,
    handler: MethodRouter<Shared>,
}

#[derive(Clone, Copy)]
pub struct Body {
    pub schema: Make,
    pub required: bool,
}

#[derive(Clone, Copy)]
pub enum Answer {
    Json(Make),
    /// Server-sent events, each of one member of this type.
    Events(Make),
    /// Of this content type.
    Text(&'static str),
}

fn route<T: 'static>(
    method: Method,
    filter: MethodFilter,
    path: &'static str,
    summary: &'static str,
    handler: impl Handler<T, Shared>,
) -> Route {
    let handler = on(filter, handler);
    let (status, answer) = (StatusCode::OK, Answer::Text("text/plain"));
    Route { method, path, summary, query: None, body: None, status, answer, handler }
}

fn get<T: 'static>(path: &'static str, summary: &'static str, handler: impl Handler<T, Shared>) -> Route {
    route(Method::GET, MethodFilter::GET, path, summary, handler)
}

fn post<T: 'static>(path: &'static str, summary: &'static str, handler: impl Handler<T, Shared>) -> Route {
    route(Method::POST, MethodFilter::POST, path, summary, handler)
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn query<T: JsonSchema>(self) -> Self {
        // Its members are wanted, not a reference to it.
        Self { query: Some(T::json_schema), ..self }
    }

    fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body { schema: schema_of::<T>, required: true }), ..self }
    }

    fn may_take<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body { schema: schema_of::<T>, required: false }), ..self }
    }

    fn json<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Json(schema_of::<T>), ..self }
    }

    fn events<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Events(schema_of::<T>), ..self }
    }

    fn text(self, content_type: &'static str) -> Self {
        Self { answer: Answer::Text(content_type), ..self }
    }

    fn created(self) -> Self {
        Self { status: StatusCode::CREATED, ..self }
    }
}

/// All of them but the page's files.
pub fn routes() -> Vec<Route> {
    [watching(), changing(), reading(), running()].into_iter().flatten().collect()
}

fn watching() -> Vec<Route> {
    vec![
        get("/api/status", "The running program on one screen.", status::status).json::<StatusView>(),
        get(
            "/api/endpoints",
            "The endpoints, in the order in which they are tried: by priority, equals as the file has them.",
            status::list,
        )
        .json::<EndpointList>(),
        get("/api/sessions/{id}", "What a session did since the program started.", status::session)
            .json::<SessionView>(),
        get(
            "/api/events",
            "What happens, as it happens: `status` at the beginning and each second, everything else with an id, to \
             resume from by `Last-Event-ID`.",
            events::events,
        )
        .query::<events::EventsQuery>()
        .events::<Event>(),
    ]
}

fn changing() -> Vec<Route> {
    vec![
        post("/api/endpoints", "Adds an endpoint to the config file; makes a first file where there is none.", endpoints::add)
            .query::<endpoints::ChangeQuery>()
            .takes::<EndpointChange>()
            .created()
            .json::<ChangeView>(),
        post("/api/endpoints/order", "Gives the endpoints a new order.", endpoints::order)
            .query::<endpoints::ChangeQuery>()
            .takes::<EndpointOrder>()
            .json::<ChangeView>(),
        route(
            Method::PATCH,
            MethodFilter::PATCH,
            "/api/endpoints/{name}",
            "Changes an endpoint; what is not named stays, the credential too.",
            endpoints::change,
        )
        .query::<endpoints::ChangeQuery>()
        .takes::<EndpointChange>()
        .json::<ChangeView>(),
        route(
            Method::DELETE,
            MethodFilter::DELETE,
            "/api/endpoints/{name}",
            "Takes an endpoint out of the config file.",
            endpoints::remove,
        )
        .query::<endpoints::ChangeQuery>()
        .may_take::<Revision>()
        .json::<ChangeView>(),
        post("/api/endpoints/{name}/enable", "Lets requests go to an endpoint.", endpoints::enable)
            .query::<endpoints::ChangeQuery>()
            .may_take::<Revision>()
            .json::<ChangeView>(),
        post("/api/endpoints/{name}/disable", "Lets no further request go to an endpoint.", endpoints::disable)
            .query::<endpoints::ChangeQuery>()
            .may_take::<Revision>()
            .json::<ChangeView>(),
        post(
            "/api/endpoints/{name}/test",
            "Probes an endpoint with a small real request: as it is, or with the changes in the body, which are not saved.",
            endpoints::test,
        )
        .may_take::<EndpointChange>()
        .json::<TestView>(),
        post("/api/endpoints/{name}/reset", "Takes an endpoint as up, whatever was seen of it.", endpoints::reset)
            .json::<EndpointView>(),
    ]
}

fn reading() -> Vec<Route> {
    vec![
        get(
            "/api/logs",
            "Finished requests, newest first. With `Accept: application/x-ndjson` each goes out as it is found.",
            logs::page,
        )
        .query::<logs::LogsQuery>()
        .json::<LogPage>(),
        get("/api/logs/{id}", "One finished request with its whole bodies.", logs::one).json::<RequestRecord>(),
        get("/api/stats", "Sums over equal steps of time.", stats::stats)
            .query::<stats::StatsQuery>()
            .json::<StatsView>(),
        get("/api/config", "The settings in force, credentials masked.", settings::show).json::<settings::ConfigView>(),
        get("/api/openapi.json", "This description.", openapi::show).text("application/json"),
        get("/metrics", "Figures in Prometheus' text format.", metrics::metrics).text("text/plain"),
    ]
}

fn running() -> Vec<Route> {
    vec![
        post("/api/config/reload", "Reads the config file anew.", settings::reload).json::<ConfigStanding>(),
        post("/api/login", "Sets a session cookie for the token.", login::login)
            .takes::<login::Login>()
            .json::<login::LoginView>(),
        post("/api/logout", "Ends the cookie's session.", login::logout).json::<login::LoginView>(),
        get("/healthz", "Whether the program lives.", status::alive).text("text/plain"),
        get("/readyz", "Whether a request has somewhere to go; 503 if not.", status::ready).text("text/plain"),
    ]
}

/// The table and the page's files, ready to answer.
pub fn router(admin: Shared) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, route.handler);
    }
    // An endpoint may be called `order`, and its path is then the one that sets the order.
    router = router.route("/api/endpoints/order", answer_patch(endpoints::change).delete(endpoints::remove));
    for (place, file) in assets::FILES.iter().enumerate() {
        let answer =
            move |State(admin): State<Shared>, asked: HeaderMap| async move { admin.assets.answer(place, &asked) };
        router = router.route(file.path, answer_get(answer));
    }
    router
        .fallback(async || {
            Refusal::not_found("there is nothing at this path").hint("GET /api/openapi.json lists what there is")
        })
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take that method")
                .hint("the Allow header lists those that it takes")
        })
        .with_state(admin)
}
