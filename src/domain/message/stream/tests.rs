//! Each fixture is a stream as an upstream may send it; the tables say what it is worth. A story is
//! written with a letter for each event: `-` quiet, `S` started, `C` commit, `.` more, `E` error, `X` end, `D` done.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::domain::sse::SseParser;

const WHOLE: &str = "whole";
const ADD_STOP: &str = "add message_stop";

/// Right streams: name, story, how they end.
const GOOD: &[(&str, &str, &str)] = &[
    ("bom", "SC-...CX", WHOLE),
    ("comments", "---S----C.----.CX", WHOLE),
    ("cr", "SC-...CX", WHOLE),
    ("crlf", "SC-...CX", WHOLE),
    ("cut_in_message_stop", "SC...C", ADD_STOP),
    ("data_before_event", "SC-...CX", WHOLE),
    ("done_after_message_stop", "SC-...CXD", WHOLE),
    ("done_instead_of_message_stop", "SC...CD", ADD_STOP),
    ("error_first", "-E", "the stream ended after 2 events without a message_start"),
    ("error_mid_text", "SC.E", "the stream ended after 4 events without a stop_reason"),
    ("error_untold", "SCE", "the stream ended after 3 events without a stop_reason"),
    ("id_and_retry", "--SC-...CX", WHOLE),
    ("interleaved_blocks", "SCC.....CX", WHOLE),
    ("json_oddities", "SC..CX", WHOLE),
    ("message_stop_without_reason", "SC...X", WHOLE),
    ("mixed_line_ends", "SC-...CX", WHOLE),
    ("multi_line_data", "SC-...CX", WHOLE),
    ("no_content", "SCX", WHOLE),
    ("no_message_stop", "SC...C", ADD_STOP),
    ("no_space_after_colon", "SC-...CX", WHOLE),
    ("odd_usage", "SC...C.X", WHOLE),
    ("pings_first", "----SC-...CX", WHOLE),
    ("result_blocks", "SC..C.C...CX", WHOLE),
    ("second_message_start", "S.C...CX", WHOLE),
    ("several_message_deltas", "SC....C.X", WHOLE),
    ("stop_of_closed_block", "SC....-..CX", WHOLE),
    ("text", "SC-...CX", WHOLE),
    ("thinking_tool_use", "SC...C.C..C.....C.CX", WHOLE),
    ("unknown_types", "S--C..CX", WHOLE),
];

