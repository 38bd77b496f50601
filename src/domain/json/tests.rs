use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn kind(text: &str) -> Result<Kind, JsonError> {
    read(text.as_bytes(), Json::skip)
}

/// Whether `serde_json`, which is right up to its depth limit, takes the text.
fn reference(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn takes_and_refuses_what_the_grammar_says() {
    for text in [
        "{}",
        "[]",
        " [ ] ",
        "{\"a\":{}}",
        "[[],{},[1,2],\"x\"]",
        "0",
        "-0",
        "1.5e+7",
        "1E2",
        "-12.0e-1",
        "true",
        "null",
        "\"\"",
        "\"\\u00e9\\n\\/\"",
        "\"\\ud83d\"",
        "\"中🦀\"",
        "\"\u{7f}\"",
        "\n{\"a\" :\t1 ,\r\"b\":[ ]}\n",
    ] {
        assert!(kind(text).is_ok(), "{text}: {}", kind(text).unwrap_err());
        assert!(reference(text), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "[,]",
        "[1,]",
        "[1 2]",
        "{a:1}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "{} {}",
        "[]]",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "tru",
        "truee",
        "'a'",
        "\"",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"a\u{0}bcdefghij\"",
        "// c\n1",
        "\u{feff}1",
    ] {
        assert!(kind(text).is_err(), "{text:?} was taken");
        assert!(!reference(text), "{text:?}");
    }
}

#[test]
fn says_what_and_where() {
    let said = |text: &[u8]| read(text, Json::skip).unwrap_err().to_string();
    assert_eq!(said(b"{\"a\":1 \"b\":2}"), "expected `,` or `}` at byte 7");
    assert_eq!(said(b"<html>"), "expected a value at byte 0");
    assert_eq!(said(b"{\"text\":\"Hel"), "unfinished string at byte 12");
    assert_eq!(said(b"{} x"), "text after the end at byte 3");
    assert_eq!(said(b"\"\xff\""), "invalid UTF-8 at byte 1");
}

#[test]
fn no_depth_is_too_deep() {
    let depth = 1_000_000;
    let deep = format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
    assert_eq!(kind(&deep), Ok(Kind::Array));
    assert!(kind(&deep[..deep.len() - 1]).is_err());
}

#[test]
fn a_visitor_sees_every_member_and_may_leave_values_alone() {
    let mut seen = Vec::new();
    let text = br#"{"a":1,"b":{"a":2},"\u0061":"x\ty","c":[3],"d":-4}"#;
    let object = read(text, |json| {
        json.object(|json, key| {
            match key {
                "a" if seen.is_empty() => seen.push(format!("{:?}", json.count()?)),
                "a" => seen.push(format!("{:?}", json.string()?)),
                "d" => seen.push(format!("{:?}", json.count()?)),
                other => seen.push(other.to_owned()),
            }
            Ok(())
        })
    });
    assert_eq!(object, Ok(true));
    assert_eq!(seen, ["Some(1)", "b", "Some(\"x\\ty\")", "c", "None"]);
    assert_eq!(read(b"[{}]", |json| json.object(|_, _| Ok(()))), Ok(false));
}

#[test]
fn counts_are_whole_numbers_from_zero() {
    let count = |text: &'static str| read(text.as_bytes(), Json::count).unwrap();
    assert_eq!(count("0"), Some(0));
    assert_eq!(count("18446744073709551615"), Some(u64::MAX));
    for text in ["18446744073709551616", "-1", "-0", "1.0", "1e3", "\"1\"", "null", "true", "[1]", "{}"] {
        assert_eq!(count(text), None, "{text}");
    }
}

#[test]
fn a_special_byte_is_found_at_every_offset() {
    for special in ["\"", "\\", "\u{0}", "\u{1f}", "\n"] {
        for before in 0..40 {
            let text =
                format!("{}{special}{}", "é ~\u{7f}!#[]".repeat(5).chars().take(before).collect::<String>(), special);
            assert_eq!(plain(text.as_bytes()), text.len() - 2 * special.len(), "{text:?}");
        }
    }
    assert_eq!(plain("中文 no special at all".as_bytes()), 24);
}

#[test]
fn escapes_are_undone() {
    assert_eq!(unescape(r#"a\n\"\\\/\b\f\r\t\u0041\u4e2d\ud83e\udd80z"#), "a\n\"\\/\u{8}\u{c}\r\tA中🦀z");
    for (bad, shown) in [
        (r"\ud83e", "\u{fffd}"),
        (r"\ud83e\u0041", "\u{fffd}A"),
        (r"\udd80x", "\u{fffd}x"),
        (r"\u12", "\u{fffd}12"),
        (r"\u+123", "\u{fffd}+123"),
        (r"\", "\u{fffd}"),
        (r"\é", "\u{fffd}é"),
    ] {
        assert_eq!(unescape(bad), shown, "{bad}");
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,24}".prop_map(Into::into),
        "[\\x00-\\x1f\"\\\\ a]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_the_reference_on_right_and_on_damaged_texts(
        value in value(), pretty: bool, at: prop::sample::Index, with in "[\"\\\\{}\\[\\],:0-9a-e.+ \\n-]{0,2}",
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert!(kind(&text).is_ok(), "{}", text);
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..=at, with.chars());
        let damaged: String = chars.into_iter().collect();
        prop_assert_eq!(kind(&damaged).is_ok(), reference(&damaged), "{}", damaged);
    }

    #[test]
    fn agrees_with_the_reference_on_soup(soup in "[\"\\\\{}\\[\\],:0-9a-z.+ -]{0,12}") {
        prop_assert_eq!(kind(&soup).is_ok(), reference(&soup), "{}", soup);
    }

    #[test]
    fn strings_come_out_as_they_went_in(text in ".{0,40}|[\\x00-\\x1f\"\\\\]{0,12}") {
        let written = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(read(written.as_bytes(), Json::string).unwrap().unwrap(), text);
    }

    #[test]
    fn any_bytes_and_any_escapes_are_survived(bytes: Vec<u8>, text in "[\\\\ud83e0x中\"]{0,20}") {
        let _ = read(&bytes, Json::skip);
        let _ = unescape(&text);
    }
}

proptest! {
    #[test]
    fn ordinary_content_ends_where_a_byte_by_byte_look_says(
        plain_bytes in prop::collection::vec(prop_oneof![0x20..=0x21u8, 0x23..=0x5bu8, 0x5d..=0xffu8], 0..100),
        rest in any::<Vec<u8>>(),
    ) {
        let bytes = [plain_bytes, rest].concat();
        let naive = bytes.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).unwrap_or(bytes.len());
        prop_assert_eq!(plain(&bytes), naive);
    }
}
