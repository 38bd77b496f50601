//! Endpoints over TLS: whom we trust, and which HTTP is spoken.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use crate::support::proxy::{Config, Endpoint, Proxy};
use crate::support::upstream::tls::{self, Authority};
use crate::support::upstream::{Accept, Identity};
use crate::support::{End, Reply, Request, Upstream, assert_right, bodies, healthy, right_body};

/// A folder with `root.pem`.
fn trusting(authority: &Authority) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("root.pem"), authority.pem()).unwrap();
    folder
}

async fn start(config: &Config, folder: tempfile::TempDir) -> Proxy {
    std::fs::write(folder.path().join("config.yaml"), config.yaml()).unwrap();
    Proxy::start(folder, &[]).await
}

#[tokio::test]
async fn a_root_of_the_company_is_trusted_when_named() {
    let authority = Authority::new().unwrap();
    let alpha = Upstream::new("alpha").tls(&authority.issue(&["localhost"]).unwrap()).start().await.unwrap();
    let config = Config::in_order([Endpoint::of(&alpha).set("ca_file", "root.pem")]);
    let proxy = start(&config, trusting(&authority)).await;
    for stream in [false, true, false] {
        assert_right(&proxy.send(&Request::turn(stream)).await, stream, "alpha");
    }
    assert_eq!(alpha.connections(), 1, "the connection is kept");
    assert_eq!(alpha.requests()[0].header("host"), Some(&*format!("localhost:{}", alpha.address().port())));
}

#[tokio::test]
async fn an_unknown_root_or_another_name_is_a_fault() {
    let authority = Authority::new().unwrap();
    let right = Endpoint::at;
    let unknown = Upstream::new("alpha").tls(&authority.issue(&["localhost"]).unwrap()).start().await.unwrap();
    let other_name =
        Upstream::new("alpha").tls(&authority.issue(&["elsewhere.example"]).unwrap()).start().await.unwrap();
    for alpha in [right("alpha", &unknown.url()), Endpoint::of(&other_name).set("ca_file", "root.pem")] {
        let beta = healthy("beta").await;
        let proxy = start(&Config::in_order([alpha.clone(), Endpoint::of(&beta)]), trusting(&authority)).await;
        let answer = proxy.send(&Request::message()).await;
        assert_right(&answer, false, "beta");
        assert!(proxy.record(&answer).await["attempts"][0]["fault"].is_string());

        let proxy = start(&Config::in_order([alpha]), trusting(&authority)).await;
        let answer = proxy.send(&Request::message()).await;
        assert_eq!((answer.status(), answer.error_type().as_str()), (502, "api_error"));
    }
    assert_eq!((unknown.hits(), other_name.hits()), (0, 0));
}

#[tokio::test]
async fn a_renewed_root_is_trusted_after_a_reload_and_the_old_one_no_more() {
    let [old, new] = [Authority::new().unwrap(), Authority::new().unwrap()];
    let start_upstream = async |authority: &Authority, name| {
        Upstream::new(name).tls(&authority.issue(&["localhost"]).unwrap()).start().await.unwrap()
    };
    let (alpha, beta) = (start_upstream(&new, "alpha").await, start_upstream(&old, "beta").await);
    let with_root = |upstream| Endpoint::of(upstream).set("ca_file", "root.pem");
    let config = Config::in_order([with_root(&alpha), with_root(&beta)]).set("health.min_failures", "1000");
    let proxy = start(&config, trusting(&old)).await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
    std::fs::write(proxy.folder().join("root.pem"), new.pem()).unwrap();
    proxy.signal("HUP").await;
    proxy.says("reloaded by signal").await;
    assert_right(&proxy.send(&Request::message()).await, false, "alpha");
    let hits = beta.hits();
    alpha.set_default(Some(Reply::status(500)));
    assert_eq!((proxy.send(&Request::message()).await.status(), beta.hits()), (502, hits));
}

