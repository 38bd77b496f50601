//! An upstream that takes nothing but well-formed requests, and says of each which one it answers.
//!
//! It reads as the strictest server would: a line that only a lenient one understands is a violation. Whatever a
//! client managed to smuggle past the proxy is so either a violation or one request too many.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::bodies;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub target: String,
    /// The value of `x-nonce`, empty without one.
    pub nonce: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Log {
    taken: Vec<Taken>,
    violations: Vec<String>,
}

pub struct Strict {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Strict {
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let log = Arc::<Mutex<Log>>::default();
        let shared = Arc::clone(&log);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, log, task })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in order, and whatever was none.
    pub fn taken(&self) -> (Vec<Taken>, Vec<String>) {
        let log = self.log.lock().unwrap();
        (log.taken.clone(), log.violations.clone())
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Log>>) {
    let mut buffer = Vec::new();
    loop {
        match parse(&buffer) {
            Ok(Some((taken, length))) => {
                buffer.drain(..length);
                let answer = answer(&taken);
                log.lock().unwrap().taken.push(taken);
                if !buffer.is_empty() {
                    return violated(&log, format!("bytes behind a request: {:?}", String::from_utf8_lossy(&buffer)));
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Ok(None) => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            Err(violation) => return violated(&log, violation),
        }
    }
}

fn violated(log: &Mutex<Log>, violation: String) {
    log.lock().unwrap().violations.push(violation);
}

/// Tells the request's nonce and the length of its body.
fn answer(taken: &Taken) -> String {
    let body = bodies::message(&format!("{} {}", taken.nonce, taken.body.len()));
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The first request of `bytes` and its length; `None` while it is not all there.
fn parse(bytes: &[u8]) -> Result<Option<(Taken, usize)>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text".to_owned())?;
    let mut lines = head.split("\r\n");
    let target = request_line(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let all = |wanted: &str| fields.iter().filter(|(name, _)| name == wanted).map(|(_, v)| *v).collect::<Vec<_>>();
    if all("host").len() != 1 {
        return Err(format!("not one Host: {head:?}"));
    }
    let length = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => 0,
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map_err(|_| format!("no length: {length:?}"))?
        }
        (lengths, codings) => return Err(format!("not one framing: {lengths:?} {codings:?}")),
    };
    let Some(body) = bytes.get(end + 4..end + 4 + length) else { return Ok(None) };
    let nonce = all("x-nonce").concat();
    Ok(Some((Taken { target, nonce, body: body.to_vec() }, end + 4 + length)))
}

fn request_line(line: &str) -> Result<String, String> {
    match &line.split(' ').collect::<Vec<_>>()[..] {
        [method, target, "HTTP/1.1"]
            if is_token(method) && target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok((*target).to_owned())
        }
        _ => Err(format!("no request line: {line:?}")),
    }
}

fn field(line: &str) -> Result<(String, &str), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
    let clean = value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_token(name) || !clean {
        return Err(format!("no clean field: {line:?}"));
    }
    Ok((name.to_ascii_lowercase(), value.trim()))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
