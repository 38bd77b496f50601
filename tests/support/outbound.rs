//! Proxies that stand between claude-proxy and an endpoint: HTTP CONNECT and SOCKS5.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::upstream::Identity;

/// An HTTP proxy that only tunnels.
pub struct ConnectProxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ConnectProxy {
    pub async fn start() -> Self {
        Self::with(None, None).await
    }

    /// `credentials` as they stand in `Proxy-Authorization`; whoever does not show them gets 407.
    pub async fn with(credentials: Option<&str>, identity: Option<&Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&heads);
        let credentials = credentials.map(str::to_owned);
        let acceptor = identity.map(Identity::acceptor);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, credentials, acceptor) = (Arc::clone(&keep), credentials.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => tunnel(stream, &keep, credentials.as_deref()).await,
                        Some(acceptor) => tunnel(acceptor.accept(stream).await?, &keep, credentials.as_deref()).await,
                    }
                });
            }
        });
        Self { address, heads, task }
    }

    /// The heads of the requests that it was sent.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: S,
    heads: &Mutex<Vec<String>>,
    credentials: Option<&str>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap().push(head.clone());
    let shown = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    if credentials.is_some() && shown.map(|(_, value)| value) != credentials {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    }
    let Some(target) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// What a SOCKS5 client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Name(String, u16),
    Address(SocketAddr),
}

pub struct Socks5 {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Socks5 {
    /// `credentials`: the user and password that it insists on.
    pub async fn start(credentials: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&asked);
        let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, credentials) = (Arc::clone(&keep), credentials.clone());
                tokio::spawn(async move { socks(stream, &keep, credentials).await });
            }
        });
        Self { address, asked, task }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Socks5 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn socks(
    mut client: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    credentials: Option<(String, String)>,
) -> io::Result<()> {
    let version = client.read_u8().await?;
    let methods = read_short(&mut client).await?;
    let wanted = if credentials.is_some() { 2 } else { 0 };
    if version != 5 || !methods.contains(&wanted) {
        return client.write_all(&[5, 0xff]).await;
    }
    client.write_all(&[5, wanted]).await?;
    if let Some((user, password)) = credentials {
        let _version = client.read_u8().await?;
        let right = read_short(&mut client).await? == user.as_bytes();
        let right = read_short(&mut client).await? == password.as_bytes() && right;
        client.write_all(&[1, u8::from(!right)]).await?;
        if !right {
            return Ok(());
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let target = match request[3] {
        1 => {
            let mut octets = [0; 4];
            client.read_exact(&mut octets).await?;
            Asked::Address(SocketAddr::from((octets, client.read_u16().await?)))
        }
        3 => {
            let name = String::from_utf8_lossy(&read_short(&mut client).await?).into_owned();
            Asked::Name(name, client.read_u16().await?)
        }
        _ => {
            let mut octets = [0; 16];
            client.read_exact(&mut octets).await?;
            Asked::Address(SocketAddr::from((octets, client.read_u16().await?)))
        }
    };
    asked.lock().unwrap().push(target.clone());
    let server = match target {
        Asked::Name(name, port) => TcpStream::connect((name, port)).await,
        Asked::Address(address) => TcpStream::connect(address).await,
    };
    let Ok(mut server) = server else { return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await };
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// A length byte and that many bytes.
async fn read_short(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
