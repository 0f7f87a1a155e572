//! What a piece that is right at last says about the peers that brought blocks of it before.

use super::super::support::assert_value;
use super::memory::{Memory, queue};
use super::trust::{at, bring, claim, finish, suspects, torrent};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::lease::Written;

fn exposed(queue: &WorkQueue) -> Vec<u32> {
    queue.take_exposed().into_iter().map(|(_, peer)| peer).collect()
}

#[test]
fn each_liar_is_named_once_however_many_lied_and_however_often() {
    let torrent = torrent(2);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let peers = [1, 2, 3, 4].map(|number| at(&queue, number as u8, number));
    // Peers 1 and 3 lie, the first of them twice. Peer 4 brings the rest.
    for (peer, blocks, good) in [(0, 2, false), (1, 1, true), (2, 1, false)] {
        let mut lease = peers[peer].claim_piece(0).expect("it waits");
        (0..blocks).for_each(|_| drop(bring(&mut lease, &torrent, &*store, good)));
    }
    let mut lease = peers[3].claim_piece(0).expect("it waits");
    let written = finish(&mut lease, &torrent, &*store);
    assert_eq!(
        written,
        Written::Corrupt(vec![1, 2, 3, 4]),
        "three of the piece's blocks are wrong"
    );
    let mut lease = at(&queue, 5, 5).claim_piece(0).expect("it waits again");
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
    let what =
        "the peers that lied: 1 brought two wrong blocks, 3 one, and 2 and 4 only right ones";
    assert_value(what, exposed(&queue), [1, 3], "BEP 3, work queue");
    for honest in [1, 3] {
        let cleared = peers[honest].claim_piece(1).is_some();
        assert!(cleared, "all blocks of peer {} were right: it is no suspect now", honest + 1);
    }
}

/// Peers 3 and 4 begin a piece, and 4 lies; but others start it again before it is complete.
#[test]
fn a_piece_that_was_never_complete_clears_nobody_even_if_it_shows_a_liar() {
    let torrent = torrent(3);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    for (number, good) in [(3, true), (4, false)] {
        let peer = at(&queue, number as u8, number);
        bring(&mut peer.claim_piece(1).expect("it waits"), &torrent, &*store, good);
    }
    let [suspect, mut other] = suspects(&queue, &torrent, &*store, 0, [3, 5]);
    other.lost(0);
    other.lost(2);
    let mut lease = claim(&mut other).expect("piece 1 waits, and it starts it again");
    assert_eq!(finish(&mut lease, &torrent, &*store), Written::Verified);
    let what = "the peers whose block of piece 1 was wrong";
    assert_value(what, exposed(&queue), [4], "BEP 3, work queue");
    assert!(
        suspect.claim_piece(2).is_none(),
        "peer 3 must stay a suspect: piece 1 was never complete, so its evidence clears nobody"
    );
}
