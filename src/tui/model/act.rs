//! What a key does, once the table has said what it means.

use crossterm::event::{KeyEvent, KeyEventKind};

use super::detail::{Detail, Tab};
use super::log::Row;
use super::notices::{Place, Tone};
use super::prompt::Purpose;
use super::{Mode, Model, Pane, RANGES};
use crate::tui::keys::{self, Action, Key, Motion};
use crate::tui::message::{Ask, Effect};

impl Model {
    pub(super) fn key(&mut self, event: KeyEvent) -> Vec<Effect> {
        if event.kind == KeyEventKind::Release {
            return Vec::new();
        }
        match keys::lookup(&self.contexts(), Key::of(event)) {
            Some(action) => self.act(action),
            None => {
                self.type_anything(event);
                Vec::new()
            }
        }
    }

    /// A key that is bound to nothing is text where text is typed.
    fn type_anything(&mut self, event: KeyEvent) {
        match &mut self.mode {
            Mode::Typing(_) => self.type_key(event),
            Mode::Help { filter, scroll } => {
                use tui_input::backend::crossterm::EventHandler as _;
                filter.handle_event(&crossterm::event::Event::Key(event));
                *scroll = 0;
            }
            Mode::Panes | Mode::CopyMenu | Mode::Confirm { .. } => {}
        }
    }

    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Help => self.mode = Mode::Help { filter: tui_input::Input::default(), scroll: 0 },
            Action::Command => self.begin(Purpose::Command),
            Action::Filter => self.begin(Purpose::Filter),
            Action::Search => self.begin(Purpose::Search),
            Action::Submit => return self.submit(),
            Action::Cancel => self.cancel(),
            Action::Complete => self.complete(),
            Action::Earlier => self.recall(true),
            Action::Later => self.recall(false),
            Action::Failures => return self.only_failures(),
            Action::Move(motion) => return self.go(motion),
            Action::Open => return self.open_selected(),
            Action::Back => self.back(),
            Action::Newer => return self.open_neighbour(Motion::Down),
            Action::Older => return self.open_neighbour(Motion::Up),
            Action::Copy if self.copied_id().is_some() => self.mode = Mode::CopyMenu,
            Action::Copy => {}
            Action::CopyId | Action::CopyJson | Action::CopyCurl | Action::SaveJson => return self.copy(action),
            Action::Yes => return self.confirmed(),
            other => return self.act_on_screen(other),
        }
        Vec::new()
    }

    /// What changes how things are shown.
    fn act_on_screen(&mut self, action: Action) -> Vec<Effect> {
        let height = self.detail_height();
        match action {
            Action::Freeze => self.freeze(),
            Action::Theme => {
                self.options.theme = self.options.theme.next();
                self.say(Tone::Plain, format!("theme: {}", self.options.theme.word()));
            }
            Action::Zoom => self.zoom = !self.zoom,
            Action::Mouse => {
                self.mouse = !self.mouse;
                let told = if self.mouse {
                    "the mouse is ours again"
                } else {
                    "the mouse is the terminal's: select as usual, M takes it back"
                };
                self.say(Tone::Plain, told);
                return vec![Effect::Mouse(self.mouse)];
            }
            Action::Range => return self.show_range((self.range + 1) % RANGES.len()),
            Action::NextPane => self.turn(true),
            Action::PreviousPane => self.turn(false),
            Action::Number(number) => self.number(number),
            Action::Follow => self.requests.shown_mut().follow(),
            Action::Sort => {
                self.endpoints.sort_next();
                self.say(Tone::Plain, format!("sorted by {}", self.endpoints.sort.word()));
            }
            Action::GoToAlert => return self.go_to_alert(),
            Action::Dismiss => self.notices.dismissed = self.alert(),
            Action::Unfold => self.in_tree(|tree| tree.toggle(height)),
            Action::Fold => self.in_tree(|tree| tree.fold(height)),
            Action::FoldAll => self.in_tree(|tree| tree.fold_all(height)),
            Action::UnfoldAll => self.in_tree(|tree| tree.unfold_all(height)),
            Action::NextHit => self.in_tree(|tree| tree.next_hit(true, height)),
            Action::PreviousHit => self.in_tree(|tree| tree.next_hit(false, height)),
            other => return self.act_on_endpoint(other),
        }
        Vec::new()
    }

    /// What changes the proxy.
    fn act_on_endpoint(&mut self, action: Action) -> Vec<Effect> {
        if self.options.read_only {
            self.say(Tone::Bad, "read-only: started with --read-only, so nothing is changed from here");
            return Vec::new();
        }
        if action == Action::Undo {
            return match self.notices.undo.take() {
                Some(ask) => vec![Effect::Ask(ask)],
                None => {
                    self.say(Tone::Plain, "there is nothing to take back");
                    Vec::new()
                }
            };
        }
        let Some(endpoint) = self.endpoints.selected().cloned() else { return Vec::new() };
        let name = endpoint.name;
        match action {
            Action::Toggle => vec![Effect::Ask(Ask::Enable { name, on: !endpoint.enabled })],
            Action::Test => self.test(name),
            Action::Reset => vec![Effect::Ask(Ask::Reset(name))],
            Action::Raise | Action::Lower => self.reorder(&name, action == Action::Raise),
            Action::Delete => {
                let question = format!("Delete {name} from the config file? There is no way back but to add it again.");
                self.mode = Mode::Confirm { question, ask: Ask::Delete(name) };
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn test(&mut self, name: String) -> Vec<Effect> {
        self.say(Tone::Plain, format!("testing {name} …"));
        self.endpoints.testing.insert(name.clone());
        vec![Effect::Ask(Ask::Test(name))]
    }

    fn reorder(&mut self, name: &str, sooner: bool) -> Vec<Effect> {
        match self.endpoints.moved(name, sooner) {
            Some(names) => vec![Effect::Ask(Ask::Order { names, before: self.endpoints.order() })],
            None => {
                let place = if sooner { "first" } else { "last" };
                self.say(Tone::Plain, format!("{name} is tried {place} already"));
                Vec::new()
            }
        }
    }

    fn confirmed(&mut self) -> Vec<Effect> {
        match std::mem::take(&mut self.mode) {
            Mode::Confirm { ask, .. } => vec![Effect::Ask(ask)],
            _ => Vec::new(),
        }
    }

    /// Lines that the list of requests has.
    pub(super) fn height(&self) -> usize {
        usize::from(self.areas.requests.height).max(1)
    }

    pub(super) fn detail_height(&self) -> usize {
        usize::from(self.areas.detail.height).max(1)
    }

    pub(super) fn go(&mut self, motion: Motion) -> Vec<Effect> {
        if let Mode::Help { scroll, .. } = &mut self.mode {
            let (height, lines) = (usize::from(self.areas.help.height), self.areas.help_lines);
            let to = match motion {
                Motion::Up => scroll.saturating_sub(1),
                Motion::PageUp => scroll.saturating_sub(height),
                Motion::PageDown => *scroll + height,
                _ => *scroll + 1,
            };
            *scroll = to.min(lines.saturating_sub(height));
            return Vec::new();
        }
        match self.focus {
            Pane::Endpoints => self.endpoints.go(motion),
            Pane::Requests => return self.go_in_requests(motion),
            Pane::Detail => {
                let (height, lines) = (self.detail_height(), self.areas.detail_lines);
                if let Some(detail) = &mut self.detail {
                    detail.go(motion, height, lines);
                }
            }
        }
        Vec::new()
    }

    pub(super) fn go_in_requests(&mut self, motion: Motion) -> Vec<Effect> {
        let height = self.height();
        self.requests.shown_mut().go(motion, height);
        let older = self.requests.wants_older(height);
        older.map(|(filter, before)| Effect::Ask(Ask::Older { filter, before })).into_iter().collect()
    }

    fn open_selected(&mut self) -> Vec<Effect> {
        let log = self.requests.shown();
        if let (Pane::Requests, Some(Row::Change(change))) = (self.focus, log.row(log.cursor())) {
            let name = change.name.clone();
            if self.endpoints.select(&name) {
                self.focus = Pane::Endpoints;
            }
            return Vec::new();
        }
        let id = match self.focus {
            Pane::Endpoints => self.endpoints.selected().and_then(|endpoint| endpoint.causes.last().cloned()),
            Pane::Requests | Pane::Detail => self.requests.shown().selected().map(|record| record.id.clone()),
        };
        match id {
            Some(id) => self.open(&id),
            None if self.focus == Pane::Endpoints => {
                self.say(Tone::Plain, "no request stands behind its state");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Shows a request; the list stays where it is, and stops following.
    pub(super) fn open(&mut self, id: &str) -> Vec<Effect> {
        let tab = self.detail.as_ref().map_or(Tab::Summary, |detail| detail.tab);
        self.detail = Some(Detail::new(id, tab));
        self.focus = Pane::Detail;
        let height = self.height();
        let log = self.requests.shown_mut();
        if let Some(at) = log.find(id) {
            log.go_to(at, height);
        }
        vec![Effect::Ask(Ask::Record(id.to_owned()))]
    }

    fn open_neighbour(&mut self, motion: Motion) -> Vec<Effect> {
        let mut effects = Vec::new();
        let before = self.requests.shown().cursor();
        loop {
            let at = self.requests.shown().cursor();
            effects.extend(self.go_in_requests(motion));
            let log = self.requests.shown();
            // Over the rows that are no requests.
            if log.cursor() == at || log.selected().is_some() {
                break;
            }
        }
        let log = self.requests.shown();
        if let Some(id) = log.selected().map(|record| record.id.clone()).filter(|_| log.cursor() != before) {
            effects.extend(self.open(&id));
        }
        effects
    }

    fn back(&mut self) {
        match self.focus {
            Pane::Detail => {
                self.detail = None;
                self.focus = Pane::Requests;
            }
            Pane::Requests => self.requests.clear_filter(self.height()),
            Pane::Endpoints => {}
        }
    }

    fn turn(&mut self, forward: bool) {
        let wide = self.areas.requests.area() > 0 && self.areas.detail.area() > 0;
        let panes: &[Pane] = match &mut self.detail {
            // Where a request hides the panes, its tabs are what can be gone through.
            Some(detail) if self.focus == Pane::Detail && !wide => return detail.turn(forward),
            Some(_) => &[Pane::Endpoints, Pane::Requests, Pane::Detail],
            None => &[Pane::Endpoints, Pane::Requests],
        };
        let at = panes.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        let step = if forward { 1 } else { panes.len() - 1 };
        self.focus = panes[(at + step) % panes.len()];
    }

    fn number(&mut self, number: u8) {
        let tab = Tab::ALL.get(usize::from(number).saturating_sub(1));
        match (&mut self.detail, self.focus, tab) {
            (Some(detail), Pane::Detail, Some(tab)) => detail.show(*tab),
            (_, _, _) if number == 1 => self.focus = Pane::Endpoints,
            (_, _, _) if number == 2 => self.focus = Pane::Requests,
            (Some(_), _, _) if number == 3 => self.focus = Pane::Detail,
            _ => {}
        }
    }

    fn in_tree(&mut self, change: impl FnOnce(&mut super::outline::Outline)) {
        if let Some(outline) = self.detail.as_mut().and_then(Detail::outline_mut) {
            change(outline);
        }
    }

    pub(super) fn show_range(&mut self, range: usize) -> Vec<Effect> {
        self.range = range;
        self.stats = None;
        let (name, seconds) = RANGES[range];
        self.say(Tone::Plain, format!("charts: the last {name}"));
        vec![Effect::Range(seconds)]
    }

    fn go_to_alert(&mut self) -> Vec<Effect> {
        match self.alert().map(|alert| alert.place) {
            Some(Place::Request(id)) => return self.open(&id),
            Some(Place::Endpoint(name)) => {
                self.endpoints.select(&name);
                self.focus = Pane::Endpoints;
            }
            Some(Place::Nowhere) | None => {}
        }
        Vec::new()
    }
}
