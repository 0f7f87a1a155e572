//! Many runs side by side: every row with every seed, on all cores.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::outcome::{Ending, Run};
use super::setup::Setup;
use super::swarm::Swarm;

/// A row of an experiment: one set-up, which is run with several seeds.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the row is called.
    pub label: String,
    /// The swarm.
    pub setup: Setup,
}

impl Case {
    /// Returns a case.
    pub fn new(label: impl Into<String>, setup: Setup) -> Case {
        Case { label: label.into(), setup }
    }
}

/// Runs each case with each of these seeds, and returns the runs case by case. A run has its own
/// dice and its own clock, so it does not matter which core it runs on, or when.
pub fn run_all(
    cases: &[Case],
    seeds: &[u64],
    stop: &AtomicBool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Vec<Vec<Run>> {
    let count = cases.len() * seeds.len();
    let (next, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let done: Mutex<Vec<Option<Run>>> = Mutex::new(vec![None; count]);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(case), Some(seed)) =
                (cases.get(number / seeds.len().max(1)), seeds.get(number % seeds.len().max(1)))
            else {
                return;
            };
            let run = Swarm::new(&case.setup, *seed).run(&case.label, *seed, stop);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = done.get_mut(number) {
                *place = Some(run);
            }
            drop(done);
            progress(over.fetch_add(1, Ordering::Relaxed) as u64 + 1, count as u64);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from).min(count);
    thread::scope(|scope| {
        for _ in 1..cores {
            // Where no thread can be started, the others do its work.
            let _ = thread::Builder::new().name("simulate".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let stopped = || Run { ending: Ending::Stopped, ..Run::default() };
    let mut done = done.into_iter().map(|run| run.unwrap_or_else(stopped));
    cases.iter().map(|_| done.by_ref().take(seeds.len()).collect()).collect()
}
