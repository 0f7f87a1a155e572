//! What went wrong, in one text for the person at the terminal.

use std::fmt;
use std::io;
use std::path::Path;

/// An error as it is printed: object, place, what was expected and found, what to do next.
#[derive(Debug)]
pub struct Failure(pub String);

/// What nearly every function here returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(error.to_string())
    }
}

/// Names the file of an error.
pub trait At<T> {
    /// Puts the path before the error.
    ///
    /// # Errors
    /// If there is one already.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T, E: fmt::Display> At<T> for std::result::Result<T, E> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", path.display())))
    }
}

/// Returns `Err` with a text.
pub fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure(text.into()))
}
