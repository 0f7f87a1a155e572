//! The bytes that travel: a function of a seed and an offset, so that what
//! arrives is compared with what should have, not with a file that a seeder
//! had its hands on.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::Path;

const CHUNK: usize = 1 << 16;

/// A file's worth of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    pub seed: u64,
    pub length: u64,
}

impl Content {
    /// Fills `chunk` with what stands at `begin`, a multiple of eight.
    fn fill(self, begin: u64, chunk: &mut [u8]) {
        for (index, word) in chunk.chunks_mut(8).enumerate() {
            // SplitMix64, which can start anywhere.
            let step = self.seed.wrapping_add(begin / 8 + index as u64 + 1);
            let mut z = step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            word.copy_from_slice(&z.to_le_bytes()[..word.len()]);
        }
    }

    fn chunks(self) -> impl Iterator<Item = (u64, usize)> {
        (0..self.length)
            .step_by(CHUNK)
            .map(move |begin| (begin, (self.length - begin).min(CHUNK as u64) as usize))
    }

    /// Writes the file, with zeros for whatever is outside `held`.
    pub fn write(self, path: &Path, held: &Range<u64>) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(File::create(path)?);
        let mut chunk = [0; CHUNK];
        for (begin, length) in self.chunks() {
            self.fill(begin, &mut chunk[..length]);
            let first = held.start.saturating_sub(begin).min(length as u64) as usize;
            let last = held.end.saturating_sub(begin).min(length as u64) as usize;
            chunk[..first].fill(0);
            chunk[last..length].fill(0);
            file.write_all(&chunk[..length])?;
        }
        file.flush()
    }

    /// Compares a file with what it should hold, byte for byte.
    pub fn compare(self, path: &Path) -> Result<(), String> {
        let say = |error: io::Error| format!("{}: {error}", path.display());
        let found = fs::metadata(path).map_err(say)?.len();
        if found != self.length {
            return Err(format!("{}: {found} bytes, expected {}", path.display(), self.length));
        }
        match self.ranges_that_differ(path, CHUNK as u64).map_err(say)?.first() {
            Some(range) => {
                Err(format!("{}: wrong between {} and {}", path.display(), range.start, range.end))
            }
            None => Ok(()),
        }
    }

    /// The stretches that are missing from `path` or differ there, widened to
    /// steps from the start of the file; a step is a multiple of a chunk.
    pub fn ranges_that_differ(self, path: &Path, step: u64) -> io::Result<Vec<Range<u64>>> {
        let mut file = File::open(path)?;
        let mut different: Vec<Range<u64>> = Vec::new();
        let (mut expected, mut found) = ([0; CHUNK], Vec::with_capacity(CHUNK));
        for (begin, length) in self.chunks() {
            self.fill(begin, &mut expected[..length]);
            found.clear();
            (&mut file).take(length as u64).read_to_end(&mut found)?;
            if found != expected[..length] {
                let start = begin / step * step;
                let end = (begin + length as u64).next_multiple_of(step).min(self.length);
                match different.last_mut() {
                    Some(last) if last.end >= start => last.end = end,
                    _ => different.push(start..end),
                }
            }
        }
        Ok(different)
    }
}
