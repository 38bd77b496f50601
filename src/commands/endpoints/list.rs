//! `endpoints list`: with what was seen of each when the proxy runs, else as the file has them.
//!
//! ```text
//! P  NAME      STATE       URL                        AUTH                    OK/FAIL   P50    P95  FIRST BYTE
//! 1  primary   ● up        https://api.anthropic.com  api_key ${KEY}            212/1  2.1s   8.4s        0.9s
//! 3  kimi      x down      https://api.kimi.example   auth_token sk-…9999         0/7     -      -           -
//!    since 14:00:59: 529 overloaded_error; next probe at 14:01:29
//! ```

use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::super::table::{self, Cell};
use super::super::{CommandError, Exit, block_on, note, print, print_json};
use super::harmless;
use super::route::{self, Route};
use crate::cli::StatusArgs;
use crate::config::Config;
use crate::config::edit::{self, Prepared};
use crate::config::file::FileEndpoint;
use crate::wire::status::{EndpointList, EndpointView};
use crate::wire::words::{self, NOTHING};

pub(super) fn run(explicit: Option<&Path>, args: &StatusArgs) -> Result<Exit, CommandError> {
    let (list, route) = block_on(async {
        let route = route::find(explicit, &args.attach, false).await?;
        Ok::<_, CommandError>((of(&route).await?, route))
    })??;
    match &route {
        Route::Proxy(_) => {}
        Route::File { path, why } => note(&format!("{why}, so this is what {} has", path.display())),
        Route::NoFile { why, .. } => note(&format!("{why}, and there is no config file: this is built in")),
    }
    let live = matches!(route, Route::Proxy(_));
    if args.json {
        print_json(&list)?;
    } else if args.plain {
        print(&plain(&list))?;
    } else {
        print(&drawn(&list, live))?;
    }
    Ok(Exit::Fine)
}

/// The endpoints, wherever the way leads.
async fn of(route: &Route) -> Result<EndpointList, CommandError> {
    match route {
        Route::Proxy(client) => client.get("/api/endpoints").await.map_err(route::refused),
        Route::File { path, .. } => {
            let (config, unset) = edit::settings_without_variables(path)?;
            let endpoints = views(&config, &edit::references_in(path), &unset);
            let revision = Some(config.content.to_string());
            Ok(EndpointList { endpoints, revision, window_s: config.health.window.as_secs() })
        }
        Route::NoFile { .. } => {
            let config = Config::built_in()?;
            Ok(EndpointList { endpoints: views(&config, &[], &[]), ..EndpointList::default() })
        }
    }
}

pub(super) async fn names(route: &Route) -> Result<Vec<String>, CommandError> {
    match route {
        // What is about to be changed may be what is wrong with it, so it need not be usable.
        Route::File { path, .. } => Ok(edit::names(path)?),
        Route::NoFile { .. } | Route::Proxy(_) => {
            Ok(of(route).await?.endpoints.into_iter().map(|endpoint| endpoint.name).collect())
        }
    }
}

/// One endpoint of a text that was worked out.
pub(super) fn view_of(prepared: &Prepared, name: &str) -> Option<EndpointView> {
    let views = views(&prepared.config, &edit::references(&prepared.text), &prepared.unset);
    views.into_iter().find(|view| view.name == name)
}

/// What the settings alone tell. `unset`: variables that have no value here.
fn views(config: &Config, references: &[(String, String)], unset: &[String]) -> Vec<EndpointView> {
    let view = |file: FileEndpoint| {
        let name = file.name.unwrap_or_default();
        let reference = references.iter().find(|(of, _)| *of == name).map(|(_, reference)| reference.clone());
        let known = !unset.iter().any(|variable| reference.as_deref() == Some(&format!("${{{variable}}}")));
        let enabled = file.enabled.unwrap_or(true);
        EndpointView {
            auth_value: file.auth_value.filter(|_| known),
            auth_reference: reference,
            url: file.url.unwrap_or_default(),
            path_prefix: file.path_prefix.unwrap_or_default(),
            auth_type: file.auth_type.and_then(word).unwrap_or_default(),
            enabled,
            priority: file.priority.unwrap_or(1),
            http: file.http.and_then(word).unwrap_or_default(),
            proxy: file.proxy,
            ca_file: file.ca_file,
            state: if enabled { "enabled" } else { "disabled" }.to_owned(),
            name,
            ..EndpointView::default()
        }
    };
    config.shown().endpoints.into_iter().map(view).collect()
}

