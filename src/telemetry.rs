//! The diagnostic log: plain lines on stderr, one for each event, for the person who runs the program.
//!
//! Every line goes through the redactor, whoever wrote it. A terminal that does not read loses lines; it never blocks the proxy.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::{Timestamp, tz::TimeZone};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock;
use crate::config::Level;
use crate::domain::redact::Redactor;

/// A redactor that several hold and one may add to.
#[derive(Clone, Debug, Default)]
pub struct SharedRedactor(Arc<RwLock<Redactor>>);

impl SharedRedactor {
    pub fn new(redactor: Redactor) -> Self {
        Self(Arc::new(RwLock::new(redactor)))
    }

    pub fn current(&self) -> Redactor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was a secret before stays one.
    pub fn replace(&self, redactor: &Redactor) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = redactor.with_previous(&current);
    }
}

/// Writes the last lines when it is dropped.
pub struct Guard {
    filter: reload::Handle<Targets, Registry>,
    _worker: WorkerGuard,
}

impl Guard {
    /// In force at once.
    pub fn set_level(&self, level: Level) {
        // It fails only when the subscriber is gone, and then nothing is written at all.
        let _ = self.filter.reload(targets(level));
    }
}

/// Lines that wait for a slow terminal; room for all of them is made at the start.
const LINES: usize = 2048;

/// Sends all events of this process to stderr; a second call in one process changes nothing.
pub fn init(level: Level, color: bool, redactor: SharedRedactor) -> Guard {
    init_to(std::io::stderr(), level, color, redactor)
}

/// [`init`], to a file for a program that has the terminal to itself.
pub fn init_to(writer: impl Write + Send + 'static, level: Level, color: bool, redactor: SharedRedactor) -> Guard {
    let (writer, worker) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).thread_name("diagnostics").finish(writer);
    let (subscriber, filter) = subscriber(writer, level, color, redactor);
    // It fails only when there is one already.
    let _ = subscriber.try_init();
    Guard { filter, _worker: worker }
}

fn subscriber(
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
    level: Level,
    color: bool,
    redactor: SharedRedactor,
) -> (impl Subscriber + Send + Sync, reload::Handle<Targets, Registry>) {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer().event_format(Lines { color, redactor }).with_writer(writer);
    (tracing_subscriber::registry().with(filter).with(lines), handle)
}

/// Our own events from `level` on; those of the libraries only when something is wrong.
fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), ours)
}

/// `12:00:00 WARN what happened endpoint=primary status=529`
struct Lines {
    color: bool,
    redactor: SharedRedactor,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        let text = text.message + &text.fields;
        let redactor = self.redactor.current();
        let time = Timestamp::try_from(clock::wall()).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = TimeZone::system().to_datetime(time).strftime("%H:%M:%S");
        let (name, color) = level_name(*event.metadata().level());
        if self.color {
            write!(writer, "\x1b[2m{time}\x1b[0m \x1b[{color}m{name}\x1b[0m ")?;
        } else {
            write!(writer, "{time} {name} ")?;
        }
        write_printable(&mut writer, &redactor.redact_str(&text, &[]))?;
        writer.write_char('\n')
    }
}

fn level_name(level: tracing::Level) -> (&'static str, u8) {
    match level {
        tracing::Level::ERROR => ("ERROR", 31),
        tracing::Level::WARN => ("WARN ", 33),
        tracing::Level::INFO => ("INFO ", 32),
        tracing::Level::DEBUG => ("DEBUG", 34),
        tracing::Level::TRACE => ("TRACE", 35),
    }
}

/// What an upstream sent may be in there: it must neither steer a terminal nor look like a line of its own.
fn write_printable(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    for piece in text.split_inclusive(char::is_control) {
        let mut end = piece.chars();
        match end.next_back().filter(|last| last.is_control()) {
            Some(control) => write!(writer, "{}{}", end.as_str(), control.escape_default())?,
            None => writer.write_str(piece)?,
        }
    }
    Ok(())
}

#[derive(Default)]
struct Text {
    message: String,
    /// Each with a space before it.
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is when it can be told from what follows.
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=');
        if field.name() == "message" || plain {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::subscriber::with_default;

    use super::*;
    use crate::domain::secret::Secret;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Memory {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }

        /// Lines without their time.
        fn lines(&self) -> Vec<String> {
            self.take().lines().map(|line| line[9..].to_owned()).collect()
        }
    }

    fn logged(level: Level, events: impl FnOnce(&reload::Handle<Targets, Registry>)) -> Vec<String> {
        let memory = Memory::default();
        let writer = memory.clone();
        let (subscriber, handle) = subscriber(move || writer.clone(), level, false, redactor());
        with_default(subscriber, || events(&handle));
        memory.lines()
    }

    fn redactor() -> SharedRedactor {
        SharedRedactor::new(Redactor::new(&[Secret::new("sk-hidden-key")]))
    }

    #[test]
    fn an_event_is_one_plain_line() {
        let lines = logged(Level::Info, |_| {
            tracing::warn!(endpoint = "primary", status = 529, why = "two words", gone = %"x", "it is {}", "down");
            tracing::info!("listening");
        });
        assert_eq!(lines, ["WARN  it is down endpoint=primary status=529 why=\"two words\" gone=x", "INFO  listening"]);
    }

    #[test]
    fn the_time_is_that_of_the_wall() {
        let memory = Memory::default();
        let writer = memory.clone();
        let (subscriber, _handle) = subscriber(move || writer.clone(), Level::Info, true, redactor());
        with_default(subscriber, || tracing::error!("x"));
        let line = memory.take();
        let (time, rest) = line.strip_prefix("\x1b[2m").unwrap().split_at(8);
        assert!(time.parse::<jiff::civil::Time>().is_ok(), "{time}");
        assert_eq!(rest, "\x1b[0m \x1b[31mERROR\x1b[0m x\n");
    }

    #[test]
    fn secrets_are_taken_out_of_message_and_fields_also_after_a_reload() {
        let memory = Memory::default();
        let (writer, shared) = (memory.clone(), redactor());
        let (subscriber, _handle) = subscriber(move || writer.clone(), Level::Info, false, shared.clone());
        with_default(subscriber, || {
            tracing::info!(key = "sk-hidden-key", "upstream said sk-hidden-key");
            shared.replace(&Redactor::new(&[Secret::new("new-key")]));
            tracing::info!("new-key and sk-hidden-key");
        });
        assert_eq!(
            memory.lines(),
            ["INFO  upstream said [redacted] key=[redacted]", "INFO  [redacted] and [redacted]"]
        );
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let lines = logged(Level::Info, |_| tracing::info!(name = %"a\u{9b}b", "x\x1b[2J\r\ny\u{7f}"));
        assert_eq!(lines, ["INFO  x\\u{1b}[2J\\r\\ny\\u{7f} name=a\\u{9b}b"]);
    }

    #[test]
    fn the_level_counts_for_us_can_be_changed_and_libraries_only_warn() {
        let events = || {
            tracing::debug!("d");
            tracing::info!("i");
            tracing::error!("e");
            tracing::info!(target: "hyper", "library i");
            tracing::warn!(target: "hyper", "library w");
        };
        let lines = logged(Level::Debug, |handle| {
            events();
            handle.reload(targets(Level::Error)).unwrap();
            events();
        });
        assert_eq!(lines, ["DEBUG d", "INFO  i", "ERROR e", "WARN  library w", "ERROR e"]);
    }
}
