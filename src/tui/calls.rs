//! What the dashboard asks of the proxy, as calls of the admin API.

use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message::{Answer, Ask};
use super::model::opened::Opened;
use crate::client::{AdminClient, ClientError, encoded};
use crate::wire::record::RequestRecord;
use crate::wire::status::{ChangeView, EndpointOrder};

/// Records of one page of older ones.
const PAGE: usize = 200;

/// Does what is asked; errors are told in a sentence with what to do.
pub(super) async fn perform(client: &AdminClient, ask: Ask) -> Answer {
    match ask {
        Ask::Older { filter, before } => {
            let mut path = format!("/api/logs?detail=summary&limit={PAGE}");
            for (name, value) in [("before", &before), ("q", &filter)] {
                if let Some(value) = value {
                    let _ = write!(path, "&{name}={}", encoded(value));
                }
            }
            let page = client.get(&path).await.map_err(|error| told(&error));
            Answer::Older { filter, before, page }
        }
        Ask::Record(id) => {
            let opened = open(client, &id).await;
            Answer::Record { id, opened }
        }
        Ask::Test(name) => {
            let result = post(client, &name, "test").await;
            Answer::Tested { name, result }
        }
        change => {
            let done = changed(client, &change).await;
            Answer::Changed { ask: change, done }
        }
    }
}

/// The whole record, with its bodies.
pub(super) async fn record(client: &AdminClient, id: &str) -> Result<RequestRecord, String> {
    client.get(&format!("/api/logs/{}", encoded(id))).await.map_err(|error| told(&error))
}

async fn open(client: &AdminClient, id: &str) -> Result<Arc<Opened>, String> {
    let record = record(client, id).await?;
    let opened = tokio::task::spawn_blocking(|| Arc::new(Opened::new(record))).await;
    opened.map_err(|error| format!("it could not be taken apart: {error}"))
}

/// What the change did, where the proxy tells it; older ones answer with something else.
async fn changed(client: &AdminClient, ask: &Ask) -> Result<Option<Box<ChangeView>>, String> {
    let answer: Value = match ask {
        Ask::Enable { name, on } => post(client, name, if *on { "enable" } else { "disable" }).await?,
        Ask::Reset(name) => post(client, name, "reset").await?,
        Ask::Order { names, .. } => {
            let order = EndpointOrder { names: names.clone(), revision: None };
            client.call(Method::POST, "/api/endpoints/order", Some(&order)).await.map_err(|error| told(&error))?
        }
        Ask::Delete(name) => {
            let path = format!("/api/endpoints/{}", encoded(name));
            client.call(Method::DELETE, &path, None::<&()>).await.map_err(|error| told(&error))?
        }
        Ask::Older { .. } | Ask::Record(_) | Ask::Test(_) => Value::Null,
    };
    Ok(serde_json::from_value(answer).ok())
}

async fn post<T: DeserializeOwned>(client: &AdminClient, name: &str, verb: &str) -> Result<T, String> {
    let path = format!("/api/endpoints/{}/{verb}", encoded(name));
    client.call(Method::POST, &path, None::<&()>).await.map_err(|error| told(&error))
}

/// What happened, and what to do about it.
fn told(error: &ClientError) -> String {
    match error.hint() {
        Some(hint) => format!("{error} · {hint}"),
        None => error.to_string(),
    }
}
