//! Bodies for a person: JSON laid out, an event stream put together to the answer that it is.

use std::fmt::Write as _;

use super::show::heading;
use crate::wire::harmless::harmless;
use crate::wire::pretty;
use crate::wire::record::Exchanged;
use crate::wire::transcript::{Block, Transcript, is_stream};
use crate::wire::words;

pub(super) fn request(exchanged: &Exchanged) -> String {
    body("Request body", exchanged)
}

/// As the answer that a client makes of it, or as it is.
pub(super) fn response(exchanged: &Exchanged) -> String {
    let text = exchanged.body.as_deref().filter(|_| exchanged.encoding.is_none()).unwrap_or_default();
    let transcript = if is_stream(text) { Some(Transcript::of(text)) } else { Transcript::of_message(text) };
    let told = |transcript: &Transcript| !transcript.blocks.is_empty() || transcript.error.is_some();
    match transcript.filter(told) {
        Some(transcript) => answer(&transcript, exchanged),
        None => body("Response body", exchanged),
    }
}

fn answer(transcript: &Transcript, exchanged: &Exchanged) -> String {
    let mut shown = heading(&title("Answer", exchanged));
    for block in &transcript.blocks {
        shown.push_str(&one_block(block));
    }
    let mut end = Vec::new();
    if let Some(error) = &transcript.error {
        end.push(format!("error event: {}", harmless(error, false)));
    }
    if let Some(reason) = &transcript.stop_reason {
        end.push(format!("stop reason: {}", harmless(reason, false)));
    } else if !exchanged.truncated && transcript.error.is_none() {
        end.push("it broke off before a stop reason".to_owned());
    }
    if transcript.events > 0 {
        end.push(format!("{} events, {} pings; --json has them as they came", transcript.events, transcript.pings));
    }
    for line in end {
        let _ = writeln!(shown, "[{line}]");
    }
    shown
}

fn one_block(block: &Block) -> String {
    let text = match block.kind.as_str() {
        "text" | "thinking" => harmless(&block.text, true).into_owned(),
        _ => laid_out(&block.text),
    };
    let text = text.trim_end_matches('\n');
    let kind = harmless(&block.kind, false);
    match (block.kind.as_str(), &block.name) {
        ("text", _) => format!("{text}\n"),
        (_, Some(name)) => format!("[{kind} {}]\n{text}\n", harmless(name, false)),
        _ => format!("[{kind}]\n{text}\n[/{kind}]\n"),
    }
}

fn body(name: &str, exchanged: &Exchanged) -> String {
    let shown = match &exchanged.body {
        None if exchanged.size == 0 => return String::new(),
        None => return heading(&format!("{name}: {}, not logged", words::bytes(exchanged.size))),
        Some(body) if body.is_empty() => return String::new(),
        Some(body) => laid_out(body),
    };
    let base64 = if exchanged.encoding.is_some() { ", no text, in base64" } else { "" };
    format!("{}{}\n", heading(&format!("{}{base64}", title(name, exchanged))), shown.trim_end())
}

/// With how much of it the log has.
fn title(name: &str, exchanged: &Exchanged) -> String {
    let held = exchanged.body.as_ref().map_or(0, String::len);
    match exchanged.truncated {
        true if exchanged.encoding.is_some() => format!("{name}: the beginning of {}", words::bytes(exchanged.size)),
        true => format!("{name}: the first {} of {}", words::bytes(held as u64), words::bytes(exchanged.size)),
        false => format!("{name}: {}", words::bytes(exchanged.size)),
    }
}

fn laid_out(text: &str) -> String {
    let json = pretty::json(text).or_else(|| pretty::json_beginning(text));
    harmless(json.as_deref().unwrap_or(text), true).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str, truncated: bool) -> Exchanged {
        Exchanged { body: Some(body.into()), size: 5000, truncated, ..Exchanged::default() }
    }

    fn shown(exchanged: &Exchanged) -> String {
        anstream::adapter::strip_str(&response(exchanged)).to_string()
    }

    fn stream(events: &[&str]) -> String {
        events.iter().map(|data| format!("event: x\ndata: {data}\n\n")).collect::<Vec<_>>().concat()
    }

    const START: &str =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi\u001b[2J"}}"#;
    const TOOL: &str =
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"Read","input":{}}}"#;
    const INPUT: &str =
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#;
    const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;

    #[test]
    fn a_stream_is_shown_as_its_answer() {
        assert_eq!(
            shown(&of(&stream(&[START, TOOL, INPUT, END]), false)),
            "\nAnswer: 4.8 KiB\nHi\\u{1b}[2J\n[tool_use Read]\n{\n  \"a\": 1\n}\n[stop reason: tool_use]\n\
             [4 events, 0 pings; --json has them as they came]\n"
        );
        let cut = stream(&[START]) + "event: content_blo";
        assert!(shown(&of(&cut, false)).contains("[it broke off before a stop reason]"));
        let beginning = shown(&of(&cut, true));
        assert!(beginning.contains("Answer: the first ") && !beginning.contains("broke off"), "{beginning}");
        let error = stream(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"bu\u001bsy"}}"#]);
        assert!(shown(&of(&error, false)).contains("[error event: overloaded_error: bu\\u{1b}sy]"));
    }

    #[test]
    fn what_is_no_answer_is_shown_as_it_is() {
        assert_eq!(
            shown(&of("{\"type\":\"error\"}", false)),
            "\nResponse body: 4.8 KiB\n{\n  \"type\": \"error\"\n}\n"
        );
        assert_eq!(shown(&of("<html>\r\n\u{9b}", false)), "\nResponse body: 4.8 KiB\n<html>\\r\n\\u{9b}\n");
        let none = Exchanged { size: 5000, ..Exchanged::default() };
        assert_eq!(shown(&none), "\nResponse body: 4.8 KiB, not logged\n");
        assert_eq!(shown(&Exchanged::default()), "");
        let binary = Exchanged { encoding: Some("base64".into()), ..of("/wA=", false) };
        assert_eq!(shown(&binary), "\nResponse body: 4.8 KiB, no text, in base64\n/wA=\n");
        let message = r#"{"type":"message","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}"#;
        assert_eq!(shown(&of(message, false)), "\nAnswer: 4.8 KiB\nhello\n[stop reason: end_turn]\n");
    }
}
