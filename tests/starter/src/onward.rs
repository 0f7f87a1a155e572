//! The starter after this one, with the learner's own bodies in the stages before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::check::check;
use crate::failure::{Result, fail};
use crate::learner::{Found, Learner};
use crate::list::Hole;
use crate::matrix::{Matrix, Test};
use crate::progress::Progress;
use crate::starter::{Order, Starter, make, refuse_taken};
use crate::tests::Runner;
use crate::workshop::{Built, Workshop};

/// A hole with bodies for it.
type Carried = (Hole, Vec<String>);

/// A hole whose bodies stay behind, and why.
type Left = (Hole, String);

/// What became of the learner's bodies on the way to the next starter.
pub struct Onward {
    /// The new folder.
    pub folder: PathBuf,
    /// The holes whose bodies were taken along.
    pub carried: Vec<Hole>,
    /// The holes whose bodies fail in the next stage, or do not compile there.
    pub left: Vec<Left>,
    /// The holes of this starter that are not solved. The reference is in their place.
    pub unsolved: Vec<Hole>,
    /// What else there is to know.
    pub note: Option<&'static str>,
}

/// Makes the next starter: the next stage, or the next hole after a starter of one hole.
///
/// # Errors
/// If this is the last one, if not all is solved and `anyway` is not set, or if the folder holds
/// something.
pub fn next(
    starter: &Starter,
    out: Option<&str>,
    anyway: bool,
    stop: &AtomicBool,
) -> Result<Onward> {
    let (stage, hole) = following(starter)?;
    let out = out.map_or_else(|| beside(&starter.folder, stage, hole.as_deref()), PathBuf::from);
    refuse_taken(&out)?;
    // What was written since the last check counts as well.
    let report = check(starter, None, stop)?;
    if !report.is_solved() && !anyway {
        return fail(format!(
            "{} solved; make check says what is missing. With the reference in the place of the rest: make next ANYWAY=1",
            report.score()
        ));
    }
    let build = starter.folder.join("target");
    let workshop = Workshop::open(&starter.course(), stage, &build.join("next"), &build)?;
    let (solved, unsolved) = written(starter)?;
    let trial = Trial { starter, stage, workshop, matrix: Matrix::read(&starter.course())?, stop };
    let (carried, left) = trial.sort(solved)?;
    let order = Order {
        root: &starter.course(),
        stage,
        hole: hole.as_deref(),
        out: &out,
        carried: &carried,
    };
    let (folder, note) = make(&order)?;
    let carried = carried.into_iter().map(|(hole, _)| hole).collect();
    Ok(Onward { folder, carried, left, unsolved, note })
}

/// The stage and, for a starter of one hole among several, the hole that comes next.
fn following(starter: &Starter) -> Result<(usize, Option<String>)> {
    let stage = starter.about.stage;
    let is_whole = starter.holes().len() == starter.exercises.of_stage(stage).count();
    let holes = &starter.exercises.holes;
    let here = |hole: &Hole| hole.stage == stage && starter.about.holes.contains(&hole.name);
    let last = holes.iter().rposition(here).unwrap_or(0);
    let next = holes.iter().skip(last + 1).find(|hole| !is_whole || hole.stage > stage);
    match next {
        Some(hole) if is_whole => Ok((hole.stage, None)),
        Some(hole) => Ok((hole.stage, Some(hole.name.clone()))),
        None => fail("this is the last exercise; piecemeal seed is waiting for peers"),
    }
}

/// The folder beside this one, with the next stage in its name.
fn beside(folder: &Path, stage: usize, hole: Option<&str>) -> PathBuf {
    let hole = hole.map(|hole| format!("-{hole}")).unwrap_or_default();
    folder.with_file_name(format!("my-stage-{stage:02}{hole}"))
}

/// The bodies that a learner has written up to this stage, and the holes that are not solved.
fn written(starter: &Starter) -> Result<(Vec<Carried>, Vec<Hole>)> {
    let workshop = starter.workshop("hints")?;
    let learner = Learner::read(&starter.folder, &workshop, &starter.exercises);
    let progress = Progress::read(&starter.progress());
    let is_own: BTreeSet<&String> = starter.about.holes.iter().collect();
    let (mut solved, mut unsolved) = (Vec::new(), Vec::new());
    for hole in starter.exercises.holes.iter().filter(|hole| hole.stage <= starter.about.stage) {
        let is_open = hole.stage == starter.about.stage && is_own.contains(&hole.name);
        match learner.find(hole)? {
            Found::Bodies(written) if !is_open && written.bodies == workshop.bodies(hole)? => {}
            Found::Bodies(written) if !is_open || progress.is_solved(&hole.name, &written) => {
                solved.push((hole.clone(), written.bodies));
            }
            _ if is_open => unsolved.push(hole.clone()),
            _ => {}
        }
    }
    Ok((solved, unsolved))
}

struct Trial<'t> {
    starter: &'t Starter,
    stage: usize,
    workshop: Workshop,
    matrix: Matrix,
    stop: &'t AtomicBool,
}

impl Trial<'_> {
    /// Parts the bodies that pass the next stage's tests from those that do not.
    fn sort(&self, bodies: Vec<Carried>) -> Result<(Vec<Carried>, Vec<Left>)> {
        if bodies.is_empty() || self.fault(&bodies)?.is_none() {
            return Ok((bodies, Vec::new()));
        }
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for (hole, body) in bodies {
            kept.push((hole, body));
            if let Some(why) = self.fault(&kept)? {
                left.extend(kept.pop().map(|(hole, _)| (hole, why)));
            }
        }
        Ok((kept, left))
    }

    /// Returns what is wrong with these bodies in the next stage, in one line.
    fn fault(&self, bodies: &[Carried]) -> Result<Option<String>> {
        let changed = bodies.iter().map(|(hole, bodies)| (hole, bodies.as_slice()));
        self.workshop.fill(&self.workshop.with(changed)?)?;
        let stage = self.starter.exercises.stage(self.stage)?;
        let holes = self.starter.exercises.of_stage(self.stage);
        let known: BTreeSet<Test> =
            holes.filter_map(|hole| self.matrix.tests(hole)).flatten().cloned().collect();
        let targets = known.iter().map(|test| test.target.as_str()).chain([stage.module.as_str()]);
        let programs = match self.workshop.build(targets)? {
            Built::Ready(programs) => programs,
            // What it stands on is not carried along.
            Built::Broken(words) => {
                let first = words.lines().next().unwrap_or_default();
                return Ok(Some(format!("{first}. Move what it needs into the function")));
            }
        };
        let runner = Runner {
            programs: &programs,
            folder: self.workshop.crate_folder(),
            matrix: &self.matrix,
            stop: self.stop,
        };
        let known: Vec<Test> = known.into_iter().collect();
        let (mut tests, _) = runner.part(&known)?;
        if tests.is_empty() {
            tests = runner.list(&stage.module)?;
        }
        Ok(runner.first_red(&tests, true)?.map(|ran| format!("{} is red", ran.test.name)))
    }
}
