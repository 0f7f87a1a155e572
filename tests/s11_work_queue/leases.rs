//! The way of a block from the socket to the disk, and which peer is to blame.

use super::super::support::{Recipe, Torrent, content};
use super::by_blocks::by_blocks;
use super::memory::{Failing, Memory, info, lease, queue, queue_of, seed};
use piecemeal::s05_messages::Request;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Pieces of 40,000 bytes: blocks at 0, 16,384 and 32,768, the last one of 7,232.
/// The last piece has 20,000.
fn torrent(pieces: usize) -> Torrent {
    Recipe::single("t", 40_000, content((pieces - 1) * 40_000 + 20_000, 3)).build()
}

const BEGINS: [u32; 3] = [0, 16_384, 32_768];

/// A peer that has only this piece.
fn only(queue: &Arc<WorkQueue>, number: u32, piece: u32) -> Claimant {
    let mut share = Claimant::join(queue, number);
    share.have(piece);
    share
}

fn is_later(share: &mut Claimant) -> bool {
    matches!(share.claim(true), Claim::Later)
}

fn block(torrent: &Torrent, piece: u32, begin: u32) -> Vec<u8> {
    let piece = torrent.piece(piece as usize);
    piece[begin as usize..piece.len().min(begin as usize + 16_384)].to_vec()
}

fn write(lease: &mut Lease, torrent: &Torrent, begin: u32, store: &dyn Store) -> Written {
    let block = block(torrent, lease.piece().get(), begin);
    lease.write(begin, &[&block], store).expect("the store takes it")
}

fn write_wrong(lease: &mut Lease, torrent: &Torrent, begin: u32, store: &dyn Store) -> Written {
    let block: Vec<u8> =
        block(torrent, lease.piece().get(), begin).iter().map(|byte| !byte).collect();
    lease.write(begin, &[&block], store).expect("the store takes it")
}

/// What a lease has still to ask for: begin and length.
fn asks(lease: &mut Lease) -> Vec<(u32, u32)> {
    std::iter::from_fn(|| lease.next_request())
        .map(|Request { begin, length, .. }| (begin, length))
        .collect()
}

#[test]
fn a_piece_is_checked_as_the_torrent_says_in_whatever_order_its_blocks_come() {
    let torrent = torrent(2);
    let info = by_blocks(info(&torrent), &torrent.content);
    let queue = queue_of(info, []);
    let store = Memory::of(&torrent);
    let (mut liar, mut first, mut last) =
        (only(&queue, 1, 0), only(&queue, 2, 0), only(&queue, 3, 1));
    let mut held = lease(&mut liar);
    assert_eq!(write(&mut held, &torrent, 32_768, &*store), Written::More);
    assert_eq!(write(&mut held, &torrent, 0, &*store), Written::More);
    assert_eq!(write_wrong(&mut held, &torrent, 16_384, &*store), Written::Corrupt(vec![1]));
    let mut held = lease(&mut first);
    assert_eq!(write(&mut held, &torrent, 16_384, &*store), Written::More);
    assert_eq!(write(&mut held, &torrent, 32_768, &*store), Written::More);
    assert_eq!(write(&mut held, &torrent, 0, &*store), Written::Verified);
    let mut held = lease(&mut last);
    assert_eq!(write(&mut held, &torrent, 16_384, &*store), Written::More);
    assert_eq!(write(&mut held, &torrent, 0, &*store), Written::Verified);
    assert!(queue.is_complete() && store.content() == torrent.content);
}

#[test]
fn blocks_are_asked_for_once_and_in_order() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let (mut first, mut last) = (only(&queue, 1, 0), only(&queue, 2, 1));
    let mut lease_0 = lease(&mut first);
    assert!(!lease_0.is_fully_requested());
    assert_eq!(lease_0.next_request(), Some(Request { index: 0, begin: 0, length: 16_384 }));
    let rest = [(16_384, 16_384), (32_768, 7_232)];
    assert_eq!(asks(&mut lease_0), rest, "begin and length of each request after the first");
    assert!(lease_0.is_fully_requested() && lease_0.next_request().is_none());
    let all = [(0, 16_384), (16_384, 3_616)];
    assert_eq!(asks(&mut lease(&mut last)), all, "the last piece ends after 20,000 bytes");
}

