//! A record as the line that stands for it, parsed when somebody asks.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::record::RequestRecord;

/// One finished request in memory: its line as the log has it (bodies in their short form), credentials replaced.
#[derive(Debug)]
pub struct RecordLine {
    id: Box<str>,
    line: Box<[u8]>,
    record: OnceLock<Option<Arc<RequestRecord>>>,
    /// One of the states below.
    filed: AtomicU8,
}

/// On its way to a log file, unless the settings leave it out or the disk refuses it.
const FRESH: u8 = 0;
/// A log file has it too, and there with all of its bodies.
const FILED: u8 = 1;
/// No file will have it.
const UNFILED: u8 = 2;

impl RecordLine {
    pub fn new(id: &str, line: &[u8]) -> Self {
        Self { id: id.into(), line: line.into(), record: OnceLock::new(), filed: AtomicU8::new(FRESH) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// One JSON object and a line break.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Whether it is in a log file now; it will not come to be in one later.
    pub fn settle(&self, filed: bool) {
        self.filed.store(if filed { FILED } else { UNFILED }, Ordering::Release);
    }

    pub fn is_filed(&self) -> bool {
        self.filed.load(Ordering::Acquire) == FILED
    }

    pub fn is_settled(&self) -> bool {
        self.filed.load(Ordering::Acquire) != FRESH
    }

    /// Parsed once, however often it is asked for.
    pub fn record(&self) -> Option<Arc<RequestRecord>> {
        self.record.get_or_init(|| serde_json::from_slice(&self.line).ok().map(Arc::new)).clone()
    }
}
