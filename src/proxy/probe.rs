//! Looks at endpoints that are down: a small real request, judged like any answer.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;

use super::Proxy;
use super::attempt::{self, Call, Sent};
use super::exchange::Exchange;
use super::intake::{ApiPath, Inbound, api_path};
use super::opening::{Flow, Opened};
use crate::config::{Timeouts, Validation};
use crate::domain::endpoint::{Auth, EndpointSpec};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::health::{HealthRules, Probed};
use crate::domain::message;
use crate::domain::peek::Peek;
use crate::domain::pool::EndpointId;
use crate::live::LastGood;

/// Asked for when nothing else names a model.
const MODEL: &str = "claude-haiku-4-5";
const MAX_TOKENS: u64 = 16;

/// Probes whatever is due, and notices what the passing of time changes, for as long as the program runs.
pub async fn watch(proxy: Arc<Proxy>) {
    loop {
        proxy.live.settle();
        for (id, spec) in proxy.live.due_probes() {
            tokio::spawn(probe_one(Arc::clone(&proxy), id, spec));
        }
        let changed = proxy.live.changed();
        match proxy.live.next_turn() {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = changed => {}
            },
            None => changed.await,
        }
    }
}

/// Ends the probe however its task ends: an endpoint that stayed claimed would never be probed again.
struct Claim<'a> {
    proxy: &'a Proxy,
    id: EndpointId,
    spec: &'a Arc<EndpointSpec>,
    probed: Probed,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.proxy.live.end_probe(self.id, self.spec, self.probed);
    }
}

async fn probe_one(proxy: Arc<Proxy>, id: EndpointId, spec: Arc<EndpointSpec>) {
    let mut claim = Claim { proxy: &proxy, id, spec: &spec, probed: Probed::Failed { rest: None } };
    let running = proxy.running();
    let probed = match proxy.exchange(id, &spec) {
        Ok(exchange) => {
            let last_good = proxy.live.last_good();
            let probe = Probe {
                spec: &spec,
                rules: &running.config.health,
                timeouts: running.config.timeouts,
                last_good: last_good.as_deref(),
            };
            probe.run(&*exchange).await
        }
        Err(detail) => Err(Fault::new(FaultKind::Connect, detail)),
    };
    match probed {
        Ok(_) => claim.probed = Probed::Healthy,
        Err(fault) => {
            claim.probed = Probed::Failed { rest: fault.retry_after };
            let detail = running.redactor.redact_str(&fault.detail, &[]).into_owned();
            tracing::info!("endpoint {} is still down: {detail}", spec.name);
        }
    }
}

/// One look at one endpoint.
pub struct Probe<'a> {
    pub spec: &'a EndpointSpec,
    pub rules: &'a HealthRules,
    pub timeouts: Timeouts,
    /// Imitated where there is one.
    pub last_good: Option<&'a LastGood>,
}

/// What a healthy endpoint showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthy {
    /// The model that was asked for, if any was.
    pub model: Option<String>,
    /// Why this counts as healthy where the answer was no message.
    pub remark: Option<String>,
}

