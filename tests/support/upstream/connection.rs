//! One connection of the scripted upstream: read a request, play a reply.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use claude_proxy::clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::bodies;
use super::reply::{After, Framing, Part, Reply};
use super::{Closed, Seen, Shared};

pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// How a reply left its connection.
enum Left {
    Kept,
    DropNext,
    Closed,
    Reset,
}

/// Serves requests until either side ends the connection.
pub(super) async fn serve(wire: Wire, number: usize, shared: &Shared) {
    let (mut reader, mut writer) = tokio::io::split(wire);
    let mut buffer = BytesMut::new();
    let left = loop {
        let Some(mut seen) = read_head(&mut reader, &mut buffer, number).await else {
            note_close(shared, number, false);
            break Left::Closed;
        };
        let due = shared.next();
        let reads_body = due.as_ref().is_none_or(|reply| reply.reads_body);
        if reads_body {
            let Some(body) = read_body(&mut reader, &mut buffer, &seen).await else {
                note_close(shared, number, false);
                break Left::Closed;
            };
            seen.body = body;
        }
        let reply = shared.chosen(&seen).or(due).unwrap_or_else(|| right_answer(&seen));
        shared.keep(seen);
        shared.playing.fetch_add(1, Ordering::Relaxed);
        let left = tokio::select! {
            left = play(&reply, &mut writer, shared) => left,
            () = peer_closed(&mut reader, &mut buffer, reads_body) => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        shared.playing.fetch_sub(1, Ordering::Relaxed);
        match left {
            Ok(Left::Kept) => {}
            Ok(Left::DropNext) => {
                if reader.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                    shared.dropped.fetch_add(1, Ordering::Relaxed);
                }
                break Left::Closed;
            }
            Ok(left) => break left,
            Err(_) => {
                note_close(shared, number, true);
                break Left::Closed;
            }
        }
    };
    end(reader, writer, &left).await;
}

async fn end(reader: ReadHalf<Wire>, mut writer: WriteHalf<Wire>, left: &Left) {
    // The peer may be gone already; then there is nothing to end.
    if matches!(left, Left::Reset) {
        let _ = reader.unsplit(writer).tcp().set_zero_linger();
    } else {
        let _ = writer.shutdown().await;
    }
}

fn note_close(shared: &Shared, connection: usize, mid_reply: bool) {
    if shared.forgets {
        return;
    }
    shared.log().closed.push(Closed { connection, at: clock::now(), mid_reply });
}

/// What a healthy endpoint says to such a request.
fn right_answer(seen: &Seen) -> Reply {
    let path = seen.target.split('?').next().unwrap_or_default();
    if path.ends_with("/count_tokens") {
        Reply::json(bodies::token_count(42))
    } else if path.ends_with("/models") {
        Reply::json(bodies::models())
    } else if seen.wants_stream() {
        Reply::stream(bodies::events(&["Hello", " there"]))
    } else if path.ends_with("/messages") {
        Reply::message("Hello there")
    } else {
        Reply::json("{\"ok\":true}")
    }
}

async fn read_head(reader: &mut ReadHalf<Wire>, buffer: &mut BytesMut, connection: usize) -> Option<Seen> {
    let end = loop {
        if let Some(at) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break at;
        }
        if reader.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(end)).into_owned();
    buffer.advance(4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    Some(Seen {
        connection,
        at: clock::now(),
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: headers.collect(),
        body: Bytes::new(),
    })
}

async fn read_body(reader: &mut ReadHalf<Wire>, buffer: &mut BytesMut, head: &Seen) -> Option<Bytes> {
    if head.header("transfer-encoding").is_some() {
        return read_chunks(reader, buffer).await;
    }
    let length = head.header("content-length").map_or(Some(0), |value| value.parse().ok())?;
    fill(reader, buffer, length).await?;
    Some(buffer.split_to(length).freeze())
}

async fn read_chunks(reader: &mut ReadHalf<Wire>, buffer: &mut BytesMut) -> Option<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let end = loop {
            if let Some(at) = memchr::memmem::find(buffer, b"\r\n") {
                break at;
            }
            fill(reader, buffer, buffer.len() + 1).await?;
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?.trim(), 16).ok()?;
        buffer.advance(end + 2);
        fill(reader, buffer, size + 2).await?;
        body.extend_from_slice(&buffer.split_to(size));
        buffer.advance(2);
        if size == 0 {
            return Some(body.freeze());
        }
    }
}

async fn fill(reader: &mut ReadHalf<Wire>, buffer: &mut BytesMut, length: usize) -> Option<()> {
    while buffer.len() < length {
        if reader.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

/// Returns when the peer ends the connection. With `reads` false it never looks: what the peer sent stays unread.
async fn peer_closed(reader: &mut ReadHalf<Wire>, buffer: &mut BytesMut, reads: bool) {
    if !reads {
        return std::future::pending().await;
    }
    while reader.read_buf(buffer).await.is_ok_and(|read| read > 0) {}
}

async fn play(reply: &Reply, writer: &mut WriteHalf<Wire>, shared: &Shared) -> io::Result<Left> {
    for part in &reply.lead {
        if let Some(left) = play_part(part, Framing::None, writer, shared).await? {
            return Ok(left);
        }
    }
    let parts = reply.coded_parts().await?;
    if !reply.headless {
        let length = parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 }).sum();
        write(writer, &reply.head(&shared.name, length), shared).await?;
    }
    for part in &parts {
        if let Some(left) = play_part(part, reply.framing, writer, shared).await? {
            return Ok(left);
        }
    }
    if reply.framing == Framing::Chunked {
        write(writer, b"0\r\n\r\n", shared).await?;
    }
    Ok(match (reply.framing, reply.after) {
        (Framing::Close, _) | (_, After::Close) => Left::Closed,
        (_, After::Keep) => Left::Kept,
        (_, After::DropNext) => Left::DropNext,
    })
}

async fn play_part(
    part: &Part,
    framing: Framing,
    writer: &mut WriteHalf<Wire>,
    shared: &Shared,
) -> io::Result<Option<Left>> {
    match part {
        Part::Bytes(bytes) => write_framed(writer, bytes, framing, shared).await?,
        Part::Raw(bytes) => write(writer, bytes, shared).await?,
        Part::Made(make) => write_framed(writer, &make(), framing, shared).await?,
        Part::Pause(time) => tokio::time::sleep(*time).await,
        Part::Gate(gate) => gate.pass().await,
        Part::Forever(bytes, pause) => loop {
            tokio::time::sleep(*pause).await;
            write_framed(writer, bytes, framing, shared).await?;
        },
        Part::Hang => std::future::pending().await,
        Part::Close => return Ok(Some(Left::Closed)),
        Part::Reset => return Ok(Some(Left::Reset)),
    }
    Ok(None)
}

async fn write_framed(writer: &mut WriteHalf<Wire>, bytes: &[u8], framing: Framing, shared: &Shared) -> io::Result<()> {
    if framing != Framing::Chunked {
        return write(writer, bytes, shared).await;
    }
    // An empty chunk would end the body.
    if bytes.is_empty() {
        return Ok(());
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    write(writer, &chunk, shared).await
}

async fn write(writer: &mut WriteHalf<Wire>, mut bytes: &[u8], shared: &Shared) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = writer.write(bytes).await?;
        shared.written.fetch_add(taken as u64, Ordering::Relaxed);
        bytes = &bytes[taken..];
    }
    writer.flush().await
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
