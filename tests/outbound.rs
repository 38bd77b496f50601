//! Endpoints behind a proxy of the company: CONNECT and SOCKS5, set for one endpoint or by the environment.

use base64::Engine as _;

use crate::support::outbound::{Asked, ConnectProxy, Socks5};
use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::upstream::tls::Authority;
use crate::support::{Request, Upstream, assert_right, healthy};

/// A TLS upstream and an endpoint that trusts it; the root's file is in the folder of whoever starts the proxy.
async fn secure() -> (Upstream, Endpoint, tempfile::TempDir) {
    let authority = Authority::new().unwrap();
    let identity = authority.issue(&["localhost"]).unwrap();
    let alpha = Upstream::new("alpha").tls(&identity).start().await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("root.pem"), authority.pem()).unwrap();
    let endpoint = Endpoint::of(&alpha).set("ca_file", "root.pem");
    (alpha, endpoint, folder)
}

async fn start(config: &Config, folder: tempfile::TempDir, environment: &[(&str, &str)]) -> Proxy {
    std::fs::write(folder.path().join("config.yaml"), config.yaml()).unwrap();
    Proxy::start(folder, environment).await
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let (alpha, endpoint, folder) = secure().await;
    let tunnel = ConnectProxy::start().await;
    let endpoint = endpoint.set("proxy", &format!("http://{}", tunnel.address));
    let proxy = start(&Config::in_order([endpoint]), folder, &[]).await;
    for stream in [false, true] {
        assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
    }
    let heads = tunnel.heads();
    assert_eq!(heads.len(), 1, "one tunnel for both: {heads:?}");
    assert!(heads[0].starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", alpha.address().port())), "{heads:?}");
    assert!(!heads[0].contains("sk-ant"));
}

#[tokio::test]
async fn a_tunnel_may_want_credentials() {
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("me:secret word"));
    let tunnel = ConnectProxy::with(Some(&basic), None).await;
    let (_alpha, endpoint, folder) = secure().await;
    let right = endpoint.set("proxy", &format!("http://me:secret%20word@{}", tunnel.address));
    let proxy = start(&Config::in_order([right]), folder, &[]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");

    let (_alpha, endpoint, folder) = secure().await;
    let wrong = endpoint.set("proxy", &format!("http://me:wrong@{}", tunnel.address));
    let beta = healthy("beta").await;
    let proxy = start(&Config::in_order([wrong, Endpoint::of(&beta)]), folder, &[]).await;
    let answer = proxy.send(&Request::message()).await;
    assert_right(&answer, false, "beta");
    let record = proxy.record(&answer).await;
    assert!(record["attempts"][0]["fault"].is_string());
    assert!(!format!("{record}{}", proxy.said()).contains("me:wrong"));
}

#[tokio::test]
async fn the_proxy_itself_may_speak_tls() {
    let authority = Authority::new().unwrap();
    let identity = authority.issue(&["localhost"]).unwrap();
    let alpha = Upstream::new("alpha").tls(&identity).start().await.unwrap();
    let tunnel = ConnectProxy::with(None, Some(&identity)).await;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("root.pem"), authority.pem()).unwrap();
    let endpoint = Endpoint::of(&alpha)
        .set("ca_file", "root.pem")
        .set("proxy", &format!("https://localhost:{}", tunnel.address.port()));
    let proxy = start(&Config::in_order([endpoint]), folder, &[]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_eq!(tunnel.heads().len(), 1);
}

#[tokio::test]
async fn socks5_resolves_the_name_itself() {
    let (alpha, endpoint, folder) = secure().await;
    let socks = Socks5::start(None).await;
    let endpoint = endpoint.set("proxy", &format!("socks5://{}", socks.address));
    let proxy = start(&Config::in_order([endpoint]), folder, &[]).await;
    for stream in [false, true] {
        assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
    }
    assert_eq!(socks.asked(), [Asked::Name("localhost".to_owned(), alpha.address().port())]);
}

#[tokio::test]
async fn socks5_may_want_credentials() {
    let socks = Socks5::start(Some(("me", "secret"))).await;
    let (_alpha, endpoint, folder) = secure().await;
    let right = endpoint.set("proxy", &format!("socks5://me:secret@{}", socks.address));
    let proxy = start(&Config::in_order([right]), folder, &[]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");

    let (_alpha, endpoint, folder) = secure().await;
    let wrong = endpoint.set("proxy", &format!("socks5://me:wrong@{}", socks.address));
    let beta = healthy("beta").await;
    let proxy = start(&Config::in_order([wrong, Endpoint::of(&beta)]), folder, &[]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn the_environments_proxy_counts_unless_no_proxy_says_no() {
    let tunnel = ConnectProxy::start().await;
    let address = format!("http://{}", tunnel.address);
    let (_alpha, endpoint, folder) = secure().await;
    let proxy = start(&Config::in_order([endpoint.clone()]), folder, &[("HTTPS_PROXY", &address)]).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_eq!(tunnel.heads().len(), 1);

    let (_alpha, endpoint, folder) = secure().await;
    let environment = [("HTTPS_PROXY", address.as_str()), ("NO_PROXY", "example.com,localhost")];
    let proxy = start(&Config::in_order([endpoint]), folder, &environment).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_eq!(tunnel.heads().len(), 1, "no tunnel this time");
}

#[tokio::test]
async fn the_endpoints_proxy_beats_the_environments() {
    let tunnel = ConnectProxy::start().await;
    let (_alpha, endpoint, folder) = secure().await;
    let endpoint = endpoint.set("proxy", &format!("http://{}", tunnel.address));
    let environment = [("HTTPS_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", "localhost")];
    let proxy = start(&Config::in_order([endpoint]), folder, &environment).await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    assert_eq!(tunnel.heads().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_fault_of_the_endpoint() {
    let (_alpha, endpoint, folder) = secure().await;
    let gone = crate::support::upstream::Refusing::new().unwrap();
    let beta = healthy("beta").await;
    let config = Config::in_order([endpoint.set("proxy", &gone.url()), Endpoint::of(&beta)]);
    let proxy = start(&config, folder, &[]).await;
    assert_right(&proxy.send(&Request::stream()).await, true, "beta");
}
