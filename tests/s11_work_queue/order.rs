//! Rarest first: the waiting pieces, against a model that scans everything.

use super::memory::{Dice, bits, in_time, of_bytes};
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::rarest::{WORDS_A_TURN, Waiting};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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
        assert_eq!(
            found.map(|piece| self.class(piece)),
            self.lowest(|_| true),
            "a seed gets one of the rarest"
        );
        let found = waiting.find(true, |piece| have.has(piece), &mut |below| below / 2);
        if let Some(piece) = found {
            assert!(
                have.has(piece) && self.waiting.contains_key(&piece),
                "piece {piece} is had and waits"
            );
        }
        if !self.is_crowded() {
            assert_eq!(
                found.map(|piece| self.class(piece)),
                self.lowest(|piece| have.has(piece)),
                "the rarest it has"
            );
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
        let mut waiting = Waiting::new(pieces, &done);
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
    let (waiting, mut dice) = (Waiting::new(1000, &Bitfield::new(1000)), Dice::new(1));
    let found: std::collections::HashSet<Option<u32>> = (0..100)
        .map(|_| waiting.find(true, |_| true, &mut |below| dice.roll(below as u32) as usize))
        .collect();
    assert!(found.len() > 50, "100 looks found {} pieces", found.len());
}

#[test]
fn a_claim_costs_the_same_among_a_million_pieces() {
    in_time(|| {
        let pieces = 1_000_000;
        let queue = WorkQueue::new(Arc::new(of_bytes(pieces)), &Bitfield::new(pieces));
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
        let queue = WorkQueue::new(Arc::new(of_bytes(pieces)), &Bitfield::new(pieces));
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
                giver.join().expect("giving back does not panic");
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
