//! Addresses where no answer can come from.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// An address on which nobody listens, and nobody will while this lives.
pub struct Refusing {
    _bound: TcpSocket,
    address: SocketAddr,
}

impl Refusing {
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { _bound: socket, address })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An address whose queue is full: a connection to it is neither taken nor refused.
pub struct Unanswering {
    listener: TcpListener,
    fillers: JoinSet<io::Result<TcpStream>>,
}

impl Unanswering {
    pub async fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let mut kept = JoinSet::new();
        // A queue of length 0 holds one.
        let first = TcpStream::connect(address).await?;
        kept.spawn(async move {
            std::future::pending::<()>().await;
            Ok(first)
        });
        for _ in 0..3 {
            kept.spawn(TcpStream::connect(address));
        }
        Ok(Self { listener, fillers: kept })
    }

    pub fn url(&self) -> io::Result<String> {
        debug_assert!(!self.fillers.is_empty());
        Ok(format!("http://{}", self.listener.local_addr()?))
    }
}
