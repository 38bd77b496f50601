//! The log of the requests, and the part of it that the filter lets through.

use std::sync::Arc;

use super::log::{Log, Row};
use crate::wire::filter::Filter;
use crate::wire::logs::LogPage;
use crate::wire::record::RequestRecord;

/// What the filter lets through, with a reader of its own.
#[derive(Clone, Debug)]
pub struct Matching {
    pub text: String,
    filter: Filter,
    pub log: Log,
}

#[derive(Clone, Debug, Default)]
pub struct Requests {
    pub all: Log,
    pub matching: Option<Matching>,
}

impl Requests {
    /// What the reader sees.
    pub fn shown(&self) -> &Log {
        self.matching.as_ref().map_or(&self.all, |matching| &matching.log)
    }

    pub fn shown_mut(&mut self) -> &mut Log {
        self.matching.as_mut().map_or(&mut self.all, |matching| &mut matching.log)
    }

    pub fn filter_text(&self) -> Option<&str> {
        self.matching.as_ref().map(|matching| matching.text.as_str())
    }

    /// A finished request; one that is known already is passed over. Whether it was new.
    pub fn push(&mut self, record: &Arc<RequestRecord>) -> bool {
        if self.all.find(&record.id).is_some() {
            return false;
        }
        self.all.push(Row::Request(Arc::clone(record)));
        if let Some(matching) = &mut self.matching
            && matching.filter.matches(record)
        {
            matching.log.push(Row::Request(Arc::clone(record)));
        }
        true
    }

    /// The newest page: at first all of it, later what is new in it. How many were new.
    pub fn recent(&mut self, page: LogPage) -> usize {
        if self.all.count() == 0 {
            let count = page.logs.len();
            let rows: Vec<Row> = rows(page.logs).collect();
            (self.all.next, self.all.whole) = (page.next.clone(), page.next.is_none());
            self.all.prepend(rows);
            return count;
        }
        let known = page.logs.iter().position(|record| self.all.find(&record.id).is_some());
        if known.is_none() && !page.logs.is_empty() {
            self.all
                .push(Row::Note("some requests between these are not shown: claude-proxy logs search has them".into()));
        }
        let new = known.unwrap_or(page.logs.len());
        let new: Vec<_> = page.logs.into_iter().take(new).map(Arc::new).collect();
        new.iter().rev().filter(|record| self.push(record)).count()
    }

    /// Shows only what fits.
    pub fn filter(&mut self, text: &str, filter: Filter) {
        let mut log = Log::default();
        for record in self.all.rows().filter_map(Row::record).filter(|record| filter.matches(record)) {
            log.push(Row::Request(Arc::clone(record)));
        }
        (log.next, log.whole) = (self.all.next.clone(), self.all.whole);
        self.matching = Some(Matching { text: text.to_owned(), filter, log });
    }

    /// Everything is shown again; the reader stays on the request, where it is held.
    pub fn clear_filter(&mut self, height: usize) {
        let Some(matching) = self.matching.take() else { return };
        let at = matching.log.selected().and_then(|record| self.all.find(&record.id));
        match at.filter(|_| !matching.log.follows()) {
            Some(at) => self.all.go_to(at, height),
            None => self.all.follow(),
        }
    }

    /// A page of older ones; `before`: as it was asked, `None` for the newest that fit.
    pub fn older(&mut self, filter: Option<&str>, before: Option<&str>, page: LogPage) {
        if filter != self.filter_text() {
            return;
        }
        match (&mut self.matching, before) {
            (Some(_), None) => self.found(page),
            _ => {
                let log = self.shown_mut();
                log.fetching = false;
                if before != log.next.as_deref() {
                    return;
                }
                (log.next, log.whole) = (page.next.clone(), page.next.is_none());
                let new = page.logs.into_iter().filter(|record| log.find(&record.id).is_none());
                let rows = rows(new.collect()).collect();
                log.prepend(rows);
            }
        }
    }

