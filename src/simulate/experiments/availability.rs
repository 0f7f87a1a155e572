//! Which pieces there are: what happens if the one that is rare goes away.

use super::{LINE, PIECE_RULES, part, with_seed};
use crate::simulate::knobs::KIB;
use crate::simulate::measure::{leechers_at, mean, median, over, row};
use crate::simulate::outcome::{Row, Run, Theory};
use crate::simulate::repeat::Case;
use crate::simulate::setup::{Arrival, Class, Holds, PieceRule, Setup, SlotRule, Stay};
use crate::simulate::{Experiment, Table};

/// When the slope of the missing piece is measured, in seconds.
const SLOPE: (f64, f64) = (100.0, 400.0);

pub(super) const MISSING_PIECE: Experiment = Experiment {
    name: "missing-piece",
    title: "peers leave as soon as they are done, and all begin without the same piece",
    known: "one piece stays missing if peers come faster than the seed gives it, whatever the piece rule (Hajek and Zhu 2010)",
    see: "the number of peers grows by the arrivals minus the pieces that the seed gives in a second; the theory counts those that came in this run",
    default: (300, 20, 1),
    compares: &[],
    about_giving: false,
    cases: |peers, pieces| {
        let rates = [(4.0, 0), (2.0, 0), (1.0, 0), (0.5, 0), (0.25, 0), (4.0, 1)];
        let case = |(rate, rule): (f64, usize)| {
            let (name, piece_rule) = PIECE_RULES[rule];
            let leaves =
                Class { stay: Stay::Seconds(0.0), piece_rule, ..Class::new("club", peers, LINE) };
            let club = Class { holds: Holds::AllBut(0), ..leaves.clone() };
            let (count, arrival) = (1_000_000, Arrival::Poisson(rate));
            let newcomers = Class { label: "newcomers".to_owned(), count, arrival, ..leaves };
            let mut setup = with_seed(pieces, 256.0, vec![club, newcomers]);
            setup.until = Some(SLOPE.1);
            Case::new(format!("{rate} a second, {name}"), setup)
        };
        rates.into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let (from, to) = SLOPE;
        let slope = |run: &Run| Some((leechers_at(run, to) - leechers_at(run, from)) / (to - from));
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let left = over(runs, |run| Some(leechers_at(run, to)));
            // With as many as came indeed: they are dice, and a run is short.
            let theory = |run: &Run| Some(arrivals(run) - given(&case.setup));
            row(
                &case.label,
                &[(over(runs, slope), 2, ""), (over(runs, theory), 2, ""), (left, 0, "")],
            )
        });
        let theory = cases.iter().map(|case| {
            let start = case.setup.classes.get(1).map_or(0.0, |club| f64::from(club.count));
            let end = (start + growth(&case.setup) * to).max(0.0);
            let points = vec![(0.0, start), (to, end)];
            Theory { label: case.label.clone(), points }
        });
        Table {
            columns: &["growth a second", "in theory", "peers after 400 s"],
            rows: rows.collect(),
            theory: theory.collect(),
        }
    },
};

/// Expected arrivals a second, minus pieces that the seed gives a second.
fn growth(setup: &Setup) -> f64 {
    let rate = |class: &Class| match class.arrival {
        Arrival::Poisson(rate) => rate,
        _ => 0.0,
    };
    setup.classes.iter().map(rate).sum::<f64>() - given(setup)
}

/// Pieces that the seeds can give a second.
fn given(setup: &Setup) -> f64 {
    let seeds = setup.classes.iter().filter(|class| class.is_seed()).map(|class| class.up);
    seeds.sum::<f64>() / f64::from(setup.piece_length)
}

/// Peers that came a second, while the slope was measured.
fn arrivals(run: &Run) -> f64 {
    let (from, to) = SLOPE;
    let came = run.peers.iter().filter(|peer| (from..to).contains(&peer.arrived)).count();
    came as f64 / (to - from)
}

/// The time that a line needs for the whole content, in seconds.
const ALONE: f64 = 800.0;
/// What happens before this is the start of the swarm and says little about the rest, in seconds.
const WARM: f64 = 2000.0;
/// How long it is looked at, in seconds.
const LONG: f64 = 6000.0;

