//! What was measured, as tables in `docs/simulate-figures.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::series::Found;
use crate::swarm::Cost;
use crate::{Summary, plot, usage};

const HOW: &str = "\
Each swarm is one run of `piecemeal::simulate::simulate` with seed 0, in a process of its own: rarest first, a seed of 256 KiB/s, peers
of 64 KiB/s that come within ten seconds and stay, five slots, pieces of 256 KiB. A peer dials until it has 35 others, and accepts up to
55; in the series of neighbors, it dials from 10 to 100. *Neighbors* are a peer's connections, on average, when there were most.
*CPU* is user and system time: what else the machine does is not in it, but for the caches, which are shared.";

const GROWTH: &str = "\
Each piece that a peer completes is told to each of its neighbors, so the time should be proportional to peers x pieces x neighbors. On the
thin line it is. A power of 1 is proportional; with 2, twice the work would take four times as long. It is less than 1 with more pieces,
because peers have to meet however few the pieces are. It is more than 1 with more peers, although events for each peer are as many: the
more memory a swarm takes, the less of it is in the processor's caches.";

/// All tables.
pub fn markdown(found: &[Found], about: &str) -> String {
    let mut text = String::from(
        "# What the simulator costs\n\nWritten by `make bench-simulate`; changed by nothing else.\n\n",
    );
    let _ = writeln!(
        text,
        "{about}\n\n{HOW}\n\n## Goals\n\n| goal | limit | found | |\n|---|---|---|---|"
    );
    for goal in goals(found) {
        let (verdict, value) = match goal.found {
            None => ("not run", String::new()),
            Some(value) if value <= goal.limit => ("met", goal.show(value)),
            Some(value) => ("**not met**", goal.show(value)),
        };
        let _ =
            writeln!(text, "| {} | {} | {value} | {verdict} |", goal.what, goal.show(goal.limit));
    }
    let _ = writeln!(
        text,
        "\n## By peers, pieces and neighbors\n\n{GROWTH}\n\n![time by peers x pieces x neighbors](simulate-figures.svg)"
    );
    for found in found {
        let _ = write!(text, "\n### {}\n\n", found.title());
        text += "| peers | pieces | neighbors | events | wall | CPU | peak | CPU / (peers x pieces x neighbors) |\n|---|---|---|---|---|---|---|---|\n";
        found.costs.iter().for_each(|cost| row(&mut text, cost));
        if let Some(power) = found.power().filter(|_| found.is_series()) {
            let _ = writeln!(text, "\nThe time grows with the work to the power of {power:.2}.");
        }
    }
    text
}

fn row(text: &mut String, cost: &Cost) {
    let _ = writeln!(
        text,
        "| {} | {} | {:.1} | {} | {:.2} s | {:.2} s | {:.1} MiB | {:.0} ns |",
        cost.size.peers,
        cost.size.pieces,
        cost.neighbors,
        cost.events,
        cost.wall,
        cost.cpu,
        cost.peak,
        cost.each()
    );
}

/// A number that is to be kept.
struct Goal {
    what: String,
    limit: f64,
    unit: &'static str,
    found: Option<f64>,
}

impl Goal {
    fn show(&self, value: f64) -> String {
        match self.unit {
            "" => format!("{value:.2}"),
            unit => format!("{value:.1} {unit}"),
        }
    }
}

/// Peers, pieces, seconds, and MiB.
const SIZES: [(u32, u32, f64, Option<f64>); 3] =
    [(200, 200, 0.5, None), (1_000, 1_000, 12.0, Some(32.0)), (10_000, 100, 30.0, Some(128.0))];
/// The largest power with which the time may grow in a series.
const POWER: f64 = 1.1;

fn goals(found: &[Found]) -> Vec<Goal> {
    let targets = found.iter().filter(|found| !found.is_series()).flat_map(|found| &found.costs);
    let targets: Vec<&Cost> = targets.collect();
    let mut goals = Vec::new();
    for (peers, pieces, seconds, memory) in SIZES {
        let is_it = |cost: &&&Cost| (cost.size.peers, cost.size.pieces) == (peers, pieces);
        let cost = targets.iter().find(is_it);
        let name = |what| format!("{peers} peers, {pieces} pieces: {what}");
        let wall = cost.map(|cost| cost.wall);
        goals.push(Goal { what: name("wall"), limit: seconds, unit: "s", found: wall });
        if let Some(limit) = memory {
            let peak = cost.map(|cost| cost.peak);
            goals.push(Goal { what: name("peak memory"), limit, unit: "MiB", found: peak });
        }
    }
    for found in found.iter().filter(|found| found.is_series()) {
        let what = format!("{}: the time grows with the work to the power of", found.title());
        goals.push(Goal { what, limit: POWER, unit: "", found: found.power() });
    }
    goals
}

/// Seconds for each peer, piece and neighbor: of all swarms, the one in the middle.
fn proportion(found: &[Found]) -> f64 {
    let costs = found.iter().flat_map(|found| &found.costs);
    let mut each: Vec<f64> = costs.map(|cost| cost.cpu / cost.work()).collect();
    each.sort_by(f64::total_cmp);
    each.get(each.len() / 2).copied().unwrap_or(1.0)
}

/// Under which circumstances all this was measured.
pub fn about(load: &str, runs: usize) -> String {
    format!(
        "{}, {}, {}, medians of {runs} runs for small swarms and one run for large ones, load {load} before it began. piecemeal {} ({}).",
        usage::say("date", &["+%Y-%m-%d"]),
        usage::processor(),
        usage::say("uname", &["-sr"]),
        env!("CARGO_PKG_VERSION"),
        usage::say("rustc", &["--version"]),
    )
}

/// Writes `docs/simulate-figures.md` and its plot.
pub fn write(found: &[Found], report: &str) -> Summary<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("simulate-figures.md"), report)?;
    fs::write(docs.join("simulate-figures.svg"), plot::svg(found, proportion(found)))?;
    Ok(())
}
