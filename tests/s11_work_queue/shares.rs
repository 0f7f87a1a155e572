//! One peer's part in the queue: what it has, what it hears, and when it is useful.

use super::super::support::{Recipe, Torrent, assert_number, content};
use super::memory::{Dice, Memory, bits, info, join, queue, queue_of, seed};
use piecemeal::s02_metainfo::PieceIndex;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// This many pieces of one block of 16 bytes.
fn torrent(pieces: u32) -> Torrent {
    Recipe::single("t", 16, content(pieces as usize * 16, pieces)).build()
}

fn lease(claim: Claim) -> Option<Lease> {
    if let Claim::Lease(lease) = claim { Some(lease) } else { None }
}

/// Fetches the piece that a lease is for.
fn fetch(mut lease: Lease, torrent: &Torrent, store: &Memory) -> u32 {
    let piece = lease.piece().get();
    let block = torrent.piece(piece as usize);
    assert_eq!(lease.write(0, &[block], store).expect("memory takes it"), Written::Verified);
    piece
}

fn numbers(news: Vec<PieceIndex>) -> Vec<u32> {
    news.into_iter().map(PieceIndex::get).collect()
}

#[test]
fn interest_and_news_are_right_in_whatever_order_things_happen() {
    for seed_number in 0..12 {
        let mut dice = Dice::new(seed_number);
        let pieces = [1, 3, 64, 70][seed_number as usize % 4];
        let torrent = torrent(pieces);
        let there =
            bits(pieces, (0..pieces).filter(|_| pieces > 1 && dice.one_in(3)).collect::<Vec<_>>());
        // In four rounds, some pieces are not wanted.
        let wanted = (0..pieces).filter(|_| seed_number / 4 != 1 || !dice.one_in(3));
        let wanted = bits(pieces, wanted.collect::<Vec<_>>());
        let queue = WorkQueue::new(Arc::new(info(&torrent)), &there, &wanted);
        let wanted: BTreeSet<u32> = wanted.iter().chain(there.iter()).collect();
        let store = Memory::of(&torrent);
        let mut finisher = seed(&queue, 0);
        // What each peer has, and what it has been told.
        let mut model: Vec<(Claimant, BTreeSet<u32>, BTreeSet<u32>)> = Vec::new();
        let mut done: BTreeSet<u32> = there.iter().collect();
        for step in 0..400 {
            if model.len() < 4 || dice.one_in(40) {
                let from_start = dice.one_in(2);
                let told = if from_start { BTreeSet::new() } else { done.clone() };
                model.push((join(&queue, step + 1, from_start), BTreeSet::new(), told));
                if model.len() > 6 {
                    model.remove(0);
                }
            }
            let chosen = dice.roll(model.len() as u32) as usize;
            let (share, has, told) = &mut model[chosen];
            // Now and then an index out of range.
            let piece = dice.roll(pieces + 1);
            match dice.roll(9) {
                0 => {
                    share.set_pieces(PeerPieces::All);
                    *has = (0..pieces).collect();
                }
                1 => {
                    *has = (0..pieces).filter(|_| dice.one_in(2)).collect();
                    share.set_pieces(PeerPieces::Some(bits(pieces, has.iter().copied())));
                }
                2 => {
                    *has = BTreeSet::new();
                    share.set_pieces(PeerPieces::Some(Bitfield::new(pieces)));
                }
                3 | 4 => {
                    share.have(piece);
                    has.extend((piece < pieces).then_some(piece));
                }
                5 | 6 => {
                    share.lost(piece);
                    has.remove(&piece);
                }
                7 => {
                    if let Some(lease) = lease(finisher.claim(true)) {
                        done.insert(fetch(lease, &torrent, &store));
                    }
                }
                _ => {
                    let news = numbers(share.news());
                    let new: BTreeSet<u32> = news.iter().copied().collect();
                    assert_eq!(news.len(), new.len(), "nothing is told twice");
                    assert_eq!(new, done.difference(told).copied().collect(), "all that is new");
                    *told = done.clone();
                }
            }
            assert_eq!(share.is_seed(), has.len() as u32 == pieces);
            // A finished piece counts as wanted until the peer's thread has heard of it.
            assert_eq!(
                share.is_interesting(),
                has.intersection(&wanted).any(|piece| !told.contains(piece)),
                "step {step}: has {has:?}, done {done:?}, told {told:?}"
            );
        }
        for (share, has, _) in &mut model {
            share.news();
            let missing = has.intersection(&wanted).any(|piece| !done.contains(piece));
            assert_eq!(share.is_interesting(), missing);
        }
        while let Some(lease) = lease(finisher.claim(true)) {
            done.insert(fetch(lease, &torrent, &store));
        }
        assert!(matches!(finisher.claim(true), Claim::Over) && queue.is_complete());
        assert_eq!((done, queue.bytes_left()), (wanted, 0));
    }
}