#[tokio::test]
async fn a_server_that_is_named_by_its_own_self_signed_certificate_is_reached() {
    for (common_name, names) in [("localhost", vec![]), ("elsewhere", vec!["localhost"])] {
        let (identity, pem) = tls::self_signed(common_name, &names, false).unwrap();
        let alpha = Upstream::new("alpha").tls(&identity).start().await.unwrap();
        let named = |variable: &'static str| (variable, "root.pem");
        for (endpoint, environment) in [
            (Endpoint::of(&alpha).set("ca_file", "root.pem"), vec![]),
            (Endpoint::of(&alpha), vec![named("SSL_CERT_FILE")]),
            (Endpoint::of(&alpha), vec![named("NODE_EXTRA_CA_CERTS")]),
        ] {
            let folder = Config::in_order([endpoint]).folder();
            std::fs::write(folder.path().join("root.pem"), &pem).unwrap();
            let proxy = Proxy::start(folder, &environment).await;
            assert_right(&proxy.send(&Request::message()).await, false, "alpha");
        }
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_not_believed_when_unnamed_for_another_server_or_out_of_date() {
    let (identity, pem) = tls::self_signed("localhost", &["localhost"], false).unwrap();
    let (_, other_pem) = tls::self_signed("localhost", &["localhost"], false).unwrap();
    let (other_name, other_name_pem) = tls::self_signed("localhost", &["elsewhere.example"], false).unwrap();
    let (no_name, no_name_pem) = tls::self_signed("elsewhere.example", &[], false).unwrap();
    let (expired, expired_pem) = tls::self_signed("localhost", &["localhost"], true).unwrap();
    for (identity, pem, status) in [
        (&identity, &pem, 200),
        (&identity, &other_pem, 502),
        (&other_name, &other_name_pem, 502),
        (&no_name, &no_name_pem, 502),
        (&expired, &expired_pem, 502),
    ] {
        let alpha = Upstream::new("alpha").tls(identity).start().await.unwrap();
        let folder = Config::in_order([Endpoint::of(&alpha).set("ca_file", "root.pem")]).folder();
        std::fs::write(folder.path().join("root.pem"), pem).unwrap();
        let answer = Proxy::start(folder, &[]).await.send(&Request::message()).await;
        assert_eq!((answer.status(), alpha.hits()), (status, usize::from(status == 200)), "{}", answer.text());
    }
}

#[tokio::test]
async fn plain_http_where_tls_was_expected_is_a_fault() {
    let authority = Authority::new().unwrap();
    let plain = Accept::Speak("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let alpha = Upstream::new("alpha").accepting(plain).start().await.unwrap();
    let beta = healthy("beta").await;
    let wrong = Endpoint::at("alpha", &alpha.url().replace("http:", "https:"));
    let proxy = start(&Config::in_order([wrong, Endpoint::of(&beta)]), trusting(&authority)).await;
    assert_right(&proxy.send(&Request::message()).await, false, "beta");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connect_time_out() {
    let authority = Authority::new().unwrap();
    let alpha = Upstream::new("alpha").tls(&authority.issue(&["localhost"]).unwrap()).accepting(Accept::Hang);
    let alpha = alpha.start().await.unwrap();
    let config = Config::in_order([&alpha]).set("timeouts.connect", "300ms");
    let answer = start(&config, trusting(&authority)).await.send(&Request::message()).await;
    assert_eq!((answer.status(), answer.error_type().as_str()), (504, "timeout_error"));
}

/// An HTTP/2 upstream called `alpha`: hyper's, for the frames are not what is tested.
struct Http2 {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Http2 {
    /// It takes so many requests at once on one connection.
    async fn start(identity: &Identity, most: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = identity.offering(&[b"h2"]).acceptor();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let three = Arc::new(Barrier::new(3));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, three) = (acceptor.clone(), Arc::clone(&three));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.max_concurrent_streams(most);
                    let service = service_fn(|request| answer(request, Arc::clone(&three)));
                    // A connection that breaks is the proxy's to notice.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, connections }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::at("alpha", &format!("https://localhost:{}", self.port)).set("ca_file", "root.pem")
    }
}

/// A body of so many frames.
struct Frames(VecDeque<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Requests that want to be three are answered when three of them are there.
async fn answer(request: http::Request<Incoming>, three: Arc<Barrier>) -> Result<http::Response<Frames>, hyper::Error> {
    if request.headers().contains_key("x-three") {
        three.wait().await;
    }
    let version = format!("{:?}", request.version());
    let body = request.into_body().collect().await?.to_bytes();
    let stream = String::from_utf8_lossy(&body).contains("\"stream\":true");
    let frames = if stream { bodies::events(&["Hello", " there"]) } else { vec![right_body(false)] };
    let kind = if stream { "text/event-stream" } else { "application/json" };
    let answer = http::Response::builder().header("content-type", kind).header("x-upstream", "alpha");
    Ok(answer
        .header("x-version", version)
        .body(Frames(frames.into_iter().map(Bytes::from).collect()))
        .expect("a right head"))
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_set() {
    let authority = Authority::new().unwrap();
    let alpha = Http2::start(&authority.issue(&["localhost"]).unwrap(), 100).await;
    for http in ["\"2\"", "auto"] {
        let config = Config::in_order([alpha.endpoint().set("http", http)]);
        let proxy = start(&config, trusting(&authority)).await;
        for stream in [false, true] {
            let answer = proxy.send(&Request::turn(stream)).await;
            assert_right(&answer, stream, "alpha");
            assert_eq!(answer.header("x-version"), Some("HTTP/2.0"));
        }
    }
    assert_eq!(alpha.connections.load(Ordering::SeqCst), 2, "one for each proxy");
}

#[tokio::test]
async fn http_2_requests_beyond_what_one_connection_takes_do_not_wait() {
    let authority = Authority::new().unwrap();
    for (most, connections) in [(1, 3), (2, 2), (3, 1)] {
        let alpha = Http2::start(&authority.issue(&["localhost"]).unwrap(), most).await;
        let config = Config::in_order([alpha.endpoint().set("http", "\"2\"")]).set("timeouts.first_byte", "5s");
        let proxy = start(&config, trusting(&authority)).await;
        assert_right(&proxy.send(&Request::message()).await, false, "alpha");
        let request = Request::stream().header("x-three", "1");
        let (one, two, three) = tokio::join!(proxy.send(&request), proxy.send(&request), proxy.send(&request));
        for answer in [one, two, three] {
            assert_right(&answer, true, "alpha");
        }
        assert_eq!(alpha.connections.load(Ordering::SeqCst), connections, "{most} at once on each");
    }
}

#[tokio::test]
async fn auto_falls_back_to_http_1() {
    let authority = Authority::new().unwrap();
    let identity = authority.issue(&["localhost"]).unwrap().offering(&[b"http/1.1"]);
    let alpha = Upstream::new("alpha").tls(&identity).start().await.unwrap();
    let endpoint = Endpoint::of(&alpha).set("ca_file", "root.pem").set("http", "auto");
    let proxy = start(&Config::in_order([endpoint]), trusting(&authority)).await;
    let answer = proxy.send(&Request::stream()).await;
    assert_right(&answer, true, "alpha");
    assert_eq!(answer.end, End::Clean);
}
