//! Who has the index open, and when it is filled: when somebody asks, and then in the background while much is missing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::index::{Index, Indexed, is_broken};
use super::source::{Source, sources};
use crate::clock;

/// What is missing is taken in at once up to this; more of it in the background.
const AT_ONCE: u64 = 4 << 20;
/// Connections that are kept open.
const KEPT: usize = 4;

/// The index of one directory, for whoever asks.
#[derive(Debug)]
pub(super) struct Indexing {
    directory: PathBuf,
    /// Connections that nobody uses just now.
    idle: Mutex<Vec<Index>>,
    /// Whether somebody fills it in the background.
    filling: AtomicBool,
}

/// A connection, as long as it is of use. Whatever is wrong with the index, its reader does without.
#[derive(Debug)]
pub(super) struct Lookup {
    index: Option<Index>,
    shelf: Arc<Indexing>,
}

impl Indexing {
    pub(super) fn new(directory: &Path) -> Arc<Self> {
        Arc::new(Self { directory: directory.to_owned(), idle: Mutex::default(), filling: AtomicBool::new(false) })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// As it is.
    pub(super) fn lookup(self: &Arc<Self>) -> Lookup {
        Lookup { index: self.connection(), shelf: Arc::clone(self) }
    }

    /// With what was added to these files since somebody last asked, unless that is much.
    pub(super) fn caught_up(self: &Arc<Self>, sources: &[Source]) -> Lookup {
        let mut lookup = self.lookup();
        let missing = lookup.ask(|index| missing(index, sources)).unwrap_or(0);
        if missing > AT_ONCE {
            self.fill_in_background();
        } else if missing > 0 {
            let never = AtomicBool::new(false);
            lookup.ask(|index| fill(index, sources, u64::MAX, &never));
        }
        lookup
    }

    /// For a question that the index has no answer to: nothing is opened, filled or waited for.
    pub(super) fn without(self: &Arc<Self>) -> Lookup {
        Lookup { index: None, shelf: Arc::clone(self) }
    }

    fn connection(&self) -> Option<Index> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(index) = idle.filter(Index::is_current) {
            return Some(index);
        }
        if !self.directory.is_dir() {
            return None;
        }
        Index::open(&self.directory).inspect_err(|error| self.complain(error)).ok()
    }

    fn complain(&self, error: &rusqlite::Error) {
        tracing::debug!(%error, directory = %self.directory.display(), "the index of the request log is of no use");
    }

    /// One thread at most. It ends when nothing is missing, when somebody else fills the index, and with the last reader.
    fn fill_in_background(self: &Arc<Self>) {
        if self.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("log-index".to_owned()).spawn(move || {
            fill_by_portions(&weak);
            if let Some(indexing) = weak.upgrade() {
                indexing.filling.store(false, Ordering::Release);
            }
        });
        if let Err(error) = thread {
            self.filling.store(false, Ordering::Release);
            tracing::debug!(%error, "cannot start a thread for the index of the request log");
        }
    }
}

/// Rests as long as it works, for the requests' sake.
fn fill_by_portions(indexing: &Weak<Indexing>) {
    loop {
        let Some(strong) = indexing.upgrade() else { return };
        let began = clock::now();
        let mut lookup = strong.lookup();
        let never = AtomicBool::new(false);
        let filled = sources(&strong.directory).ok().and_then(|sources| {
            let filled = lookup.ask(|index| fill(index, &sources, AT_ONCE, &never))?;
            lookup.ask(|index| index.forget_missing(&sources))?;
            Some(filled)
        });
        drop((lookup, strong));
        if filled.is_none_or(|filled| filled == 0) {
            return;
        }
        std::thread::sleep(clock::now() - began);
    }
}

/// Bytes of the files that the index does not cover.
fn missing(index: &mut Index, sources: &[Source]) -> Indexed<u64> {
    let known = index.all_known()?;
    let done = |source: &Source| {
        let known = known.iter().find(|(date, mark, _)| *mark == source.mark && *date == source.date.to_string());
        known.map_or(0, |(_, _, done)| *done)
    };
    if known.len() > sources.len() {
        index.forget_missing(sources)?;
    }
    Ok(sources.iter().map(|source| source.size.saturating_sub(done(source))).sum())
}

/// Takes in what is missing, of the newest file first; `budget` bytes and a bit at most. How many bytes it took in.
fn fill(index: &mut Index, sources: &[Source], budget: u64, stop: &AtomicBool) -> Indexed<u64> {
    let mut filled = 0;
    for source in sources.iter().rev().take_while(|_| !stop.load(Ordering::Relaxed)) {
        if filled >= budget {
            break;
        }
        let Ok(Some(mut file)) = source.open() else { continue };
        let before = index.known(source, &mut file)?.map_or(0, |known| known.done);
        if before < source.size {
            let known = index.fill(source, &mut file, budget - filled, stop)?;
            filled += known.done.saturating_sub(before);
        }
    }
    Ok(filled)
}

impl Lookup {
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(&mut Index) -> Indexed<T>) -> Option<T> {
        match question(self.index.as_mut()?) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.shelf.complain(&error);
                if let Some(index) = self.index.take_if(|_| is_broken(&error)) {
                    index.remove();
                }
                None
            }
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut idle = self.shelf.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.extend(self.index.take());
        }
    }
}
