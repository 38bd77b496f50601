//! The mouse: the wheel moves what is under it, a click selects, a second click on the same row opens.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::detail::{Detail, Tab};
use super::{Mode, Model, Pane};
use crate::tui::keys::{Action, Motion};
use crate::tui::message::Effect;

/// Rows that one notch of the wheel moves.
const NOTCH: usize = 3;

impl Model {
    pub(super) fn point(&mut self, event: MouseEvent) -> Vec<Effect> {
        let at = Position { x: event.column, y: event.row };
        match event.kind {
            MouseEventKind::ScrollDown => self.wheel(at, Motion::Down),
            MouseEventKind::ScrollUp => self.wheel(at, Motion::Up),
            MouseEventKind::Down(MouseButton::Left) if matches!(self.mode, Mode::Panes) => self.click(at),
            _ => Vec::new(),
        }
    }

    fn pane_at(&self, at: Position) -> Option<Pane> {
        let panes = [
            (self.areas.endpoints, Pane::Endpoints),
            (self.areas.requests, Pane::Requests),
            (self.areas.detail, Pane::Detail),
        ];
        panes.into_iter().find(|(area, _)| area.contains(at)).map(|(_, pane)| pane)
    }

    fn wheel(&mut self, at: Position, motion: Motion) -> Vec<Effect> {
        if matches!(self.mode, Mode::Panes) {
            let Some(pane) = self.pane_at(at) else { return Vec::new() };
            self.focus = pane;
        }
        (0..NOTCH).flat_map(|_| self.go(motion)).collect()
    }

    fn click(&mut self, at: Position) -> Vec<Effect> {
        if let Some(tab) = self.areas.tabs.iter().position(|area| area.contains(at)).and_then(|tab| Tab::ALL.get(tab)) {
            self.focus = Pane::Detail;
            self.detail.as_mut().iter_mut().for_each(|detail| detail.show(*tab));
            return Vec::new();
        }
        let Some(pane) = self.pane_at(at) else { return Vec::new() };
        let had_focus = std::mem::replace(&mut self.focus, pane) == pane;
        let line = |area: Rect| usize::from(at.y.saturating_sub(area.y));
        match pane {
            Pane::Endpoints => {
                let line = line(self.areas.endpoints);
                if let Some(index) = self.areas.endpoint_lines.get(line).copied() {
                    self.endpoints.point(index);
                }
            }
            Pane::Requests => return self.click_request(line(self.areas.requests), had_focus),
            Pane::Detail => {
                let line = line(self.areas.detail);
                let height = self.detail_height();
                if let Some(tree) = self.detail.as_mut().and_then(Detail::outline_mut) {
                    let before = tree.cursor();
                    tree.point(line);
                    if tree.cursor() == before {
                        tree.toggle(height);
                    }
                }
            }
        }
        Vec::new()
    }

    fn click_request(&mut self, line: usize, had_focus: bool) -> Vec<Effect> {
        let height = self.height();
        let log = self.requests.shown_mut();
        let window = log.window(height);
        // The rows stand at the lower edge of the view.
        let used: usize = window.iter().map(|(_, row)| row.height()).sum();
        let mut top = height.saturating_sub(used);
        let mut hit = None;
        for (at, row) in window {
            if (top..top + row.height()).contains(&line) {
                hit = Some(at);
            }
            top += row.height();
        }
        let Some(hit) = hit else { return Vec::new() };
        let again = had_focus && log.cursor() == hit;
        // The newest one can be clicked without losing sight of what comes.
        if log.cursor() != hit {
            log.go_to(hit, height);
        }
        if again { self.act(Action::Open) } else { Vec::new() }
    }
}
