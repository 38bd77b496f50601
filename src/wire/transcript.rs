//! An answer's event stream put together again: the blocks that a client builds from it.

use bytes::Bytes;
use serde_json::Value;

use super::record::Usage;
use crate::domain::sse::SseParser;

/// A logged body is no longer than this.
const LONGEST_EVENT: usize = 64 << 20;

/// What a stream says when all of it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    pub blocks: Vec<Block>,
    pub stop_reason: Option<String>,
    pub usage: Usage,
    /// Events with content of their own, and pings.
    pub events: u64,
    pub pings: u64,
    /// What an `error` event said: type and message.
    pub error: Option<String>,
    /// Whether `message_stop` was there.
    pub finished: bool,
    /// What comes after the last event that could be read.
    pub unread: bool,
}

/// One content block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// `text`, `thinking`, `tool_use`, …
    pub kind: String,
    /// Of a tool.
    pub name: Option<String>,
    /// Text, thoughts, or a tool's input as JSON.
    pub text: String,
}

/// Whether a body looks like an event stream.
pub fn is_stream(body: &str) -> bool {
    let body = body.trim_start_matches('\u{feff}');
    ["event:", "data:", ":"].iter().any(|start| body.starts_with(start))
}

impl Transcript {
    /// Of a stream, whole or only its beginning.
    pub fn of(body: &str) -> Self {
        let mut transcript = Self::default();
        let mut parser = SseParser::new(LONGEST_EVENT);
        parser.push(Bytes::copy_from_slice(body.as_bytes()));
        loop {
            match parser.next_event() {
                Ok(Some(event)) => {
                    let data = event.data.as_deref().and_then(|data| serde_json::from_slice::<Value>(data).ok());
                    if let Some(data) = data {
                        transcript.take(&data);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    transcript.unread = true;
                    return transcript;
                }
            }
        }
        transcript.unread = parser.unfinished() > 0;
        transcript
    }

    /// Of an answer that came as one JSON message; `None` when it is none.
    pub fn of_message(body: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(body).ok()?;
        let blocks = message["content"].as_array().filter(|_| message["type"] == "message")?;
        Some(Self {
            blocks: blocks.iter().map(block).collect(),
            stop_reason: message["stop_reason"].as_str().map(ToOwned::to_owned),
            usage: usage(&message["usage"]),
            finished: true,
            ..Self::default()
        })
    }

    fn take(&mut self, data: &Value) {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        match data["type"].as_str() {
            Some("ping") => {
                self.pings += 1;
                return;
            }
            Some("message_start") => self.usage.update(usage(&data["message"]["usage"])),
            Some("content_block_start") => {
                let mut block = block(&data["content_block"]);
                // Its input is to come in pieces; what stands here is an empty one.
                if block.text == "{}" {
                    block.text.clear();
                }
                self.blocks.push(block);
            }
            Some("content_block_delta") => self.add(data),
            Some("message_delta") => {
                self.usage.update(usage(&data["usage"]));
                self.stop_reason = text(&data["delta"]["stop_reason"]).or(self.stop_reason.take());
            }
            Some("message_stop") => self.finished = true,
            Some("error") => {
                let said = |key: &str| data["error"][key].as_str().unwrap_or_default();
                self.error = Some(format!("{}: {}", said("type"), said("message")));
            }
            _ => {}
        }
        self.events += 1;
    }

    /// To its own block; streams name blocks by their place.
    fn add(&mut self, data: &Value) {
        let place = data["index"].as_u64().and_then(|place| usize::try_from(place).ok());
        let last = self.blocks.len().saturating_sub(1);
        let Some(block) = self.blocks.get_mut(place.unwrap_or(last)) else { return };
        let delta = &data["delta"];
        let more = ["text", "thinking", "partial_json"].into_iter().find_map(|key| delta[key].as_str());
        block.text.push_str(more.unwrap_or_default());
    }
}

fn block(block: &Value) -> Block {
    let text = |key: &str| block[key].as_str().map(ToOwned::to_owned);
    let input = || block.get("input").map(Value::to_string);
    Block {
        kind: text("type").unwrap_or_default(),
        name: text("name"),
        text: text("text").or_else(|| text("thinking")).or_else(input).unwrap_or_default(),
    }
}

fn usage(usage: &Value) -> Usage {
    Usage {
        input: usage["input_tokens"].as_u64(),
        output: usage["output_tokens"].as_u64(),
        cache_read: usage["cache_read_input_tokens"].as_u64(),
        cache_creation: usage["cache_creation_input_tokens"].as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(events: &[&str]) -> String {
        events.iter().map(|data| format!("event: x\ndata: {data}\n\n")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn deltas_become_the_blocks_that_they_belong_to() {
        let body = stream(&[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":12,"cache_read_input_tokens":3}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"修"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"Read","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"好了"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let transcript = Transcript::of(&body);
        let block = |kind: &str, name: Option<&str>, text: &str| Block {
            kind: kind.into(),
            name: name.map(Into::into),
            text: text.into(),
        };
        assert_eq!(transcript.blocks, [block("text", None, "修好了"), block("tool_use", Some("Read"), "{\"a\":1}")]);
        assert_eq!(transcript.stop_reason.as_deref(), Some("tool_use"));
        assert_eq!((transcript.events, transcript.pings, transcript.finished, transcript.unread), (9, 1, true, false));
        assert_eq!(
            (transcript.usage.input, transcript.usage.output, transcript.usage.cache_read),
            (Some(12), Some(7), Some(3))
        );
    }

    #[test]
    fn a_message_in_one_piece_has_the_same_blocks() {
        let body = r#"{"type":"message","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"修"},
            {"type":"tool_use","name":"Read","input":{"a":1}}],"stop_reason":"tool_use","usage":{"output_tokens":7}}"#;
        let transcript = Transcript::of_message(body).unwrap();
        let texts: Vec<_> = transcript.blocks.iter().map(|block| (block.kind.as_str(), block.text.as_str())).collect();
        assert_eq!(texts, [("thinking", "hm"), ("text", "修"), ("tool_use", "{\"a\":1}")]);
        assert_eq!((transcript.usage.output, transcript.finished), (Some(7), true));
        for other in ["", "[]", r#"{"type":"error"}"#, r#"{"type":"message"}"#] {
            assert_eq!(Transcript::of_message(other), None);
        }
    }

    #[test]
    fn a_beginning_and_nonsense_are_read_as_far_as_they_go() {
        let body = stream(&[
            "no json",
            r#"{"type":"content_block_delta","index":9,"delta":{"text":"x"}}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
        ]) + "event: content_blo";
        let transcript = Transcript::of(&body);
        assert_eq!((transcript.error.as_deref(), transcript.unread), (Some("overloaded_error: busy"), true));
        assert!(Transcript::of("<html>").unread);
        assert_eq!(Transcript::of(""), Transcript::default());
        assert!(is_stream("data: 1") && is_stream(": hello") && !is_stream("{}") && !is_stream(""));
    }
}
