//! Makes a starter: a folder with a cargo project in which some functions are empty.
//!
//! ```text
//! my-stage-05/
//!   README.md  Makefile  Cargo.toml  src/  tests/  docs/    what the learner sees
//!   .starter/starter.toml                                   the stage and its holes
//!   .starter/progress.toml                                  what is solved; not in git
//!   .starter/course/                                        a copy of the tree, with this crate
//! ```
//!
//! The copy has the tree's layout, so that this crate finds the same things in it as in the
//! repository. A starter needs nothing else from there, and makes the next stage's starter.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::failure::{At, Result, fail};
use crate::list::{Exercises, Hole, LIST};
use crate::matrix::MATRIX;
use crate::prefix::{copy, make_prefix, names, read, stage_number, stem};
use crate::readme::{MAKEFILE, readme};
use crate::source::Source;
use crate::workshop::{Workshop, absolute, rename};

/// What the tool has in a starter.
pub const HIDDEN: &str = ".starter";

/// What a starter is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The stage that has holes.
    pub stage: usize,
    /// The names of the holes, in teaching order.
    pub holes: Vec<String>,
}

/// What is to be made.
pub struct Order<'o> {
    /// The repository, or the copy in another starter.
    pub root: &'o Path,
    /// Which stage gets holes.
    pub stage: usize,
    /// The only hole, by its name or number. Without it, all of the stage.
    pub hole: Option<&'o str>,
    /// The folder to make.
    pub out: &'o Path,
    /// Bodies of earlier stages that replace the reference's.
    pub carried: &'o [(Hole, Vec<String>)],
}

/// Makes a starter, and returns its folder and a note, if there is something to say.
///
/// # Errors
/// If the list is wrong, the folder holds something, or a file cannot be written.
pub fn make(order: &Order) -> Result<(PathBuf, Option<&'static str>)> {
    let exercises = Exercises::checked(order.root)?;
    let stage = exercises.stage(order.stage)?;
    let all: Vec<&Hole> = exercises.of_stage(order.stage).collect();
    let holes = match order.hole {
        Some(wanted) => vec![pick(&all, wanted)?],
        None => all,
    };
    let out = absolute(order.out)?;
    refuse_taken(order.out)?;
    // It appears whole or not at all.
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let half = out.with_file_name(format!(".{name}.{}", std::process::id()));
    let made = fill(order, &half, &holes).and_then(|()| {
        let file = half.join("README.md");
        fs::write(&file, readme(stage, &holes, order.carried)).at(&file)?;
        let note = begin_history(&half, &format!("Stage {}, as it begins", order.stage));
        // An empty folder makes way; any other stays, and the next line fails.
        let _ = fs::remove_dir(&out);
        fs::rename(&half, &out).at(&out).map(|()| note)
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&half);
    }
    Ok((out, made?))
}

/// Refuses a place where there is something.
///
/// # Errors
/// If it is a file, or a folder that is not empty.
pub fn refuse_taken(out: &Path) -> Result<()> {
    match out.is_file() || !names(out).is_empty() {
        false => Ok(()),
        true => fail(format!(
            "{} is there already, and is left as it is; OUT=FOLDER names another place",
            out.display()
        )),
    }
}

/// Finds a hole by its name, or by its number from 1.
///
/// # Errors
/// If there is none: it lists those there are.
pub fn pick<'h>(holes: &[&'h Hole], wanted: &str) -> Result<&'h Hole> {
    let by_number =
        wanted.parse::<usize>().ok().and_then(|number| holes.get(number.checked_sub(1)?));
    let by_name = || holes.iter().find(|hole| hole.name == wanted);
    if let Some(hole) = by_number.or_else(by_name) {
        return Ok(hole);
    }
    let known: Vec<&str> = holes.iter().map(|hole| hole.name.as_str()).collect();
    fail(format!(
        "there is no hole {wanted:?} here; there are {}, or the numbers from 1 to {}",
        known.join(", "),
        known.len()
    ))
}