#[test]
fn news_come_in_the_order_of_finishing_to_each_peer() {
    let torrent = torrent(5);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut one = seed(&queue, 1);
    let mut order = vec![fetch(lease(one.claim(true)).expect("all wait"), &torrent, &store)];
    let (mut late, mut from_start) =
        (Claimant::join(&queue, 2), Claimant::join_from_start(&queue, 3));
    order.push(fetch(lease(one.claim(true)).expect("four wait"), &torrent, &store));
    assert_eq!(numbers(one.news()), order);
    assert_eq!(numbers(late.news()), order[1..]);
    assert_eq!(numbers(from_start.news()), order);
    assert_eq!(numbers(one.news()), [0; 0]);
    order.push(fetch(lease(one.claim(true)).expect("three wait"), &torrent, &store));
    assert_eq!(numbers(late.news()), order[2..]);
}

#[test]
fn a_claim_is_for_a_piece_that_the_peer_has_and_that_is_missing() {
    for round in 0..200 {
        let mut dice = Dice::new(round);
        let torrent = torrent(130);
        let done: BTreeSet<u32> = (0..130).filter(|_| dice.one_in(2)).collect();
        let queue = queue_of(info(&torrent), done.iter().copied());
        let has: BTreeSet<u32> = (0..130).filter(|_| dice.one_in(10)).collect();
        let mut share = Claimant::join(&queue, 1);
        share.set_pieces(PeerPieces::Some(bits(130, has.iter().copied())));
        let held: Vec<Lease> = std::iter::from_fn(|| lease(share.claim(true))).collect();
        let claimed: BTreeSet<u32> = held.iter().map(|lease| lease.piece().get()).collect();
        assert_eq!(
            claimed,
            has.difference(&done).copied().collect(),
            "each of them, and nothing else"
        );
        assert_eq!(held.len(), claimed.len(), "each of them once");
    }
}

#[test]
fn the_rarest_piece_goes_first() {
    let torrent = torrent(6);
    let queue = queue(&torrent);
    let mut peers: Vec<Claimant> = (1..=4).map(|number| Claimant::join(&queue, number)).collect();
    // Piece 3 has one peer, 1 has two, 4 three, the others four.
    let has = [vec![0, 1, 2, 3, 4, 5], vec![0, 1, 2, 4, 5], vec![0, 2, 4, 5], vec![0, 2, 5]];
    // The first has all: a seed is not counted, and changes nothing.
    for (peer, has) in peers.iter_mut().zip(&has) {
        peer.set_pieces(PeerPieces::Some(bits(6, has.iter().copied())));
    }
    let held: Vec<Lease> = std::iter::from_fn(|| lease(peers[0].claim(true))).collect();
    let order: Vec<u32> = held.iter().map(|lease| lease.piece().get()).collect();
    assert_eq!(order[..3], [3, 1, 4]);
    drop(held);
    // Peers that leave take their counts with them.
    peers.truncate(2);
    peers[1].lost(0);
    let held: Vec<Lease> = std::iter::from_fn(|| lease(peers[0].claim(true))).collect();
    let mut rarest: Vec<u32> = held.iter().take(2).map(|lease| lease.piece().get()).collect();
    rarest.sort_unstable();
    assert_eq!(rarest, [0, 3]);
}

#[test]
fn nothing_is_claimed_from_who_has_nothing_or_when_all_is_done() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut nobody = Claimant::join(&queue, 1);
    assert!(matches!(nobody.claim(true), Claim::Later), "it has nothing, and two pieces wait");
    nobody.have(7);
    nobody.lost(7);
    nobody.lost(u32::MAX);
    assert!(!nobody.is_interesting(), "the torrent has no piece 7");
    assert!(matches!(nobody.claim(true), Claim::Later), "it still has nothing");
    let mut one = seed(&queue, 2);
    while let Some(lease) = lease(one.claim(true)) {
        fetch(lease, &torrent, &store);
    }
    assert!(matches!(one.claim(true), Claim::Over), "all is done, for the peer that brought it");
    assert!(matches!(nobody.claim(true), Claim::Over), "all is done, also for a peer with nothing");
    assert_eq!((queue.counts(), queue.bytes_left()), ((0, 0, 2), 0));
    assert!(queue.given_pieces().is_full());
    assert_eq!(store.content(), torrent.content);
}

#[test]
fn who_found_nothing_finds_what_comes_back_or_becomes_known() {
    let torrent = torrent(3);
    let queue = queue(&torrent);
    let (mut busy, mut idle) = (seed(&queue, 1), Claimant::join(&queue, 2));
    // Another piece waits throughout, so that this is not the end game.
    let held: Vec<Lease> = (0..2).filter_map(|_| lease(busy.claim(true))).collect();
    let on_loan: Vec<u32> = held.iter().map(|lease| lease.piece().get()).collect();
    idle.have(on_loan[0]);
    for time in ["first", "second"] {
        let claim = idle.claim(true);
        assert!(
            matches!(claim, Claim::Later),
            "the {time} claim gets nothing: its only piece is on loan, and another waits, so it is \
             not the end game yet"
        );
    }
    drop(held);
    let back = lease(idle.claim(true)).expect("it has come back");
    assert_eq!(back.piece().get(), on_loan[0]);
    assert!(matches!(idle.claim(true), Claim::Later), "it has no other");
    idle.have(on_loan[1]);
    assert_eq!(lease(idle.claim(true)).map(|lease| lease.piece().get()), Some(on_loan[1]));
}

