//! A liar that does not stay to hear the verdict.

use super::super::support::{Recipe, Torrent, content};
use super::memory::{Memory, bits, queue, seed};
use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s05_messages::bitfield::PeerPieces;
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use piecemeal::s11_work_queue::trust::Contributor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pieces of eight blocks, which visitors with one block each cannot complete.
pub fn torrent(pieces: usize) -> Torrent {
    Recipe::single("t", 131_072, content(pieces * 131_072, 3)).build()
}

/// A peer that has everything, at 192.0.2.`host`.
pub fn at(queue: &Arc<WorkQueue>, host: u8, number: u32) -> Claimant {
    seed(queue, Contributor { peer: number, origin: Some(Origin::of([192, 0, 2, host].into())) })
}

pub fn claim(share: &mut Claimant) -> Option<Lease> {
    match share.claim(true) {
        Claim::Lease(lease) => Some(lease),
        Claim::Later | Claim::Over => None,
    }
}

/// Brings the first block that it is asked for, right or wrong.
pub fn bring(lease: &mut Lease, torrent: &Torrent, store: &dyn Store, good: bool) -> Written {
    let Some(asked) = lease.next_request() else { return Written::Stale };
    let begin = asked.begin as usize;
    let mut block =
        torrent.piece(asked.index as usize)[begin..begin + asked.length as usize].to_vec();
    if !good {
        block.iter_mut().for_each(|byte| *byte = !*byte);
    }
    lease.write(asked.begin, &[&block], store).expect("memory takes it")
}

/// Brings all missing blocks of a piece.
pub fn finish(lease: &mut Lease, torrent: &Torrent, store: &dyn Store) -> Written {
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
        corrupt +=
            usize::from(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(_)));
    }
    assert!(corrupt <= 3, "{corrupt} pieces were spoilt by three addresses");
    assert!(store.content() == torrent.content);
}

#[test]
fn a_spoilt_piece_goes_to_a_peer_with_a_verified_one_and_a_peer_with_none_waits() {
    let torrent = torrent(2);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut good = at(&queue, 1, 1);
    assert_eq!(
        finish(&mut claim(&mut good).expect("two pieces wait"), &torrent, &*store),
        Written::Verified
    );
    // The liar leaves before the verdict.
    {
        let mut liar = at(&queue, 2, 2);
        bring(&mut claim(&mut liar).expect("one piece waits"), &torrent, &*store, false);
    }
    let mut lease = claim(&mut good).expect("it waits again");
    assert!(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(by) if by.len() == 2));
    drop(lease);
    let mut newcomer = at(&queue, 3, 3);
    assert!(claim(&mut newcomer).is_none(), "it has proved nothing");
    let later = Instant::now() + Duration::from_secs(11);
    assert!(
        matches!(newcomer.claim_at(true, later, &mut |_| 0), Claim::Lease(_)),
        "nobody waits for long"
    );
    assert_eq!(
        finish(&mut claim(&mut good).expect("it is trusted"), &torrent, &*store),
        Written::Verified
    );
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
    assert_eq!(
        finish(&mut claim(&mut good).expect("there is nobody else"), &torrent, &*store),
        Written::Verified
    );
}

/// A peer at 192.0.2.`host` that has these pieces.
fn with(queue: &Arc<WorkQueue>, host: u8, number: u32, has: &[u32]) -> Claimant {
    let mut share = Claimant::join(
        queue,
        Contributor { peer: number, origin: Some(Origin::of([192, 0, 2, host].into())) },
    );
    share.set_pieces(PeerPieces::Some(bits(queue.info().piece_count(), has.iter().copied())));
    share
}

/// Two visitors, the peers with these numbers, spoil a piece together and leave. The first lies.
fn spoil(
    queue: &Arc<WorkQueue>,
    torrent: &Torrent,
    store: &dyn Store,
    piece: u32,
    numbers: [u32; 2],
) {
    let [mut liar, mut other] = numbers.map(|number| at(queue, number as u8, number));
    let claim = |share: &mut Claimant| share.claim_piece(piece).expect("the piece waits");
    bring(&mut claim(&mut liar), torrent, store, false);
    let mut lease = claim(&mut other);
    assert!(matches!(finish(&mut lease, torrent, store), Written::Corrupt(by) if by == numbers));
}

#[test]
fn a_piece_that_is_right_at_last_shows_who_lied_about_it() {
    // Whichever peer fetches it then: one that had no part in it, the liar itself, or the one beside it.
    for third in [3, 1, 2] {
        let torrent = torrent(1);
        let (queue, store) = (queue(&torrent), Memory::of(&torrent));
        spoil(&queue, &torrent, &*store, 0, [1, 2]);
        assert_eq!(queue.take_exposed(), [], "nobody knows yet");
        let mut lease = claim(&mut at(&queue, third as u8, 10 + third)).expect("it waits");
        assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
        let exposed: Vec<u32> = queue.take_exposed().into_iter().map(|(_, peer)| peer).collect();
        assert_eq!(exposed, [1], "peer {third} made it right");
        assert_eq!(queue.take_exposed(), []);
    }
}

