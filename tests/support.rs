//! What the tests share: an upstream that misbehaves by script, the proxy as a process, a client that sees bytes.

pub mod admin;
pub mod browser;
#[cfg(target_os = "linux")]
pub mod chance;
pub mod client;
#[cfg(target_os = "linux")]
pub mod machine;
pub mod outbound;
pub mod program;
pub mod proxy;
pub mod strict;
pub mod upstream;

use std::time::Duration;

use claude_proxy::clock;

pub use client::{Answer, Client, End, Request};
pub use proxy::Proxy;
pub use upstream::reply::After;
pub use upstream::{Framing, Gate, Part, Reply, Upstream, bodies};

/// Far beyond what anything here takes; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Waits until `holds` does.
///
/// # Panics
/// When it does not within [`PATIENCE`]; `what` says what was awaited.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = clock::now() + PATIENCE;
    while !holds() {
        assert!(clock::now() < limit, "this did not come true: {what}");
        tokio::time::sleep(ms(10)).await;
    }
}

/// An upstream called `name` that answers everything with `reply`.
pub async fn answering(name: &str, reply: Reply) -> Upstream {
    Upstream::new(name).always(reply).start().await.unwrap()
}

/// An upstream called `name` that answers everything rightly.
pub async fn healthy(name: &str) -> Upstream {
    Upstream::new(name).start().await.unwrap()
}

/// What [`healthy`] sends as a body.
pub fn right_body(stream: bool) -> String {
    if stream { bodies::events(&["Hello", " there"]).concat() } else { bodies::message("Hello there") }
}

/// Asserts that `answer` is the whole right answer of the upstream called `name`.
pub fn assert_right(answer: &Answer, stream: bool, name: &str) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.upstream(), name);
    assert_eq!(answer.text(), right_body(stream));
    assert_eq!(answer.end, End::Clean);
}
