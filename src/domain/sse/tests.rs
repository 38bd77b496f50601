use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

/// Name and data of each event, `None` for a blank one; what was released after each push; the error.
#[derive(Debug, PartialEq)]
struct Story {
    events: Vec<Option<(String, String)>>,
    released: Vec<Vec<u8>>,
    unfinished: usize,
    error: Option<SseError>,
}

impl Story {
    fn bytes(&self) -> Vec<u8> {
        self.released.concat()
    }
}

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Story {
    let mut parser = SseParser::new(limit);
    let mut story = Story { events: vec![], released: vec![], unfinished: 0, error: None };
    for piece in pieces {
        parser.push(Bytes::copy_from_slice(piece));
        loop {
            match parser.next_event() {
                Ok(Some(event)) if event.is_blank() => story.events.push(None),
                Ok(Some(event)) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let name = event.name.map_or("-".to_owned(), text);
                    story.events.push(Some((name, event.data.as_deref().map_or("-".to_owned(), text))));
                }
                Ok(None) => break,
                Err(error) => {
                    story.error = Some(error);
                    break;
                }
            }
        }
        story.released.push(parser.release().to_vec());
        if story.error.is_some() {
            return story;
        }
    }
    story.unfinished = parser.unfinished();
    story
}

fn whole(text: &str) -> Story {
    parse([text.as_bytes()], LIMIT)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside None in the tables")]
fn event(name: &str, data: &str) -> Option<(String, String)> {
    Some((name.to_owned(), data.to_owned()))
}

#[test]
fn the_standards_own_examples() {
    let story =
        whole("data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\n");
    let two_lines = "This is the second message, it\nhas two lines.";
    assert_eq!(story.events, [event("-", "This is the first message."), event("-", two_lines)]);
    let story = whole(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n");
    assert_eq!(story.events, [None, None, event("-", "first event"), event("-", "second event")]);
    assert_eq!(story.unfinished, "data:  third event\n".len());
    assert_eq!(whole("data\n\ndata\ndata\n\ndata:").events, [event("-", ""), event("-", "\n")]);
    assert_eq!(whole("data:test\n\ndata: test\n\n").events, [event("-", "test"), event("-", "test")]);
}

#[test]
fn the_last_name_counts_and_a_name_alone_is_an_event() {
    let story = whole("event: a\nevent: b\ndata: x\n\nevent: c\n\nevent\ndata:  y: z \n\n");
    assert_eq!(story.events, [event("b", "x"), event("c", "-"), event("", " y: z ")]);
}

#[test]
fn every_line_end_ends_a_line() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ": c\n\nevent: a\ndata: 1\ndata: 2\n\n\ndata: 3\n\n".replace('\n', end);
        let story = whole(&text);
        assert_eq!(story.events, [None, None, event("a", "1\n2"), None, event("-", "3")], "{end:?}");
        assert_eq!((story.bytes(), story.unfinished), (text.into_bytes(), 0));
    }
}

#[test]
fn a_cr_at_the_end_of_a_piece_releases_at_once_and_its_lf_follows() {
    let story = parse([&b"data: 1\r\n\r"[..], b"\n", b"data: 2\r\r", b"\n: c\r", b"\n\n"], LIMIT);
    assert_eq!(story.events, [event("-", "1"), event("-", "2"), None, None]);
    assert_eq!(story.released, [&b"data: 1\r\n\r"[..], b"\n", b"data: 2\r\r", b"\n: c\r", b"\n\n"]);
}

#[test]
fn comments_go_down_at_once_but_not_out_of_an_event() {
    let story = parse([&b": a\n"[..], b"\n", b"data: 1\n: in", b"side\n", b"\n: b\n"], LIMIT);
    assert_eq!(story.events, [None, None, event("-", "1"), None]);
    assert_eq!(story.released, [&b": a\n"[..], b"\n", b"", b"", b"data: 1\n: inside\n\n: b\n"]);
}

#[test]
fn a_bom_is_tolerated_at_the_very_start_only() {
    let story = whole("\u{feff}event: a\ndata: 1\n\n");
    assert_eq!(story.events, [event("a", "1")]);
    assert_eq!(story.bytes(), "\u{feff}event: a\ndata: 1\n\n".as_bytes());
    assert!(whole("data: 1\n\n\u{feff}data: 2\n\n").error.is_some());
    assert!(whole("\u{feff}\u{feff}").error.is_some());
}

#[test]
fn what_is_no_field_fails_before_its_line_ends() {
    for (text, said) in [
        ("<html>", "event 1 has a line that is no field of an event stream: <html>"),
        ("{\"type\":", "event 1 has a line that is no field of an event stream: {\"type\":"),
        (" data: x", "event 1 has a line that is no field of an event stream:  data: x"),
        ("data: 1\n\n: c\nevent: b\ndatax", "event 2 has a line that is no field of an event stream: datax"),
        ("dat\n", "event 1 has a line that is no field of an event stream: dat"),
        ("Data: x\n", "event 1 has a line that is no field of an event stream: Data: x"),
        ("idea: x\n", "event 1 has a line that is no field of an event stream: idea: x"),
    ] {
        assert_eq!(whole(text).error.map(|error| error.to_string()).as_deref(), Some(said), "{text:?}");
    }
    for text in ["", "d", "dat", "data", "data:", "e", "event", "i", "id", "r", "retry", ":", "\u{feff}"] {
        assert_eq!(whole(text).error, None, "{text:?}");
    }
}

