//! The seam for a choker: what a decision does to a peer and to its queue.

use super::super::support::{
    Gate, Must, Recipe, Torrent, Verdict, content, insist, insist_eq, wire,
};
use super::giver::{ALLOWED_FAST, BOTH, Giver, Stays, block_of, numbers};
use super::net::{FAST, PLAIN};
use piecemeal::s16_uploading::requester::Requester;
use piecemeal::s16_uploading::{Choker, Place, Uploader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A choker that does what a test says.
#[derive(Clone, Default)]
struct ByHand {
    peers: Arc<Mutex<Vec<Arc<Requester>>>>,
    /// Opens when a peer says that it is interested.
    interested: Gate,
    /// Opens when it says so again: all that it has sent before has been read by then.
    interested_again: Gate,
}

struct Hears(ByHand, AtomicUsize);

impl Place for Hears {
    fn set_interested(&self, _: bool) {
        match self.1.fetch_add(1, Ordering::Relaxed) {
            0 => self.0.interested.open(),
            _ => self.0.interested_again.open(),
        }
    }
}

impl Choker for ByHand {
    fn enter(&self, peer: Arc<Requester>) -> Box<dyn Place> {
        self.peers.lock().expect("nobody panics with this lock").push(peer);
        Box::new(Hears(self.clone(), AtomicUsize::new(0)))
    }
}

impl ByHand {
    /// Takes these decisions about the one peer, and tells it once.
    fn decide(&self, decisions: &[bool]) {
        let peers = self.peers.lock().expect("nobody panics with this lock");
        let [peer] = &peers[..] else { panic!("{} peers", peers.len()) };
        decisions.iter().for_each(|unchoked| peer.set_unchoked(*unchoked));
        peer.tell(None);
    }
}

#[test]
fn every_peer_that_is_interested_is_unchoked_and_stays_so() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent);
    let gates: Vec<Gate> = (0..12).map(|_| Gate::default()).collect();
    for number in 0..12 {
        let (content, gates) = (torrent.clone(), gates.clone());
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            gates[number].open();
            // None of them has had its blocks, so none has made room.
            gates.iter().try_for_each(Gate::opens)?;
            talk.not_interested()?;
            talk.takes_piece(&content, 4)
        });
    }
    assert!(giver.run().result.is_ok());
}

#[test]
fn a_peer_hears_the_last_decision_and_only_if_it_is_news() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent);
    let choker = ByHand::default();
    giver.plan.uploads = Arc::new(Stays(Uploader::new(choker.clone())));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.interested()?;
        insist_eq!(talk.fence(&ours)?, [], "a peer is choked at first");
        for (decisions, heard) in [
            (&[true][..], Some(wire::UNCHOKE)),
            (&[true], None),
            (&[false, true], None),
            (&[true, false], Some(wire::CHOKE)),
            (&[true, false], None),
            (&[false, true], Some(wire::UNCHOKE)),
        ] {
            choker.decide(decisions);
            let ids: Vec<u8> = talk.fence(&ours)?.iter().map(|(id, _)| *id).collect();
            insist_eq!(ids, heard.into_iter().collect::<Vec<_>>(), "{decisions:?}");
        }
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}

/// With BEP 6 each request has one answer, and without it a choke is the answer to all.
#[test]
fn a_choke_drops_what_is_queued() {
    let torrent = Torrent::of_pieces(10, 1);
    for reserved in [FAST, PLAIN] {
        // A line that holds less than a block, so most requests wait in the queue. Of ten pieces, none is
        // allowed fast.
        let mut giver = Giver::with(&torrent, 0..10, 1024);
        let choker = ByHand::default();
        giver.plan.uploads = Arc::new(Stays(Uploader::new(choker.clone())));
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            talk.interested()?;
            if reserved == FAST {
                // Too early. Without the fast extension nothing would tell us that it has been read.
                talk.request(0, 0, 0x4000)?;
                insist_eq!(talk.until(wire::REJECT)?, numbers(0, 0, 0x4000));
            }
            choker.interested.opens()?;
            choker.decide(&[true]);
            talk.until(wire::UNCHOKE)?;
            let size = content.piece(0).len() as u32;
            (0..10).try_for_each(|piece| talk.request(piece, 0, size.min(0x4000)))?;
            talk.interested()?;
            // The first block begins to leave when its request has been read.
            let (mut sent, mut rejected) = (Vec::new(), Vec::new());
            let (id, payload) = talk.next()?;
            insist_eq!(id, wire::PIECE);
            sent.push(block_of(&content, &payload)?.0);
            choker.decide(&[false]);
            loop {
                match talk.next()? {
                    (wire::PIECE, payload) => sent.push(block_of(&content, &payload)?.0),
                    (id, _) => {
                        insist_eq!(id, wire::CHOKE);
                        break;
                    }
                }
            }
            while reserved == FAST && sent.len() + rejected.len() < 10 {
                let ((piece, ..), given) = talk.answer(&content)?;
                insist!(!given, "piece {piece} comes after the choke");
                rejected.push(piece);
            }
            insist!(sent.iter().copied().eq(0..sent.len() as u32) && sent.len() < 10, "{sent:?}");
            // A request that is read after the next unchoke would be answered, and rightly so.
            choker.interested_again.opens()?;
            choker.decide(&[true]);
            talk.until(wire::UNCHOKE)?;
            talk.request(9, 0, 1)?;
            insist_eq!(talk.answer(&content)?, ((9, 0, 1), true), "nothing of the old queue comes");
            Ok(())
        });
        let ran = giver.run();
        assert!(ran.result.is_ok(), "{:?}", ran.result);
    }
}

/// A choked peer may request ten pieces once. A request that is rejected, since too many wait, is
/// not counted.
#[test]
fn a_request_that_is_rejected_uses_up_nothing_of_what_is_allowed_fast() {
    let torrent = Recipe::single("t", 16_384, content(40 * 16_384, 3)).build();
    // A line that holds less than a block, so the requests wait in the queue.
    let mut giver = Giver::with(&torrent, 0..40, 1024);
    giver.plan.uploads = Arc::new(Stays(Uploader::new(ByHand::default())));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.interested()?;
        let allowed: Vec<u32> = talk
            .fence(&ours)?
            .into_iter()
            .map(|(id, payload)| {
                insist_eq!(id, ALLOWED_FAST);
                Ok(u32::from_be_bytes(payload.try_into().must("four bytes")?))
            })
            .collect::<Verdict<_>>()?;
        let (first, others) = allowed.split_first().must("ten pieces")?;
        insist_eq!(others.len(), 9);
        // 500 wait, and some 80 are on the line.
        const MANY: usize = 700;
        (0..MANY).try_for_each(|_| talk.request(*first, 0, 1))?;
        others.iter().try_for_each(|piece| talk.request(*piece, 0, 16_384))?;
        // Four times what the line holds. When all of it has been taken in, the requests before it
        // have been read, and as long as nobody reads the answers, the queue stays full.
        talk.send(&wire::keep_alive().repeat(1024))?;
        let mut rejected = Vec::new();
        for _ in 0..MANY + others.len() {
            let ((piece, ..), given) = talk.answer(&content)?;
            rejected.extend((!given).then_some(piece));
        }
        insist!(rejected.ends_with(others) && rejected.len() > others.len(), "{rejected:?}");
        others.iter().try_for_each(|piece| talk.takes_piece(&content, *piece))
    });
    let ran = giver.run();
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}
