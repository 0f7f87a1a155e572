//! What giving is worth: who trades with whom, and what becomes of those that only take.

use super::{LINE, part, with_seed};
use crate::simulate::baselines::ProportionalShare;
use crate::simulate::knobs::KIB;
use crate::simulate::measure::{mean, of, over, row, share, time_of};
use crate::simulate::outcome::{PeerResult, Run};
use crate::simulate::repeat::Case;
use crate::simulate::setup::{Class, MakeStrategy, Setup, SlotRule, Stay};
use crate::simulate::strategy::Strategy;
use crate::simulate::{Experiment, Table};
use std::sync::Arc;

pub(super) const CLUSTERING: Experiment = Experiment {
    name: "clustering",
    title: "peers with three kinds of lines, and seeds from fast to slow",
    known: "peers with similar lines trade with each other, and that ends when the seed is weak (Legout 2007)",
    see: "to whom the fast ones give until the first peer is done, and whether they finish before the others",
    default: (40, 453, 3),
    compares: &["seed-up", "up"],
    about_giving: true,
    cases: |peers, pieces| {
        let rows = [
            ("seed 1,000 KiB/s", 1000.0, SlotRule::Client),
            ("seed 400 KiB/s", 400.0, SlotRule::Client),
            ("seed 200 KiB/s", 200.0, SlotRule::Client),
            ("seed 100 KiB/s", 100.0, SlotRule::Client),
            ("seed 1,000, random slots", 1000.0, SlotRule::Random),
        ];
        let case = |(label, seed, rule): (&str, f64, SlotRule)| {
            let third = part(peers, 1.0 / 3.0);
            let counts = [third, peers.saturating_sub(2 * third).max(1), third];
            let lines = [("slow", 20.0), ("medium", 50.0), ("fast", 200.0)];
            let class = |((name, up), count): ((&str, f64), u32)| Class {
                slots: 4,
                slot_rule: rule.clone(),
                ..Class::new(name, count, up * KIB)
            };
            let others = lines.into_iter().zip(counts).map(class).collect();
            let mut setup = with_seed(pieces, seed, others);
            setup.classes.iter_mut().for_each(|class| class.slots = 4);
            Case::new(label, setup)
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let time = |class: &str| over(runs, |run| time_of(run, class));
            row(
                &case.label,
                &[
                    (over(runs, |run| share(run, "fast", "fast")), 2, ""),
                    (time("slow"), 0, " s"),
                    (time("medium"), 0, " s"),
                    (time("fast"), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["fast to fast", "slow", "medium", "fast"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

/// Free riders, and honest peers.
fn riders(
    (peers, pieces): (u32, u32),
    share: f64,
    rule: SlotRule,
    seed: f64,
    down: f64,
    view: Option<usize>,
) -> Setup {
    let count = part(peers, share);
    let slot_rule = rule.clone();
    let honest =
        Class { down, slot_rule, ..Class::new("honest", peers.saturating_sub(count).max(1), LINE) };
    let (slot_rule, label) = (SlotRule::Nobody, "free rider".to_owned());
    let rider = Class { label, count, slot_rule, view, ..honest.clone() };
    let mut setup = with_seed(pieces, seed, vec![honest, rider]);
    setup.classes.iter_mut().filter(|class| class.is_seed()).for_each(|seed| {
        if !matches!(rule, SlotRule::Client) {
            seed.slot_rule = rule.clone();
        }
    });
    setup
}

/// The times of both, and how much longer free riders take.
fn rider_table(cases: &[Case], runs: &[Vec<Run>]) -> Table {
    let rows = cases.iter().zip(runs).map(|(case, runs)| {
        let time = |class: &str| over(runs, |run| time_of(run, class));
        let ratio = |run: &Run| Some(time_of(run, "free rider")? / time_of(run, "honest")?);
        let all: usize = runs.iter().map(|run| of(run, "free rider").count()).sum();
        let done = |run: &Run| of(run, "free rider").filter(|peer| peer.time.is_some()).count();
        let done: usize = runs.iter().map(done).sum();
        row(
            &case.label,
            &[
                (time("honest"), 0, " s"),
                (time("free rider"), 0, " s"),
                (over(runs, ratio), 2, ""),
                (Some(100.0 * done as f64 / all.max(1) as f64), 0, " %"),
            ],
        )
    });
    Table {
        columns: &["honest", "free riders", "ratio", "free riders done"],
        rows: rows.collect(),
        theory: Vec::new(),
    }
}

pub(super) const FREE_RIDERS: Experiment = Experiment {
    name: "free-riders",
    title: "peers that take what they can and give nothing",
    known: "free riders get everything, but later (Locher 2006); only a rule that trades makes them wait",
    see: "how much longer they take than the honest peers, by rule and by number",
    default: (100, 400, 2),
    compares: &[],
    about_giving: true,
    cases: |peers, pieces| {
        let rows = [
            ("10 %, tit for tat", 0.1, SlotRule::Client),
            ("30 %, tit for tat", 0.3, SlotRule::Client),
            ("50 %, tit for tat", 0.5, SlotRule::Client),
            ("30 %, random slots", 0.3, SlotRule::Random),
            ("30 %, slots for all", 0.3, SlotRule::Everybody),
        ];
        let case = |(label, share, rule)| {
            Case::new(label, riders((peers, pieces), share, rule, 512.0, 512.0 * KIB, None))
        };
        rows.into_iter().map(case).collect()
    },
    table: rider_table,
};

pub(super) const LARGE_VIEW: Experiment = Experiment {
    name: "large-view",
    title: "free riders that connect to everybody",
    known: "as long as they are few, they are done before the honest peers (Sirivianos 2007)",
    see: "where the ratio is below 1, the free riders are done first; 35 is the number that honest peers dial",
    default: (300, 300, 1),
    compares: &["view"],
    about_giving: true,
    cases: |peers, pieces| {
        let all = Some(peers as usize);
        let rows = [
            ("2 % that know all", 0.02, all),
            ("10 % that know all", 0.1, all),
            ("40 % that know all", 0.4, all),
            ("2 % that know 35", 0.02, None),
            ("10 % that know 35", 0.1, None),
            ("40 % that know 35", 0.4, None),
        ];
        let case = |(label, share, view)| {
            let swarm = (peers, pieces);
            let mut setup = riders(swarm, share, SlotRule::Client, 512.0, f64::INFINITY, view);
            // Four slots, one of them for luck, as the clients of the paper had. And honest peers
            // that stayed would be seeds, and give free riders the rest.
            for class in &mut setup.classes {
                class.slots = 4;
                if !class.is_seed() {
                    class.stay = Stay::Seconds(0.0);
                }
            }
            Case::new(label, setup)
        };
        rows.into_iter().map(case).collect()
    },
    table: rider_table,
};

pub(super) const SEEDS: Experiment = Experiment {
    name: "seeds",
    title: "what a seed's rule gives to free riders with fast lines",
    known: "a seed that gives to those that take fastest feeds free riders; one that gives in turn gives all the same time (Legout 2006)",
    see: "what the free riders, one in ten, get until the first peer is done. In turn: each has a slot for the same time; evenly: one that took 1.5 times the average makes room",
    default: (100, 800, 1),
    compares: &["down", "seed-rule", "evenly"],
    about_giving: true,
    cases: |peers, pieces| {
        let rows = [
            ("to the fastest", SlotRule::Fastest, false),
            ("in turn", SlotRule::Client, false),
            ("in turn, evenly", SlotRule::Client, true),
        ];
        let case = |(label, rule, scarce): (&str, SlotRule, bool)| {
            let swarm = (peers, pieces);
            let mut setup = riders(swarm, 0.1, SlotRule::Client, 512.0, 96.0 * KIB, None);
            setup.scarce = scarce;
            for class in &mut setup.classes {
                match class.label.as_str() {
                    "free rider" => class.down = 2048.0 * KIB,
                    // Also those that were peers are seeds in the end.
                    _ => class.slot_rule = rule.clone(),
                }
            }
            Case::new(label, setup)
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let time = |class: &str| over(runs, |run| time_of(run, class));
            row(
                &case.label,
                &[
                    (over(runs, |run| share(run, "seed", "free rider")), 2, ""),
                    (time("free rider"), 0, " s"),
                    (time("honest"), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["of the seed's bytes", "free riders", "honest"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

/// Eight lines, in KiB/s, and the share of peers that have each: many are slow, and few are fast.
const CAPACITIES: [(&str, f64, f64); 8] = [
    ("slow", 16.0, 0.20),
    ("slow", 24.0, 0.20),
    ("slow", 32.0, 0.17),
    ("medium", 48.0, 0.13),
    ("medium", 64.0, 0.10),
    ("medium", 96.0, 0.08),
    ("fast", 192.0, 0.07),
    ("fast", 384.0, 0.05),
];

/// Peers of all lines, by one rule. They leave when they are done: otherwise the fast ones would
/// then be seeds, and give to those that gave them nothing.
fn of_all_lines(peers: u32, rule: &SlotRule) -> Vec<Class> {
    let class = |(label, up, share): (&str, f64, f64)| Class {
        slot_rule: rule.clone(),
        stay: Stay::Seconds(0.0),
        ..Class::new(label, part(peers, share), up * KIB)
    };
    CAPACITIES.into_iter().map(class).collect()
}

pub(super) const STRATEGIES: Experiment = Experiment {
    name: "strategies",
    title: "one peer with rules of its own, among others that play tit for tat",
    known: "shares in proportion to what came are better than slots (Levin 2008); giving nothing is worse",
    see: "the peer's own time, and how much it gave for what it took",
    default: (120, 200, 10),
    compares: &[],
    about_giving: true,
    cases: |peers, pieces| {
        let share: MakeStrategy = Arc::new(|peer| -> Box<dyn Strategy> {
            Box::new(ProportionalShare::new(u64::from(peer)))
        });
        let rows = [
            ("tit for tat", SlotRule::Client),
            ("proportional share", SlotRule::Strategy(share)),
            ("free rider", SlotRule::Nobody),
        ];
        let case = |(label, slot_rule): (&str, SlotRule)| {
            let one = Class { slot_rule, ..Class::new("it", 1, 128.0 * KIB) };
            let mut others = of_all_lines(peers.saturating_sub(1), &SlotRule::Client);
            others.push(one);
            Case::new(label, with_seed(pieces, 1024.0, others))
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            row(
                &case.label,
                &[
                    (over(runs, |run| time_of(run, "it")), 0, " s"),
                    (over(runs, |run| gave_for_taken(run, "it")), 2, ""),
                    (over(runs, |run| mean(run.times.iter().copied())), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["its time", "gave for taken", "mean of all"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

/// Bytes that a class gave until it was done, for each that it took.
fn gave_for_taken(run: &Run, class: &str) -> Option<f64> {
    let sum = |bytes: fn(&PeerResult) -> f64| of(run, class).map(bytes).sum::<f64>();
    let taken = sum(|peer| peer.taken);
    (taken > 0.0).then(|| sum(|peer| peer.given) / taken)
}

pub(super) const EVERYBODY: Experiment = Experiment {
    name: "everybody",
    title: "all peers play by the same rule",
    known: "tit for tat rewards those that give, and costs the swarm time; counting blocks is fairer (Bharambe 2006)",
    see: "the mean of all beside the times of slow and fast; what each gave for what it took",
    default: (120, 200, 2),
    compares: &["up", "seed-up"],
    about_giving: true,
    cases: |peers, pieces| {
        let rows = [
            ("tit for tat", SlotRule::Client, 1024.0),
            ("random slots", SlotRule::Random, 1024.0),
            ("slots for all", SlotRule::Everybody, 1024.0),
            ("counting blocks", SlotRule::Blocks(2), 1024.0),
            ("tit for tat, weak seed", SlotRule::Client, 128.0),
            ("counting blocks, weak seed", SlotRule::Blocks(2), 128.0),
        ];
        let case = |(label, rule, seed): (&str, SlotRule, f64)| {
            Case::new(label, with_seed(pieces, seed, of_all_lines(peers, &rule)))
        };
        rows.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let time = |class: &str| over(runs, |run| time_of(run, class));
            let fair = |class: &str| over(runs, |run| gave_for_taken(run, class));
            row(
                &case.label,
                &[
                    (over(runs, |run| mean(run.times.iter().copied())), 0, " s"),
                    (time("slow"), 0, " s"),
                    (time("medium"), 0, " s"),
                    (time("fast"), 0, " s"),
                    (fair("slow"), 2, ""),
                    (fair("medium"), 2, ""),
                    (fair("fast"), 2, ""),
                ],
            )
        });
        Table {
            columns: &["mean", "slow", "medium", "fast", "slow gave", "medium gave", "fast gave"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};
