//! Goes through the log from the newest record to the oldest.
//!
//! Of each file the end that the index does not cover yet is read backwards. Of the rest the index names the lines that can
//! fit, where it knows something of what is asked; a text is looked for in the raw bytes. Only a line that passed all that
//! is parsed.

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;

use super::capture::TRUNCATED;
use super::files::local_date;
use super::index::{Condition, Known};
use super::indexing::Lookup;
use super::position::Position;
use super::source::{Backwards, Source, lines, read_at, sources};
use crate::wire::filter::Filter;
use crate::wire::lean::Lean;
use crate::wire::logs::Detail;
use crate::wire::record::{Exchanged, RequestRecord};

/// Lines that the index names at once.
const PLACES: usize = 1000;

/// What is looked for, and how much of it is wanted.
pub(super) struct Search<'q> {
    pub filter: &'q Filter,
    pub detail: Detail,
    pub stop: &'q AtomicBool,
    pub lookup: Lookup,
}

/// Told of each record with the beginning of its line.
pub(super) type Found<'h> = &'h mut dyn FnMut(Position, RequestRecord) -> ControlFlow<()>;

/// Ends a search where it is: somebody had enough.
struct Ended(Position);

type Went = io::Result<ControlFlow<Ended>>;

impl Search<'_> {
    /// From `before` on. Where it ended, when that was before the oldest record.
    pub(super) fn run(
        &mut self,
        directory: &Path,
        before: Option<Position>,
        found: Found<'_>,
    ) -> io::Result<Option<Position>> {
        let (start, end) = self.filter.stretch();
        let (sources, before) = behind(sources(directory)?, before, days(start, end));
        for (at, source) in sources.iter().enumerate().rev() {
            // One that has gone meanwhile holds nothing any more.
            let Some(mut file) = source.open()? else { continue };
            let end = before.filter(|before| before.mark == source.mark).map_or(source.size, |before| before.offset);
            if let ControlFlow::Break(Ended(position)) = self.file(source, &mut file, end.min(source.size), found)? {
                return Ok((position.offset > 0 || at > 0).then_some(position));
            }
        }
        Ok(None)
    }

    fn file(&mut self, source: &Source, file: &mut File, end: u64, found: Found<'_>) -> Went {
        let known = self.lookup.ask(|index| index.known(source, file)).flatten();
        let covered = known.map_or(0, |known| known.done.min(end));
        if let ended @ ControlFlow::Break(_) = self.scan(source, file, covered..end, found)? {
            return Ok(ended);
        }
        let filter = self.filter;
        let condition = self.lookup.ask(|index| index.condition(filter.expr())).flatten();
        match (known, condition) {
            (Some(known), Some(condition)) if self.is_worth_it(known, &condition, covered) => {
                self.rows(source, file, known, &condition, covered, found)
            }
            _ => self.scan(source, file, 0..covered, found),
        }
    }

    /// To look for a text in one go is quicker than line by line, unless the lines are few.
    fn is_worth_it(&mut self, known: Known, condition: &Condition, before: u64) -> bool {
        self.filter.needed_text().is_none()
            || self.lookup.ask(|index| index.weight(known, condition, before)).is_some_and(|weight| weight < before / 8)
    }

    fn rows(
        &mut self,
        source: &Source,
        file: &mut File,
        known: Known,
        condition: &Condition,
        before: u64,
        found: Found<'_>,
    ) -> Went {
        let mut at = before;
        let mut line = Vec::new();
        loop {
            let Some(places) = self.lookup.ask(|index| index.places(known, condition, at, PLACES)) else {
                return self.scan(source, file, 0..at, found);
            };
            for place in &places {
                if self.is_stopped() {
                    return Ok(ControlFlow::Break(Ended(Position::in_source(source, at))));
                }
                at = place.offset;
                match read_at(file, place.offset, place.length, &mut line) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                    read => read?,
                }
                if let ended @ ControlFlow::Break(_) = self.line(Position::in_source(source, at), &line, found) {
                    return Ok(ended);
                }
            }
            if places.len() < PLACES {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    fn scan(&mut self, source: &Source, file: &mut File, stretch: Range<u64>, found: Found<'_>) -> Went {
        let mut blocks = Backwards::new(file, stretch.start, stretch.end);
        let mut behind = stretch.end;
        loop {
            if self.is_stopped() {
                return Ok(ControlFlow::Break(Ended(Position::in_source(source, behind))));
            }
            let Some((begin, block)) = blocks.next()? else { return Ok(ControlFlow::Continue(())) };
            for (at, line) in self.candidates(block).into_iter().rev() {
                let position = Position::in_source(source, begin + at as u64);
                if let ended @ ControlFlow::Break(_) = self.line(position, line, found) {
                    return Ok(ended);
                }
            }
            behind = begin;
        }
    }

    /// The lines of a block that can fit, and where in it they begin.
    fn candidates<'b>(&self, block: &'b [u8]) -> Vec<(usize, &'b [u8])> {
        let Some(needle) = self.filter.needed_text() else { return lines(block).collect() };
        let mut candidates = Vec::new();
        let mut at = 0;
        while let Some(hit) = needle.in_lines().find_at(block, at) {
            let start = memchr::memrchr(b'\n', &block[..hit.start()]).map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &block[hit.start()..]).map_or(block.len(), |end| hit.start() + end);
            candidates.push((start, &block[start..end]));
            at = end + 1;
            if at >= block.len() {
                break;
            }
        }
        candidates
    }

    fn line(&self, position: Position, line: &[u8], found: Found<'_>) -> ControlFlow<Ended> {
        let Some(record) = self.filter.may_match_line(line).then(|| self.record(line)).flatten() else {
            return ControlFlow::Continue(());
        };
        match found(position, record) {
            ControlFlow::Break(()) => ControlFlow::Break(Ended(position)),
            ControlFlow::Continue(()) if self.is_stopped() => ControlFlow::Break(Ended(position)),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        }
    }

    /// `None` for what does not fit, or is no record: half a line that a killed writer left.
    fn record(&self, line: &[u8]) -> Option<RequestRecord> {
        let record = if self.detail == Detail::Summary && !self.filter.reads_bodies() {
            Lean::read(line)?.into_record()
        } else {
            serde_json::from_slice(line).ok()?
        };
        self.filter.matches(&record).then(|| cut(record, self.detail))
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The first and the last day whose files can hold what begins within `start..end`, in milliseconds since 1970. A record
/// lies in the file of the day on which it ended, and clocks are set.
pub(super) fn days(start: i64, end: i64) -> (Date, Date) {
    let day = |ms: i64, otherwise| {
        Timestamp::from_millisecond(ms).map_or(otherwise, |time| local_date(SystemTime::from(time)))
    };
    let (first, last) = (day(start, Date::MIN), day(end, Date::MAX));
    (first.yesterday().unwrap_or(Date::MIN), last.tomorrow().unwrap_or(Date::MAX))
}

/// The files, oldest first, that can hold what is behind `before` and of these days.
fn behind(
    mut sources: Vec<Source>,
    before: Option<Position>,
    (first, last): (Date, Date),
) -> (Vec<Source>, Option<Position>) {
    let mut from = None;
    if let Some(before) = before {
        let same = |source: &Source| source.date == before.date && source.mark == before.mark;
        match sources.iter().position(same) {
            Some(place) => {
                sources.truncate(place + 1);
                from = Some(before);
            }
            // It has gone, and all that is older than it went first.
            None => sources.retain(|source| source.date < before.date),
        }
    }
    sources.retain(|source| (first..=last).contains(&source.date));
    (sources, from)
}

/// No more than is wanted of a record.
pub(super) fn cut(mut record: RequestRecord, detail: Detail) -> RequestRecord {
    if detail != Detail::Whole {
        record.timeline = None;
    }
    for exchanged in [&mut record.request, &mut record.response] {
        match detail {
            Detail::Whole => {}
            Detail::Short => shorten(exchanged),
            Detail::Summary => {
                let Exchanged { size, truncated, .. } = *exchanged;
                *exchanged = Exchanged { size, truncated, ..Exchanged::default() };
            }
        }
    }
    record
}

fn shorten(exchanged: &mut Exchanged) {
    let Some(body) = exchanged.body.as_mut().filter(|body| body.len() > TRUNCATED) else { return };
    body.truncate(body.floor_char_boundary(TRUNCATED));
    body.shrink_to_fit();
    exchanged.truncated = true;
}
