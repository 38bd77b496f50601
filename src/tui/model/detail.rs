//! One request, opened: which tab is shown, and where the reader is in it.

use std::sync::Arc;

use super::opened::Opened;
use super::outline::Outline;
use crate::tui::keys::Motion;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    Summary,
    Request,
    Response,
    Events,
    Attempts,
}

impl Tab {
    pub const ALL: [Self; 5] = [Self::Summary, Self::Request, Self::Response, Self::Events, Self::Attempts];

    pub fn title(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::Events => "SSE",
            Self::Attempts => "Attempts",
        }
    }

    pub fn number(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
pub enum State {
    Loading,
    /// Why it cannot be shown.
    Failed(String),
    Ready(Arc<Opened>),
}

#[derive(Clone, Debug)]
pub struct Detail {
    pub id: String,
    pub tab: Tab,
    pub state: State,
    /// Request, response and events.
    outlines: [Outline; 3],
    /// First line shown of summary and attempts.
    scroll: usize,
}

impl Detail {
    pub fn new(id: &str, tab: Tab) -> Self {
        Self { id: id.to_owned(), tab, state: State::Loading, outlines: Default::default(), scroll: 0 }
    }

    /// What was asked for came; `width`: of the view.
    pub fn fill(&mut self, opened: Result<Arc<Opened>, String>, width: usize) {
        self.state = match opened {
            Ok(opened) => {
                self.outlines =
                    [&opened.request, &opened.response, &opened.events].map(|doc| Outline::new(Arc::clone(doc), width));
                State::Ready(opened)
            }
            Err(why) => State::Failed(why),
        };
    }

    pub fn opened(&self) -> Option<&Opened> {
        match &self.state {
            State::Ready(opened) => Some(opened),
            State::Loading | State::Failed(_) => None,
        }
    }

    /// The tree that is shown.
    pub fn outline(&self) -> Option<&Outline> {
        self.opened()?;
        self.outlines.get(self.tab.number().checked_sub(1)?)
    }

    pub fn outline_mut(&mut self) -> Option<&mut Outline> {
        self.opened()?;
        self.outlines.get_mut(self.tab.number().checked_sub(1)?)
    }

    /// Wraps texts anew for a view of another width. Whether it has another one.
    pub fn set_width(&mut self, width: usize) -> bool {
        let mut changed = false;
        if self.opened().is_some() {
            for outline in &mut self.outlines {
                changed |= outline.set_width(width);
            }
        }
        changed
    }

    pub fn scroll(&self) -> usize {
        self.scroll
    }

    pub fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.scroll = 0;
    }

    /// The tab to the right or left, around the end.
    pub fn turn(&mut self, right: bool) {
        let step = if right { 1 } else { Tab::ALL.len() - 1 };
        self.show(Tab::ALL[(self.tab.number() + step) % Tab::ALL.len()]);
    }

    /// `lines`: how many the shown tab has, when it is no tree.
    pub fn go(&mut self, motion: Motion, height: usize, lines: usize) {
        if let Some(outline) = self.outline_mut() {
            return outline.go(motion, height);
        }
        let last = lines.saturating_sub(height);
        self.scroll = match motion {
            Motion::Up => self.scroll.saturating_sub(1),
            Motion::Down => self.scroll + 1,
            Motion::PageUp => self.scroll.saturating_sub(height),
            Motion::PageDown => self.scroll + height,
            Motion::HalfUp => self.scroll.saturating_sub(height / 2),
            Motion::HalfDown => self.scroll + height / 2,
            Motion::First => 0,
            Motion::Last => last,
        }
        .min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_go_round() {
        let mut detail = Detail::new("r", Tab::Summary);
        detail.turn(false);
        assert_eq!(detail.tab, Tab::Attempts);
        detail.turn(true);
        assert_eq!(detail.tab, Tab::Summary);
    }

    #[test]
    fn lines_scroll_no_further_than_the_last() {
        let mut detail = Detail::new("r", Tab::Summary);
        detail.go(Motion::Last, 10, 25);
        assert_eq!(detail.scroll(), 15);
        detail.go(Motion::PageDown, 10, 25);
        assert_eq!(detail.scroll(), 15);
        detail.go(Motion::PageUp, 10, 25);
        assert_eq!(detail.scroll(), 5);
        detail.go(Motion::Down, 10, 3);
        assert_eq!(detail.scroll(), 0, "all of it is in view");
    }
}
