//! A request that was opened: its record, taken apart into what the tabs show. Made off the main loop, since bodies may
//! be large.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::tree::Doc;
use crate::wire::record::{Exchanged, RequestRecord};
use crate::wire::words;

/// Everything that the tabs show.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Its bodies are in the documents.
    pub record: RequestRecord,
    pub request: Arc<Doc>,
    pub response: Arc<Doc>,
    pub events: Arc<Doc>,
}

impl Opened {
    /// Costs time in proportion to the bodies.
    pub fn new(mut record: RequestRecord) -> Self {
        let request = part(&mut record.request, false);
        let stream = record.response.body.take_if(|body| is_stream(body)).unwrap_or_default();
        let mut response = part(&mut record.response, !stream.is_empty());
        let mut events = Doc::default();
        if !stream.is_empty() {
            for (name, text) in answer(&stream) {
                response.part(&name, &text);
            }
            if record.response.truncated {
                response.part("note", &cut_short(&record.response));
            }
            events.events("events", &stream);
        }
        Self { record, request: Arc::new(request), response: Arc::new(response), events: Arc::new(events) }
    }
}

fn is_stream(body: &str) -> bool {
    ["event:", "data:", ":", "id:", "retry:"].iter().any(|start| body.trim_start().starts_with(start))
}

/// Headers and body of one direction; `told`: the body is shown in another way.
fn part(exchanged: &mut Exchanged, told: bool) -> Doc {
    let mut doc = Doc::default();
    if !exchanged.headers.is_empty() {
        doc.part("headers", &json!(exchanged.headers).to_string());
    }
    let Some(body) = exchanged.body.take() else {
        if exchanged.size > 0 && !told {
            let size = words::bytes(exchanged.size);
            doc.part(
                "note",
                &format!("{size} that the log does not keep: see logging.log_request_body and .log_response_body"),
            );
        }
        return doc;
    };
    let name = if exchanged.encoding.is_some() { "body, base64" } else { "body" };
    doc.part(name, &body);
    if exchanged.truncated {
        doc.part("note", &cut_short(exchanged));
    }
    doc
}

fn cut_short(exchanged: &Exchanged) -> String {
    format!(
        "only the beginning of {}: see logging.log_request_body and .log_response_body",
        words::bytes(exchanged.size)
    )
}

/// What a stream said, block by block, put together from its deltas.
fn answer(stream: &str) -> Vec<(String, String)> {
    let mut blocks: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut end = Vec::new();
    for data in stream.lines().filter_map(|line| line.strip_prefix("data:")) {
        let Ok(event) = serde_json::from_str::<Value>(data.trim()) else { continue };
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str() {
            Some("content_block_start") => {
                let block = &event["content_block"];
                let kind = block["type"].as_str().unwrap_or("block");
                let name = block["name"].as_str().map_or(kind.to_owned(), |name| format!("{kind} {name}"));
                blocks.insert(index, (name, block["text"].as_str().unwrap_or_default().to_owned()));
            }
            Some("content_block_delta") => {
                let delta = &event["delta"];
                let more = ["text", "thinking", "partial_json"].iter().find_map(|key| delta[*key].as_str());
                blocks.entry(index).or_default().1.push_str(more.unwrap_or_default());
            }
            Some("message_delta") => {
                end.extend(
                    event["delta"]["stop_reason"].as_str().map(|why| ("stop_reason".to_owned(), why.to_owned())),
                );
            }
            Some("error") => end.push(("error".to_owned(), event["error"].to_string())),
            _ => {}
        }
    }
    blocks.into_values().chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(doc: &Doc) -> Vec<(&str, String)> {
        let top = doc.nodes().iter().filter(|node| node.depth == 0);
        top.map(|node| (doc.key(node), doc.meant(node).into_owned())).collect()
    }

    fn body(text: &str) -> Exchanged {
        Exchanged { body: Some(text.into()), size: text.len() as u64, ..Exchanged::default() }
    }

    #[test]
    fn a_stream_is_shown_as_what_it_said_and_as_its_events() {
        let stream = concat!(
            "event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\"}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"name\":\"Bash\"}}\n\n",
            "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"partial_json\":\"{\\\"a\\\":1}\"}}\n\n",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
            "data: cut of",
        );
        let opened = Opened::new(RequestRecord { response: body(stream), ..RequestRecord::default() });
        let said = [("text", "Hello"), ("tool_use Bash", "{\"a\":1}"), ("stop_reason", "end_turn")];
        assert_eq!(parts(&opened.response), said.map(|(name, text)| (name, text.to_owned())));
        assert_eq!(opened.events.nodes()[0].children, 8);
    }

    #[test]
    fn what_the_log_does_not_keep_is_said() {
        let none = Exchanged { size: 2048, ..Exchanged::default() };
        let cut = Exchanged { truncated: true, size: 2048, ..body("{\"a\":") };
        let opened = Opened::new(RequestRecord { request: none, response: cut, ..RequestRecord::default() });
        assert!(parts(&opened.request)[0].1.starts_with("2.0 KiB that the log does not keep"));
        let response = parts(&opened.response);
        assert_eq!(response[0].0, "body");
        assert!(response[1].1.starts_with("only the beginning of 2.0 KiB"), "{response:?}");
        assert!(opened.events.nodes().is_empty());
    }

    #[test]
    fn five_megabytes_are_a_tree_before_anyone_notices() {
        let item = r#"{"role":"user","content":[{"type":"text","text":"some words that a person wrote"}]},"#;
        let text = format!("{{\"messages\":[{}null]}}", item.repeat(5_000_000 / item.len()));
        let start = crate::clock::now();
        let opened = Opened::new(RequestRecord { request: body(&text), ..RequestRecord::default() });
        let outline = super::super::outline::Outline::new(Arc::clone(&opened.request), 80);
        assert!(outline.rows().len() < 10, "the messages are folded");
        // Unoptimised code on a busy machine; released it is some milliseconds.
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
