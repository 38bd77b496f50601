//! Short words to the user: what an action did, for some seconds, and what is wrong, until it is dismissed.

use std::time::Duration;

use super::super::message::{Ask, Now};

/// How long a word stays.
const FOR: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub text: String,
    pub tone: Tone,
    until: Duration,
}

/// Where `!` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Endpoint(String),
    Request(String),
    Nowhere,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub text: String,
    pub place: Place,
}

#[derive(Clone, Debug, Default)]
pub struct Notices {
    notice: Option<Notice>,
    /// What `u` asks for.
    pub undo: Option<Ask>,
    /// The alert that the user has seen enough of.
    pub dismissed: Option<Alert>,
}

impl Notices {
    pub fn say(&mut self, tone: Tone, text: impl Into<String>, now: Now) {
        self.notice = Some(Notice { text: text.into(), tone, until: now.at + FOR });
    }

    pub fn current(&self, now: Now) -> Option<&Notice> {
        self.notice.as_ref().filter(|notice| now.at < notice.until)
    }
}
