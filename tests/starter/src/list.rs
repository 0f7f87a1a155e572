//! The list of exercises, `docs/exercises.toml`: which functions are emptied, in teaching order.
//!
//! ```toml
//! [[hole]]
//! stage = 5
//! name = "frame"
//! file = "s05_messages.rs"
//! path = "MessageReader::frame"
//! task = "Finds the end of the first whole message in the buffer."
//! minutes = 20
//! section = "Read along"
//! with = ["word"]
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::failure::{At, Failure, Result, fail};
use crate::prefix::{names, read, stage_number, stem};
use crate::source::{Function, Source};

/// The list's place in the repository.
pub const LIST: &str = "docs/exercises.toml";

/// A function that a learner writes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hole {
    /// The stage that it belongs to.
    pub stage: usize,
    /// What it is called in commands. No other hole of the stage has this name.
    pub name: String,
    /// Its file under `src/`.
    pub file: String,
    /// `function`, `Type::method` or `Type as Trait::method`; `module::` before it for an inline
    /// module.
    pub path: String,
    /// What the function does, in one sentence that begins with a verb.
    pub task: String,
    /// How long it takes somebody who knows Rust and has read the chapter.
    pub minutes: u32,
    /// The heading in the chapter that explains it, or the bold title of a paragraph.
    pub section: String,
    /// Helpers in the same file that are emptied as well.
    #[serde(default)]
    pub with: Vec<String>,
    /// Emptied without a `todo!`: it runs while something is dropped, and a panic there would end
    /// the whole program.
    #[serde(default)]
    pub quiet: bool,
    /// The experiment of `simulate` that shows what it does to a swarm.
    #[serde(default)]
    pub swarm: Option<String>,
}

impl Hole {
    /// Returns the file as a path in the crate: `src/s05_messages.rs`.
    pub fn source(&self) -> String {
        format!("src/{}", self.file)
    }

    /// Returns the body that one of its functions has in a starter.
    ///
    /// # Errors
    /// If nothing can stand in for what the function returns.
    pub fn empty(&self, function: &Function, task: &str) -> Result<String> {
        if self.quiet { function.quiet(task) } else { function.empty(&function.path, task) }
    }

    /// Returns the paths of all functions that are emptied, the hole's own first.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.path).chain(&self.with).map(String::as_str)
    }
}

/// A stage, as the tree has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its number.
    pub number: usize,
    /// Its module, which is also the name of its tests: `s05_messages`.
    pub module: String,
    /// Its chapter: `docs/05-messages.md`.
    pub chapter: String,
}

impl Stage {
    /// Returns `messages`.
    pub fn subject(&self) -> String {
        self.module.split_once('_').map_or("", |(_, subject)| subject).replace('_', " ")
    }
}

/// The whole list, which names only what the tree has.
#[derive(Debug)]
pub struct Exercises {
    /// All holes, in teaching order.
    pub holes: Vec<Hole>,
    /// All stages of the tree, in order.
    pub stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    hole: Vec<Hole>,
}

impl Exercises {
    /// Reads the list of a tree.
    ///
    /// # Errors
    /// If it cannot be read, or is not of this form.
    pub fn read(root: &Path) -> Result<Exercises> {
        let path = root.join(LIST);
        let written: Written = toml::from_str(&read(&path)?).at(&path)?;
        Ok(Exercises { holes: written.hole, stages: stages(root) })
    }

    /// Reads the list of a tree, and checks that all it names is there exactly once.
    ///
    /// # Errors
    /// With all mistakes at once, one a line.
    pub fn checked(root: &Path) -> Result<Exercises> {
        let exercises = Exercises::read(root)?;
        let faults = exercises.faults(root);
        if faults.is_empty() { Ok(exercises) } else { fail(faults.join("\n")) }
    }

    /// Returns a stage by its number.
    ///
    /// # Errors
    /// If there is no such stage, or it has no holes.
    pub fn stage(&self, number: usize) -> Result<&Stage> {
        let with_holes: BTreeSet<usize> = self.holes.iter().map(|hole| hole.stage).collect();
        let known = || {
            let known: Vec<String> = with_holes.iter().map(usize::to_string).collect();
            Failure(format!("stage {number} has no exercises; these have: {}", known.join(", ")))
        };
        let stage = self.stages.iter().find(|stage| stage.number == number);
        stage.filter(|_| with_holes.contains(&number)).ok_or_else(known)
    }

    /// Returns the holes of a stage, in teaching order.
    pub fn of_stage(&self, number: usize) -> impl Iterator<Item = &Hole> {
        self.holes.iter().filter(move |hole| hole.stage == number)
    }

    /// Returns what is wrong in the list.
    fn faults(&self, root: &Path) -> Vec<String> {
        let mut faults = Vec::new();
        let mut sources: BTreeMap<String, Result<Source>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for hole in &self.holes {
            let mut wrong = |what: String| {
                faults.push(format!("{LIST}: stage {}, {:?}: {what}", hole.stage, hole.name));
            };
            if !seen.insert((hole.stage, &hole.name)) {
                wrong("this name is in the stage twice; give each hole its own".to_owned());
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if hole.name.is_empty() || !hole.name.chars().all(plain) {
                wrong("the name is to be of letters, digits and underscores".to_owned());
            }
            if !hole.task.ends_with('.') || hole.minutes == 0 {
                wrong("it needs a task that ends with a period, and minutes above 0".to_owned());
            }
            let Some(stage) = self.stages.iter().find(|stage| stage.number == hole.stage) else {
                wrong("the tree has no such stage".to_owned());
                continue;
            };
            let module = stem(hole.file.split('/').next().unwrap_or_default());
            if module != stage.module {
                wrong(format!("{} is not in the stage's module, {}", hole.file, stage.module));
                continue;
            }
            if !has_heading(root, stage, &hole.section) {
                wrong(format!("{} has no heading {:?}", stage.chapter, hole.section));
            }
            let source =
                sources.entry(hole.source()).or_insert_with(|| Source::read(root, &hole.source()));
            match source {
                Ok(source) => hole.paths().for_each(|path| {
                    if let Err(why) = source.find(path).and_then(|found| hole.empty(found, "")) {
                        wrong(why.to_string());
                    }
                }),
                Err(why) => wrong(why.to_string()),
            }
        }
        faults
    }
}

/// Whether a chapter has this heading, or a paragraph with this title in bold.
fn has_heading(root: &Path, stage: &Stage, section: &str) -> bool {
    let chapter = read(&root.join(&stage.chapter)).unwrap_or_default();
    let bold = format!("**{section}.**");
    chapter.lines().any(|line| {
        line.starts_with(&bold)
            || line.starts_with('#') && line.trim_start_matches('#').trim() == section
    })
}

/// Returns the stages of a tree, in order.
fn stages(root: &Path) -> Vec<Stage> {
    let chapters = names(&root.join("docs"));
    let stages = names(&root.join("src")).into_iter().filter_map(|name| {
        let module = name.strip_suffix(".rs")?;
        let number = stage_number(module)?;
        let prefix = format!("{number:02}-");
        let chapter = chapters.iter().find(|chapter| chapter.starts_with(&prefix))?;
        Some(Stage { number, module: module.to_owned(), chapter: format!("docs/{chapter}") })
    });
    stages.collect()
}
