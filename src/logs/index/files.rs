//! The files of the index.
//!
//! `SQLite` finds a journal by the name of its database. When an index is deleted while somebody still writes to it, that
//! journal would be played back into the next one of the same name; so each making of the index has a name of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

const BEGINNING: &str = "index-";
const END: &str = ".sqlite";

#[cfg(unix)]
pub(super) type Identity = (u64, u64);
#[cfg(not(unix))]
pub(super) type Identity = ();

/// Of the file at this path now; a name may be there again with another file behind it.
#[cfg(unix)]
pub(super) fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(path: &Path) -> Option<Identity> {
    path.exists().then_some(())
}

/// The index that every process agrees on, made when there is none: of several, which two processes made at the same time,
/// the one with the last name.
pub(super) fn current(directory: &Path) -> io::Result<PathBuf> {
    let newest = names(directory)?.into_iter().filter(|name| name.ends_with(END)).max();
    newest.map_or_else(|| create(directory), |name| Ok(directory.join(name)))
}

/// An empty file, 0600; what `SQLite` puts beside it gets the same mode. Only for the owner of the folder: what a superuser
/// who reads the log left there would be closed to the proxy.
pub(super) fn create(directory: &Path) -> io::Result<PathBuf> {
    #[cfg(unix)]
    if !is_own(directory)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let path = directory.join(format!("{BEGINNING}{:016x}{END}", RandomState::new().build_hasher().finish()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?;
    Ok(path)
}

#[cfg(unix)]
fn is_own(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(folder)?.uid() == rustix::process::geteuid().as_raw())
}

/// With its journal; but not when another file has taken its place.
pub(super) fn remove(path: &Path, broken: Option<Identity>) {
    if broken.is_some() && identity(path) != broken {
        return;
    }
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(journal);
}

/// Those that nobody would open any more, and journals whose index is gone.
pub(super) fn remove_older(current: &Path) {
    let (Some(directory), Some(name)) = (current.parent(), current.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let older = names(directory).unwrap_or_default();
    for older in older.iter().filter(|other| other.as_str() < name) {
        let _ = std::fs::remove_file(directory.join(older));
    }
}

/// The index's files in a directory, journals too.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let all = std::fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(all.filter(|name| name.starts_with(BEGINNING) && name.contains(END)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_indexes_every_process_takes_the_same_and_the_others_go() {
        let folder = tempfile::tempdir().unwrap();
        let made = [create(folder.path()).unwrap(), create(folder.path()).unwrap(), create(folder.path()).unwrap()];
        std::fs::write(folder.path().join("index-0.sqlite-journal"), "left").unwrap();
        std::fs::write(folder.path().join("requests-2026-03-07.jsonl"), "").unwrap();
        let current = current(folder.path()).unwrap();
        assert_eq!(Some(&current), made.iter().max());
        remove_older(&current);
        assert_eq!(names(folder.path()).unwrap(), [current.file_name().unwrap().to_str().unwrap()]);
        assert!(folder.path().join("requests-2026-03-07.jsonl").exists());
        remove(&current, identity(&current));
        assert!(names(folder.path()).unwrap().is_empty());
    }
}
