//! The policy lab: a whole swarm in virtual time, to see what a rule does.
//!
//! Rarest first, tit for tat, luck: what they do shows only in a swarm of hundreds, over an hour.
//! Here an hour takes a second. The peers are simulated, and so are their lines. What they decide
//! is not: each simulated peer has the [`Board`] of stage 11 and the slots of stage 17, which
//! are the client's own.
//!
//! * **Run it:** `piecemeal simulate pieces --peers 60 --pieces 60`
//! * **Chapter:** `docs/policies.md`
//! * **Builds on:** [`Board`] from stage 11, [`choking`] and slots from stage 17
//!
//! # The model
//! ```text
//! rate(u -> d) = min(up(u) x weight / weights of all that u gives to, down(d) / flows to d)
//! ```
//! * **Pieces flow, not blocks.** A peer that has a slot fetches one piece at a time over a
//!   connection, and a rate changes only when a flow begins or ends. So the time that a simulation
//!   takes depends on the number of pieces, and not on their length.
//! * **An uploader's line is split evenly** among the peers that it gives to, or by weight. What
//!   one of them cannot take is not given to the others.
//! * **Virtual time** is counted in whole microseconds. Events at the same time are taken in the
//!   order in which they were made. So the same seed gives the same result, to the last bit.
//! * **Left out:** TCP, round trips, blocks, requests ahead, what a `have` takes. What comes out
//!   are shapes, not seconds.
//!
//! [`Board`]: crate::s11_work_queue::board::Board
//! [`choking`]: crate::s17_seeding::choking

pub mod arena;
pub mod baselines;
mod books;
mod check;
mod choosing;
mod clock;
mod dealing;
mod dice;
mod experiments;
mod flows;
mod knobs;
mod measure;
mod meeting;
pub mod outcome;
mod peer;
pub mod plot;
mod repeat;
pub mod setup;
pub mod strategy;
mod super_seeding;
mod swarm;
mod warning;

use std::sync::atomic::AtomicBool;

use thiserror::Error;

use self::outcome::{Outcome, Row, Run, Scale, Theory};
use self::repeat::{Case, run_all};
use self::setup::Setup;
use self::swarm::Swarm;

/// What the user sets. What is not set is the experiment's choice.
pub struct Settings<'s> {
    /// The number of peers, seeds not counted.
    pub peers: Option<u64>,
    /// The number of pieces.
    pub pieces: Option<u64>,
    /// The first seed of the dice.
    pub seed: u64,
    /// The number of runs of each row, each with a seed of its own. They run side by side.
    pub repeat: Option<u64>,
    /// Names and values, as in `--set seed-up=512`; [`Experiment::knobs`] has the names.
    pub set: Vec<(String, String)>,
    /// Set to end all runs soon: an outcome then holds what there is by then.
    pub stop: &'s AtomicBool,
    /// Hears how many runs are over, and of how many.
    pub progress: &'s (dyn Fn(u64, u64) + Sync),
}

impl<'s> Settings<'s> {
    /// The experiment's own settings, with seed 0.
    pub fn new(stop: &'s AtomicBool) -> Settings<'s> {
        Settings {
            peers: None,
            pieces: None,
            seed: 0,
            repeat: None,
            set: Vec::new(),
            stop,
            progress: &|_, _| {},
        }
    }
}

/// Something that can be changed with `--set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knob {
    /// Its name: `seed-up`.
    pub name: &'static str,
    /// What it changes, with its unit.
    pub what: &'static str,
}

/// An experiment: something known about swarms, and a way to see it.
pub struct Experiment {
    /// What it is called on the command line: `leaving-seed`.
    pub name: &'static str,
    /// What is compared, in one line.
    pub title: &'static str,
    /// What is known, and who found it.
    pub known: &'static str,
    /// What to look at in its table and its plot.
    pub see: &'static str,
    /// The numbers of peers, of pieces and of runs a row, if nothing else is set.
    pub default: (u64, u64, u64),
    /// Settings that cannot be changed, because the rows differ in them.
    compares: &'static [&'static str],
    /// Whether it is about what giving is worth, which a weak seed hides.
    about_giving: bool,
    /// Makes the rows' swarms, of this many peers and pieces.
    cases: fn(u32, u32) -> Vec<Case>,
    /// Makes the table.
    table: fn(&[Case], &[Vec<Run>]) -> Table,
}

/// A table, and what the theory says beside it.
struct Table {
    columns: &'static [&'static str],
    rows: Vec<Row>,
    theory: Vec<Theory>,
}