#[test]
fn blocks_in_any_order_make_the_piece() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let torrent = torrent(1 + 1);
        let queue = queue(&torrent);
        let store = Memory::of(&torrent);
        let mut peer = only(&queue, 1, 0);
        let mut lease = lease(&mut peer);
        for (turn, number) in order.into_iter().enumerate() {
            let expected = if turn == 2 { Written::Verified } else { Written::More };
            assert_eq!(
                write(&mut lease, &torrent, BEGINS[number], &*store),
                expected,
                "order {order:?}"
            );
        }
        assert_eq!(queue.counts(), (1, 0, 1));
        assert_eq!(store.content()[..40_000], *torrent.piece(0));
        // In order, nothing is read back.
        assert!(order != [0, 1, 2] || store.bytes_read() == 0);
        assert_eq!(store.writes().len(), 3);
    }
}

#[test]
fn a_block_that_comes_twice_is_stale_and_not_written_again() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut peer = only(&queue, 1, 1);
    let mut lease = lease(&mut peer);
    assert_eq!(write(&mut lease, &torrent, 16_384, &*store), Written::More);
    assert_eq!(write_wrong(&mut lease, &torrent, 16_384, &*store), Written::Stale);
    assert_eq!(write(&mut lease, &torrent, 0, &*store), Written::Verified);
    assert_eq!(
        write_wrong(&mut lease, &torrent, 0, &*store),
        Written::Stale,
        "nobody writes into a verified piece"
    );
    assert_eq!(store.writes(), [56_384..60_000, 40_000..56_384]);
    assert_eq!(store.content()[40_000..], *torrent.piece(1));
}

#[test]
fn a_piece_given_back_keeps_its_progress_and_is_claimed_before_rarer_ones() {
    let torrent = torrent(4);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut first = seed(&queue, 1);
    let mut begun = lease(&mut first);
    let piece = begun.piece().get();
    assert_eq!(asks(&mut begun).len(), if piece == 3 { 2 } else { 3 });
    assert_eq!(write(&mut begun, &torrent, 16_384, &*store), Written::More);
    drop(begun);
    assert_eq!(queue.counts(), (4, 0, 0));
    // All other pieces are rarer: ten peers have this one.
    let _others: Vec<Claimant> = (10..20).map(|number| only(&queue, number, piece)).collect();
    let mut second = seed(&queue, 2);
    let mut resumed = lease(&mut second);
    assert_eq!(resumed.piece().get(), piece);
    let missing = asks(&mut resumed);
    assert!(
        missing.iter().all(|(begin, _)| *begin != 16_384) && missing[0] == (0, 16_384),
        "{missing:?}"
    );
    for (begin, _) in &missing[..missing.len() - 1] {
        assert_eq!(write(&mut resumed, &torrent, *begin, &*store), Written::More);
    }
    assert_eq!(
        write(&mut resumed, &torrent, missing[missing.len() - 1].0, &*store),
        Written::Verified
    );
    assert_eq!(store.writes().len(), missing.len() + 1, "nothing came twice");
}

#[test]
fn a_corrupt_piece_from_one_peer_names_it_alone_and_starts_again() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut liar = only(&queue, 7, 1);
    let mut spoilt = lease(&mut liar);
    assert_eq!(write(&mut spoilt, &torrent, 0, &*store), Written::More);
    assert_eq!(write_wrong(&mut spoilt, &torrent, 16_384, &*store), Written::Corrupt(vec![7]));
    assert_eq!(write(&mut spoilt, &torrent, 16_384, &*store), Written::Stale, "that loan is over");
    assert_eq!(queue.counts(), (2, 0, 0));
    drop(spoilt);
    assert_eq!((queue.counts(), queue.bytes_left()), ((2, 0, 0), 60_000));
    let mut honest = only(&queue, 8, 1);
    let mut again = lease(&mut honest);
    assert_eq!(asks(&mut again), [(0, 16_384), (16_384, 3_616)], "from scratch");
    assert_eq!(write(&mut again, &torrent, 0, &*store), Written::More);
    assert_eq!(write(&mut again, &torrent, 16_384, &*store), Written::Verified);
}

/// Peer 1 brings a right block and leaves; peer 2 completes the piece with wrong ones.
fn spoilt_by_two(
    queue: &Arc<WorkQueue>,
    torrent: &Torrent,
    store: &Memory,
) -> (Claimant, Claimant) {
    let (mut honest, mut liar) = (only(queue, 1, 0), only(queue, 2, 0));
    let mut begun = lease(&mut honest);
    assert_eq!(write(&mut begun, torrent, 0, store), Written::More);
    drop(begun);
    let mut taken = lease(&mut liar);
    assert_eq!(write_wrong(&mut taken, torrent, 16_384, store), Written::More);
    let Written::Corrupt(mut by) = write_wrong(&mut taken, torrent, 32_768, store) else {
        panic!("the hash is wrong")
    };
    by.sort_unstable();
    assert_eq!(by, [1, 2]);
    (honest, liar)
}