#[test]
fn lies_of_each_time_that_a_piece_was_wrong_come_to_light() {
    let torrent = torrent(1);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    spoil(&queue, &torrent, &*store, 0, [1, 2]);
    // A liar that has the piece alone is known at once.
    let mut liar = at(&queue, 3, 3);
    let mut lease = claim(&mut liar).expect("it waits");
    bring(&mut lease, &torrent, &*store, false);
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Corrupt(vec![3]));
    let mut good = at(&queue, 4, 4);
    assert_eq!(
        finish(&mut claim(&mut good).expect("it waits"), &torrent, &*store),
        Written::Verified
    );
    assert_eq!(queue.take_exposed().into_iter().map(|(_, peer)| peer).collect::<Vec<_>>(), [1]);
}

/// Makes the peers with these numbers suspects: together they spoil a piece.
pub fn suspects(
    queue: &Arc<WorkQueue>,
    torrent: &Torrent,
    store: &dyn Store,
    piece: u32,
    numbers: [u32; 2],
) -> [Claimant; 2] {
    let [one, two] = numbers.map(|number| at(queue, number as u8, number));
    bring(&mut one.claim_piece(piece).expect("the piece waits"), torrent, store, false);
    let mut lease = two.claim_piece(piece).expect("the piece waits");
    assert!(matches!(finish(&mut lease, torrent, store), Written::Corrupt(by) if by == numbers));
    drop(lease);
    [one, two]
}

#[test]
fn a_lie_in_a_piece_that_somebody_begins_anew_comes_to_light_too() {
    let torrent = torrent(2);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let [mut suspect, _] = suspects(&queue, &torrent, &*store, 0, [1, 2]);
    suspect.lost(0);
    // Two peers bring one block each of the other piece, and leave. One of them lies.
    for (number, good) in [(3, true), (4, false)] {
        let visitor = at(&queue, number as u8, number);
        bring(&mut visitor.claim_piece(1).expect("it waits"), &torrent, &*store, good);
    }
    // A peer that works alone cannot use their blocks. As long as it brings nothing itself, nothing is lost.
    drop(claim(&mut suspect).expect("it waits"));
    let good = at(&queue, 5, 5);
    let mut lease = good.claim_piece(1).expect("it waits");
    assert_eq!(lease.next_request().map(|asked| asked.begin), Some(32_768), "two blocks are there");
    drop(lease);
    let mut lease = claim(&mut suspect).expect("it waits");
    assert_eq!(lease.next_request().map(|asked| asked.begin), Some(0));
    drop(lease);
    let mut lease = claim(&mut suspect).expect("it waits");
    assert_eq!(bring(&mut lease, &torrent, &*store, true), Written::More);
    assert_eq!(queue.take_exposed(), [], "nobody knows yet");
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
    assert_eq!(queue.take_exposed().into_iter().map(|(_, peer)| peer).collect::<Vec<_>>(), [4]);
}

#[test]
fn one_right_block_of_a_piece_that_others_make_clears_nobody() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let [mut suspect, _] = suspects(&queue, &torrent, &*store, 0, [1, 2]);
    suspect.lost(0);
    let mut lease = claim(&mut suspect).expect("two pieces wait");
    let piece = lease.piece().get();
    bring(&mut lease, &torrent, &*store, true);
    drop(lease);
    let mut lease = at(&queue, 3, 3).claim_piece(piece).expect("it waits");
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
    assert!(
        suspect.claim_piece(3 - piece).is_none(),
        "it is a suspect still: the piece was never complete, so its evidence clears nobody"
    );
}

#[test]
fn one_that_was_suspected_for_nothing_is_cleared() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let [honest, good] = [2, 3].map(|number| at(&queue, number as u8, number));
    {
        let liar = at(&queue, 1, 1);
        bring(&mut liar.claim_piece(0).expect("it waits"), &torrent, &*store, false);
    }
    assert!(matches!(
        finish(&mut honest.claim_piece(0).expect("it waits"), &torrent, &*store),
        Written::Corrupt(_)
    ));
    assert!(honest.claim_piece(1).is_none(), "it is a suspect");
    assert_eq!(
        finish(&mut good.claim_piece(0).expect("it waits"), &torrent, &*store),
        Written::Verified
    );
    let lease = honest.claim_piece(1).expect("its blocks were right");
    let mut beside = good.claim_piece(2).expect("it waits");
    drop(lease);
    assert_eq!(finish(&mut beside, &torrent, &*store), Written::Verified);
    assert!(at(&queue, 1, 9).claim_piece(1).is_none(), "others at the liar's address are suspects");
}

