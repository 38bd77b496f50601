//! The parts of Anthropic's JSON that a judge looks at. Of a repeated member the last one counts.

use std::borrow::Cow;

use super::{ApiError, Usage};
use crate::domain::json::{Json, JsonError, Kind, plain};

/// An object that may be a message, or an error.
#[derive(Default)]
pub(super) struct MessageShape<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) usage: Usage,
    pub(super) error: Option<ErrorShape<'a>>,
    role: Option<Cow<'a, str>>,
    id: bool,
    model: bool,
    content: bool,
}

impl<'a> MessageShape<'a> {
    /// `None`: the value is no object.
    pub(super) fn read(json: &mut Json<'a>) -> Result<Option<Self>, JsonError> {
        let mut shape = Self::default();
        let object = json.object(|json, key| {
            match key {
                "id" => shape.id = json.skip()? == Kind::String,
                "model" => shape.model = json.skip()? == Kind::String,
                "type" => shape.kind = json.string()?,
                "role" => shape.role = json.string()?,
                "content" => shape.content = json.skip()? == Kind::Array,
                "usage" => shape.usage = read_usage(json)?,
                "error" => shape.error = ErrorShape::read(json)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(object.then_some(shape))
    }

    /// The first thing that keeps it from being a message.
    pub(super) fn lack(&self) -> Option<&'static str> {
        if self.kind.as_deref() != Some("message") {
            Some("no `type` \"message\"")
        } else if !self.id {
            Some("no string `id`")
        } else if !self.model {
            Some("no string `model`")
        } else if self.role.as_deref() != Some("assistant") {
            Some("no `role` \"assistant\"")
        } else if !self.content {
            Some("no array `content`")
        } else {
            None
        }
    }
}

/// What stands under `error`.
#[derive(Default)]
pub(super) struct ErrorShape<'a> {
    kind: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
}

impl<'a> ErrorShape<'a> {
    fn read(json: &mut Json<'a>) -> Result<Option<Self>, JsonError> {
        let mut shape = Self::default();
        let object = json.object(|json, key| {
            match key {
                "type" => shape.kind = json.string()?,
                "message" => shape.message = json.string()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(object.then_some(shape))
    }

    pub(super) fn complete(self) -> Option<ApiError> {
        Some(ApiError { kind: self.kind?.into_owned(), message: self.message?.into_owned() })
    }

    /// The error as far as it is told.
    pub(super) fn guess(self) -> ApiError {
        ApiError {
            kind: self.kind.map_or_else(|| "api_error".to_owned(), Cow::into_owned),
            message: self.message.map_or_else(|| "the upstream gave no message".to_owned(), Cow::into_owned),
        }
    }
}

/// The data of a stream event.
#[derive(Default)]
pub(super) struct EventShape<'a> {
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) index: Option<u64>,
    /// `content_block` is an object.
    pub(super) block: bool,
    pub(super) delta: Option<DeltaShape>,
    pub(super) message: Option<Box<MessageShape<'a>>>,
    pub(super) usage: Usage,
    pub(super) error: Option<ErrorShape<'a>>,
}

#[derive(Default)]
pub(super) struct DeltaShape {
    /// `type` is a string.
    pub(super) typed: bool,
    /// `stop_reason` is a string.
    pub(super) stop_reason: bool,
}

impl<'a> EventShape<'a> {
    /// `None`: the value is no object.
    pub(super) fn read(json: &mut Json<'a>) -> Result<Option<Self>, JsonError> {
        let mut shape = Self::default();
        let object = json.object(|json, key| {
            match key {
                "type" => shape.kind = json.string()?,
                "index" => shape.index = json.count()?,
                "content_block" => shape.block = json.skip()? == Kind::Object,
                "delta" => shape.delta = DeltaShape::read(json)?,
                "message" => shape.message = MessageShape::read(json)?.map(Box::new),
                "usage" => shape.usage = read_usage(json)?,
                "error" => shape.error = ErrorShape::read(json)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(object.then_some(shape))
    }
}

impl DeltaShape {
    fn read(json: &mut Json<'_>) -> Result<Option<Self>, JsonError> {
        let mut shape = Self::default();
        let object = json.object(|json, key| {
            match key {
                "type" => shape.typed = json.skip()? == Kind::String,
                "stop_reason" => shape.stop_reason = json.skip()? == Kind::String,
                _ => {}
            }
            Ok(())
        })?;
        Ok(object.then_some(shape))
    }
}

/// The index of a `content_block_delta` in the spelling that nearly all have, which is most of what a stream is made of:
/// ```text
/// {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a text without escapes"}}
/// ```
/// `None`: it is to be read as any JSON.
pub(super) fn usual_delta(data: &[u8]) -> Option<u64> {
    let rest = data.strip_prefix(br#"{"type":"content_block_delta","index":"#)?;
    let (digit, rest) = rest.split_first().filter(|(digit, _)| digit.is_ascii_digit())?;
    let rest = rest.strip_prefix(br#","delta":{"type":""#)?;
    let rest = behind_word(rest)?.strip_prefix(br#"",""#)?;
    let rest = behind_word(rest)?.strip_prefix(br#"":""#)?;
    let (text, rest) = rest.split_at(plain(rest));
    std::str::from_utf8(text).ok()?;
    let rest = behind_blanks(rest.strip_prefix(br#""}"#)?).strip_prefix(b"}")?;
    behind_blanks(rest).is_empty().then(|| u64::from(digit - b'0'))
}

fn behind_word(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().position(|byte| !byte.is_ascii_lowercase() && *byte != b'_')?;
    (length > 0).then(|| &text[length..])
}

/// Anthropic's own servers pad events with them.
fn behind_blanks(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| **byte == b' ').count();
    &text[length..]
}

/// What is no whole number of tokens counts as not named: a strange bill makes no answer wrong.
fn read_usage(json: &mut Json<'_>) -> Result<Usage, JsonError> {
    let mut usage = Usage::default();
    json.object(|json, key| {
        let count = match key {
            "input_tokens" => &mut usage.input,
            "output_tokens" => &mut usage.output,
            "cache_read_input_tokens" => &mut usage.cache_read,
            "cache_creation_input_tokens" => &mut usage.cache_creation,
            _ => return Ok(()),
        };
        *count = json.count()?.or(*count);
        Ok(())
    })?;
    Ok(usage)
}
