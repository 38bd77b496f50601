//! The side index: one row for each record, in `index-….sqlite` beside the log files.
//!
//! The files are the truth. The index is filled when somebody asks, never by the log's own thread; what it does not cover
//! yet is read from the files. Losing it costs nothing, and whatever is wrong with it, its reader does without.

mod condition;
mod files;
mod fill;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

pub(super) use self::condition::Condition;
use super::source::{self, Source};
use crate::wire::lean::Lean;
use crate::wire::record::Ending;

/// An index of another version is made anew.
const VERSION: i64 = 2;
/// Bytes before the indexed end that tell whether a file was changed there.
const TAIL: u64 = 64;
const PATIENCE: Duration = Duration::from_millis(100);

/// Numbers of files are never used again. `words` holds each endpoint, model, session, method and path once; 0 in a row stands for none.
/// `attempts` is `[[endpoint, fault], …]`, or absent when there was one, at `endpoint`, without a fault.
const SCHEMA: &str = "
    CREATE TABLE files (
        id INTEGER PRIMARY KEY AUTOINCREMENT, date TEXT NOT NULL, mark INTEGER NOT NULL, done INTEGER NOT NULL, tail INTEGER NOT NULL,
        UNIQUE (date, mark)
    );
    CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
    CREATE TABLE records (
        file INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, id TEXT NOT NULL, time INTEGER,
        status INTEGER NOT NULL, ending INTEGER NOT NULL, stream INTEGER NOT NULL, method INTEGER NOT NULL,
        path INTEGER NOT NULL, endpoint INTEGER NOT NULL, model INTEGER NOT NULL, session INTEGER NOT NULL,
        duration INTEGER NOT NULL, first_byte INTEGER, input INTEGER, output INTEGER, cache_read INTEGER,
        cache_creation INTEGER, size INTEGER NOT NULL, tries INTEGER NOT NULL, attempts TEXT,
        PRIMARY KEY (file, offset)
    ) WITHOUT ROWID;
    CREATE INDEX records_by_id ON records (id);
";

pub(super) type Indexed<T> = Result<T, rusqlite::Error>;

/// One connection. Several may be open, in other processes too.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    words: Words,
    path: PathBuf,
    opened: Option<files::Identity>,
}

/// What the index knew of one file when it was asked. Another process may index it anew or make the whole index anew at any
/// time, so each later question checks that this still holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    file: i64,
    generation: i64,
    /// Bytes from the file's beginning that it covers.
    pub done: u64,
}

/// Where a record is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    /// Without the line's end.
    pub length: u64,
}

/// What sums are made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'r> {
    /// Milliseconds since 1970.
    pub time: i64,
    pub ending: Ending,
    pub endpoint: Option<&'r str>,
    pub model: Option<&'r str>,
    pub duration: u64,
    pub first_byte: Option<u64>,
    /// Input, output, cache read, cache creation.
    pub tokens: [u64; 4],
    /// `None`: one, at `endpoint`, without a fault.
    pub attempts: Option<Vec<(String, Option<String>)>>,
}

/// The texts of `words` by their number, as one generation of the index has them.
#[derive(Debug, Default)]
struct Words {
    generation: i64,
    known: Vec<Option<Arc<str>>>,
    ids: HashMap<Arc<str>, i64>,
}

impl Words {
    fn get(&self, id: i64) -> Option<&str> {
        self.known.get(usize::try_from(id).ok()?)?.as_deref()
    }

    fn set(&mut self, id: i64, word: &str) {
        let Ok(place) = usize::try_from(id) else { return };
        if place >= self.known.len() {
            self.known.resize(place + 1, None);
        }
        let word: Arc<str> = word.into();
        self.known[place] = Some(Arc::clone(&word));
        self.ids.insert(word, id);
    }

    /// The number of a word; a new one gets the next.
    fn id_of(&mut self, connection: &Connection, word: &str) -> Indexed<i64> {
        if let Some(id) = self.ids.get(word) {
            return Ok(*id);
        }
        connection.prepare_cached("INSERT INTO words (word) VALUES (?)")?.execute([word])?;
        let id = connection.last_insert_rowid();
        self.set(id, word);
        Ok(id)
    }

    fn read_new(&mut self, connection: &Connection) -> Indexed<()> {
        let generation = generation(connection)?;
        if generation != self.generation {
            *self = Self { generation, ..Self::default() };
        }
        let newest = i64::try_from(self.known.len()).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached("SELECT id, word FROM words WHERE id >= ?")?;
        let mut rows = statement.query([newest])?;
        while let Some(row) = rows.next()? {
            self.set(row.get(0)?, row.get_ref(1)?.as_str()?);
        }
        Ok(())
    }
}

