//! The end game: which seat an idle peer gets, and what becomes of the peer that had it.

use piecemeal::s05_messages::Request;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::board::{Asker, Board, Why};
use piecemeal::s11_work_queue::claimant::Claim;
use piecemeal::s11_work_queue::seats::Seat;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::support::{Recipe, assert_chosen, assert_value, content};
use super::memory::{below, bits, queue, seed};

const PIECES: u32 = 3;
const FAST: Option<Duration> = Some(Duration::from_millis(10));
/// The speed of a peer that has brought nothing yet.
const UNKNOWN: Option<Duration> = None;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn asker(peer: u32, pieces: &PeerPieces, block_time: Option<Duration>) -> Asker<'_> {
    Asker { who: peer.into(), pieces, block_time, tried: None }
}

fn only(pieces: &[u32]) -> PeerPieces {
    PeerPieces::Some(bits(PIECES, pieces.iter().copied()))
}

/// Lends a piece to the first of these peers, and lets the others join it: each peer with the time
/// at which it comes. None of them brings a block.
fn hold(board: &mut Board<()>, piece: u32, peers: &[(u32, Instant)]) -> Vec<Arc<Seat>> {
    let pieces = only(&[piece]);
    let sit = |(at, (peer, since)): (usize, &(u32, Instant))| {
        let asker = asker(*peer, &pieces, FAST);
        let lent = match at {
            0 => board.lend(&asker, piece, *since, |_| ()),
            _ => board.join_loan(&asker, *since).expect("a seat is free"),
        };
        lent.seat
    };
    peers.iter().enumerate().map(sit).collect()
}

fn empty() -> Board<()> {
    Board::new(PIECES, &Bitfield::new(PIECES), &Bitfield::full(PIECES))
}

/// Peers 1 to 3 have held piece 0 from the start.
fn three_slow(start: Instant) -> (Board<()>, Vec<Arc<Seat>>) {
    let mut board = empty();
    let seats = hold(&mut board, 0, &[1, 2, 3].map(|peer| (peer, start)));
    (board, seats)
}

#[test]
fn a_free_seat_comes_first_and_then_the_piece_with_the_fewest_peers() {
    let start = Instant::now();
    for (pieces, right, why) in [
        (vec![0, 1], 1, "piece 1 has a free seat, and all three of piece 0 are taken"),
        (vec![0, 1, 2], 2, "piece 2 has one peer, piece 1 has two, and piece 0 has no free seat"),
    ] {
        let (mut board, _) = three_slow(start);
        hold(&mut board, 1, &[(4, start), (5, start)]);
        hold(&mut board, 2, &[(6, start)]);
        let joined = board.join_loan(&asker(9, &only(&pieces), FAST), start + seconds(10));
        let found = joined.map(|lent| (lent.piece, lent.why));
        let expected = Some((right, Why::EndGame { takes_over: false }));
        let what = format!("the piece of an idle peer that has pieces {pieces:?}");
        assert_chosen(&what, found, expected, why, "BEP 3, work queue");
    }
}

#[test]
fn a_faster_peer_takes_the_seat_of_the_slowest_and_of_no_other() {
    let (start, mut board) = (Instant::now(), empty());
    let late = start + seconds(5);
    let seats = hold(&mut board, 0, &[(1, late), (2, start), (3, late)]);
    let joined = board.join_loan(&asker(9, &only(&[0]), FAST), start + seconds(10));
    let why = joined.map(|lent| lent.why);
    assert_eq!(why, Some(Why::EndGame { takes_over: true }), "it is far faster than peer 2");
    let lost: Vec<u32> = (1..).zip(&seats).filter(|(_, seat)| seat.is_lost()).map(first).collect();
    assert_value("the peers that have lost their seat", lost, [2], "BEP 3, work queue");
}

fn first<A, B>((first, _): (A, B)) -> A {
    first
}

#[test]
fn a_peer_that_has_lost_its_seat_is_asked_for_no_more() {
    let torrent = Recipe::single("t", 40_000, content(40_000, 3)).build();
    let (queue, start) = (queue(&torrent), Instant::now());
    let claim = |peer: u32, after, block_time| {
        let mut share = seed(&queue, peer);
        share.set_block_time(block_time);
        match share.claim_at(true, start + seconds(after), &mut below) {
            Claim::Lease(lease) => lease,
            Claim::Later | Claim::Over => panic!("peer {peer} must get a seat, after {after} s"),
        }
    };
    let mut slow = claim(1, 0, UNKNOWN);
    let mut others = [2, 3].map(|peer| claim(peer, 5, UNKNOWN));
    assert!(slow.next_request().is_some(), "it has its seat, and the piece has three blocks");
    let _fast = claim(4, 10, FAST);
    let what = "the next request to peer 1, whose seat a faster peer has taken";
    assert_value(what, slow.next_request(), None::<Request>, "BEP 3, work queue");
    assert!(others.iter_mut().all(|lease| lease.next_request().is_some()), "they have their seats");
}

/// Otherwise a crowd of strangers could pass all three seats around among themselves.
#[test]
fn only_one_of_the_three_seats_is_on_trial() {
    let start = Instant::now();
    let (mut board, _) = three_slow(start);
    let (pieces, now) = (only(&[0]), start + seconds(10));
    let trial = board.join_loan(&asker(4, &pieces, UNKNOWN), now).expect("the others are slow");
    let taken = board.join_loan(&asker(5, &pieces, UNKNOWN), now).map(|lent| lent.why);
    assert_eq!(
        taken, None,
        "peer 4 has just taken a seat, and its speed is not known: that seat is on trial. So peer \
         5, whose speed is not known either, must not take another"
    );
    let later = now + seconds(1);
    let next = board.join_loan(&asker(5, &pieces, UNKNOWN), later);
    assert!(next.is_some(), "peer 4 has brought nothing for a second, so its seat can be taken");
    assert!(trial.seat.is_lost(), "the seat on trial is the one that is taken, and no other");
    let fast = board.join_loan(&asker(6, &pieces, FAST), later);
    assert!(fast.is_some(), "peer 6 is known to be fast, so it may take another seat");
}

#[test]
fn a_peer_whose_trial_brought_nothing_gets_no_second_one_for_20_s() {
    let start = Instant::now();
    let tried = start + seconds(10);
    let (soon, late) = (tried + seconds(19), tried + seconds(20));
    let soon_said = "19 s ago it took a seat and brought nothing: it must wait until 20 s are over";
    for (what, block_time, now, right, why) in [
        ("a peer of unknown speed", UNKNOWN, soon, false, soon_said),
        ("a peer of unknown speed", UNKNOWN, late, true, "its last trial was 20 s ago"),
        ("a fast peer", FAST, soon, true, "its speed is known, so this is no trial"),
    ] {
        let (mut board, _) = three_slow(start);
        let pieces = only(&[0]);
        let asker = Asker { tried: Some(tried), ..asker(9, &pieces, block_time) };
        let joined = board.join_loan(&asker, now).is_some();
        let what = format!("whether {what} takes a seat from one that is slow");
        assert_chosen(&what, joined, right, why, "BEP 3, work queue");
    }
    let mut board = empty();
    hold(&mut board, 1, &[(4, start)]);
    let pieces = only(&[1]);
    let asker = Asker { tried: Some(tried), ..asker(9, &pieces, UNKNOWN) };
    assert!(board.join_loan(&asker, soon).is_some(), "a free seat is no trial: it takes nobody's");
}
