//! `check`: every endpoint probed once, side by side, with the probe that a running proxy uses.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anstyle::AnsiColor;
use serde::Serialize;
use tokio::task::{Id, JoinSet};

use super::{CommandError, Exit, block_on, note, print_json};
use crate::cli::CheckArgs;
use crate::clock;
use crate::config::Config;
use crate::domain::endpoint::EndpointSpec;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::redact::Redactor;
use crate::proxy::probe::{Healthy, Probe};
use crate::proxy::upstream::Upstream;
use crate::wire::harmless::harmless;

/// What is known of one endpoint now.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    url: String,
    enabled: bool,
    healthy: bool,
    /// The model that was asked for.
    model: Option<String>,
    /// Until the first content, or the fault.
    ms: u64,
    /// A word for programs; absent when it is healthy.
    fault: Option<&'static str>,
    /// Why it is not healthy, or why it counts as healthy without an answer.
    detail: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

#[derive(Serialize)]
struct Report {
    healthy: bool,
    endpoints: Vec<Checked>,
}

pub fn run(config: Config, args: &CheckArgs) -> Result<Exit, CommandError> {
    let wanted = wanted(&config, &args.names)?;
    if wanted.is_empty() {
        note("note: no endpoint is enabled, so there is nothing to check");
    }
    let checked = block_on(check_all(config, wanted, args))??;
    let healthy = checked.iter().all(|checked| checked.healthy);
    if args.json {
        print_json(&Report { healthy, endpoints: checked })?;
    }
    Ok(if healthy { Exit::Fine } else { Exit::Failed })
}

/// The enabled ones, or those that were named, each once.
fn wanted(config: &Config, names: &[String]) -> Result<Vec<Arc<EndpointSpec>>, CommandError> {
    if names.is_empty() {
        return Ok(config.endpoints.iter().filter(|endpoint| endpoint.enabled).cloned().collect());
    }
    let find = |name: &String| {
        let found = config.endpoints.iter().find(|endpoint| endpoint.name == *name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = config.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
            CommandError::usage(
                format!("there is no endpoint \"{name}\""),
                format!("the config has {}", known.join(", ")),
            )
        })
    };
    let named_before = |at: usize| names[..at].contains(&names[at]);
    names.iter().enumerate().filter(|(at, _)| !named_before(*at)).map(|(_, name)| find(name)).collect()
}

/// People see each line as it comes, in the order in which the endpoints answer; the report keeps the config's order.
async fn check_all(
    config: Config,
    wanted: Vec<Arc<EndpointSpec>>,
    args: &CheckArgs,
) -> Result<Vec<Checked>, CommandError> {
    let redactor = Redactor::new(&config.secrets());
    let config = Arc::new(config);
    let width = wanted.iter().map(|endpoint| endpoint.name.chars().count()).max().unwrap_or_default();
    let mut probes = Probes::default();
    for spec in wanted {
        let (config, free) = (Arc::clone(&config), args.no_spend);
        probes.begin(Arc::clone(&spec), async move { check_one(&config, &spec, free).await });
    }
    let mut all = Vec::new();
    while let Some((place, mut checked)) = probes.next().await {
        checked.detail = checked.detail.map(|detail| redactor.redact_str(&detail, &[]).into_owned());
        if !args.json {
            show(&checked, width)?;
        }
        all.push((place, checked));
    }
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, checked)| checked).collect())
}

/// Probes under way. Each one begun comes back, even one that panics.
#[derive(Default)]
struct Probes {
    tasks: JoinSet<Checked>,
    begun: HashMap<Id, (usize, Arc<EndpointSpec>)>,
}

impl Probes {
    fn begin(&mut self, spec: Arc<EndpointSpec>, probe: impl Future<Output = Checked> + Send + 'static) {
        let place = self.begun.len();
        let task = self.tasks.spawn(probe);
        self.begun.insert(task.id(), (place, spec));
    }

    /// The next one that is done, with its place in the order in which they were begun.
    async fn next(&mut self) -> Option<(usize, Checked)> {
        let done = self.tasks.join_next_with_id().await?;
        let id = done.as_ref().map_or_else(tokio::task::JoinError::id, |(id, _)| *id);
        let (place, spec) = self.begun.get(&id)?;
        Some((*place, done.map_or_else(|_| crashed(spec), |(_, checked)| checked)))
    }
}

/// Nothing is known of the endpoint, and that is our own fault.
fn crashed(spec: &EndpointSpec) -> Checked {
    Checked {
        name: spec.name.clone(),
        url: spec.url.to_string(),
        enabled: spec.enabled,
        healthy: false,
        model: None,
        ms: 0,
        fault: Some("internal"),
        detail: Some("the probe crashed".to_owned()),
        hint: Some("this is a fault of claude-proxy; please report it with what stands above"),
    }
}

async fn check_one(config: &Config, spec: &EndpointSpec, free: bool) -> Checked {
    let began = clock::now();
    let probed = match Upstream::new(spec) {
        Ok(upstream) => {
            let probe = Probe { spec, rules: &config.health, timeouts: config.timeouts, last_good: None };
            if free { probe.run_free(&upstream).await } else { probe.run(&upstream).await }
        }
        Err(detail) => Err(Fault::new(FaultKind::Connect, detail)),
    };
    checked(spec, probed, began)
}

fn checked(spec: &EndpointSpec, probed: Result<Healthy, Fault>, began: Instant) -> Checked {
    let ms = u64::try_from((clock::now() - began).as_millis()).unwrap_or(u64::MAX);
    let (name, url, enabled) = (spec.name.clone(), spec.url.to_string(), spec.enabled);
    match probed {
        Ok(Healthy { model, remark }) => {
            Checked { name, url, enabled, healthy: true, model, ms, fault: None, detail: remark, hint: None }
        }
        Err(fault) => {
            let hint = Some(fault.remedy());
            let word = Some(fault.kind.word());
            Checked {
                name,
                url,
                enabled,
                healthy: false,
                model: None,
                ms,
                fault: word,
                detail: Some(fault.detail),
                hint,
            }
        }
    }
}

fn show(checked: &Checked, width: usize) -> Result<(), CommandError> {
    let (mark, color, word) =
        if checked.healthy { ("●", AnsiColor::Green, "healthy") } else { ("x", AnsiColor::Red, "not healthy") };
    let style = color.on_default();
    let mut line = format!("{style}{mark}{style:#} {:width$}  {word} after {} ms", checked.name, checked.ms);
    if let Some(model) = &checked.model {
        let _ = write!(line, ", asked for {}", harmless(model, false));
    }
    if let Some(detail) = &checked.detail {
        let _ = write!(line, ": {}", harmless(detail, false));
    }
    if let Some(hint) = checked.hint {
        let _ = write!(line, " ({hint})");
    }
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_named_twice_is_paid_for_once() {
        let config = Config::built_in().unwrap();
        let name = config.endpoints[0].name.clone();
        assert_eq!(wanted(&config, &[name.clone(), name]).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_probe_that_panics_is_not_healthy() {
        let config = Config::built_in().unwrap();
        let spec = &config.endpoints[0];
        let good = checked(spec, Ok(Healthy { model: None, remark: None }), clock::now());
        let mut probes = Probes::default();
        probes.begin(Arc::clone(spec), async { panic!("on purpose") });
        probes.begin(Arc::clone(spec), async { good });
        let mut all = Vec::new();
        while let Some((place, checked)) = probes.next().await {
            all.push((place, checked.healthy, checked.fault));
        }
        all.sort_unstable();
        assert_eq!(all, [(0, false, Some("internal")), (1, true, None)]);
    }
}
