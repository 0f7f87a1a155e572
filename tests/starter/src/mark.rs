//! The mark of a stage: it changes with the stage's sources, tests or holes, so that the matrix
//! shows which stages have changed since.

use std::path::Path;

use sha1::{Digest, Sha1};

use crate::failure::{At, Result};
use crate::list::{Hole, Stage};
use crate::workshop::files;

/// Returns the mark of a stage as the tree has it now.
///
/// # Errors
/// If a file cannot be read.
pub fn mark(root: &Path, stage: &Stage, holes: &[&Hole]) -> Result<String> {
    let mut hash = Sha1::new();
    for part in ["src", "tests"] {
        let module = root.join(part).join(&stage.module);
        let own = root.join(part).join(format!("{}.rs", stage.module));
        let below = files(&module).into_iter().map(|file| module.join(file));
        for path in std::iter::once(own).chain(below) {
            hash.update(std::fs::read(&path).at(&path)?);
            hash.update([0]);
        }
    }
    for hole in holes {
        // Not its task, its minutes or its section: they change nothing in what is tried.
        let what = (&hole.name, &hole.file, hole.paths().collect::<Vec<_>>(), hole.quiet);
        hash.update(format!("{what:?}"));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
