//! What a peer gets for its requests.

use super::super::support::{Must, Torrent, insist, insist_eq, wire};
use super::giver::{BOTH, Giver, block_of, numbers};
use super::net::{EXTENDED, FAST, PLAIN, Talk};
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s15_swarm::Ended;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

/// We have read all that was said before this: keep-alives, more than a buffer holds.
fn heard_out(talk: &mut Talk) -> io::Result<()> {
    (0..64).try_for_each(|_| talk.send(&[0; 4096]))
}

/// We hang up; whatever comes before that is passed over.
fn hung_up(talk: &mut Talk) {
    loop {
        match talk.next() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => panic!("the connection goes on"),
            Err(_) => return,
        }
    }
}

#[test]
fn who_is_interested_gets_the_blocks_it_asks_for_in_that_order() {
    let torrent = Torrent::sample();
    for reserved in [PLAIN, FAST, EXTENDED, BOTH] {
        let mut giver = Giver::new(&torrent);
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            talk.admitted()?;
            let blocks = [
                (4, 0, 16_384),
                (0, 16_384, 16_384),
                (4, 16_384, 3616),
                (2, 1, 1),
                (2, 32_767, 1),
                (1, 100, 5000),
            ];
            for (piece, begin, length) in blocks {
                talk.request(piece, begin, length)?;
            }
            for block in blocks {
                insist_eq!(talk.answer(&content)?, (block, true));
            }
            // Twice the same is twice the block.
            talk.takes(&content, 2, 1, 1)?;
            talk.takes_piece(&content, 4)
        });
        let ran = giver.run();
        assert!(ran.result.is_ok(), "{:?}", ran.result);
    }
}

#[test]
fn all_of_it_goes_over_pipes_of_any_width() {
    let torrent = Torrent::sample();
    for room in [64, 5000, 1 << 20] {
        let mut giver = Giver::with(&torrent, 0..5, room);
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            let whole: Vec<_> =
                (0..5).flat_map(|piece| [(piece, 0, 3616), (piece, 3616, 16_384)]).collect();
            whole
                .iter()
                .try_for_each(|(piece, begin, length)| talk.request(*piece, *begin, *length))?;
            for block in whole {
                insist_eq!(talk.answer(&content)?, (block, true));
            }
            Ok(())
        });
        assert!(giver.run().result.is_ok(), "{room}");
    }
}

#[test]
fn who_has_not_said_that_it_is_interested_is_refused() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent);
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.request(0, 0, 16_384)?;
        insist_eq!(talk.answer(&content)?, ((0, 0, 16_384), false));
        // To be not interested is nothing new.
        talk.not_interested()?;
        insist_eq!(talk.fence(&ours)?, []);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}

#[test]
fn a_request_that_cannot_be_meant_well_ends_the_connection() {
    let torrent = Torrent::sample();
    let nonsense = [
        ((5, 0, 16_384), "piece 5 of 5"),
        ((u32::MAX, 0, 16_384), "piece 4294967295 of 5"),
        ((0, 0, 0), "a block of 0 bytes"),
        ((0, 0, 16_385), "a block of 16385 bytes"),
        ((0, 0, u32::MAX), "a block of 4294967295 bytes"),
        ((0, 16_385, 16_384), "16384 bytes at 16385 of piece 0, which has 32768 bytes"),
        ((0, 32_768, 1), "1 bytes at 32768 of piece 0, which has 32768 bytes"),
        ((4, 16_384, 3617), "3617 bytes at 16384 of piece 4, which has 20000 bytes"),
        ((0, u32::MAX, 16_384), "16384 bytes at 4294967295 of piece 0"),
    ];
    for reserved in [PLAIN, FAST] {
        let mut giver = Giver::new(&torrent);
        let peers: Vec<_> = nonsense
            .into_iter()
            .map(|((piece, begin, length), _)| {
                let content = torrent.clone();
                giver.taker(move |talk| {
                    talk.hello(reserved, &content)?;
                    talk.interested()?;
                    talk.request(piece, begin, length)?;
                    hung_up(talk);
                    Ok(())
                })
            })
            .collect();
        peers.iter().for_each(|peer| giver.until_left(*peer));
        let ran = giver.run();
        for (peer, (_, words)) in peers.into_iter().zip(nonsense) {
            let left = ran.left(peer);
            let [Ended::Session(SessionEnd::Upload(why))] = left[..] else {
                panic!("{words}: {left:?}")
            };
            assert!(why.to_string().contains(words), "no word of {words:?} in {why}");
        }
    }
}

