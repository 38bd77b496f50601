//! Values that only the config, the log or a running proxy know, for the arguments that take one.

use std::ffi::OsStr;

use clap::builder::StyledStr;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::typed::Typed;
use crate::wire::harmless::harmless;
use crate::wire::record::RequestRecord;
use crate::wire::words::{NOTHING, day_and_clock, short_model};

/// Log ids that are offered; who wants an older one types its beginning from a search.
const IDS: usize = 50;

/// For an argument that takes an endpoint's name.
pub(super) fn endpoint() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_str().unwrap_or_default();
        // A name with a dash in front would be read as a flag.
        let known = Typed::now().endpoints().into_iter();
        let fits = known.filter(|(name, _)| name.starts_with(typed) && !name.starts_with('-'));
        fits.map(|(name, url)| CompletionCandidate::new(name).help(url.as_deref().map(shown))).collect()
    })
}

/// For an argument that takes the id of a logged request: the newest ones.
pub(super) fn log_id() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_str().unwrap_or_default();
        let known = Typed::now().recent(IDS).into_iter();
        let fits = known.filter(|record| record.id.starts_with(typed) && is_word(&record.id));
        fits.map(|record| CompletionCandidate::new(&record.id).help(Some(in_short(&record).into()))).collect()
    })
}

/// A running proxy may be anybody's.
fn shown(url: &str) -> StyledStr {
    harmless(url, false).into_owned().into()
}

/// An upstream chooses the ids of its answers: what would be read as something else is not offered.
fn is_word(id: &str) -> bool {
    !id.starts_with('-') && !id.is_empty() && id.chars().all(|letter| !letter.is_control() && !letter.is_whitespace())
}

/// `14:02:07 200 mirror-1 sonnet-5`
pub(super) fn in_short(record: &RequestRecord) -> String {
    let endpoint = record.endpoint.as_deref().unwrap_or(NOTHING);
    let model = record.model.as_deref().map_or(NOTHING, short_model);
    let told = format!("{} {} {endpoint} {model}", day_and_clock(&record.time), record.status);
    harmless(&told, false).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_be_read_as_something_else_is_not_offered() {
        assert!(is_word("req_018f:x"));
        for id in ["", "--json", "a b", "a\x1b[2J", "a\nb"] {
            assert!(!is_word(id), "{id}");
        }
    }

    #[test]
    fn an_id_is_told_by_what_it_was() {
        let record =
            RequestRecord { model: Some("claude-opus-4-8\x1b".into()), status: 529, ..RequestRecord::default() };
        let told = in_short(&record);
        assert!(told.ends_with("529 - opus-4-8\\u{1b}"), "{told}");
    }
}
