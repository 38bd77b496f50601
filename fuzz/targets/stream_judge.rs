//! However an upstream's bytes are split, the judge says the same and lets the same bytes through, none but the original ones.
#![no_main]

use bytes::Bytes;
use claude_proxy::proxy::judge::{End, StreamJudge};
use libfuzzer_sys::fuzz_target;

/// What went down, and how it ended: whole, with an error of the stream's own, or broken. `forgiving`: the first bad event
/// behind the commit is let pass, and the stream read on.
fn judge(pieces: &[&[u8]], mut forgiving: bool) -> (Vec<u8>, u8, bool) {
    let mut judge = StreamJudge::default();
    let mut down = Vec::new();
    for piece in pieces {
        let mut next = Some(Bytes::copy_from_slice(piece));
        while let Some(bytes) = next.take() {
            let fed = judge.feed(bytes);
            down.extend_from_slice(&fed.released);
            match fed.end {
                Some(End::Broken { rest, .. }) if forgiving && judge.is_committed() => {
                    forgiving = false;
                    judge.forgive();
                    next = Some(rest);
                }
                Some(end) => return ended(down, &end, judge.is_committed()),
                None => {}
            }
        }
    }
    let committed = judge.is_committed();
    let end = judge.finish(None);
    ended(down, &end, committed)
}

fn ended(mut down: Vec<u8>, end: &End, committed: bool) -> (Vec<u8>, u8, bool) {
    let kind = match end {
        End::Whole(missing) => {
            down.extend_from_slice(missing);
            0
        }
        End::Error(_) => 1,
        End::Broken { .. } => 2,
    };
    // The line feed that belongs to a last carriage return may come too late to be read; clients do without.
    if down.ends_with(b"\r\n") {
        down.pop();
    }
    (down, kind, committed)
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, stream)) = data.split_first() else { return };
    let forgiving = step >= 128;
    let whole = judge(&[stream], forgiving);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(step % 17) + 1).collect();
    assert_eq!(judge(&pieces, forgiving), whole);
    let original = whole.0.iter().zip(stream).take_while(|(down, up)| down == up).count();
    // The only bytes of our own: a `message_stop` that the upstream left out, or a last line feed.
    assert!(original == whole.0.len() || whole.1 == 0);
});
