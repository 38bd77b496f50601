//! One picture for each state and each layout. A changed one is a decision: `INSTA_UPDATE=always` takes it.

use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::style::{Color, Modifier};

use crate::tui::fixture::{
    as_text, at, attached, attached_with, draw, ended, feed, key, lost, opened, options, picture, press, record,
    type_in,
};
use crate::tui::keys::TABLE;
use crate::tui::message::{Answer, Message, News};
use crate::tui::model::{Model, Options};
use crate::tui::theme::{Choice, Depth, Screen};
use crate::wire::event::{Event, Missed};

/// `req_8`, opened.
fn reading(tab: &str, width: u16, height: u16) -> Model {
    let mut model = attached();
    draw(&mut model, width, height);
    press(&mut model, "k k Enter");
    let answer = Answer::Record { id: "req_8".into(), opened: Ok(opened()) };
    model.update(Message::Answer(answer), at(1));
    press(&mut model, tab);
    model
}

#[test]
fn normal() {
    assert_snapshot!(picture(&mut attached(), 80, 24));
}

#[test]
fn wide() {
    assert_snapshot!(picture(&mut attached(), 120, 40));
}

#[test]
fn small() {
    assert_snapshot!(picture(&mut attached(), 60, 20));
}

#[test]
fn smallest() {
    assert_snapshot!(picture(&mut attached(), 40, 10));
}

#[test]
fn too_small_for_panes() {
    let mut model = attached();
    assert_snapshot!(picture(&mut model, 39, 9));
    assert_eq!(picture(&mut model, 1, 1), "●");
}

#[test]
fn nothing_has_happened_yet() {
    let mut model = Model::new(options());
    assert_snapshot!("attaching", picture(&mut model, 80, 12));
    feed(&mut model, News::Attached, 0);
    feed(&mut model, News::Endpoints(crate::wire::status::EndpointList::default()), 0);
    assert_snapshot!("no_request_and_no_endpoint", picture(&mut model, 80, 20));
}

#[test]
fn no_proxy() {
    let mut model = Model::new(options());
    feed(&mut model, lost(1), 0);
    assert_snapshot!("no_proxy", picture(&mut model, 80, 16));
    assert_snapshot!("no_proxy_small", picture(&mut model, 40, 12));
    assert_eq!(picture(&mut model, 30, 3).lines().next(), Some("○ no proxy at 127.0.0.1:8081"));
}

#[test]
fn the_proxy_is_gone() {
    let mut model = attached();
    feed(&mut model, lost(3), 5);
    model.update(Message::Tick, at(6));
    let buffer = draw(&mut model, 80, 24);
    let shown = as_text(&buffer);
    assert!(shown.starts_with(" lost 127.0.0.1:8081, retry in 1 s (3) · nobody listens there"), "{shown}");
    assert!(shown.contains("212/1"), "the last figures stay");
    assert!(buffer[(10, 6)].modifier.contains(Modifier::DIM), "and are dimmed");
    assert!(buffer[(3, 0)].modifier.contains(Modifier::REVERSED), "under a banner");
    // The ages of the requests under way are known up to the loss only.
    assert!(shown.contains("streaming 2.0 KiB          7.2s"), "{shown}");
}

#[test]
fn it_is_back_and_what_was_missed_is_told() {
    let mut model = attached();
    feed(&mut model, lost(1), 5);
    feed(&mut model, News::Attached, 9);
    feed(&mut model, News::Pushed(Event::Missed(Missed { events: Some(40) })), 9);
    let page = vec![record(11, "14:02:19", &["primary"], 200), record(9, "14:02:09", &["primary"], 200)];
    feed(&mut model, News::Recent(crate::wire::logs::LogPage { logs: page, next: None }), 9);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("the proxy is back after 4 s; requests ended meanwhile: 1"), "{shown}");
    assert!(shown.contains("─── 40 events were missed here"), "{shown}");
    assert!(shown.contains("14:02:19 200"), "{shown}");
}

