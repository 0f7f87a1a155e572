//! Makes the files that a command writes: none through a link, some for the owner only. (stage 9)

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file for writing from its beginning, and makes it if it is missing.
///
/// A link to a file is not followed: another user may have put it there. A link to anything
/// else is, since `/dev/stdout` is one. Only its owner can read a `private` file.
pub fn make(path: &Path, private: bool) -> io::Result<File> {
    let special = fs::metadata(path).is_ok_and(|there| !there.is_file());
    if !special && fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()) {
        return Err(io::Error::other("is a symbolic link, which is not followed"));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(!special).truncate(!special);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link may have appeared since the check.
        let flags =
            if special { rustix::fs::OFlags::empty() } else { rustix::fs::OFlags::NOFOLLOW };
        options.mode(if private { 0o600 } else { 0o666 }).custom_flags(flags.bits() as i32);
    }
    let file = options.open(path)?;
    if special && file.metadata()?.is_file() {
        return Err(io::Error::other("has become a file while it was opened"));
    }
    #[cfg(unix)]
    if private && !special {
        use std::os::unix::fs::PermissionsExt;
        // An older file may be readable by every user.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
