//! The judge of JSON answers and the peek at requests never panic; what our reader takes for JSON is JSON, and the other way round.
#![no_main]

use bytes::Bytes;
use claude_proxy::domain::json::{self, Json};
use claude_proxy::domain::{message, peek};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let ours = json::read(data, |json: &mut Json<'_>| json.skip()).is_ok();
    let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok();
    // serde_json gives up on deep nesting before we do.
    if !data.iter().filter(|byte| matches!(byte, b'[' | b'{')).nth(100).is_some() {
        assert_eq!(ours, theirs && std::str::from_utf8(data).is_ok());
    }
    let _ = (message::check_message(data), message::check_token_count(data), message::api_error(data));
    let middle = data.len() / 2;
    let whole = peek::peek(&[Bytes::copy_from_slice(data)]);
    let halves = peek::peek(&[Bytes::copy_from_slice(&data[..middle]), Bytes::copy_from_slice(&data[middle..])]);
    assert_eq!(format!("{whole:?}"), format!("{halves:?}"));
});
