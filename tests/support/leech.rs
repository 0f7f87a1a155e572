//! The actors' leech, and what a test insists on about its seed.

use super::LIMIT;
use piecemeal::actors::{self, wire};
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

pub use piecemeal::actors::leech::{block_of, numbers, peer_id, request};
pub use piecemeal::actors::line::Heard;

/// The number of outstanding requests of an honest peer.
const AHEAD: usize = 16;

/// One connection to a peer that uploads.
pub struct Leech(actors::Leech);

impl Leech {
    pub fn plain(address: SocketAddr, torrent: &actors::Torrent) -> Leech {
        Leech(actors::Leech::plain(address, torrent).expect("the seed takes us in"))
    }

    pub fn fast(address: SocketAddr, torrent: &actors::Torrent) -> Leech {
        Leech(actors::Leech::fast(address, torrent).expect("the seed takes us in"))
    }

    pub fn extended(address: SocketAddr, torrent: &actors::Torrent) -> Leech {
        Leech(actors::Leech::extended(address, torrent).expect("the seed takes us in"))
    }

    pub fn dial(
        address: SocketAddr,
        torrent: &actors::Torrent,
        reserved: [u8; 8],
    ) -> io::Result<Leech> {
        actors::Leech::dial(address, torrent, reserved).map(Leech)
    }

    pub fn connect(address: SocketAddr) -> io::Result<Leech> {
        actors::Leech::connect(address).map(Leech)
    }

    /// Sends bytes that must be accepted.
    #[track_caller]
    pub fn say(&mut self, bytes: &[u8]) {
        assert!(self.try_say(bytes), "the seed takes what we say");
    }

    /// The next message, which must come.
    #[track_caller]
    pub fn hear(&mut self) -> (u8, Vec<u8>) {
        match self.hear_within(LIMIT) {
            Heard::Message(id, payload) => (id, payload),
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    /// Skips messages until one with this id, which must come.
    #[track_caller]
    pub fn until(&mut self, id: u8) -> Vec<u8> {
        loop {
            let (found, payload) = self.hear();
            if found == id {
                return payload;
            }
        }
    }

    /// Waits until the seed has handled everything sent so far, and returns its messages until
    /// then: a request for a metadata piece that does not exist is rejected. For [`Leech::extended`].
    #[track_caller]
    pub fn fence(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.say(&wire::extended(0, b"d1:md11:ut_metadatai3eee"));
        self.say(&wire::extended(1, b"d8:msg_typei0e5:piecei99999ee"));
        let mut before = Vec::new();
        loop {
            let message = self.hear();
            if message == (wire::EXTENDED, b"\x03d8:msg_typei2e5:piecei99999ee".to_vec()) {
                return before;
            }
            before.push(message);
        }
    }

    /// Whether the seed hangs up, whatever it says before that.
    pub fn is_hung_up_on(&mut self) -> bool {
        self.0.is_hung_up_on(LIMIT)
    }

    /// Is interested, and waits for a slot.
    #[track_caller]
    pub fn wait_for_slot(&mut self) {
        self.say(&wire::message(wire::INTERESTED, b""));
        self.until(wire::UNCHOKE);
    }

    /// Waits for a slot, downloads these pieces, and compares each block.
    #[track_caller]
    pub fn takes(&mut self, torrent: &actors::Torrent, pieces: impl IntoIterator<Item = usize>) {
        self.wait_for_slot();
        self.takes_on(torrent, pieces);
    }

    /// Downloads these pieces with the slot that it has, and compares each block.
    #[track_caller]
    pub fn takes_on(&mut self, torrent: &actors::Torrent, pieces: impl IntoIterator<Item = usize>) {
        let blocks = |piece: usize| {
            let size = torrent.piece(piece).len();
            (0..size)
                .step_by(16_384)
                .map(move |begin| (piece as u32, begin as u32, (size - begin).min(16_384) as u32))
        };
        let mut wanted: Vec<(u32, u32, u32)> = pieces.into_iter().flat_map(blocks).collect();
        wanted.reverse();
        let mut asked = Vec::new();
        // A request from before a choke. If the seed read it before the choke, it drops it; if
        // after the next unchoke, it still answers.
        let mut crossed = Vec::new();
        let mut choked = false;
        while !(wanted.is_empty() && asked.is_empty()) {
            let mut out = Vec::new();
            while !choked
                && asked.len() < AHEAD
                && let Some(next) = wanted.pop()
            {
                out.extend(request(next.0, next.1, next.2));
                asked.push(next);
            }
            self.say(&out);
            match self.hear() {
                (wire::PIECE, payload) => {
                    assert!(self.fast || !choked, "a block comes in spite of a choke");
                    let (piece, begin, block) =
                        block_of(&payload).expect("a block has a piece and a begin");
                    let key = (piece, begin, block.len() as u32);
                    let list = if asked.contains(&key) { &mut asked } else { &mut crossed };
                    let place = list
                        .iter()
                        .position(|asked| *asked == key)
                        .expect("only what was asked for comes");
                    list.remove(place);
                    wanted.retain(|wanted| *wanted != key);
                    let (begin, end) = (begin as usize, begin as usize + block.len());
                    assert!(
                        torrent.piece(piece as usize)[begin..end] == *block,
                        "piece {piece}, {begin}: wrong bytes"
                    );
                }
                (wire::CHOKE, _) => {
                    choked = true;
                    crossed.extend_from_slice(&asked);
                    wanted.append(&mut asked);
                }
                (wire::UNCHOKE, _) => choked = false,
                _ => {}
            }
        }
    }
}

impl Deref for Leech {
    type Target = actors::Leech;

    fn deref(&self) -> &actors::Leech {
        &self.0
    }
}

impl DerefMut for Leech {
    fn deref_mut(&mut self) -> &mut actors::Leech {
        &mut self.0
    }
}

/// An honest peer comes, and gets all pieces right.
#[track_caller]
pub fn is_served(address: SocketAddr, torrent: &actors::Torrent) {
    Leech::plain(address, torrent).takes(torrent, 0..torrent.pieces());
}
