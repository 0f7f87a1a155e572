//! The matrix, `tests/starter/matrix.toml`: which tests a hole breaks. It is computed, never
//! written by hand: each hole alone is emptied, and all tests of its stage run.
//!
//! ```toml
//! [seconds]
//! "s05_messages silence_ends_a_read" = 2.5
//!
//! [[hole]]
//! stage = 5
//! name = "frame"
//! breaks = ["s05_messages a_message_cut_at_any_byte_is_waited_for", "lib s05::a_unit_test"]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{At, Result};
use crate::list::{Hole, Stage};
use crate::prefix::read;

/// The matrix's place in the repository.
pub const MATRIX: &str = "tests/starter/matrix.toml";

/// One test: `s05_messages a_choke_is_five_bytes`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Test {
    /// The test target it is in; `lib` for a unit test.
    pub target: String,
    /// Its name, with modules, as the test program prints it.
    pub name: String,
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.target, self.name)
    }
}

impl From<Test> for String {
    fn from(test: Test) -> String {
        test.to_string()
    }
}

impl TryFrom<String> for Test {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Test, String> {
        let (target, name) = text
            .split_once(' ')
            .ok_or_else(|| format!("{text:?} is to be a test target, a space and a test"))?;
        Ok(Test { target: target.to_owned(), name: name.to_owned() })
    }
}

/// The usual seconds of tests.
pub type Seconds = BTreeMap<Test, f64>;

/// Which tests each hole breaks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The usual seconds of tests that take over one.
    #[serde(default)]
    pub seconds: Seconds,
    /// What each stage was like when it was tried.
    #[serde(default, rename = "stage")]
    pub stages: Vec<Tried>,
    /// A row for each hole, in the order of the list.
    #[serde(default, rename = "hole")]
    pub rows: Vec<Row>,
}

/// A stage that has been tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Its number.
    pub number: usize,
    /// Its [mark](crate::mark) then.
    pub mark: String,
    /// The seconds that all its tests take when nothing is empty.
    pub seconds: f64,
}

/// The tests that one hole breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The hole's stage.
    pub stage: usize,
    /// The hole's name.
    pub name: String,
    /// The most telling test first: the one that the fewest holes break, then the first in
    /// its file.
    pub breaks: Vec<Test>,
}

impl Matrix {
    /// Reads the matrix of a tree. A tree without one has an empty one.
    ///
    /// # Errors
    /// If it cannot be read or is not of this form.
    pub fn read(root: &Path) -> Result<Matrix> {
        let path = root.join(MATRIX);
        if path.is_file() { toml::from_str(&read(&path)?).at(&path) } else { Ok(Matrix::default()) }
    }

    /// Writes the matrix of a tree.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, root: &Path) -> Result<()> {
        let path = root.join(MATRIX);
        let text = toml::to_string_pretty(self).at(&path)?;
        fs::write(&path, format!("# Made by `make exercises`.\n\n{text}")).at(&path)
    }

    /// Puts what was found in place of what is known about a stage.
    pub fn replace(&mut self, tried: Tried, stage: &Stage, seconds: Seconds, rows: Vec<Row>) {
        self.seconds.retain(|test, _| test.target != stage.module);
        self.seconds.extend(seconds.into_iter().filter(|(_, seconds)| *seconds > 1.0));
        self.rows.retain(|row| row.stage != tried.number);
        self.rows.extend(rows);
        self.rows.sort_by_key(|row| row.stage); // stable: the list's order stays
        self.stages.retain(|old| old.number != tried.number);
        self.stages.push(tried);
        self.stages.sort_by_key(|tried| tried.number);
    }

    /// Returns the tests that a hole breaks, the most telling first; `None` if nobody has tried.
    pub fn tests(&self, hole: &Hole) -> Option<&[Test]> {
        let is_it = |row: &&Row| row.stage == hole.stage && row.name == hole.name;
        self.rows
            .iter()
            .find(is_it)
            .map(|row| row.breaks.as_slice())
            .filter(|tests| !tests.is_empty())
    }

    /// Returns how long a test may take: three times the usual, and 5 s at least.
    pub fn limit(&self, test: &Test) -> Duration {
        let usual = self.seconds.get(test).copied().unwrap_or(0.0);
        Duration::from_secs_f64((3.0 * usual + 2.0).max(5.0))
    }
}