/// How often a claim that gets nothing rolls the dice. Each search for the rarest piece does.
fn rolls(share: &mut Claimant) -> u32 {
    let mut rolls = 0;
    let claim = share.claim_at(true, Instant::now(), &mut |_| {
        rolls += 1;
        0
    });
    assert!(matches!(claim, Claim::Later), "the pieces that wait are not those of this peer");
    rolls
}

#[test]
fn a_peer_that_can_find_nothing_does_not_search() {
    let torrent = torrent(3);
    let there = bits(3, [0]);
    let queue = WorkQueue::new(Arc::new(info(&torrent)), &there, &Bitfield::full(3));
    let (mut busy, mut idle) = (seed(&queue, 1), Claimant::join(&queue, 2));
    idle.have(0);
    let known = [(1, "the peer has nothing that we lack: that is known without a search")];
    let what = "the searches for a peer that has only a piece that is done";
    assert_number(what, rolls(&mut idle), 0, "BEP 3, work queue", &known);
    // Its second piece is on loan, and the third waits.
    let held = lease(busy.claim(true)).expect("two wait");
    idle.have(held.piece().get());
    let what = "the searches for a peer that has a missing piece, which is on loan";
    assert_number(what, rolls(&mut idle), 1, "BEP 3, work queue", &[]);
    let known = [(1, "nothing has come back since the first search, so a second finds no more")];
    let what = "the searches in its second claim";
    assert_number(what, rolls(&mut idle), 0, "BEP 3, work queue", &known);
}

#[test]
fn what_is_not_wanted_is_never_lent_and_the_rest_is_complete_without_it() {
    let torrent = Recipe::single("t", 16, content(100, 1)).build();
    // Of the wanted pieces, 2 and 6 are missing. Piece 4 is there, though it is not wanted.
    let queue = WorkQueue::new(Arc::new(info(&torrent)), &bits(7, [0, 4]), &bits(7, [0, 2, 6]));
    let store = Memory::of(&torrent);
    assert_eq!((queue.counts(), queue.bytes_left()), ((2, 0, 2), 16 + 4));
    assert!(!queue.is_complete());
    assert_eq!(queue.given_pieces().encode(), [0b1000_1000]);
    let mut useless = Claimant::join(&queue, 1);
    useless.set_pieces(PeerPieces::Some(bits(7, [0, 1, 3])));
    useless.have(5);
    assert!(!useless.is_interesting() && matches!(useless.claim(true), Claim::Later));
    let mut all = seed(&queue, 2);
    // Not even if the peer itself has named it.
    assert!([0, 1, 3, 4, 5].iter().all(|piece| all.claim_piece(*piece).is_none()));
    let held: Vec<Lease> = std::iter::from_fn(|| lease(all.claim(true))).collect();
    let claimed: BTreeSet<u32> = held.iter().map(|lease| lease.piece().get()).collect();
    assert_eq!(claimed, BTreeSet::from([2, 6]));
    for lease in held {
        assert!(all.is_interesting() && !queue.is_complete());
        fetch(lease, &torrent, &store);
        all.news();
    }
    assert_eq!((queue.counts(), queue.bytes_left()), ((0, 0, 4), 0));
    assert!(queue.is_complete() && !all.is_interesting());
    assert!(matches!(all.claim(true), Claim::Over) && matches!(useless.claim(true), Claim::Over));
    assert_eq!(queue.given_pieces().encode(), [0b1010_1010]);
    // Where nothing is wanted, nothing is missing.
    let queue = WorkQueue::new(Arc::new(info(&torrent)), &Bitfield::new(7), &Bitfield::new(7));
    assert_eq!((queue.counts(), queue.bytes_left()), ((0, 0, 0), 0));
    assert!(queue.is_complete() && !seed(&queue, 1).is_interesting());
}

#[test]
fn what_is_there_already_is_done_from_the_start() {
    let torrent = Recipe::single("t", 16, content(100, 1)).build();
    let queue = queue_of(info(&torrent), [0, 6]);
    assert_eq!((queue.counts(), queue.bytes_left()), ((5, 0, 2), 80));
    assert_eq!(queue.given_pieces().encode(), [0b1000_0010]);
    let mut share = Claimant::join_from_start(&queue, 1);
    assert_eq!(numbers(share.news()), [0, 6]);
    share.set_pieces(PeerPieces::Some(bits(7, [0, 6])));
    assert!(!share.is_interesting());
}
