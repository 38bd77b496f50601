//! Bodies as Anthropic sends them, and some that it never would.

use serde_json::json;

pub const MODEL: &str = "claude-sonnet-4-5";
pub const HTML: &str = "<!doctype html><html><body><h1>Sign in</h1></body></html>";
pub const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

const USAGE: &str =
    r#""input_tokens":12,"cache_creation_input_tokens":6,"cache_read_input_tokens":5,"service_tier":"standard""#;

/// `text` as a JSON string. Bodies are put together by hand: their members come in the order of the real ones.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A whole message with that text.
pub fn message(text: &str) -> String {
    let text = quoted(text);
    format!(
        r#"{{"id":"msg_01Scripted","type":"message","role":"assistant","model":"{MODEL}","content":[{{"type":"text","text":{text}}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{{USAGE},"output_tokens":34}}}}"#
    )
}

/// One event of that name and data.
pub fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

pub fn message_start() -> String {
    let message = format!(
        r#"{{"id":"msg_01Scripted","type":"message","role":"assistant","model":"{MODEL}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{USAGE},"output_tokens":1}}}}"#
    );
    event("message_start", &format!(r#"{{"type":"message_start","message":{message}}}"#))
}

pub fn block_start(index: usize) -> String {
    let block = r#"{"type":"text","text":""}"#;
    event(
        "content_block_start",
        &format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#),
    )
}

pub fn text_delta(index: usize, text: &str) -> String {
    let delta = format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(text));
    event("content_block_delta", &format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#))
}

pub fn block_stop(index: usize) -> String {
    event("content_block_stop", &format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

pub fn message_delta() -> String {
    let delta = r#"{"stop_reason":"end_turn","stop_sequence":null}"#;
    let data = format!(r#"{{"type":"message_delta","delta":{delta},"usage":{{"output_tokens":34}}}}"#);
    event("message_delta", &data)
}

pub fn message_stop() -> String {
    event("message_stop", r#"{"type":"message_stop"}"#)
}

/// An error as an event of a stream.
pub fn error_event(kind: &str, message: &str) -> String {
    let message = quoted(message);
    event("error", &format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}}}}"#))
}

/// A right stream with one text block, event by event: `message_start`, `content_block_start`, a ping, a delta
/// for each text, `content_block_stop`, `message_delta`, `message_stop`.
pub fn events(texts: &[&str]) -> Vec<String> {
    let mut events = vec![message_start(), block_start(0), PING.to_owned()];
    events.extend(texts.iter().map(|text| text_delta(0, text)));
    events.extend([block_stop(0), message_delta(), message_stop()]);
    events
}

/// An error in Anthropic's format.
pub fn error(kind: &str, message: &str) -> String {
    let message = quoted(message);
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"req_01Scripted"}}"#)
}

/// The error type that Anthropic sends with `status`.
pub fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// A chat completion's stream in another vendor's format.
pub fn openai_chunks() -> Vec<String> {
    ["Hel", "lo"]
        .iter()
        .map(|text| {
            let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
            format!("data: {chunk}\n\n")
        })
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect()
}

/// A chat completion in another vendor's format.
pub fn openai_message() -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]})
    .to_string()
}

pub fn token_count(tokens: u64) -> String {
    json!({"input_tokens": tokens}).to_string()
}

pub fn models() -> String {
    json!({"data": [
        {"type": "model", "id": "claude-haiku-4-5", "display_name": "Haiku", "created_at": "2025-10-01T00:00:00Z"},
        {"type": "model", "id": MODEL, "display_name": "Sonnet", "created_at": "2025-09-29T00:00:00Z"},
    ], "has_more": false, "first_id": "claude-haiku-4-5", "last_id": MODEL})
    .to_string()
}
