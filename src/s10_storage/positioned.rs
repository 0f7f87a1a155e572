//! Reading and writing at an offset, which is a different call on each system.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;

/// Returns the slices of `parts` that fall into `range`.
pub fn cut<'p>(parts: &[&'p [u8]], range: Range<usize>) -> Vec<IoSlice<'p>> {
    let mut end = 0;
    let mut cut = |part: &&'p [u8]| {
        let start = end;
        end += part.len();
        let inner = range.start.saturating_sub(start)..range.end.min(end).saturating_sub(start);
        part.get(inner).filter(|inner| !inner.is_empty()).map(IoSlice::new)
    };
    parts.iter().filter_map(&mut cut).collect()
}

#[cfg(unix)]
pub fn read_exact(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Writes parts that are separate in memory and adjacent in the file. std can do
/// vectored or positioned writes, but not both at once.
#[cfg(unix)]
pub fn write_all(file: &File, mut parts: &mut [IoSlice], mut offset: u64) -> io::Result<()> {
    while !parts.is_empty() {
        match rustix::io::pwritev(file, parts, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => {
                IoSlice::advance_slices(&mut parts, length);
                offset += length as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

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

#[cfg(windows)]
pub fn write_all(file: &File, mut parts: &mut [IoSlice], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while let Some(part) = parts.first() {
        let length = file.seek_write(part, offset)?;
        IoSlice::advance_slices(&mut parts, length);
        offset += length as u64;
    }
    Ok(())
}
