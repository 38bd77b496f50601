//! Tells when the file has changed. Editors save by renaming over the file, and a mounted volume swaps a symbolic
//! link, so the folder is watched; what cannot be watched (a link's far target, some file systems) is looked at
//! every second. Only other content is a change.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::reading;
use crate::clock;

/// An editor's save comes in several steps.
const QUIET: Duration = Duration::from_millis(300);
/// A folder that is never quiet must not hide a change.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_secs(1);
/// A file that is away for longer is missed.
const AWAY: Duration = Duration::from_secs(2);

/// Of certificates; settings are less.
const LARGEST: u64 = reading::CERTIFICATES;

/// What a file held, as far as telling whether it holds something else takes: there are keys in it, so it is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content(u64);

impl Content {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Self(hasher.finish())
    }

    /// `None`: it cannot be read, or not without waiting.
    pub fn read(path: &Path) -> Option<Self> {
        reading::regular(path, LARGEST).ok().map(|bytes| Self::of(&bytes))
    }
}

/// As a change names the file that it was made from.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Watches one file for as long as it lives.
pub struct Watch {
    path: PathBuf,
    /// What a reload has been told of.
    seen: Option<Content>,
    /// Something happened that has not been looked at yet; survives a dropped `changed`.
    stirred: bool,
    stirs: mpsc::Receiver<()>,
    /// Kept so that `stirs` never ends, even without a watcher.
    _sender: mpsc::Sender<()>,
    _watcher: Option<RecommendedWatcher>,
}

/// What the file holds now is no news, unless [`Watch::since`] says that something else was loaded.
///
/// # Errors
/// When the file has no absolute path.
pub fn watch(path: &Path) -> io::Result<Watch> {
    let path = std::path::absolute(path)?;
    let (sender, stirs) = mpsc::channel(1);
    let watcher = watch_folder(&path, sender.clone()).ok();
    let seen = Content::read(&path);
    Ok(Watch { path, seen, stirred: false, stirs, _sender: sender, _watcher: watcher })
}

fn watch_folder(path: &Path, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let names = [Some(path.to_owned()), path.canonicalize().ok()].map(|path| path?.file_name().map(OsStr::to_owned));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.as_ref().is_ok_and(|event| is_nothing(event, &names)) {
            return;
        }
        // A full channel says already what is to be said.
        let _ = sender.try_send(());
    })?;
    watcher.watch(path.parent().unwrap_or(path), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Our own reading, or a neighbour that is written to: a log file may be, all the time. A neighbour that comes or goes may
/// be what a link leads to.
fn is_nothing(event: &notify::Event, names: &[Option<OsString>]) -> bool {
    match event.kind {
        EventKind::Access(_) => true,
        EventKind::Modify(ModifyKind::Data(_)) => {
            let is_ours = |path: &PathBuf| names.iter().any(|name| path.file_name() == name.as_deref());
            !event.need_rescan() && !event.paths.is_empty() && !event.paths.iter().any(is_ours)
        }
        _ => false,
    }
}

impl Watch {
    /// The file was loaded when it held this: a change between then and now is told as well.
    #[must_use]
    pub fn since(self, loaded: Content) -> Self {
        Self { seen: Some(loaded), ..self }
    }

    /// The file is about to be read: whatever that comes to, what it holds now is no news any more.
    pub fn look(&mut self) {
        self.seen = Content::read(&self.path);
    }

    /// This was loaded meanwhile: it is no news any more.
    pub fn took(&mut self, loaded: Content) {
        self.seen = Some(loaded);
    }

    /// Ends when the file holds something else than before and has come to rest, or cannot be read for a while: some
    /// editors take it away before they put it back. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            if self.stirred {
                self.rest().await;
                self.stirred = false;
                let now = Content::read(&self.path);
                if now != self.seen && (now.is_some() || self.stays_away().await) {
                    self.seen = now;
                    return;
                }
            }
            self.stirred = tokio::select! {
                _ = self.stirs.recv() => true,
                () = sleep(POLL) => Content::read(&self.path) != self.seen,
            };
        }
    }

    async fn stays_away(&self) -> bool {
        let patience = clock::now() + AWAY;
        while clock::now() < patience {
            sleep(QUIET).await;
            if Content::read(&self.path).is_some() {
                return false;
            }
        }
        true
    }

    async fn rest(&mut self) {
        let patience = clock::now() + PATIENCE;
        while clock::now() < patience {
            if timeout(QUIET, self.stirs.recv()).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, DataChange, RenameMode};

    use super::*;

    #[test]
    fn a_log_beside_the_file_does_not_stir_all_the_time() {
        let names = ["config.yaml", "real.yaml"].map(|name| Some(OsString::from(name)));
        let nothing = |kind, name: &str| is_nothing(&notify::Event::new(kind).add_path(PathBuf::from(name)), &names);
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(nothing(written, "/a/proxy.log"));
        assert!(nothing(EventKind::Access(AccessKind::Read), "/a/config.yaml"));
        assert!(!nothing(written, "/a/config.yaml") && !nothing(written, "/a/real.yaml"));
        assert!(!nothing(EventKind::Create(CreateKind::Any), "/a/..data"));
        assert!(!nothing(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "/a/..data"));
        assert!(!is_nothing(&notify::Event::new(written), &[None, None]), "of nobody knows what");
    }
}
