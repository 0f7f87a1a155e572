//! Reading and writing at an offset, which is a different call on each system.
//!
//! The usual `seek` and then `read` are two calls with a position between them, and all threads
//! that have the file open share that position. Here each call names its own offset. So no thread
//! waits for another, and none can move another's position.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;

/// Returns the slices of `parts` that fall into `range`, which counts from the start of the first
/// part. Nothing is copied.
///
/// ```text
/// parts    |  block 0  |  block 1  |  block 2  |
/// range          |---------------|                  the part of the blocks that this file holds
/// slices         |-----|---------|                  two of them
/// ```
pub fn cut<'p>(parts: &[&'p [u8]], range: Range<usize>) -> Vec<IoSlice<'p>> {
    let mut end = 0;
    let mut cut = |part: &&'p [u8]| {
        let start = end;
        end += part.len();
        // A part before the range gives an empty slice or none, and is left out. So is a part after
        // it, which saturates to 0..0.
        let inner = range.start.saturating_sub(start)..range.end.min(end).saturating_sub(start);
        part.get(inner).filter(|inner| !inner.is_empty()).map(IoSlice::new)
    };
    parts.iter().filter_map(&mut cut).collect()
}

/// Fills `buffer` from `offset` on: `pread` until it is full.
///
/// # Errors
/// [`ErrorKind::UnexpectedEof`] if the file ends first.
#[cfg(unix)]
pub fn read_exact(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Writes parts that are separate in memory and adjacent in the file. std can do
/// vectored or positioned writes, but not both at once.
///
/// # Errors
/// If not all of them could be written; some may have been.
#[cfg(unix)]
pub fn write_all(file: &File, mut parts: &mut [IoSlice], mut offset: u64) -> io::Result<()> {
    while !parts.is_empty() {
        match rustix::io::pwritev(file, parts, offset) {
            // It would return 0 forever.
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            // A system may write less than it was given, and then the rest is a call of its own.
            Ok(length) => {
                IoSlice::advance_slices(&mut parts, length);
                offset += length as u64;
            }
            // A signal came first. Nothing was written.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The same on Windows, whose `seek_read` also moves the file's position. No call here uses that.
///
/// # Errors
/// [`ErrorKind::UnexpectedEof`] if the file ends first.
#[cfg(windows)]
pub fn read_exact(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => {
                buffer = &mut buffer[length..];
                offset += length as u64;
            }
        }
    }
    Ok(())
}

/// The same on Windows: one call for each part.
///
/// # Errors
/// If not all of them could be written; some may have been.
#[cfg(windows)]
pub fn write_all(file: &File, mut parts: &mut [IoSlice], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while let Some(part) = parts.first() {
        let length = file.seek_write(part, offset)?;
        if length == 0 && !part.is_empty() {
            return Err(ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut parts, length);
        offset += length as u64;
    }
    Ok(())
}
