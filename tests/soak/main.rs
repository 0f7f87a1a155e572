//! Many random swarms, one after the other: `make soak`.
//!
//! Each is made of a number that is printed: a torrent of any size, peers with any faults, our
//! own downloads and seeds among them. Each must end by itself, complete or with a reason that
//! is true, and leave nothing behind: no thread, no file descriptor, no file.
//!
//! `SWARMS=200` is how many, and `SEED=1` the first number. To see one again: `SEED=17 SWARMS=1`.

#[path = "../support/mod.rs"]
mod support;

mod dice;
mod process;
mod report;
mod running;

use self::dice::Swarm;
use self::process::Left;
use self::report::Report;
use std::str::FromStr;
use std::time::Instant;

/// A number from the environment.
fn setting<N: FromStr>(name: &str, otherwise: N) -> N {
    match std::env::var(name) {
        Ok(text) => text
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, but is {text:?}")),
        Err(_) => otherwise,
    }
}

#[test]
fn every_swarm_ends_well_or_says_why_and_leaves_nothing_behind() {
    let first: u64 = setting("SEED", 1);
    let swarms: u64 = setting("SWARMS", 200);
    println!(
        "swarms {first} to {}; to see number N again: make soak SEED=N SWARMS=1",
        first + swarms.max(1) - 1
    );
    let before = Left::now();
    let mut report = Report::default();
    for number in first..first + swarms {
        let swarm = Swarm::of(number);
        let begun = Instant::now();
        running::run(number, &swarm, &mut report);
        report.took(number, begun.elapsed(), &swarm);
        if let Err(more) = before.settle() {
            report.wrong(number, format!("left behind: {more}"));
        }
    }
    println!("{report}");
    println!(
        "threads and file descriptors: {before} before, {} after; at most {} KiB of memory",
        Left::now(),
        process::peak()
    );
    assert!(report.is_good(), "see above what went wrong");
}
