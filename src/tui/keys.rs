//! Every key and what it does, in one table. The help, the hints at the bottom and the dispatch all read it, so none of
//! them can say what is not so.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Quit,
    Suspend,
    Redraw,
    Help,
    Command,
    Freeze,
    Theme,
    Zoom,
    Mouse,
    Range,
    NextPane,
    PreviousPane,
    /// The pane, or in a request the tab, of that number.
    Number(u8),
    Move(Motion),
    Open,
    Back,
    Follow,
    Filter,
    Failures,
    Toggle,
    Undo,
    Test,
    Reset,
    Raise,
    Lower,
    Delete,
    Sort,
    Newer,
    Older,
    Fold,
    Unfold,
    FoldAll,
    UnfoldAll,
    Search,
    NextHit,
    PreviousHit,
    Copy,
    CopyId,
    CopyJson,
    CopyCurl,
    SaveJson,
    GoToAlert,
    Dismiss,
    Yes,
    Submit,
    Cancel,
    Complete,
    Earlier,
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Motion {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    First,
    Last,
}

/// Where a key works. Several hold at a time; the first one that knows a key has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// Whatever is on the screen.
    Always,
    /// Wherever no text is being typed and nothing is being asked.
    Anywhere,
    /// A list that moves under j and k.
    List,
    Endpoints,
    Requests,
    Detail,
    /// A tab of a request that is a tree.
    Tree,
    Help,
    CopyMenu,
    Confirm,
    /// A line is being typed: filter, search or command.
    Typing,
}

impl Context {
    /// A heading of the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Always | Self::Anywhere => "everywhere",
            Self::List => "moving",
            Self::Endpoints => "endpoints",
            Self::Requests => "requests",
            Self::Detail => "one request",
            Self::Tree => "a body",
            Self::Help => "this help",
            Self::CopyMenu => "copy",
            Self::Confirm => "question",
            Self::Typing => "typing a line",
        }
    }
}

/// One key of the keyboard. Shift is part of a letter (`G`), not told apart otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: KeyCode,
    pub ctrl: bool,
}

impl Key {
    pub fn of(event: KeyEvent) -> Self {
        Self { code: event.code, ctrl: event.modifiers.contains(KeyModifiers::CONTROL) }
    }

    /// As people write it.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            other => format!("{other:?}"),
        };
        if self.ctrl { format!("Ctrl-{name}") } else { name }
    }
}

const fn key(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: false }
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

