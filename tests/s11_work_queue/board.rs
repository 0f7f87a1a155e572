//! The decisions alone: no lock, no thread, and the time is whatever the test says.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::board::{Asker, Board, Lent, Why};
use piecemeal::s11_work_queue::trust::{Contributor, HOLD_BACK};
use std::time::{Duration, Instant};

use super::memory::{Dice, bits};

/// The progress that the holders of a piece share, which these tests do not need.
type Plain = Board<()>;

fn board(pieces: u32) -> Plain {
    Board::new(pieces, &Bitfield::new(pieces))
}

fn asker(peer: u32, pieces: &PeerPieces) -> Asker<'_> {
    Asker { who: peer.into(), pieces, block_time: None, tried: None }
}

fn some(pieces: u32, has: &[u32]) -> PeerPieces {
    PeerPieces::Some(bits(pieces, has.to_vec()))
}

fn lend(
    board: &mut Plain,
    asker: &Asker,
    now: Instant,
    draw: &mut dyn FnMut(usize) -> usize,
) -> Option<Lent<()>> {
    let piece = (0..board.turns()).find_map(|turn| board.find(asker, turn, now, draw))?;
    Some(board.lend(asker, piece, now, |_| ()))
}

#[test]
fn each_claim_says_why_it_is_that_piece() {
    let (now, mut board, all) = (Instant::now(), board(3), PeerPieces::All);
    let (two, one) = (some(3, &[0, 1]), some(3, &[1]));
    for (peer, pieces) in [(1, &all), (2, &two), (3, &one)] {
        board.join(peer.into(), now);
        board.count_in(pieces);
    }
    let first = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("all wait");
    assert_eq!(
        (first.piece, first.why),
        (2, Why::Rarest(0)),
        "only the seed, which is not counted, has it"
    );
    let second = lend(&mut board, &asker(2, &two), now, &mut |_| 0).expect("two wait");
    assert_eq!((second.piece, second.why), (0, Why::Rarest(1)));

    board.give_back(0, 2, &second.seat, true);
    let begun = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("two wait");
    assert_eq!((begun.piece, begun.why), (0, Why::Begun));

    let third = lend(&mut board, &asker(3, &one), now, &mut |_| 0).expect("one waits");
    assert_eq!((third.piece, third.why), (1, Why::Rarest(2)));
    assert!(board.is_all_lent());
    let helps = board.join_loan(&asker(2, &two), now).expect("there are seats");
    assert_eq!(helps.why, Why::EndGame { takes_over: false });

    board.spoil(1, &[3.into()], None, now);
    let again = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("it waits again");
    assert_eq!((again.piece, again.why), (1, Why::Spoilt));
    assert!(
        board.join_loan(&asker(2, &two), now).is_none_or(|joined| joined.piece != 1),
        "the verdict has one name on it"
    );
}

#[test]
fn a_suspect_works_alone_until_a_piece_of_its_own_is_right() {
    let (now, mut board, all) = (Instant::now(), board(4), PeerPieces::All);
    board.join(1.into(), now);
    board.join(2.into(), now);
    board.spoil_together(&all, now);
    let suspect = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("pieces wait");
    assert_eq!(suspect.why, Why::Suspect);
    assert!(board.done_with(suspect.piece, &[1.into()]));
    let cleared = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("pieces wait");
    assert_ne!(cleared.why, Why::Suspect);
}

/// Peers 1 and 2 complete a piece together, and its hash is wrong.
trait SpoilTogether {
    fn spoil_together(&mut self, pieces: &PeerPieces, now: Instant);
}

impl SpoilTogether for Plain {
    fn spoil_together(&mut self, pieces: &PeerPieces, now: Instant) {
        let lent = lend(self, &asker(1, pieces), now, &mut |_| 0).expect("pieces wait");
        self.spoil(lent.piece, &[1.into(), 2.into()], None, now);
    }
}

