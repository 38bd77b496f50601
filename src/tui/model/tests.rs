use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::tui::fixture::{
    at, attached, attached_with, draw, ended, endpoints, feed, lost, opened, options, picture, press, record, type_in,
};
use crate::tui::message::Answer;
use crate::wire::event::Missed;
use crate::wire::logs::LogPage;
use crate::wire::status::{ChangeView, TestView};

fn asks(effects: &[Effect]) -> Vec<Ask> {
    effects.iter().filter_map(|effect| if let Effect::Ask(ask) = effect { Some(ask.clone()) } else { None }).collect()
}

/// The requests that are to be opened.
fn opens(effects: &[Effect]) -> Vec<String> {
    asks(effects).into_iter().filter_map(|ask| if let Ask::Record(id) = ask { Some(id) } else { None }).collect()
}

fn notice(model: &Model) -> &str {
    model.notices.current(model.clock()).map_or("", |notice| notice.text.as_str())
}

fn selected(model: &Model) -> String {
    let log = model.requests.shown();
    log.selected().map_or_else(String::new, |record| record.id.clone())
}

fn done(model: &mut Model, ask: &Ask) {
    done_with(model, ask, "-a\n+b");
}

fn done_with(model: &mut Model, ask: &Ask, diff: &str) {
    let done = Ok(Some(Box::new(ChangeView { diff: diff.into(), ..ChangeView::default() })));
    assert_eq!(model.update(Message::Answer(Answer::Changed { ask: ask.clone(), done }), at(2)), []);
}

#[test]
fn an_endpoint_is_switched_off_and_the_undo_switches_it_on() {
    let mut model = attached();
    let asked = asks(&press(&mut model, "1 e"));
    assert_eq!(asked, [Ask::Enable { name: "primary".into(), on: false }]);
    done(&mut model, &asked[0]);
    assert!(notice(&model).starts_with("primary is disabled") && notice(&model).ends_with("u takes it back"));
    let undone = asks(&press(&mut model, "u"));
    assert_eq!(undone, [Ask::Enable { name: "primary".into(), on: true }]);
    assert_eq!(press(&mut model, "u"), [], "only once");
    assert_eq!(notice(&model), "there is nothing to take back");
}

#[test]
fn what_was_so_already_is_not_taken_back() {
    let mut model = attached();
    done_with(&mut model, &Ask::Enable { name: "primary".into(), on: true }, "");
    assert_eq!(notice(&model), "primary is enabled already");
    assert_eq!(press(&mut model, "u"), [], "an undo would have switched it off");
}

/// The event that tells of a new order mostly comes before the answer to the wish.
#[test]
fn the_undo_of_an_order_is_the_order_before_it() {
    let mut model = attached();
    let asked = asks(&press(&mut model, "1 j p"));
    let Ask::Order { names, before } = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(names[..2], ["mirror-1", "primary"]);
    let mut list = endpoints();
    list.endpoints[0].priority = 2;
    list.endpoints[1].priority = 1;
    feed(&mut model, News::Endpoints(list), 1);
    done(&mut model, &asked[0]);
    let undone = asks(&press(&mut model, "u"));
    assert_eq!(undone, [Ask::Order { names: before.clone(), before: names.clone() }]);
    assert_eq!(before[..2], ["primary", "mirror-1"]);
    assert_eq!(asks(&press(&mut model, "p")), [], "it is the first already");
}

#[test]
fn only_what_destroys_is_asked_about() {
    let mut model = attached();
    assert_eq!(asks(&press(&mut model, "1 R t")).len(), 2);
    assert_eq!(press(&mut model, "D"), []);
    assert!(matches!(&model.mode, Mode::Confirm { question, .. } if question.contains("primary")));
    assert_eq!(press(&mut model, "e t R"), [], "nothing else goes on behind the question");
    assert_eq!(press(&mut model, "n"), []);
    assert!(matches!(model.mode, Mode::Panes));
    assert_eq!(asks(&press(&mut model, "D y")), [Ask::Delete("primary".into())]);
}

