//! What the main loop receives, and what it is asked to do.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::model::opened::Opened;
use crate::wire::event::Event;
use crate::wire::logs::LogPage;
use crate::wire::stats::StatsView;
use crate::wire::status::{ChangeView, EndpointList, TestView};

/// The moment at which something is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Since the dashboard started; never jumps.
    pub at: Duration,
    /// The time of day.
    pub wall: Timestamp,
}

#[derive(Clone, Debug)]
pub enum Message {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// The terminal has another size.
    Resized,
    Feed(Box<News>),
    Answer(Answer),
    /// A second has passed.
    Tick,
    /// A signal says that it is over.
    Stop,
    /// The program was stopped and goes on.
    Resumed,
    /// A bug, in the words of the panic; the terminal is restored already.
    Panicked(String),
}

impl Message {
    /// Whether the user did something, or waits for it.
    pub fn is_by_hand(&self) -> bool {
        matches!(self, Self::Key(_) | Self::Mouse(_) | Self::Paste(_) | Self::Answer(_))
    }
}

/// What the feed tells of the proxy.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Attached; what happened from here on is pushed.
    Attached,
    Endpoints(EndpointList),
    /// The newest records, after each time of being attached.
    Recent(LogPage),
    Stats(Box<StatsView>),
    Pushed(Event),
    /// Not there, or not there any more.
    Lost(Lost),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub why: String,
    /// What to do, when it was the proxy itself that refused us.
    pub hint: Option<String>,
    /// Attempts since it was last there.
    pub attempt: u32,
    pub retry_in: Duration,
}

/// What the model asks the loop to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Quit,
    Suspend,
    /// Draw every cell anew.
    Redraw,
    Mouse(bool),
    /// To the clipboard, by way of the terminal.
    Copy {
        what: &'static str,
        text: String,
    },
    /// A record as the log has it, to the clipboard or a file: as JSON, or as a curl command.
    CopyRecord {
        id: String,
        curl: bool,
        to_file: bool,
        /// Where clients connect, for the curl command.
        listen: String,
    },
    Ask(Ask),
    /// The stretch that the charts show, in seconds.
    Range(u64),
}

/// A call to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Records behind `before`; with a filter, only those that fit.
    Older {
        filter: Option<String>,
        before: Option<String>,
    },
    Record(String),
    Enable {
        name: String,
        on: bool,
    },
    Test(String),
    Reset(String),
    /// All names in their new order, and as they were.
    Order {
        names: Vec<String>,
        before: Vec<String>,
    },
    Delete(String),
}

/// What became of an [`Ask`]; errors are for people.
#[derive(Clone, Debug)]
pub enum Answer {
    Older {
        filter: Option<String>,
        before: Option<String>,
        page: Result<LogPage, String>,
    },
    Record {
        id: String,
        opened: Result<Arc<Opened>, String>,
    },
    Changed {
        ask: Ask,
        done: Result<Option<Box<ChangeView>>, String>,
    },
    Tested {
        name: String,
        result: Result<TestView, String>,
    },
    /// What was copied or saved, or why not.
    Copied(Result<String, String>),
}
