//! Reading and writing at an offset, which each system spells in its own way.

use std::fs::File;
use std::io;

#[cfg(unix)]
pub fn read_exact(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
pub fn write_all(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

#[cfg(windows)]
pub fn read_exact(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                buffer = &mut buffer[length..];
                offset += length as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
pub fn write_all(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !data.is_empty() {
        let length = file.seek_write(data, offset)?;
        data = &data[length..];
        offset += length as u64;
    }
    Ok(())
}
