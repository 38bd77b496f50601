//! No credential of the client, and nothing hop-by-hop, reaches an endpoint, whatever the headers look like.
#![no_main]

use claude_proxy::domain::endpoint::Auth;
use claude_proxy::domain::headers;
use claude_proxy::domain::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// `name: value` lines; lines that are no header are passed over.
fn parse(data: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fuzz_target!(|data: &[u8]| {
    let client = parse(data);
    let auth = Auth::ApiKey(Secret::new("sk-endpoint"));
    let out = headers::outbound(&client, &auth, Some(&Secret::new("own-token")));
    assert_eq!(out.get_all("x-api-key").iter().collect::<Vec<_>>(), ["sk-endpoint"]);
    for gone in ["authorization", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "expect"] {
        assert!(!out.contains_key(gone), "{gone}");
    }
    let _ = headers::inbound(client.clone());
    let _ = headers::retry_after(&client, std::time::SystemTime::UNIX_EPOCH);
    let _ = headers::media_type(&client);
});
