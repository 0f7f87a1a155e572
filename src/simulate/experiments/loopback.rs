//! Twelve peers as `make honest` runs them in processes of their own: how far to trust the rest.

use super::{part, with_seed};
use crate::simulate::knobs::KIB;
use crate::simulate::measure::{mean, over, row, time_of};
use crate::simulate::outcome::Run;
use crate::simulate::repeat::Case;
use crate::simulate::setup::{Arrival, Class};
use crate::simulate::{Experiment, Table};

pub(super) const LOOPBACK: Experiment = Experiment {
    name: "loopback",
    title: "a seed and eleven peers, as `make honest` runs them in processes of their own",
    known: "the processes take longer, and the same class is done first (docs/policies.md)",
    see: "the means and the order of the classes, beside those of the chapter",
    default: (11, 256, 20),
    compares: &["seed-up", "up"],
    about_giving: false,
    cases: |peers, pieces| {
        let case = |(label, seed): (&str, f64)| {
            let fast = part(peers, 4.0 / 11.0);
            let classes =
                [("fast", fast, 256.0), ("slow", peers.saturating_sub(fast).max(1), 64.0)];
            let class = |(label, count, up): (&str, u32, f64)| Class {
                arrival: Arrival::At(0.0),
                ..Class::new(label, count, up * KIB)
            };
            let mut setup = with_seed(pieces, seed, classes.map(class).to_vec());
            setup.piece_length = 64 << 10;
            // The real seed has a `--max-upload`, and then nobody gets ahead.
            setup.scarce = true;
            Case::new(label, setup)
        };
        [("seed 256 KiB/s", 256.0), ("seed 768 KiB/s", 768.0)].map(case).to_vec()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let time = |class: &str| over(runs, |run| time_of(run, class));
            let content = f64::from(case.setup.piece_length) * f64::from(case.setup.pieces);
            let copies = |run: &Run| given_by(run, "seed").map(|given| given / content);
            row(
                &case.label,
                &[
                    (over(runs, |run| mean(run.times.iter().copied())), 1, " s"),
                    (time("fast"), 1, " s"),
                    (time("slow"), 1, " s"),
                    (over(runs, copies), 2, ""),
                ],
            )
        });
        Table {
            columns: &["mean", "the four fast", "the seven slow", "copies by the seed"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

/// Returns what a class gave until the end, in bytes.
fn given_by(run: &Run, class: &str) -> Option<f64> {
    let number = run.classes.iter().position(|label| label == class)?;
    run.gave_in_all.get(number).map(|gave| gave.iter().sum())
}
