use proptest::prelude::*;

use super::*;

fn peek_str(body: &str) -> Peek {
    peek(&[Bytes::copy_from_slice(body.as_bytes())])
}

/// Model, stream, user id.
type Told<'a> = (Option<&'a str>, bool, Option<&'a str>);

fn told(peek: &Peek) -> Told<'_> {
    (peek.model.as_deref(), peek.stream, peek.user_id.as_deref())
}

const TURN: &str = r#"{"model":"claude-x","messages":[{"role":"user","content":[{"type":"text","text":"say \"model\":\"no\" \\"}]}],
    "system":"\"stream\":false,\\\\","tools":[{"name":"Bash","input_schema":{"type":"object","model":"no","metadata":{"user_id":"no"}}}],
    "metadata":{"user_id":"{\"device_id\":\"ab\",\"account_uuid\":\"\",\"session_id\":\"1-2\"}"},"max_tokens":32000,"thinking":{"type":"adaptive"}, "stream" : true }"#;

#[test]
fn a_turn_tells_what_it_asks_for() {
    let user = r#"{"device_id":"ab","account_uuid":"","session_id":"1-2"}"#;
    assert_eq!(told(&peek_str(TURN)), (Some("claude-x"), true, Some(user)));
    assert_eq!(session(user), "1-2");
}

#[test]
fn the_split_changes_nothing() {
    let whole = peek_str(TURN);
    let bytes = Bytes::from(TURN);
    for at in 0..=bytes.len() {
        assert_eq!(peek(&[bytes.slice(..at), bytes.slice(at..)]), whole, "at {at}");
    }
    let single: Vec<Bytes> = (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect();
    assert_eq!(peek(&single), whole);
}

#[test]
fn odd_bodies_tell_what_can_be_seen() {
    let cases: &[(&str, Told<'_>)] = &[
        ("", (None, false, None)),
        ("{}", (None, false, None)),
        ("[\"model\",\"x\"]", (None, false, None)),
        ("\"model\":\"x\"", (None, false, None)),
        ("model=x&stream=true", (None, false, None)),
        (r#"{"model":"a"} {"model":"b"}"#, (Some("a"), false, None)),
        (r#"{"model":"a","stream":true,"model":"b","stream":false}"#, (Some("b"), false, None)),
        (r#"{"model":"a","model":null,"max_tokens":1,"max_tokens":-1}"#, (None, false, None)),
        (
            r#"{"m\u006fdel":"cl\u0061ude \"\ud83e\udd80\" \\","str\u0065am":true}"#,
            (Some("claude \"🦀\" \\"), true, None),
        ),
        (r#"{"x":"model","y":{"model":"no"},"z":["model","no"],"stream":"true"}"#, (None, false, None)),
        (r#"{"stream": true"#, (None, false, None)),
        (r#"{"stream":true,"model":"cut"#, (None, true, None)),
        (r#"{"stream":{"stream":true},"model":["a"],"max_tokens":"5"}"#, (None, false, None)),
        (r#"{"stream":1,"max_tokens":1e3}"#, (None, false, None)),
        (r#"{"metadata":["user_id","no"],"user_id":"no"}"#, (None, false, None)),
        (
            r#"{"metadata":{"x":{"user_id":"no"},"user_id":"yes","model":"no","stream":true}}"#,
            (None, false, Some("yes")),
        ),
        (r#"{"metadata":{"user_id":"a"},"metadata":{}}"#, (None, false, None)),
        (r#"{"metadata":{"user_id":5},"stream":true}"#, (None, true, None)),
        ("{\"stream\":true}}}}]]", (None, true, None)),
        ("{ , : , \"model\" \"a\" , \"stream\" true }", (Some("a"), true, None)),
    ];
    for (body, expected) in cases {
        assert_eq!(told(&peek_str(body)), *expected, "{body}");
    }
    let not_utf8 = Bytes::from_static(b"{\"\xff\":\"\xff\",\"model\":\"a\xffb\",\"stream\":true}");
    assert_eq!(told(&peek(&[not_utf8])), (Some("a\u{fffd}b"), true, None));
}

#[test]
fn what_is_remembered_is_bounded() {
    let long = "x".repeat(1 << 20);
    let peek =
        peek_str(&format!(r#"{{"model":"{long}","{long}":"","max_tokens":{},"stream":true}}"#, "1".repeat(1 << 20)));
    assert_eq!(peek.model.map(|model| model.len()), Some(LONGEST_VALUE));
    assert!(peek.stream);
}

#[test]
fn a_session_is_found_in_every_form() {
    let uuid = "11111111-2222-4333-8444-555555555555";
    assert_eq!(session(&format!("user_0a1b_account__session_{uuid}")), uuid);
    assert_eq!(session(&format!(r#"{{"session_id":"{uuid}","device_id":"a"}}"#)), uuid);
    for other in
        ["someone", "", r#"{"session_id":""}"#, r#"{"session_id":7}"#, r#"{"session_id":"a""#, "user_x_session_"]
    {
        assert_eq!(session(other), other);
    }
}

proptest! {
    #[test]
    fn agrees_with_a_full_parse(
        model in ".{0,12}", stream: bool, tokens: u64, user in ".{0,12}", text in "[\\x00-\\x1f\"\\\\a{}\\[\\]:,]{0,24}",
        order in Just(vec![0, 1, 2, 3, 4, 5]).prop_shuffle(), pretty: bool, size in 1_usize..40,
    ) {
        let members = [
            ("model", serde_json::json!(model)),
            ("stream", serde_json::json!(stream)),
            ("max_tokens", serde_json::json!(tokens)),
            ("metadata", serde_json::json!({ "user_id": user, "other": [text] })),
            ("messages", serde_json::json!([{ "model": text, "content": [text, { "user_id": text }] }])),
            (&*text, serde_json::json!({ "stream": text })),
        ];
        let write = |value: &serde_json::Value| if pretty { format!("{value:#}") } else { value.to_string() };
        let members: Vec<String> = order
            .iter()
            .map(|&at: &usize| format!("{}:{}", serde_json::to_string(members[at].0).unwrap(), write(&members[at].1)))
            .collect();
        let body = format!("{{{}}}", members.join(","));
        let chunks: Vec<Bytes> = body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let found = Peek { model: Some(model), stream, user_id: Some(user) };
        prop_assert_eq!(peek(&chunks), found);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in "[\"\\\\{}\\[\\]:,a]{0,40}", size in 1_usize..9) {
        for body in [&bytes[..], text.as_bytes()] {
            let chunks: Vec<Bytes> = body.chunks(size).map(Bytes::copy_from_slice).collect();
            prop_assert_eq!(peek(&chunks), peek(&[Bytes::copy_from_slice(body)]));
        }
        let _ = session(&text);
    }
}