pub(super) const FLUID: Experiment = Experiment {
    name: "fluid",
    title: "peers come one by one, and stay for a while when they are done",
    known: "the time depends on how long peers stay, and not on how many come: T = 1/mu - 1/gamma (Qiu and Srikant 2004)",
    see: "the same time for 0.05 and for 0.2 a second; eta is the share of its line that a peer makes use of. Only peers that are done count; a dash: nobody is",
    default: (2000, 200, 1),
    compares: &["up", "piece-length"],
    about_giving: false,
    cases: |peers, pieces| {
        let case = |(stay, rate): (f64, f64)| {
            let (arrival, stay_rule) = (Arrival::Poisson(rate), Stay::Seconds(stay));
            let peer = Class { arrival, stay: stay_rule, ..Class::new("peer", peers, LINE) };
            let mut setup = with_seed(pieces, LINE / KIB, vec![peer]);
            setup.piece_length = (LINE * ALONE / f64::from(pieces)) as u32;
            setup.until = Some(LONG);
            Case::new(format!("{rate} a second, stay {stay} s"), setup)
        };
        // The seed gives a quarter of a piece a second. If more came than that, and left at once, a
        // piece could get lost (see the first experiment), and no time would be the usual one.
        let rates = [0.05, 0.2];
        let stays = [0.0, 200.0, 400.0];
        let all = stays.into_iter().flat_map(|stay| rates.map(|rate| (stay, rate)));
        all.map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let stay = case.setup.classes.get(1).map(|class| class.stay);
            let Some(Stay::Seconds(stay)) = stay else { return Row::default() };
            let time = over(runs, |run| mean(settled(run)));
            let eta = time.map(|time| (ALONE - stay) / time);
            let little = over(runs, little);
            row(&case.label, &[(time, 0, " s"), (eta, 2, ""), (little, 3, "")])
        });
        // Little's law with the time of the model: where the number of peers settles.
        let theory = cases.iter().filter_map(|case| {
            let class = case.setup.classes.get(1)?;
            let (Arrival::Poisson(rate), Stay::Seconds(stay)) = (class.arrival, class.stay) else {
                return None;
            };
            let points = [0.0, LONG].map(|time| (time, rate * (ALONE - stay).max(0.0))).to_vec();
            Some(Theory { label: case.label.clone(), points })
        });
        Table {
            columns: &["time", "eta", "L / (lambda T)"],
            rows: rows.collect(),
            theory: theory.collect(),
        }
    },
};

/// The times of peers that came when the swarm had settled, and early enough to be done.
fn settled(run: &Run) -> impl Iterator<Item = f64> + '_ {
    let peers = run.peers.iter().filter(|peer| (WARM..LONG - WARM).contains(&peer.arrived));
    peers.filter_map(|peer| peer.time)
}

/// Little's law: the average number of peers, by the arrivals and the average time. It is 1.
fn little(run: &Run) -> Option<f64> {
    let came = run.peers.iter().filter(|peer| (WARM..LONG - WARM).contains(&peer.arrived)).count();
    let window = LONG - 2.0 * WARM;
    let step = 5.0;
    let looks = (window / step) as u32;
    let here = mean((0..looks).map(|at| leechers_at(run, WARM + step * f64::from(at))))?;
    let time = mean(settled(run))?;
    (came > 0).then(|| here / (came as f64 / window * time))
}

/// A swarm for each rule for pieces. The seed's rule is that of early clients, as in the papers;
/// the last row has the client's own.
fn by_rules((peers, pieces): (u32, u32), seed_up: f64) -> Vec<Case> {
    let case = |(name, piece_rule, slot_rule): (&str, PieceRule, SlotRule)| {
        let seed = Class { slot_rule, ..Class::seed(seed_up) };
        let peer = Class { piece_rule, ..Class::new("peer", peers, LINE) };
        Case::new(name, Setup::new(pieces, vec![seed, peer]))
    };
    let rules = PIECE_RULES.into_iter().map(|(name, rule)| (name, rule, SlotRule::Fastest));
    let own = ("rarest first, in turn", PieceRule::RarestFirst, SlotRule::Client);
    rules.chain([own]).map(case).collect()
}

