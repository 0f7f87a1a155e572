//! Numbers from runs: means, medians, and who gave whom.

use super::outcome::{PeerResult, Row, Run};

/// The average of some numbers; `None` if there are none.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (count, sum) =
        values.into_iter().fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// The middle of some numbers; `None` if there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The average over runs of something that not every run has.
pub fn over(runs: &[Run], value: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
    mean(runs.iter().filter_map(value))
}

/// The peers of a class, by its label.
pub fn of<'r>(run: &'r Run, label: &'r str) -> impl Iterator<Item = &'r PeerResult> {
    let is = move |peer: &&PeerResult| run.classes.get(peer.class).is_some_and(|l| l == label);
    run.peers.iter().filter(is)
}

/// The average time of a class.
pub fn time_of(run: &Run, label: &str) -> Option<f64> {
    mean(of(run, label).filter_map(|peer| peer.time))
}

/// Of what one class gave until the first peer was done, the share that went to another.
pub fn share(run: &Run, from: &str, to: &str) -> Option<f64> {
    let class = |label: &str| run.classes.iter().position(|other| other == label);
    let gave = run.gave.get(class(from)?)?;
    let all: f64 = gave.iter().sum();
    (all > 0.0).then(|| gave.get(class(to)?).map(|bytes| bytes / all)).flatten()
}

/// The number of peers that are here and not done, at this time.
pub fn leechers_at(run: &Run, time: f64) -> f64 {
    let is_here = |peer: &&PeerResult| {
        peer.arrived <= time && peer.time.is_none_or(|took| peer.arrived + took > time)
    };
    run.peers.iter().filter(|peer| !run.is_seed(peer)).filter(is_here).count() as f64
}

/// Builds a row: a cell for each number, with this many digits and this unit.
pub fn row(label: &str, cells: &[(Option<f64>, usize, &str)]) -> Row {
    let cell = |(value, digits, unit): &(Option<f64>, usize, &str)| match value {
        Some(value) => format!("{value:.0$}{unit}", *digits),
        None => "-".to_owned(),
    };
    Row {
        label: label.to_owned(),
        cells: cells.iter().map(cell).collect(),
        values: cells.iter().map(|(value, ..)| *value).collect(),
    }
}
