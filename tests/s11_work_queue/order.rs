//! Rarest first: the waiting pieces, against a model that scans everything.

use super::super::support::told::Plain;
use super::super::support::{assert_chosen, assert_number};
use super::memory::{Dice, below, bits, in_time, of_bytes, queue_of};
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::rarest::{WORDS_A_TURN, Waiting};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// The waiting pieces and whether each was begun; the number of peers that have each piece.
struct Model {
    waiting: BTreeMap<u32, bool>,
    counts: Vec<u32>,
}

impl Model {
    /// 0 for begun pieces, else one more than the number of peers; 30 is plenty.
    fn class(&self, piece: u32) -> u32 {
        if self.waiting[&piece] { 0 } else { 1 + self.counts[piece as usize].min(30) }
    }

    fn lowest(&self, have: impl Fn(u32) -> bool) -> Option<u32> {
        self.waiting.keys().filter(|piece| have(**piece)).map(|piece| self.class(*piece)).min()
    }

    /// Fails unless a piece is one of the rarest of those that the peer has.
    #[track_caller]
    fn assert_rarest(&self, what: &str, found: Option<u32>, have: impl Fn(u32) -> bool) {
        let lowest = self.lowest(&have);
        if found.map(|piece| self.class(piece)) == lowest {
            return;
        }
        let rarest = |piece: &&u32| have(**piece) && Some(self.class(**piece)) == lowest;
        let right = self.waiting.keys().find(rarest).copied();
        let shown = |piece: Option<u32>| {
            Plain(piece.map_or("no piece".to_owned(), |piece| match self.class(piece) {
                0 => format!("piece {piece}, which is begun"),
                class => format!("piece {piece}, which {} peers have", class - 1),
            }))
        };
        let why = "of the pieces that it has, begun ones come first, and then those that the fewest peers have";
        assert_chosen(what, shown(found), shown(right), why, "BEP 3, rarest first");
    }

    /// Whether some class has more pieces than one short search covers.
    fn is_crowded(&self) -> bool {
        let mut sizes = BTreeMap::new();
        self.waiting.keys().for_each(|piece| *sizes.entry(self.class(*piece)).or_insert(0) += 1);
        sizes.values().any(|size| *size > 64)
    }

    fn check(&self, waiting: &Waiting, have: &Bitfield) {
        assert_eq!(waiting.len(), self.waiting.len());
        assert_eq!(waiting.is_empty(), self.waiting.is_empty());
        let found = waiting.find(true, |_| true, &mut |below| below / 2);
        self.assert_rarest("the piece for a seed", found, |_| true);
        let found = waiting.find(true, |piece| have.has(piece), &mut |below| below / 2);
        if let Some(piece) = found {
            assert!(
                have.has(piece) && self.waiting.contains_key(&piece),
                "piece {piece} is had and waits"
            );
        }
        if !self.is_crowded() {
            self.assert_rarest("the piece for a partial peer", found, |piece| have.has(piece));
        }
        // Word by word, nothing is missed, and nothing is found too early.
        let mut word = 0;
        while word < have.words().len() {
            let turn = word as u32 * 64..(word + WORDS_A_TURN) as u32 * 64;
            let there = self.waiting.range(turn.clone()).any(|(piece, _)| have.has(*piece));
            let found = waiting.find_from(have, word);
            assert_eq!(found.is_some(), there, "words {word} and on");
            assert!(found.is_none_or(|piece| {
                turn.contains(&piece) && have.has(piece) && self.waiting.contains_key(&piece)
            }));
            word += WORDS_A_TURN;
        }
    }
}

