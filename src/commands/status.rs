//! `status`: the running proxy on one screen.

mod plain;
mod screen;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

pub use self::screen::sign;

use super::{CommandError, Exit, attach, block_on, print, print_json};
use crate::cli::StatusArgs;
use crate::client::{AdminClient, ClientError};
use crate::wire::status::{EndpointList, EndpointView, StatusView};

/// Nothing that is asked for here takes the proxy any time.
const WITHIN: Duration = Duration::from_secs(5);

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Whether at least one endpoint is up or degraded; it is also the exit code.
    pub healthy: bool,
    /// As `GET /api/status` answers.
    pub status: StatusView,
    /// As `GET /api/endpoints` answers.
    pub endpoints: Vec<EndpointView>,
    /// Seconds that `window_ok` and `window_failed` look back.
    pub window_s: u64,
}

pub fn run(explicit: Option<&Path>, args: &StatusArgs) -> Result<Exit, CommandError> {
    let client = attach::client(explicit, &args.attach)?.within(WITHIN);
    let overview = block_on(overview(&client))??;
    if args.json {
        print_json(&overview)?;
    } else if args.plain {
        print(&plain::rows(&overview))?;
    } else {
        print(&screen::draw(&overview))?;
    }
    Ok(if overview.healthy { Exit::Fine } else { Exit::Failed })
}

async fn overview(client: &AdminClient) -> Result<Overview, ClientError> {
    let (status, list) = tokio::try_join!(client.get("/api/status"), client.get("/api/endpoints"))?;
    let (status, list): (StatusView, EndpointList) = (status, list);
    // Every field has a default, so that any object at all would pass for a status.
    if status.version.is_empty() {
        return Err(client.stranger("what answers there is not ours".to_owned()));
    }
    Ok(Overview::new(status, list))
}

impl Overview {
    fn new(status: StatusView, list: EndpointList) -> Self {
        let healthy = list.endpoints.iter().any(is_available);
        Self { healthy, status, endpoints: list.endpoints, window_s: list.window_s }
    }
}

/// Whether requests go there while there is a choice.
pub fn is_available(endpoint: &EndpointView) -> bool {
    matches!(endpoint.state.as_str(), "up" | "degraded")
}
