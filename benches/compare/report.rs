//! The tables, as markdown.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Summary;
use crate::clients::{FLOOR, OURS};
use crate::downloads::COLUMNS;
use crate::plot;
use crate::table::{Table, VALUES, Work};
use crate::targets;

const BEGIN: &str = "<!-- written by `make bench` -->";
const END: &str = "<!-- end of what `make bench` writes -->";

/// Everything that was measured.
pub fn markdown(table: &Table, about: &str) -> String {
    let mut text =
        String::from("# Benchmarks\n\nWritten by `make bench`; changed by nothing else.\n\n");
    let _ = writeln!(
        text,
        "{about}\n\n{HOW}\n\n![wall, CPU and memory](benchmarks.svg)\n\n## Targets\n"
    );
    text.push_str("| target | limit | measured | |\n|---|---|---|---|\n");
    for target in targets::all(table) {
        let verdict = match (target.found, target.met) {
            (None, _) => "not run",
            (_, true) => "met",
            (_, false) => "**not met**",
        };
        let found =
            target.found.map(|found| format!("{found:.2}{}", target.unit)).unwrap_or_default();
        let _ = writeln!(text, "| {} | {} | {found} | {verdict} |", target.what, target.limit);
    }
    let grown = targets::with_peers(table, OURS).zip(targets::with_peers(table, FLOOR));
    if let Some((ours, floor)) = grown {
        let _ = writeln!(
            text,
            "\nFrom 500 peers piecemeal takes {ours:.2}x what it takes from one, and the floor {floor:.2}x. {PEERS}"
        );
    }
    text.push_str("\n## Works\n");
    table.works.iter().for_each(|work| write_work(&mut text, work));
    if !table.notes.is_empty() {
        text.push_str("\n## What could not be run\n\n");
        for note in &table.notes {
            let _ = writeln!(text, "* {note}");
        }
    }
    text
}

const PEERS: &str = "\
Each further peer costs a socket, a thread and two handshakes on both sides, whoever downloads, and 64 MiB are through before
that is paid off.";

const HOW: &str = "\
\"floor\" is about a hundred lines: raw sockets, a thread for each seeder, whole pieces, SHA-1, one positioned write a
piece; no tracker, no deadlines, nothing that can go wrong. Seeders are a process of the benchmark's own that answers from
memory; all clients but the floor learn of them from a tracker. The floor of a check reads the file and hashes it with
SHA-1, one thread a core, and does nothing else. Wall is from the start of the process to its end, CPU is
user and system time, peak is the largest resident set. libtorrent runs inside Python, which alone takes about 0.1 s and 24 MiB.
All run with their defaults, but for what would reach beyond this machine; where there are more than 50 peers, each is told
how many. With seeding, wall is the leecher's, and CPU what was used while it was served.";

fn write_work(text: &mut String, work: &Work) {
    let _ = writeln!(text, "\n### {}\n", work.name);
    text.push_str(
        "| client | wall | CPU | peak | wall / floor | CPU / floor | wall / ours | CPU / ours |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    let of = |client: &str| work.cells.iter().find(|cell| cell.client == client);
    let (floor, ours) = (of(FLOOR), of(OURS));
    for cell in &work.cells {
        let [wall, cpu, peak] = VALUES.map(|value| cell.median(value));
        let _ = write!(
            text,
            "| {} | {} | {} | {peak:.1} MiB |",
            cell.client,
            seconds(wall),
            seconds(cpu)
        );
        for other in [floor, ours] {
            for value in [VALUES[0], VALUES[1]] {
                let ratio = other
                    .map(|other| cell.median(value) / other.median(value))
                    .filter(|ratio| ratio.is_finite());
                let _ = write!(
                    text,
                    " {} |",
                    ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default()
                );
            }
        }
        text.push('\n');
    }
}

/// Three digits that say something.
fn seconds(time: f64) -> String {
    if time < 0.1 { format!("{:.1} ms", time * 1000.0) } else { format!("{time:.2} s") }
}

/// The four columns, as the README shows them.
fn summary(table: &Table, about: &str) -> String {
    let works: Vec<&Work> = COLUMNS.iter().filter_map(|job| table.work(job.name)).collect();
    let mut clients: Vec<&str> = Vec::new();
    for cell in works.iter().flat_map(|work| &work.cells) {
        if !clients.contains(&cell.client.as_str()) {
            clients.push(&cell.client);
        }
    }
    let mut text = format!("{BEGIN}\nWall, CPU, peak memory. {about}\n\n|");
    for work in &works {
        let _ = write!(text, " | {}", work.name);
    }
    let _ = writeln!(text, " |\n|---|{}", "---|".repeat(works.len()));
    for client in clients {
        let _ = write!(text, "| {client} |");
        for work in &works {
            let cell = work.cells.iter().find(|cell| cell.client == client);
            let shown = cell.map(|cell| {
                let [wall, cpu, peak] = VALUES.map(|value| cell.median(value));
                format!("{}, {}, {peak:.0} MiB", seconds(wall), seconds(cpu))
            });
            let _ = write!(text, " {} |", shown.unwrap_or_default());
        }
        text.push('\n');
    }
    text + END
}

/// Writes `docs/benchmarks.md`, its plot, and the README's table.
pub fn write(table: &Table, report: &str, about: &str) -> Summary<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(root.join("docs/benchmarks.md"), report)?;
    fs::write(root.join("docs/benchmarks.svg"), plot::svg(table))?;
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path)?;
    let around =
        readme.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = around.ok_or("README.md has no place for the table")?;
    fs::write(path, format!("{before}{}{after}", summary(table, about)))?;
    Ok(())
}