impl Index {
    /// Opens or makes the index of a directory. One that is broken is made anew.
    pub(super) fn open(directory: &Path) -> Indexed<Self> {
        let path = files::current(directory).map_err(unreachable)?;
        let before = files::identity(&path);
        let index = match Self::open_as_it_is(&path) {
            Err(error) if is_broken(&error) => {
                tracing::info!(index = %path.display(), %error, "the index of the request log is made anew");
                files::remove(&path, before);
                Self::open_as_it_is(&files::create(directory).map_err(unreachable)?)?
            }
            opened => opened?,
        };
        files::remove_older(&index.path);
        Ok(index)
    }

    fn open_as_it_is(path: &Path) -> Indexed<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        // What a power cut takes is read from the files again. It comes first: the next one would wait for the disk.
        connection.pragma_update(None, "synchronous", "OFF")?;
        // Not the write-ahead log: its memory-mapped file kills whoever has it open when somebody cuts it.
        connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
        prepare_schema(&connection)?;
        Ok(Self { connection, words: Words::default(), path: path.to_owned(), opened: files::identity(path) })
    }

    /// Whether the file that it has open is still the one at its path.
    pub(super) fn is_current(&self) -> bool {
        self.opened.is_some() && files::identity(&self.path) == self.opened
    }

    pub(super) fn remove(self) {
        let (path, opened) = (self.path.clone(), self.opened);
        drop(self);
        files::remove(&path, opened);
    }

    /// What is known of `source`, whose bytes `file` has; nothing when the file is not what was indexed.
    pub(super) fn known(&self, source: &Source, file: &mut File) -> Indexed<Option<Known>> {
        known(&self.connection, source, file)
    }

    /// For questions whose answers belong together: they see one state of the index, of which `known` is true.
    fn as_long_as(&self, known: Known) -> Indexed<Transaction<'_>> {
        let snapshot = self.connection.unchecked_transaction()?;
        let done: Option<i64> = snapshot
            .prepare_cached("SELECT done FROM files WHERE id = ?")?
            .query_row([known.file], |row| row.get(0))
            .optional()?;
        let holds = done.is_some_and(|done| done.cast_unsigned() >= known.done);
        if holds && generation(&snapshot)? == known.generation { Ok(snapshot) } else { Err(superseded()) }
    }

    /// Date, mark and covered bytes of every file that it knows.
    pub(super) fn all_known(&self) -> Indexed<Vec<(String, u64, u64)>> {
        let mut statement = self.connection.prepare_cached("SELECT date, mark, done FROM files")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned()))
        })?;
        rows.collect()
    }

    /// The last places before `before` that fulfil the condition, the last one first.
    pub(super) fn places(&self, known: Known, condition: &Condition, before: u64, limit: usize) -> Indexed<Vec<Place>> {
        let sql = format!(
            "SELECT offset, length FROM records WHERE file = ? AND offset < ? AND {condition} ORDER BY offset DESC LIMIT ?"
        );
        let snapshot = self.as_long_as(known)?;
        let mut statement = snapshot.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![known.file, before.cast_signed(), limit], place)?;
        rows.collect()
    }

    /// Bytes of the lines before `before` that fulfil the condition.
    pub(super) fn weight(&self, known: Known, condition: &Condition, before: u64) -> Indexed<u64> {
        let sql = format!("SELECT coalesce(sum(length), 0) FROM records WHERE file = ? AND offset < ? AND {condition}");
        let snapshot = self.as_long_as(known)?;
        let mut statement = snapshot.prepare_cached(&sql)?;
        statement
            .query_row(params![known.file, before.cast_signed()], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
    }

    /// Where the records of this id are in a file, or of those that begin with it, the last one first.
    pub(super) fn places_of_id(&self, known: Known, id: &str, prefix: bool) -> Indexed<Vec<Place>> {
        let end = if prefix { format!("{id}\u{10ffff}") } else { id.to_owned() };
        let snapshot = self.as_long_as(known)?;
        let mut statement = snapshot.prepare_cached(
            "SELECT offset, length FROM records WHERE id >= ? AND id <= ? AND file = ? AND offset < ?
             ORDER BY offset DESC LIMIT 1000",
        )?;
        let rows = statement.query_map(params![id, end, known.file, known.done.cast_signed()], place)?;
        rows.collect()
    }

    /// The facts of a file's records that began within `from..to`, in milliseconds.
    pub(super) fn facts(&mut self, known: Known, from: i64, to: i64, each: &mut dyn FnMut(&Facts)) -> Indexed<()> {
        self.words.read_new(&self.connection)?;
        let snapshot = self.as_long_as(known)?;
        let mut statement = snapshot.prepare_cached(
            "SELECT time, ending, endpoint, model, duration, first_byte, input, output, cache_read, cache_creation,
             attempts FROM records WHERE file = ? AND time >= ? AND time < ? AND offset < ?",
        )?;
        let mut rows = statement.query(params![known.file, from, to, known.done.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(i64::cast_unsigned));
            let attempts = row.get_ref(10)?.as_str_or_null()?;
            each(&Facts {
                time: row.get(0)?,
                ending: ending(row.get(1)?),
                endpoint: self.words.get(row.get(2)?),
                model: self.words.get(row.get(3)?),
                duration: number(4)?.unwrap_or(0),
                first_byte: number(5)?,
                tokens: [number(6)?, number(7)?, number(8)?, number(9)?].map(Option::unwrap_or_default),
                attempts: attempts.and_then(|text| serde_json::from_str(text).ok()),
            });
        }
        Ok(())
    }

    /// What `filter` means for rows; `None` when the index cannot tell anything of it.
    pub(super) fn condition(&mut self, expr: &crate::wire::filter::term::Expr) -> Indexed<Option<Condition>> {
        self.words.read_new(&self.connection)?;
        Ok(Condition::of(expr, &self.words))
    }
}

