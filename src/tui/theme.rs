//! Colours and signs. The views name what a thing is ([`Theme::bad`]); how that looks on this terminal is settled here.
//!
//! No state is told by colour alone: each has a sign and a word too, so [`Choice::Mono`] loses nothing. The views draw
//! with the signs of Unicode; [`to_ascii`] replaces them, and whatever foreign text brought, on a finished picture.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The terminal's own sixteen colours, or dark or light where the terminal tells which it is.
    #[default]
    Auto,
    Dark,
    Light,
    HighContrast,
    Mono,
}

impl Choice {
    pub const ALL: [Self; 5] = [Self::Auto, Self::Dark, Self::Light, Self::HighContrast, Self::Mono];

    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::HighContrast => "high-contrast",
            Self::Mono => "mono",
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.word() == word)
    }

    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|choice| *choice == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    Full,
    Indexed,
    #[default]
    Sixteen,
    None,
}

/// What the environment tells of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    pub depth: Depth,
    /// Known only where the terminal sets COLORFGBG.
    pub light: Option<bool>,
    /// Whether the locale can write more than ASCII.
    pub utf8: bool,
}

impl Screen {
    /// `variable`: the environment's value under a name.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let depth = match set("COLORTERM").as_deref() {
            _ if set("NO_COLOR").is_some() || term == "dumb" => Depth::None,
            Some("truecolor" | "24bit") => Depth::Full,
            _ if term.contains("256color") || term.contains("kitty") || term.contains("direct") => Depth::Indexed,
            _ => Depth::Sixteen,
        };
        let background = set("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            depth,
            light: background.map(|color| matches!(color, 7 | 9..=15)),
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }
}

/// One colour in every depth.
#[derive(Clone, Copy)]
struct Paint(u8, u8, u8, Color);

impl Paint {
    fn at(self, depth: Depth) -> Color {
        let Self(r, g, b, sixteen) = self;
        match depth {
            Depth::Full => Color::Rgb(r, g, b),
            Depth::Indexed => Color::Indexed(nearest(r, g, b)),
            Depth::Sixteen => sixteen,
            Depth::None => Color::Reset,
        }
    }
}

/// The nearest of the 216 colours of the cube and the 24 greys.
fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let rgb = [red, green, blue];
    let [r, g, b] = rgb.map(|value| (0_u8..6).min_by_key(|i| STEPS[usize::from(*i)].abs_diff(value)).unwrap_or(0));
    let distance =
        |other: [u8; 3]| rgb.iter().zip(other).map(|(own, other)| u32::from(own.abs_diff(other)).pow(2)).sum::<u32>();
    let level = |n: u8| [8 + 10 * n; 3];
    let grey = (0_u8..24).min_by_key(|n| distance(level(*n))).unwrap_or(0);
    let cube = distance([r, g, b].map(|step| STEPS[usize::from(step)]));
    if distance(level(grey)) < cube { 232 + grey } else { 16 + 36 * r + 6 * g + b }
}

/// What things look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    pub base: Style,
    /// What matters less.
    pub dim: Style,
    /// Headings and names of keys.
    pub accent: Style,
    pub title: Style,
    pub good: Style,
    pub warn: Style,
    pub bad: Style,
    pub border: Style,
    /// The border of the pane that has the keys.
    pub focus: Style,
    /// Laid over the row under the cursor.
    pub cursor: Style,
    /// A line that must be seen.
    pub banner: Style,
    /// What was searched for, and a filter's fault.
    pub mark: Style,
}

struct Palette {
    base: Option<(Paint, Paint)>,
    dim: Paint,
    accent: Paint,
    good: Paint,
    warn: Paint,
    bad: Paint,
    border: Paint,
    cursor: Option<Paint>,
}

const OWN: Palette = Palette {
    base: None,
    dim: Paint(128, 128, 128, Color::DarkGray),
    accent: Paint(0, 150, 170, Color::Cyan),
    good: Paint(40, 150, 70, Color::Green),
    warn: Paint(180, 130, 0, Color::Yellow),
    bad: Paint(210, 60, 60, Color::Red),
    border: Paint(110, 110, 110, Color::DarkGray),
    cursor: None,
};