#[test]
fn a_spoilt_piece_keeps_nobody_from_the_others() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let proved = with(&queue, 5, 5, &[0, 1, 2]);
    assert_eq!(
        finish(&mut proved.claim_piece(2).expect("it waits"), &torrent, &*store),
        Written::Verified
    );
    spoil(&queue, &torrent, &*store, 0, [10, 11]);
    // Of the pieces that the newcomer has, the spoilt one is the rarer.
    let _other = with(&queue, 6, 6, &[1]);
    let mut newcomer = with(&queue, 7, 7, &[0, 1]);
    assert_eq!(claim(&mut newcomer).map(|lease| lease.piece().get()), Some(1));
}

#[test]
fn a_spoilt_piece_waits_for_peers_that_have_proved_themselves_and_could_take_it() {
    for has_it in [true, false] {
        let torrent = torrent(3);
        let (queue, store) = (queue(&torrent), Memory::of(&torrent));
        let mut proved = with(&queue, 5, 5, if has_it { &[0, 1, 2] } else { &[1, 2] });
        assert_eq!(
            finish(&mut proved.claim_piece(2).expect("it waits"), &torrent, &*store),
            Written::Verified
        );
        spoil(&queue, &torrent, &*store, 0, [10, 11]);
        let mut newcomer = with(&queue, 7, 7, &[0]);
        assert!(claim(&mut newcomer).is_none(), "the other one has not had a look yet");
        let taken = claim(&mut proved).expect("something waits");
        assert_eq!(taken.piece().get(), u32::from(!has_it), "the spoilt one first");
        let why = "whether the newcomer gets it once the other one has passed it over";
        assert_eq!(claim(&mut newcomer).is_some(), !has_it, "{why}");
    }
}

#[test]
fn a_suspect_cannot_keep_the_last_piece_for_itself() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut proved = at(&queue, 5, 5);
    proved.set_block_time(Some(Duration::from_millis(10)));
    assert_eq!(
        finish(&mut proved.claim_piece(2).expect("it waits"), &torrent, &*store),
        Written::Verified
    );
    spoil(&queue, &torrent, &*store, 0, [1, 2]);
    // Others from one of their addresses are suspects, and no suspect may share a piece.
    let mut suspect = at(&queue, 1, 9);
    let now = Instant::now();
    let late = now + Duration::from_secs(60);
    let claim_at = |share: &mut Claimant, now| {
        if let Claim::Lease(lease) = share.claim_at(true, now, &mut |_| 0) {
            Some(lease)
        } else {
            None
        }
    };
    assert_eq!(
        finish(&mut claim(&mut proved).expect("the spoilt piece"), &torrent, &*store),
        Written::Verified
    );
    let lease = claim_at(&mut suspect, late).expect("it has waited for long");
    assert!(claim_at(&mut proved, late).is_none() && !lease.is_taken_over(), "it may be fast");
    let later = late + Duration::from_secs(1);
    assert!(claim_at(&mut proved, later).is_none(), "it is given back first");
    assert!(lease.is_taken_over());
    drop(lease);
    assert!(claim_at(&mut suspect, later).is_none(), "it leaves it to others now");
    assert_eq!(
        finish(&mut claim_at(&mut proved, later).expect("it waits"), &torrent, &*store),
        Written::Verified
    );
    assert!(queue.is_complete());
}

#[test]
fn nobody_waits_for_a_proved_peer_that_has_nothing_of_what_is_missing() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut good = Claimant::join(
        &queue,
        Contributor { peer: 1, origin: Some(Origin::of([192, 0, 2, 1].into())) },
    );
    good.have(0);
    assert_eq!(
        finish(&mut claim(&mut good).expect("its piece waits"), &torrent, &*store),
        Written::Verified
    );
    let mut liar = at(&queue, 2, 2);
    let mut lease = claim(&mut liar).expect("two pieces wait");
    bring(&mut lease, &torrent, &*store, false);
    assert!(matches!(finish(&mut lease, &torrent, &*store), Written::Corrupt(by) if by == [2]));
    drop((lease, liar));
    let mut next = at(&queue, 2, 3);
    assert!(
        claim(&mut next).is_none(),
        "it is a suspect, and the good peer has not said yet that it is of no use"
    );
    good.news();
    assert!(claim(&mut next).is_some(), "nobody else can bring what is missing");
}

#[test]
fn a_block_that_a_suspect_has_brought_is_not_fetched_again_once_it_is_cleared() {
    let torrent = torrent(4);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let [mut suspect, _] = suspects(&queue, &torrent, &*store, 0, [1, 2]);
    suspect.lost(0);
    let mut lease = claim(&mut suspect).expect("three pieces wait");
    let begun = lease.piece();
    bring(&mut lease, &torrent, &*store, true);
    suspect.lost(begun.get());
    let mut other = claim(&mut suspect).expect("two pieces wait");
    drop(lease);
    assert_eq!(finish(&mut other, &torrent, &*store), Written::Verified);
    let next = at(&queue, 3, 3);
    let asked = next.claim_piece(begun.get()).expect("it waits").next_request();
    assert_eq!(asked.map(|asked| asked.begin), Some(16_384));
    let mut lease = next.claim_piece(begun.get()).expect("it waits again");
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
}
