//! Where a file goes, and how it is opened there without following a link.
//!
//! Checking a path and opening it are two steps. Between them, another user with access to
//! the folder can replace a checked folder with a link. So nothing is checked in advance here:
//! each folder is opened by its name in the one before it, and the system is told to follow no
//! link (`openat` with `O_NOFOLLOW`). An open folder stays the same, whatever its name leads to
//! a moment later.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::{StorageError, shown};

/// Returns the folder that a path is in; for a bare name, the current one.
pub fn folder_of(path: &Path) -> &Path {
    // The parent of a bare name is an empty path, which no system call accepts.
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file at the output, or below it.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// The output, which the user named. If it is a folder, it may be a link.
    pub root: &'p Path,
    /// The path from there. Empty if the output is the file.
    pub below: &'p Path,
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Reading.
    Read,
    /// Reading and writing. A missing file is made, with its folders.
    Make,
    /// Reading the user's own content. Links are followed.
    Follow,
}

impl Place<'_> {
    /// The whole path.
    pub fn path(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() {
            self.root.to_owned()
        } else {
            self.root.join(self.below)
        }
    }

    /// Opens the file. What is open is checked, not what the path leads to, which may have changed.
    ///
    /// # Errors
    /// If there is a link on the way, or something that is not a file; or if the system refuses.
    pub fn open(&self, how: How) -> Result<File, StorageError> {
        let file = system::open(self, how)?;
        match file.metadata() {
            Ok(there) if there.is_file() => Ok(file),
            Ok(_) => Err(StorageError::NotAFile { path: shown(&self.path()) }),
            Err(error) => Err(StorageError::io(&self.path(), error)),
        }
    }

    /// Makes the file, and the folders it is in. `create_new` is one step in the system, so no
    /// other program can put a link there in between.
    ///
    /// # Errors
    /// If anything is already there, even a link; or if the system refuses.
    pub fn make_new(&self) -> Result<File, StorageError> {
        let path = self.path();
        let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        parent
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(|error| StorageError::io(parent.unwrap_or(&path), error))?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| StorageError::io(&path, error))
    }

    /// Splits the path into a folder that the user named and the names from there. Links are
    /// followed in the folder, since the user chose it, and in none of the names.
    ///
    /// ```text
    /// root `out`,        below `notes/a.txt`   ->  `out`,  [`notes`, `a.txt`]
    /// root `dir/a.txt`,  below ``              ->  `dir`,  [`a.txt`]
    /// root `a.txt`,      below ``              ->  `.`,    [`a.txt`]
    /// ```
    fn steps(&self) -> (&Path, Vec<&OsStr>) {
        if !self.below.as_os_str().is_empty() {
            return (self.root, self.below.iter().collect());
        }
        (folder_of(self.root), self.root.file_name().into_iter().collect())
    }
}