/// Broken streams: name, story before the defect, the defect.
const BAD: &[(&str, &str, &str)] = &[
    ("block_index_not_whole", "S", "event 2 (content_block_start): it has no number `index`"),
    ("block_not_object", "S", "event 2 (content_block_start): it has no object `content_block`"),
    ("block_without_index", "S", "event 2 (content_block_start): it has no number `index`"),
    ("cut_in_event", "SC", "the stream ended after 2 events without a stop_reason"),
    ("delta_after_stop", "SC...", "event 6 (content_block_delta): block 0 is not open"),
    ("delta_first", "", "event 1 (content_block_delta): it came before message_start"),
    ("delta_never_started", "SC", "event 3 (content_block_delta): block 1 is not open"),
    ("delta_not_object", "SC", "event 3 (content_block_delta): it has no object `delta`"),
    ("delta_without_index", "SC", "event 3 (content_block_delta): it has no number `index`"),
    ("delta_without_type", "SC", "event 3 (content_block_delta): its `delta` has no string `type`"),
    ("done_first", "", "event 1: it has no `event:` line: [DONE]"),
    ("done_mid_text", "SC.", "event 4: it has no `event:` line: [DONE]"),
    ("empty", "", "the stream ended without any event"),
    ("empty_event_name", "SC", "event 3: it has no `event:` line: {\"type\":\"content_block_delta\""),
    ("end_after_block", "SC...", "the stream ended after 5 events without a stop_reason"),
    ("end_after_message_start", "S-", "the stream ended after 2 events without any content"),
    ("end_in_block", "SC.", "the stream ended after 3 events without a stop_reason"),
    ("field_in_capitals", "SC", "event 3 has a line that is no field of an event stream: D"),
    ("html", "", "event 1 has a line that is no field of an event stream: <"),
    ("json_array", "SC", "event 3 (content_block_delta): its data is no JSON object: [\"content_block_delta\"]"),
    ("json_cut", "SC", "event 3 (content_block_delta): its data is no JSON (unfinished string at byte 80): {\"type\""),
    ("json_message", "", "event 1 has a line that is no field of an event stream: {"),
    ("json_trailing", "SC", "event 3 (content_block_delta): its data is no JSON (text after the end at byte 83): {"),
    ("known_type_under_unknown_event", "S", "event 2 (delta): its data is of another type, content_block_start"),
    ("line_no_field", "SC", "event 3 has a line that is no field of an event stream: o"),
    ("message_stop_at_once", "S", "event 2 (message_stop): it came without any content or stop_reason"),
    ("message_stop_first", "", "event 1 (message_stop): it came before message_start"),
    ("no_data", "SC", "event 3 (content_block_delta): it has no data"),
    ("no_event_line", "SC", "event 3: it has no `event:` line: {\"type\":\"content_block_delta\""),
    ("no_type", "SC", "event 3 (content_block_delta): its data has no string `type`: {\"index\":0"),
    ("only_pings", "---", "the stream ended after 3 events without a message_start"),
    ("ping_data", "S", "event 2 (ping): its data is no JSON (expected a name in quotes at byte 1): {ping}"),
    ("openai_chunks", "", "event 1: it has no `event:` line: {\"id\":\"chatcmpl-1\""),
    ("plain_text", "", "event 1 has a line that is no field of an event stream: u"),
    ("pretty_json", "-", "event 1 has a line that is no field of an event stream: {"),
    ("raw_json_lines", "SC", "event 3 has a line that is no field of an event stream: {"),
    ("start_message_content", "", "event 1 (message_start): its `message` has no array `content`"),
    ("start_message_role", "", "event 1 (message_start): its `message` has no `role` \"assistant\""),
    ("start_message_type", "", "event 1 (message_start): its `message` has no `type` \"message\""),
    ("start_message_without_id", "", "event 1 (message_start): its `message` has no string `id`"),
    ("start_message_without_model", "", "event 1 (message_start): its `message` has no string `model`"),
    ("start_without_message", "", "event 1 (message_start): it has no object `message`"),
    ("type_not_string", "S", "event 2 (status): its data has no string `type`: {\"type\":5}"),
    ("type_of_other_event", "SC", "event 3 (content_block_delta): its data is of another type, content_block_stop"),
    ("utf8", "SC", "event 3 (content_block_delta): its data is no JSON (invalid UTF-8 at byte 80): {\"type\""),
];

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).with_extension("sse");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Debug, PartialEq)]
struct Verdict {
    story: String,
    released: Vec<u8>,
    end: String,
    errors: Vec<ApiError>,
    usage: Usage,
}

/// Runs the pieces through parser and judge as the relay does.
fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let (mut parser, mut check) = (SseParser::new(1 << 20), StreamCheck::new());
    let mut verdict =
        Verdict { story: String::new(), released: vec![], end: String::new(), errors: vec![], usage: Usage::default() };
    for piece in pieces {
        parser.push(Bytes::copy_from_slice(piece));
        let broken = advance(&mut parser, &mut check, &mut verdict).err();
        verdict.released.extend(parser.release());
        verdict.usage = check.usage();
        if let Some(defect) = broken {
            verdict.end = defect;
            return verdict;
        }
    }
    verdict.end = match check.finish() {
        Ok(Finish::Whole) => WHOLE.to_owned(),
        Ok(Finish::AddMessageStop) => ADD_STOP.to_owned(),
        Err(defect) => defect.to_string(),
    };
    verdict
}