#[test]
fn read_only_changes_nothing() {
    let mut model = attached_with(Options { read_only: true, ..options() });
    for keys in ["1 e", "t", "R", "p", "P", "D", "y", "u"] {
        let changes = asks(&press(&mut model, keys));
        assert_eq!(changes, [], "{keys}");
    }
    for command in ["enable kimi", "disable kimi", "test kimi", "reset kimi"] {
        press(&mut model, "Esc :");
        type_in(&mut model, command);
        assert_eq!(press(&mut model, "Enter"), [], "{command}");
    }
    assert!(notice(&model).starts_with("read-only"));
    let offered = model.offered(&[Context::Endpoints, Context::Anywhere, Context::Always]);
    assert!(offered.iter().all(|binding| !binding.action.changes()) && offered.len() > 5, "{offered:?}");
    assert_eq!(opens(&press(&mut model, "2 k k Enter")), ["req_8"], "looking is free");
}

#[test]
fn a_test_shows_that_it_runs_and_what_came_of_it() {
    let mut model = attached();
    press(&mut model, "1 t");
    assert!(picture(&mut model, 80, 24).contains("testing …"));
    let test =
        TestView { name: "primary".into(), ms: 812, model: Some("claude-haiku-4-5".into()), ..Default::default() };
    let tell = |model: &mut Model, result| {
        model.update(Message::Answer(Answer::Tested { name: "primary".into(), result }), at(3));
    };
    tell(&mut model, Ok(TestView { healthy: true, ..test.clone() }));
    assert_eq!(notice(&model), "primary answered in 0.8s with haiku-4-5");
    assert!(!picture(&mut model, 80, 24).contains("testing …"));
    tell(&mut model, Ok(TestView { detail: Some("the key is refused".into()), hint: Some("check it".into()), ..test }));
    assert_eq!(notice(&model), "primary failed after 0.8s: the key is refused · check it");
}

#[test]
fn a_notice_passes() {
    let mut model = attached();
    press(&mut model, "T");
    assert_eq!(notice(&model), "theme: dark");
    model.update(Message::Tick, at(60));
    assert_eq!(notice(&model), "");
}

#[test]
fn the_view_never_moves_under_the_reader() {
    let mut model = attached();
    draw(&mut model, 80, 24);
    press(&mut model, "k k k");
    let before = picture(&mut model, 80, 24);
    let rows = |picture: &str| -> Vec<String> {
        let start = picture.lines().position(|line| line.starts_with("┌ Requests")).unwrap();
        picture.lines().skip(start + 1).take(6).map(str::to_owned).collect()
    };
    for number in 20..60 {
        feed(&mut model, ended(record(number, "14:03:00", &["kimi", "primary"], 200)), 2);
    }
    let older = (100..150).map(|number| record(number, "13:00:00", &["primary"], 200)).collect();
    let page = Ok(LogPage { logs: older, next: None });
    let answer = Answer::Older { filter: None, before: Some("older".into()), page };
    model.update(Message::Answer(answer), at(2));
    let after = picture(&mut model, 80, 24);
    assert_eq!(rows(&before), rows(&after));
    assert!(after.contains("+40 new: f follows"), "{after}");
    press(&mut model, "G");
    assert_eq!(selected(&model), "req_59");
}

#[test]
fn older_requests_are_asked_for_once_while_scrolling_up() {
    let mut model = attached();
    draw(&mut model, 80, 24);
    let asked = asks(&press(&mut model, "g g g"));
    assert_eq!(asked, [Ask::Older { filter: None, before: Some("older".into()) }]);
    let answer = Answer::Older { filter: None, before: Some("older".into()), page: Err("it is gone".into()) };
    model.update(Message::Answer(answer), at(2));
    assert_eq!(notice(&model), "older requests cannot be had: it is gone");
    assert_eq!(asks(&press(&mut model, "g")).len(), 1, "asked for again");
}

#[test]
fn a_filter_applies_while_it_is_typed_and_asks_the_proxy_when_done() {
    let mut model = attached();
    draw(&mut model, 80, 24);
    press(&mut model, "/");
    type_in(&mut model, "status>=500");
    assert_eq!(model.requests.shown().count(), 1);
    type_in(&mut model, " and (");
    assert_eq!(press(&mut model, "Enter"), [], "a faulty one stays to be put right");
    assert!(matches!(&model.mode, Mode::Typing(prompt) if prompt.fault.is_some()));
    press(&mut model, &"Backspace ".repeat(6));
    let asked = asks(&press(&mut model, "Enter"));
    assert_eq!(asked, [Ask::Older { filter: Some("status>=500".into()), before: None }]);
    feed(&mut model, ended(record(70, "14:03:00", &["primary"], 200)), 2);
    feed(&mut model, ended(record(71, "14:03:00", &["primary"], 503)), 2);
    assert_eq!((model.requests.shown().count(), selected(&model).as_str()), (2, "req_71"));
    press(&mut model, "Esc");
    assert_eq!((model.requests.filter_text(), model.requests.shown().count()), (None, 8));
}

