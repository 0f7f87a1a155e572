//! Warnings: what hides the thing that an experiment is about.

use super::knobs::KIB;
use super::outcome::{Ending, Run};
use super::repeat::Case;
use super::setup::Setup;
use crate::s17_seeding::choking::ROUND;

/// A seed must be this much quicker than the quickest peer, or all wait for its next piece.
const STRONG: f64 = 2.0;
/// Fewer rounds than this show nothing of who trades with whom.
const ROUNDS: f64 = 10.0;

/// What can be told before the first run.
pub(super) fn before(cases: &[Case], about_giving: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !about_giving {
        return warnings;
    }
    warnings.extend(cases.iter().find_map(weak_seed));
    let mut short = cases.iter().map(|case| (case, shortest(&case.setup)));
    let round = ROUND.as_secs_f64();
    if let Some((case, time)) = short.find(|(_, time)| *time < ROUNDS * round) {
        warnings.push(format!(
            "{}: a peer could have everything after {time:.0} s, and slots are dealt out every {round} s: below {ROUNDS} rounds nobody has time to trade",
            case.label
        ));
    }
    warnings
}

fn weak_seed(case: &Case) -> Option<String> {
    let classes = &case.setup.classes;
    let seeds: f64 =
        classes.iter().filter(|c| c.is_seed()).map(|c| c.up * f64::from(c.count)).sum();
    let quickest = classes.iter().filter(|c| !c.is_seed()).map(|c| c.up).fold(0.0, f64::max);
    (seeds < STRONG * quickest).then(|| {
        format!(
            "{}: the seed gives {:.0} KiB/s, and the quickest peer {:.0}: below {STRONG} times as much, all wait for the seed's next piece, and what a peer gives makes no difference",
            case.label,
            seeds / KIB,
            quickest / KIB
        )
    })
}

/// The time in which the content could come over an average line, in seconds.
fn shortest(setup: &Setup) -> f64 {
    let all = setup.classes.iter().filter(|class| !class.is_seed());
    let (count, up) = all.fold((0.0, 0.0), |(count, up), class| {
        (count + f64::from(class.count), up + class.up * f64::from(class.count))
    });
    if up > 0.0 { setup.length() * count / up } else { f64::INFINITY }
}

/// What can be told when all is over.
pub(super) fn after(runs: &[Vec<Run>]) -> Vec<String> {
    let count = |ending: Ending| runs.iter().flatten().filter(|run| run.ending == ending).count();
    let all: usize = runs.iter().map(Vec::len).sum();
    let sentences = [
        (
            Ending::NobodyCanFinish,
            "nobody could finish anymore: a piece was gone, nobody gave, or a super seed waited",
        ),
        (Ending::TooLong, "there were too many events, and the run was given up"),
        (Ending::Stopped, "the run was stopped"),
    ];
    let told = sentences.into_iter().filter(|(ending, _)| count(*ending) > 0);
    told.map(|(ending, what)| format!("in {} of {all} runs {what}", count(ending))).collect()
}
