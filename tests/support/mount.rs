//! Small and read-only file systems. They are real ones: permission bits do not stop root,
//! and only a full disk says "no space left" at the moment that matters.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted folder. Dropping it unmounts it.
pub struct Mount {
    path: PathBuf,
}

impl Mount {
    /// An empty file system that holds about this much. `None`, with a loud line, if this user or
    /// this machine may not mount.
    pub fn small(path: &Path, kibibytes: u32) -> Option<Mount> {
        Mount::tmpfs(path, &format!("size={kibibytes}k"))
    }

    /// A read-only file system.
    pub fn read_only(path: &Path) -> Option<Mount> {
        Mount::tmpfs(path, "ro,size=64k")
    }

    fn tmpfs(path: &Path, options: &str) -> Option<Mount> {
        std::fs::create_dir_all(path).expect("the test's folder takes a folder");
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output();
        match done {
            Ok(output) if output.status.success() => Some(Mount { path: path.to_owned() }),
            other => {
                eprintln!("SKIPPED: this test needs to mount a tmpfs, which failed: {other:?}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazy: a file that is still open must not keep the mount forever.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