    /// The proxy searched bodies too, which are not held here: what it found stands, and what came since is kept.
    fn found(&mut self, page: LogPage) {
        let Some(matching) = &mut self.matching else { return };
        let newest = page.logs.first().and_then(|record| self.all.find(&record.id));
        let mut log = Log::default();
        log.next.clone_from(&page.next);
        log.whole = page.next.is_none();
        let found: Vec<Row> = rows(page.logs).collect();
        let held: Vec<Row> = matching.log.rows().cloned().collect();
        log.prepend(found);
        for row in held {
            let Some(record) = row.record() else { continue };
            let newer = newest.is_none_or(|newest| self.all.find(&record.id).is_some_and(|at| at > newest));
            if newer && log.find(&record.id).is_none() {
                log.push(row);
            }
        }
        if matching.log.follows() {
            matching.log = log;
        } else {
            matching.log.fetching = false;
        }
    }

    /// The place behind which older ones are to be fetched, when the reader comes near the oldest; marks it as asked.
    pub fn wants_older(&mut self, height: usize) -> Option<(Option<String>, Option<String>)> {
        let filter = self.filter_text().map(str::to_owned);
        let log = self.shown_mut();
        let before = log.next.clone().filter(|_| log.wants_older(height))?;
        log.fetching = true;
        Some((filter, Some(before)))
    }
}

/// Newest first becomes oldest first.
fn rows(newest_first: Vec<RequestRecord>) -> impl Iterator<Item = Row> {
    newest_first.into_iter().rev().map(|record| Row::Request(Arc::new(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::Motion;

    fn record(id: usize) -> RequestRecord {
        RequestRecord { id: id.to_string(), ..RequestRecord::default() }
    }

    fn page(ids: impl DoubleEndedIterator<Item = usize>, next: Option<&str>) -> LogPage {
        LogPage { logs: ids.rev().map(record).collect(), next: next.map(str::to_owned) }
    }

    fn ids(log: &Log) -> Vec<&str> {
        log.rows().map(|row| row.record().map_or("note", |record| record.id.as_str())).collect()
    }

    #[test]
    fn after_a_gap_only_what_is_new_is_added() {
        let mut requests = Requests::default();
        assert_eq!(requests.recent(page(1..4, Some("a"))), 3);
        assert_eq!(requests.recent(page(2..6, Some("b"))), 2);
        assert_eq!(ids(&requests.all), ["1", "2", "3", "4", "5"]);
        assert_eq!(requests.all.next.as_deref(), Some("a"), "the oldest page is the one to go on from");
        assert!(!requests.push(&Arc::new(record(5))), "told twice");
        assert_eq!(requests.recent(page(10..12, Some("c"))), 2);
        assert_eq!(ids(&requests.all)[5..], ["note", "10", "11"]);
    }

    #[test]
    fn older_ones_come_page_by_page() {
        let mut requests = Requests::default();
        requests.recent(page(10..13, Some("a")));
        assert_eq!(requests.wants_older(5), None, "nobody looks there");
        requests.all.go(Motion::Up, 5);
        assert_eq!(requests.wants_older(5), Some((None, Some("a".into()))));
        assert_eq!(requests.wants_older(5), None, "asked already");
        requests.older(None, Some("a"), page(7..11, None));
        assert_eq!(ids(&requests.all), ["7", "8", "9", "10", "11", "12"]);
        assert_eq!(requests.wants_older(9), None, "that was all");
        requests.older(None, Some("a"), page(1..3, None));
        assert_eq!(requests.all.count(), 6, "an answer that nobody waits for");
    }

    #[test]
    fn the_reader_stays_on_the_request_when_the_filter_goes() {
        let mut requests = Requests::default();
        requests.recent(page(0..50, None));
        requests.filter("x", Filter::default());
        requests.shown_mut().go(Motion::First, 5);
        requests.clear_filter(5);
        assert_eq!(requests.all.selected().unwrap().id, "0");
        assert!(!requests.all.follows());
    }

    #[test]
    fn what_the_proxy_found_stands_and_what_came_since_is_kept() {
        let mut requests = Requests::default();
        requests.recent(page(0..5, None));
        requests.filter("x", Filter::default());
        requests.push(&Arc::new(record(5)));
        requests.older(Some("x"), None, page([1, 3].into_iter(), Some("n")));
        assert_eq!(ids(requests.shown()), ["1", "3", "4", "5"]);
        requests.older(Some("y"), None, page(0..1, None));
        assert_eq!(requests.shown().count(), 4, "the answer to another filter");
    }
}