#[test]
fn the_order_is_that_of_a_model_whatever_happens_to_it() {
    for (pieces, steps) in
        [(1, 300), (2, 1000), (63, 700), (64, 700), (65, 700), (700, 250), (20_000, 12)]
    {
        let mut dice = Dice::new(u64::from(pieces));
        let done =
            bits(pieces, (0..pieces).filter(|_| pieces > 2 && dice.one_in(4)).collect::<Vec<_>>());
        let mut waiting = Waiting::new(pieces, |piece| !done.has(piece));
        let mut model = Model {
            waiting: (0..pieces)
                .filter(|piece| !done.has(*piece))
                .map(|piece| (piece, false))
                .collect(),
            counts: vec![0; pieces as usize],
        };
        for _ in 0..steps {
            // A few pieces are favorites of all peers, so that counts get past 30.
            let piece = if dice.one_in(2) { dice.roll(pieces) } else { dice.roll(pieces.min(3)) };
            match dice.roll(8) {
                0 | 1 if model.waiting.contains_key(&piece) => {
                    waiting.remove(piece);
                    model.waiting.remove(&piece);
                }
                0..=2 if !model.waiting.contains_key(&piece) => {
                    let begun = dice.one_in(3);
                    waiting.insert(piece, begun);
                    model.waiting.insert(piece, begun);
                }
                3..=5 => {
                    waiting.count_up(piece);
                    model.counts[piece as usize] += 1;
                }
                _ if model.counts[piece as usize] > 0 => {
                    waiting.count_down(piece);
                    model.counts[piece as usize] -= 1;
                }
                _ => {}
            }
            let sparse = dice.roll(20) + 1;
            let have =
                bits(pieces, (0..pieces).filter(|_| dice.one_in(sparse)).collect::<Vec<_>>());
            model.check(&waiting, &have);
        }
        // Removed one by one, they come rarest first.
        let mut last = 0;
        while let Some(piece) = waiting.find(true, |_| true, &mut |_| 0) {
            let class = model.class(piece);
            assert!(class >= last, "class {class} after class {last}");
            last = class;
            waiting.remove(piece);
            model.waiting.remove(&piece);
        }
        assert!(waiting.is_empty() && model.waiting.is_empty());
    }
}

#[test]
fn among_equals_it_is_not_always_the_same() {
    let (waiting, mut dice) = (Waiting::new(1000, |_| true), Dice::new(1));
    let found: std::collections::HashSet<Option<u32>> = (0..100)
        .map(|_| waiting.find(true, |_| true, &mut |below| dice.roll(below as u32) as usize))
        .collect();
    assert!(found.len() > 50, "100 looks found {} pieces", found.len());
}

#[test]
fn the_dice_are_asked_only_about_a_class_that_has_pieces() {
    // No piece is begun, so the first class is empty. No peer has any, so they are all in the next.
    let waiting = Waiting::new(3, |_| true);
    let found = waiting.find(true, |_| true, &mut below);
    assert!(found.is_some(), "three pieces wait, and each fits");
}

#[test]
fn a_search_without_begun_pieces_passes_them_over() {
    let mut waiting = Waiting::new(2, |_| true);
    waiting.remove(0);
    waiting.insert(0, true);
    let begun = "piece 0 is begun, and comes first";
    let not_begun = "piece 0 is begun: a suspect, which works alone, would have to start it again";
    for (begun_too, right, why) in [(true, 0, begun), (false, 1, not_begun)] {
        let found = waiting.find(begun_too, |_| true, &mut below);
        let what = format!("the piece if `begun_too` is {begun_too}");
        assert_chosen(&what, found, Some(right), why, "BEP 3, rarest first");
    }
}

#[test]
fn a_search_looks_at_64_pieces_of_a_class_and_goes_on_to_the_next() {
    let mut waiting = Waiting::new(1000, |_| true);
    (900..1000).for_each(|piece| waiting.count_up(piece));
    let looks = Cell::new(0);
    let fits = |piece| {
        looks.set(looks.get() + 1);
        piece >= 900
    };
    let found = waiting.find(true, fits, &mut below);
    assert!(found.is_some_and(|piece| piece >= 900), "found {found:?}, but 900 to 999 fit");
    assert_number(
        "the pieces looked at: of 900 that no peer has, none fits; of 100 that one has, each does",
        looks.get(),
        64 + 1,
        "BEP 3, rarest first",
        &[(901, "no more than 64 of a class may be looked at: all others wait for the lock")],
    );
}

/// A search by rarity looks at 64 pieces, and they are all as rare. Then each turn scans 16,384.
#[test]
fn a_claim_finds_the_only_piece_of_a_peer_wherever_it_is() {
    let pieces = 3 * 64 * WORDS_A_TURN as u32;
    for piece in [0, pieces / 2, pieces - 1] {
        let queue = queue_of(of_bytes(pieces), []);
        let mut other = Claimant::join(&queue, 1);
        other.set_pieces(PeerPieces::Some(bits(pieces, (0..pieces).filter(|at| *at != piece))));
        let mut peer = Claimant::join(&queue, 2);
        peer.have(piece);
        let found = match peer.claim_at(true, Instant::now(), &mut below) {
            Claim::Lease(lease) => Some(lease.piece().get()),
            Claim::Later | Claim::Over => None,
        };
        let what = format!("what a peer gets that has only piece {piece} of {pieces}");
        let why = "it waits; if turn 0 does not find it, one of the next two turns does";
        assert_chosen(&what, found, Some(piece), why, "BEP 3, rarest first");
    }
}

