//! Whether a claude-proxy takes requests where its config says: before a command is started that would wait for it,
//! and before its token is handed to whoever else may have that port.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::clock;

/// One that is started side by side with this command is there by then.
const STARTED_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(25);
/// It is on this machine, mostly.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Its head is far smaller.
const LARGEST_HEAD: usize = 8 << 10;

/// Why no claude-proxy stands there, to stand behind the address and a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Nobody, or nobody who says a word: it may be one that is about to start, or has much to do.
    Silent(String),
    /// Whoever it is must not get a token.
    SomebodyElse,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => f.write_str(why),
            Self::SomebodyElse => f.write_str("somebody else listens there"),
        }
    }
}

/// Whether one is there, or comes soon. `address`: `host:port`, IPv6 in brackets.
pub(super) fn soon(address: &str) -> Result<(), Absent> {
    let limit = clock::now() + STARTED_WITHIN;
    loop {
        match connect(address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && clock::now() < limit => sleep(PAUSE),
            connected => return judged(connected, address),
        }
    }
}

/// Whether one is there now.
pub(super) fn now(address: &str) -> Result<(), Absent> {
    judged(connect(address), address)
}

fn judged(connected: io::Result<TcpStream>, address: &str) -> Result<(), Absent> {
    let silent = |why: &str| Err(Absent::Silent(why.to_owned()));
    match connected {
        Ok(stream) => ask(stream, address),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => silent("nobody listens there"),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => silent("it does not take a connection in"),
        Err(error) => silent(&error.to_string()),
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in address.to_socket_addrs()? {
        last = TcpStream::connect_timeout(&address, ANSWER_WITHIN);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// What needs no token, touches no endpoint and is counted nowhere.
fn ask(mut stream: TcpStream, address: &str) -> Result<(), Absent> {
    let limit = clock::now() + ANSWER_WITHIN;
    let request = format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let wrote = stream.set_write_timeout(Some(ANSWER_WITHIN)).and_then(|()| stream.write_all(request.as_bytes()));
    let mut head = Vec::new();
    match wrote.and_then(|()| read_head(&mut stream, &mut head, limit)) {
        Ok(()) if is_ours(&head) => Ok(()),
        Err(error) if head.is_empty() && is_time_out(&error) => {
            Err(Absent::Silent(format!("what listens there gives no answer within {} s", ANSWER_WITHIN.as_secs())))
        }
        _ => Err(Absent::SomebodyElse),
    }
}

/// Up to its empty line and no further: whoever has answered may leave the connection open, and what follows is no head.
fn read_head(stream: &mut TcpStream, head: &mut Vec<u8>, limit: Instant) -> io::Result<()> {
    let mut piece = [0; 1024];
    while head.len() < LARGEST_HEAD {
        let left = limit.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let size = match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        head.extend_from_slice(&piece[..size]);
        if let Some(end) = memmem::find(head, b"\r\n\r\n") {
            head.truncate(end);
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The proxy port answers with an id of its own kind.
fn is_ours(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.starts_with("http/1.1 200") && head.contains("\r\nrequest-id: req_")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use super::*;

    /// Answers once, and leaves the connection open. Tells what else it heard by then.
    fn server(answer: &'static str) -> (String, Receiver<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (keep, kept) = channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let size = stream.read(&mut asked).unwrap();
            assert!(asked[..size].starts_with(b"HEAD / HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
            keep.send(stream).unwrap();
        });
        (address, kept)
    }

    const OURS: &str = "HTTP/1.1 200 OK\r\nRequest-Id: req_018f\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn an_answer_is_not_waited_for_beyond_its_head() {
        for (answer, expected) in
            [(OURS, Ok(())), ("HTTP/1.1 200 OK\r\nserver: nginx\r\n\r\n", Err(Absent::SomebodyElse))]
        {
            let (address, open) = server(answer);
            let asked = clock::now();
            assert_eq!(now(&address), expected);
            assert!(clock::now() - asked < ANSWER_WITHIN, "it waited for the connection to be closed");
            drop(open);
        }
    }

    #[test]
    fn only_one_of_ours_is_taken_for_one() {
        for other in [
            "HTTP/1.1 404 x\r\nrequest-id: req_1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nserver: x\r\n\r\nof the body\r\nrequest-id: req_1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nrequest-id: req_1\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "",
        ] {
            let (address, open) = server(other);
            let closed = thread::spawn(move || drop(open.recv()));
            assert_eq!(now(&address), Err(Absent::SomebodyElse), "{other}");
            closed.join().unwrap();
        }
    }

    #[test]
    fn one_that_is_just_being_started_is_waited_for() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let asked = thread::spawn({
            let address = address.clone();
            move || soon(&address)
        });
        sleep(PAUSE * 4);
        let listener = TcpListener::bind(&address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nrequest-id: req_1\r\n\r\n").unwrap();
        drop(stream);
        assert_eq!(asked.join().unwrap(), Ok(()));
    }

    #[test]
    fn nobody_there_is_told_as_that() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(now(&format!("127.0.0.1:{port}")), Err(Absent::Silent("nobody listens there".to_owned())));
    }
}
