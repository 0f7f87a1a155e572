//! The decisions alone: no lock, no thread, and the time is whatever the test says.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::board::{Asker, Board, Lent, Why};
use piecemeal::s11_work_queue::trust::{Contributor, HOLD_BACK, Verdict};
use std::time::{Duration, Instant};

use super::super::support::{assert_chosen, assert_number};
use super::memory::{Dice, bits};

/// The progress that the holders of a piece share, which these tests do not need.
type Plain = Board<()>;

fn board(pieces: u32) -> Plain {
    Board::new(pieces, &Bitfield::new(pieces), &Bitfield::full(pieces))
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
    let lent = |what, lent: &Lent<()>, expected, why| {
        assert_chosen(what, (lent.piece, lent.why), expected, why, "BEP 3, rarest first");
    };
    let first = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("all wait");
    let why =
        "peer 1 is a seed, which is not counted, so no peer has piece 2, one has 0, and two have 1";
    lent("the first piece of peer 1", &first, (2, Why::Rarest(0)), why);
    let second = lend(&mut board, &asker(2, &two), now, &mut |_| 0).expect("two wait");
    let why = "of pieces 0 and 1, which it has, one peer has 0, and two have 1";
    lent("the first piece of peer 2", &second, (0, Why::Rarest(1)), why);

    board.give_back(0, 2, &second.seat, true);
    let begun = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("two wait");
    let why = "it was begun and given back, and half a piece is useless";
    lent("the second piece of peer 1", &begun, (0, Why::Begun), why);

    let third = lend(&mut board, &asker(3, &one), now, &mut |_| 0).expect("one waits");
    lent("the piece of peer 3", &third, (1, Why::Rarest(2)), "it has no other");
    assert!(board.is_all_lent());
    let helps = board.join_loan(&asker(2, &two), now).expect("there are seats");
    assert_eq!(helps.why, Why::EndGame { takes_over: false });

    board.spoil(1, &[3.into()], None, now);
    let again = lend(&mut board, &asker(1, &all), now, &mut |_| 0).expect("it waits again");
    lent(
        "the piece after the wrong hash",
        &again,
        (1, Why::Spoilt),
        "it waits again, for one alone",
    );
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

/// A peer at 192.0.2.`host`.
fn at(peer: u32, host: u8) -> Contributor {
    Contributor { peer, origin: Some(Origin::of([192, 0, 2, host].into())) }
}

/// Peers 1 and 2, at 192.0.2.1 and 2, spoil a piece together. Returns the piece.
fn spoilt_by_two(board: &mut Plain, all: &PeerPieces, now: Instant) -> u32 {
    let two = [at(1, 1), at(2, 2)];
    two.iter().for_each(|who| board.join(*who, now));
    let one = Asker { who: two[0], pieces: all, block_time: None, tried: None };
    let lent = lend(board, &one, now, &mut |_| 0).expect("pieces wait");
    board.spoil(lent.piece, &two, None, now);
    lent.piece
}

/// It had spoilt the piece with another peer. Then it made it right alone, and that convicts it.
#[test]
fn what_convicts_a_liar_does_not_clear_its_address() {
    let (now, mut board, all) = (Instant::now(), board(4), PeerPieces::All);
    let asker = |who| Asker { who, pieces: &all, block_time: None, tried: None };
    let spoilt = spoilt_by_two(&mut board, &all, now);
    board.judge(spoilt, &Verdict { liars: vec![at(1, 1)], cleared: vec![at(2, 2)] });
    board.done_with(spoilt, &[at(1, 1)]);
    board.leave(at(1, 1), &all);

    board.join(at(3, 1), now);
    let back = lend(&mut board, &asker(at(3, 1)), now, &mut |_| 0).expect("pieces wait");
    assert_eq!(back.why, Why::Suspect, "the same address");
}

/// Its blocks of another piece that was wrong turn out to be right, after its lie has come to light.
#[test]
fn a_liar_is_not_cleared_by_another_piece() {
    let (now, mut board, all) = (Instant::now(), board(4), PeerPieces::All);
    let spoilt = spoilt_by_two(&mut board, &all, now);
    board.judge(spoilt, &Verdict { liars: vec![at(1, 1)], cleared: vec![at(2, 2)] });
    board.judge(spoilt + 1, &Verdict { liars: vec![], cleared: vec![at(1, 1)] });
    board.join(at(3, 1), now);
    let asker = Asker { who: at(3, 1), pieces: &all, block_time: None, tried: None };
    let back = lend(&mut board, &asker, now, &mut |_| 0).expect("pieces wait");
    assert_eq!(back.why, Why::Suspect, "the same address");
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
    let asker = |who| Asker { who, pieces: &all, block_time: None, tried: None };
    let spoilt = spoilt_by_two(&mut board, &all, now);
    board.leave(at(2, 2), &all);

    board.join(at(3, 2), now);
    let back = lend(&mut board, &asker(at(3, 2)), now, &mut |_| 0).expect("pieces wait");
    assert_eq!(back.why, Why::Suspect, "another number, the same address");
    board.give_back(back.piece, 3, &back.seat, false);

    // Once a peer has proved itself, the spoilt piece is left to it for a while.
    let other = (0..4).find(|piece| *piece != spoilt).expect("there are four");
    board.lend(&asker(at(1, 1)), other, now, |_| ());
    assert!(board.done_with(other, &[at(1, 1)]));
    board.join(at(4, 4), now);
    assert!(board.holds_back(&asker(at(4, 4)), spoilt, now));
    assert!(!board.holds_back(&asker(at(1, 1)), spoilt, now));
    assert!(!board.holds_back(&asker(at(4, 4)), spoilt, now + HOLD_BACK), "nobody waits forever");
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
            let lent = story.last().map(|(peer, piece)| format!("piece {piece} to peer {peer}"));
            let what = format!(
                "turn {turn}: after the loan of {}, the pieces that wait ({waiting}), are on loan \
                 ({on_loan}) and are done ({done})",
                lent.unwrap_or_default()
            );
            let twice = (
                PIECES as usize + 1,
                "a piece is in two places: one that is lent waits no longer, or a second peer gets it",
            );
            let all = waiting + on_loan + done;
            assert_number(&what, all, PIECES as usize, "BEP 3, work queue", &[twice]);
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

/// Lends exactly this piece. The progress is this number, unless the peer goes on with other.
fn lend_fresh(board: &mut Board<u32>, peer: u32, piece: u32, fresh: u32) -> Lent<u32> {
    board.lend(&asker(peer, &PeerPieces::All), piece, Instant::now(), |_| fresh)
}

/// A board of eight pieces on which peers 1 and 2 are suspects, since they have spoilt piece 0.
/// Peer 1 has made progress 10 on piece 5, alone. Peers 3 and 4 are there as well.
fn board_of_suspects(now: Instant) -> Board<u32> {
    let mut board: Board<u32> = Board::new(8, &Bitfield::new(8), &Bitfield::full(8));
    (1..5).for_each(|peer| board.join(peer.into(), now));
    lend_fresh(&mut board, 1, 0, 9);
    board.spoil(0, &[1.into(), 2.into()], None, now);
    let lent = lend_fresh(&mut board, 1, 5, 10);
    assert_eq!(lent.why, Why::Suspect);
    board.give_back(5, 1, &lent.seat, true);
    board
}

#[test]
fn what_a_suspect_has_made_is_for_no_other_peer_and_not_begun_for_them() {
    let now = Instant::now();
    for gone in [false, true] {
        for (asker, why) in [(3, Why::Rarest(0)), (2, Why::Suspect)] {
            let mut board = board_of_suspects(now);
            if gone {
                board.leave(1.into(), &PeerPieces::All);
            }
            let mut replaced = None;
            let lent = board.lend(&self::asker(asker, &PeerPieces::All), 5, now, |progress| {
                replaced = progress.copied();
                11
            });
            assert_eq!((lent.why, lent.progress), (why, 11), "gone: {gone}");
            assert_eq!(replaced, Some(10), "its fingerprints may show who lied");
        }
    }
    let again = lend_fresh(&mut board_of_suspects(now), 1, 5, 11);
    assert_eq!((again.why, again.progress), (Why::Suspect, 10), "its own");
}

#[test]
fn what_a_suspect_has_made_is_for_all_once_it_is_cleared() {
    let now = Instant::now();
    let by_a_piece = |board: &mut Board<u32>| {
        lend_fresh(board, 1, 6, 12);
        board.done_with(6, &[1.into()]);
    };
    let by_a_verdict = |board: &mut Board<u32>| {
        board.judge(0, &Verdict { liars: vec![2.into()], cleared: vec![1.into()] });
    };
    let after_it_left = |board: &mut Board<u32>| {
        board.leave(1.into(), &PeerPieces::All);
        by_a_verdict(board);
    };
    let and_left = |board: &mut Board<u32>| {
        by_a_piece(board);
        board.leave(1.into(), &PeerPieces::All);
    };
    let while_replaced = |board: &mut Board<u32>| {
        let lent = lend_fresh(board, 3, 5, 13);
        by_a_piece(board);
        board.give_back(5, 3, &lent.seat, false);
    };
    type Clear<'c> = &'c dyn Fn(&mut Board<u32>);
    let ways: [(&str, Clear); 5] = [
        ("by a piece of its own", &by_a_piece),
        ("by a verdict", &by_a_verdict),
        ("by a verdict after it left", &after_it_left),
        ("before it left", &and_left),
        ("while another peer had the piece, and brought nothing", &while_replaced),
    ];
    for (way, clear) in ways {
        for peer in [1, 4] {
            let mut board = board_of_suspects(now);
            clear(&mut board);
            let all = PeerPieces::All;
            let found = board.find(&asker(peer, &all), 0, now, &mut |_| 0);
            assert_eq!(found, Some(5), "{way}: what was begun comes first");
            let lent = lend_fresh(&mut board, peer, 5, 14);
            assert_eq!((lent.why, lent.progress), (Why::Begun, 10), "{way}: peer {peer}");
        }
    }
}

#[test]
fn others_may_join_a_suspect_once_it_is_cleared() {
    let now = Instant::now();
    let mut board = board_of_suspects(now);
    let lent = lend_fresh(&mut board, 1, 5, 11);
    let all = PeerPieces::All;
    assert!(board.join_loan(&asker(3, &all), now).is_none(), "it works alone");
    board.judge(0, &Verdict { liars: vec![2.into()], cleared: vec![1.into()] });
    let joined = board.join_loan(&asker(3, &all), now).expect("a seat is free");
    assert_eq!((joined.piece, joined.progress), (5, 10));
    board.give_back(5, 3, &joined.seat, true);
    board.give_back(5, 1, &lent.seat, true);
    let next = lend_fresh(&mut board, 4, 5, 12);
    assert_eq!((next.why, next.progress), (Why::Begun, 10));
}

/// It says who is to blame if it is wrong again, whatever else its holder brings.
#[test]
fn a_spoilt_piece_is_for_one_peer_alone_and_from_the_start_also_after_that_peer_is_cleared() {
    let now = Instant::now();
    let mut board = board_of_suspects(now);
    let lent = lend_fresh(&mut board, 1, 0, 20);
    let why = "it is a suspect, and works alone whatever the piece is: that reason comes first";
    assert_chosen("why peer 1 gets piece 0", lent.why, Why::Suspect, why, "BEP 3, work queue");
    board.give_back(0, 1, &lent.seat, true);
    lend_fresh(&mut board, 1, 6, 12);
    board.done_with(6, &[1.into()]);
    let other = lend_fresh(&mut board, 3, 0, 21);
    assert_eq!((other.why, other.progress), (Why::Spoilt, 21), "another peer starts afresh");
    board.give_back(0, 3, &other.seat, false);
    let own = lend_fresh(&mut board, 1, 0, 22);
    assert_eq!(
        (own.why, own.progress),
        (Why::Spoilt, 20),
        "peer 1 gave it back, and peer 3 brought nothing: peer 1's own progress is there again"
    );
    assert!(board.join_loan(&asker(3, &PeerPieces::All), now).is_none(), "peer 1 has it alone");
}
