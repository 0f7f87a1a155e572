//! Smaller habits of a client: the end game, how many slots, and luck.

use super::{LINE, part, with_seed};
use crate::simulate::knobs::KIB;
use crate::simulate::measure::{mean, median, of, over, row, time_of};
use crate::simulate::outcome::Run;
use crate::simulate::repeat::Case;
use crate::simulate::setup::{Arrival, Class, SlotRule};
use crate::simulate::{Experiment, Table};

pub(super) const END_GAME: Experiment = Experiment {
    name: "end-game",
    title: "the last pieces from one peer each, or from several",
    known: "it helps those that would wait for a slow peer (Cohen 2003)",
    see: "when the last peer is done; where all lines are alike there is little to gain",
    default: (30, 60, 4),
    compares: &["up", "end-game"],
    about_giving: false,
    cases: |peers, pieces| {
        let rows = [
            ("a third is slow, without", true, false),
            ("a third is slow, with it", true, true),
            ("all alike, without", false, false),
            ("all alike, with it", false, true),
        ];
        let case = |(label, slow, end_game): (&str, bool, bool)| {
            let count = part(peers, 1.0 / 3.0);
            let line = if slow { 4.0 * KIB } else { LINE };
            let quick = Class::new("quick", peers.saturating_sub(count).max(1), LINE);
            let mut setup = with_seed(pieces, 128.0, vec![quick, Class::new("slow", count, line)]);
            setup.end_game = end_game;
            Case::new(label, setup)
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let last = |run: &Run| run.times.iter().copied().max_by(f64::total_cmp);
            row(
                &case.label,
                &[
                    (over(runs, last), 0, " s"),
                    (over(runs, |run| mean(run.times.iter().copied())), 0, " s"),
                ],
            )
        });
        Table { columns: &["last peer", "mean"], rows: rows.collect(), theory: Vec::new() }
    },
};

pub(super) const SLOTS: Experiment = Experiment {
    name: "slots",
    title: "how many peers are served at a time",
    known: "few slots: a piece is of use to others only when it is whole (Cohen 2003)",
    see: "how much of their lines the peers can use. No TCP and no round trip slow a stream here, so few slots look better than they are",
    default: (200, 200, 1),
    compares: &["slots"],
    about_giving: false,
    cases: |peers, pieces| {
        let case = |slots: usize| {
            let mut setup = with_seed(pieces, 256.0, vec![Class::new("peer", peers, LINE)]);
            setup.classes.iter_mut().for_each(|class| class.slots = slots);
            Case::new(format!("{slots} slots"), setup)
        };
        [2, 3, 5, 8, 12, 20].into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            row(
                &case.label,
                &[
                    (over(runs, |run| Some(run.used)), 2, ""),
                    (over(runs, |run| median(run.times.iter().copied())), 0, " s"),
                ],
            )
        });
        Table { columns: &["lines used", "median time"], rows: rows.collect(), theory: Vec::new() }
    },
};

/// When the newcomer comes, in seconds.
const COMES: f64 = 600.0;

pub(super) const LUCK: Experiment = Experiment {
    name: "luck",
    title: "a fast newcomer in a swarm that has found its partners",
    known: "without a slot for luck, a stranger that would be a better partner is not found (Cohen 2003)",
    see: "how fast the newcomer downloads; and whether the crowd is quicker without luck",
    default: (100, 400, 3),
    compares: &[],
    about_giving: true,
    cases: |peers, pieces| {
        let rows = [
            ("with luck", SlotRule::Client),
            ("without luck", SlotRule::NoLuck),
            ("random slots", SlotRule::Random),
        ];
        let case = |(label, slot_rule): (&str, SlotRule)| {
            let peer = Class { slot_rule, ..Class::new("peer", peers, LINE) };
            let newcomer = Class {
                label: "newcomer".to_owned(),
                count: 1,
                up: 256.0 * KIB,
                arrival: Arrival::At(COMES),
                ..peer.clone()
            };
            Case::new(label, with_seed(pieces, 512.0, vec![peer, newcomer]))
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let length = case.setup.length() / KIB;
            let rate = |run: &Run| Some(length / time_of(run, "newcomer")?);
            row(
                &case.label,
                &[
                    (over(runs, rate), 0, " KiB/s"),
                    (over(runs, |run| median(of(run, "peer").filter_map(|p| p.time))), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["the newcomer gets", "the crowd's median"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};
