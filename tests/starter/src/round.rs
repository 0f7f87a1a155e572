//! `make exercises`: the stages that have changed since the matrix was made are tried whole, and
//! of each other stage one hole, another one after each commit.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::failure::{At, Result};
use crate::list::{Exercises, Hole, Stage};
use crate::mark::mark;
use crate::matrix::{MATRIX, Matrix};
use crate::trial::Bench;

/// Which stages are tried whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that have changed. Of the others, one hole is tried.
    Changed,
    /// All of them.
    All,
    /// This one, and no hole of another.
    Only(usize),
}

/// Tries the holes of a tree, writes what is new into its matrix, and returns whether all is well.
///
/// # Errors
/// If a hole cannot be tried: it does not compile, or the list is wrong.
pub fn round(root: &Path, which: Which, stop: &AtomicBool) -> Result<bool> {
    let exercises = Exercises::checked(root)?;
    let folder = root.join("target/exercises");
    fs::create_dir_all(&folder).at(&folder)?;
    // A second run waits, instead of changing the crate under the first.
    let lock = File::create(folder.join("lock")).at(&folder)?;
    lock.lock().at(&folder)?;
    let mut matrix = Matrix::read(root)?;
    let (mut faults, mut is_new) = (Vec::new(), false);
    println!("stage  hole               breaks       late seconds");
    for stage in &exercises.stages {
        let holes: Vec<&Hole> = exercises.of_stage(stage.number).collect();
        let is_whole = match which {
            _ if holes.is_empty() => continue,
            Which::Only(number) if number != stage.number => continue,
            Which::All | Which::Only(_) => true,
            Which::Changed => !is_known(&matrix, stage, &mark(root, stage, &holes)?),
        };
        let begun = Instant::now();
        let mut bench = Bench::open(root, &exercises, stage, &folder, stop)?;
        if is_whole {
            bench.try_all(root, &mut matrix)?;
            matrix.write(root)?;
            is_new = true;
        } else {
            bench.try_one(holes[turn(root) % holes.len()], &matrix)?;
        }
        bench.findings.lines.iter().for_each(|line| println!("{line}"));
        println!("{:>5}  {} s with building", stage.number, begun.elapsed().as_secs());
        faults.append(&mut bench.findings.faults);
    }
    if is_new {
        println!("{MATRIX} is written; commit it if it differs");
    }
    faults.iter().for_each(|fault| println!("error: {fault}"));
    Ok(faults.is_empty())
}

/// Whether the matrix has the stage as it is.
fn is_known(matrix: &Matrix, stage: &Stage, mark: &str) -> bool {
    matrix.stages.iter().any(|tried| tried.number == stage.number && tried.mark == mark)
}

/// A number that is another one after each commit. Without git it is 0.
fn turn(root: &Path) -> usize {
    let count =
        Command::new("git").args(["rev-list", "--count", "HEAD"]).current_dir(root).output();
    let text = count.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
