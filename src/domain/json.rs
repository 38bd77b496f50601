//! JSON by the letter of RFC 8259, read once from left to right: nothing is built, nothing recurses.
//!
//! The readers of [`Json`] ask for what they want to know ([`Json::object`], [`Json::string`],
//! [`Json::count`]); whatever they do not ask for is read over, but every byte of it is still checked.
//! Nesting costs a byte of heap for each level and never stack, so no depth is too deep.

use std::borrow::Cow;
use std::fmt;

/// What is wrong with a text that is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    what: &'static str,
    at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for JsonError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    /// `true`, `false` or `null`
    Literal,
}

/// Reads `bytes` as one JSON value by `read`, which reads exactly one value.
pub fn read<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Json<'a>) -> Result<T, JsonError>) -> Result<T, JsonError> {
    let text = str::from_utf8(bytes).map_err(|error| JsonError { what: "invalid UTF-8", at: error.valid_up_to() })?;
    let mut json = Json { text, at: 0 };
    let value = read(&mut json)?;
    match json.peek() {
        None => Ok(value),
        Some(_) => json.fail("text after the end"),
    }
}

/// A place in a JSON text, always just before a value when a public method is called.
pub struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    /// Reads one value. When it is an object, `visit` is shown every member, duplicates too, and may read
    /// the value; a value that it leaves alone is read over. Says whether it was an object.
    pub fn object(
        &mut self,
        mut visit: impl FnMut(&mut Self, &str) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.peek() != Some(b'{') {
            return self.skip().map(|_| false);
        }
        self.at += 1;
        if self.eat(b'}') {
            return Ok(true);
        }
        loop {
            let (raw, escaped) = self.key()?;
            let value = self.at;
            if escaped {
                visit(self, &unescape(raw))?;
            } else {
                visit(self, raw)?;
            }
            if self.at == value {
                self.skip()?;
            }
            if self.eat(b'}') {
                return Ok(true);
            }
            if !self.eat(b',') {
                return self.fail("expected `,` or `}`");
            }
        }
    }

    /// Reads one value; its text when it is a string.
    pub fn string(&mut self) -> Result<Option<Cow<'a, str>>, JsonError> {
        if self.peek() != Some(b'"') {
            return self.skip().map(|_| None);
        }
        let (raw, escaped) = self.quoted()?;
        Ok(Some(if escaped { unescape(raw) } else { Cow::Borrowed(raw) }))
    }

    /// Reads one value; its value when it is an integer from 0 on.
    pub fn count(&mut self) -> Result<Option<u64>, JsonError> {
        match self.peek() {
            Some(b'0'..=b'9') => Ok(self.number()?.parse().ok()),
            _ => self.skip().map(|_| None),
        }
    }

    /// Reads over one value, whatever it is.
    pub fn skip(&mut self) -> Result<Kind, JsonError> {
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            _ => return self.scalar(),
        };
        self.nested()?;
        Ok(kind)
    }

    /// Reads over an object or array with all that is in it.
    fn nested(&mut self) -> Result<(), JsonError> {
        // What will close the objects and arrays that are open, the innermost last.
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    open.push(b'}');
                    if !self.next_is(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push(b']');
                    if !self.next_is(b']') {
                        continue;
                    }
                }
                _ => {
                    self.scalar()?;
                }
            }
            // A value has ended, or what was just opened is empty.
            while let Some(&close) = open.last() {
                if self.eat(close) {
                    open.pop();
                } else if !self.eat(b',') {
                    return self.fail(if close == b'}' { "expected `,` or `}`" } else { "expected `,` or `]`" });
                } else {
                    if close == b'}' {
                        self.key()?;
                    }
                    break;
                }
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self) -> Result<Kind, JsonError> {
        match self.peek() {
            Some(b'"') => self.quoted().map(|_| Kind::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| Kind::Number),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.fail("expected a value"),
        }
    }

    fn literal(&mut self, word: &str) -> Result<Kind, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(Kind::Literal)
    }

    /// A member's name and the colon behind it. The name is as written; `true`: it has escapes.
    fn key(&mut self) -> Result<(&'a str, bool), JsonError> {
        if !self.next_is(b'"') {
            return self.fail("expected a name in quotes");
        }
        let name = self.quoted()?;
        if !self.eat(b':') {
            return self.fail("expected `:`");
        }
        Ok(name)
    }

    /// What stands between the quotes, as written; `true`: it has escapes.
    #[inline]
    fn quoted(&mut self) -> Result<(&'a str, bool), JsonError> {
        self.at += 1;
        let start = self.at;
        self.at += plain(self.rest());
        let escaped = self.rest().first() != Some(&b'"');
        if escaped {
            self.escapes()?;
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok((raw, escaped))
    }

    /// From the first byte of a string that is not plain to its closing quote.
    #[inline(never)]
    fn escapes(&mut self) -> Result<(), JsonError> {
        loop {
            match self.rest().first() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fail("unescaped control character"),
                None => return self.fail("unfinished string"),
            }
            self.at += plain(self.rest());
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
            // Half a surrogate pair is let through: clients read it, and upstreams do cut text there.
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => self.at += 6,
            _ => return self.fail("bad escape"),
        }
        Ok(())
    }

    /// `-`? (`0` | `1-9` digits) (`.` digits)? ([eE] [+-]? digits)?
    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.at += usize::from(self.rest().first() == Some(&b'-'));
        if self.rest().first() == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.rest().first() == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.rest().first(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.rest().first(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        if length == 0 { self.fail("bad number") } else { Ok(()) }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.peek() == Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.next_is(byte);
        self.at += usize::from(found);
        found
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, JsonError> {
        Err(JsonError { what, at: self.at })
    }
}

/// How many bytes at the start are ordinary content of a string: no quote, backslash or control character.
///
/// In blocks, as compilers turn those into a few vector instructions: first a small one, for most strings are short.
#[inline]
pub fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<16>() {
        if let Some(first) = first_special(block) {
            return at + first;
        }
        at += block.len();
        while let Some(block) = bytes[at..].first_chunk::<32>()
            && !block.iter().fold(false, |any, byte| any | is_special(*byte))
        {
            at += block.len();
        }
    }
    bytes[at..].iter().position(|byte| is_special(*byte)).map_or(bytes.len(), |more| at + more)
}

#[inline]
fn first_special(block: &[u8; 16]) -> Option<usize> {
    let mut found = [0; 16];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = if is_special(*byte) { u8::MAX } else { 0 };
    }
    let found = u128::from_le_bytes(found);
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch, so that a block of them becomes vector instructions"
)]
fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The text that a string's content stands for. Total: what is no right escape becomes U+FFFD.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (c, length) = escaped_char(&rest[at..]);
        text.push(c);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character that the escape at the start of `text` means, and how many bytes it takes.
fn escaped_char(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&c @ (b'"' | b'\\' | b'/')) => char::from(c),
        Some(b'u') => return unicode_escape(text),
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    (simple, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(text) else { return (char::REPLACEMENT_CHARACTER, 2) };
    let pair = [first, unit(&text[6..]).unwrap_or_default()];
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) => (c, 6 * c.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

#[cfg(test)]
mod tests;
