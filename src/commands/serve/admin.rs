//! The admin server beside the proxy, and what is done here for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::reload::{Reloader, Why};
use crate::admin::{self, Admin, Order, Parts};
use crate::clock;
use crate::config::WebAdmin;
use crate::domain::endpoint::{EndpointSpec, ProxyUrl};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::redact::Redactor;
use crate::proxy::Proxy;
use crate::proxy::probe::Probe;
use crate::proxy::upstream::Upstream;
use crate::wire::status::TestView;

/// The start waits no longer to say where the page is.
const BOUND_WITHIN: Duration = Duration::from_secs(2);

/// Starts it, if it is wanted. That its address is taken is told and holds nothing up.
pub(super) async fn start(settings: &WebAdmin, parts: Parts) -> (Option<Admin>, Option<SocketAddr>) {
    if !settings.enabled {
        return (None, None);
    }
    let (host, port) = (&settings.host, settings.port);
    let (admin, bound) = match admin::start(parts, host.clone(), port) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("the admin server cannot be started, the proxy runs without it: {error}");
            return (None, None);
        }
    };
    match tokio::time::timeout(BOUND_WITHIN, bound).await {
        Ok(Ok(Ok(address))) => (Some(admin), Some(address)),
        Ok(Ok(Err(error))) => {
            tracing::warn!(
                "the admin server cannot listen on {host}:{port}, the proxy runs without it and it tries on: {error} \
                 (stop the program that has that port, or set web_admin.port to another one, 0 = any free one)"
            );
            (Some(admin), None)
        }
        _ => (Some(admin), None),
    }
}

/// Does what the admin server asked for.
pub(super) fn obey(order: Order, reloader: &mut Reloader, proxy: &Arc<Proxy>) {
    match order {
        Order::Reload { file, reply } => {
            let done = match file {
                Some(file) => reloader.take_file(file, proxy),
                None => reloader.reload(proxy, Why::Admin),
            };
            // Whoever asked may have left.
            let _ = reply.send(done);
        }
        Order::Test { spec, reply } => {
            let proxy = Arc::clone(proxy);
            tokio::spawn(async move {
                let _ = reply.send(test(&proxy, &spec).await);
            });
        }
    }
}

/// Looks at an endpoint as the prober does, over connections of its own.
async fn test(proxy: &Proxy, spec: &EndpointSpec) -> TestView {
    let began = clock::now();
    let (running, last_good) = (proxy.running(), proxy.live.last_good());
    let probed = match Upstream::new(spec) {
        Ok(upstream) => {
            let (rules, timeouts) = (&running.config.health, running.config.timeouts);
            Probe { spec, rules, timeouts, last_good: last_good.as_deref() }.run(&upstream).await
        }
        Err(detail) => Err(Fault::new(FaultKind::Connect, detail)),
    };
    let ms = u64::try_from((clock::now() - began).as_millis()).unwrap_or(u64::MAX);
    let secrets: Vec<_> =
        spec.auth.secret().cloned().into_iter().chain(spec.proxy.iter().flat_map(ProxyUrl::secrets)).collect();
    let redactor: Redactor = running.redactor.with(&secrets);
    let clean = |text: &str| redactor.redact_str(text, &[]).into_owned();
    let view = TestView { name: spec.name.clone(), ms, ..TestView::default() };
    match probed {
        Ok(healthy) => TestView {
            healthy: true,
            model: healthy.model.as_deref().map(clean),
            detail: healthy.remark.as_deref().map(clean),
            ..view
        },
        Err(fault) => TestView {
            fault: Some(fault.kind.word().to_owned()),
            detail: Some(clean(&fault.detail)),
            hint: Some(fault.remedy().to_owned()),
            ..view
        },
    }
}
