//! Opens connections to one endpoint: name lookup, TCP, outbound proxy, TLS.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::exchange::{BoxFuture, ConnectError};
use super::trust::{no_tls_config, tls_config};
use crate::config::listening;
use crate::domain::endpoint::{EndpointSpec, HttpVersion, ProxyUrl, percent_decoded};

/// A byte stream to an endpoint, plain or TLS.
pub type Stream = MaybeHttpsStream<BoxIo>;

/// Opens connections to one endpoint by the way that its settings name.
#[derive(Clone)]
pub struct Connector {
    https: HttpsConnector<Dial>,
    target: Uri,
}

impl Connector {
    /// # Errors
    /// A sentence: the root certificates cannot be read, or the address is no URI.
    pub fn new(spec: &EndpointSpec) -> Result<Self, String> {
        let target = spec.url.uri(PathAndQuery::from_static("/")).ok_or("its url cannot be used")?;
        let outbound = Outbound::of(spec.proxy.as_ref(), &target);
        let hops = [Some(&target), outbound.as_ref().map(|outbound| &outbound.uri)];
        let encrypted = hops.into_iter().flatten().any(|hop| hop.scheme_str() == Some("https"));
        let tls =
            if encrypted || spec.ca_file.is_some() { tls_config(spec.ca_file.as_deref()) } else { no_tls_config() }?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let dial = Dial::new(outbound, tls)?;
        let https = match spec.http {
            HttpVersion::Http1 => builder.enable_http1().wrap_connector(dial),
            HttpVersion::Http2 => builder.enable_http2().wrap_connector(dial),
            HttpVersion::Auto => builder.enable_all_versions().wrap_connector(dial),
        };
        Ok(Self { https, target })
    }

    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        let connecting = self.https.clone().call(self.target.clone());
        connecting.await.map_err(|error| {
            let detail = describe(error.as_ref());
            if is_ours(error.as_ref()) { ConnectError::Here(detail) } else { ConnectError::There(detail) }
        })
    }
}

/// The way to the endpoint's TCP port: straight, or through an outbound proxy.
#[derive(Clone)]
enum Dial {
    Straight(Tcp),
    /// CONNECT, for plain and TLS targets alike; the proxy itself may be behind TLS.
    Tunnel(Tunnel<HttpsConnector<Tcp>>),
    /// Names are looked up by the proxy.
    Socks(SocksV5<Tcp>),
}

/// An outbound proxy, by the endpoint's settings or by the environment.
struct Outbound {
    uri: Uri,
    user: Option<(String, String)>,
    basic_auth: Option<HeaderValue>,
}

impl Outbound {
    fn of(set: Option<&ProxyUrl>, target: &Uri) -> Option<Self> {
        if let Some(proxy) = set {
            let user = proxy.user_info().map(split_user);
            return Some(Self { uri: proxy.uri().clone(), basic_auth: user.as_ref().and_then(basic), user });
        }
        let found = Matcher::from_env().intercept(target)?;
        let user = found.raw_auth().map(|(name, pass)| (name.to_owned(), pass.to_owned()));
        Some(Self { uri: found.uri().clone(), basic_auth: found.basic_auth().cloned(), user })
    }
}

impl Dial {
    fn new(outbound: Option<Outbound>, tls: ClientConfig) -> Result<Self, String> {
        let tcp = Tcp::new();
        let Some(Outbound { uri, user, basic_auth }) = outbound else { return Ok(Self::Straight(tcp)) };
        match uri.scheme_str() {
            Some("http" | "https") => {
                let https = HttpsConnectorBuilder::new()
                    .with_tls_config(tls)
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(tcp);
                let tunnel = Tunnel::new(without_user(&uri)?, https);
                Ok(Self::Tunnel(match basic_auth {
                    Some(auth) => tunnel.with_auth(auth),
                    None => tunnel,
                }))
            }
            Some("socks5" | "socks5h") => {
                let socks = SocksV5::new(without_user(&uri)?, tcp);
                Ok(Self::Socks(match user {
                    Some((name, pass)) => socks.with_auth(name, pass),
                    None => socks,
                }))
            }
            other => Err(format!("an outbound proxy cannot be {}://", other.unwrap_or_default())),
        }
    }
}