impl Probe<'_> {
    /// # Errors
    /// The fault that a client's request would have met.
    pub async fn run(&self, exchange: &dyn Exchange) -> Result<Healthy, Fault> {
        let limit = self.rules.check_timeout;
        let probed = tokio::time::timeout(limit, self.ask(exchange)).await;
        probed.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Asks only for what costs nothing: a count of tokens.
    ///
    /// # Errors
    /// The fault that a client's request would have met.
    pub async fn run_free(&self, exchange: &dyn Exchange) -> Result<Healthy, Fault> {
        let model = self.model().unwrap_or_else(|| MODEL.to_owned());
        let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "Say ok." }] });
        let asking = self.send(
            exchange,
            Method::POST,
            "/v1/messages/count_tokens",
            Bytes::from(body.to_string()),
            Peek::default(),
        );
        let opened =
            tokio::time::timeout(self.rules.check_timeout, asking).await.unwrap_or_else(|_| Err(self.silent()));
        match opened {
            Err(fault) if fault.kind == FaultKind::Refused => {
                let remark = Some(format!("{}; it does not count tokens, so its key was not tried", fault.detail));
                Ok(Healthy { model: None, remark })
            }
            opened => judged(self.spec, opened).map(|remark| Healthy { model: Some(model), remark }),
        }
    }

    fn silent(&self) -> Fault {
        let detail = format!("no answer within {}", attempt::shown(self.rules.check_timeout));
        Fault::new(FaultKind::FirstByteTimeout, detail)
    }

    async fn ask(&self, exchange: &dyn Exchange) -> Result<Healthy, Fault> {
        let model = match self.model() {
            Some(model) => model,
            None => self.newest_haiku(exchange).await.unwrap_or_else(|| MODEL.to_owned()),
        };
        let body = serde_json::json!({
            "model": model,
            "max_tokens": MAX_TOKENS,
            "stream": true,
            "messages": [{ "role": "user", "content": "Say ok." }],
        });
        let peek = Peek { model: Some(model.clone()), stream: true, ..Peek::default() };
        let opened = self.send(exchange, Method::POST, "/v1/messages", Bytes::from(body.to_string()), peek).await;
        let remark = match opened {
            Ok(Opened { flow: Flow::Stream(streaming), .. }) => {
                // One that breaks behind its first content would cut every client's answer.
                streaming.read_out().await?;
                None
            }
            opened => judged(self.spec, opened)?,
        };
        Ok(Healthy { model: Some(model), remark })
    }

    fn model(&self) -> Option<String> {
        let last = || self.last_good.and_then(|good| good.model.clone());
        self.rules.probe_model.clone().or_else(last)
    }

    async fn newest_haiku(&self, exchange: &dyn Exchange) -> Option<String> {
        let asking = self.send(exchange, Method::GET, "/v1/models?limit=1000", Bytes::new(), Peek::default());
        // Time must be left for the probe itself.
        let opened = tokio::time::timeout(self.rules.check_timeout / 3, asking).await.ok()?.ok()?;
        let Flow::Whole { body, .. } = opened.flow else { return None };
        newest_haiku(&body)
    }

    async fn send(
        &self,
        exchange: &dyn Exchange,
        method: Method,
        target: &'static str,
        body: Bytes,
        peek: Peek,
    ) -> Result<Opened, Fault> {
        let target = PathAndQuery::from_static(target);
        let path = api_path(&method, target.path());
        let headers = Arc::new(self.headers(&body));
        let inbound = Inbound { method, target, headers, body: vec![body], path, peek, session: None, opaque: false };
        let validation = Validation {
            strict_anthropic_format: true,
            validate_streaming: path == ApiPath::Messages,
            disconnect_on_invalid: true,
        };
        let call = Call {
            exchange,
            spec: self.spec,
            inbound: &inbound,
            validation,
            timeouts: self.timeouts,
            own_token: None,
            sent: Sent::default(),
            under_way: None,
        };
        attempt::open(&call).await
    }

    /// Those of the last good request, so that what let it in lets the probe in; never a client's credential.
    fn headers(&self, body: &Bytes) -> HeaderMap {
        let mut headers = self.last_good.map(|good| (*good.headers).clone()).unwrap_or_default();
        for name in [
            header::AUTHORIZATION,
            crate::domain::headers::X_API_KEY,
            header::COOKIE,
            header::CONTENT_ENCODING,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
        headers.entry("anthropic-version").or_insert(HeaderValue::from_static("2023-06-01"));
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("claude-proxy/", env!("CARGO_PKG_VERSION"))));
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
    }
}

/// A model that is missing, or a request that is at fault, shows an endpoint that works. One that we have no credential
/// for shows that it is there.
fn judged(spec: &EndpointSpec, opened: Result<Opened, Fault>) -> Result<Option<String>, Fault> {
    match opened {
        Ok(opened) if opened.is_success => Ok(None),
        Ok(opened) => Ok(Some(format!("it refused the probe's request with {}", opened.status.as_u16()))),
        Err(fault) if is_model_missing(&fault) => Ok(Some("it does not have the probe's model".to_owned())),
        Err(fault) => {
            let there = fault.status.is_some_and(|status| status.as_u16() < 500);
            if spec.auth == Auth::Passthrough && there {
                Ok(Some(format!("{}; it has no key of ours to try", fault.detail)))
            } else {
                Err(fault)
            }
        }
    }
}

fn is_model_missing(fault: &Fault) -> bool {
    let error = fault.relay.as_ref().and_then(|answer| message::api_error(&answer.body));
    error.is_some_and(|error| error.kind == "not_found_error")
}

fn newest_haiku(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
        #[serde(default)]
        created_at: String,
    }
    let models: Models = serde_json::from_slice(body).ok()?;
    let haikus = models.data.into_iter().filter(|model| model.id.contains("haiku"));
    haikus.max_by(|a, b| a.created_at.cmp(&b.created_at)).map(|model| model.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_haiku_of_a_list() {
        let list = br#"{"data":[{"id":"claude-haiku-3","created_at":"2024-03-01T00:00:00Z"},{"id":"claude-opus-9","created_at":"2027-01-01"},
            {"id":"claude-haiku-4-5","created_at":"2025-10-01T00:00:00Z"}],"has_more":false}"#;
        assert_eq!(newest_haiku(list).as_deref(), Some("claude-haiku-4-5"));
        assert_eq!(newest_haiku(b"{}"), None);
        assert_eq!(newest_haiku(b"<html>"), None);
    }
}