/// Writes all files but the README.
fn fill(order: &Order, folder: &Path, holes: &[&Hole]) -> Result<()> {
    make_prefix(order.root, order.stage, folder)?;
    // No two starters share a package: in a common target folder one would find the other's
    // library.
    let unique = RandomState::new().build_hasher().finish() & 0xff_ffff;
    rename(folder, &format!("piecemeal-stage-{:02}-{unique:06x}", order.stage))?;
    let mut bodies: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    for (hole, carried) in order.carried {
        let pairs = hole.paths().zip(carried.iter().cloned());
        bodies.entry(hole.source()).or_default().extend(pairs);
    }
    for hole in holes {
        let source = Source::read(folder, &hole.source())?;
        let mut task = hole.task.as_str();
        for path in hole.paths() {
            let empty = hole.empty(source.find(path)?, task)?;
            bodies.entry(hole.source()).or_default().push((path, empty));
            task = "";
        }
    }
    for (file, bodies) in bodies {
        let pairs = bodies.iter().map(|(path, body)| (*path, body.as_str()));
        let text = Source::read(folder, &file)?.with_bodies(pairs)?;
        fs::write(folder.join(&file), text).at(&folder.join(&file))?;
    }
    copy_course(order.root, &folder.join(HIDDEN).join("course"))?;
    let names = holes.iter().map(|hole| hole.name.clone()).collect();
    let about = toml::to_string(&About { stage: order.stage, holes: names }).at(folder)?;
    for (file, text) in [
        (format!("{HIDDEN}/starter.toml"), about.as_str()),
        ("Makefile".to_owned(), MAKEFILE),
        (".gitignore".to_owned(), "/target\n/.starter/progress.*\n"),
    ] {
        fs::write(folder.join(&file), text).at(&folder.join(&file))?;
    }
    Ok(())
}

/// Copies what a starter needs of the tree, to the same places.
fn copy_course(root: &Path, to: &Path) -> Result<()> {
    let mut parts: Vec<String> = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "rustfmt.toml",
        "clippy.toml",
        ".cargo",
        "src",
        "tests/support",
        "tests/starter/Cargo.toml",
        "tests/starter/Cargo.lock",
        "tests/starter/src",
        MATRIX,
        LIST,
    ]
    .map(str::to_owned)
    .to_vec();
    let tests = names(&root.join("tests")).into_iter();
    parts.extend(tests.filter(|n| stage_number(stem(n)).is_some()).map(|n| format!("tests/{n}")));
    let documents = names(&root.join("docs")).into_iter();
    parts.extend(documents.filter(|n| n.ends_with(".md")).map(|n| format!("docs/{n}")));
    for part in parts {
        let place = to.join(&part);
        let parent = place.parent().unwrap_or(to);
        fs::create_dir_all(parent).at(parent)?;
        copy(&root.join(&part), &place)?;
    }
    Ok(())
}

/// Makes the first commit, so that `git diff` is the learner's work. All works without git.
fn begin_history(folder: &Path, message: &str) -> Option<&'static str> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            git.env_remove(variable);
        }
        // What a person has set up for their own repositories does not concern this one.
        for setting in [
            "commit.gpgsign=false",
            "core.hooksPath=/dev/null",
            "core.autocrlf=false",
            "init.defaultBranch=main", // docs/README.md goes back to it
        ] {
            git.args(["-c", setting]);
        }
        git.args(["-c", "user.name=starter", "-c", "user.email=starter@localhost"]);
        git.args(arguments).current_dir(folder).stdin(Stdio::null());
        git.stdout(Stdio::null()).stderr(Stdio::null());
        git.status().is_ok_and(|status| status.success())
    };
    let is_made = git(&["init", "--quiet"])
        && git(&["add", "--all", "--force", "--", "."])
        && git(&["commit", "--quiet", "--message", message]);
    (!is_made).then_some("without git there is no `git diff`; all else works")
}

/// A starter that is there.
pub struct Starter {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is about.
    pub about: About,
    /// The list of its course.
    pub exercises: Exercises,
}

impl Starter {
    /// Opens the starter in a folder.
    ///
    /// # Errors
    /// If the folder has none.
    pub fn open(folder: &Path) -> Result<Starter> {
        let folder = folder.canonicalize().at(folder)?;
        let place = folder.join(HIDDEN).join("starter.toml");
        let Ok(text) = read(&place) else {
            return fail(format!(
                "{} is no starter: run this in the folder of one",
                folder.display()
            ));
        };
        let about = toml::from_str(&text).at(&place)?;
        // It was checked when the starter was made.
        let exercises = Exercises::read(&folder.join(HIDDEN).join("course"))?;
        Ok(Starter { folder, about, exercises })
    }

    /// Returns its copy of the tree.
    pub fn course(&self) -> PathBuf {
        self.folder.join(HIDDEN).join("course")
    }

    /// Returns where its progress is noted.
    pub fn progress(&self) -> PathBuf {
        self.folder.join(HIDDEN).join("progress.toml")
    }

    /// Returns its holes, in teaching order.
    pub fn holes(&self) -> Vec<&Hole> {
        let of_stage = self.exercises.of_stage(self.about.stage);
        of_stage.filter(|hole| self.about.holes.contains(&hole.name)).collect()
    }

    /// Opens a workshop of its stage in its target folder.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn workshop(&self, room: &str) -> Result<Workshop> {
        let target = self.folder.join("target");
        Workshop::open(&self.course(), self.about.stage, &target.join(room), &target)
    }
}
