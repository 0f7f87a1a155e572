//! One swarm, simulated in a process of its own.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use piecemeal::simulate::outcome::Ending;
use piecemeal::simulate::setup::{Class, Setup};

use crate::{Summary, usage};

/// The first argument of a process that simulates one swarm and says what that took.
pub const ALONE: &str = "--alone";
/// The lines, in bytes a second: those of the experiment `pieces`.
const SEED_UP: f64 = 262_144.0;
const PEER_UP: f64 = 65_536.0;
/// What a seed dials, and what a peer does: the lab's own setting.
pub const VIEW: usize = 35;
/// Above this many peers x pieces, one run is enough: it takes seconds, and chance evens out.
const LARGE: u64 = 200_000;

/// The size of a swarm.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The number of peers, without the seed.
    pub peers: u32,
    pub pieces: u32,
    /// How many others each peer dials. It ends up with more: others dial as well.
    pub view: usize,
}

/// What a swarm took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub size: Size,
    pub events: u64,
    /// Connections of a peer, on average, when there were most.
    pub neighbors: f64,
    /// Seconds.
    pub wall: f64,
    /// Seconds, user and system.
    pub cpu: f64,
    /// The most memory of the process, in MiB.
    pub peak: f64,
}

impl Cost {
    /// How much there is to do: each piece of each peer is told to each neighbor.
    pub fn work(&self) -> f64 {
        f64::from(self.size.peers) * f64::from(self.size.pieces) * self.neighbors
    }

    /// Nanoseconds of CPU for each of those.
    pub fn each(&self) -> f64 {
        self.cpu * 1e9 / self.work()
    }
}

impl Size {
    /// Simulates the swarm this often, if it is a small one. Of the runs, the one in the middle by
    /// its CPU time counts.
    pub fn measure(self, runs: usize) -> Summary<Cost> {
        let is_large = u64::from(self.peers) * u64::from(self.pieces) > LARGE;
        let runs = if is_large { 1 } else { runs };
        let mut costs = (0..runs).map(|_| self.run()).collect::<Summary<Vec<Cost>>>()?;
        costs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
        let cost = *costs.get(costs.len() / 2).ok_or("no run")?;
        eprintln!(
            "{:6} peers, {:5} pieces, {:5.1} neighbors: {:7.3} s, {:7.3} s of CPU, {:6.1} MiB",
            self.peers, self.pieces, cost.neighbors, cost.wall, cost.cpu, cost.peak
        );
        Ok(cost)
    }

    /// Has another process simulate the swarm.
    fn run(self) -> Summary<Cost> {
        let numbers = [self.peers.to_string(), self.pieces.to_string(), self.view.to_string()];
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.arg(ALONE).args(numbers).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8(output.stdout)?;
        let found: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
        let &[events, neighbors, wall, cpu, peak] = found.as_slice() else {
            return Err(format!("{self:?} ended with {}, and said {said:?}", output.status).into());
        };
        Ok(Cost { size: self, events: events as u64, neighbors, wall, cpu, peak })
    }
}

/// Simulates a swarm of this many peers, pieces and peers to dial, and prints what it took.
pub fn alone(arguments: &[String]) -> Summary<()> {
    let [peers, pieces, view] = arguments else { return Err("three numbers are needed".into()) };
    let (peers, view) = (peers.parse::<u32>()?, Some(view.parse()?));
    let peer = Class { view, ..Class::new("peer", peers, PEER_UP) };
    let seed = Class { view, ..Class::seed(SEED_UP) };
    let setup = Setup::new(pieces.parse()?, vec![seed, peer]);
    let begin = Instant::now();
    let run = piecemeal::simulate::simulate(&setup, "", 0, &AtomicBool::new(false));
    let wall = begin.elapsed().as_secs_f64();
    if run.ending != Ending::AllDone {
        return Err(format!("the swarm did not finish: {:?}", run.ending).into());
    }
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    let neighbors = 2.0 * run.connections as f64 / f64::from(peers + 1);
    let peak = usage::memory_of(std::process::id(), "VmHWM")?;
    println!("{} {neighbors} {wall} {} {peak}", run.events, cpu as f64 / 1e6);
    Ok(())
}
