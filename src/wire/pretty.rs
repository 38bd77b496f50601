//! JSON laid out for reading: the order of keys, numbers and strings stay as they were written.

/// `None` when it is no JSON.
pub fn json(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    Some(laid_out(text))
}

/// The beginning of a JSON object or array, such as a log keeps of a long body; `None` when it begins like neither.
pub fn json_beginning(text: &str) -> Option<String> {
    text.trim_start().starts_with(['{', '[']).then(|| laid_out(text))
}

fn laid_out(text: &str) -> String {
    let mut laid_out = String::with_capacity(text.len() * 5 / 4);
    let mut depth = 0usize;
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after.trim_start();
        match first {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                laid_out.push_str(token);
                laid_out.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                depth += 1;
                laid_out.push_str(token);
                new_line(&mut laid_out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut laid_out, depth);
                laid_out.push_str(token);
            }
            ',' => {
                laid_out.push(',');
                new_line(&mut laid_out, depth);
            }
            ':' => laid_out.push_str(": "),
            _ => laid_out.push_str(token),
        }
    }
    laid_out
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Of a string with its quotes; one without an end goes on to the end of the text.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_numbers_and_escapes_stay() {
        let text = r#" {"z":1.50,"a":[true , null,{}, [ ] ],"s":"x\\\" {[,:]}\u4fee" } "#;
        let expected = "{\n  \"z\": 1.50,\n  \"a\": [\n    true,\n    null,\n    {},\n    []\n  ],\n  \
                        \"s\": \"x\\\\\\\" {[,:]}\\u4fee\"\n}";
        assert_eq!(json(text).unwrap(), expected);
        assert_eq!(json("\"修\"").unwrap(), "\"修\"");
        assert!(json("{\"a\":").is_none() && json("").is_none() && json("hello").is_none());
    }

    #[test]
    fn a_beginning_is_laid_out_as_far_as_it_goes() {
        assert_eq!(json_beginning(r#" {"a":[1,"x y"#).unwrap(), "{\n  \"a\": [\n    1,\n    \"x y");
        assert_eq!(json_beginning("{").unwrap(), "{\n  ");
        assert_eq!(json_beginning("]}"), None);
        assert_eq!(json_beginning("[]}}],").unwrap().matches('}').count(), 2, "nonsense is no panic");
    }

    proptest! {
        #[test]
        fn no_beginning_loses_a_letter(text in "[\\[{][\\[\\]{},:\"\\\\a修]{0,30}") {
            let laid_out = json_beginning(&text).unwrap();
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&laid_out), letters(&text));
        }

        #[test]
        fn the_value_is_the_same(strings in proptest::collection::vec(any::<String>(), 0..5)) {
            let value = serde_json::json!({ "a": strings, "b": { "c": [1, -2.5e3, false] } });
            let laid_out = json(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&laid_out).unwrap(), value);
        }
    }
}
