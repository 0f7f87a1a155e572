//! What an experiment showed, as one page of SVG.
//!
//! * **Run it:** `piecemeal simulate clustering --svg clustering.svg`
//!
//! Curves and dots are of the first run of each row. The mean of several runs would show a swarm
//! that never was: two waves at different times make no wave. A color is never alone: each line has
//! its dashes, each dot its shape, each square its number.

mod axis;
pub mod panel;
pub mod svg;

use self::panel::{Panel, SIZE, Series};
use self::svg::{KINDS, Svg};
use super::outcome::{Outcome, Run, Sample};

/// The title above the panels takes this much, with the sentence below it.
const HEAD: f64 = 52.0;
/// Panels beside each other.
const COLUMNS: usize = 2;
/// The most matrices. More of them are a puzzle.
const MAX_MATRICES: usize = 6;

/// Returns the page for an experiment.
pub fn page(title: &str, known: &str, outcome: &Outcome) -> String {
    draw(title, known, &panels(outcome))
}

/// Returns a page with these panels, in the order of reading.
pub fn draw(title: &str, known: &str, panels: &[Panel]) -> String {
    let lines = panels.len().div_ceil(COLUMNS);
    let (width, height) = (SIZE.0 * COLUMNS as f64, HEAD + SIZE.1 * lines as f64);
    let mut svg = Svg::new(width, height, title);
    svg.heading(14.0, 22.0, title);
    svg.text(14.0, 40.0, "start", known);
    for (number, panel) in panels.iter().enumerate() {
        let (column, line) = (number % COLUMNS, number / COLUMNS);
        panel.draw(&mut svg, SIZE.0 * column as f64, HEAD + SIZE.1 * line as f64);
    }
    svg.finish()
}

/// Returns what there is to see. A panel that would say nothing is left out.
pub fn panels(outcome: &Outcome) -> Vec<Panel> {
    let runs = first_runs(outcome);
    let mut panels = vec![
        over_time("Peers that have everything", "peers", &runs, |sample| sample.done as f64),
        over_time("Copies of the rarest piece", "copies", &runs, |sample| sample.rarest as f64),
    ];
    if !outcome.theory.is_empty() {
        let line = |theory: &super::outcome::Theory| Series {
            name: "theory".to_owned(),
            points: theory.points.clone(),
        };
        let mut leechers =
            over_time("Peers that are not done", "peers", &runs, |sample| sample.leechers as f64);
        if let Panel::Curves { theory, .. } = &mut leechers {
            *theory = outcome.theory.iter().map(line).collect();
        }
        panels.insert(0, leechers);
    }
    panels.extend(copies(outcome));
    let matrices: Vec<Panel> = runs.iter().filter_map(|run| who_gave_whom(run)).collect();
    if let Some(dots) = given_and_taken(&runs, matrices.is_empty()) {
        panels.push(dots);
    }
    panels.extend(matrices.into_iter().take(MAX_MATRICES));
    panels
}

/// Returns the first run of each row, of as many rows as can be told apart.
fn first_runs(outcome: &Outcome) -> Vec<&Run> {
    let of_row = |label: &String| outcome.runs.iter().find(|run| run.label == *label);
    outcome.rows.iter().filter_map(|row| of_row(&row.label)).take(KINDS).collect()
}

fn over_time(title: &str, unit: &str, runs: &[&Run], value: impl Fn(&Sample) -> f64) -> Panel {
    let series = |run: &&Run| Series {
        name: run.label.clone(),
        points: run.samples.iter().map(|sample| (sample.t, value(sample))).collect(),
    };
    Panel::Curves {
        title: title.to_owned(),
        units: ("seconds".to_owned(), unit.to_owned()),
        found: runs.iter().map(series).collect(),
        theory: Vec::new(),
    }
}

