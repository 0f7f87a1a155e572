//! What stays of a failed check: the capture of what the peers saw, and its page of HTML.

use std::io;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::evidence::capture;
use crate::actors::recording::Recording;
use crate::trace::capture::Capture;
use crate::trace::capture::page::page;

/// Writes the capture of a check, and its page beside it; returns the capture's path.
///
/// # Errors
/// If the folder takes no file.
pub(super) fn keep(recordings: &[Recording], check: &Check, folder: &Path) -> io::Result<PathBuf> {
    write(&capture(recordings), check, folder)
}

/// Writes these bytes of a capture, and its page beside it; returns the capture's path.
///
/// # Errors
/// If the folder takes no file.
pub(super) fn write(bytes: &[u8], check: &Check, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.capture", check.id));
    std::fs::write(&path, bytes)?;
    // What a broken client sent may be more than a page shows: the capture itself is kept anyway.
    if let Ok(capture) = Capture::read(bytes) {
        let title = format!("{} {}", check.id, check.title);
        // A capture's first lane is the program that recorded it: here that is the other side.
        let page = page(&capture, &title).replacen("<b>piecemeal</b>", "<b>your client</b>", 1);
        std::fs::write(path.with_extension("html"), page)?;
    }
    Ok(path)
}
