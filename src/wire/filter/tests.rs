use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::wire::record::{AttemptRecord, Ending, Exchanged, Usage};

/// 2026-03-09T12:00:00Z
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(492_516)
}

fn filter(text: &str) -> Filter {
    Filter::parse(text, now()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn attempt(endpoint: &str, fault: Option<&str>) -> AttemptRecord {
    AttemptRecord { endpoint: endpoint.into(), fault: fault.map(Into::into), ..AttemptRecord::default() }
}

fn record() -> RequestRecord {
    let exchanged = |body: &str, size| Exchanged {
        headers: [("x-app".to_owned(), "Claude-Cli".to_owned())].into(),
        body: Some(body.to_owned()),
        size,
        ..Exchanged::default()
    };
    RequestRecord {
        id: "req_018F".into(),
        time: "2026-03-09T11:00:00.500+00:00".into(),
        method: "POST".into(),
        path: "/v1/messages?beta=true".into(),
        model: Some("claude-opus-4-8-20260201".into()),
        stream: true,
        session: Some("6e1f-2a".into()),
        status: 200,
        ending: Ending::Complete,
        endpoint: Some("mirror-1".into()),
        duration_ms: 9_800,
        first_byte_ms: Some(3_100),
        attempts: vec![attempt("kimi", Some("limited")), attempt("mirror-1", None)],
        usage: Some(Usage { input: Some(12_000), output: Some(311), cache_read: Some(0), cache_creation: None }),
        request: exchanged(r#"{"content":"请修一下 \"parser\"\nplease"}"#, 600),
        response: exchanged("event: ping\n\n", 500),
        error: None,
        ..RequestRecord::default()
    }
}

fn fits(text: &str) -> bool {
    let (filter, record) = (filter(text), record());
    let fits = filter.matches(&record);
    let line = serde_json::to_vec(&record).unwrap();
    assert!(!fits || filter.may_match_line(&line), "the raw line was left out: {text}");
    fits
}

#[test]
fn every_field_is_asked_rightly() {
    for text in [
        "",
        "  ",
        "status:200",
        "status=2xx",
        "status != 500",
        "STATUS>=200 status<=200 status<201 status>199",
        "ending:complete",
        "ending!=cut",
        "endpoint:Mirror-1",
        "endpoint~MIRROR",
        "endpoint!~kimi",
        "tried:kimi",
        "tried:mirror-1",
        "fault:limited",
        "fault~limit",
        "model:claude-opus-4-8-20260201",
        "model:opus-4-8",
        "model~OPUS",
        "session:6e1f-2a",
        "id~018f",
        "method:post",
        "path~beta",
        "stream:true",
        "-stream:no",
        "time>2h",
        "time:2026-03-09T11:00:00.500Z",
        "since:2h until:30m",
        "time<now",
        "duration>9s",
        "duration<=9800ms",
        "ttft>3s",
        "first_byte<4s",
        "in>=12k",
        "output<1k",
        "cache_read:0",
        "attempts:2",
        "attempts>1",
        "size:1100",
        "size>1KiB",
    ] {
        assert!(fits(text), "{text}");
    }
    for text in [
        "status:500",
        "status:5xx",
        "status!=200",
        "ending:cut",
        "endpoint:kimi",
        "endpoint:mirror",
        "tried:backup",
        "fault:connect",
        "model:opus",
        "stream:false",
        "error~x",
        "time>30m",
        "time<2h",
        "duration>10s",
        "cache_creation>=0",
        "-cache_read:0",
        "attempts<2",
        "size>2k",
    ] {
        assert!(!fits(text), "{text}");
    }
}

#[test]
fn what_is_not_there_fits_no_term_but_its_negation() {
    let empty = RequestRecord::default();
    for text in ["ttft>0s", "ttft<9h", "endpoint~\"\"", "error:\"\"", "in>=0", "time>2026-01-01", "time<2026-01-01"] {
        assert!(!filter(text).matches(&empty), "{text}");
    }
    assert!(filter("-ttft>5s endpoint!=kimi error!~x").matches(&empty));
}

#[test]
fn text_is_found_anywhere_without_regard_to_case() {
    for text in [
        "req_018f",
        "OPUS",
        "修一下",
        "CLAUDE-cli",
        "x-app",
        "ping",
        "limited",
        "200",
        "complete",
        "\"beta=true\"",
        r#""\"parser\"""#,
        r#""\"parser\"\nPLEASE""#,
        "/v1/messages",
        "-nothing",
        "kimi mirror-1",
        "a.b or ping",
    ] {
        assert!(fits(text), "{text}");
    }
    assert!(!fits("修 下") || fits("修"), "both words stand there");
    for text in ["absent", "\"kimi mirror-1\"", "-ping", "not (ping or absent)", "p.ng"] {
        assert!(!fits(text), "{text}");
    }
}

#[test]
fn words_join_as_people_read_them() {
    for (text, expected) in [
        ("a b or c", "(\"a\" \"b\") or \"c\""),
        ("a and b", "\"a\" \"b\""),
        ("a (b or c)", "\"a\" (\"b\" or \"c\")"),
        ("not a b", "-\"a\" \"b\""),
        ("-(a b)", "-(\"a\" \"b\")"),
        ("NOT NOT a", "--\"a\""),
        ("\"or\" \"and\"", "\"or\" \"and\""),
        ("a-b", "\"a-b\""),
        ("order android nothing", "\"order\" \"android\" \"nothing\""),
        ("status != 5xx", "-status:5xx"),
        ("ttft>1.5s", "ttft>1500ms"),
        ("endpoint: \"a b\"", "endpoint:\"a b\""),
        ("model", "\"model\""),
        ("time:2026-03-09T11:00:00Z", "time>=2026-03-09T11:00:00.000Z time<2026-03-09T11:00:00.001Z"),
        ("since:2026-03-09T11:00:00Z x", "time>=2026-03-09T11:00:00.000Z \"x\""),
        ("http", "\"http\""),
        ("/v1/messages?beta=true", "\"/v1/messages?beta=true\""),
    ] {
        let parsed = filter(text);
        assert_eq!(parsed.to_string(), expected, "{text}");
        assert_eq!(filter(expected), parsed, "{text}");
    }
}

#[test]
fn a_wrong_filter_points_at_the_place() {
    for (text, span, message, hint) in [
        ("stauts:200", (0, 6), "there is no field `stauts`", "did you mean `status`?"),
        ("修 stauts:200", (2, 8), "there is no field `stauts`", "did you mean `status`?"),
        ("https://x", (0, 5), "there is no field `https`", "put it in quotes"),
        ("status~4", (6, 7), "`status` cannot be asked with `~`", "it takes : = != > >= < <="),
        ("endpoint>a", (8, 9), "`endpoint` cannot be asked with `>`", "it takes : = != ~ !~"),
        ("status:4x4", (7, 10), "`4x4` is nothing that `status` can be", "a status is a number"),
        ("status>4xx", (7, 10), "`4xx` is nothing", "a status is"),
        ("ending:done", (7, 11), "`done` is nothing", "complete, relayed_error"),
        ("ttft>5", (5, 6), "`5` is nothing that `ttft`", "a duration has a unit"),
        ("time>soon", (5, 9), "`soon` is no time", "a time is 2h"),
        ("status:", (6, 7), "a value is missing behind `status:`", "for example status>=400"),
        ("a (b", (2, 3), "this `(` is not closed", "add a `)`"),
        ("a )", (2, 3), "this `)` closes nothing", "quote it"),
        ("()", (1, 2), "something is missing before this `)`", ""),
        ("a or", (4, 4), "something is missing at the end", "add a term"),
        ("a and", (5, 5), "something is missing at the end", "add a term"),
        ("-", (1, 1), "something is missing at the end", "add a term"),
        ("a \"b", (2, 4), "this quote is not closed", "add a `\"`"),
    ] {
        let error = Filter::parse(text, now()).unwrap_err();
        assert_eq!(error.span, span, "{text}: {error:?}");
        assert!(error.message.starts_with(message), "{text}: {error:?}");
        assert!(error.hint.unwrap_or_default().starts_with(hint), "{text}");
    }
}

#[test]
fn hostile_filters_are_refused_and_not_obeyed() {
    for text in ["(".repeat(5000), "-".repeat(5000), "not ".repeat(2000), "a".repeat(501), "x ".repeat(6000)] {
        assert!(Filter::parse(&text, now()).is_err());
    }
    let error = Filter::parse("ending:\u{1b}[31m", now()).unwrap_err();
    assert!(!error.message.contains('\u{1b}'), "{error:?}");
}

#[test]
fn what_an_index_can_use_is_told() {
    assert_eq!(filter("status:200 abc model~opus-four").needed_text().unwrap().text(), "opus-four");
    assert!(filter("a or b").needed_text().is_none() && filter("-a").needed_text().is_none());
    assert!(filter("endpoint!=abc \"\"").needed_text().is_none());
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let stretch = filter("since:2026-03-09T11:00:00Z until:2026-03-09T11:30:00Z abc").stretch();
    assert_eq!(stretch, (at("2026-03-09T11:00:00Z"), at("2026-03-09T11:30:00Z")));
    assert_eq!(filter("time>2h or abc").stretch(), (i64::MIN, i64::MAX));
    assert_eq!(filter("time>2h").stretch(), (at("2026-03-09T10:00:00.001Z"), i64::MAX));
}

#[test]
fn filters_join() {
    let both = filter("a or b").and(filter("c"));
    assert_eq!(both.to_string(), "(\"a\" or \"b\") \"c\"");
    assert_eq!(Filter::default().and(filter("c")), filter("c"));
    assert!(Filter::default().and(Filter::default()).is_empty() && Filter::between(None, None).is_empty());
    let hour = Filter::between(Some(now() - Duration::from_hours(2)), Some(now()));
    assert!(hour.matches(&record()) && !Filter::between(Some(now()), None).matches(&record()));
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("status>=400".to_owned()),
        Just("-".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just(" or ".to_owned()),
        Just("\"".to_owned()),
        Just("time:yesterday".to_owned()),
        Just("endpoint~".to_owned()),
        Just("\\".to_owned()),
        "[a-z_]{1,9}(:|=|!=|~|!~|>|>=|<|<=)[^ ]{0,6}",
        any::<String>(),
        Just(" ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_printed_is_the_same_filter(text in pieces()) {
        match Filter::parse(&text, now()) {
            Ok(parsed) => {
                let printed = parsed.to_string();
                let again = Filter::parse(&printed, now());
                prop_assert_eq!(again, Ok(parsed.clone()), "{}", printed);
                let record = record();
                let line = serde_json::to_vec(&record).unwrap();
                prop_assert!(!parsed.matches(&record) || parsed.may_match_line(&line));
            }
            Err(error) => {
                let length = text.chars().count();
                prop_assert!(error.span.0 <= error.span.1 && error.span.1 <= length, "{:?}", error);
            }
        }
    }
}
