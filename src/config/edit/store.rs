//! The file on the disk: it holds the old text or the new one, whatever happens in between, and never the new one when
//! somebody else has changed it meanwhile.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::EditError;

/// A change takes milliseconds; whoever takes longer hangs.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// The file while nobody else of ours changes it. Its folder is what is locked, because the file itself is replaced.
pub(super) struct Held {
    path: PathBuf,
    /// What the path leads to when it is a symbolic link: that is replaced, the link stays.
    target: PathBuf,
    folder: PathBuf,
    /// `None`: this file system has no locks; the look before the rename has to do.
    lock: Option<File>,
}

/// # Errors
/// When there is no such file, or its folder is locked for long.
pub(super) fn hold(path: &Path) -> Result<Held, EditError> {
    let target = fs::canonicalize(path).map_err(|error| cannot("read", path, &error))?;
    let folder = target.parent().unwrap_or(Path::new("/")).to_path_buf();
    may_be_written(&target)?;
    let lock = lock(&folder)?;
    // It may have been replaced by another link while we waited.
    let target = fs::canonicalize(path).map_err(|error| cannot("read", path, &error))?;
    Ok(Held { path: path.to_path_buf(), target, folder, lock })
}

/// A rename asks for no right to the file itself. But whoever took the right to write away meant it.
fn may_be_written(target: &Path) -> Result<(), EditError> {
    let opened = OpenOptions::new().write(true).open(target).and_then(|file| file.metadata());
    match opened {
        Ok(data) if data.permissions().readonly() => {
            Err(EditError::Io(format!("{} is read-only; nothing was changed", target.display())))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(cannot("write", target, &error)),
    }
}

fn lock(folder: &Path) -> Result<Option<File>, EditError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Err(EditError::Io(format!("another program keeps {} locked; nothing was changed", folder.display())))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> EditError {
    let why = match error.kind() {
        io::ErrorKind::ResourceBusy => {
            "it is mounted by itself, so it cannot be replaced; edit it where it really is".to_owned()
        }
        _ => error.to_string(),
    };
    EditError::Io(format!("cannot {what} {}: {why}", path.display()))
}

impl Held {
    /// Puts `new` in the place of `seen`, with the same mode and, where that is allowed, the same owner.
    pub(super) fn replace(&self, seen: &[u8], new: &[u8]) -> Result<(), EditError> {
        self.sweep();
        let before = fs::metadata(&self.target).map_err(|error| cannot("read", &self.target, &error))?;
        let fresh = Fresh::write(&self.target, new)?;
        fresh.take_after(&before).map_err(|error| cannot("write", &self.target, &error))?;
        let unchanged = fs::read(&self.target).is_ok_and(|now| now == seen)
            && fs::canonicalize(&self.path).is_ok_and(|target| target == self.target);
        if !unchanged {
            return Err(EditError::Conflict);
        }
        fs::rename(&fresh.path, &self.target).map_err(|error| cannot("replace", &self.target, &error))?;
        sync(&self.folder);
        Ok(())
    }

    /// What a killed program left behind; without a lock it may be in use.
    fn sweep(&self) {
        let Some(name) = self.target.file_name().filter(|_| self.lock.is_some()) else { return };
        let start = format!(".{}.", name.to_string_lossy());
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let found = entry.file_name().to_string_lossy().into_owned();
            let middle = found.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".new"));
            if middle.is_some_and(|middle| middle.len() == 16 && middle.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// # Errors
/// When there is something at that place already.
pub(super) fn is_free(path: &Path) -> Result<(), EditError> {
    match (fs::symlink_metadata(path), fs::metadata(path), fs::read_link(path)) {
        (Err(_), ..) => Ok(()),
        (Ok(_), Err(_), Ok(to)) => {
            let (link, to) = (path.display(), to.display());
            Err(EditError::Io(format!(
                "{link} is a link to {to}, which is not there; make that file, or name it itself"
            )))
        }
        _ => Err(EditError::Conflict),
    }
}

/// A first file, whole or not at all, mode 0600.
///
/// # Errors
/// [`EditError::Conflict`] when there is one.
pub(super) fn create(path: &Path, text: &[u8]) -> Result<(), EditError> {
    let path = std::path::absolute(path).map_err(|error| cannot("write", path, &error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| cannot("write", &path, &error))?;
    let fresh = Fresh::write(&path, text)?;
    put_in_place(&fresh.path, &path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => EditError::Conflict,
        _ => cannot("write", &path, &error),
    })?;
    sync(folder);
    Ok(())
}

/// Unlike a rename, a link never takes the place of another file.
fn put_in_place(fresh: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(fresh, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // Some file systems have no links. Whoever makes the empty file may replace it.
            OpenOptions::new().write(true).create_new(true).open(path)?;
            fs::rename(fresh, path)
        }
        linked => linked,
    }
}

/// Without this a rename may be lost with the power; where a folder cannot be synced there is nothing else to do.
fn sync(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// A new file beside the one that it is for; its name is gone when this is dropped.
struct Fresh {
    path: PathBuf,
    file: File,
}

impl Fresh {
    fn write(target: &Path, text: &[u8]) -> Result<Self, EditError> {
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{:016x}.new", RandomState::new().build_hasher().finish()));
        let path = target.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| cannot("write beside", target, &error))?;
        let mut fresh = Self { path, file };
        let written = fresh.file.write_all(text).and_then(|()| fresh.file.sync_all());
        written.map_err(|error| cannot("write", target, &error))?;
        Ok(fresh)
    }

    /// Its content stays ours alone until owner and group are right. Where its group cannot stay, no other group gets
    /// the rights of that one.
    #[cfg(unix)]
    fn take_after(&self, before: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
            let whole = fchown(&self.file, Some(before.uid()), Some(before.gid()));
            // Only root may give a file away, but a group that we are in can stay.
            let _ = whole.or_else(|_| fchown(&self.file, None, Some(before.gid())));
        }
        let same_group = self.file.metadata()?.gid() == before.gid();
        let mode = before.mode() & 0o777;
        let mode = if same_group { mode } else { mode & 0o707 };
        self.file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn take_after(&self, before: &fs::Metadata) -> io::Result<()> {
        self.file.set_permissions(before.permissions())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After a rename there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}
