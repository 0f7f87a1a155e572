//! From games to scores, a table and its plots.

use super::games::{Game, Played};
use super::voice::Manners;
use super::{Arena, Contestant, Player, Scored};
use crate::s01_bencode::counted;
use crate::simulate::outcome::{Outcome, PeerResult, Row, Run, Scale};
use crate::simulate::plot::panel::{Panel, Series};

/// The scores of a contestant, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Scores {
    alone: f64,
    everybody: f64,
    slowest: f64,
    league: f64,
}

/// Returns the table and the plots.
pub fn of(arena: &Arena, contestants: &[Contestant], played: Vec<Played>) -> Scored {
    let scores: Vec<Scores> =
        contestants.iter().enumerate().map(|(number, it)| scores(number, it, &played)).collect();
    let mut manners = vec![Manners::default(); contestants.len()];
    for (number, of) in played.iter().flat_map(|played| &played.manners) {
        manners[*number].add(of.clone());
    }
    let rows = contestants.iter().enumerate().map(|(number, contestant)| {
        let place = 1 + scores.iter().filter(|it| it.league < scores[number].league).count();
        row(contestant, &scores[number], place, &manners[number])
    });
    let columns = ["alone", "everybody", "slowest", "league", "place", "by the rule", "late"];
    let warnings = contestants.iter().zip(&manners).flat_map(|(it, of)| warnings(&it.name, of));
    let seeds = (arena.seed, arena.last_seed());
    let scale = Scale { peers: arena.peers, pieces: arena.pieces, seeds, ..Scale::default() };
    let outcome = Outcome {
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        warnings: warnings.collect(),
        ..Outcome::default()
    };
    let panels = panels(contestants, &scores, &played);
    let runs: Vec<Run> = played.into_iter().map(|played| played.run).collect();
    Scored { outcome: Outcome { scale: scale.count(&runs), runs, ..outcome }, panels }
}

/// Returns what is to be said of a program, and where it hurts its score.
fn warnings(name: &str, manners: &Manners) -> impl Iterator<Item = String> {
    let Manners { questions: all, by_rule, late, fault } = manners;
    let fault = fault.as_ref().map(|fault| {
        format!("{name}: {fault}; the client's rule decided {by_rule} of {all} times")
    });
    let late = (*late > 0).then(|| {
        format!(
            "{name}: it was late in {}: if the machine was busy, its scores are not its own; run it again with nothing beside it",
            counted(*late, "game")
        )
    });
    fault.into_iter().chain(late)
}

fn row(contestant: &Contestant, scores: &Scores, place: usize, manners: &Manners) -> Row {
    let seconds = [scores.alone, scores.everybody, scores.slowest, scores.league];
    let (by_rule, late) = match contestant.player {
        Player::BuiltIn(_) => ("-".to_owned(), "-".to_owned()),
        Player::Program(_) => {
            (format!("{} of {}", manners.by_rule, manners.questions), manners.late.to_string())
        }
    };
    let cells = seconds.map(|seconds| format!("{seconds:.0} s")).into_iter();
    let numbers = [place as f64, manners.by_rule as f64, manners.late as f64];
    let numbers = seconds.into_iter().chain(numbers);
    Row {
        label: contestant.name.clone(),
        cells: cells.chain([place.to_string(), by_rule, late]).collect(),
        values: numbers.map(Some).collect(),
    }
}

/// Returns the means over all games.
fn scores(number: usize, contestant: &Contestant, played: &[Played]) -> Scores {
    let (mut alone, mut everybody, mut slowest, mut league) = (vec![], vec![], vec![], vec![]);
    for Played { game, run, .. } in played {
        let own = times(run, &contestant.name);
        match game {
            Game::Alone { contestant, .. } if *contestant == number => alone.extend(own),
            Game::Everybody { contestant, .. } if *contestant == number => {
                slowest.push(own.iter().copied().fold(0.0, f64::max));
                everybody.extend(own);
            }
            Game::League { .. } => league.extend(own),
            _ => {}
        }
    }
    Scores {
        alone: mean(&alone),
        everybody: mean(&everybody),
        slowest: mean(&slowest),
        league: mean(&league),
    }
}

/// Returns how long each peer of a class took; one that did not end is as slow as the whole run.
fn times(run: &Run, class: &str) -> Vec<f64> {
    let is_own = |peer: &&PeerResult| run.classes.get(peer.class).is_some_and(|it| it == class);
    run.peers.iter().filter(is_own).map(|peer| peer.time.unwrap_or(run.lasted)).collect()
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len().max(1) as f64
}

fn panels(contestants: &[Contestant], scores: &[Scores], played: &[Played]) -> Vec<Panel> {
    let bars = |title: &str, score: fn(&Scores) -> f64| Panel::Bars {
        title: title.to_owned(),
        unit: "seconds, the mean of all its peers: shorter is better".to_owned(),
        bars: contestants.iter().zip(scores).map(|(it, of)| (it.name.clone(), score(of))).collect(),
    };
    let league = played.iter().find(|played| matches!(played.game, Game::League { .. }));
    let curve = |run: &Run, name: &str| {
        let mut times = times(run, name);
        times.sort_by(f64::total_cmp);
        let done = (0..).map(|number: u32| f64::from(number));
        let points = [0.0].into_iter().chain(times).zip(done).collect();
        Series { name: name.to_owned(), points }
    };
    let curves = league.map(|Played { run, .. }| Panel::Curves {
        title: "The league: peers that have everything".to_owned(),
        units: ("seconds".to_owned(), "peers".to_owned()),
        found: contestants.iter().map(|it| curve(run, &it.name)).collect(),
        theory: Vec::new(),
    });
    let mut panels = vec![
        bars("Alone, among peers with the client's rule", |scores| scores.alone),
        bars("Everybody plays it", |scores| scores.everybody),
        bars("The league", |scores| scores.league),
    ];
    panels.extend(curves);
    panels
}