/// On Unix, each name is opened inside the folder before it, with `openat`.
#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{
        AtFlags, FileType, Mode, OFlags, mkdirat, open as open_folder, openat, statat,
    };
    use rustix::io::Errno;

    use super::{How, Place, StorageError, shown};

    /// Opens a folder only to go through it, which needs no permission to list it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    /// Opening a pipe must not wait for its other end, and a terminal must not take control of us.
    const FILE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
    /// The number of attempts when another program makes and removes the file meanwhile.
    const TRIES: usize = 10;

    pub fn open(place: &Place, how: How) -> Result<File, StorageError> {
        let whole = place.path();
        if how == How::Follow {
            // One call, which follows every link on the way.
            let file = rustix::fs::open(&whole, FILE, Mode::empty());
            return file.map(File::from).map_err(|error| StorageError::io(&whole, error.into()));
        }
        let make = how == How::Make;
        let (base, names) = place.steps();
        let missing = || StorageError::io(&whole, ErrorKind::InvalidInput.into());
        let (last, folders) = names.split_last().ok_or_else(missing)?;
        // The path so far, only for errors.
        let mut at = base.to_owned();
        let mut folder = match open_folder(base, FOLDER, Mode::empty()) {
            // Up to here the user's own links are followed, so no care is needed.
            Err(Errno::NOENT) if make => {
                fs::create_dir_all(base).map_err(|error| StorageError::io(base, error))?;
                open_folder(base, FOLDER, Mode::empty())
            }
            opened => opened,
        }
        .map_err(|error| StorageError::io(&at, error.into()))?;
        for name in folders {
            at.push(name);
            // The folder before is closed here: two are open at a time, however deep the file is.
            folder = step(&folder, name, make).map_err(|error| why(&folder, name, &at, error))?;
        }
        let file = file(&folder, last, make).map_err(|error| why(&folder, last, &whole, error))?;
        Ok(file.into())
    }

    /// Opens a folder inside another one, and makes it first if it is missing and `make` is set.
    fn step(folder: &OwnedFd, name: &OsStr, make: bool) -> Result<OwnedFd, Errno> {
        let open = || openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        match open() {
            Err(Errno::NOENT) if make => match mkdirat(folder, name, Mode::from(0o777)) {
                // Another thread or program was faster. If it made a link, opening fails.
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            },
            opened => opened,
        }
    }

    /// Opens the file, or makes it. These are two calls: on some systems, one call that
    /// does either would follow a link.
    fn file(folder: &OwnedFd, name: &OsStr, make: bool) -> Result<OwnedFd, Errno> {
        let access = if make { OFlags::RDWR } else { OFlags::RDONLY };
        let mut opened = Err(Errno::NOENT);
        // Around again if the file was missing at the first call and there at the second.
        for _ in 0..TRIES {
            opened = openat(folder, name, access | OFlags::NOFOLLOW | FILE, Mode::empty());
            if !make || !matches!(opened, Err(Errno::NOENT)) {
                break;
            }
            opened = openat(
                folder,
                name,
                access | OFlags::CREATE | OFlags::EXCL | FILE,
                Mode::from(0o666),
            );
            if !matches!(opened, Err(Errno::EXIST)) {
                break;
            }
        }
        opened
    }

    /// Returns the reason why opening failed. Each system has an error of its own for a link that
    /// it is told not to follow, so this checks what is there now.
    fn why(folder: &OwnedFd, name: &OsStr, at: &Path, error: Errno) -> StorageError {
        let there = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|there| FileType::from_raw_mode(there.st_mode));
        match there {
            // A link is the reason, unless no descriptor was left: then it was not even tried.
            Ok(FileType::Symlink) if error != Errno::MFILE && error != Errno::NFILE => {
                StorageError::Link { path: shown(at) }
            }
            // There is a folder or a socket where a file goes.
            Ok(kind)
                if kind != FileType::RegularFile
                    && matches!(error, Errno::ISDIR | Errno::NOTDIR | Errno::NXIO) =>
            {
                StorageError::NotAFile { path: shown(at) }
            }
            _ => StorageError::io(at, error.into()),
        }
    }
}

/// Without `openat`, we can only check first and then open, and the gap between the two remains.
#[cfg(not(unix))]
mod system {
    use std::fs::{self, File, OpenOptions};
    use std::io::ErrorKind;

    use super::{How, Place, StorageError, shown};

    pub fn open(place: &Place, how: How) -> Result<File, StorageError> {
        let whole = place.path();
        let (base, names) = place.steps();
        let mut at = base.to_owned();
        for name in names {
            at.push(name);
            let link = how != How::Follow
                && fs::symlink_metadata(&at).is_ok_and(|there| there.is_symlink());
            if link {
                return Err(StorageError::Link { path: shown(&at) });
            }
        }
        if fs::metadata(&whole).is_ok_and(|there| !there.is_file()) {
            return Err(StorageError::NotAFile { path: shown(&whole) });
        }
        let open = |new| {
            OpenOptions::new().read(true).write(how == How::Make).create_new(new).open(&whole)
        };
        let file = match open(false) {
            Err(error) if how == How::Make && error.kind() == ErrorKind::NotFound => {
                whole.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| open(true))
            }
            opened => opened,
        };
        file.map_err(|error| StorageError::io(&whole, error))
    }
}