#[test]
fn suspicion_outlives_the_connection_and_patience_with_it_ends() {
    let (now, mut board, all) = (Instant::now(), board(4), PeerPieces::All);
    let at =
        |peer, host: u8| Contributor { peer, origin: Some(Origin::of([192, 0, 2, host].into())) };
    let asker = |who| Asker { who, pieces: &all, block_time: None, tried: None };
    board.join(at(1, 1), now);
    board.join(at(2, 2), now);
    let lent = lend(&mut board, &asker(at(1, 1)), now, &mut |_| 0).expect("pieces wait");
    board.spoil(lent.piece, &[at(1, 1), at(2, 2)], None, now);
    board.leave(at(2, 2), &all);

    board.join(at(3, 2), now);
    let back = lend(&mut board, &asker(at(3, 2)), now, &mut |_| 0).expect("pieces wait");
    assert_eq!(back.why, Why::Suspect, "another number, the same address");
    board.give_back(back.piece, 3, &back.seat, false);

    // Once a peer has proved itself, the spoilt piece is left to it for a while.
    let other = (0..4).find(|piece| *piece != lent.piece).expect("there are four");
    board.lend(&asker(at(1, 1)), other, now, |_| ());
    assert!(board.done_with(other, &[at(1, 1)]));
    board.join(at(4, 4), now);
    assert!(board.holds_back(&asker(at(4, 4)), lent.piece, now));
    assert!(!board.holds_back(&asker(at(1, 1)), lent.piece, now));
    assert!(
        !board.holds_back(&asker(at(4, 4)), lent.piece, now + HOLD_BACK),
        "nobody waits forever"
    );
}

#[test]
fn a_late_return_does_not_end_the_next_loan() {
    let (now, mut board, all) = (Instant::now(), board(1), PeerPieces::All);
    let first = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("it waits");
    let helps = board.join_loan(&asker(2, &all), now).expect("a seat is free");
    board.spoil(0, &[1.into(), 2.into()], None, now);
    let next = lend(&mut board, &asker(3, &all), now, &mut |_| 0).expect("it waits again");
    board.give_back(0, 1, &first.seat, true);
    board.give_back(0, 2, &helps.seat, true);
    assert_eq!(board.counts(), (0, 1, 0), "it is still on loan to the third");
    board.give_back(0, 3, &next.seat, true);
    assert_eq!(board.counts(), (1, 0, 0));
}

/// Plays whole downloads in a loop: every piece is always in exactly one place, and the same
/// dice give the same download.
#[test]
fn a_download_can_be_played_in_a_loop_and_twice_the_same() {
    let play = |seed| {
        const PIECES: u32 = 40;
        let (start, mut dice, mut board) = (Instant::now(), Dice::new(seed), board(PIECES));
        let has: Vec<PeerPieces> = (0..5)
            .map(|peer| match peer {
                0 => PeerPieces::All,
                _ => some(PIECES, &(0..PIECES).filter(|_| dice.one_in(2)).collect::<Vec<_>>()),
            })
            .collect();
        for (peer, pieces) in (0..).zip(&has) {
            board.join(peer.into(), start);
            board.count_in(pieces);
        }
        let mut held: Vec<Option<Lent<()>>> = has.iter().map(|_| None).collect();
        let mut story = Vec::new();
        for turn in 1.. {
            let now = start + Duration::from_millis(turn);
            let peer = dice.roll(5);
            let asker = asker(peer, &has[peer as usize]);
            let fate = dice.roll(8);
            match held[peer as usize].take() {
                Some(lent) if fate == 0 => board.spoil(lent.piece, &[peer.into()], None, now),
                Some(lent) if fate < 3 => board.give_back(lent.piece, peer, &lent.seat, fate == 1),
                Some(lent) => drop(board.done_with(lent.piece, &[peer.into()])),
                None => {
                    let mut draw = |below: usize| dice.roll(below as u32) as usize;
                    let lent = match board.is_all_lent() {
                        true => board.join_loan(&asker, now),
                        false => lend(&mut board, &asker, now, &mut draw),
                    };
                    story.extend(lent.iter().map(|lent| (peer, lent.piece)));
                    held[peer as usize] = lent;
                }
            }
            // A holder hears that its piece is done or wrong, and gives it back.
            let loans: Vec<u32> = board.loans().map(|(piece, _)| piece).collect();
            held.iter_mut()
                .for_each(|held| drop(held.take_if(|lent| !loans.contains(&lent.piece))));
            let (waiting, on_loan, done) = board.counts();
            assert_eq!(waiting + on_loan + done, PIECES as usize, "turn {turn}");
            assert_eq!(
                (on_loan, done),
                (loans.len(), board.done().count() as usize),
                "turn {turn}"
            );
            assert!(loans.iter().all(|piece| !board.done().has(*piece)), "turn {turn}");
            if done == PIECES as usize {
                break;
            }
            assert!(turn < 100_000, "a download ends");
        }
        story
    };
    for seed in 1..40 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}