#[test]
fn failures_are_one_key_away_and_back() {
    let mut model = attached();
    press(&mut model, "F");
    // A stream that was cut has a status of 200.
    assert_eq!(model.requests.shown().count(), 3);
    press(&mut model, "F");
    assert_eq!(model.requests.filter_text(), None);
}

#[test]
fn what_was_typed_before_comes_back() {
    let mut model = attached();
    for line in ["theme dark", "range 6h"] {
        press(&mut model, ":");
        type_in(&mut model, line);
        press(&mut model, "Enter");
    }
    assert_eq!((model.options.theme, RANGES[model.range].0), (Choice::Dark, "6h"));
    press(&mut model, ": Up Up");
    assert!(matches!(&model.mode, Mode::Typing(prompt) if prompt.text() == "theme dark"));
    press(&mut model, "Down");
    assert!(matches!(&model.mode, Mode::Typing(prompt) if prompt.text() == "range 6h"));
}

#[test]
fn commands_name_an_endpoint_or_say_which_there_are() {
    let mut model = attached();
    let command = |model: &mut Model, line: &str| {
        press(model, ":");
        type_in(model, line);
        asks(&press(model, "Enter"))
    };
    assert_eq!(command(&mut model, "enable 备用节点"), [Ask::Enable { name: "备用节点".into(), on: true }]);
    assert_eq!(command(&mut model, "endpoint kimi"), []);
    assert_eq!((model.focus, model.endpoints.selected().unwrap().name.as_str()), (Pane::Endpoints, "kimi"));
    command(&mut model, "test nobody");
    assert_eq!(notice(&model), "there is no endpoint nobody; there is primary, mirror-1, kimi, 备用节点");
    command(&mut model, "dance");
    assert!(notice(&model).starts_with("there is no command :dance"));
    assert_eq!(command(&mut model, "open req_5"), [Ask::Record("req_5".into())]);
}

#[test]
fn tab_completes_names() {
    let mut model = attached();
    press(&mut model, ":");
    type_in(&mut model, "disable ki");
    press(&mut model, "Tab");
    assert!(matches!(&model.mode, Mode::Typing(prompt) if prompt.text() == "disable kimi"));
}

#[test]
fn a_request_is_opened_read_and_closed() {
    let mut model = attached();
    draw(&mut model, 120, 40);
    assert_eq!(opens(&press(&mut model, "k k Enter")), ["req_8"]);
    let late = Answer::Record { id: "req_4".into(), opened: Ok(opened()) };
    model.update(Message::Answer(late), at(2));
    assert!(model.detail.as_ref().unwrap().opened().is_none(), "the answer to another request");
    let answer = Answer::Record { id: "req_8".into(), opened: Ok(opened()) };
    model.update(Message::Answer(answer), at(2));
    assert!(model.detail.as_ref().unwrap().opened().is_some());
    assert_eq!(opens(&press(&mut model, "K")), ["req_6"]);
    assert_eq!(opens(&press(&mut model, "J J")), ["req_8", "req_9"]);
    press(&mut model, "Esc");
    assert!(model.detail.is_none() && model.focus == Pane::Requests);
}

#[test]
fn enter_on_a_change_goes_to_its_endpoint_and_from_there_to_the_cause() {
    let mut model = attached();
    press(&mut model, "k Enter");
    assert_eq!((model.focus, model.endpoints.selected().unwrap().name.as_str()), (Pane::Endpoints, "kimi"));
    assert_eq!(asks(&press(&mut model, "Enter")), [Ask::Record("req_4".into())]);
}

#[test]
fn what_is_copied_is_what_is_looked_at() {
    let mut model = attached();
    assert_eq!(press(&mut model, "y i"), [Effect::Copy { what: "the id", text: "req_9".into() }]);
    press(&mut model, "k k Enter");
    let expected =
        |curl, to_file| Effect::CopyRecord { id: "req_8".into(), curl, to_file, listen: "127.0.0.1:8080".into() };
    assert_eq!(press(&mut model, "y c"), [expected(true, false)]);
    assert_eq!(press(&mut model, "y w"), [expected(false, true)]);
    assert_eq!(press(&mut model, "y Esc"), []);
}