#[test]
fn a_corrupt_piece_from_several_names_them_all_and_its_next_loan_is_exclusive() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let _both = spoilt_by_two(&queue, &torrent, &store);
    // The other piece goes on loan, so that only the spoilt one waits.
    let mut helper = only(&queue, 3, 1);
    let _busy = lease(&mut helper);
    let (mut third, mut fourth) = (only(&queue, 4, 0), only(&queue, 5, 0));
    let mut alone = lease(&mut third);
    assert_eq!(asks(&mut alone).len(), 3, "from scratch");
    assert_eq!(write(&mut alone, &torrent, 0, &*store), Written::More);
    assert!(is_later(&mut fourth), "not even in the end game does anybody join");
    for begin in [16_384, 32_768] {
        write(&mut alone, &torrent, begin, &*store);
    }
    assert_eq!(queue.counts(), (0, 1, 1));
    assert_eq!(store.content()[..40_000], *torrent.piece(0));
}

#[test]
fn the_exclusive_loan_of_a_liar_convicts_it() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let (_honest, mut liar) = spoilt_by_two(&queue, &torrent, &store);
    let mut alone = lease(&mut liar);
    let written = BEGINS.map(|begin| write_wrong(&mut alone, &torrent, begin, &*store));
    assert_eq!(written[2], Written::Corrupt(vec![2]));
}

#[test]
fn suspects_work_alone_until_a_piece_of_theirs_is_right() {
    let torrent = torrent(3);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let (mut honest, mut liar) = spoilt_by_two(&queue, &torrent, &store);
    // A piece that was never spoilt, in the hands of a suspect.
    liar.lost(0);
    liar.have(1);
    let of_suspect = lease(&mut liar);
    let mut helper = only(&queue, 3, 2);
    let _of_helper = lease(&mut helper);
    let mut mine = lease(&mut honest);
    // Nothing waits any more: no peer joins a suspect, and a suspect joins no other.
    let mut seed = seed(&queue, 4);
    let joined = lease(&mut seed);
    assert_eq!(joined.piece().get(), 2);
    assert!(is_later(&mut seed), "suspects have the other two pieces, alone");
    honest.have(2);
    assert!(is_later(&mut honest), "a suspect does not join others at piece 2");
    // It brings a right piece, and is no longer a suspect.
    assert_eq!(
        BEGINS.map(|begin| write(&mut mine, &torrent, begin, &*store))[2],
        Written::Verified
    );
    assert_eq!(lease(&mut honest).piece().get(), 2);
    drop(of_suspect);
    assert_eq!(queue.counts(), (1, 1, 1));
}

#[test]
fn an_exclusive_loan_given_back_by_its_peer_is_not_lost_work_for_that_peer() {
    let torrent = torrent(2);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let (mut honest, liar) = spoilt_by_two(&queue, &torrent, &store);
    drop(liar);
    // Each choke gives the piece back. With less than a piece between two chokes, it
    // would never be complete if every loan began from scratch.
    for (turn, begin) in BEGINS.into_iter().enumerate() {
        let mut alone = lease(&mut honest);
        assert_eq!(
            asks(&mut alone)[0].0,
            begin,
            "turn {turn}: the blocks it brought alone count for it"
        );
        let expected = if turn == 2 { Written::Verified } else { Written::More };
        assert_eq!(write(&mut alone, &torrent, begin, &*store), expected);
    }
}

#[test]
fn in_the_end_game_three_may_hold_a_piece_and_no_copy_counts_twice() {
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut peers: Vec<Claimant> = (1..=4).map(|number| seed(&queue, number)).collect();
    let mut leases: Vec<Lease> = peers[..3].iter_mut().map(lease).collect();
    assert!(is_later(&mut peers[3]), "three are enough");
    assert!(is_later(&mut peers[0]), "nobody joins itself");
    assert_eq!(queue.counts(), (0, 1, 0));
    let forward = [(0, 16_384), (16_384, 3_616)];
    assert_eq!(asks(&mut leases[0]), forward, "the first holder goes from the front");
    assert_eq!(asks(&mut leases[1]), [(16_384, 3_616), (0, 16_384)], "they meet in the middle");
    assert_eq!(write(&mut leases[1], &torrent, 16_384, &*store), Written::More);
    assert_eq!(write_wrong(&mut leases[0], &torrent, 16_384, &*store), Written::Stale);
    assert_eq!(asks(&mut leases[2]), [(0, 16_384)], "what has come is not asked for again");
    // Two leave; the third stays, and there is a seat for the fourth.
    leases.truncate(2);
    let mut late = lease(&mut peers[3]);
    assert_eq!(write(&mut leases[0], &torrent, 0, &*store), Written::Verified);
    assert_eq!(write_wrong(&mut leases[1], &torrent, 0, &*store), Written::Stale);
    assert_eq!(write_wrong(&mut late, &torrent, 0, &*store), Written::Stale);
    assert!(late.next_request().is_none());
    drop((leases, late));
    assert_eq!((queue.counts(), queue.bytes_left()), ((0, 0, 1), 0));
    assert_eq!(store.content(), torrent.content);
}

