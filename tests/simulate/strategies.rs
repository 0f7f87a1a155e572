//! Rules that are not the client's: what they are told, and what becomes of their answers.

use piecemeal::simulate::outcome::Run;
use piecemeal::simulate::setup::{Class, Setup, SlotRule};
use piecemeal::simulate::simulate;
use piecemeal::simulate::strategy::{ChokeQuestion, PieceQuestion, Strategy};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// A swarm of twelve, in which one class has this rule.
fn with(rule: SlotRule) -> Run {
    let own = Class { slot_rule: rule, ..Class::new("own", 3, 65536.0) };
    let classes = vec![Class::seed(262_144.0), Class::new("others", 9, 65536.0), own];
    simulate(&Setup::new(40, classes), "", 5, &AtomicBool::new(false))
}

fn strategy<S: Strategy + 'static>(make: impl Fn() -> S + Send + Sync + 'static) -> SlotRule {
    SlotRule::Strategy(Arc::new(move |_| -> Box<dyn Strategy> { Box::new(make()) }))
}

/// Answers always the same.
struct Fixed(Option<Vec<(usize, f64)>>);

impl Strategy for Fixed {
    fn choke(&mut self, _: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        self.0.clone()
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_counted_and_the_client_decides() {
    let wrong: [&[(usize, f64)]; 6] = [
        &[(1000, 1.0)],
        &[(0, f64::NAN)],
        &[(0, 0.0)],
        &[(0, -1.0)],
        &[(0, f64::INFINITY)],
        &[(0, 1.0), (0, 1.0)],
    ];
    for answer in wrong {
        let run = with(strategy(move || Fixed(Some(answer.to_vec()))));
        assert!(run.fallbacks > 0, "{answer:?} is no answer");
        assert_eq!(run.times.len(), 12, "{answer:?}: all are done");
    }
    let run = with(strategy(|| Fixed(None)));
    assert_eq!(run, with(SlotRule::Client), "no answer leaves it to the client, in all it does");
    let run = with(strategy(|| Fixed(Some(Vec::new()))));
    let given: f64 = run.peers.iter().filter(|peer| peer.class == 2).map(|peer| peer.given).sum();
    assert_eq!((run.fallbacks, given), (0, 0.0), "nobody is a good answer");
}

/// Notes what it is asked, and chooses the highest piece.
struct Asked(Arc<Mutex<(Vec<ChokeQuestion>, Vec<PieceQuestion>)>>);

impl Strategy for Asked {
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        self.0.lock().expect("nobody panicked").0.push(question.clone());
        None
    }

    fn piece(&mut self, question: &PieceQuestion) -> Option<u32> {
        self.0.lock().expect("nobody panicked").1.push(question.clone());
        question.offers.iter().copied().max()
    }

    fn chooses_pieces(&self) -> bool {
        true
    }
}

#[test]
fn a_strategy_is_told_what_a_peer_could_know_and_chooses_its_pieces() {
    let asked: Arc<Mutex<_>> = Arc::default();
    let notes = Arc::clone(&asked);
    let run = with(strategy(move || Asked(Arc::clone(&notes))));
    assert_eq!((run.fallbacks, run.times.len()), (0, 12));
    let (chokes, pieces) = &*asked.lock().expect("nobody panicked");
    let first = pieces.first().expect("it is asked for a piece");
    assert_eq!(first.offers.len(), first.copies.len());
    assert!(first.copies.iter().all(|copies| *copies >= 1), "whoever offers a piece has it");
    for question in pieces {
        assert!(!question.offers.is_empty(), "it is asked only if there is a choice");
        assert!(question.offers.is_sorted_by(|one, next| one < next), "{:?}", question.offers);
    }
    let mut last = None;
    for question in chokes.iter().filter(|question| question.peer == first.peer) {
        assert_eq!((question.slots, question.up), (5, 65536.0));
        let ids: Vec<u32> = question.peers.iter().map(|known| known.id).collect();
        assert!(!ids.contains(&question.peer), "it does not know itself as another");
        assert!(last.is_none_or(|round| question.round == round + 1), "round by round");
        last = Some(question.round);
        for known in &question.peers {
            assert!(known.came <= known.came_in_all && known.went <= known.went_in_all);
            assert!(known.has <= 40);
        }
    }
    assert!(last.is_some(), "it is asked for its slots");
}