#[test]
fn the_mouse_points_scrolls_and_can_be_let_go_of() {
    let mut model = attached();
    let shown = picture(&mut model, 80, 24);
    let row = |text: &str| u16::try_from(shown.lines().position(|line| line.contains(text)).unwrap()).unwrap();
    let mouse = |kind, row| Message::Mouse(MouseEvent { kind, column: 30, row, modifiers: KeyModifiers::NONE });
    let click = MouseEventKind::Down(MouseButton::Left);
    model.update(mouse(click, row("3 kimi")), at(1));
    assert_eq!((model.focus, model.endpoints.selected().unwrap().name.as_str()), (Pane::Endpoints, "kimi"));
    model.update(mouse(click, row("14:02:07")), at(1));
    assert_eq!((model.focus, selected(&model).as_str()), (Pane::Requests, "req_8"));
    let again = model.update(mouse(click, row("14:02:07")), at(1));
    assert_eq!(opens(&again), ["req_8"]);
    press(&mut model, "Esc");
    model.update(mouse(MouseEventKind::ScrollUp, row("14:02:07")), at(1));
    assert!(!model.requests.shown().follows());
    assert_eq!(press(&mut model, "M"), [Effect::Mouse(false)]);
    assert_eq!(press(&mut model, "M"), [Effect::Mouse(true)]);
}

#[test]
fn while_frozen_nothing_is_lost() {
    let mut model = attached();
    press(&mut model, "Space");
    let before = model.requests.all.count();
    for number in 20..30 {
        feed(&mut model, ended(record(number, "14:03:00", &["primary"], 200)), 5);
    }
    assert_eq!((model.requests.all.count(), model.behind(), model.now()), (before, 10, at(1)));
    press(&mut model, "Space");
    assert_eq!((model.requests.all.count(), model.behind()), (before + 10, 0));
    press(&mut model, "Space");
    feed(&mut model, lost(1), 9);
    assert!(matches!(model.link, Link::Lost(..)), "that it is gone is told at once");
}

#[test]
fn after_a_restart_of_the_proxy_nothing_seems_to_be_under_way() {
    let mut model = attached();
    assert_eq!(model.running.len(), 3);
    feed(&mut model, News::Pushed(Event::Missed(Missed { events: None })), 2);
    assert!(model.running.is_empty());
    assert!(picture(&mut model, 80, 24).contains("─── the proxy was started anew here"));
}

#[test]
fn the_worst_is_told_until_it_is_dismissed_or_another_thing_is_wrong() {
    let mut model = attached();
    let alert = model.alert().unwrap();
    assert_eq!(alert.text, "mirror-1 refuses its key (401): check its auth_value");
    press(&mut model, "x");
    assert_eq!(model.alert(), None);
    let mut list = endpoints();
    list.endpoints.iter_mut().for_each(|endpoint| endpoint.enabled = false);
    feed(&mut model, News::Endpoints(list), 2);
    assert_eq!(model.alert().unwrap().text, "every endpoint is disabled: requests are refused");
}

#[test]
fn going_to_what_is_wrong_opens_it() {
    let mut model = attached();
    assert_eq!(asks(&press(&mut model, "!")), [Ask::Record("req_6".into())]);
}

#[test]
fn without_a_proxy_there_is_nothing_to_do_but_to_leave() {
    let mut model = Model::new(options());
    feed(&mut model, lost(1), 0);
    assert_eq!(press(&mut model, "e Enter y / t D"), []);
    assert!(matches!(model.mode, Mode::Panes));
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn a_signal_and_a_bug_end_it() {
    let mut model = attached();
    assert_eq!(model.update(Message::Stop, at(1)), [Effect::Quit]);
    assert_eq!(model.update(Message::Panicked("index out of bounds".into()), at(1)), [Effect::Quit]);
    assert_eq!(model.bug.as_deref(), Some("index out of bounds"));
    assert_eq!(model.update(Message::Resumed, at(1)), [Effect::Redraw]);
}

#[test]
fn ages_stand_still_while_the_proxy_is_gone() {
    let mut model = attached();
    feed(&mut model, lost(1), 4);
    model.update(Message::Tick, at(50));
    assert_eq!(model.known_at().at, Duration::from_secs(4));
    feed(&mut model, lost(2), 51);
    assert_eq!(model.known_at().at, Duration::from_secs(4), "since the first failure, not the last");
}