fn advance(parser: &mut SseParser, check: &mut StreamCheck, verdict: &mut Verdict) -> Result<(), String> {
    while let Some(event) = parser.next_event().map_err(|error| error.to_string())? {
        let before = (check.started(), check.has_stop_reason());
        let step = match check.accept(&event) {
            Ok(step) => step,
            Err(defect) => {
                parser.reject();
                return Err(defect.to_string());
            }
        };
        assert_eq!(step == Step::Started, !before.0 && check.started());
        assert!(check.has_stop_reason() >= before.1);
        verdict.story.push(match step {
            Step::Quiet => '-',
            Step::Started => 'S',
            Step::Commit => 'C',
            Step::More => '.',
            Step::Error(error) => {
                verdict.errors.push(error);
                'E'
            }
            Step::End => 'X',
            Step::Done => 'D',
        });
    }
    Ok(())
}

/// The same verdict comes out of every split in two and of single bytes. A quoted line may be shorter then.
fn same_at_every_split(name: &str, bytes: &[u8], once: &Verdict) {
    let splits = (0..=bytes.len()).map(|at| judge([&bytes[..at], &bytes[at..]]));
    for (at, mut split) in splits.chain([judge(bytes.chunks(1))]).enumerate() {
        if once.end.contains("no field") {
            let reason = |end: &str| end.split_once(": ").map(|(reason, _)| reason.to_owned());
            assert_eq!(reason(&split.end), reason(&once.end), "{name} at {at}");
            split.end.clone_from(&once.end);
        }
        assert_eq!(&split, once, "{name} at {at}");
    }
}

#[test]
fn right_streams_pass_at_every_split() {
    for &(name, story, end) in GOOD {
        let bytes = fixture(&format!("good_{name}"));
        let verdict = judge([&bytes[..]]);
        assert_eq!((&*verdict.story, &*verdict.end), (story, end), "{name}");
        if name != "cut_in_message_stop" {
            assert!(verdict.released == bytes, "{name}: not all of it was released");
        }
        same_at_every_split(name, &bytes, &verdict);
    }
}

#[test]
fn broken_streams_fail_at_every_split() {
    for &(name, story, defect) in BAD {
        let bytes = fixture(&format!("bad_{name}"));
        let verdict = judge([&bytes[..]]);
        assert_eq!(verdict.story, story, "{name}: {}", verdict.end);
        assert!(verdict.end.starts_with(defect), "{name}: {}", verdict.end);
        assert!(verdict.end.chars().count() < 240, "{name}: {}", verdict.end);
        let events = String::from_utf8_lossy(&verdict.released).matches("\n\n").count();
        assert!(events <= story.len(), "{name}: more than the good events was released");
        assert!(bytes.starts_with(&verdict.released), "{name}");
        same_at_every_split(name, &bytes, &verdict);
    }
}

#[test]
fn every_fixture_is_in_a_table() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("good_") || name.starts_with("bad_"))
        .collect();
    let good = GOOD.iter().map(|(name, ..)| format!("good_{name}.sse"));
    let tables: BTreeSet<String> = good.chain(BAD.iter().map(|(name, ..)| format!("bad_{name}.sse"))).collect();
    assert_eq!(files, tables);
}

#[test]
fn the_last_named_tokens_count() {
    let usage = |name| {
        let Usage { input, output, cache_read, cache_creation } = judge([&fixture(name)[..]]).usage;
        [input, output, cache_read, cache_creation]
    };
    assert_eq!(usage("good_text"), [Some(2095), Some(42), Some(18432), Some(0)]);
    assert_eq!(usage("good_thinking_tool_use"), [Some(2095), Some(89), Some(18432), Some(512)]);
    assert_eq!(usage("good_several_message_deltas"), [Some(3000), Some(41), Some(18432), Some(0)]);
    assert_eq!(usage("good_odd_usage"), [None, None, None, Some(9)]);
    assert_eq!(usage("bad_end_after_message_start"), [Some(2095), Some(1), Some(18432), Some(0)]);
}

