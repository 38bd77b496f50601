//! The finished requests of a log directory, read back: pages, searches, sums. Everything here may wait for the disk.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use crate::wire::filter::Filter;
use crate::wire::logs::{Detail, LogPage};
use crate::wire::record::RequestRecord;
use crate::wire::stats::StatsView;

/// What is asked of the log.
#[derive(Debug)]
pub struct Query<'a> {
    pub filter: &'a Filter,
    /// [`LogPage::next`] of the page before; `None`: from the newest on.
    pub before: Option<&'a str>,
    pub limit: usize,
    pub detail: Detail,
}

/// Reads a log directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogStore {}

impl LogStore {
    pub fn open(_directory: &Path) -> Self {
        Self {}
    }

    /// The newest records that fit. Ends early, with what it has, once `stop` is set.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read; one that is not there is empty.
    pub fn page(&self, _query: &Query<'_>, _stop: &AtomicBool) -> io::Result<LogPage> {
        Ok(LogPage::default())
    }

    /// Every record that fits, newest first, as it is found, until `hit` breaks or `query.limit` is reached.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn search(
        &self,
        _query: &Query<'_>,
        _stop: &AtomicBool,
        _hit: &mut dyn FnMut(RequestRecord) -> ControlFlow<()>,
    ) -> io::Result<()> {
        Ok(())
    }

    /// One record with its bodies as the file has them; the newest of that id.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn get(&self, _id: &str) -> io::Result<Option<RequestRecord>> {
        Ok(None)
    }

    /// Sums over `from..to` in equal steps.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn stats(&self, _from: SystemTime, _to: SystemTime, _step: Duration) -> io::Result<StatsView> {
        Ok(StatsView::default())
    }
}
