//! What gives, takes, too: haves for others, and what a peer offers or advises.

use super::super::support::{Gate, Must, Torrent, insist, insist_eq, wire};
use super::giver::{ALLOWED_FAST, BOTH, Giver, SUGGEST};
use super::net::{Asked, FAST, PLAIN, Talk};
use piecemeal::s15_swarm::Event;
use std::io;
use std::time::{Duration, Instant};

/// We have piece 0 of five, and are done when we have all and the others are done.
fn giver(torrent: &Torrent) -> Giver {
    Giver::with(torrent, [0], 1 << 16).completes()
}

/// Has everything but the first piece, and waits at the gate after each piece it gives.
fn gives_one_by_one(talk: &mut Talk, torrent: &Torrent, gates: &[Gate; 4]) -> io::Result<()> {
    talk.hello(PLAIN, torrent)?;
    talk.has(torrent, &[1, 2, 3, 4])?;
    let mut waiting: Vec<Asked> = Vec::new();
    for gate in gates {
        gate.opens()?;
        if waiting.is_empty() {
            waiting.push(talk.asked()?);
        }
        let piece = waiting[0].0;
        for begin in [0, 16_384] {
            while !waiting.iter().any(|asked| (asked.0, asked.1) == (piece, begin)) {
                waiting.push(talk.asked()?);
            }
            let at = waiting
                .iter()
                .position(|asked| (asked.0, asked.1) == (piece, begin))
                .must("it was asked for")?;
            let asked = waiting.remove(at);
            talk.block(torrent, asked)?;
        }
    }
    Ok(())
}

fn gates() -> [Gate; 4] {
    std::array::from_fn(|_| Gate::default())
}

fn index(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload.try_into().expect("four bytes"))
}

#[test]
fn a_piece_goes_on_to_others_as_soon_as_it_is_here() {
    let (torrent, gates) = (Torrent::sample(), gates());
    let mut giver = giver(&torrent);
    let (content, waits) = (torrent.clone(), gates.clone());
    giver.other(move |talk| gives_one_by_one(talk, &content, &waits).and_then(|()| talk.hold()));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        insist_eq!(talk.next()?, (wire::BITFIELD, vec![0b1000_0000]));
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        talk.takes_piece(&content, 0)?;
        for gate in &gates {
            gate.open();
            let piece = index(&talk.until(wire::HAVE)?);
            talk.takes_piece(&content, piece)?;
        }
        talk.fence(&ours).map(drop)
    });
    let ran = giver.run();
    let outcome = ran.is_complete(&torrent);
    assert_eq!((outcome.downloaded, outcome.uploaded), (151_072 - 32_768, 151_072));
}

/// Whoever asks all the time leaves us no moment of nothing. It must hear of new pieces
/// all the same, or it could never be told of them in a long download.
#[test]
fn who_is_always_asking_hears_of_new_pieces_too() {
    let (torrent, gates) = (Torrent::sample(), gates());
    let mut giver = giver(&torrent);
    let (content, waits) = (torrent.clone(), gates.clone());
    giver.other(move |talk| gives_one_by_one(talk, &content, &waits).and_then(|()| talk.hold()));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        talk.admitted()?;
        gates[0].open();
        let begun = Instant::now();
        for _ in 0..8 {
            talk.request(0, 0, 16)?;
        }
        loop {
            match talk.next()? {
                (wire::PIECE, _) => talk.request(0, 0, 16)?,
                (wire::HAVE, _) => break,
                _ => {}
            }
            insist!(
                begun.elapsed() < Duration::from_secs(60),
                "it is not told of a piece that is here"
            );
        }
        gates.iter().for_each(Gate::open);
        (0..3).try_for_each(|_| talk.until(wire::HAVE).map(drop))
    });
    giver.run().is_complete(&torrent);
}

#[test]
fn what_a_peer_offers_is_asked_for_in_spite_of_a_choke() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [], 1 << 16).leaves();
    let content = torrent.clone();
    giver.other(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        talk.send(&wire::message(ALLOWED_FAST, &3u32.to_be_bytes()))?;
        // Not a piece at all, and one more of the same.
        talk.send(&wire::message(ALLOWED_FAST, &77u32.to_be_bytes()))?;
        talk.send(&wire::message(ALLOWED_FAST, &3u32.to_be_bytes()))?;
        let ours = talk.greet(&[])?;
        for begin in [0, 16_384] {
            let asked = wire::three(&talk.until(wire::REQUEST)?).must("three numbers")?;
            insist_eq!(asked, (3, begin, 16_384));
        }
        // No more than that while we are choked.
        let heard = talk.fence(&ours)?;
        insist!(heard.iter().all(|(id, _)| *id != wire::REQUEST), "{heard:?}");
        talk.block(&content, (3, 0, 16_384))?;
        talk.block(&content, (3, 16_384, 16_384))?;
        let heard = talk.fence(&ours)?;
        insist!(heard.iter().all(|(id, _)| *id != wire::REQUEST), "{heard:?}");
        talk.unchoke()?;
        talk.give(&content)
    });
    giver.run().is_complete(&torrent);
}

#[test]
fn what_a_peer_advises_is_asked_for_first() {
    for piece in 0..5u32 {
        let torrent = Torrent::sample();
        let mut giver = Giver::with(&torrent, [], 1 << 16).leaves();
        let content = torrent.clone();
        giver.other(move |talk| {
            talk.hello(FAST, &content)?;
            talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
            talk.send(&wire::message(SUGGEST, &u32::MAX.to_be_bytes()))?;
            talk.send(&wire::message(SUGGEST, &piece.to_be_bytes()))?;
            let asked = talk.asked()?;
            insist_eq!((asked.0, asked.1), (piece, 0));
            talk.block(&content, asked)?;
            talk.give(&content)
        });
        giver.run().is_complete(&torrent);
    }
}

#[test]
fn whoever_completes_says_that_it_only_gives_now_and_goes_on_giving() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [0, 1], 1 << 16).completes();
    let ready = Gate::default();
    let (content, gate) = (torrent.clone(), ready.clone());
    let seed = giver.other(move |talk| {
        gate.opens()?;
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let taker = giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let first = talk.greet(&[])?;
        insist!(first.get("upload_only").is_none());
        talk.admitted()?;
        talk.takes_piece(&content, 0)?;
        ready.open();
        let second = talk.greeted()?;
        insist_eq!(second.get("upload_only"), Some(&super::super::support::bencode::Value::Int(1)));
        insist_eq!(second.get("m"), first.get("m"));
        (1..5).try_for_each(|piece| talk.takes_piece(&content, piece))?;
        talk.fence(&second).map(drop)
    });
    let ran = giver.run();
    let outcome = ran.is_complete(&torrent);
    let mut traded: Vec<_> =
        outcome.traded.iter().map(|traded| (traded.peer, traded.taken, traded.given)).collect();
    traded.sort_unstable();
    assert_eq!(traded, [(seed, 151_072 - 65_536, 0), (taker, 0, 151_072)]);
    assert_eq!(ran.events.iter().filter(|event| matches!(event, Event::Completed)).count(), 1);
}
