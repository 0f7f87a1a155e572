//! What an experiment showed, as one page of SVG.
//!
//! * **Run it:** `piecemeal simulate clustering --svg clustering.svg`
//!
//! Curves and dots are of the first run of each row. The mean of several runs would show a swarm
//! that never was: two waves at different times make no wave. A color is never alone: each line has
//! its dashes, each dot its shape, each square its number.

mod axis;
mod labels;
pub mod panel;
pub mod svg;

use self::panel::{Panel, SIZE, Series};
use self::svg::{KINDS, Svg};
use super::measure;
use super::outcome::{Outcome, PeerResult, Run, Sample};

/// The title above the panels takes this much, with the sentence below it.
const HEAD: f64 = 52.0;
/// Panels beside each other.
const COLUMNS: usize = 2;
/// The most runs whose classes have rows of dots.
const MAX_DOTTED: usize = 2;
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
    let mut panels = Vec::new();
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
        panels.push(leechers);
    }
    panels.push(over_time("Peers that have everything", "peers", &runs, |it| it.done as f64));
    panels.extend(rarest(&runs));
    panels.extend(lost(outcome));
    let matrices: Vec<Panel> = runs.iter().filter_map(|run| who_gave_whom(run)).collect();
    // Before the bars, or the two that are to be compared would not be beside each other.
    panels.extend(given_and_taken(&runs, matrices.is_empty()));
    panels.extend(copies(outcome));
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

/// Returns the copies of the rarest piece, unless there is one all the time. A piece that is gone
/// would be a line on the axis, so its name says it.
fn rarest(runs: &[&Run]) -> Option<Panel> {
    let samples = || runs.iter().flat_map(|run| &run.samples);
    let first = samples().next()?.rarest;
    if samples().all(|sample| sample.rarest == first) {
        return None;
    }
    let mut panel = over_time("Copies of the rarest piece", "copies", runs, |it| it.rarest as f64);
    if let Panel::Curves { found, .. } = &mut panel {
        for (series, run) in found.iter_mut().zip(runs) {
            if run.samples.last().is_some_and(|last| last.rarest == 0) {
                series.name += ": gone";
            }
        }
    }
    Some(panel)
}

/// Returns bars with what the seeds had given when there was a whole copy without them.
fn copies(outcome: &Outcome) -> Option<Panel> {
    let bars = means(outcome, |run| run.seed_copies);
    // Bars of one length would only say that there is nothing to see.
    let least = bars.iter().map(|(_, copies)| *copies).fold(f64::INFINITY, f64::min);
    let differ = bars.iter().any(|(_, copies)| *copies > 1.02 * least);
    (bars.len() > 1 && differ).then(|| Panel::Bars {
        title: "Given by the seeds until one whole copy was out".to_owned(),
        unit: "copies, the mean of all runs".to_owned(),
        bars,
    })
}

/// Returns bars with how often no piece was lost, and bars with how much was left, if any was lost.
fn lost(outcome: &Outcome) -> Vec<Panel> {
    if outcome.runs.iter().all(|run| run.alive == 1.0) {
        return Vec::new();
    }
    let bars = |title: &str, unit: &str, value: fn(&Run) -> f64| Panel::Bars {
        title: title.to_owned(),
        unit: unit.to_owned(),
        bars: means(outcome, |run| Some(value(run))),
    };
    vec![
        bars("Runs in which no piece was lost", "percent of all runs", |run| {
            if run.alive == 1.0 { 100.0 } else { 0.0 }
        }),
        bars("Pieces left at the end", "percent, the mean of all runs", |run| 100.0 * run.alive),
    ]
}

/// Returns the mean of something over the runs of each row that have it.
fn means(outcome: &Outcome, value: impl Fn(&Run) -> Option<f64>) -> Vec<(String, f64)> {
    let of_row = |label: &String| {
        let runs = outcome.runs.iter().filter(|run| run.label == *label);
        Some((label.clone(), measure::mean(runs.filter_map(&value))?))
    };
    outcome.rows.iter().filter_map(|row| of_row(&row.label)).collect()
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

/// What each peer gave for what it took: of the classes of a run, or of all peers of each run, if
/// the classes are not what is compared. What it took is the same for all that are done, so one
/// against the other would be a stripe.
fn given_and_taken(runs: &[&Run], by_run: bool) -> Vec<Panel> {
    let of_run = |run: &&Run| (run.label.clone(), ratios(run, None));
    let mut groups = if by_run {
        vec![(String::new(), runs.iter().map(of_run).collect::<Vec<_>>())]
    } else {
        let of_kind = |run: &Run, kind: &str| (kind.to_owned(), ratios(run, Some(kind)));
        let of_kinds = |run: &&Run| kinds(run).into_iter().map(|kind| of_kind(run, kind)).collect();
        let runs = runs.iter().take(MAX_DOTTED);
        runs.map(|run| (format!(": {}", run.label), of_kinds(run))).collect()
    };
    groups.iter_mut().for_each(|(_, rows)| rows.retain(|(_, ratios)| !ratios.is_empty()));
    groups.retain(|(_, rows)| !rows.is_empty());
    let all = groups.iter().flat_map(|(_, rows)| rows).flat_map(|(_, ratios)| ratios);
    let most = all.copied().filter(|ratio| ratio.is_finite()).fold(0.0, f64::max);
    let panel = |(of, rows): (String, Vec<(String, Vec<f64>)>)| Panel::Dots {
        title: format!("Given against taken, by peer{of}"),
        unit: "bytes given for each byte taken; the stroke is the median".to_owned(),
        most,
        fair: (1.0, "as much as it took".to_owned()),
        rows,
    };
    groups.into_iter().map(panel).collect()
}

/// Returns what each peer of a class, or of all, gave for each byte that it took. Peers that took
/// less than half of the content say nothing: for one that lacked a single piece, what it gave is
/// many times that.
fn ratios(run: &Run, kind: Option<&str>) -> Vec<f64> {
    let most = run.peers.iter().map(|peer| peer.taken).fold(0.0, f64::max);
    let is_kind = |peer: &&PeerResult| {
        let class = run.classes.get(peer.class).map(String::as_str);
        peer.taken > most / 2.0 && (kind.is_none() || kind == class)
    };
    run.peers.iter().filter(is_kind).map(|peer| peer.given / peer.taken).collect()
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