const fn code(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

const SPACE: Key = key(' ');
const ENTER: Key = code(KeyCode::Enter);
const ESC: Key = code(KeyCode::Esc);
const TAB: Key = code(KeyCode::Tab);
const BACK_TAB: Key = code(KeyCode::BackTab);
const UP: Key = code(KeyCode::Up);
const DOWN: Key = code(KeyCode::Down);
const LEFT: Key = code(KeyCode::Left);
const RIGHT: Key = code(KeyCode::Right);

impl Action {
    /// Whether it changes the proxy: what `--read-only` is without.
    pub fn changes(self) -> bool {
        matches!(self, Self::Toggle | Self::Undo | Self::Test | Self::Reset | Self::Raise | Self::Lower | Self::Delete)
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    pub keys: &'static [Key],
    pub context: Context,
    pub action: Action,
    /// For the help.
    pub help: &'static str,
    /// For the bottom line; empty: only in the help.
    pub hint: &'static str,
    /// Which hints stay when there is little room: 1 longest.
    pub rank: u8,
}

impl Binding {
    /// `j ↓`
    pub fn key_names(&self) -> String {
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
    }
}

const fn bind(
    context: Context,
    keys: &'static [Key],
    action: Action,
    help: &'static str,
    hint: &'static str,
    rank: u8,
) -> Binding {
    Binding { keys, context, action, help, hint, rank }
}

const fn quiet(context: Context, keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    bind(context, keys, action, help, "", u8::MAX)
}

use Action as A;
use Context as C;

pub const TABLE: &[Binding] = &[
    // What works in one place only, the most used first.
    bind(C::Endpoints, &[key('e')], A::Toggle, "enable or disable the endpoint; u takes it back", "on/off", 3),
    bind(C::Endpoints, &[key('t')], A::Test, "test it now with a small request", "test", 4),
    bind(C::Endpoints, &[ENTER], A::Open, "open the newest request that it failed", "why", 7),
    bind(C::Endpoints, &[key('p'), key('+')], A::Raise, "try it sooner: one place up", "sooner/later", 6),
    quiet(C::Endpoints, &[key('P'), key('-')], A::Lower, "try it later: one place down"),
    bind(C::Endpoints, &[key('R')], A::Reset, "forget its failures: it counts as up again", "reset", 8),
    bind(C::Endpoints, &[key('s')], A::Sort, "sort by priority, name, state, p95 or failures", "sort", 9),
    quiet(C::Endpoints, &[key('D')], A::Delete, "delete it from the config; asks first"),
    bind(C::Requests, &[ENTER], A::Open, "open the request; on a change, go to its endpoint", "open", 2),
    bind(C::Requests, &[key('/')], A::Filter, "show only what fits: status>=400 endpoint:kimi ttft>5s", "filter", 3),
    bind(
        C::Requests,
        &[key('f'), key('G'), code(KeyCode::End)],
        A::Follow,
        "go to the newest and stay there",
        "follow",
        4,
    ),
    bind(C::Requests, &[key('F')], A::Failures, "show only what failed; again: everything", "failures", 6),
    bind(C::Requests, &[key('y')], A::Copy, "copy: id, JSON or a curl command", "copy", 8),
    quiet(C::Requests, &[ESC], A::Back, "clear the filter"),
    bind(C::Detail, &[ESC, code(KeyCode::Backspace)], A::Back, "close the request", "close", 2),
    bind(C::Detail, &[key(']'), RIGHT, key('l')], A::NextPane, "next tab", "tab", 3),
    quiet(C::Detail, &[key('['), LEFT, key('h')], A::PreviousPane, "previous tab"),
    bind(C::Detail, &[key('J')], A::Newer, "the next newer request", "newer/older", 5),
    quiet(C::Detail, &[key('K')], A::Older, "the next older request"),
    bind(C::Detail, &[key('y')], A::Copy, "copy: id, JSON or a curl command", "copy", 6),
    bind(C::Tree, &[key('/')], A::Search, "search in this body", "search", 4),
    bind(C::Tree, &[key('n')], A::NextHit, "next place that was searched for", "next/previous", 7),
    quiet(C::Tree, &[key('N')], A::PreviousHit, "previous place that was searched for"),
    bind(C::Tree, &[ENTER], A::Unfold, "fold or unfold; unwraps long text", "fold", 5),
    quiet(C::Tree, &[key('-')], A::Fold, "fold what the cursor is in"),
    bind(C::Tree, &[key('e')], A::UnfoldAll, "unfold everything", "all", 9),
    quiet(C::Tree, &[key('c')], A::FoldAll, "fold everything"),
    // Moving.
    bind(C::List, &[key('j'), DOWN], A::Move(Motion::Down), "down", "move", 5),
    quiet(C::List, &[key('k'), UP], A::Move(Motion::Up), "up; in the requests it stops following"),
    quiet(C::List, &[code(KeyCode::PageDown), ctrl('f')], A::Move(Motion::PageDown), "a page down"),
    quiet(C::List, &[code(KeyCode::PageUp), ctrl('b')], A::Move(Motion::PageUp), "a page up"),
    quiet(C::List, &[ctrl('d')], A::Move(Motion::HalfDown), "half a page down"),
    quiet(C::List, &[ctrl('u')], A::Move(Motion::HalfUp), "half a page up"),
    quiet(
        C::List,
        &[key('g'), code(KeyCode::Home)],
        A::Move(Motion::First),
        "to the first; older requests are fetched",
    ),
    quiet(C::List, &[key('G'), code(KeyCode::End)], A::Move(Motion::Last), "to the last"),
    // Wherever nothing is typed or asked.
    bind(C::Anywhere, &[key('?')], A::Help, "this help: the keys that work here", "help", 1),
    bind(C::Anywhere, &[key('q')], A::Quit, "quit; the proxy goes on", "quit", 1),
    bind(C::Anywhere, &[SPACE], A::Freeze, "freeze the screen; nothing is lost behind it", "freeze", 5),
    bind(C::Anywhere, &[TAB], A::NextPane, "next pane, or tab of a request", "pane", 7),
    quiet(C::Anywhere, &[BACK_TAB], A::PreviousPane, "previous pane or tab"),
    quiet(C::Anywhere, &[key('1')], A::Number(1), "endpoints, or the first tab of a request"),
    quiet(C::Anywhere, &[key('2')], A::Number(2), "requests, or the second tab"),
    quiet(C::Anywhere, &[key('3')], A::Number(3), "the open request, or its third tab"),
    quiet(C::Anywhere, &[key('4')], A::Number(4), "the fourth tab of a request"),
    quiet(C::Anywhere, &[key('5')], A::Number(5), "the fifth tab of a request"),
    bind(C::Anywhere, &[key(':')], A::Command, "type a command; Tab completes", "command", 8),
    bind(C::Anywhere, &[key('z')], A::Zoom, "give the pane the whole screen; again: back", "zoom", 9),
    bind(C::Anywhere, &[key('T')], A::Theme, "next theme: auto, dark, light, high-contrast, mono", "theme", 10),
    bind(C::Anywhere, &[key('M')], A::Mouse, "let go of the mouse, to select text; again: take it", "mouse", 11),
    quiet(C::Anywhere, &[key('r')], A::Range, "charts over 15 min, 1 h, 6 h, 24 h or 7 days (wide screens)"),
    quiet(C::Anywhere, &[key('u')], A::Undo, "take back the last change"),
    quiet(C::Anywhere, &[key('!')], A::GoToAlert, "go to what the ! line tells of"),
    quiet(C::Anywhere, &[key('x')], A::Dismiss, "dismiss the ! line"),
    quiet(C::Anywhere, &[ctrl('l')], A::Redraw, "draw the screen anew"),
    quiet(C::Always, &[ctrl('c')], A::Quit, "quit"),
    quiet(C::Always, &[ctrl('z')], A::Suspend, "to the shell; fg comes back"),
    // Popups.
    bind(C::Help, &[ESC, ENTER, key('?')], A::Cancel, "close the help", "close", 1),
    quiet(C::Help, &[DOWN], A::Move(Motion::Down), "down"),
    quiet(C::Help, &[UP], A::Move(Motion::Up), "up"),
    quiet(C::Help, &[code(KeyCode::PageDown)], A::Move(Motion::PageDown), "a page down"),
    quiet(C::Help, &[code(KeyCode::PageUp)], A::Move(Motion::PageUp), "a page up"),
    bind(C::CopyMenu, &[key('i')], A::CopyId, "its id", "id", 1),
    bind(C::CopyMenu, &[key('j')], A::CopyJson, "the whole record as JSON", "JSON", 1),
    bind(C::CopyMenu, &[key('c')], A::CopyCurl, "a curl command that repeats it, without any key", "curl", 1),
    bind(C::CopyMenu, &[key('w')], A::SaveJson, "write the JSON to a file", "write a file", 1),
    bind(C::CopyMenu, &[ESC, key('q')], A::Cancel, "copy nothing", "cancel", 1),
    bind(C::Confirm, &[key('y')], A::Yes, "yes, do it", "yes", 1),
    bind(C::Confirm, &[key('n'), ESC, key('q')], A::Cancel, "no, leave it", "no", 1),
    bind(C::Typing, &[ENTER], A::Submit, "take it", "take it", 1),
    bind(C::Typing, &[ESC], A::Cancel, "forget it", "forget it", 1),
    bind(C::Typing, &[TAB], A::Complete, "complete", "complete", 2),
    bind(C::Typing, &[UP], A::Earlier, "what was typed before", "earlier", 3),
    quiet(C::Typing, &[DOWN], A::Later, "what was typed after that"),
];

/// What a key does where `contexts` hold, the most particular one first.
pub fn lookup(contexts: &[Context], key: Key) -> Option<Action> {
    let bound = |context: &Context| TABLE.iter().find(|line| line.context == *context && line.keys.contains(&key));
    contexts.iter().find_map(bound).map(|line| line.action)
}

/// The lines that work where `contexts` hold: those whose keys a more particular context has not all taken.
pub fn working(contexts: &[Context]) -> Vec<&'static Binding> {
    let lines = contexts.iter().flat_map(|context| TABLE.iter().filter(move |line| line.context == *context));
    lines.filter(|line| line.keys.iter().any(|key| lookup(contexts, *key) == Some(line.action))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PLACES: &[&[Context]] = &[
        &[C::Endpoints, C::List, C::Anywhere, C::Always],
        &[C::Requests, C::List, C::Anywhere, C::Always],
        &[C::Detail, C::List, C::Anywhere, C::Always],
        &[C::Tree, C::Detail, C::List, C::Anywhere, C::Always],
        &[C::Help, C::Always],
        &[C::CopyMenu, C::Always],
        &[C::Confirm, C::Always],
        &[C::Typing, C::Always],
    ];

    #[test]
    fn no_key_means_two_things_in_one_context() {
        let mut seen = HashSet::new();
        for line in TABLE {
            for key in line.keys {
                assert!(seen.insert((line.context, *key)), "{} twice in {:?}", key.name(), line.context);
            }
        }
    }

    #[test]
    fn every_line_works_somewhere_and_its_first_key_does_what_it_says() {
        for line in TABLE {
            let places: Vec<_> = PLACES.iter().filter(|place| place.contains(&line.context)).collect();
            let works = places.iter().any(|place| lookup(place, line.keys[0]) == Some(line.action));
            assert!(works, "{} ({}) is taken everywhere", line.key_names(), line.help);
        }
    }

    #[test]
    fn one_can_leave_and_ask_for_help_from_everywhere() {
        for place in PLACES {
            assert_eq!(lookup(place, ctrl('c')), Some(A::Quit), "{place:?}");
            assert_eq!(lookup(place, ctrl('z')), Some(A::Suspend), "{place:?}");
            let popup = !place.contains(&C::Anywhere);
            assert!(popup || lookup(place, key('?')) == Some(A::Help));
            assert!(!popup || lookup(place, ESC) == Some(A::Cancel), "Esc closes {place:?}");
        }
    }

    #[test]
    fn letters_are_free_while_typing() {
        for line in TABLE.iter().filter(|line| [C::Typing, C::Always].contains(&line.context)) {
            assert!(!line.keys.iter().any(|key| matches!(key.code, KeyCode::Char(_)) && !key.ctrl));
        }
    }

    #[test]
    fn a_key_that_a_place_takes_is_not_offered_twice() {
        for place in PLACES {
            let working = working(place);
            for line in &working {
                let same = |other: &&&Binding| other.keys.contains(&line.keys[0]) && other.action != line.action;
                for other in working.iter().filter(same) {
                    // Only where the other line has a key of its own.
                    assert!(other.keys.iter().any(|key| lookup(place, *key) == Some(other.action)));
                }
            }
        }
        let requests = working(PLACES[1]);
        assert!(!requests.iter().any(|line| line.action == A::Move(Motion::Last)), "G follows there");
    }

    #[test]
    fn shift_is_part_of_the_letter() {
        let event = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(Key::of(event), key('G'));
        assert_eq!((ctrl('d').name(), SPACE.name(), ENTER.name()), ("Ctrl-d".into(), "Space".into(), "Enter".into()));
    }
}