/// Copies of the whole that the seed gives before it leaves.
const COPIES: f64 = 1.5;

pub(super) const LEAVING_SEED: Experiment = Experiment {
    name: "leaving-seed",
    title: "the seed leaves when it has given one and a half copies",
    known: "rarest first keeps the swarm alive (Legout 2006)",
    see: "with which rule all pieces are still there when the seed has gone, and what it costs that the client's seeds give in turn",
    default: (100, 200, 10),
    compares: &["seed-rule"],
    about_giving: false,
    cases: |peers, pieces| {
        let mut cases = by_rules((peers, pieces), 128.0 * KIB);
        for case in &mut cases {
            let seeds = case.setup.classes.iter_mut().filter(|class| class.is_seed());
            seeds.for_each(|seed| seed.stay = Stay::Copies(COPIES));
        }
        cases
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let survives = runs.iter().filter(|run| run.alive == 1.0).count();
            let given = over(runs, |run| {
                let seeds = run.peers.iter().take(1).map(|seed| seed.given).sum::<f64>();
                Some(seeds / case.setup.length())
            });
            let left = over(runs, |run| Some(100.0 * run.alive));
            let cells = [(Some(survives as f64), 0, ""), (left, 1, " %"), (given, 2, "")];
            let mut row = row(&case.label, &cells);
            if let Some(cell) = row.cells.first_mut() {
                *cell = format!("{survives}/{}", runs.len());
            }
            row
        });
        Table {
            columns: &["survives", "pieces left", "given by the seed"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

pub(super) const PIECES: Experiment = Experiment {
    name: "pieces",
    title: "which piece a peer fetches next",
    known: "the time in which the seed alone has some pieces is shortest with rarest first (Legout 2006)",
    see: "when the first whole copy is out, and how much of their lines the peers use until they are done",
    default: (200, 200, 1),
    compares: &["seed-rule"],
    about_giving: false,
    cases: |peers, pieces| by_rules((peers, pieces), 256.0 * KIB),
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            let seeds = case.setup.classes.iter().filter(|class| class.is_seed());
            let least = case.setup.length() / seeds.map(|class| class.up).sum::<f64>();
            let whole = over(runs, |run| run.whole_copy);
            row(
                &case.label,
                &[
                    (whole, 0, " s"),
                    (whole.map(|time| time / least), 2, ""),
                    (over(runs, |run| Some(run.used)), 2, ""),
                    (over(runs, |run| median(run.times.iter().copied())), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["whole copy after", "by the least time", "lines used", "median time"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};

pub(super) const SUPER_SEED: Experiment = Experiment {
    name: "super-seed",
    title: "a seed that shows each peer one piece at a time, and one that shows all",
    known: "a whole copy is out after the seed gave about one, instead of one and a half to two (BEP 16)",
    see: "what the seed gave until the others had one whole copy among them",
    default: (100, 200, 3),
    compares: &[],
    about_giving: false,
    cases: |peers, pieces| {
        let case = |(label, super_seed): (&str, bool)| {
            let seed = Class { super_seed, ..Class::seed(128.0 * KIB) };
            let peers = Class::new("peer", part(peers, 1.0), LINE);
            Case::new(label, Setup::new(pieces, vec![seed, peers]))
        };
        [("shows all", false), ("super seed", true)].into_iter().map(case).collect()
    },
    table: |cases, runs| {
        let rows = cases.iter().zip(runs).map(|(case, runs)| {
            row(
                &case.label,
                &[
                    (over(runs, |run| run.whole_copy), 0, " s"),
                    (over(runs, |run| run.seed_copies), 2, ""),
                    (over(runs, |run| median(run.times.iter().copied())), 0, " s"),
                ],
            )
        });
        Table {
            columns: &["whole copy after", "copies given by then", "median time"],
            rows: rows.collect(),
            theory: Vec::new(),
        }
    },
};
