//! The demo's swarm: four seeders, one of which lies, and one of which dies before the end.

use std::io;

use super::Lab;
use super::content::Content;
use super::seeder::{Fault, Plan};
use crate::s02_metainfo::MetainfoError;

/// The rate of each seeder, in bytes a second: slow enough that there is something to see.
const RATE: u64 = 2 << 20;

/// What each seeder does wrong.
const FAULTS: [Fault; 4] =
    [Fault::None, Fault::Corrupt { every: 8 }, Fault::Dies { after_blocks: 60 }, Fault::None];

/// Makes a folder of five files: long, short, empty, and with a name that is not ASCII.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn album() -> Result<Content, MetainfoError> {
    let files = [
        ("README", 2_000),
        ("music/one.wav", 3 << 20),
        ("music/two.wav", 2 << 20),
        ("ünïcode.txt", 70_001),
        ("empty", 0),
    ];
    Content::folder("album", &files, 64 << 10, 11)
}

/// Makes a single file whose last piece is shorter.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn film() -> Result<Content, MetainfoError> {
    Content::single("film.bin", 5_000_001, 64 << 10, 12)
}

/// Starts a tracker and the four seeders.
///
/// # Errors
/// As [`Lab::start`].
pub fn start(content: &Content) -> io::Result<Lab> {
    let plans = FAULTS.map(|fault| Plan::with_fault(fault).at_rate(RATE));
    Lab::start(vec![content.clone()], &plans, 0)
}

/// Returns a line for each member of the swarm.
pub fn describe(lab: &Lab) -> String {
    let mut lines = vec![format!("   tracker {}", lab.tracker.url())];
    lines.extend(
        lab.seeders
            .iter()
            .map(|seeder| format!("   seeder  {} {}", seeder.address(), seeder.fault())),
    );
    lines.join("\n")
}