/// Returns bars with what the seeds had given when there was a whole copy without them.
fn copies(outcome: &Outcome) -> Option<Panel> {
    let mean = |label: &str| {
        let runs = outcome.runs.iter().filter(|run| run.label == label);
        let found: Vec<f64> = runs.filter_map(|run| run.seed_copies).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    };
    let bar = |label: &String| Some((label.clone(), mean(label)?));
    let bars: Vec<_> = outcome.rows.iter().filter_map(|row| bar(&row.label)).collect();
    // Bars of one length would only say that there is nothing to see.
    let least = bars.iter().map(|(_, copies)| *copies).fold(f64::INFINITY, f64::min);
    let differ = bars.iter().any(|(_, copies)| *copies > 1.02 * least);
    (bars.len() > 1 && differ).then(|| Panel::Bars {
        title: "Given by the seeds until one whole copy was out".to_owned(),
        unit: "copies, the mean of all runs".to_owned(),
        bars,
    })
}

/// Returns the names of a run's classes, each once: several classes may be parts of one.
fn kinds(run: &Run) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in &run.classes {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Returns a mark for each peer, by what it took and what it gave: of the first run by class, or of
/// all runs, if the classes are not what is compared.
fn given_and_taken(runs: &[&Run], by_run: bool) -> Option<Panel> {
    const MIB: f64 = (1 << 20) as f64;
    let marks = |run: &Run, name: &str, kind: Option<&str>| Series {
        name: name.to_owned(),
        points: run
            .peers
            .iter()
            .filter(|peer| {
                let class = run.classes.get(peer.class).map(String::as_str);
                peer.taken > 0.0 && (kind.is_none() || kind == class)
            })
            .map(|peer| (peer.taken / MIB, peer.given / MIB))
            .collect(),
    };
    let (title, mut found): (String, Vec<Series>) = if by_run {
        let found = runs.iter().map(|run| marks(run, &run.label, None)).collect();
        ("Given against taken, a mark a peer".to_owned(), found)
    } else {
        let run = runs.first()?;
        let found = kinds(run).into_iter().map(|kind| marks(run, kind, Some(kind))).collect();
        (format!("Given against taken: {}", run.label), found)
    };
    found.retain(|series| !series.points.is_empty());
    let units = ("MiB taken".to_owned(), "MiB given until it was done".to_owned());
    (!found.is_empty()).then_some(Panel::Dots { title, units, found })
}

/// Returns to whom each class gave, as shares of what it gave. Classes that took nothing, which are
/// the seeds, are no columns.
fn who_gave_whom(run: &Run) -> Option<Panel> {
    let is = |class: usize, kind: &str| run.classes.get(class).is_some_and(|name| name == kind);
    let given = |from: &str, to: &str| -> f64 {
        let rows = run.gave.iter().enumerate().filter(|(class, _)| is(*class, from));
        let cells = rows.flat_map(|(_, row)| row.iter().enumerate());
        cells.filter(|(class, _)| is(*class, to)).map(|(_, bytes)| bytes).sum()
    };
    let kinds = kinds(run);
    let took = |to: &&str| kinds.iter().map(|from| given(from, to)).sum::<f64>() > 0.0;
    let (takers, seeds): (Vec<&str>, Vec<&str>) = kinds.iter().partition(|kind| took(kind));
    // Rows and columns have the same names in the same order; the seeds come last.
    let row = |from: &&str| {
        let of: Vec<f64> = takers.iter().map(|to| given(from, to)).collect();
        let all = of.iter().sum::<f64>();
        let shares: Vec<f64> = of.iter().map(|given| given / all).collect();
        (all > 0.0).then(|| ((*from).to_owned(), shares))
    };
    let rows = takers.iter().chain(&seeds).filter_map(row);
    let (givers, shares): (Vec<String>, Vec<Vec<f64>>) = rows.unzip();
    // Where each gives to one class alone, there was no choice.
    let is_choice = shares.iter().flatten().any(|share| *share > 0.0 && *share < 1.0);
    (takers.len() > 1 && is_choice).then(|| Panel::Matrix {
        title: format!("Who gave whom: {}", run.label),
        givers,
        takers: takers.iter().map(|name| (*name).to_owned()).collect(),
        shares,
    })
}
