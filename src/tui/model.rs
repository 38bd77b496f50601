//! What the dashboard knows, and what it becomes by what happens. Plain state: no clock, no socket, no terminal.
//! [`Model::update`] takes the moment with each message and says what is to be done besides.

mod act;
mod answers;
pub mod command;
pub mod detail;
pub mod endpoints;
mod filtering;
pub mod log;
pub mod notices;
pub mod opened;
pub mod outline;
mod pointing;
pub mod prompt;
pub mod requests;
pub mod running;
pub mod tree;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

pub use self::answers::curl;
use self::detail::Detail;
use self::endpoints::Endpoints;
use self::log::Row;
use self::notices::{Alert, Notices, Place, Tone};
use self::prompt::Prompt;
use self::requests::Requests;
use self::running::Running;
use super::keys::{self, Binding, Context};
use super::message::{Ask, Effect, Lost, Message, News, Now};
use super::theme::{Choice, Screen};
use crate::wire::event::{EndpointChanged, Event};
use crate::wire::stats::StatsView;
use crate::wire::status::StatusView;

/// What is held back while the screen is frozen; older requests would have left the log anyway.
const MOST_BEHIND: usize = log::MOST;
/// The stretches that the charts may show.
pub const RANGES: [(&str, u64); 5] =
    [("15m", 900), ("1h", 3600), ("6h", 6 * 3600), ("24h", 24 * 3600), ("7d", 7 * 24 * 3600)];

/// What the user set, and where the dashboard attaches.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `127.0.0.1:8081`, and why we think so.
    pub address: String,
    pub source: String,
    /// The command that starts a proxy there.
    pub start: String,
    pub read_only: bool,
    pub theme: Choice,
    pub ascii: bool,
    pub screen: Screen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    Endpoints,
    #[default]
    Requests,
    Detail,
}

/// What the keys go to.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// The pane that has the focus.
    #[default]
    Panes,
    Typing(Prompt),
    Help {
        filter: tui_input::Input,
        scroll: usize,
    },
    CopyMenu,
    /// The question, and what is asked of the proxy on a yes.
    Confirm {
        question: String,
        ask: Ask,
    },
}

/// How it stands with the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Connecting,
    Attached,
    /// Since when, and what is known of it.
    Lost(Duration, Lost),
}

/// Where things were drawn: clicks and pages count by it.
#[derive(Clone, Debug, Default)]
pub struct Areas {
    pub endpoints: Rect,
    /// Which endpoint stands on each line.
    pub endpoint_lines: Vec<usize>,
    pub requests: Rect,
    pub detail: Rect,
    /// Lines of the tab that is no tree.
    pub detail_lines: usize,
    /// Where each tab's title stands.
    pub tabs: Vec<Rect>,
    pub help: Rect,
    pub help_lines: usize,
}

/// What came while the screen was frozen.
#[derive(Clone, Debug)]
struct Frozen {
    since: Now,
    behind: VecDeque<News>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub options: Options,
    now: Now,
    pub link: Link,
    /// Whether the proxy ever was there.
    pub ever_attached: bool,
    /// Since when it was gone, until what was missed is told.
    gone_since: Option<Duration>,
    /// Requests that the events have told of since then.
    recovered: usize,
    pub status: Option<Box<StatusView>>,
    pub endpoints: Endpoints,
    pub running: Running,
    pub requests: Requests,
    pub detail: Option<Detail>,
    pub stats: Option<Box<StatsView>>,
    pub range: usize,
    pub focus: Pane,
    pub mode: Mode,
    pub zoom: bool,
    pub mouse: bool,
    frozen: Option<Frozen>,
    pub notices: Notices,
    /// What was typed before, the newest last.
    history: Vec<(prompt::Purpose, String)>,
    pub areas: Areas,
    /// A panic's words: the end.
    pub bug: Option<String>,
}

impl Model {
    pub fn new(options: Options) -> Self {
        Self { options, mouse: true, ..Self::default() }
    }

    /// The moment that is shown: while frozen, the one at which it froze.
    pub fn now(&self) -> Now {
        self.frozen.as_ref().map_or(self.now, |frozen| frozen.since)
    }

    /// The moment up to which what is shown is known: ages of requests do not grow while the proxy is gone.
    pub fn known_at(&self) -> Now {
        match self.link {
            Link::Lost(since, _) => Now { at: self.gone_since.unwrap_or(since), ..self.now() },
            Link::Connecting | Link::Attached => self.now(),
        }
    }

