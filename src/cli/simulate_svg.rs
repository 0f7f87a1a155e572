//! The page of plots that `simulate --svg` writes. (simulate)

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Answer;
use super::exit_codes::LOCAL;
use super::failure::{Failure, at_the_disk};
use super::output_file::make;
use super::simulate_options::PAGE;

/// Where the page goes, if anywhere.
pub struct SvgFile(Option<PathBuf>);

impl SvgFile {
    /// Checks that the file can be written.
    pub fn for_option(path: Option<PathBuf>) -> Result<SvgFile, Failure> {
        let file = SvgFile(path);
        match file.0.as_deref().map(is_writable) {
            Some(Err(error)) => Err(file.failure(&error)),
            _ => Ok(file),
        }
    }

    /// Writes the page, and returns the answer. If it can no longer be written, the answer is a
    /// part of the failure: what took a minute is not lost.
    pub fn write(self, page: impl FnOnce() -> String, answer: Answer) -> Result<Answer, Failure> {
        let write = |path: &Path| make(path, false)?.write_all(page().as_bytes());
        match self.0.as_deref().map(write) {
            Some(Err(error)) => Err(self.failure(&error).answer(answer)),
            _ => Ok(answer),
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let path = self.0.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        Failure::new(LOCAL, format!("{path}: {error}")).help(at_the_disk(error)).see(PAGE)
    }
}

/// Checks whether a file can be written there, and changes nothing.
fn is_writable(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "there is a folder of this name"))
        }
        Ok(there) if there.is_file() => OpenOptions::new().append(true).open(path).map(drop),
        // A pipe is not opened: that would wait for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            fs::metadata(folder)?;
            // Its own errors name a file that nobody asked for.
            tempfile::tempfile_in(folder).map(drop).map_err(|error| error.kind().into())
        }
    }
}