#[test]
fn a_busy_peer_does_not_join_what_others_are_busy_with() {
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let (mut one, mut two) = (seed(&queue, 1), seed(&queue, 2));
    let _held = lease(&mut one);
    assert!(matches!(two.claim(false), Claim::Later), "a peer that is not idle joins nobody");
    assert!(matches!(two.claim(true), Claim::Lease(_)), "an idle peer joins the only piece");
}

#[test]
fn a_shared_piece_waits_again_only_when_its_last_holder_is_gone() {
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut peers: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    let mut leases: Vec<Lease> = peers.iter_mut().map(lease).collect();
    write(&mut leases[2], &torrent, 0, &*store);
    while leases.pop().is_some() {
        assert_eq!(queue.counts(), if leases.is_empty() { (1, 0, 0) } else { (0, 1, 0) });
    }
    let mut resumed = lease(&mut peers[0]);
    assert_eq!(asks(&mut resumed), [(16_384, 3_616)], "the block at 0 is written");
}

#[test]
fn an_old_holder_cannot_write_into_a_piece_that_began_again() {
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let (mut one, mut two, mut three) = (seed(&queue, 1), seed(&queue, 2), seed(&queue, 3));
    let (mut liar, mut old) = (lease(&mut one), lease(&mut two));
    write_wrong(&mut liar, &torrent, 0, &*store);
    assert_eq!(write(&mut liar, &torrent, 16_384, &*store), Written::Corrupt(vec![1]));
    let mut new = lease(&mut three);
    assert_eq!(write_wrong(&mut old, &torrent, 0, &*store), Written::Stale);
    drop((old, liar));
    assert_eq!(queue.counts(), (0, 1, 0), "the new loan is not theirs to end");
    write(&mut new, &torrent, 0, &*store);
    assert_eq!(write(&mut new, &torrent, 16_384, &*store), Written::Verified);
    assert_eq!(store.content(), torrent.content);
}

#[test]
fn a_store_that_fails_loses_no_piece() {
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let mut peer = seed(&queue, 1);
    let mut held = lease(&mut peer);
    write(&mut held, &torrent, 16_384, &*store);
    let error = held.write(0, &[&block(&torrent, 0, 0)], &Failing).expect_err("the disk is full");
    assert!(matches!(error, StorageError::Io { .. }));
    assert_eq!(queue.counts(), (0, 1, 0));
    drop(held);
    let mut again = lease(&mut peer);
    assert_eq!(asks(&mut again), [(0, 16_384)], "only the other block was written");
    assert_eq!(write(&mut again, &torrent, 0, &*store), Written::Verified);
}

#[test]
fn a_panic_in_the_middle_of_a_block_costs_that_piece_its_progress_and_nothing_else() {
    struct Panicking;
    impl Store for Panicking {
        fn write(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
            resume_unwind(Box::new("a bug")); // without the message of a panic
        }
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), StorageError> {
            unreachable!("nothing is read back")
        }
    }
    let torrent = torrent(1);
    let queue = queue(&torrent);
    let store = Memory::of(&torrent);
    let (mut one, mut two) = (seed(&queue, 1), seed(&queue, 2));
    let mut held = lease(&mut one);
    let mut other = lease(&mut two);
    write(&mut held, &torrent, 16_384, &*store);
    let panicked =
        catch_unwind(AssertUnwindSafe(move || held.write(0, &[&[0; 16_384]], &Panicking)));
    assert!(panicked.is_err());
    assert_eq!(queue.counts(), (0, 1, 0), "the other holds it still");
    // It is unknown what the panic left behind, so all of it is fetched again.
    let all = [(16_384, 3_616), (0, 16_384)];
    assert_eq!(asks(&mut other), all, "both blocks are fetched again");
    write(&mut other, &torrent, 16_384, &*store);
    assert_eq!(write(&mut other, &torrent, 0, &*store), Written::Verified);
    assert_eq!((queue.counts(), store.content()), ((0, 0, 1), torrent.content.clone()));
}
