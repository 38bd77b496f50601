//! The finished requests of a log directory, read back: pages, searches, sums. Everything here may wait for the disk.

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use memchr::memmem::Finder;

use super::index::{Facts, Known};
use super::indexing::{Indexing, Lookup};
use super::position::{Cursor, Position};
use super::search::{Found, Search, days};
use super::source::{Backwards, Forwards, Source, lines, read_at, sources};
use super::sums::Sums;
use crate::wire::filter::Filter;
use crate::wire::lean::Lean;
use crate::wire::logs::{Detail, LogPage};
use crate::wire::record::RequestRecord;
use crate::wire::stats::StatsView;

/// What is asked of the log.
#[derive(Debug)]
pub struct Query<'a> {
    pub filter: &'a Filter,
    /// [`LogPage::next`] of the page before; `None`: from the newest on.
    pub before: Option<&'a str>,
    pub limit: usize,
    pub detail: Detail,
}

/// Reads a log directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogStore(Arc<Indexing>);

impl LogStore {
    pub fn open(directory: &Path) -> Self {
        Self(Indexing::new(directory))
    }

    pub fn directory(&self) -> &Path {
        self.0.directory()
    }

    /// The newest records that fit. Ends early, with what it has, once `stop` is set.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read (one that is not there is empty), or `before` is no cursor of ours.
    pub fn page(&self, query: &Query<'_>, stop: &AtomicBool) -> io::Result<LogPage> {
        let mut logs = Vec::new();
        let from = query.before.map(str::parse::<Cursor>).transpose()?.and_then(|cursor| cursor.files);
        let left = self.limited(query, from, stop, &mut |_, record| {
            logs.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(LogPage { logs, next: left.map(|files| Cursor { files: Some(files), memory: None }.to_string()) })
    }

    /// Every record that fits, newest first, as it is found, until `hit` breaks or `query.limit` is reached.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn search(
        &self,
        query: &Query<'_>,
        stop: &AtomicBool,
        hit: &mut dyn FnMut(RequestRecord) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let from = query.before.map(str::parse::<Cursor>).transpose()?.and_then(|cursor| cursor.files);
        self.limited(query, from, stop, &mut |_, record| hit(record)).map(drop)
    }

    fn limited(
        &self,
        query: &Query<'_>,
        from: Option<Position>,
        stop: &AtomicBool,
        found: Found<'_>,
    ) -> io::Result<Option<Position>> {
        let mut left = query.limit;
        if left == 0 {
            return Ok(from);
        }
        self.walk(query.filter, query.detail, from, stop, &mut |position, record| {
            left -= 1;
            found(position, record)?;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// From `from` to the oldest. Where it ended, when that was before the oldest.
    pub(super) fn walk(
        &self,
        filter: &Filter,
        detail: Detail,
        from: Option<Position>,
        stop: &AtomicBool,
        found: Found<'_>,
    ) -> io::Result<Option<Position>> {
        // Whoever wants the newest records, whatever they are, need not wait for an index.
        let lookup = if filter.is_empty() { self.0.without() } else { self.0.caught_up(&sources(self.directory())?) };
        Search { filter, detail, stop, lookup }.run(self.directory(), from, found)
    }

    /// The end of the newest file: what is before it is there now.
    pub(super) fn newest(&self) -> io::Result<Option<Position>> {
        Ok(sources(self.directory())?.last().map(|source| Position::in_source(source, source.size)))
    }

    /// One record with its bodies as the file has them; the newest of that id.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn get(&self, id: &str) -> io::Result<Option<RequestRecord>> {
        let mut found = None;
        self.by_id(id, false, &mut |_, line| {
            found = serde_json::from_slice(line).ok().filter(|record: &RequestRecord| record.id == id);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Where the record of this id begins.
    pub(super) fn place_of(&self, id: &str) -> io::Result<Option<Position>> {
        let mut found = None;
        self.by_id(id, false, &mut |position, line| {
            found = Lean::read(line).filter(|lean| lean.id == id).map(|_| position);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// The newest records whose id begins so, each id once, without headers and bodies; `limit` at most.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn with_prefix(&self, prefix: &str, limit: usize) -> io::Result<Vec<RequestRecord>> {
        let mut found: Vec<RequestRecord> = Vec::new();
        self.by_id(prefix, true, &mut |_, line| {
            let record = Lean::read(line).filter(|lean| lean.id.starts_with(prefix)).map(Lean::into_record);
            found.extend(record.filter(|record| found.iter().all(|known| known.id != record.id)));
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// The lines that can be of this id: those that the index names, then those that it does not know yet.
    fn by_id(
        &self,
        id: &str,
        prefix: bool,
        each: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let sources = sources(self.directory())?;
        let mut lookup = self.0.caught_up(&sources);
        let mut rest = Vec::new();
        let mut line = Vec::new();
        for source in sources.iter().rev() {
            let Some(mut file) = source.open()? else { continue };
            let known = lookup.ask(|index| index.known(source, &mut file)).flatten();
            let places = known.and_then(|known| lookup.ask(|index| index.places_of_id(known, id, prefix)));
            for place in places.iter().flatten() {
                let position = Position::in_source(source, place.offset);
                if read_at(&mut file, place.offset, place.length, &mut line).is_ok() && each(position, &line).is_break()
                {
                    return Ok(());
                }
            }
            let done = known.filter(|_| places.is_some()).map_or(0, |known| known.done);
            if done < source.size {
                rest.push((source, file, done));
            }
        }
        let beginning = beginning(id, prefix);
        for (source, mut file, done) in rest {
            let mut at = |offset, line: &[u8]| each(Position::in_source(source, offset), line);
            if scan_for(&beginning, &mut file, done..source.size, &mut at)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sums over `from..to` in equal steps. What the index lacks of that time is taken in first.
    ///
    /// # Errors
    /// As [`LogStore::page`].
    pub fn stats(&self, from: SystemTime, to: SystemTime, step: Duration) -> io::Result<StatsView> {
        let mut sums = Sums::new(from, to, step);
        self.sum(&mut sums)?;
        Ok(sums.finish())
    }

    pub(super) fn sum(&self, sums: &mut Sums) -> io::Result<()> {
        let (start, end) = sums.stretch();
        let (first, last) = days(start, end);
        let mut sources = sources(self.directory())?;
        sources.retain(|source| (first..=last).contains(&source.date));
        let mut lookup = self.0.lookup();
        for source in sources {
            let Some(mut file) = source.open()? else { continue };
            let never = AtomicBool::new(false);
            let filled = lookup.ask(|index| index.fill(&source, &mut file, u64::MAX, &never));
            let known = match filled {
                // Somebody else fills it just now: what is there counts.
                None => lookup.ask(|index| index.known(&source, &mut file)).flatten(),
                known => known,
            };
            sum_file(sums, &mut lookup, known, &source, &mut file)?;
        }
        Ok(())
    }
}

fn sum_file(
    sums: &mut Sums,
    lookup: &mut Lookup,
    known: Option<Known>,
    source: &Source,
    file: &mut File,
) -> io::Result<()> {
    let (start, end) = sums.stretch();
    let mut done = 0;
    if let Some(known) = known {
        let mut any = false;
        let mut add = |facts: &Facts<'_>| {
            any = true;
            sums.add(facts);
        };
        if lookup.ask(|index| index.facts(known, start, end, &mut add)).is_some() {
            done = known.done;
        } else if any {
            // What was added cannot be taken back, and must not count twice.
            return Err(io::Error::other("the index of the request log broke while it was read; ask again"));
        }
    }
    let mut blocks = Forwards::new(file, done, source.size);
    while let Some((_, block)) = blocks.next()? {
        for lean in lines(block).filter_map(|(_, line)| Lean::read(line)) {
            if let Some(facts) = Facts::of(&lean) {
                sums.add(&facts);
            }
        }
    }
    Ok(())
}

/// How such a record's line tells its id.
fn beginning(id: &str, prefix: bool) -> Vec<u8> {
    let mut json = serde_json::to_string(id).unwrap_or_default();
    if prefix {
        json.pop();
    }
    format!("\"id\":{json}").into_bytes()
}

/// The lines of a stretch that have `wanted` in them, the last one first.
fn scan_for(
    wanted: &[u8],
    file: &mut File,
    stretch: Range<u64>,
    each: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let finder = Finder::new(wanted);
    let mut blocks = Backwards::new(file, stretch.start, stretch.end);
    while let Some((begin, block)) = blocks.next()? {
        let all: Vec<_> = if finder.find(block).is_some() { lines(block).collect() } else { Vec::new() };
        for (at, line) in all.into_iter().rev().filter(|(_, line)| finder.find(line).is_some()) {
            if each(begin + at as u64, line).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod figures;
#[cfg(test)]
mod tests;
