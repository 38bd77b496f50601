//! The dashboard: a program of its own that watches a running proxy over its admin API. It holds nothing that the proxy
//! needs: it may come, go and crash.
//!
//! ```text
//! keys, mouse, signals ─┐                      ┌─> view::draw      a function of the model
//! feed (events, pages) ─┼─> Message ─> Model ──┤
//! answers to calls ─────┘                      └─> Effect ─> Outside: the proxy, the clipboard, the terminal
//! ```
//! The view asks, the loop acts: neither model nor view ever touches a socket, a file or the clock. It draws when
//! something changed, at most ten times a second, faster only while the user does something, and once a second for the
//! clocks on the screen.

mod calls;
mod clipboard;
mod feed;
#[cfg(test)]
mod fixture;
pub mod keys;
pub mod message;
pub mod model;
mod outside;
pub mod terminal;
mod text;
pub mod theme;
mod view;

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use tokio::sync::{mpsc, watch};

use self::message::{Effect, Lost, Message, Now};
use self::model::{Link, Model, Options, RANGES};
use self::outside::{Outside, Real};
use self::terminal::Guard;
use crate::client::AdminClient;
use crate::clock;

/// Pictures of what the proxy tells follow each other no faster.
const FRAME: Duration = Duration::from_millis(100);
/// Those of what the user does, and of the answers to it.
const FRAME_BY_HAND: Duration = Duration::from_millis(30);
/// What shows a clock is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// Messages that wait; a feed that is faster waits itself.
const QUEUE: usize = 1024;

/// How the dashboard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The user had enough, or a signal said so.
    Left,
    /// The same, but the proxy never was there; why.
    NeverAttached(String),
    /// The same, but the proxy never let us in: its words, and what to do about it.
    Refused { why: String, hint: String },
    /// A bug; its words were printed.
    Bug,
}

/// Takes the terminal, attaches, and runs until the user leaves. The terminal is as it was found when it returns.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn open(client: AdminClient, options: Options) -> io::Result<End> {
    let (sender, inputs) = mpsc::channel(QUEUE);
    let guard = Guard::take()?;
    let told = sender.clone();
    terminal::give_back_on_panic(move |what| {
        // A full queue ends the loop as well: what it holds is drawn to nobody.
        let _ = told.try_send(Message::Panicked(what));
    });
    listen_to_terminal(sender.clone());
    listen_to_signals(&sender)?;
    let (range, ranges) = watch::channel(RANGES[0].1);
    let feed = tokio::spawn(feed::run(client.clone(), sender.clone(), ranges));
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut outside = Real::new(guard, client, sender, range);
    let end = run(&mut terminal, inputs, &mut outside, Model::new(options)).await;
    feed.abort();
    end
}

/// Keys, mouse and size, from a thread that waits for them.
fn listen_to_terminal(sender: mpsc::Sender<Message>) {
    use crossterm::event::Event;
    std::thread::spawn(move || {
        loop {
            let message = match crossterm::event::read() {
                Ok(Event::Key(key)) => Message::Key(key),
                Ok(Event::Mouse(event)) => Message::Mouse(event),
                Ok(Event::Paste(text)) => Message::Paste(text),
                Ok(Event::Resize(..)) => Message::Resized,
                Ok(Event::FocusGained | Event::FocusLost) => continue,
                // The terminal is gone.
                Err(_) => Message::Stop,
            };
            let over = matches!(message, Message::Stop);
            if sender.blocking_send(message).is_err() || over {
                return;
            }
        }
    });
}

#[cfg(unix)]
fn listen_to_signals(sender: &mpsc::Sender<Message>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), terminal::continued()];
    for kind in kinds {
        let mut signals = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let message = if kind == terminal::continued() { Message::Resumed } else { Message::Stop };
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// The main loop: what comes in changes the model, the model is drawn, and what it asks for is done outside.
pub(crate) async fn run<B: Backend>(
    terminal: &mut Terminal<B>,
    mut inputs: mpsc::Receiver<Message>,
    outside: &mut impl Outside,
    mut model: Model,
) -> io::Result<End> {
    let start = clock::now();
    // How soon after the last picture the next one is wanted; `None`: nothing changed.
    let (mut drawn, mut wanted) = (None::<Instant>, Some(FRAME));
    loop {
        let wait = match drawn {
            None => Duration::ZERO,
            Some(at) => (at + wanted.unwrap_or(TICK)).saturating_duration_since(clock::now()),
        };
        let message = tokio::select! {
            biased;
            () = tokio::time::sleep(wait), if wanted.is_some() => None,
            message = inputs.recv() => Some(message.unwrap_or(Message::Stop)),
            () = tokio::time::sleep(wait), if wanted.is_none() => Some(Message::Tick),
        };
        let Some(message) = message else {
            wanted = (outside.has_terminal() && draw(terminal, &mut model)?).then_some(FRAME_BY_HAND);
            drawn = Some(clock::now());
            continue;
        };
        let frame = if message.is_by_hand() { FRAME_BY_HAND } else { FRAME };
        wanted = Some(wanted.map_or(frame, |wanted| wanted.min(frame)));
        for effect in model.update(message, since(start)) {
            if effect == Effect::Quit {
                return Ok(end(&model));
            }
            if act(effect, terminal, outside).await? {
                drawn = None;
            }
        }
    }
}

fn since(start: Instant) -> Now {
    let wall = Timestamp::try_from(clock::wall()).unwrap_or(Timestamp::UNIX_EPOCH);
    Now { at: clock::now() - start, wall }
}

/// Whether it has to be drawn once more: what is drawn may depend on where it fell.
fn draw<B: Backend>(terminal: &mut Terminal<B>, model: &mut Model) -> io::Result<bool> {
    let mut areas = None;
    terminal.draw(|frame| areas = Some(view::draw(frame, model))).map_err(gone)?;
    Ok(areas.is_some_and(|areas| model.drawn(areas)))
}

/// Whether the screen has to be drawn at once.
async fn act<B: Backend>(effect: Effect, terminal: &mut Terminal<B>, outside: &mut impl Outside) -> io::Result<bool> {
    match effect {
        Effect::Suspend => outside.suspend().await?,
        Effect::Redraw => outside.take_again()?,
        other => {
            outside.act(other);
            return Ok(false);
        }
    }
    // As if it had another size: everything is drawn anew. `clear` would ask the terminal where its cursor is, and the
    // answer would go to the thread that waits for keys.
    let size = terminal.size().map_err(gone)?;
    terminal.resize(size.into()).map_err(gone)?;
    Ok(true)
}

fn gone(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn end(model: &Model) -> End {
    match &model.link {
        _ if model.bug.is_some() => End::Bug,
        _ if model.ever_attached => End::Left,
        Link::Lost(_, Lost { why, hint: Some(hint), .. }) => End::Refused { why: why.clone(), hint: hint.clone() },
        Link::Lost(_, lost) => End::NeverAttached(lost.why.clone()),
        Link::Connecting | Link::Attached => End::NeverAttached("it did not answer yet".to_owned()),
    }
}

#[cfg(test)]
mod tests;
