//! An upload that does not show all that is here: one piece at a time, and the next one when the
//! peer has that.

use super::super::support::{Gate, Torrent, insist, insist_eq, wire};
use super::giver::{BOTH, DONT_HAVE_ID, Giver};
use super::net::{PLAIN, Talk};
use super::seam::writer;
use piecemeal::s02_metainfo::PieceIndex;
use piecemeal::s04_handshake::transport::Hangup;
use piecemeal::s05_messages::{Message, Request};
use piecemeal::s07_extension::BoxError;
use piecemeal::s12_session::host::{Upload, UploadPeer, Uploads};
use piecemeal::s12_session::send_path::SendPath;
use piecemeal::s15_swarm::Event;
use piecemeal::s16_uploading::send_queue::SendQueue;
use std::io;
use std::sync::Arc;

/// A bitfield with the first of five pieces.
const FIRST: [u8; 1] = [0b1000_0000];

struct OneAtATime {
    torrent: Torrent,
    /// The first piece is in the bitfield. Otherwise a `have` follows it.
    first_at_once: bool,
}

struct Shown {
    torrent: Torrent,
    peer: UploadPeer,
    queue: Arc<SendQueue>,
    /// How many pieces the peer is to know of, from the first on.
    shown: u32,
}

impl Shown {
    fn show_next(&mut self) {
        let have = Message::Have { index: self.shown };
        self.shown += 1;
        self.queue.edit(|queued| have.encode_to(&mut queued.messages));
    }
}

impl Uploads for OneAtATime {
    fn joined(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        let (torrent, queue) = (self.torrent.clone(), Arc::default());
        Some(Box::new(Shown { torrent, peer, queue, shown: self.first_at_once.into() }))
    }

    fn open(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        true
    }
}

impl Upload for Shown {
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        if self.shown == 0 {
            self.show_next();
        }
        writer(&self.peer, &self.torrent, &self.queue).take_over(path, hang_up)
    }

    fn set_interested(&mut self, yes: bool) {
        let message = if yes { Message::Unchoke } else { Message::Choke };
        self.queue.edit(|queued| message.encode_to(&mut queued.messages));
    }

    fn request(&mut self, request: Request) -> Result<(), BoxError> {
        self.queue.edit(|queued| queued.blocks.push_back(request));
        Ok(())
    }

    /// As if the piece had been changed on disk.
    fn cancel(&mut self, request: Request) {
        let queue = &self.peer.torrent.queue;
        queue.given_piece(request.index).into_iter().for_each(|piece| queue.withdraw(piece));
    }

    fn shows(&self, piece: PieceIndex) -> bool {
        piece.get() < self.shown
    }

    fn shows_all(&self) -> bool {
        self.shown as usize == self.torrent.pieces()
    }

    fn has(&mut self, piece: PieceIndex) {
        if piece.get() + 1 == self.shown {
            self.show_next();
        }
    }
}

fn showing(torrent: &Torrent, mut giver: Giver) -> Giver {
    giver.plan.uploads = Arc::new(OneAtATime { torrent: torrent.clone(), first_at_once: true });
    giver
}

impl Talk {
    /// Says that it has a piece, and hears of the next one.
    fn shown_next(&mut self, has: u32) -> io::Result<()> {
        self.send(&wire::have(has))?;
        insist_eq!(self.next()?, (wire::HAVE, (has + 1).to_be_bytes().to_vec()));
        Ok(())
    }
}

#[test]
fn a_peer_hears_of_what_it_is_shown_and_gets_nothing_else() {
    let torrent = Torrent::sample();
    let mut giver = showing(&torrent, Giver::new(&torrent));
    for reserved in [PLAIN, BOTH] {
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            insist_eq!(talk.next()?, (wire::BITFIELD, FIRST.to_vec()));
            talk.interested()?;
            if reserved == BOTH {
                // A peer that has all that it is shown may leave one that only uploads.
                insist!(talk.greeted()?.get("upload_only").is_none());
            }
            insist_eq!(talk.next()?.0, wire::UNCHOKE, "and no have");
            for piece in 0..4 {
                talk.request(piece + 1, 0, 16_384)?;
                if reserved == BOTH {
                    insist_eq!(talk.answer(&content)?, ((piece + 1, 0, 16_384), false));
                }
                // Without the fast extension, this is the next answer.
                talk.takes_piece(&content, piece)?;
                talk.shown_next(piece)?;
            }
            if reserved == BOTH {
                insist!(talk.greeted()?.get("upload_only").is_some(), "nothing is hidden now");
            }
            talk.takes_piece(&content, 4)
        });
    }
    assert!(giver.run().result.is_ok());
}

