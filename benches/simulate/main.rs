//! `make bench-simulate`: what a simulated swarm costs in time and memory, by its peers, its pieces
//! and its neighbors. Each swarm runs in a process of its own, so its peak memory is its own.

#[cfg(target_os = "linux")]
#[path = "../dht/options.rs"]
mod options;
#[cfg(target_os = "linux")]
mod plot;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod series;
#[cfg(target_os = "linux")]
mod swarm;
#[cfg(target_os = "linux")]
#[allow(dead_code)] // `cpu_of` counts in hundredths of a second: the smallest swarm takes four.
#[path = "../compare/usage.rs"]
mod usage;

#[cfg(target_os = "linux")]
const HELP: &str = "\
cargo bench --locked --bench simulate -- [--runs N] [--only PART]...

  --runs N      runs of each small swarm, of which the median counts [default: 3]
  --only PART   only a part with this in its name: peers, pieces, neighbors, targets;
                then no file in docs/ is written";

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == swarm::ALONE => swarm::alone(rest),
        _ => bench(arguments),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("The figures of the simulator need Linux: peak memory is read from /proc.");
}

/// What may go wrong here ends the program; nobody asks what it was.
#[cfg(target_os = "linux")]
type Summary<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[cfg(target_os = "linux")]
fn bench(arguments: Vec<String>) -> Summary<()> {
    let options = options::Options::parse(arguments.into_iter(), HELP, 3)?;
    let Some(options) = options else { return Ok(()) };
    let load = usage::load();
    let mut found = Vec::new();
    for series in series::all().into_iter().filter(|series| options.wants(series.name)) {
        eprintln!("{}:", series.name);
        found.push(series.measure(options.runs)?);
    }
    let report = report::markdown(&found, &report::about(&load, options.runs));
    println!("{report}");
    if options.is_whole() {
        report::write(&found, &report)?;
    }
    Ok(())
}
