//! Whether a claude-proxy takes requests where its config says: before a command is started that would wait for it,
//! and before its token is handed to whoever else may have that port.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::Duration;

use crate::clock;

/// One that is started side by side with this command is there by then.
const STARTED_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(25);
/// It is on this machine, mostly.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Its head is far smaller.
const LARGEST_HEAD: u64 = 8 << 10;

/// `address`: `host:port`, IPv6 in brackets.
///
/// # Errors
/// Why there is none, to stand behind the address and a colon.
pub(super) fn check(address: &str) -> Result<(), String> {
    let limit = clock::now() + STARTED_WITHIN;
    loop {
        match connect(address) {
            Ok(stream) => return ask(stream, address),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                if clock::now() >= limit {
                    return Err("nobody listens there".to_owned());
                }
                sleep(PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err("it does not take a connection in".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
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
fn ask(mut stream: TcpStream, address: &str) -> Result<(), String> {
    let request = format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut head = Vec::new();
    let read = stream.set_read_timeout(Some(ANSWER_WITHIN)).and_then(|()| {
        stream.write_all(request.as_bytes())?;
        stream.take(LARGEST_HEAD).read_to_end(&mut head)
    });
    match read {
        // Who has answered as we do may leave the connection open, or break it.
        _ if is_ours(&head) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(format!("what listens there gives no answer within {} s", ANSWER_WITHIN.as_secs()))
        }
        _ => Err("somebody else listens there".to_owned()),
    }
}

/// The proxy port answers with an id of its own kind.
fn is_ours(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.starts_with("http/1.1 200") && head.contains("\r\nrequest-id: req_")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers once, and leaves the connection open.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let size = stream.read(&mut asked).unwrap();
            assert!(asked[..size].starts_with(b"HEAD / HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn only_one_of_ours_is_taken_for_one() {
        assert_eq!(check(&server("HTTP/1.1 200 OK\r\nRequest-Id: req_018f\r\ncontent-length: 0\r\n\r\n")), Ok(()));
        for other in
            ["HTTP/1.1 200 OK\r\nserver: nginx\r\n\r\n", "HTTP/1.1 404 x\r\nrequest-id: req_1\r\n\r\n", "SSH-2.0\r\n"]
        {
            assert_eq!(check(&server(other)), Err("somebody else listens there".to_owned()), "{other}");
        }
    }

    #[test]
    fn one_that_is_just_being_started_is_waited_for() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let asked = thread::spawn({
            let address = address.clone();
            move || check(&address)
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
        assert_eq!(check(&format!("127.0.0.1:{port}")), Err("nobody listens there".to_owned()));
    }
}
