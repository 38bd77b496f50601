//! Takes the records of a file into the index.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Index, Indexed, Known, Words, ending_number, generation, known, tail, tried};
use crate::logs::source::{Forwards, Source, lines};
use crate::wire::lean::{self, Lean};

/// Written at once; in between others may write, and a reader that goes away loses no more.
const BATCH: u64 = 4 << 20;

impl Index {
    /// Takes in what of `source` is missing, about `budget` bytes at most. Fails at once while somebody else writes.
    pub(in crate::logs) fn fill(
        &mut self,
        source: &Source,
        file: &mut File,
        budget: u64,
        stop: &AtomicBool,
    ) -> Indexed<Known> {
        let mut spent = 0;
        loop {
            let before = self.known(source, file)?.map_or(0, |known| known.done);
            if before >= source.size || spent >= budget || stop.load(Ordering::Relaxed) {
                return Ok(self.known(source, file)?.unwrap_or_default());
            }
            let known = self.fill_batch(source, file)?;
            if known.done <= before {
                return Ok(known);
            }
            spent += known.done - before;
        }
    }

    fn fill_batch(&mut self, source: &Source, file: &mut File) -> Indexed<Known> {
        let filled = self.fill_batch_within(source, file);
        if filled.is_err() {
            // Words that were rolled back have no number any more: somebody else may give it to another one.
            self.words = Words::default();
        }
        filled
    }

    fn fill_batch_within(&mut self, source: &Source, file: &mut File) -> Indexed<Known> {
        let words = &mut self.words;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        words.read_new(&transaction)?;
        // Somebody may have been quicker, so what is known is asked once the index is ours alone.
        let known = match known(&transaction, source, file)? {
            Some(known) => known,
            None => begin_anew(&transaction, source)?,
        };
        let done = insert(&transaction, words, known, source, file)?;
        let tail = tail(file, done).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let update = "UPDATE files SET done = ?, tail = ? WHERE id = ?";
        transaction.execute(update, params![done.cast_signed(), tail.cast_signed(), known.file])?;
        transaction.commit()?;
        Ok(Known { done, ..known })
    }

    /// Drops the rows of files that are no longer there.
    pub(in crate::logs) fn forget_missing(&mut self, sources: &[Source]) -> Indexed<()> {
        let missing: Vec<i64> = {
            let mut statement = self.connection.prepare_cached("SELECT id, date, mark FROM files")?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
            })?;
            let there =
                |date: &str, mark| sources.iter().any(|source| source.mark == mark && source.date.to_string() == date);
            let rows: Vec<_> = rows.collect::<Indexed<_>>()?;
            rows.into_iter().filter(|(_, date, mark)| !there(date, *mark)).map(|(id, ..)| id).collect()
        };
        for id in missing {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM records WHERE file = ?", [id])?;
            transaction.execute("DELETE FROM files WHERE id = ?", [id])?;
            transaction.commit()?;
        }
        Ok(())
    }
}

/// For a file that is new, or is not any more what it was.
fn begin_anew(connection: &Connection, source: &Source) -> Indexed<Known> {
    let (date, mark) = (source.date.to_string(), source.mark.cast_signed());
    connection.execute(
        "DELETE FROM records WHERE file IN (SELECT id FROM files WHERE date = ? AND mark = ?)",
        params![date, mark],
    )?;
    connection.execute("DELETE FROM files WHERE date = ? AND mark = ?", params![date, mark])?;
    connection.execute("INSERT INTO files (date, mark, done, tail) VALUES (?, ?, 0, 0)", params![date, mark])?;
    Ok(Known { file: connection.last_insert_rowid(), done: 0, generation: generation(connection)? })
}

/// About a batch of records; up to where they go.
fn insert(connection: &Connection, words: &mut Words, known: Known, source: &Source, file: &mut File) -> Indexed<u64> {
    let mut blocks = Forwards::new(file, known.done, source.size);
    let mut done = known.done;
    let unreadable = |error: std::io::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    while done - known.done < BATCH {
        let Some((begin, block)) = blocks.next().map_err(unreadable)? else { break };
        for (at, line) in lines(block) {
            // Half a line that a killed writer left is no record.
            if let Some(lean) = Lean::read(line) {
                insert_one(connection, words, known.file, begin + at as u64, line.len() as u64, &lean)?;
            }
        }
        done = begin + block.len() as u64;
    }
    Ok(done)
}

fn insert_one(
    connection: &Connection,
    words: &mut Words,
    file: i64,
    offset: u64,
    length: u64,
    lean: &Lean,
) -> Indexed<()> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut word = |text: Option<&str>| text.map_or(Ok(0), |text| words.id_of(connection, text));
    let usage = lean.usage.unwrap_or_default();
    let attempts = tried(lean).and_then(|attempts| serde_json::to_string(&attempts).ok());
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        file,
        number(offset),
        number(length),
        lean.id,
        lean::millis(&lean.time),
        lean.status,
        ending_number(lean.ending),
        lean.stream,
        word(Some(&lean.method))?,
        word(Some(&lean.path))?,
        word(lean.endpoint.as_deref())?,
        word(lean.model.as_deref())?,
        word(lean.session.as_deref())?,
        number(lean.duration_ms),
        lean.first_byte_ms.map(number),
        usage.input.map(number),
        usage.output.map(number),
        usage.cache_read.map(number),
        usage.cache_creation.map(number),
        number(lean.request.size.saturating_add(lean.response.size)),
        number(lean.attempts.len() as u64),
        attempts,
    ])?;
    Ok(())
}
