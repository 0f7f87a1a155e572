//! A liar that does not stay to hear the verdict.

use super::super::support::{Recipe, Torrent, content};
use super::memory::{Memory, queue, seed};
use super::net::right;
use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use piecemeal::s11_work_queue::trust::Contributor;
use std::sync::Arc;

/// Pieces of eight blocks, which visitors with one block each cannot complete.
fn torrent(pieces: usize) -> Torrent {
    Recipe::single("t", 131_072, content(pieces * 131_072, 3)).build()
}

/// A peer that has everything, at 192.0.2.`host`.
fn at(queue: &Arc<WorkQueue>, host: u8, number: u32) -> Claimant {
    seed(queue, Contributor { peer: number, origin: Some(Origin::of([192, 0, 2, host].into())) })
}

fn claim(share: &mut Claimant) -> Option<Lease> {
    match share.claim(true) {
        Claim::Lease(lease) => Some(lease),
        Claim::Later | Claim::Over => None,
    }
}

/// Brings the first block that it is asked for, right or wrong.
fn bring(lease: &mut Lease, torrent: &Torrent, store: &dyn Store, good: bool) -> Written {
    let Some(asked) = lease.next_request() else { return Written::Stale };
    let mut block = right(torrent, (asked.index, asked.begin, asked.length));
    if !good {
        block.iter_mut().for_each(|byte| *byte = !*byte);
    }
    lease.write(asked.begin, &[&block], store).expect("memory takes it")
}

/// Brings all that is missing of a piece.
fn finish(lease: &mut Lease, torrent: &Torrent, store: &dyn Store) -> Written {
    loop {
        match bring(lease, torrent, store, true) {
            Written::More => {}
            over => return over,
        }
    }
}

#[test]
fn visitors_that_spoil_a_piece_and_go_spoil_one_each_whatever_they_call_themselves() {
    let torrent = torrent(8);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut good = at(&queue, 1, 0);
    let (mut number, mut corrupt, mut rounds) = (1, 0, 0);
    while !queue.is_complete() {
        rounds += 1;
        assert!(rounds < 100, "{corrupt} corrupt pieces, and no end");
        for host in 100..103 {
            number += 1;
            let mut visitor = at(&queue, host, number);
            if let Some(mut lease) = claim(&mut visitor) {
                bring(&mut lease, &torrent, &*store, false);
            }
        }
        let Some(mut lease) = claim(&mut good) else { continue };
        corrupt += usize::from(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(_)));
    }
    assert!(corrupt <= 3, "{corrupt} pieces were spoilt by three addresses");
    assert!(store.content() == torrent.content);
}

#[test]
fn a_spoilt_piece_goes_to_a_peer_with_a_verified_one_and_a_peer_with_none_waits() {
    let torrent = torrent(2);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut good = at(&queue, 1, 1);
    assert_eq!(finish(&mut claim(&mut good).expect("two pieces wait"), &torrent, &*store), Written::Verified);
    // The liar goes before the verdict.
    {
        let mut liar = at(&queue, 2, 2);
        bring(&mut claim(&mut liar).expect("one piece waits"), &torrent, &*store, false);
    }
    let mut lease = claim(&mut good).expect("it waits again");
    assert!(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(by) if by.len() == 2));
    drop(lease);
    let mut newcomer = at(&queue, 3, 3);
    assert!(claim(&mut newcomer).is_none(), "it has proved nothing");
    let later = std::time::Instant::now() + std::time::Duration::from_secs(11);
    assert!(matches!(newcomer.claim_at(true, later, &mut |_| 0), Claim::Lease(_)), "nobody waits for long");
    assert_eq!(finish(&mut claim(&mut good).expect("it is trusted"), &torrent, &*store), Written::Verified);
}

#[test]
fn a_spoilt_piece_does_not_wait_when_nobody_has_proved_anything() {
    let torrent = torrent(1);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    {
        let mut liar = at(&queue, 2, 2);
        bring(&mut claim(&mut liar).expect("a piece waits"), &torrent, &*store, false);
    }
    let mut good = at(&queue, 1, 1);
    let mut lease = claim(&mut good).expect("it waits again");
    assert!(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(_)));
    drop(lease);
    assert_eq!(finish(&mut claim(&mut good).expect("there is nobody else"), &torrent, &*store), Written::Verified);
}
