//! Any bytes in a log file: never a panic, and every whole line that is a record is found, newest first, with an index
//! and without.
#![no_main]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use claude_proxy::logs::follow::Follow;
use claude_proxy::logs::store::{LogStore, Query};
use claude_proxy::wire::filter::Filter;
use claude_proxy::wire::logs::Detail;
use claude_proxy::wire::record::RequestRecord;
use libfuzzer_sys::fuzz_target;

/// Cheap to write for a fuzzer: `@` stands for a whole small record.
const RECORD: &[u8] = br#"{"id":"r","status":200,"time":"2026-03-09T12:00:00Z"}"#;

/// Fits every record, and is a question that the index has the answer to.
const EVERY: &str = "stream:true or stream:false";

fn ids(store: &LogStore, filter: &str, detail: Detail) -> Vec<String> {
    let filter = Filter::parse(filter, SystemTime::UNIX_EPOCH).unwrap();
    let query = Query { filter: &filter, before: None, limit: usize::MAX, detail };
    let mut ids = Vec::new();
    let mut hit = |record: RequestRecord| {
        ids.push(record.id);
        ControlFlow::Continue(())
    };
    store.search(&query, &AtomicBool::new(false), &mut hit).unwrap();
    ids
}

/// A line without an id is somebody else's.
fn id(line: &[u8]) -> Option<String> {
    serde_json::from_slice::<RequestRecord>(line).ok().map(|record| record.id).filter(|id| !id.is_empty())
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Vec::new();
    for byte in input {
        match byte {
            b'@' => bytes.extend_from_slice(RECORD),
            other => bytes.push(*other),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut follow = Follow::from_end(folder.path()).unwrap();
    std::fs::write(folder.path().join("requests-2026-03-09.jsonl"), &bytes).unwrap();

    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    let lines = || whole.split(|byte| *byte == b'\n');
    let mut expected: Vec<String> = lines().filter_map(id).collect();
    let mut followed = Vec::new();
    follow
        .poll(&mut |line| {
            followed.extend(id(line));
            Ok(())
        })
        .unwrap();
    assert_eq!(followed, expected);
    expected.reverse();
    let store = LogStore::open(folder.path());
    for filter in ["", EVERY] {
        assert_eq!(ids(&store, filter, Detail::Whole), expected, "{filter}");
    }
    for id in expected.iter().filter(|id| !id.is_empty()).take(3) {
        assert!(store.get(id).unwrap().is_some_and(|record| record.id == *id));
    }
    let _ = store.with_prefix("r", 9).unwrap();
});