/// The most peers, and the most pieces.
const MAX_COUNT: u64 = 20_000;
/// The most pieces that all peers together can have: some minutes, and half a gigabyte.
const MAX_IN_ALL: u64 = 20_000_000;
/// The most connections of a swarm, both ends counted: each takes 150 bytes.
const MAX_CONNECTIONS: u64 = 4_000_000;
/// The most runs of a row.
const MAX_RUNS: u64 = 1000;

impl Experiment {
    /// What can be changed with `--set`: the same for all experiments, but for what one compares.
    pub fn knobs(&self) -> impl Iterator<Item = Knob> {
        knobs::KNOBS.into_iter().filter(|knob| !self.compares.contains(&knob.name))
    }

    /// Runs all rows, the seeds of each row side by side on all cores.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn run(&self, settings: &Settings) -> Result<Outcome, SettingsError> {
        let peers = within("peers", settings.peers.unwrap_or(self.default.0), 1, MAX_COUNT)?;
        let pieces = within("pieces", settings.pieces.unwrap_or(self.default.1), 1, MAX_COUNT)?;
        let repeat = within("repeat", settings.repeat.unwrap_or(self.default.2), 1, MAX_RUNS)?;
        if peers * pieces > MAX_IN_ALL {
            return Err(SettingsError::TooMuch { peers, pieces, most: MAX_IN_ALL });
        }
        let mut cases = (self.cases)(peers as u32, pieces as u32);
        for (name, value) in &settings.set {
            if self.compares.contains(&name.as_str()) {
                return Err(SettingsError::Compared { name: name.clone() });
            }
            if !self.knobs().any(|knob| knob.name == name) {
                let known = self.knobs().map(|knob| knob.name).collect();
                return Err(SettingsError::Unknown { name: name.clone(), known });
            }
            for case in &mut cases {
                knobs::apply(&mut case.setup, name, value)?;
            }
        }
        let connections = cases.iter().map(|case| case.setup.most_connections()).max();
        if let Some(connections) = connections.filter(|count| *count > MAX_CONNECTIONS) {
            return Err(SettingsError::TooConnected { connections, most: MAX_CONNECTIONS });
        }
        let last = settings.seed.saturating_add(repeat - 1);
        let seeds: Vec<u64> = (settings.seed..=last).collect();
        let mut warnings = warning::before(&cases, self.about_giving);
        let runs = run_all(&cases, &seeds, settings.stop, settings.progress);
        warnings.extend(warning::after(&runs));
        let Table { columns, rows, theory } = (self.table)(&cases, &runs);
        let runs: Vec<Run> = runs.into_iter().flatten().collect();
        let scale = Scale { peers, pieces, seeds: (settings.seed, last), ..Scale::default() };
        Ok(Outcome {
            scale: scale.count(&runs),
            set: settings.set.clone(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows,
            runs,
            theory,
            warnings,
        })
    }
}

/// Returns a number if it is in range.
fn within(name: &str, found: u64, least: u64, most: u64) -> Result<u64, SettingsError> {
    if (least..=most).contains(&found) {
        return Ok(found);
    }
    Err(SettingsError::OutOfRange {
        name: name.to_owned(),
        found: found.to_string(),
        least: least.to_string(),
        most: most.to_string(),
    })
}

/// The experiments, in the order of the chapter.
pub fn experiments() -> &'static [Experiment] {
    &experiments::ALL
}

/// Simulates one swarm, with the dice of this seed.
pub fn simulate(setup: &Setup, label: &str, seed: u64, stop: &AtomicBool) -> Run {
    Swarm::new(setup, seed).run(label, seed, stop)
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum SettingsError {
    /// Too little or too much of something.
    #[error("{name} is {found}, but must be from {least} to {most}")]
    OutOfRange { name: String, found: String, least: String, most: String },
    /// The value is not what the name needs.
    #[error("{name}={value}: {expected} is expected")]
    Value { name: String, value: String, expected: &'static str },
    /// There is nothing of this name.
    #[error("nothing is called {name:?}; what can be set: {}", known.join(", "))]
    Unknown { name: String, known: Vec<&'static str> },
    /// The rows of this experiment differ in it.
    #[error("{name} is what this experiment compares, so it cannot be set")]
    Compared { name: String },
    /// Two contestants cannot have one name.
    #[error("the name {name} is taken")]
    Taken { name: String },
    /// The whole would take too long, or too much memory.
    #[error(
        "{peers} peers x {pieces} pieces are more than the {most} that fit into memory and time"
    )]
    TooMuch { peers: u64, pieces: u64, most: u64 },
    /// Everybody would know everybody, and there are too many for that.
    #[error(
        "{connections} connections are more than the {most} that fit into memory; let each peer know fewer others (view)"
    )]
    TooConnected { connections: u64, most: u64 },
}