#[test]
fn a_piece_that_is_not_here_is_refused_or_without_words_for_it_ends_the_connection() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [0, 2], 1 << 16);
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        talk.admitted()?;
        talk.request(1, 0, 16_384)?;
        talk.request(2, 0, 16_384)?;
        insist_eq!(talk.answer(&content)?, ((1, 0, 16_384), false));
        insist_eq!(talk.answer(&content)?, ((2, 0, 16_384), true));
        Ok(())
    });
    let content = torrent.clone();
    let plain = giver.taker(move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.admitted()?;
        talk.takes(&content, 0, 0, 16_384)?;
        talk.request(1, 0, 16_384)?;
        hung_up(talk);
        Ok(())
    });
    giver.until_left(plain);
    let ran = giver.run();
    let left = ran.left(plain);
    assert!(
        matches!(left[..], [Ended::Session(SessionEnd::Upload(why))] if why.to_string().contains("piece 1, which is not here")),
        "{left:?}"
    );
}

/// Piece, begin, length.
type Block = (u32, u32, u32);

/// Ten requests in a row over a pipe that holds none of the answers, and three of them
/// taken back before anything is read.
fn cancels(
    talk: &mut Talk,
    torrent: &Torrent,
    reserved: [u8; 8],
) -> io::Result<(Vec<Block>, Vec<Block>)> {
    talk.hello(reserved, torrent)?;
    talk.admitted()?;
    for begin in 0..10 {
        talk.request(0, begin, 16_384)?;
    }
    for begin in [0, 8, 9] {
        talk.cancel(0, begin, 16_384)?;
    }
    // Never asked for, and so nothing to take back.
    talk.cancel(1, 0, 16_384)?;
    heard_out(talk)?;
    talk.request(3, 0, 7)?;
    let (mut given, mut refused) = (Vec::new(), Vec::new());
    loop {
        match talk.answer(torrent)? {
            ((3, 0, 7), true) => return Ok((given, refused)),
            (block, true) => given.push(block),
            (block, false) => refused.push(block),
        }
    }
}

#[test]
fn what_is_taken_back_does_not_come_and_with_the_fast_extension_is_refused() {
    let torrent = Torrent::sample();
    for reserved in [PLAIN, FAST] {
        let mut giver = Giver::with(&torrent, 0..5, 1024);
        let content = torrent.clone();
        giver.taker(move |talk| {
            let (given, refused) = cancels(talk, &content, reserved)?;
            let all: BTreeSet<_> = (0..10).map(|begin| (0, begin, 16_384)).collect();
            let answered: BTreeSet<_> = given.iter().chain(&refused).copied().collect();
            insist_eq!(answered.len(), given.len() + refused.len(), "no request is answered twice");
            insist!(
                !given.contains(&(0, 8, 16_384)) && !given.contains(&(0, 9, 16_384)),
                "{given:?}"
            );
            // The first one may have been on its way already.
            insist!((1..8).all(|begin| given.contains(&(0, begin, 16_384))), "{given:?}");
            if reserved == FAST {
                insist_eq!(answered, all, "every request gets an answer");
                insist!(refused.ends_with(&[(0, 8, 16_384), (0, 9, 16_384)]), "{refused:?}");
            } else {
                insist_eq!(refused, []);
            }
            Ok(())
        });
        assert!(giver.run().result.is_ok());
    }
}

#[test]
fn five_hundred_requests_are_queued_and_the_next_is_not() {
    let torrent = Torrent::sample();
    for reserved in [PLAIN, FAST] {
        let mut giver = Giver::with(&torrent, 0..5, 1024);
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            talk.admitted()?;
            for begin in 0..600 {
                talk.request(0, begin, 2000)?;
            }
            heard_out(talk)?;
            let (mut given, mut refused) = (Vec::new(), Vec::new());
            while given.last() != Some(&(4, 0, 1)) {
                match talk.next()? {
                    (wire::PIECE, payload) => given.push(block_of(&content, &payload)?),
                    (wire::REJECT, payload) => {
                        refused.push(wire::three(&payload).must("three numbers")?)
                    }
                    _ => {}
                }
                if given.len() == 450 {
                    // There is room again.
                    talk.request(4, 0, 1)?;
                }
            }
            given.pop();
            // Up to four blocks were on their way already when the queue was full.
            insist!((500..=504).contains(&given.len()), "{}", given.len());
            insist!(
                given.iter().take(500).copied().eq((0..500).map(|begin| (0, begin, 2000))),
                "the first come first"
            );
            if reserved == FAST {
                let answered: BTreeSet<_> = given.iter().chain(&refused).collect();
                insist_eq!(
                    (answered.len(), given.len() + refused.len()),
                    (600, 600),
                    "each has one answer"
                );
            } else {
                insist_eq!(refused.len(), 0);
            }
            Ok(())
        });
        assert!(giver.run().result.is_ok());
    }
}

#[test]
fn all_that_was_asked_for_is_answered_once_it_is_read() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, 0..5, 1024);
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        talk.interested()?;
        // Each answer is a block, or a reject of 17 bytes. All of these may wait: nobody reads yet.
        let requests: Vec<u8> = wire::message(wire::REQUEST, &numbers(0, 0, 1)).repeat(1000);
        (0..7).try_for_each(|_| talk.send(&requests))?;
        (0..7000).try_for_each(|_| talk.answer(&content).map(drop))
    });
    assert!(giver.run().result.is_ok());
}