/// A piece comes back while a peer searches for it. That peer finds it in a later turn of the same
/// search, unless all turns hold the lock together. Which of the two threads gets the lock first
/// is up to the system, so there are many rounds, and one that succeeds is enough.
#[test]
fn a_claim_lets_others_have_the_lock_between_two_turns() {
    in_time(|| {
        let pieces = 1_000_000;
        let queue = queue_of(of_bytes(pieces), []);
        let [mut holder, mut peer] = [1u32, 2].map(|number| {
            let mut share = Claimant::join(&queue, number);
            share.have(pieces - 1);
            share
        });
        let succeeds = |_| {
            let Claim::Lease(lease) = holder.claim(true) else { panic!("its piece waits") };
            let flags = [AtomicBool::new(false), AtomicBool::new(false)];
            std::thread::scope(|scope| {
                let [ready, searching] = flags.each_ref();
                scope.spawn(move || {
                    ready.store(true, Ordering::SeqCst);
                    wait_for(searching);
                    drop(lease);
                });
                // Turn 0 rolls the dice, and has the lock.
                let claim = peer.claim_at(true, Instant::now(), &mut |limit| {
                    wait_for(ready);
                    searching.store(true, Ordering::SeqCst);
                    below(limit)
                });
                // A claim that rolls no dice is wrong, but not in its use of the lock.
                let is_rolled = searching.swap(true, Ordering::SeqCst);
                matches!(claim, Claim::Lease(_)) || !is_rolled
            })
        };
        assert!(
            (0..ROUNDS).any(succeeds),
            "in {ROUNDS} claims of 62 turns each, no other thread ever got the lock before the \
             claim was over: it must be free between two turns"
        );
    });
}

/// The claims in which another thread may get the lock.
const ROUNDS: u32 = 1000;

fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
}

#[test]
fn a_claim_costs_the_same_among_a_million_pieces() {
    in_time(|| {
        let pieces = 1_000_000;
        let queue = queue_of(of_bytes(pieces), []);
        let mut seed = Claimant::join(&queue, 1);
        seed.set_pieces(PeerPieces::All);
        let mut held = Vec::new();
        // A scan of all pieces for each would take minutes.
        for _ in 0..30_000 {
            let Claim::Lease(lease) = seed.claim(true) else { panic!("a million pieces wait") };
            held.push(lease);
            held.truncate(500);
        }
        assert_eq!(queue.counts(), (pieces as usize - held.len(), held.len(), 0));
        drop(held);
        // A peer that has next to nothing still finds its pieces.
        let mut sparse = Claimant::join(&queue, 2);
        [999_999, 500_000, 3].into_iter().for_each(|piece| sparse.have(piece));
        let mut found: Vec<_> = (0..3)
            .map(|_| match sparse.claim(true) {
                Claim::Lease(lease) => lease,
                _ => panic!("three pieces wait that it has"),
            })
            .collect();
        found.sort_by_key(|lease| lease.piece());
        assert_eq!(
            found.iter().map(|lease| lease.piece().get()).collect::<Vec<_>>(),
            [3, 500_000, 999_999]
        );
        assert!(matches!(sparse.claim(true), Claim::Later));
    });
}

/// A peer looks through the words of the waiting pieces in several turns. A piece
/// that comes back meanwhile must be found by its next claim.
#[test]
fn a_piece_that_comes_back_during_a_claim_is_not_overlooked_by_the_next() {
    in_time(|| {
        let pieces = 200_000;
        let queue = queue_of(of_bytes(pieces), []);
        let mut other = Claimant::join(&queue, 1);
        other.set_pieces(PeerPieces::Some(bits(pieces, [0])));
        let mut peer = Claimant::join(&queue, 2);
        peer.set_pieces(PeerPieces::Some(bits(pieces, [0])));
        let looking = AtomicU32::new(0);
        for round in 1..=150 {
            let Claim::Lease(lease) = other.claim(true) else {
                panic!("round {round}: piece 0 waits")
            };
            std::thread::scope(|scope| {
                let looking = &looking;
                let giver = scope.spawn(move || {
                    while looking.load(Ordering::SeqCst) != round {
                        std::hint::spin_loop();
                    }
                    (0..round % 50 * 20).for_each(|_| std::hint::spin_loop());
                    drop(lease);
                });
                looking.store(round, Ordering::SeqCst);
                let first = peer.claim(true);
                giver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                let found =
                    matches!(first, Claim::Lease(_)) || matches!(peer.claim(true), Claim::Lease(_));
                assert!(
                    found,
                    "round {round}: piece 0 has come back, and the peer is told that there is nothing"
                );
            });
        }
    });
}