const DARK: Palette = Palette {
    base: Some((Paint(222, 222, 222, Color::Gray), Paint(22, 24, 29, Color::Black))),
    dim: Paint(138, 143, 152, Color::DarkGray),
    accent: Paint(97, 190, 214, Color::Cyan),
    good: Paint(126, 200, 120, Color::Green),
    warn: Paint(226, 183, 86, Color::Yellow),
    bad: Paint(240, 113, 113, Color::LightRed),
    border: Paint(76, 82, 92, Color::DarkGray),
    cursor: Some(Paint(45, 52, 64, Color::DarkGray)),
};

const LIGHT: Palette = Palette {
    base: Some((Paint(36, 38, 42, Color::Black), Paint(250, 250, 247, Color::White))),
    dim: Paint(105, 108, 114, Color::DarkGray),
    accent: Paint(0, 98, 133, Color::Blue),
    good: Paint(24, 112, 48, Color::Green),
    warn: Paint(138, 90, 0, Color::Magenta),
    bad: Paint(184, 32, 32, Color::Red),
    border: Paint(176, 178, 182, Color::Gray),
    cursor: Some(Paint(221, 232, 240, Color::Gray)),
};

const HIGH_CONTRAST: Palette = Palette {
    base: Some((Paint(255, 255, 255, Color::White), Paint(0, 0, 0, Color::Black))),
    dim: Paint(220, 220, 220, Color::Gray),
    accent: Paint(0, 255, 255, Color::LightCyan),
    good: Paint(0, 255, 0, Color::LightGreen),
    warn: Paint(255, 255, 0, Color::LightYellow),
    bad: Paint(255, 110, 110, Color::LightRed),
    border: Paint(255, 255, 255, Color::White),
    cursor: None,
};

impl Theme {
    pub fn new(choice: Choice, screen: Screen) -> Self {
        let depth = if choice == Choice::Mono { Depth::None } else { screen.depth };
        let palette = match (choice, screen.light) {
            _ if depth == Depth::None => return Self::mono(),
            (Choice::Dark, _) | (Choice::Auto, Some(false)) => &DARK,
            (Choice::Light, _) | (Choice::Auto, Some(true)) => &LIGHT,
            (Choice::HighContrast, _) => &HIGH_CONTRAST,
            // The terminal's own colours go with its background, whichever that is.
            (Choice::Auto | Choice::Mono, _) => return Self::of(&OWN, Depth::Sixteen, false),
        };
        // Over a background that the terminal was told to have; auto leaves it as it is.
        Self::of(palette, depth, choice != Choice::Auto)
    }

    fn of(palette: &Palette, depth: Depth, background: bool) -> Self {
        let fg = |paint: Paint| Style::new().fg(paint.at(depth));
        let base = match palette.base {
            Some((front, back)) if background => fg(front).bg(back.at(depth)),
            _ => Style::new(),
        };
        let cursor = palette.cursor.filter(|_| background && depth != Depth::Sixteen);
        Self {
            base,
            dim: fg(palette.dim),
            accent: fg(palette.accent),
            title: fg(palette.accent).add_modifier(Modifier::BOLD),
            good: fg(palette.good),
            warn: fg(palette.warn),
            bad: fg(palette.bad).add_modifier(Modifier::BOLD),
            border: fg(palette.border),
            focus: fg(palette.accent),
            cursor: cursor.map_or(Style::new().add_modifier(Modifier::REVERSED), |paint| {
                Style::new().bg(paint.at(depth)).add_modifier(Modifier::BOLD)
            }),
            banner: fg(palette.bad).add_modifier(Modifier::REVERSED | Modifier::BOLD),
            mark: fg(palette.warn).add_modifier(Modifier::REVERSED),
        }
    }

    fn mono() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            base: plain,
            dim: plain.add_modifier(Modifier::DIM),
            accent: bold,
            title: bold,
            good: plain,
            warn: bold,
            bad: bold,
            border: plain.add_modifier(Modifier::DIM),
            focus: bold,
            cursor: plain.add_modifier(Modifier::REVERSED),
            banner: plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            mark: plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// How an endpoint's state looks: its sign and its colour.
    pub fn state(&self, state: &str) -> (&'static str, Style) {
        match state {
            "up" => ("●", self.good),
            "degraded" => ("◐", self.warn),
            "down" => ("x", self.bad),
            "resting" => ("◌", self.warn),
            "disabled" => ("○", self.dim),
            _ => ("?", self.dim),
        }
    }
}