#[test]
fn after_an_error_the_good_events_can_be_released_and_nothing_else() {
    let mut parser = SseParser::new(LIMIT);
    parser.push(Bytes::from_static(b"data: 1\n\n: c\nevent: x\noops\n\ndata: 2\n\n"));
    assert!(parser.next_event().unwrap().is_some());
    assert!(parser.next_event().unwrap().unwrap().is_blank());
    let error = parser.next_event().unwrap_err();
    parser.push(Bytes::from_static(b"data: 3\n\n"));
    assert_eq!(parser.next_event().unwrap_err(), error);
    assert_eq!(parser.release(), &b"data: 1\n\n: c\n"[..]);
    assert_eq!(parser.release(), &b""[..]);
    assert_eq!(parser.into_rest(), &b"event: x\noops\n\ndata: 2\n\n"[..]);
}

#[test]
fn a_rejected_event_is_not_released() {
    let mut parser = SseParser::new(LIMIT);
    parser.push(Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3\n\n"));
    parser.next_event().unwrap();
    parser.next_event().unwrap();
    parser.reject();
    assert_eq!(parser.next_event(), Err(SseError::Rejected { event: 2 }));
    assert_eq!(parser.release(), &b"data: 1\n\n"[..]);
    assert_eq!(parser.into_rest(), &b"data: 2\n\ndata: 3\n\n"[..]);
}

#[test]
fn an_event_is_as_long_as_the_limit_at_most() {
    let event = "event: a\ndata: 12345\n";
    let limit = event.len();
    for pieces in [event.len() + 1, 7, 1] {
        let story = |text: &str| parse(text.as_bytes().chunks(pieces), limit);
        assert_eq!(story(&format!("{event}\n{event}\n")).error, None);
        let long = story(&format!("{event}\n{}\n", event.replace('5', "56")));
        assert_eq!(long.error, Some(SseError::TooLong { event: 2, limit }));
        assert_eq!(long.bytes(), format!("{event}\n").into_bytes());
        assert!(story(&": c".repeat(limit)).error.is_some(), "an endless comment");
    }
}

#[test]
fn one_chunk_is_released_without_a_copy() {
    let chunk = Bytes::from("data: 1\n\ndata: 2\n\ndata: 3".to_owned());
    let mut parser = SseParser::new(LIMIT);
    parser.push(chunk.clone());
    parser.next_event().unwrap();
    let first = parser.release();
    assert_eq!((first.as_ptr(), &first[..]), (chunk.as_ptr(), &b"data: 1\n\n"[..]));
    parser.next_event().unwrap();
    assert!(parser.next_event().unwrap().is_none());
    let second = parser.release();
    assert_eq!((second.as_ptr(), &second[..]), (chunk[9..].as_ptr(), &b"data: 2\n\n"[..]));
}

#[test]
fn a_kept_tail_keeps_no_read_buffer_alive() {
    for head in ["data: 1\n\n", ""] {
        let chunk = Bytes::from(format!("{head}data: 2"));
        let mut parser = SseParser::new(LIMIT);
        parser.push(chunk.clone());
        while parser.next_event().unwrap().is_some() {}
        assert_eq!(parser.release(), head.as_bytes());
        assert!(chunk.is_unique(), "{head:?}");
        assert_eq!(parser.unfinished(), 7);
        parser.push(Bytes::from_static(b"\n\n"));
        assert_eq!(parser.next_event().unwrap().unwrap().data.as_deref(), Some(&b"2"[..]));
        assert_eq!(parser.release(), &b"data: 2\n\n"[..]);
    }
}

#[test]
fn a_big_event_in_small_pieces_takes_linear_time() {
    let big = format!("event: a\ndata: {}\ndata: {}\n\n", "x".repeat(4 << 20), "y".repeat(4 << 20));
    let story = parse(big.as_bytes().chunks(64), 16 << 20);
    assert_eq!(story.events.len(), 1);
    assert_eq!(story.bytes(), big.as_bytes());
}

/// Bytes that are often a stream, or nearly.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "(event|data|id|retry|):? ?[a-z:{\"]{0,6}".prop_map(String::into_bytes),
        12 => "\n|\r|\r\n|\n\n|\r\r|\r\n\r\n".prop_map(String::into_bytes),
        1 => Just(BOM.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_split_changes_nothing(bytes in soup(), mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), limit in 8_usize..64) {
        let once = parse([&bytes[..]], limit);
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        let mut split = parse(pieces, limit);
        let mut bytewise = parse(bytes.chunks(1), limit);
        for split in [&mut split, &mut bytewise] {
            let kind = |story: &Story| story.error.as_ref().map(std::mem::discriminant);
            if kind(&once).is_none() || kind(split).is_none() {
                prop_assert_eq!(&split.error, &once.error);
            }
            prop_assert_eq!(&split.events, &once.events);
            prop_assert!(bytes.starts_with(&split.bytes()));
            prop_assert_eq!(split.bytes(), once.bytes());
            prop_assert_eq!(split.unfinished, once.unfinished);
        }
        if once.error.is_none() {
            prop_assert_eq!(once.bytes().len() + once.unfinished, bytes.len());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, size in 1_usize..9) {
        let story = parse(bytes.chunks(size), 32);
        prop_assert!(bytes.starts_with(&story.bytes()));
    }
}
