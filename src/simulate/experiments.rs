//! The experiments: fourteen things that are known about swarms, and one about this simulator.
//!
//! Each is a handful of set-ups that differ in one thing, and a table. What is known is from the
//! papers; what comes out must be near it, and `tests/simulate.rs` says how near.

mod availability;
mod giving;
mod habits;
mod loopback;

use super::Experiment;
use super::knobs::KIB;
use super::setup::{Class, PieceRule, Setup};

/// All of them, in the order of the chapter.
pub(super) static ALL: [Experiment; 15] = [
    availability::MISSING_PIECE,
    availability::FLUID,
    availability::LEAVING_SEED,
    availability::PIECES,
    giving::CLUSTERING,
    giving::FREE_RIDERS,
    giving::LARGE_VIEW,
    giving::SEEDS,
    availability::SUPER_SEED,
    giving::STRATEGIES,
    giving::EVERYBODY,
    habits::END_GAME,
    habits::SLOTS,
    habits::LUCK,
    loopback::LOOPBACK,
];

/// What most peers give, in bytes a second.
const LINE: f64 = 64.0 * KIB;

/// The rules for pieces, with their names.
const PIECE_RULES: [(&str, PieceRule); 3] = [
    ("rarest first", PieceRule::RarestFirst),
    ("random", PieceRule::Random),
    ("in order", PieceRule::InOrder),
];

/// A seed with this line, in KiB/s, and some others.
fn with_seed(pieces: u32, seed_up: f64, others: Vec<Class>) -> Setup {
    let classes = [vec![Class::seed(seed_up * KIB)], others].concat();
    Setup::new(pieces, classes)
}

/// Returns a share of a number of peers: at least one.
fn part(peers: u32, share: f64) -> u32 {
    ((f64::from(peers) * share).round() as u32).max(1)
}
