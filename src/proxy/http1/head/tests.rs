use super::*;

fn head(text: &str) -> Result<Option<(Head, usize)>, String> {
    Heads::new(Method::POST).take(text.as_bytes())
}

fn framed(lines: &str) -> Result<(Framing, bool), String> {
    let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
    head(&text).map(|head| head.map(|(head, _)| (head.framing, head.keeps)).unwrap())
}

#[test]
fn a_head_says_where_its_body_ends_and_whether_the_connection_lasts() {
    for (lines, framing, keeps) in [
        ("content-length: 5", Framing::Length(5), true),
        ("content-length: 5\r\ncontent-length: 5, 5", Framing::Length(5), true),
        ("content-length: 5\r\nconnection: keep-alive, Close", Framing::Length(5), false),
        ("transfer-encoding: Chunked", Framing::chunked(), true),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked", Framing::chunked(), true),
        ("transfer-encoding: chunked\r\ncontent-length: 5", Framing::chunked(), false),
        ("transfer-encoding: chunked, identity", Framing::UntilClose, false),
        ("transfer-encoding: chunked\r\ntransfer-encoding: gzip", Framing::UntilClose, false),
        ("x: y", Framing::UntilClose, false),
    ] {
        assert_eq!(framed(lines), Ok((framing, keeps)), "{lines}");
    }
}

#[test]
fn lengths_that_others_may_read_otherwise_are_refused() {
    for value in ["", "+5", "-5", "0x5", "5 5", "5,", "5, 6", "5.0", "99999999999999999999"] {
        assert!(framed(&format!("content-length: {value}")).is_err(), "{value}");
    }
    assert!(framed("content-length: 5\r\ncontent-length: 6").is_err());
    assert!(head("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn answers_without_a_body_have_none_whatever_they_say() {
    for status in ["204 No Content", "304 Not Modified"] {
        let (head, _) = head(&format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\n")).unwrap().unwrap();
        assert_eq!((head.framing, head.keeps), (Framing::Length(0), true));
    }
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let (head, _) = Heads::new(Method::HEAD).take(text).unwrap().unwrap();
    assert_eq!((head.framing, head.response.headers()["content-length"].as_bytes()), (Framing::Length(0), &b"5"[..]));
}

#[test]
fn an_old_servers_connection_is_not_kept() {
    let (head, _) = head("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\n").unwrap().unwrap();
    assert!(!head.keeps);
}

#[test]
fn a_head_is_the_same_however_it_is_split_and_the_rest_is_body() {
    let text = "\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n\
                HTTP/1.1 200 OK\r\nx-a:  b \r\nx-empty:\r\nX-A: c\r\ncontent-length: 4\r\n\r\nbody";
    for split in 0..text.len() {
        let mut heads = Heads::new(Method::POST);
        let first = heads.take(&text.as_bytes()[..split]).unwrap();
        let (head, used) = match first {
            Some((head, used)) => (head, used),
            None => heads.take(&text.as_bytes()[split..]).unwrap().map(|(head, used)| (head, used + split)).unwrap(),
        };
        assert_eq!(&text[used..], "body", "at {split}");
        let lines: Vec<_> = head.response.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        let expected: [(&str, &[u8]); 4] = [("x-a", b"b"), ("x-a", b"c"), ("x-empty", b""), ("content-length", b"4")];
        assert_eq!(lines, expected);
    }
}

#[test]
fn heads_without_end_are_given_up() {
    let mut heads = Heads::new(Method::POST);
    assert!(heads.take(b"HTTP/1.1 200 OK\r\nx: ").unwrap().is_none());
    let endless = (0..100).map(|_| heads.take(&[b'x'; 1024])).find_map(Result::err);
    assert_eq!(endless.as_deref(), Some("its head is larger than 64 KiB"));
    let mut heads = Heads::new(Method::POST);
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let endless = (0..100).map(|_| heads.take(hints.as_bytes())).find_map(Result::err);
    assert_eq!(endless.as_deref(), Some("more than 1 MiB came before the answer's head"));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(MAX_HEADERS + 1));
    assert!(head(&many).is_err());
    let some = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(200));
    assert_eq!(head(&some).unwrap().unwrap().0.response.headers().len(), 200);
}
