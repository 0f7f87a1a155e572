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

/// Makes a small file of 32 pieces.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn song() -> Result<Content, MetainfoError> {
    Content::single("song.bin", 2 << 20, 64 << 10, 13)
}

/// Starts a tracker and the four seeders.
///
/// # Errors
/// As [`Lab::start`].
pub fn start(content: &Content) -> io::Result<Lab> {
    let plans = FAULTS.map(|fault| Plan::with_fault(fault).at_rate(RATE));
    Lab::start(vec![content.clone()], &plans, 0)
}

/// The nodes of the DHT in the third act.
const NODES: usize = 12;

/// Starts the four seeders in a DHT. Nobody is told of their tracker.
///
/// # Errors
/// As [`Lab::start`] and [`Lab::start_dht`].
pub fn start_in_dht(content: &Content) -> io::Result<Lab> {
    let mut lab = start(content)?;
    lab.start_dht(NODES, 0)?;
    Ok(lab)
}

/// Returns a line for each member of the swarm.
pub fn describe(lab: &Lab) -> String {
    let mut lines = vec![match &lab.dht {
        None => format!("   tracker {}", lab.tracker.url()),
        Some(dht) => format!("   DHT     {} and {} more nodes", dht.way_in(), NODES - 1),
    }];
    lines.extend(
        lab.seeders
            .iter()
            .map(|seeder| format!("   seeder  {} {}", seeder.address(), seeder.fault())),
    );
    lines.join("\n")
}