impl<'l> Facts<'l> {
    pub(super) fn of(lean: &'l Lean) -> Option<Self> {
        let usage = lean.usage.unwrap_or_default();
        Some(Self {
            time: crate::wire::lean::millis(&lean.time)?,
            ending: lean.ending,
            endpoint: lean.endpoint.as_deref(),
            model: lean.model.as_deref(),
            duration: lean.duration_ms,
            first_byte: lean.first_byte_ms,
            tokens: [usage.input, usage.output, usage.cache_read, usage.cache_creation].map(Option::unwrap_or_default),
            attempts: tried(lean),
        })
    }
}

/// The attempts that need telling; the usual one does not.
fn tried(lean: &Lean) -> Option<Vec<(String, Option<String>)>> {
    match lean.attempts.as_slice() {
        [only] if only.fault.is_none() && Some(&only.endpoint) == lean.endpoint.as_ref() => None,
        all => Some(all.iter().map(|attempt| (attempt.endpoint.clone(), attempt.fault.clone())).collect()),
    }
}

const ENDINGS: [Ending; 5] = [Ending::Complete, Ending::RelayedError, Ending::Failed, Ending::Cut, Ending::ClientGone];

fn ending_number(ending: Ending) -> i64 {
    ENDINGS.iter().zip(0..).find_map(|(known, number)| (*known == ending).then_some(number)).unwrap_or(2)
}

fn ending(number: i64) -> Ending {
    usize::try_from(number).ok().and_then(|number| ENDINGS.get(number).copied()).unwrap_or_default()
}

fn place(row: &rusqlite::Row<'_>) -> Indexed<Place> {
    Ok(Place { offset: row.get::<_, i64>(0)?.cast_unsigned(), length: row.get::<_, i64>(1)?.cast_unsigned() })
}

fn known(connection: &Connection, source: &Source, file: &mut File) -> Indexed<Option<Known>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, done, tail, application_id FROM files, pragma_application_id WHERE date = ? AND mark = ?",
    )?;
    let found = statement.query_row(params![source.date.to_string(), source.mark.cast_signed()], |row| {
        let (done, tail) = (row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned());
        Ok((Known { file: row.get(0)?, done, generation: row.get(3)? }, tail))
    });
    let Some((known, seen)) = found.optional()? else { return Ok(None) };
    Ok(tail(file, known.done).is_ok_and(|tail| tail == seen).then_some(known))
}

/// What tells one making of the index from the next: numbers of files and words mean something within one only.
fn generation(connection: &Connection) -> Indexed<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Nothing is wrong with the index, but its files cannot be read or made.
fn unreachable(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// Nothing is wrong with the index, but what was known of it is no longer true.
fn superseded() -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure("it was made anew meanwhile".into())
}

fn make_schema(connection: &Connection) -> Indexed<()> {
    connection.execute_batch(SCHEMA)?;
    let generation: i64 = connection.query_row("SELECT random() % 2147483647", [], |row| row.get(0))?;
    connection.pragma_update(None, "application_id", generation)?;
    connection.pragma_update(None, "user_version", VERSION)
}

fn prepare_schema(connection: &Connection) -> Indexed<()> {
    let version = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    if version(connection)? == VERSION {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let found: i64 = version(connection)?;
    let made = match found {
        VERSION => Ok(()),
        0 => make_schema(connection),
        _ => Err(rusqlite::Error::InvalidQuery),
    };
    connection.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    made
}

/// Whether it has to be made anew, rather than only being in use.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, OperationInterrupted, OutOfMemory, SystemIoFailure};
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, PermissionDenied, ReadOnly};
    match error {
        rusqlite::Error::SqliteFailure(error, _) => !matches!(
            error.code,
            DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | PermissionDenied
                | ReadOnly
                | CannotOpen
                | OperationInterrupted
                | OutOfMemory
                | SystemIoFailure
        ),
        rusqlite::Error::ToSqlConversionFailure(_) => false,
        _ => true,
    }
}

/// Of the bytes right before `end`; an error when the file is shorter.
fn tail(file: &mut File, end: u64) -> io::Result<u64> {
    let mut bytes = Vec::new();
    source::read_at(file, end.saturating_sub(TAIL), end.min(TAIL), &mut bytes)?;
    Ok(source::hash(&bytes))
}