#[test]
fn an_upload_may_show_nothing_at_first_and_its_haves_come_after_what_must_come_first() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent);
    giver.plan.uploads = Arc::new(OneAtATime { torrent: torrent.clone(), first_at_once: false });
    for reserved in [PLAIN, BOTH] {
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            if reserved == BOTH {
                insist_eq!(talk.next()?, (wire::HAVE_NONE, vec![]));
                insist_eq!(talk.next()?.0, wire::EXTENDED, "the greeting");
            }
            insist_eq!(talk.next()?, (wire::HAVE, vec![0; 4]));
            talk.admitted()?;
            talk.takes_piece(&content, 0)?;
            talk.shown_next(0)
        });
    }
    assert!(giver.run().result.is_ok());
}

#[test]
fn pieces_that_a_peer_has_from_the_start_count() {
    let torrent = Torrent::sample();
    let mut giver = showing(&torrent, Giver::new(&torrent));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(PLAIN, &content)?;
        insist_eq!(talk.next()?, (wire::BITFIELD, FIRST.to_vec()));
        talk.has(&content, &[0, 1, 3])?;
        for piece in [1u32, 2] {
            insist_eq!(talk.next()?, (wire::HAVE, piece.to_be_bytes().to_vec()));
        }
        // The torrent has no such piece.
        talk.send(&wire::have(u32::MAX))?;
        talk.shown_next(2)
    });
    assert!(giver.run().result.is_ok());
}

#[test]
fn a_piece_that_comes_later_is_no_news_to_a_peer_that_is_not_to_know_of_it() {
    let torrent = Torrent::sample();
    let mut giver = showing(&torrent, Giver::with(&torrent, 0..3, 1 << 16));
    let (content, listens) = (torrent.clone(), Gate::default());
    let gate = listens.clone();
    giver.other(move |talk| {
        talk.hello(PLAIN, &content)?;
        gate.opens()?;
        talk.has(&content, &[3, 4])?;
        talk.give(&content)
    });
    let (content, complete) = (torrent.clone(), Gate::default());
    let gate = complete.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        insist_eq!(talk.next()?, (wire::BITFIELD, FIRST.to_vec()));
        let ours = talk.greet(&[])?;
        listens.open();
        complete.opens()?;
        // News are looked for before each message is read, so these two are read after the last.
        for _ in 0..2 {
            let heard = talk.fence(&ours)?;
            insist!(heard.iter().all(|(id, _)| *id != wire::HAVE), "{heard:?}");
        }
        (0..3).try_for_each(|piece| talk.shown_next(piece))?;
        talk.admitted()?;
        talk.takes_piece(&content, 3)
    });
    let ran = giver.run_with(move |event, _| {
        if matches!(event, Event::Completed) {
            gate.open();
        }
    });
    assert!(ran.result.is_ok());
}

#[test]
fn a_piece_that_is_gone_is_taken_back_from_those_that_know_of_it() {
    let torrent = Torrent::sample();
    let mut giver = showing(&torrent, Giver::new(&torrent));
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        for piece in [3, 0] {
            talk.cancel(piece, 0, 16_384)?;
        }
        let mut taken_back = talk.fence(&ours)?;
        taken_back.retain(|(id, payload)| *id == wire::EXTENDED && payload[0] == DONT_HAVE_ID);
        insist_eq!(taken_back, [(wire::EXTENDED, vec![DONT_HAVE_ID, 0, 0, 0, 0])]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}