#[test]
fn what_the_events_of_a_proxy_that_came_back_tell_was_missed_too() {
    let mut model = attached();
    feed(&mut model, lost(1), 5);
    feed(&mut model, News::Attached, 9);
    for id in [10, 11] {
        feed(&mut model, ended(record(id, "14:02:10", &["primary"], 200)), 9);
    }
    let page = vec![record(11, "14:02:19", &["primary"], 200), record(9, "14:02:09", &["primary"], 200)];
    feed(&mut model, News::Recent(crate::wire::logs::LogPage { logs: page, next: None }), 9);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("requests ended meanwhile: 2"), "{shown}");
}

#[test]
fn a_countdown_never_stands_at_nothing() {
    let mut model = attached();
    for (second, told) in [(3, "next probe in 6 s"), (8, "next probe in 1 s"), (9, "next probe now"), (12, "now")] {
        model.update(Message::Tick, at(second));
        let shown = picture(&mut model, 120, 40);
        assert!(shown.contains(told), "{told}: {shown}");
    }
}

#[test]
fn frozen_and_paused() {
    let mut model = attached();
    draw(&mut model, 80, 24);
    press(&mut model, "k k");
    feed(&mut model, ended(record(10, "14:02:10", &["primary"], 200)), 1);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("+1 new: f follows"), "{shown}");
    press(&mut model, "f Space");
    feed(&mut model, ended(record(11, "14:02:11", &["primary"], 200)), 1);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("FROZEN, 1 behind: Space goes on") && !shown.contains("14:02:11 200"), "{shown}");
    press(&mut model, "Space");
    assert!(picture(&mut model, 80, 24).contains("14:02:11 200"));
}

#[test]
fn tabs_of_a_request() {
    for (tab, name) in [("1", "summary"), ("2", "request"), ("3", "response"), ("4", "events"), ("5", "attempts")] {
        assert_snapshot!(name, picture(&mut reading(tab, 80, 24), 80, 24));
    }
    assert_snapshot!("request_beside_the_list", picture(&mut reading("2", 120, 40), 120, 40));
}

#[test]
fn a_search_in_a_body() {
    let mut model = reading("2", 80, 24);
    press(&mut model, "/");
    type_in(&mut model, "PARSER");
    press(&mut model, "Enter");
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("one place has it"), "{shown}");
    let cursor = shown.lines().find(|line| line.contains('▌')).unwrap();
    assert!(cursor.contains("修一下 parser…"), "{cursor}");
}

#[test]
fn popups() {
    let mut model = attached();
    press(&mut model, "?");
    assert_snapshot!("help", picture(&mut model, 80, 24));
    type_in(&mut model, "fail");
    assert_snapshot!("help_filtered", picture(&mut model, 80, 24));
    press(&mut model, "Esc y");
    assert_snapshot!("copy_menu", picture(&mut model, 80, 24));
    press(&mut model, "Esc 1 D");
    assert_snapshot!("question", picture(&mut model, 80, 24));
}

#[test]
fn a_filter_being_typed() {
    let mut model = attached();
    draw(&mut model, 80, 24);
    press(&mut model, "/");
    type_in(&mut model, "status>=400");
    assert_snapshot!("filter", picture(&mut model, 80, 24));
    type_in(&mut model, " stat>3");
    let buffer = draw(&mut model, 80, 24);
    let line = (0..24).find(|y| buffer[(1, *y)].symbol() == "/").unwrap();
    assert!(buffer[(14, line)].modifier.contains(Modifier::UNDERLINED), "the fault is underlined");
    assert!(!buffer[(4, line)].modifier.contains(Modifier::UNDERLINED));
    assert_snapshot!("filter_with_a_fault", as_text(&buffer));
}

#[test]
fn commands_are_offered() {
    let mut model = attached();
    press(&mut model, ":");
    type_in(&mut model, "theme ");
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("auto  dark  light  high-contrast  mono"), "{shown}");
}

#[test]
fn ascii_is_ascii() {
    let mut model = attached_with(Options { ascii: true, ..options() });
    let shown = picture(&mut model, 80, 24);
    assert!(shown.is_ascii(), "{shown}");
    assert_snapshot!(shown);
}

#[test]
fn nothing_foreign_reaches_the_terminal() {
    for tab in ["1", "2", "3", "4", "5"] {
        for size in [(80, 24), (120, 40), (40, 10)] {
            let shown = picture(&mut reading(tab, size.0, size.1), size.0, size.1);
            let control = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!shown.contains(control), "{shown:?}");
        }
    }
}

