//! What `GET /api/events` pushes: the SSE event's name is the variant's, its data the variant's content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::RequestRecord;
use super::status::{EndpointView, RunningView, StatusView};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// At the beginning and once a second; has no id, since only the newest counts.
    Status(Box<StatusView>),
    /// An endpoint's state changed, or its settings.
    Endpoint(Box<EndpointChanged>),
    /// A request's body is in, and its first endpoint is about to be asked. While much happens only the newest event of each
    /// request is told: it says all that those before it would have said.
    RequestStarted(Box<RunningView>),
    /// The first byte goes down.
    RequestCommitted(Box<RunningView>),
    RequestEnded(Box<RequestEnded>),
    /// The settings in force changed, or a change was refused: ask again for what depends on them.
    Config(Box<super::status::ConfigStanding>),
    /// Events behind `Last-Event-ID` that are no longer held; ask again for everything.
    Missed(Missed),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointChanged {
    pub time: String,
    pub name: String,
    /// States as in [`EndpointView::state`], empty where there is none: it is new, or left the settings. Equal ones when only
    /// its settings changed.
    pub from: String,
    pub to: String,
    pub reason: Option<String>,
    /// As it is now; absent when it left the settings.
    pub endpoint: Option<EndpointView>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequestEnded {
    /// [`RunningView::key`].
    pub key: u64,
    /// Without headers and bodies.
    pub record: RequestRecord,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Missed {
    /// How many; absent when that cannot be known, since the proxy was started anew.
    pub events: Option<u64>,
}
