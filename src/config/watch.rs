//! Tells when the file has changed. Editors save by renaming over the file, and a mounted volume swaps a symbolic
//! link, so the folder is watched; what cannot be watched (a link's far target, some file systems) is looked at
//! every second. Only other content is a change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::clock;

/// An editor's save comes in several steps.
const QUIET: Duration = Duration::from_millis(300);
/// A folder that is never quiet must not hide a change.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_secs(1);

/// Watches one file for as long as it lives.
pub struct Watch {
    path: PathBuf,
    /// What a reload has been told of.
    seen: Option<Vec<u8>>,
    /// Something happened that has not been looked at yet; survives a dropped `changed`.
    stirred: bool,
    stirs: mpsc::Receiver<()>,
    /// Kept so that `stirs` never ends, even without a watcher.
    _sender: mpsc::Sender<()>,
    _watcher: Option<RecommendedWatcher>,
}

/// Begin before the file is loaded, so that no change falls in between.
///
/// # Errors
/// When the file has no absolute path.
pub fn watch(path: &Path) -> io::Result<Watch> {
    let path = std::path::absolute(path)?;
    let (sender, stirs) = mpsc::channel(1);
    let watcher = watch_folder(&path, sender.clone()).ok();
    let seen = std::fs::read(&path).ok();
    Ok(Watch { path, seen, stirred: false, stirs, _sender: sender, _watcher: watcher })
}

fn watch_folder(path: &Path, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an access.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // A full channel says already what is to be said.
            let _ = sender.try_send(());
        }
    })?;
    watcher.watch(path.parent().unwrap_or(path), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

impl Watch {
    /// Ends when the file holds something else than before and has come to rest. A file that is gone is no change.
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        loop {
            if self.stirred {
                self.rest().await;
                self.stirred = false;
                if let Some(content) = self.news() {
                    self.seen = Some(content);
                    return;
                }
            }
            self.stirred = tokio::select! {
                _ = self.stirs.recv() => true,
                () = sleep(POLL) => self.news().is_some(),
            };
        }
    }

    fn news(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.path).ok().filter(|content| self.seen.as_ref() != Some(content))
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
