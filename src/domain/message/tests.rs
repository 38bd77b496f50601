use proptest::prelude::*;

use super::shape::{EventShape, usual_delta};
use super::*;

const MESSAGE: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hi \"you\""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":6,"cache_read_input_tokens":null,"cache_creation_input_tokens":3,"service_tier":"standard"}}"#;

fn said(body: &str) -> String {
    check_message(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_message_passes_with_its_tokens() {
    let usage = Usage { input: Some(12), output: Some(6), cache_read: None, cache_creation: Some(3) };
    assert_eq!(check_message(MESSAGE.as_bytes()), Ok(usage));
}

#[test]
fn what_is_optional_may_be_missing_null_or_new() {
    let least = r#"{"content":[],"model":"","role":"assistant","type":"message","id":""}"#;
    assert_eq!(check_message(least.as_bytes()), Ok(Usage::default()));
    for (old, new) in [
        (r#""usage":{"#, r#""mood":{"a":[1e9,null]},"usage":{"#),
        (r#""input_tokens":12"#, r#""input_tokens":-1.5"#),
        (r#"{"id""#, "\u{feff} \r\n{\"id\""),
        (r#""type":"message""#, r#""type":"error","t\u0079pe":"mess\u0061ge""#),
        (r#""stop_reason":"end_turn""#, r#""stop_reason":7"#),
        (r#"[{"type""#, r#"["",0,{"type""#),
    ] {
        let body = MESSAGE.replacen(old, new, 1);
        assert_ne!(body, MESSAGE, "{old}");
        assert!(check_message(body.as_bytes()).is_ok(), "{new}: {}", said(&body));
    }
    let body = MESSAGE.replace(r#""usage":{"#, r#""usage":null,"_":{"#);
    assert_eq!(check_message(body.as_bytes()), Ok(Usage::default()));
}

#[test]
fn deep_tool_input_is_a_message() {
    let deep = format!(r#"{{"type":"tool_use","input":{}{}}}"#, "{\"a\":[".repeat(9000), "]}".repeat(9000));
    let body = MESSAGE.replace(r#"[{"type""#, &format!(r#"[{deep},{{"type""#));
    assert!(check_message(body.as_bytes()).is_ok());
}

#[test]
fn what_is_no_message_is_told() {
    for (old, new, defect) in [
        (r#""id":"msg_01""#, r#""id":null"#, "the answer is no message, it has no string `id`: {\"id\":null,"),
        (r#""model":"claude-x","#, "", "the answer is no message, it has no string `model`: {"),
        ("assistant", "user", "the answer is no message, it has no `role` \"assistant\": {"),
        (r#""type":"message""#, r#""type":"completion""#, "the answer is no message, it has no `type` \"message\": {"),
        (r#""content":["#, r#""content":"","old":["#, "the answer is no message, it has no array `content`: {"),
        ("}}", "}}}", "the answer is no JSON (text after the end at byte 299): {"),
        ("Hi", "Hi\n", "the answer is no JSON (unescaped control character at byte 106): {"),
    ] {
        let body = MESSAGE.replacen(old, new, 1);
        assert!(said(&body).starts_with(defect), "{new}: {}", said(&body));
    }
    for (body, defect) in [
        ("", "the answer has an empty body"),
        (" \n", "the answer has an empty body"),
        ("[]", "the answer is no JSON object: []"),
        ("<html>\n", "the answer is no JSON (expected a value at byte 0): <html>\\n"),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Over\nloaded"}}"#,
            "the answer is an error under a status of success: overloaded_error: Over\\nloaded",
        ),
        (
            r#"{"type":"error"}"#,
            "the answer is an error under a status of success: api_error: the upstream gave no message",
        ),
        (r#"{"choices":[]}"#, "the answer is no message, it has no `type` \"message\": {\"choices\":[]}"),
    ] {
        assert_eq!(said(body), defect);
    }
    let cut = &MESSAGE.as_bytes()[..MESSAGE.len() - 1];
    assert!(
        check_message(cut).unwrap_err().to_string().starts_with("the answer is no JSON (expected `,` or `}` at byte")
    );
}

#[test]
fn every_cut_of_a_message_is_none() {
    for at in 0..MESSAGE.len() {
        assert!(check_message(&MESSAGE.as_bytes()[..at]).is_err(), "{at}");
    }
}

#[test]
fn a_token_count_is_a_whole_number() {
    let check = |body: &str| check_token_count(body.as_bytes()).map_err(|defect| defect.to_string());
    assert_eq!(check(r#"{"input_tokens":2095}"#), Ok(2095));
    assert_eq!(check(r#" {"context_management":{"x":[]},"input_tokens":0} "#), Ok(0));
    for body in [
        r#"{"input_tokens":-1}"#,
        r#"{"input_tokens":1.5}"#,
        r#"{"input_tokens":"1"}"#,
        r#"{"input_tokens":null}"#,
        "{}",
    ] {
        let defect = format!("the answer is no token count, it has no number `input_tokens`: {body}");
        assert_eq!(check(body), Err(defect));
    }
    assert_eq!(check("7"), Err("the answer is no JSON object: 7".to_owned()));
    assert_eq!(check(""), Err("the answer has an empty body".to_owned()));
    assert!(check(r#"{"input_tokens":1"#).is_err());
}

#[test]
fn only_a_whole_error_is_in_anthropics_format() {
    let whole = r#"{"type":"error","error":{"type":"not_found_error","message":"model: \u4e2d","details":null},"request_id":null}"#;
    let error = ApiError { kind: "not_found_error".to_owned(), message: "model: 中".to_owned() };
    assert_eq!(api_error(whole.as_bytes()), Some(error));
    for body in [
        r#"{"error":{"type":"a","message":"b"}}"#,
        r#"{"type":"message","error":{"type":"a","message":"b"}}"#,
        r#"{"type":"error","error":{"type":"a"}}"#,
        r#"{"type":"error","error":{"type":null,"message":"b"}}"#,
        r#"{"type":"error","error":{"type":"a","message":["b"]}}"#,
        r#"{"type":"error","error":"a"}"#,
        r#"{"type":"error","error":{"type":"a","message":"b"}} <!-- -->"#,
        r#"[{"type":"error","error":{"type":"a","message":"b"}}]"#,
        "<html>",
        "",
    ] {
        assert_eq!(api_error(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn the_usual_spelling_of_a_delta_is_read_at_a_glance() {
    let delta = |index: &str, text: &str, pad: &str| {
        format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"text_delta","text":"{text}"}}{pad}}}{pad}"#
        )
    };
    assert_eq!(usual_delta(delta("0", "Hello", "").as_bytes()), Some(0));
    assert_eq!(usual_delta(delta("7", "", "   ").as_bytes()), Some(7));
    assert_eq!(usual_delta(delta("0", "ein \u{e9} \u{1f980} of more than one block of bytes", "").as_bytes()), Some(0));
    for (index, text) in
        [("10", "a"), ("", "a"), ("-1", "a"), ("0", "\\n"), ("0", "a\"b"), ("0", "a\nb"), ("0", "a\"},\"x\":{\"y\":\"")]
    {
        assert_eq!(usual_delta(delta(index, text, "").as_bytes()), None, "{index} {text}");
    }
    let mut cut = delta("0", "\u{e9}", "").into_bytes();
    cut.retain(|byte| *byte != 0xa9);
    assert_eq!(usual_delta(&cut), None, "half a character");
}

proptest! {
    /// Whatever is taken at a glance is what a full look says it is.
    #[test]
    fn a_glance_takes_nothing_that_a_full_look_refuses(
        at in 0..110usize, length in 0..4usize, with in "[\\PC\u{0}\n\"\\\\{}:, a-z0-9]{0,4}", text in "\\PC{0,40}",
    ) {
        let delta = format!(r#"{{"type":"content_block_delta","index":3,"delta":{{"type":"text_delta","text":"{text}"}}}}"#);
        let mut bytes = delta.into_bytes();
        let at = at.min(bytes.len());
        bytes.splice(at..(at + length).min(bytes.len()), with.bytes());
        if let Some(index) = usual_delta(&bytes) {
            let shape = json::read(&bytes, EventShape::read).unwrap().unwrap();
            prop_assert_eq!((shape.kind.as_deref(), shape.index), (Some("content_block_delta"), Some(index)));
            prop_assert!(shape.delta.unwrap().typed);
        }
    }
}
