//! What came of all of them.

use super::dice::Swarm;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The longest that a swarm may take beyond the time for which it waits for a block.
const MAX_TIME: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Report {
    swarms: usize,
    complete: usize,
    /// How often a download ended for this reason.
    reasons: BTreeMap<String, usize>,
    bytes: u64,
    /// The slowest of all, and its number.
    slowest: (Duration, u64),
    took: Duration,
    wrong: Vec<String>,
}

impl Report {
    /// A download has all of it.
    pub fn complete(&mut self, bytes: u64) {
        self.complete += 1;
        self.bytes += bytes;
    }

    /// A download has ended without that. For how long it waited is not of interest.
    pub fn ended(&mut self, reason: &str) {
        let reason = reason.split(" for ").next().unwrap_or(reason);
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }

    /// Something is not as it must be.
    pub fn wrong(&mut self, number: u64, what: String) {
        println!("swarm {number}: {what}");
        self.wrong.push(format!("swarm {number}: {what}"));
    }

    /// A swarm is over.
    pub fn took(&mut self, number: u64, time: Duration, swarm: &Swarm) {
        self.swarms += 1;
        self.took += time;
        self.slowest = self.slowest.max((time, number));
        if time > MAX_TIME + swarm.patience() * 10 {
            self.wrong(number, format!("it took {time:?}: {swarm}"));
        }
    }

    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.swarms > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (slowest, number) = self.slowest;
        writeln!(
            out,
            "{} swarms in {:.0} s, the slowest (number {number}) in {:.1} s",
            self.swarms,
            self.took.as_secs_f64(),
            slowest.as_secs_f64()
        )?;
        writeln!(out, "{:>6} downloads are complete: {} bytes", self.complete, self.bytes)?;
        for (reason, count) in &self.reasons {
            writeln!(out, "{count:>6} ended because {reason}")?;
        }
        write!(out, "{:>6} wrong", self.wrong.len())?;
        self.wrong.iter().try_for_each(|wrong| write!(out, "\n       {wrong}"))
    }
}
