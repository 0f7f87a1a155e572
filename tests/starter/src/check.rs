//! The verdict on each hole, alone: the learner's body in the whole reference, and the tests that
//! this hole breaks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::sync::atomic::AtomicBool;

use crate::failure::{At, Result};
use crate::learner::{Found, Learner, Written, mark};
use crate::list::{Hole, Stage};
use crate::matrix::{Matrix, Test};
use crate::progress::Progress;
use crate::source::Source;
use crate::starter::{Starter, pick};
use crate::tests::{Ran, Runner};
use crate::workshop::{Built, Cargo, Files, Workshop};

/// What is to be said of a hole.
#[derive(Debug)]
pub enum Verdict {
    /// All tests that speak of it pass.
    Solved,
    /// Nothing has been written yet.
    Empty,
    /// It failed before, and has not changed since. Another hole is shown first.
    AsBefore,
    /// A test is red: this one, the most telling of those that are.
    Red(Box<Ran>),
    /// The compiler's words.
    Broken(String),
    /// The function, or its file, is not there.
    Gone(String),
}

/// A hole with its verdict.
#[derive(Debug)]
pub struct Checked {
    /// Which one.
    pub hole: Hole,
    /// Its number among all holes of the starter, from 1.
    pub number: usize,
    /// What is to be said of it.
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Debug)]
pub struct Report {
    /// The stage.
    pub stage: Stage,
    /// All holes that were looked at, in teaching order.
    pub checked: Vec<Checked>,
    /// Whether only one hole was asked for.
    pub is_one: bool,
    /// With all holes solved: what is wrong with the learner's own files, and where they differ
    /// from the reference outside of the holes.
    pub own: Option<(Verdict, Vec<String>)>,
    /// What else there is to know: an edited test, a change outside of the holes.
    pub notes: Vec<String>,
}

impl Report {
    /// Returns how many holes are solved: `2 of 6`.
    pub fn score(&self) -> String {
        let is_solved = |checked: &&Checked| matches!(checked.verdict, Verdict::Solved);
        format!("{} of {}", self.checked.iter().filter(is_solved).count(), self.checked.len())
    }

    /// Whether all holes are solved, and the learner's own files are right.
    pub fn is_solved(&self) -> bool {
        self.own.is_none() && self.all_are_solved()
    }

    fn all_are_solved(&self) -> bool {
        self.checked.iter().all(|checked| matches!(checked.verdict, Verdict::Solved))
    }
}

/// Everything that a check needs.
struct Judge<'j> {
    starter: &'j Starter,
    stage: &'j Stage,
    workshop: &'j Workshop,
    learner: Learner<'j>,
    matrix: Matrix,
    stop: &'j AtomicBool,
    notes: Vec<String>,
    /// Tests of the matrix that do not exist. A learner can do nothing about them.
    gone: RefCell<BTreeSet<Test>>,
    /// What the compiler says of the learner's own files, once it was asked.
    words: Option<Option<String>>,
}

/// Checks the holes of a starter, or one of them.
///
/// # Errors
/// If there is no such hole, or for a reason that is not the learner's code.
pub fn check(starter: &Starter, only: Option<&str>, stop: &AtomicBool) -> Result<Report> {
    let mut holes = starter.holes();
    if let Some(wanted) = only {
        holes = vec![pick(&holes, wanted)?];
    }
    let room = starter.folder.join("target/check");
    fs::create_dir_all(&room).at(&room)?;
    // A second check in the same folder waits, instead of changing the crate under the first.
    let lock = File::create(room.join("lock")).at(&room)?;
    lock.lock().at(&room)?;
    let workshop = starter.workshop("check")?;
    let mut judge = Judge {
        starter,
        stage: starter.exercises.stage(starter.about.stage)?,
        workshop: &workshop,
        learner: Learner::read(&starter.folder, &workshop, &starter.exercises),
        matrix: Matrix::read(&starter.course())?,
        stop,
        notes: Vec::new(),
        gone: RefCell::default(),
        words: None,
    };
    let is_one = only.is_some();
    let checked = judge.all(&holes, is_one)?;
    let stage = judge.stage.clone();
    let mut report = Report { stage, checked, is_one, own: None, notes: Vec::new() };
    if report.all_are_solved() && !is_one {
        report.own = judge.own_files()?;
        if report.own.is_none() {
            let changes = judge.learner.changes().into_iter();
            judge.notes.extend(changes.map(|what| {
                format!(
                    "{what} differs outside of the table's functions; make next leaves that behind"
                )
            }));
        }
    }
    tell("");
    let mut notes = judge.notes;
    notes.extend(judge.gone.into_inner().iter().map(|test| {
        format!("there is no test `{test}`, which this starter's matrix names; it is passed over")
    }));
    if !report.checked.iter().any(|checked| matches!(checked.verdict, Verdict::Broken(_))) {
        notes.extend(judge.learner.not_rust());
    }
    let edited = judge.learner.edited_tests();
    if !edited.is_empty() {
        notes
            .push(format!("{} differs from the original, which is what counts", edited.join(", ")));
    }
    Ok(Report { notes, ..report })
}

