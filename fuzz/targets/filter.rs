//! Whatever somebody types: a filter that can be asked, or a fault within what was typed. Never a panic.
//!
//! The first line is the filter, the rest a line of a log file.
#![no_main]

use std::time::{Duration, SystemTime};

use claude_proxy::wire::filter::Filter;
use claude_proxy::wire::record::RequestRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (text, line) = input.split_once('\n').unwrap_or((input, ""));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_773_057_600);
    let filter = match Filter::parse(text, now) {
        Ok(filter) => filter,
        Err(error) => {
            let (start, end) = error.span;
            // Counted in characters, so that it is between two of them wherever it is.
            assert!(start <= end && end <= text.chars().count(), "{text:?} {error:?}");
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
            return;
        }
    };
    let again = match Filter::parse(&filter.to_string(), now) {
        Ok(again) => again,
        // Printed, it may take more letters and parentheses than were typed.
        Err(error) if error.message.ends_with("too deep") || error.message.ends_with("too long") => return,
        Err(error) => panic!("{filter}: {error:?}"),
    };
    assert_eq!(again.to_string(), filter.to_string());
    let _ = (filter.reads_bodies(), filter.stretch(), filter.needed_text());
    let _ = filter.may_match_line(line.as_bytes());
    let record = serde_json::from_str::<RequestRecord>(line).unwrap_or_default();
    let matches = filter.matches(&record);
    assert_eq!(again.matches(&record), matches, "{filter}");
    // What the record says in its own words stands in the line that our writer would make of it.
    let line = serde_json::to_string(&record).unwrap();
    assert!(!matches || filter.may_match_line(line.as_bytes()), "{filter} {line}");
});