#[test]
fn an_error_event_is_told() {
    let told = |name| {
        let error = judge([&fixture(name)[..]]).errors.remove(0);
        (error.kind, error.message)
    };
    let error = |kind: &str, message: &str| (kind.to_owned(), message.to_owned());
    assert_eq!(told("good_error_first"), error("overloaded_error", "Overloaded"));
    assert_eq!(told("good_error_mid_text"), error("weird_error", "Went \"wrong\"\n中"));
    assert_eq!(told("good_error_untold"), error("api_error", "the upstream gave no message"));
}

#[test]
fn the_added_end_is_an_end() {
    for name in ["good_no_message_stop", "good_cut_in_message_stop"] {
        let mut bytes = judge([&fixture(name)[..]]).released;
        bytes.extend_from_slice(MESSAGE_STOP);
        let verdict = judge([&bytes[..]]);
        assert_eq!((verdict.story.ends_with('X'), &*verdict.end), (true, WHOLE), "{name}");
    }
}

#[test]
fn a_quote_in_a_defect_is_short_and_on_one_line() {
    let data = "\x1b[2J\u{202e}".repeat(1000);
    let event = Event { name: Some(data.as_bytes()), data: Some(data.as_bytes().into()) };
    let defect = StreamCheck::new().accept(&event).unwrap_err().to_string();
    assert!(defect.len() < 300 && !defect.contains(|c: char| c.is_control() || c == '\u{202e}'), "{defect}");
}

#[test]
fn many_open_blocks_are_no_trouble() {
    let mut check = StreamCheck::new();
    let mut accept = |name: &str, data: String| {
        let event = Event { name: Some(name.as_bytes()), data: Some(data.into_bytes().into()) };
        check.accept(&event).unwrap()
    };
    let message = r#"{"id":"","model":"","type":"message","role":"assistant","content":[]}"#;
    accept("message_start", format!("{{\"type\":\"message_start\",\"message\":{message}}}"));
    for index in 0..20_000 {
        accept(
            "content_block_start",
            format!("{{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{{}}}}"),
        );
    }
    for index in 0..20_000 {
        let delta = format!("{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"x\"}}}}");
        assert_eq!(accept("content_block_delta", delta), Step::More);
    }
}

/// Any order of right events, and now and then a wrong one.
fn events() -> impl Strategy<Value = String> {
    let right: Vec<String> = String::from_utf8(fixture("good_thinking_tool_use"))
        .unwrap()
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .chain(
            ["data: [DONE]\n\n", ": c\n\n", "event: x\ndata: {\"type\":\"y\"}\n\n", "event: ping\n\n"]
                .map(str::to_owned),
        )
        .collect();
    prop::collection::vec(prop::sample::select(right), 0..12).prop_map(|events| events.concat())
}

proptest! {
    #[test]
    fn any_order_of_events_is_judged_alike_at_any_split(text in events(), size in 1_usize..99) {
        let bytes = text.as_bytes();
        let once = judge([bytes]);
        prop_assert_eq!(&judge(bytes.chunks(size)), &once);
        prop_assert!(bytes.starts_with(&once.released));
        let (content, stop_reason) = (once.story.contains('C'), once.end == WHOLE || once.end == ADD_STOP);
        prop_assert!(content || !stop_reason, "{}", once.story);
        if let Some(first) = once.story.find(['C', '.', 'X']) {
            prop_assert!(once.story[..first].contains('S'), "{}", once.story);
        }
    }

    #[test]
    fn any_damage_is_survived(at in any::<prop::sample::Index>(), with: Vec<u8>, size in 1_usize..99) {
        let mut bytes = fixture("good_thinking_tool_use");
        let at = at.index(bytes.len());
        let end = (at + with.len() / 2).min(bytes.len());
        bytes.splice(at..end, with);
        let verdict = judge(bytes.chunks(size));
        prop_assert!(bytes.starts_with(&verdict.released));
    }
}
