//! Making the files that a command writes: none through a link, some for nobody else's eyes. (stage 9)

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file for writing from its beginning; makes it if it is missing.
///
/// A link to a file is not followed: somebody else may have put it there. A link to something
/// else is, since `/dev/stdout` is one. A `private` file is only for its owner to read.
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
        // The link may also have come since.
        let flags = if special { rustix::fs::OFlags::empty() } else { rustix::fs::OFlags::NOFOLLOW };
        options.mode(if private { 0o600 } else { 0o666 }).custom_flags(flags.bits() as i32);
    }
    let file = options.open(path)?;
    if special && file.metadata()?.is_file() {
        return Err(io::Error::other("has become a file while it was opened"));
    }
    #[cfg(unix)]
    if private && !special {
        use std::os::unix::fs::PermissionsExt;
        // It may be an older one that everybody could read.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
