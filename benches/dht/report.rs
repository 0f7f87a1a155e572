//! What was measured, as tables in `docs/dht-figures.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::growth::Grown;
use crate::load::{AtRest, UnderLoad};
use crate::lookups::Lookup;
use crate::plot;
use crate::{Summary, usage};

/// Everything that was measured.
#[derive(Default)]
pub struct Figures {
    /// The network, the client, and its lookups.
    pub lookups: Vec<(&'static str, String, Vec<Lookup>)>,
    pub growth: Vec<Grown>,
    pub at_rest: Option<AtRest>,
    pub asked: Option<UnderLoad>,
    pub garbage: Option<UnderLoad>,
    pub from_table: Vec<f64>,
    /// What could not be run.
    pub notes: Vec<String>,
}

/// Our name in the table.
pub const OURS: &str = "piecemeal";

/// Says what came of one lookup, while the others still run.
pub fn lookup(client: &str, lookup: Option<&Lookup>) {
    if let Some(lookup) = lookup {
        eprintln!(
            "{client:16} {:4} get_peers ({:3} before the first peer), first peer {:6.3} s, announced to {:2} ({} of 8) in {:6.3} s",
            lookup.get_peers,
            lookup.before_first,
            lookup.first_peer,
            lookup.announced,
            lookup.right,
            lookup.done
        );
    }
}

const HOW: &str = "\
The network is made of a thousand sockets at loopback addresses of their own, which one thread answers for after 10 to 30 ms.
Each node has the table that it would have after a long time: of each half, quarter, eighth... of the ids up to eight nodes.
Silent nodes are still in half of the tables that they would be in. A liar answers each question with eight nodes next to the
target that do not exist; asked to write somebody down, it says that it has. Two peers of the torrent are with those of the
eight nearest nodes that are honest. Each lookup is made by a node of its own, for a torrent of its own. *Cold* knows a single
address, *warm* has a table. All counts are those of the network: questions that nobody
answers are among them.";

/// All tables.
pub fn markdown(figures: &Figures, about: &str) -> String {
    let mut text = String::from(
        "# What the DHT costs\n\nWritten by `make bench-dht`; changed by nothing else.\n\n",
    );
    let _ = writeln!(
        text,
        "{about}\n\n{HOW}\n\n## Goals\n\n| goal | limit | measured | |\n|---|---|---|---|"
    );
    for goal in goals(figures) {
        let verdict = match goal.found {
            None => "not run",
            Some(_) if goal.met => "met",
            Some(_) => "**not met**",
        };
        let found = goal.found.map(|found| format!("{found:.2}{}", goal.unit));
        let _ = writeln!(
            text,
            "| {} | {}{} | {} | {verdict} |",
            goal.what,
            goal.limit,
            goal.unit,
            found.unwrap_or_default()
        );
    }
    lookups(&mut text, figures);
    growth(&mut text, figures);
    load(&mut text, figures);
    for note in &figures.notes {
        let _ = writeln!(text, "\n{note}");
    }
    text
}

fn lookups(text: &mut String, figures: &Figures) {
    text.push_str("\n## A lookup and an announce among a thousand nodes\n\nThe middle of all runs, and the worst.\n");
    text.push_str("\n| network | client | runs | get_peers | of them before the first peer | first peer | announced to | of the 8 nearest | last announce |\n|---|---|---|---|---|---|---|---|---|\n");
    for (network, client, runs) in &figures.lookups {
        let of = |value: fn(&Lookup) -> f64| middle_and_most(runs.iter().map(value));
        let (middle, worst) = middle_and_most(runs.iter().map(|run| -(run.right as f64)));
        let right = format!("{:.0}, {:.0}", -middle, -worst);
        let seconds = |(middle, most): (f64, f64)| format!("{middle:.2}, {most:.2} s");
        let counts = |(middle, most): (f64, f64)| format!("{middle:.0}, {most:.0}");
        let _ = writeln!(
            text,
            "| {network} | {client} | {} | {} | {} | {} | {} | {right} | {} |",
            runs.len(),
            counts(of(|run| run.get_peers as f64)),
            counts(of(|run| run.before_first as f64)),
            seconds(of(|run| run.first_peer)),
            counts(of(|run| run.announced as f64)),
            seconds(of(|run| run.done)),
        );
    }
}

fn growth(text: &mut String, figures: &Figures) {
    if figures.growth.is_empty() {
        return;
    }
    text.push_str("\n## How a lookup grows with the network\n\nIn memory and in virtual time: the lookup alone, no socket. A fifth of the nodes are silent. Ten times as many nodes cost a few questions more: the logarithm.\n\n![questions of a lookup by the size of the network](dht-growth.svg)\n");
    text.push_str("\n| nodes | questions, mean | nine of ten at most | seconds, median | of the 8 nearest found | .. if no node had noticed any silent one |\n|---|---|---|---|---|---|\n");
    for grown in &figures.growth {
        let _ = writeln!(
            text,
            "| {} | {:.1} | {} | {:.2} | {:.1} % | {:.1} % |",
            grown.nodes,
            grown.queries,
            grown.most,
            grown.seconds,
            grown.found,
            grown.found_unnoticed
        );
    }
}

fn load(text: &mut String, figures: &Figures) {
    text.push_str("\n## A node\n\n");
    if let Some(rest) = figures.at_rest {
        let _ = writeln!(
            text,
            "* A `seed` at rest in this network, a fifth silent: {:.1} MiB with the DHT, {:.1} MiB with `--no-dht`. It sent {} datagrams in its first ten seconds, and {:.2} a second in the two minutes after.",
            rest.with, rest.without, rest.at_start, rest.sent
        );
    }
    for (what, load) in [("questions", figures.asked), ("datagrams of garbage", figures.garbage)] {
        let Some(load) = load else { continue };
        let after = if load.alive { "it answers" } else { "it does **not** answer" };
        let _ = writeln!(
            text,
            "* `dht_node` under {:.0} {what} a second: {:.0} answers a second, {:.1} % of a core. Afterwards {after}, and has {:.1} MiB.",
            load.sent, load.answered, load.cpu, load.resident
        );
    }
    if !figures.from_table.is_empty() {
        let (middle, most) = middle_and_most(figures.from_table.iter().copied());
        let _ = writeln!(
            text,
            "* `magnet_download` with a saved table of which a fifth is gone, and no other way in: the first peer {middle:.2} s after the program was started, {most:.2} s at worst, in {} runs.",
            figures.from_table.len()
        );
    }
}

/// A number that is to be kept.
struct Goal {
    what: String,
    limit: f64,
    unit: &'static str,
    found: Option<f64>,
    met: bool,
}

fn goals(figures: &Figures) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut at_most = |what: String, limit: f64, unit, found: Option<f64>| {
        goals.push(Goal {
            what,
            limit,
            unit,
            found,
            met: found.is_some_and(|found| found <= limit),
        });
    };
    for (network, client, runs) in &figures.lookups {
        if !client.starts_with(OURS) {
            continue;
        }
        let of = |value: fn(&Lookup) -> f64| Some(middle_and_most(runs.iter().map(value)).0);
        let name = |what: &str| format!("{client}, {network}: {what}");
        at_most(name("first peer, median"), 0.3, " s", of(|run| run.first_peer));
        at_most(name("get_peers, median"), 30.0, "", of(|run| run.get_peers as f64));
        at_most(name("last announce, median"), 4.0, " s", of(|run| run.done));
        let missed = runs.iter().map(|run| 8.0 - run.right as f64).sum();
        at_most(name("of the 8 nearest missed, all runs together"), 0.0, "", Some(missed));
    }
    let rest = figures.at_rest;
    at_most(
        "at rest: memory more than without".into(),
        3.0,
        " MiB",
        rest.map(|rest| rest.with - rest.without),
    );
    at_most("at rest: datagrams sent a second".into(), 2.0, "", rest.map(|rest| rest.sent));
    at_most(
        "1,000 questions a second: share of a core".into(),
        20.0,
        " %",
        figures.asked.map(|load| load.cpu),
    );
    at_most(
        "5,000 datagrams of garbage a second: share of a core".into(),
        100.0,
        " %",
        figures.garbage.map(|load| load.cpu),
    );
    let table = (!figures.from_table.is_empty())
        .then(|| middle_and_most(figures.from_table.iter().copied()).1);
    at_most("from a saved table: first peer, worst".into(), 1.0, " s", table);
    goals
}

/// The median, and the largest. What never happened counts as the largest.
fn middle_and_most(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> =
        values.map(|value| if value.is_nan() { f64::INFINITY } else { value }).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    (middle, values.last().copied().unwrap_or(f64::NAN))
}

/// Under which circumstances all this was measured.
pub fn about(load: &str, libtorrent: &str) -> String {
    format!(
        "{}, {}, {}, load {load} before it began. piecemeal {} ({}), {libtorrent}.",
        usage::say("date", &["+%Y-%m-%d"]),
        usage::processor(),
        usage::say("uname", &["-sr"]),
        env!("CARGO_PKG_VERSION"),
        usage::say("rustc", &["--version"]),
    )
}

/// Writes `docs/dht-figures.md` and its plot.
pub fn write(figures: &Figures, report: &str) -> Summary<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("dht-figures.md"), report)?;
    fs::write(docs.join("dht-growth.svg"), plot::svg(&figures.growth))?;
    Ok(())
}
