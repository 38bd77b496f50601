//! What a right answer looks like: the judge of whole bodies here, that of streams in [`stream`].

mod shape;
mod stream;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::shape::{ErrorShape, MessageShape};
pub use self::stream::{Finish, MESSAGE_STOP, Step, StreamCheck};
use super::excerpt::excerpt;
use super::json::{self, Json, JsonError};

/// Tokens; each is the last value the upstream named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_creation: Option<u64>,
}

impl Usage {
    /// Takes over what `newer` names. Totals are cumulative: nothing is ever added up.
    pub fn update(&mut self, newer: Self) {
        self.input = newer.input.or(self.input);
        self.output = newer.output.or(self.output);
        self.cache_read = newer.cache_read.or(self.cache_read);
        self.cache_creation = newer.cache_creation.or(self.cache_creation);
    }
}

/// Why an answer is not what it has to be: a sentence with at most a short quote of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect(String);

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Defect {}

/// An error in Anthropic's format: `{"type":"error","error":{"type":…,"message":…}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// `error.type`
    pub kind: String,
    /// `error.message`
    pub message: String,
}

/// The error that a body holds, when it is in Anthropic's format.
pub fn api_error(body: &[u8]) -> Option<ApiError> {
    match read_body(body, MessageShape::read) {
        Ok(Some(MessageShape { kind: Some(kind), error: Some(error), .. })) if kind == "error" => error.complete(),
        _ => None,
    }
}

/// Judges a non-stream answer of messages: an object with string `id` and `model`, `type: "message"`,
/// `role: "assistant"` and an array `content`. All else is optional.
///
/// # Errors
/// What keeps it from being a message.
pub fn check_message(body: &[u8]) -> Result<Usage, Defect> {
    let shape = match read_body(body, MessageShape::read) {
        Ok(Some(shape)) => shape,
        Ok(None) => return Err(not_an_object(body)),
        Err(error) => return Err(not_json(body, &error)),
    };
    match shape.lack() {
        None => Ok(shape.usage),
        Some(_) if shape.kind.as_deref() == Some("error") => Err(an_error(shape.error)),
        Some(lack) => Err(Defect(format!("the answer is no message, it has {lack}: {}", excerpt(body)))),
    }
}

/// Judges an answer of `count_tokens` and tells its count.
///
/// # Errors
/// What keeps it from being one.
pub fn check_token_count(body: &[u8]) -> Result<u64, Defect> {
    let mut count = None;
    let object = read_body(body, |json| {
        json.object(|json, key| {
            if key == "input_tokens" {
                count = json.count()?;
            }
            Ok(())
        })
    });
    match (object, count) {
        (Err(error), _) => Err(not_json(body, &error)),
        (Ok(false), _) => Err(not_an_object(body)),
        (Ok(true), Some(count)) => Ok(count),
        (Ok(true), None) => {
            Err(Defect(format!("the answer is no token count, it has no number `input_tokens`: {}", excerpt(body))))
        }
    }
}

/// Whether a body, or what comes after nothing but white space of it, begins as a JSON object; `None`: not told yet.
pub fn begins_as_object(bytes: &[u8]) -> Option<bool> {
    bytes.iter().find(|byte| !b" \t\r\n\xef\xbb\xbf".contains(byte)).map(|byte| *byte == b'{')
}

/// Clients skip a BOM before a whole body.
fn read_body<'a, T>(body: &'a [u8], read: impl FnOnce(&mut Json<'a>) -> Result<T, JsonError>) -> Result<T, JsonError> {
    json::read(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body), read)
}

fn not_json(body: &[u8], error: &JsonError) -> Defect {
    Defect(if body.trim_ascii().is_empty() {
        "the answer has an empty body".to_owned()
    } else {
        format!("the answer is no JSON ({error}): {}", excerpt(body))
    })
}

fn not_an_object(body: &[u8]) -> Defect {
    Defect(format!("the answer is no JSON object: {}", excerpt(body)))
}

fn an_error(error: Option<ErrorShape<'_>>) -> Defect {
    let error = error.unwrap_or_default().guess();
    let (kind, message) = (excerpt(error.kind.as_bytes()), excerpt(error.message.as_bytes()));
    Defect(format!("the answer is an error under a status of success: {kind}: {message}"))
}

#[cfg(test)]
mod tests;