    /// The moment itself: notices pass even while all else stands still.
    pub fn clock(&self) -> Now {
        self.now
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Requests that ended behind the frozen screen.
    pub fn behind(&self) -> usize {
        let ended = |news: &&News| matches!(news, News::Pushed(Event::RequestEnded(_)));
        self.frozen.as_ref().map_or(0, |frozen| frozen.behind.iter().filter(ended).count())
    }

    /// What `message`, received at `now`, makes of it.
    pub fn update(&mut self, message: Message, now: Now) -> Vec<Effect> {
        self.now = now;
        match message {
            Message::Key(key) => self.key(key),
            Message::Mouse(event) => self.point(event),
            Message::Paste(text) => self.paste(&text),
            Message::Feed(news) => self.hear(*news),
            Message::Answer(answer) => self.answered(answer),
            Message::Stop => vec![Effect::Quit],
            Message::Resumed => vec![Effect::Redraw],
            Message::Panicked(what) => {
                self.bug = Some(what);
                vec![Effect::Quit]
            }
            Message::Tick | Message::Resized => Vec::new(),
        }
    }

    /// It was drawn there. Whether what is shown depends on it, so that it has to be drawn once more.
    pub fn drawn(&mut self, areas: Areas) -> bool {
        let width = usize::from(areas.detail.width);
        let wrapped = width > 0 && self.detail.as_mut().is_some_and(|detail| detail.set_width(width));
        let moved = self.areas.requests.height != areas.requests.height;
        self.areas = areas;
        if moved {
            let height = self.height();
            self.requests.shown_mut().keep_in_view(height);
        }
        wrapped || moved
    }

    /// Where keys work now, the most particular place first.
    pub fn contexts(&self) -> Vec<Context> {
        match &self.mode {
            Mode::Typing(_) => vec![Context::Typing, Context::Always],
            Mode::Help { .. } => vec![Context::Help, Context::Always],
            Mode::CopyMenu => vec![Context::CopyMenu, Context::Always],
            Mode::Confirm { .. } => vec![Context::Confirm, Context::Always],
            Mode::Panes => self.contexts_of_pane(),
        }
    }

    /// The keys that do something where `contexts` hold.
    pub fn offered(&self, contexts: &[Context]) -> Vec<&'static Binding> {
        let mut offered = keys::working(contexts);
        offered.retain(|binding| !(self.options.read_only && binding.action.changes()));
        offered
    }

    /// Where keys work in the pane that has the focus, whatever lies over it.
    pub fn contexts_of_pane(&self) -> Vec<Context> {
        if !self.ever_attached {
            return vec![Context::Anywhere, Context::Always];
        }
        let place: &[Context] = match self.focus {
            Pane::Endpoints => &[Context::Endpoints],
            Pane::Requests => &[Context::Requests],
            Pane::Detail if self.detail.as_ref().is_some_and(|detail| detail.outline().is_some()) => {
                &[Context::Tree, Context::Detail]
            }
            Pane::Detail => &[Context::Detail],
        };
        [place, &[Context::List, Context::Anywhere, Context::Always]].concat()
    }

    fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.notices.say(tone, text, self.now);
    }

    fn hear(&mut self, news: News) -> Vec<Effect> {
        match &mut self.frozen {
            // That it is gone is told at once: frozen or not, it cannot be acted on.
            Some(frozen) if !matches!(news, News::Lost(_) | News::Attached) => {
                hold(&mut frozen.behind, news);
            }
            _ => self.apply(news),
        }
        Vec::new()
    }

    fn apply(&mut self, news: News) {
        match news {
            News::Attached => {
                (self.link, self.ever_attached) = (Link::Attached, true);
            }
            News::Lost(lost) => {
                self.gone_since.get_or_insert(self.now.at);
                self.link = Link::Lost(self.now.at, lost);
            }
            News::Endpoints(list) => self.endpoints.replace(list),
            News::Stats(stats) => self.stats = Some(stats),
            News::Recent(page) => {
                let was_known = self.requests.all.count() > 0;
                let new = self.requests.recent(page) + std::mem::take(&mut self.recovered);
                if let Some(since) = self.gone_since.take().filter(|_| was_known) {
                    let gone = self.now.at.saturating_sub(since).as_secs();
                    self.say(Tone::Good, format!("the proxy is back after {gone} s; requests ended meanwhile: {new}"));
                }
            }
            News::Pushed(event) => self.apply_event(event),
        }
    }

    fn apply_event(&mut self, event: Event) {
        match event {
            Event::Status(status) => {
                self.running.reconcile(&status, self.now);
                self.status = Some(status);
            }
            Event::Endpoint(change) => self.endpoint_changed(change),
            Event::RequestStarted(view) | Event::RequestCommitted(view) => self.running.update(*view, self.now),
            Event::RequestEnded(ended) => {
                self.running.end(ended.key);
                let new = self.requests.push(&Arc::new(ended.record));
                self.recovered += usize::from(new && self.gone_since.is_some());
            }
            Event::Config(standing) => {
                if let Some(status) = &mut self.status {
                    status.config = *standing;
                }
            }
            Event::Missed(missed) => {
                self.running.clear();
                let note = match missed.events {
                    Some(count) => format!("{count} events were missed here"),
                    None => "the proxy was started anew here".to_owned(),
                };
                self.requests.all.push(Row::Note(note.into()));
            }
        }
    }

    fn endpoint_changed(&mut self, change: Box<EndpointChanged>) {
        self.endpoints.changed(&change);
        if change.from != change.to {
            self.requests.all.push(Row::Change(Arc::new(*change)));
        }
    }

    /// Stops the screen, or lets everything come that was behind it.
    fn freeze(&mut self) {
        match self.frozen.take() {
            None => self.frozen = Some(Frozen { since: self.now, behind: VecDeque::new() }),
            Some(frozen) => frozen.behind.into_iter().for_each(|news| self.apply(news)),
        }
    }

    /// What is wrong, if anything is, and the user has not dismissed it.
    pub fn alert(&self) -> Option<Alert> {
        self.worst().filter(|alert| self.notices.dismissed.as_ref() != Some(alert))
    }

    fn worst(&self) -> Option<Alert> {
        let alert = |text: String, place| Some(Alert { text, place });
        let status = self.status.as_deref()?;
        let endpoints = self.endpoints.list();
        let enabled = || endpoints.iter().filter(|endpoint| endpoint.enabled);
        if let Some(refused) = &status.config.refused {
            return alert(format!("the config file is refused: {}", refused.message), Place::Nowhere);
        }
        if let Some(error) = &status.log.error {
            return alert(format!("the request log cannot be written: {error}"), Place::Nowhere);
        }
        if self.endpoints.known && enabled().next().is_none() {
            return alert("every endpoint is disabled: requests are refused".to_owned(), Place::Nowhere);
        }
        if self.endpoints.known && enabled().all(|endpoint| endpoint.state == "down") {
            return alert("every endpoint is down".to_owned(), Place::Nowhere);
        }
        if let Some(alert) = self.refused_key() {
            return Some(alert);
        }
        let restart = status.config.restart_needed.first()?;
        alert(format!("a restart is needed for {restart}"), Place::Nowhere)
    }

    /// A key that an endpoint refused lately; nothing but its owner can put that right.
    fn refused_key(&self) -> Option<Alert> {
        let newest = self.requests.all.rows().rev().filter_map(Row::record).take(100);
        newest.into_iter().find_map(|record| {
            let attempt = record.attempts.iter().find(|one| one.fault.as_deref() == Some("credentials"))?;
            let endpoint = self.endpoints.get(&attempt.endpoint).filter(|one| one.enabled && one.state != "up")?;
            let status = attempt.status.map_or(String::new(), |status| format!(" ({status})"));
            let text = format!("{} refuses its key{status}: check its auth_value", endpoint.name);
            Some(Alert { text, place: Place::Request(record.id.clone()) })
        })
    }
}

/// Keeps `news` for later; of what only the newest counts, only that.
fn hold(behind: &mut VecDeque<News>, news: News) {
    let replaced = |old: &News| {
        matches!(
            (&news, old),
            (News::Pushed(Event::Status(_)), News::Pushed(Event::Status(_)))
                | (News::Endpoints(_), News::Endpoints(_))
                | (News::Stats(_), News::Stats(_))
        )
    };
    // The old one stands near the end, if there is one.
    if let Some(at) = behind.iter().rposition(replaced) {
        behind.remove(at);
    }
    behind.push_back(news);
    if behind.len() > MOST_BEHIND {
        behind.pop_front();
    }
}

#[cfg(test)]
mod tests;
