//! Copies a submission: bounded, without following links, without anything that is no file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The most bytes of a submission.
pub const MAX_BYTES: u64 = 128 << 20;

/// The most files and folders of a submission.
pub const MAX_FILES: usize = 20_000;

/// The deepest folder of a submission.
const MAX_DEPTH: usize = 40;

/// What has been copied, and what not.
#[derive(Debug, Default)]
pub struct Copied {
    /// How many files and folders.
    pub files: usize,
    bytes: u64,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
}

/// Copies a folder to a place that is not there yet.
///
/// # Errors
/// If it is larger than a submission may be, cannot be read, or cannot be written.
pub fn copy(from: &Path, to: &Path) -> io::Result<Copied> {
    let mut copied = Copied::default();
    copied.folder(from, to, Path::new(""))?;
    Ok(copied)
}

impl Copied {
    fn folder(&mut self, from: &Path, to: &Path, inside: &Path) -> io::Result<()> {
        if inside.components().count() > MAX_DEPTH {
            return Err(too_large(&format!("folders are nested deeper than {MAX_DEPTH}")));
        }
        std::fs::create_dir(to.join(inside)).map_err(|error| about(inside, &error))?;
        for entry in std::fs::read_dir(from.join(inside)).map_err(|error| about(inside, &error))? {
            let entry = entry?;
            // What git keeps is large, and no program needs it to run.
            if entry.file_name() == ".git" {
                continue;
            }
            self.files += 1;
            if self.files > MAX_FILES {
                return Err(too_large(&format!("there are more than {MAX_FILES} files")));
            }
            let path = inside.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folder(from, to, &path)?;
            } else if kind.is_symlink() {
                self.link(from, to, &path)?;
            } else if kind.is_file() {
                self.file(&from.join(&path), &to.join(&path)).map_err(|error| {
                    match error.kind() {
                        io::ErrorKind::FileTooLarge => error,
                        _ => about(&path, &error),
                    }
                })?;
            } else {
                self.left_out(&path, "it is no file");
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let source = open(from)?;
        let about = source.metadata()?;
        let mut target = OpenOptions::new().write(true).create_new(true).open(to)?;
        // One byte more than there is room for, to tell that it is too many.
        let room = MAX_BYTES - self.bytes;
        self.bytes += io::copy(&mut source.take(room + 1), &mut target)?;
        if self.bytes > MAX_BYTES {
            return Err(too_large(&format!("it holds more than {} MiB", MAX_BYTES >> 20)));
        }
        permit(&target, &about)
    }

    /// Makes the same link, if it leads to a place in the same submission.
    fn link(&mut self, from: &Path, to: &Path, path: &Path) -> io::Result<()> {
        let target = std::fs::read_link(from.join(path))?;
        if !stays_inside(path, &target) {
            self.left_out(path, "it is a link that leads out of the folder");
            return Ok(());
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, to.join(path))?;
        Ok(())
    }

    fn left_out(&mut self, path: &Path, why: &str) {
        const MAX_NOTES: usize = 3;
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{} is left out: {why}", path.display()));
        }
    }
}

/// Opens a file, but never what a link leads to, and without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    }
    options.open(path)
}

/// Keeps whether it can be executed, and nothing else: no set-uid bit.
fn permit(target: &File, about: &std::fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if about.permissions().mode() & 0o111 != 0 { 0o755 } else { 0o644 };
        target.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    let _ = (target, about);
    Ok(())
}

/// Whether a link at `path`, relative to the folder, leads to a place in the folder.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut place: Vec<&std::ffi::OsStr> = path.parent().into_iter().flat_map(Path::iter).collect();
    for part in target.components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir if place.pop().is_some() => {}
            _ => return false,
        }
    }
    true
}

/// Gives a folder and everything in it to another user. Links themselves, not what they lead to.
///
/// # Errors
/// If that is not allowed.
#[cfg(unix)]
pub fn give_to(folder: &Path, user: u32) -> io::Result<()> {
    let mut left: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        std::os::unix::fs::lchown(&path, Some(user), Some(user))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
    }
    Ok(())
}

/// Says which file an error is about.
fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("it cannot be copied: {}: {error}", path.display()))
}

fn too_large(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("the submission is too large: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_is_left_out() {
        for (path, target, inside) in [
            ("run", "src/run.sh", true),
            ("src/run", "../main.py", true),
            ("src/run", "../../anna/main.py", false),
            ("run", "../anna", false),
            ("run", "/etc/passwd", false),
            ("a/b/c", "./../../x", true),
        ] {
            assert_eq!(
                stays_inside(Path::new(path), Path::new(target)),
                inside,
                "{path} -> {target}"
            );
        }
    }
}
