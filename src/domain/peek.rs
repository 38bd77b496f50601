//! What the proxy wants to know of a request body, by a shallow scan.
//!
//! The body goes upstream as it came, right or wrong, so this is no parse: strings are jumped over from
//! quote to quote, nested values only counted. The body is read as the list of chunks it came in, and of
//! what is no JSON, or odd JSON, as much is told as can be seen. Of a repeated key the last value counts that stands
//! before the look is over, which is as soon as everything is known.

use bytes::Bytes;
use memchr::memchr;

use super::json::{self, Json};

/// Longer values are cut; it bounds what a request can make us remember.
const LONGEST_VALUE: usize = 4096;
/// Every key we know fits, even with each letter written as an escape.
const LONGEST_KEY: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    pub model: Option<String>,
    pub stream: bool,
    /// `metadata.user_id`
    pub user_id: Option<String>,
}

/// Looks into a body; `chunks` are its bytes in order.
pub fn peek(chunks: &[Bytes]) -> Peek {
    let mut scan = Scan::default();
    for chunk in chunks {
        scan.chunk(chunk);
        if scan.over {
            break;
        }
    }
    scan.found
}

/// The session in a `metadata.user_id`: the `session_id` of a JSON object, what follows `_session_`, or
/// else the whole text.
pub fn session(user_id: &str) -> String {
    let mut id = None;
    let object = json::read(user_id.as_bytes(), |json: &mut Json<'_>| {
        json.object(|json, key| {
            if key == "session_id" {
                id = json.string()?;
            }
            Ok(())
        })
    });
    let id = id.as_deref().filter(|_| object.is_ok());
    let suffix = || user_id.rsplit_once("_session_").map(|(_, suffix)| suffix);
    id.or_else(suffix).filter(|id| !id.is_empty()).unwrap_or(user_id).to_owned()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    Model,
    Stream,
    Metadata,
    UserId,
}

#[derive(Debug, Default)]
struct Scan {
    found: Peek,
    depth: usize,
    /// At depth 2, within the object under `metadata`.
    in_metadata: bool,
    /// The next string at a depth that we watch is a key.
    before_key: bool,
    /// Whose value is read.
    key: Key,
    in_string: bool,
    /// Within a string the next byte is escaped.
    escaped: bool,
    /// The string or number being read, as written, …
    text: Vec<u8>,
    /// … and how much more of it is wanted.
    room: usize,
    /// `stream` was there, whatever it said.
    stream_told: bool,
    over: bool,
}

impl Scan {
    fn chunk(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.over {
            let read = if self.in_string { self.string(rest) } else { self.outside(rest) };
            rest = &rest[read..];
        }
    }

    /// Reads on to the end of a string; tells how far.
    fn string(&mut self, bytes: &[u8]) -> usize {
        let start = usize::from(std::mem::take(&mut self.escaped));
        let mut from = start;
        while let Some(length) = bytes.get(from..).and_then(|rest| memchr(b'"', rest)) {
            let quote = from + length;
            if !ends_escaped(&bytes[start..quote]) {
                self.take(&bytes[..quote]);
                self.in_string = false;
                self.string_ended();
                return quote + 1;
            }
            from = quote + 1;
        }
        self.escaped = ends_escaped(&bytes[start..]);
        self.take(bytes);
        bytes.len()
    }

    /// Reads on to the start of a string; tells how far.
    fn outside(&mut self, bytes: &[u8]) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    self.string_starts();
                    return at + 1;
                }
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => self.close(),
                b',' => self.value_ended(),
                b' ' | b'\t' | b'\n' | b'\r' | b':' => {}
                _ => self.scalar(byte),
            }
            if self.over {
                break;
            }
        }
        bytes.len()
    }

    fn watches(&self) -> bool {
        self.depth == 1 || (self.depth == 2 && self.in_metadata)
    }

    fn open(&mut self, bracket: u8) {
        self.over = self.depth == 0 && bracket == b'[';
        self.in_metadata |= self.depth == 1 && self.key == Key::Metadata && bracket == b'{';
        self.depth += 1;
        self.before_key = self.watches();
    }

    fn close(&mut self) {
        self.value_ended();
        self.depth = self.depth.saturating_sub(1);
        self.in_metadata &= self.depth > 1;
        self.over |= self.depth == 0;
    }

    fn string_starts(&mut self) {
        self.over = self.depth == 0;
        self.in_string = true;
        self.text.clear();
        self.room = match self.key {
            _ if !self.watches() => 0,
            _ if self.before_key => LONGEST_KEY,
            Key::Model | Key::UserId => LONGEST_VALUE,
            _ => 0,
        };
    }

    fn string_ended(&mut self) {
        if !self.watches() {
            return;
        }
        if self.before_key {
            self.before_key = false;
            self.key_ended();
            return;
        }
        let value = match self.key {
            Key::Model => &mut self.found.model,
            Key::UserId => &mut self.found.user_id,
            _ => return,
        };
        *value = Some(json::unescape(&String::from_utf8_lossy(&self.text)).into_owned());
        self.key = Key::Other;
    }

    /// What an earlier one of the same name said is forgotten.
    fn key_ended(&mut self) {
        let name = String::from_utf8_lossy(&self.text);
        self.key = match (&*json::unescape(&name), self.depth) {
            ("model", 1) => Key::Model,
            ("stream", 1) => Key::Stream,
            ("metadata", 1) => Key::Metadata,
            ("user_id", 2) => Key::UserId,
            _ => Key::Other,
        };
        match self.key {
            Key::Other => {}
            Key::Model => self.found.model = None,
            Key::Stream => self.found.stream = false,
            Key::Metadata | Key::UserId => self.found.user_id = None,
        }
        self.text.clear();
        self.room = 32;
    }

    fn scalar(&mut self, byte: u8) {
        self.over = self.depth == 0;
        if self.key == Key::Stream && self.watches() {
            self.take(&[byte]);
        }
    }

    /// A comma, or the end of what was around it.
    fn value_ended(&mut self) {
        if !self.watches() {
            return;
        }
        if self.key == Key::Stream {
            self.found.stream = self.text == b"true";
            self.stream_told = true;
        }
        self.key = Key::Other;
        self.before_key = true;
        // Most of a body is its messages: where everything stands before them, they need no look.
        self.over |= self.stream_told && self.found.model.is_some() && self.found.user_id.is_some();
    }

    fn take(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.room);
        self.text.extend_from_slice(&bytes[..length]);
        self.room -= length;
    }
}

/// Whether an odd number of backslashes stands at the end.
fn ends_escaped(bytes: &[u8]) -> bool {
    bytes.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests;