/// A word as it stands in the file.
fn word(value: impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// The order in which they are tried.
fn sorted(list: &EndpointList) -> Vec<&EndpointView> {
    let mut sorted: Vec<&EndpointView> = list.endpoints.iter().collect();
    sorted.sort_by_key(|endpoint| endpoint.priority);
    sorted
}

/// `name state priority url auth_type key ok failed p50_ms p95_ms first_byte_ms reason`
fn plain(list: &EndpointList) -> String {
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let row = |endpoint: &EndpointView| {
        let fields = [
            endpoint.name.clone(),
            endpoint.state.clone(),
            endpoint.priority.to_string(),
            endpoint.url.clone(),
            endpoint.auth_type.clone(),
            key(endpoint),
            endpoint.window_ok.to_string(),
            endpoint.window_failed.to_string(),
            number(endpoint.duration.p50_ms),
            number(endpoint.duration.p95_ms),
            number(endpoint.first_byte.p50_ms),
            endpoint.reason.clone().unwrap_or_default(),
        ];
        fields.map(|field| harmless(&field)).join("\t") + "\n"
    };
    sorted(list).into_iter().map(row).collect()
}

fn drawn(list: &EndpointList, live: bool) -> String {
    let endpoints = sorted(list);
    let headings: &[&str] = if live {
        &["P", "NAME", "STATE", "URL", "AUTH", "OK/FAIL", "P50", "P95", "FIRST BYTE"]
    } else {
        &["P", "NAME", "STATE", "URL", "AUTH"]
    };
    let heading = |(at, text): (usize, &&str)| {
        let cell = if at == 0 || at > 4 { Cell::number(*text) } else { Cell::text(*text) };
        cell.style(Style::new().bold())
    };
    let mut rows = vec![headings.iter().enumerate().map(heading).collect()];
    rows.extend(endpoints.iter().map(|endpoint| row(endpoint, live)));
    let mut lines = table::lines(&rows).into_iter();
    let mut out = lines.next().unwrap_or_default();
    for (line, endpoint) in lines.zip(endpoints) {
        out = format!("{out}\n{line}{}", why(endpoint).map(|why| format!("\n   {why}")).unwrap_or_default());
    }
    out
}

fn row(endpoint: &EndpointView, live: bool) -> Vec<Cell> {
    let (sign, style) = sign(&endpoint.state);
    let auth = harmless(format!("{} {}", endpoint.auth_type, key(endpoint)).trim_end());
    let mut row = vec![
        Cell::number(endpoint.priority.to_string()),
        Cell::text(harmless(&endpoint.name)),
        Cell::text(format!("{sign} {}", harmless(&endpoint.state))).style(style),
        Cell::text(harmless(&endpoint.url)),
        Cell::text(auth),
    ];
    if live {
        let attempts = format!("{}/{}", endpoint.window_ok, endpoint.window_failed);
        row.push(Cell::number(if attempts == "0/0" { "-".to_owned() } else { attempts }));
        let times = [endpoint.duration.p50_ms, endpoint.duration.p95_ms, endpoint.first_byte.p50_ms];
        row.extend(times.map(|ms| Cell::number(ms.map_or_else(|| NOTHING.to_owned(), words::seconds))));
    }
    row
}

/// Where the key is from, else what may be seen of it.
fn key(endpoint: &EndpointView) -> String {
    endpoint.auth_reference.clone().or_else(|| endpoint.auth_value.clone()).unwrap_or_default()
}

/// Never by colour alone.
fn sign(state: &str) -> (&'static str, Style) {
    match state {
        "up" | "enabled" => ("●", AnsiColor::Green.on_default()),
        "degraded" => ("◐", AnsiColor::Yellow.on_default()),
        "resting" => ("◌", AnsiColor::Yellow.on_default()),
        "down" => ("x", AnsiColor::Red.on_default()),
        _ => ("○", Style::new().dimmed()),
    }
}

/// Why it is not simply up, and what comes next.
fn why(endpoint: &EndpointView) -> Option<String> {
    let reason = endpoint.reason.as_ref()?;
    let mut why = format!("since {}: {reason}", clock(&endpoint.since));
    if let Some(until) = &endpoint.resting_until {
        why = format!("{why}; left alone until {}", clock(until));
    }
    if let Some(probe) = &endpoint.next_probe {
        why = format!("{why}; next probe at {}", clock(probe));
    }
    Some(harmless(&why))
}

/// The time of day of an RFC 3339 time.
fn clock(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stats::Percentiles;

    fn list() -> EndpointList {
        let up = EndpointView {
            name: "主节点".into(),
            url: "https://a.example".into(),
            auth_type: "api_key".into(),
            auth_value: Some("sk-…9999".into()),
            auth_reference: Some("${KEY}".into()),
            priority: 2,
            state: "up".into(),
            window_ok: 12,
            duration: Percentiles { p50_ms: Some(2140), p95_ms: Some(123_456) },
            first_byte: Percentiles { p50_ms: Some(950), p95_ms: None },
            ..EndpointView::default()
        };
        let down = EndpointView {
            name: "kimi".into(),
            url: "https://kimi.example".into(),
            auth_type: "passthrough".into(),
            priority: 1,
            state: "down".into(),
            reason: Some("529 \u{1b}[2J\tbad".into()),
            since: "2026-03-09T14:00:59.123+08:00".into(),
            next_probe: Some("2026-03-09T14:01:29.123+08:00".into()),
            window_failed: 7,
            ..EndpointView::default()
        };
        EndpointList { endpoints: vec![up, down], ..EndpointList::default() }
    }

    #[test]
    fn people_see_a_table_in_the_order_of_trying() {
        let drawn = anstream::adapter::strip_str(&drawn(&list(), true)).to_string();
        let expected = "\
P  NAME    STATE   URL                   AUTH            OK/FAIL   P50    P95  FIRST BYTE
1  kimi    x down  https://kimi.example  passthrough         0/7     -      -           -
   since 14:00:59: 529 \\u{1b}[2J\\tbad; next probe at 14:01:29
2  主节点  ● up    https://a.example     api_key ${KEY}     12/0  2.1s  2m03s        1.0s";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn programs_get_fields_without_a_heading() {
        let expected = "kimi\tdown\t1\thttps://kimi.example\tpassthrough\t\t0\t7\t\t\t\t529 \\u{1b}[2J\\tbad\n\
                        主节点\tup\t2\thttps://a.example\tapi_key\t${KEY}\t12\t0\t2140\t123456\t950\t\n";
        assert_eq!(plain(&list()), expected);
    }
}
