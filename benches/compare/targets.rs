//! What ours is to reach, and whether it did.

use crate::clients::{FLOOR, OURS};
use crate::downloads::{COLUMNS, LINK, PEERS, PIECES};
use crate::files::{CREATE, RESUME, VERIFY};
use crate::queue::{CLAIM, DONE, GIVE_BACK};
use crate::relay::RATE;
use crate::seeding::{IDLE, SEEDING};
use crate::table::{Sample, Table};

/// One line of the table of targets.
pub struct Target {
    pub what: String,
    pub limit: String,
    /// What was measured, if it was.
    pub found: Option<f64>,
    pub met: bool,
    pub unit: &'static str,
}

type Value = fn(&Sample) -> f64;
const WALL: Value = |sample| sample.wall;
const CPU: Value = |sample| sample.cpu;
const PEAK: Value = |sample| sample.peak;

/// All of them.
pub fn all(table: &Table) -> Vec<Target> {
    let [few, large, many, small] = COLUMNS.map(|job| job.name);
    let rqbit = "rqbit";
    let mut list = vec![
        most(few, "wall, to the floor's", ratio(table, few, FLOOR, WALL), 1.15, "x"),
        least(
            few,
            "rqbit's wall, to ours",
            ratio(table, few, rqbit, WALL).map(f64::recip),
            1.5,
            "x",
        ),
        most(few, "CPU, to the floor's", ratio(table, few, FLOOR, CPU), 1.1, "x"),
        most(few, "peak", table.median(few, OURS, PEAK), 8.0, " MiB"),
        most(large, "wall, to the floor's", ratio(table, large, FLOOR, WALL), 1.2, "x"),
        most(large, "peak", table.median(large, OURS, PEAK), 16.0, " MiB"),
        most(many, "wall, to the floor's", ratio(table, many, FLOOR, WALL), 1.2, "x"),
        most(many, "peak", table.median(many, OURS, PEAK), 28.0, " MiB"),
        most(small, "wall", table.median(small, OURS, WALL).map(|wall| wall * 1000.0), 20.0, " ms"),
    ];
    let yardstick = table.median(CREATE, "mktorrent", WALL);
    for work in [CREATE, VERIFY, RESUME] {
        let wall =
            table.median(work, OURS, WALL).zip(yardstick).map(|(ours, theirs)| ours / theirs);
        list.push(most(work, "wall, to the floor's", ratio(table, work, FLOOR, WALL), 1.1, "x"));
        list.push(most(work, "wall, to mktorrent's with 2 threads", wall, 1.05, "x"));
        list.push(most(work, "peak", table.median(work, OURS, PEAK), 8.0, " MiB"));
    }
    list.push(most(SEEDING, "wall, to rqbit's", ratio(table, SEEDING, rqbit, WALL), 1.0, "x"));
    list.push(most(SEEDING, "CPU, to rqbit's", ratio(table, SEEDING, rqbit, CPU), 0.8, "x"));
    list.push(most(IDLE, "peak", table.median(IDLE, OURS, PEAK), 32.0, " MiB"));
    let through =
        table.median(LINK.name, OURS, WALL).map(|wall| LINK.length as f64 / wall / RATE as f64);
    list.push(least(LINK.name, "throughput, to what the link allows", through, 0.9, "x"));

    // Between the last two, pieces are so small that nothing but the piece itself counts.
    let [.., before, last] =
        PIECES.map(|job| table.median(job.name, OURS, WALL).map(|wall| wall / pieces(&job)));
    let grown = last.zip(before).map(|(last, before)| last / before);
    list.push(most("64 MiB as 1M pieces", "time per piece, to that with 100k", grown, 1.25, "x"));
    for name in [CLAIM, GIVE_BACK, DONE] {
        list.push(most(
            "work queue, 1M pieces, 200 peers",
            name,
            table.cost(name).map(|cost| cost / 1000.0),
            2.0,
            " us",
        ));
    }
    // Not to that from one peer: that ratio is worse for a client that is quicker with one.
    let crowd = PEERS[3].name;
    list.push(most(crowd, "wall, to the floor's", ratio(table, crowd, FLOOR, WALL), 1.2, "x"));
    list
}

/// How much longer it takes from 500 peers than from one.
pub fn with_peers(table: &Table, client: &str) -> Option<f64> {
    let [one, .., last] = PEERS.map(|job| table.median(job.name, client, WALL));
    Some(last? / one?)
}

fn pieces(job: &crate::downloads::Job) -> f64 {
    job.length.div_ceil(u64::from(job.piece_length)) as f64
}

/// Ours to another's.
fn ratio(table: &Table, work: &str, other: &str, value: Value) -> Option<f64> {
    Some(table.median(work, OURS, value)? / table.median(work, other, value)?)
}

fn most(work: &str, what: &str, found: Option<f64>, limit: f64, unit: &'static str) -> Target {
    let met = found.is_some_and(|found| found <= limit);
    Target { what: format!("{work}: {what}"), limit: format!("<= {limit}{unit}"), found, met, unit }
}

fn least(work: &str, what: &str, found: Option<f64>, limit: f64, unit: &'static str) -> Target {
    let met = found.is_some_and(|found| found >= limit);
    Target { what: format!("{work}: {what}"), limit: format!(">= {limit}{unit}"), found, met, unit }
}