/// Replaces everything in the picture that is not ASCII.
pub fn to_ascii(buffer: &mut Buffer) {
    let mut second_half = false;
    for cell in &mut buffer.content {
        if std::mem::take(&mut second_half) {
            cell.set_symbol("?");
            continue;
        }
        if cell.symbol().is_ascii() {
            continue;
        }
        second_half = super::text::width(cell.symbol()) > 1;
        let plain = cell.symbol().chars().next().map_or("?", ascii);
        cell.set_symbol(plain);
    }
}

/// Signs that mean the same thing in their context share a letter.
fn ascii(sign: char) -> &'static str {
    match sign {
        '─' | '╌' | '—' | '–' | '━' | '▃' => "-",
        '│' | '┃' | '▏' | '▌' => "|",
        '┌' | '┐' | '└' | '┘' | '┤' | '├' | '┬' | '┴' | '┼' | '▅' => "+",
        '●' | '▆' => "*",
        '◐' => "%",
        '◌' => "z",
        '○' | '·' | '▁' => ".",
        '…' | '▂' | '▒' | '░' => ":",
        '▄' => "=",
        '▇' => "#",
        '█' => "@",
        '▸' | '▶' | '›' | '→' => ">",
        '▾' | '▼' | '↓' => "v",
        '▲' | '↑' => "^",
        '‹' | '←' => "<",
        '“' | '”' => "\"",
        '‘' | '’' => "'",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn screen(variables: &[(&str, &str)]) -> Screen {
        Screen::detect(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_says_what_the_terminal_can_do() {
        let depth = |variables: &[(&str, &str)]| screen(variables).depth;
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::Full);
        assert_eq!(depth(&[("TERM", "screen-256color")]), Depth::Indexed);
        assert_eq!(depth(&[("TERM", "xterm")]), Depth::Sixteen);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(depth(&[("TERM", "xterm"), ("NO_COLOR", "")]), Depth::Sixteen, "an empty NO_COLOR is none");
        assert_eq!(screen(&[("COLORFGBG", "15;0")]).light, Some(false));
        assert_eq!(screen(&[("COLORFGBG", "0;default;15")]).light, Some(true));
        assert_eq!(screen(&[]).light, None);
        assert!(screen(&[("LANG", "de_DE.UTF-8")]).utf8 && screen(&[("LC_ALL", "C.utf8"), ("LANG", "C")]).utf8);
        assert!(!screen(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]).utf8 && !screen(&[]).utf8);
    }

    #[test]
    fn without_colour_no_colour_is_left() {
        let all = |theme: Theme| {
            [theme.base, theme.dim, theme.accent, theme.good, theme.warn, theme.bad, theme.border, theme.cursor]
        };
        for choice in Choice::ALL {
            let theme = Theme::new(choice, Screen { depth: Depth::None, ..Screen::default() });
            assert!(all(theme).iter().all(|style| style.fg.is_none() && style.bg.is_none()), "{choice:?}");
        }
        let mono = Theme::new(Choice::Mono, Screen { depth: Depth::Full, ..Screen::default() });
        assert!(all(mono).iter().all(|style| style.fg.is_none() && style.bg.is_none()));
    }

    #[test]
    fn no_colour_beyond_what_the_terminal_has() {
        let dark = |depth| Theme::new(Choice::Dark, Screen { depth, ..Screen::default() }).good.fg.unwrap();
        assert_eq!(dark(Depth::Full), Color::Rgb(126, 200, 120));
        assert_eq!(dark(Depth::Indexed), Color::Indexed(114));
        assert_eq!(dark(Depth::Sixteen), Color::Green);
        assert_eq!((nearest(0, 0, 0), nearest(255, 255, 255), nearest(118, 118, 118)), (16, 231, 243));
    }

    #[test]
    fn states_differ_without_colour_and_in_ascii() {
        let states = ["up", "degraded", "down", "resting", "disabled", "novel"];
        let theme = Theme::mono();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
        for (x, state) in (0..).zip(states) {
            buffer[(x, 0)].set_symbol(theme.state(state).0);
        }
        to_ascii(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["*%xz.?"]));
    }

    #[test]
    fn ascii_keeps_the_columns_of_wide_letters() {
        let mut buffer = Buffer::with_lines(["│修一▂x…│é"]);
        to_ascii(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["|????:x:|?"]));
    }

    #[test]
    fn every_theme_is_reached_and_named() {
        let mut choice = Choice::Auto;
        for _ in 0..5 {
            assert_eq!(Choice::named(choice.word()), Some(choice));
            choice = choice.next();
        }
        assert_eq!(choice, Choice::Auto);
    }
}
