//! A record as the line that stands for it, parsed when somebody asks.

use std::sync::{Arc, OnceLock};

use super::record::RequestRecord;

/// One finished request in memory: its line as the log has it (bodies in their short form), credentials replaced.
#[derive(Debug)]
pub struct RecordLine {
    id: Box<str>,
    line: Box<[u8]>,
    record: OnceLock<Option<Arc<RequestRecord>>>,
}

impl RecordLine {
    pub fn new(id: &str, line: &[u8]) -> Self {
        Self { id: id.into(), line: line.into(), record: OnceLock::new() }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// One JSON object and a line break.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Parsed once, however often it is asked for.
    pub fn record(&self) -> Option<Arc<RequestRecord>> {
        self.record.get_or_init(|| serde_json::from_slice(&self.line).ok().map(Arc::new)).clone()
    }
}