fn split_user(user_info: &str) -> (String, String) {
    let (name, pass) = user_info.split_once(':').unwrap_or((user_info, ""));
    (percent_decoded(name), percent_decoded(pass))
}

fn basic((name, pass): &(String, String)) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{pass}")))).ok()
}

fn without_user(uri: &Uri) -> Result<Uri, String> {
    let authority =
        uri.authority().map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned()).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or("http").to_owned();
    let built = Uri::builder().scheme(scheme.as_str()).authority(authority).path_and_query("/").build();
    built.map_err(|_| "the outbound proxy's URL cannot be used".to_owned())
}

impl Service<Uri> for Dial {
    type Response = BoxIo;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<BoxIo, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => {
                let connecting = tcp.call(target);
                Box::pin(async move { Ok(BoxIo(Box::new(connecting.await?))) })
            }
            Self::Tunnel(tunnel) => {
                let connecting = tunnel.call(with_port(target));
                Box::pin(async move { Ok(BoxIo(Box::new(connecting.await.map_err(Through)?))) })
            }
            Self::Socks(socks) => {
                let connecting = socks.call(with_port(target));
                Box::pin(async move { Ok(BoxIo(Box::new(connecting.await.map_err(Through)?))) })
            }
        }
    }
}

/// TCP connections that do not come out at this program itself: a request over one would come back for ever. The settings
/// are checked for that, but a name can lead here by way of the resolver, and an outbound proxy by the environment.
#[derive(Clone)]
struct Tcp(HttpConnector);

#[derive(Debug, thiserror::Error)]
enum TcpError {
    #[error(transparent)]
    Failed(<HttpConnector as Service<Uri>>::Error),
    #[error("{0} is claude-proxy itself, so the request would come back for ever")]
    Ourselves(SocketAddr),
}

impl Tcp {
    fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self(tcp)
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = TcpError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(TcpError::Failed)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let stream = connecting.await.map_err(TcpError::Failed)?;
            match (stream.inner().local_addr(), stream.inner().peer_addr()) {
                (Ok(local), Ok(peer)) if listening::is_ours(local, peer) => Err(TcpError::Ourselves(peer)),
                _ => Ok(stream),
            }
        })
    }
}

/// A proxy is told the port even when it is the scheme's own.
fn with_port(target: Uri) -> Uri {
    let port = target.port_u16().unwrap_or(if target.scheme_str() == Some("https") { 443 } else { 80 });
    let authority = format!("{}:{port}", target.host().unwrap_or_default());
    let scheme = target.scheme_str().unwrap_or("http");
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build().unwrap_or(target)
}

/// Says that it was the outbound proxy that failed, or what it said.
#[derive(Debug)]
struct Through<E>(E);

impl<E: std::fmt::Debug + Error> std::fmt::Display for Through<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "through the outbound proxy: {}", self.0)
    }
}

impl<E: std::fmt::Debug + Error + 'static> Error for Through<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// The whole chain of an error in one line, each part once.
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        if !text.contains(&part) {
            let _ = write!(text, "{}{part}", if text.is_empty() { "" } else { ": " });
        }
        next = error.source();
    }
    format!("cannot connect: {text}")
}

/// Whether it was this machine that had no descriptor or no memory for a socket. A name lookup hides that, so there it
/// is tried whether any file can be opened.
fn is_ours(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(is_exhaustion) {
            return true;
        }
        next = error.source();
    }
    is_exhausted()
}

/// Whether this machine has no descriptor for us now.
pub fn is_exhausted() -> bool {
    std::fs::File::open("/dev/null").is_err_and(|error| is_exhaustion(&error))
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    const OURS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno))
}

/// Any stream of ours behind one type.
pub struct BoxIo(Box<dyn Io>);

trait Io: Read + Write + Connection + Unpin + Send {}
impl<T: Read + Write + Connection + Unpin + Send> Io for T {}

impl Connection for BoxIo {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for BoxIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl Write for BoxIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }
}
