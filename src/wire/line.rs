//! A record as the line that stands for it, parsed when somebody asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::record::RequestRecord;

/// One finished request in memory: its line as the log has it (bodies in their short form), credentials replaced.
#[derive(Debug)]
pub struct RecordLine {
    id: Box<str>,
    line: Box<[u8]>,
    record: OnceLock<Option<Arc<RequestRecord>>>,
    /// Whether a log file has it too, and there with all of its bodies.
    filed: AtomicBool,
}

impl RecordLine {
    pub fn new(id: &str, line: &[u8]) -> Self {
        Self { id: id.into(), line: line.into(), record: OnceLock::new(), filed: AtomicBool::new(false) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// One JSON object and a line break.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// It is in a log file now.
    pub fn set_filed(&self) {
        self.filed.store(true, Ordering::Release);
    }

    pub fn is_filed(&self) -> bool {
        self.filed.load(Ordering::Acquire)
    }

    /// Parsed once, however often it is asked for.
    pub fn record(&self) -> Option<Arc<RequestRecord>> {
        self.record.get_or_init(|| serde_json::from_slice(&self.line).ok().map(Arc::new)).clone()
    }
}
