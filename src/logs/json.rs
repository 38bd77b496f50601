//! Writes JSON objects straight into a buffer. Strings are most of a log line, and copying what needs no escape in one
//! piece costs a fraction of what a general serializer does byte by byte.

use serde::Serialize;

use crate::domain::json::plain;

/// An object being written: open it, add its members, close it.
pub(super) struct Object<'b> {
    buffer: &'b mut Vec<u8>,
    empty: bool,
}

impl<'b> Object<'b> {
    pub(super) fn open(buffer: &'b mut Vec<u8>) -> Self {
        buffer.push(b'{');
        Self { buffer, empty: true }
    }

    pub(super) fn close(self) {
        self.buffer.push(b'}');
    }

    pub(super) fn string(&mut self, name: &str, value: &str) {
        string(self.member(name), value.as_bytes());
    }

    /// What is no UTF-8 becomes U+FFFD.
    pub(super) fn bytes(&mut self, name: &str, value: &[u8]) {
        if value.is_ascii() {
            string(self.member(name), value);
        } else {
            self.string(name, &String::from_utf8_lossy(value));
        }
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.string(name, value),
            None => self.member(name).extend_from_slice(b"null"),
        }
    }

    /// A count, or `null`.
    pub(super) fn number(&mut self, name: &str, value: impl Into<Option<u64>>) {
        let buffer = self.member(name);
        match value.into() {
            Some(value) => decimal(buffer, value),
            None => buffer.extend_from_slice(b"null"),
        }
    }

    /// For what holds no text from outside: flags, words of our own.
    pub(super) fn plain(&mut self, name: &str, value: impl Serialize) {
        let buffer = self.member(name);
        let start = buffer.len();
        if serde_json::to_writer(&mut *buffer, &value).is_err() {
            buffer.truncate(start);
            buffer.extend_from_slice(b"null");
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Object<'_> {
        Object::open(self.member(name))
    }

    /// `write` adds one item; it is called for each.
    pub(super) fn array<T>(&mut self, name: &str, items: &[T], write: impl Fn(&T, &mut Object)) {
        let buffer = self.member(name);
        buffer.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                buffer.push(b',');
            }
            let mut object = Object::open(buffer);
            write(item, &mut object);
            object.close();
        }
        buffer.push(b']');
    }

    /// Names are words of our own or names of headers: nothing in them needs an escape.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.buffer.push(b',');
        }
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        self.buffer
    }
}

fn decimal(buffer: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            return buffer.extend_from_slice(&digits[at..]);
        }
    }
}

/// `text`: UTF-8
fn string(buffer: &mut Vec<u8>, text: &[u8]) {
    buffer.reserve(text.len() + 16);
    buffer.push(b'"');
    let mut rest = text;
    loop {
        let (run, special) = rest.split_at(plain(rest));
        buffer.extend_from_slice(run);
        let Some((byte, after)) = special.split_first() else { break };
        escape(buffer, *byte);
        rest = after;
    }
    buffer.push(b'"');
}

fn escape(buffer: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => buffer.extend_from_slice(b"\\\""),
        b'\\' => buffer.extend_from_slice(b"\\\\"),
        b'\n' => buffer.extend_from_slice(b"\\n"),
        b'\r' => buffer.extend_from_slice(b"\\r"),
        b'\t' => buffer.extend_from_slice(b"\\t"),
        _ => buffer.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    }
}

/// Escapes in finished JSON, from `start` on, what terminals obey beyond that: DEL and U+0080 to U+009F.
/// None of those bytes stands outside of a string.
pub(super) fn escape_more_controls(buffer: &mut Vec<u8>, start: usize) {
    let control = |json: &[u8], at: usize| match json[at] {
        0x7f => Some((at, 0x7f, 1)),
        _ => json.get(at + 1).filter(|byte| (0x80..0xa0).contains(*byte)).map(|byte| (at, *byte, 2)),
    };
    let json = &buffer[start..];
    let found: Vec<_> = memchr::memchr2_iter(0x7f, 0xc2, json).filter_map(|at| control(json, at)).collect();
    if found.is_empty() {
        return;
    }
    let json = buffer.split_off(start);
    let mut done = 0;
    for (at, code, length) in found {
        buffer.extend_from_slice(&json[done..at]);
        buffer.extend_from_slice(format!("\\u{code:04x}").as_bytes());
        done = at + length;
    }
    buffer.extend_from_slice(&json[done..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut buffer = Vec::new();
        string(&mut buffer, text.as_bytes());
        escape_more_controls(&mut buffer, 0);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn every_character_is_itself_again_at_every_place() {
        for c in (0..0x180).chain([0x2028, 0xffff, 0x1_f600]).filter_map(char::from_u32) {
            for before in 0..17 {
                let text = format!("{}{c}{}", "a".repeat(before), "é\u{bf}!".repeat(3));
                let json = written(&text);
                assert!(!json.chars().any(char::is_control), "{json:?}");
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            }
        }
    }

    #[test]
    fn bytes_are_text_as_far_as_they_are_text() {
        let mut buffer = Vec::new();
        let mut object = Object::open(&mut buffer);
        for (name, bytes) in [("a", &b"plain"[..]), ("b", "caf\u{e9}\n".as_bytes()), ("c", b"a\xe4\xff\"")] {
            object.bytes(name, bytes);
        }
        object.close();
        let expected = "{\"a\":\"plain\",\"b\":\"caf\u{e9}\\n\",\"c\":\"a\u{fffd}\u{fffd}\\\"\"}";
        assert_eq!(String::from_utf8(buffer).unwrap(), expected);
    }

    #[test]
    fn members_are_written_in_order() {
        let mut buffer = Vec::new();
        let mut object = Object::open(&mut buffer);
        object.string("a", "1");
        object.optional("b", None);
        object.plain("c", 3);
        object.number("n", 0);
        object.number("m", u64::MAX);
        object.number("o", None);
        object.object("d").close();
        object.array("e", &[1, 2], |item, object| object.plain("n", item));
        object.close();
        assert_eq!(
            String::from_utf8(buffer).unwrap(),
            r#"{"a":"1","b":null,"c":3,"n":0,"m":18446744073709551615,"o":null,"d":{},"e":[{"n":1},{"n":2}]}"#
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }
    }
}
