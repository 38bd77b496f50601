//! `endpoints test`: from the running proxy when there is one, else as `check` does.

use std::path::Path;

use anstyle::AnsiColor;
use http::Method;
use serde::Serialize;
use tokio::task::JoinSet;
use unicode_width::UnicodeWidthStr as _;

use super::super::{CommandError, Exit, block_on, check, load, note, print, print_json};
use super::route::{self, Route, path_of};
use super::{harmless, list, unknown};
use crate::cli::{CheckArgs, EndpointTestArgs};
use crate::client::AdminClient;
use crate::wire::status::{EndpointList, TestView};

/// What `--json` prints: the same as `check`.
#[derive(Serialize)]
struct Report {
    healthy: bool,
    endpoints: Vec<TestView>,
}

pub(super) fn run(explicit: Option<&Path>, args: &EndpointTestArgs) -> Result<Exit, CommandError> {
    let (route, known) = block_on(async {
        let route = route::find(explicit, &args.attach, false).await?;
        let known = list::names(&route).await?;
        Ok::<_, CommandError>((route, known))
    })??;
    if let Some(name) = args.names.iter().find(|name| !known.contains(name)) {
        return Err(unknown(name, &known));
    }
    let client = match route {
        Route::Proxy(client) => client,
        Route::File { why, .. } | Route::NoFile { why, .. } => {
            note(&format!("{why}, so this is asked from here"));
            let asked = CheckArgs { names: args.names.clone(), json: args.json, no_spend: false };
            return check::run(load(explicit)?, &asked);
        }
    };
    note(&format!("asked from the running proxy at {}", client.target().address));
    let tested = block_on(test_all(&client, &args.names))??;
    let healthy = tested.iter().all(|test| test.healthy);
    if args.json {
        print_json(&Report { healthy, endpoints: tested })?;
    } else if tested.is_empty() {
        note("note: no endpoint is enabled, so there is nothing to test");
    } else {
        let width = tested.iter().map(|test| harmless(&test.name).width()).max().unwrap_or_default();
        print(&tested.iter().map(|test| line(test, width)).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(if healthy { Exit::Fine } else { Exit::Failed })
}

/// Side by side, in the order in which they were named.
async fn test_all(client: &AdminClient, names: &[String]) -> Result<Vec<TestView>, CommandError> {
    let list: EndpointList = client.get("/api/endpoints").await.map_err(route::refused)?;
    let enabled = list.endpoints.iter().filter(|endpoint| endpoint.enabled).map(|endpoint| endpoint.name.clone());
    let wanted: Vec<String> = if names.is_empty() { enabled.collect() } else { names.to_vec() };
    let mut tests = JoinSet::new();
    for (place, name) in wanted.into_iter().enumerate() {
        let client = client.clone();
        tests.spawn(async move {
            let path = format!("{}/test", path_of(&name));
            (place, client.call::<TestView>(Method::POST, &path, None::<&()>).await)
        });
    }
    let mut tested = Vec::new();
    while let Some(done) = tests.join_next().await {
        let (place, test) = done.map_err(std::io::Error::other)?;
        tested.push((place, test.map_err(route::refused)?));
    }
    tested.sort_by_key(|(place, _)| *place);
    Ok(tested.into_iter().map(|(_, test)| test).collect())
}

fn line(test: &TestView, width: usize) -> String {
    let (mark, color, word) =
        if test.healthy { ("●", AnsiColor::Green, "healthy") } else { ("x", AnsiColor::Red, "not healthy") };
    let style = color.on_default();
    let name = harmless(&test.name);
    let space = " ".repeat(width.saturating_sub(name.width()));
    let mut line = format!("{style}{mark}{style:#} {name}{space}  {word} after {} ms", test.ms);
    if let Some(model) = &test.model {
        line = format!("{line}, asked for {}", harmless(model));
    }
    if let Some(detail) = &test.detail {
        line = format!("{line}: {}", harmless(detail));
    }
    if let Some(hint) = &test.hint {
        line = format!("{line} ({})", harmless(hint));
    }
    line
}