impl Judge<'_> {
    fn all(&mut self, holes: &[&Hole], again: bool) -> Result<Vec<Checked>> {
        let mut progress = Progress::read(&self.starter.progress());
        let found: Result<Vec<Found>> = holes.iter().map(|hole| self.learner.find(hole)).collect();
        let found: Vec<(&Hole, Found)> = holes.iter().copied().zip(found?).collect();
        let new: Vec<(&Hole, &Written)> = found
            .iter()
            .filter_map(|(hole, found)| match found {
                Found::Bodies(written) => Some((*hole, written)),
                _ => None,
            })
            .filter(|(hole, written)| {
                let name = &hole.name;
                !progress.is_solved(name, written) && !progress.has_failed(name, written)
            })
            .collect();
        // Often all are right. Then one build says so.
        if new.len() > 1 && self.are_right(&new)? {
            new.iter().for_each(|(hole, written)| progress.note(&hole.name, &written.mark, true));
            progress.write()?;
        }
        if found.iter().all(|(_, found)| *found == Found::Nothing) {
            tell("compiling what the tests need ..");
            self.workshop.fill(&Files::new())?;
            self.workshop.build([self.stage.module.as_str()])?;
        }
        let mut is_shown = false;
        let mut checked = Vec::new();
        for (hole, found) in found {
            let verdict = match found {
                Found::Nothing => Verdict::Empty,
                Found::Gone(why) => Verdict::Gone(why),
                Found::NotRust(why) => Verdict::Broken(self.own_words()?.unwrap_or(why)),
                Found::Bodies(written) => {
                    let name = &hole.name;
                    if let Some((expected, found)) = &written.changed {
                        self.notes.push(format!(
                            "{name}: its signature has changed; the tests call it as it was\n  expected  {expected}\n  found     {found}"
                        ));
                    }
                    if !again && progress.is_solved(name, &written) {
                        Verdict::Solved
                    } else if is_shown && progress.has_failed(name, &written) {
                        Verdict::AsBefore
                    } else {
                        let (verdict, is_alone) = self.judge(hole, &written.bodies)?;
                        let mark =
                            if is_alone { &written.mark } else { &written.mark_with_outside };
                        progress.note(name, mark, matches!(verdict, Verdict::Solved));
                        progress.write()?;
                        verdict
                    }
                }
            };
            is_shown |= !matches!(verdict, Verdict::Solved | Verdict::Empty);
            checked.push(Checked { hole: hole.clone(), number: self.number(hole), verdict });
        }
        Ok(checked)
    }

    fn number(&self, hole: &Hole) -> usize {
        self.starter.holes().iter().take_while(|other| **other != hole).count() + 1
    }

    /// Whether these bodies pass together.
    fn are_right(&self, holes: &[(&Hole, &Written)]) -> Result<bool> {
        tell("checking all that is new ..");
        let bodies = holes.iter().map(|(hole, written)| (*hole, written.bodies.as_slice()));
        let files = self.workshop.with(bodies)?;
        let holes: Vec<&Hole> = holes.iter().map(|(hole, _)| *hole).collect();
        // Without patience: a hole that goes around forever is looked at again, alone.
        Ok(matches!(self.try_out(&files, &holes, false)?, Verdict::Solved))
    }

    /// Returns the verdict, and whether it is about the bodies alone, whatever is outside of them.
    fn judge(&mut self, hole: &Hole, bodies: &[String]) -> Result<(Verdict, bool)> {
        tell(&format!("checking {} ..", hole.name));
        let files = self.workshop.with([(hole, bodies)])?;
        let mut verdict = self.try_out(&files, &[hole], true)?;
        if let Verdict::Red(ran) = &mut verdict {
            self.place(hole, ran);
        }
        let Verdict::Broken(_) = verdict else { return Ok((verdict, true)) };
        // In the learner's own files the compiler's line numbers are right.
        if let Some(words) = self.own_words()? {
            return Ok((Verdict::Broken(words), false));
        }
        // They compile as they are: the body needs something that is outside of it.
        let mut others = self.starter.holes();
        others.retain(|other| other.name != hole.name);
        let files = self.learner.files(&others)?;
        let outside: Vec<&str> = self.learner.changed_outside().collect();
        self.notes.push(format!(
            "{}: checked with your whole files, since it needs what you changed outside of it ({})",
            hole.name,
            outside.join(", ")
        ));
        Ok((self.try_out(&files, &[hole], true)?, false))
    }

    /// Tells where a panic was as the learner's own file has it: in the one that was run, other
    /// bodies stand before it.
    fn place(&self, hole: &Hole, ran: &mut Ran) {
        let file = hole.source();
        let Ok(run) = Source::read(self.workshop.crate_folder(), &file) else { return };
        let Ok(own) = Source::read(&self.starter.folder, &file) else { return };
        ran.place(&file, |line| {
            let lines = |path| Some((run.lines(path).ok()?, own.lines(path).ok()?));
            let mut bodies = hole.paths().filter_map(lines);
            let (run, own) = bodies.find(|(run, _)| run.contains(&line))?;
            Some(line - run.start() + own.start())
        });
    }

    /// Tries the learner's own files with all tests of the stage, once; `None` if they pass.
    fn own_files(&self) -> Result<Option<(Verdict, Vec<String>)>> {
        let files = self.learner.files(&[])?;
        let mut progress = Progress::read(&self.starter.progress());
        let mark = mark(&files);
        if progress.is_whole(&mark) {
            return Ok(None);
        }
        tell("all is solved; checking your own files ..");
        let verdict = self.try_out(&files, &[], true)?;
        if let Verdict::Solved = verdict {
            progress.note_whole(mark);
            progress.write()?;
            return Ok(None);
        }
        Ok(Some((verdict, self.learner.changes())))
    }

    /// Builds the reference with these files and runs the tests that these holes break. If a hole
    /// has none of them, or there is no hole, all tests of the stage run.
    fn try_out(&self, files: &Files, holes: &[&Hole], is_patient: bool) -> Result<Verdict> {
        self.workshop.fill(files)?;
        let known: Vec<&[Test]> =
            holes.iter().map(|hole| self.matrix.tests(hole).unwrap_or_default()).collect();
        let mut tests: Vec<Test> = Vec::new();
        for test in known.iter().copied().flatten() {
            if !tests.contains(test) {
                tests.push(test.clone());
            }
        }
        let targets: BTreeSet<&str> = tests
            .iter()
            .map(|test| test.target.as_str())
            .chain([self.stage.module.as_str()])
            .collect();
        let programs = match self.workshop.build(targets)? {
            Built::Ready(programs) => programs,
            Built::Broken(words) => return Ok(Verdict::Broken(words)),
        };
        let runner = Runner {
            programs: &programs,
            folder: self.workshop.crate_folder(),
            matrix: &self.matrix,
            stop: self.stop,
        };
        let (mut tests, gone) = runner.part(&tests)?;
        self.gone.borrow_mut().extend(gone);
        let is_judged = |own: &&[Test]| own.iter().any(|test| tests.contains(test));
        if tests.is_empty() || !known.iter().all(is_judged) {
            let all = runner.list(&self.stage.module)?;
            let others: Vec<Test> = all.into_iter().filter(|test| !tests.contains(test)).collect();
            tests.extend(others);
        }
        let red = runner.first_red(&tests, is_patient)?;
        Ok(red.map_or(Verdict::Solved, |ran| Verdict::Red(Box::new(ran))))
    }

    /// What the compiler says of the learner's own files; `None` if it is content.
    fn own_words(&mut self) -> Result<Option<String>> {
        if self.words.is_none() {
            let target = self.starter.folder.join("target");
            let built = Cargo::new(&self.starter.folder, &target, &target).check()?;
            self.words = Some(match built {
                Built::Ready(_) => None,
                Built::Broken(words) => Some(words),
            });
        }
        Ok(self.words.clone().flatten())
    }
}

/// Tells a person at a terminal what takes so long, on a line that the next one replaces.
fn tell(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}
