//! Which files go into a torrent: everything that is at a path.
//!
//! Two people who make a torrent of the same folder must get the same info hash. A folder lists its
//! entries in any order, so they are sorted. What differs from machine to machine (where a link
//! leads, what a device gives) is an error.

use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Content, CreateError, Draft};
use crate::s02_metainfo::{FileEntry, Info};
use crate::s10_storage::place::{Place, folder_of};
use crate::s10_storage::{StorageError, shown};

impl Content {
    /// Finds a file, or a folder and everything in it. The default for `name` is the last
    /// part of the path.
    ///
    /// # Errors
    /// If there is nothing, or anything that a torrent cannot describe.
    pub fn find(path: &Path, name: Option<&str>) -> Result<Content, CreateError> {
        // The path itself may be a link, since the user named it; nothing below it may.
        let there = fs::metadata(path).map_err(|error| StorageError::io(path, error))?;
        let name = name.map_or_else(|| own_name(path), |name| Ok(name.to_owned()))?;
        let (root, folder) = (path.to_owned(), there.is_dir());
        let mut content =
            Content { name, files: Vec::new(), length: 0, root, folder, changed: Vec::new() };
        if folder {
            content.walk(Path::new(""))?;
        } else {
            content.add(PathBuf::new(), &there)?;
        }
        if content.length == 0 {
            return Err(CreateError::Empty { path: shown(path) });
        }
        // Before hours are spent on hashing.
        let raw = content.without_hashes(&Draft::default());
        content.same_names(&Info::from_bytes(&raw)?)?;
        Ok(content)
    }

    /// Adds everything in a folder, which is given relative to the root; empty means the root. A
    /// folder's files stay together, between the names before and after it.
    ///
    /// # Errors
    /// At the first entry that a torrent cannot describe. Skipping it would make a torrent without
    /// it, and the user would notice too late.
    fn walk(&mut self, below: &Path) -> Result<(), CreateError> {
        let folder = self.root.join(below);
        let failed = |error| StorageError::io(&folder, error);
        // Keep only names: an entry would keep its folder open, and folders may be nested
        // deeper than the number of files that may be open.
        let named = |entry: io::Result<fs::DirEntry>| {
            entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))
        };
        let mut entries: Vec<(OsString, FileType)> = fs::read_dir(&folder)
            .map_err(failed)?
            .map(named)
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        // By bytes, and not by the rules of a language, which differ between machines.
        entries.sort_unstable_by(|(one, _), (other, _)| {
            one.as_encoded_bytes().cmp(other.as_encoded_bytes())
        });
        for (name, kind) in entries {
            let path = below.join(&name);
            // Checked for folders also: their names are parts of paths.
            if name.to_str().is_none() {
                return Err(CreateError::NotText { path: shown(&self.root.join(path)) });
            }
            if kind.is_dir() {
                self.walk(&path)?;
            } else {
                let place = self.root.join(&path);
                // Not `metadata`, which would follow a link and describe what it leads to.
                let there = fs::symlink_metadata(&place)
                    .map_err(|error| StorageError::io(&place, error))?;
                self.add(path, &there)?;
            }
        }
        Ok(())
    }

    /// Adds a file at the end of the row of bytes, with its present state.
    ///
    /// # Errors
    /// If it is a link, a pipe or a device.
    fn add(&mut self, path: PathBuf, there: &Metadata) -> Result<(), CreateError> {
        let place = || shown(&self.path_of(&path));
        if there.is_symlink() {
            return Err(StorageError::Link { path: place() }.into());
        }
        if !there.is_file() {
            return Err(StorageError::NotAFile { path: place() }.into());
        }
        self.files.push(FileEntry {
            path,
            offset: self.length,
            length: there.len(),
            padding: false,
        });
        self.changed.push(there.modified().ok());
        // Sparse files can claim any length. What is over the limit is refused before it is hashed.
        self.length = self.length.saturating_add(there.len());
        Ok(())
    }

    /// Returns where a file is, without a `/` after a single one.
    fn path_of(&self, below: &Path) -> PathBuf {
        Place { root: &self.root, below }.path()
    }

    /// Checks that every file is unchanged since it was found: the hashes may be of bytes from
    /// before and after a change, and no content would ever match them.
    ///
    /// A program that restores the time, or writes twice within one tick of the file system's
    /// clock, is not noticed.
    ///
    /// # Errors
    /// [`CreateError::Changed`], with the first file that is not as it was.
    pub(super) fn unchanged(&self) -> Result<(), CreateError> {
        for (file, changed) in self.files.iter().zip(&self.changed) {
            let place = self.path_of(&file.path);
            // If the user named a single file, that may be a link.
            let there =
                if self.folder { fs::symlink_metadata(&place) } else { fs::metadata(&place) };
            let same = there.is_ok_and(|there| {
                there.is_file() && there.len() == file.length && there.modified().ok() == *changed
            });
            if !same {
                return Err(CreateError::Changed { path: shown(&place) });
            }
        }
        Ok(())
    }

    /// Checks whether a .torrent may be written to `output`: not over the content, and
    /// not into it, where the next torrent of the same folder would include it.
    ///
    /// # Errors
    /// If it may not, or if something is already there and `force` is not set.
    pub fn allows(&self, output: &Path, force: bool) -> Result<(), CreateError> {
        // Real paths, or `..` and links would hide that the two are the same place. The output
        // itself need not exist, but its folder must.
        let real = |path: &Path| path.canonicalize().map_err(|error| StorageError::io(path, error));
        let (place, root) = (real(folder_of(output))?, real(&self.root)?);
        let inside = if self.folder {
            place.starts_with(&root)
        } else {
            real(output).is_ok_and(|output| output == root)
        };
        if inside {
            return Err(CreateError::Inside { path: shown(output) });
        }
        // A link counts as there, even one that leads nowhere.
        if !force && fs::symlink_metadata(output).is_ok() {
            return Err(StorageError::Exists {
                path: shown(output),
                what: "to be overwritten without being asked",
            }
            .into());
        }
        Ok(())
    }
}

/// Returns the last part of a path; for `.` and the like, that of the folder it means.
fn own_name(path: &Path) -> Result<String, CreateError> {
    let plain = matches!(path.components().next_back(), Some(Component::Normal(_)));
    let real = if plain { Ok(path.to_owned()) } else { path.canonicalize() };
    let real = real.map_err(|error| StorageError::io(path, error))?;
    let name = real.file_name().unwrap_or_default().to_str();
    name.map(str::to_owned).ok_or_else(|| CreateError::NotText { path: shown(path) })
}
