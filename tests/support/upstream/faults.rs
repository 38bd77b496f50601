//! The ways in which an upstream can fail, by name.

use std::time::Duration;

use bytes::Bytes;

use super::bodies;
use super::coding::Coding;
use super::reply::{After, Framing, Part, Reply};

/// Name, what it does, and how: the flag tells whether the request asked for a stream.
pub type Fault = (&'static str, &'static str, fn(bool) -> Reply);

pub const ALL: &[Fault] = &[
    ("close", "closes the connection in place of an answer", |_| Reply::close()),
    ("reset", "resets the connection in place of an answer", |_| Reply::reset()),
    ("garbage", "answers with bytes that are no HTTP", |_| Reply::raw("\0\x16\x03 this is no HTTP\r\n\r\n")),
    ("close-mid-head", "closes the connection inside the head", |_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-ty")),
    ("huge-head", "sends a head of more than 64 KiB", |stream| right(stream).header("x-huge", &"h".repeat(70 << 10))),
    ("stall-before-head", "takes the request and says nothing", |_| Reply::silence()),
    ("stall-after-head", "sends the head and then nothing", |stream| {
        right(stream).framed(Framing::Chunked).cut_after(0, Part::Hang)
    }),
    ("stall-after-start", "falls silent after message_start", |_| stream().cut_after(1, Part::Hang)),
    ("stall-mid-text", "falls silent in the middle of the text", |_| stream().cut_after(4, Part::Hang)),
    ("pings-only", "sends pings and nothing else", |_| {
        stream().cut_after(0, Part::Forever(Bytes::from_static(bodies::PING.as_bytes()), Duration::from_millis(50)))
    }),
    ("cut-after-start", "closes the connection after message_start", |_| stream().cut_after(1, Part::Close)),
    ("cut-mid-event", "closes the connection inside an event of the text", |_| {
        stream().cut_after(3, Part::Bytes("event: content_block_del".into())).part(Part::Close)
    }),
    ("reset-mid-text", "resets the connection in the middle of the text", |_| stream().cut_after(4, Part::Reset)),
    ("cut-after-stop-reason", "closes the connection before message_stop", |_| stream().cut_after(7, Part::Close)),
    ("no-message-stop", "ends the stream without message_stop", |_| Reply::stream(all_but_stop())),
    ("never-ends", "stays open after message_stop", |_| stream().part(Part::Hang)),
    ("done", "ends the stream with [DONE]", |_| stream().part(Part::Bytes("data: [DONE]\n\n".into()))),
    ("html", "answers 200 with a web page", |_| Reply::html(200)),
    ("empty", "answers 200 with nothing", |_| Reply::json("")),
    ("openai", "answers in another vendor's format", |stream| {
        if stream { Reply::stream(bodies::openai_chunks()) } else { Reply::json(bodies::openai_message()) }
    }),
    ("error-under-200", "answers 200 with an error as JSON", |_| Reply::json(bodies::error("api_error", "it broke"))),
    ("error-first", "sends an error as the first event", |_| {
        Reply::stream([bodies::error_event("overloaded_error", "Overloaded")])
    }),
    ("error-mid-text", "sends an error event in the middle of the text", |_| {
        stream().cut_after(4, Part::Bytes(bodies::error_event("overloaded_error", "Overloaded").into()))
    }),
    ("wrong-label", "says gzip and sends plain text", |stream| right(stream).header("content-encoding", "gzip")),
    ("cut-coding", "breaks off inside the gzip data", |stream| {
        right(stream).coded(Coding::Gzip).framed(Framing::Chunked).cut_after(1, Part::Close)
    }),
    ("redirect", "answers 302", |_| Reply::new(302, "text/plain", "moved").header("location", "http://127.0.0.1:1/")),
    ("stale", "closes the kept connection upon the next request", |stream| right(stream).after(After::DropNext)),
    ("hints-first", "sends 103 before the answer", |stream| {
        right(stream).lead(Part::Raw("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".into()))
    }),
];

/// The reply for a name of [`ALL`] or a status such as `529`.
pub fn reply(name: &str, stream: bool) -> Option<Reply> {
    if let Ok(status @ 300..=599) = name.parse::<u16>() {
        let reply = Reply::status(status);
        return Some(if matches!(status, 429 | 529) { reply.retry_after(3) } else { reply });
    }
    ALL.iter().find(|(own, ..)| *own == name).map(|(_, _, make)| make(stream))
}

fn stream() -> Reply {
    Reply::stream(bodies::events(&["Hello", " there"]))
}

fn right(as_stream: bool) -> Reply {
    if as_stream { stream() } else { Reply::message("Hello there") }
}

fn all_but_stop() -> Vec<String> {
    let mut events = bodies::events(&["Hello", " there"]);
    events.pop();
    events
}
