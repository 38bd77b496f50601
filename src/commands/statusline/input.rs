//! The JSON that Claude Code puts on stdin.

use std::io::{self, IsTerminal, Read};

use serde::Deserialize;
use tokio::sync::oneshot;

/// Far beyond what it sends.
const LARGEST: usize = 256 << 10;

/// What is of use in it; it has much more.
#[derive(Debug, Deserialize)]
struct Input {
    session_id: Option<String>,
}

/// The session that the line is for. Never returns while stdin stays open without a whole object in it: whoever awaits
/// this has a limit.
pub(super) async fn session() -> Option<String> {
    if io::stdin().is_terminal() {
        return None;
    }
    let (tell, told) = oneshot::channel();
    // Not the runtime's own: that one would be waited for at the end.
    std::thread::spawn(move || tell.send(read(&mut io::stdin().lock())));
    told.await.ok().flatten()
}

/// Reads until the object is whole: the pipe may never be closed.
fn read(input: &mut impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let size = input.read(&mut piece).ok().filter(|size| *size > 0)?;
        text.extend_from_slice(&piece[..size]);
        match serde_json::Deserializer::from_slice(&text).into_iter::<Input>().next() {
            Some(Ok(input)) => return input.session_id.filter(|id| !id.is_empty()),
            Some(Err(error)) if !error.is_eof() => return None,
            _ if text.len() > LARGEST => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces, and then fails the test: nobody should have to wait for more.
    struct Pieces(Vec<&'static str>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "it reads on though it has all it needs");
            self.0.remove(0).as_bytes().read(buffer)
        }
    }

    #[test]
    fn the_session_is_known_as_soon_as_its_object_is_whole() {
        let whole = r#"{"session_id":"6e1f","model":{"display_name":"Opus"}}"#;
        assert_eq!(read(&mut Pieces(vec![whole])).as_deref(), Some("6e1f"));
        assert_eq!(read(&mut Pieces(vec!["{\"session", "_id\":\"6e", "1f\"", "}"])).as_deref(), Some("6e1f"));
        assert_eq!(read(&mut Pieces(vec![" \n{\"session_id\":\"6e1f\"} trailing"])).as_deref(), Some("6e1f"));
    }

    #[test]
    fn anything_else_is_no_session() {
        for text in
            ["", "{}", "{\"session_id\":\"\"}", "{\"session_id\":7}", "[]", "garbage", "{\"session", "\u{feff}{}"]
        {
            assert_eq!(read(&mut text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(&mut io::repeat(b' ')), None);
        assert_eq!(read(&mut &[0xff, 0xfe][..]), None);
    }
}