#[test]
fn every_line_is_as_wide_as_the_screen_at_most() {
    for width in 1..130 {
        for line in picture(&mut attached(), width, 30).lines() {
            assert!(crate::tui::text::width(line) <= usize::from(width), "{width}: {line}");
        }
    }
}

#[test]
fn no_colour_where_none_is_wanted() {
    for (theme, depth) in [(Choice::Mono, Depth::Full), (Choice::Dark, Depth::None), (Choice::Auto, Depth::None)] {
        let screen = Screen { depth, utf8: true, ..Screen::default() };
        let mut model = attached_with(Options { theme, screen, ..options() });
        let buffer = draw(&mut model, 120, 40);
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{theme:?}");
    }
}

/// The one under the cursor must be seen in every theme, without its colour too.
#[test]
fn the_cursor_is_seen_in_every_theme() {
    for theme in Choice::ALL {
        let mut model = attached_with(Options { theme, ..options() });
        let buffer = draw(&mut model, 80, 24);
        let line = (0..24).rev().find(|y| buffer[(1, *y)].symbol() == "▌").unwrap();
        let (on, off) = (&buffer[(30, line)], &buffer[(30, line - 1)]);
        assert!(on.bg != off.bg || on.modifier.contains(Modifier::REVERSED), "{theme:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(usize),
    Letter(char),
    Mouse(u8, u16, u16),
    Size(u16, u16),
    Paste(String),
    News(usize),
    Opened,
}

fn step() -> impl Strategy<Value = Step> {
    let keys: usize = TABLE.iter().map(|line| line.keys.len()).sum();
    prop_oneof![
        12 => (0..keys).prop_map(Step::Key),
        4 => any::<char>().prop_map(Step::Letter),
        2 => (0_u8..3, 0_u16..140, 0_u16..50).prop_map(|(kind, x, y)| Step::Mouse(kind, x, y)),
        2 => (1_u16..140, 1_u16..50).prop_map(|(width, height)| Step::Size(width, height)),
        1 => "\\PC{0,12}".prop_map(Step::Paste),
        4 => (0_usize..10).prop_map(Step::News),
        1 => Just(Step::Opened),
    ]
}

fn message(step: &Step) -> Option<Message> {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let kinds = [MouseEventKind::Down(MouseButton::Left), MouseEventKind::ScrollUp, MouseEventKind::ScrollDown];
    Some(match step {
        Step::Key(number) => {
            let bound = TABLE.iter().flat_map(|line| line.keys).nth(*number)?;
            let modifiers = if bound.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            Message::Key(KeyEvent::new(bound.code, modifiers))
        }
        Step::Letter(letter) => Message::Key(KeyEvent::new(KeyCode::Char(*letter), KeyModifiers::NONE)),
        Step::Mouse(kind, column, row) => {
            let kind = kinds[usize::from(*kind) % kinds.len()];
            Message::Mouse(MouseEvent { kind, column: *column, row: *row, modifiers: KeyModifiers::NONE })
        }
        Step::Paste(text) => Message::Paste(text.clone()),
        Step::Opened => Message::Answer(Answer::Record { id: "req_8".into(), opened: Ok(opened()) }),
        Step::News(number) => {
            let mut news = crate::tui::fixture::all_news();
            news.extend([lost(1), News::Pushed(Event::Missed(Missed::default()))]);
            Message::Feed(Box::new(news.into_iter().nth(*number)?))
        }
        Step::Size(..) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order on screens of whatever size: no panic, and a way out.
    #[test]
    fn nothing_that_is_done_breaks_it(steps in proptest::collection::vec(step(), 1..80)) {
        let mut model = attached();
        let (mut width, mut height) = (80, 24);
        for step in &steps {
            if let Step::Size(new_width, new_height) = step {
                (width, height) = (*new_width, *new_height);
            }
            if let Some(message) = message(step) {
                model.update(message, at(2));
            }
            draw(&mut model, width, height);
        }
        let quit = model.update(Message::Key(key("Ctrl-c")), at(3));
        prop_assert_eq!(quit, [crate::tui::message::Effect::Quit]);
    }
}
