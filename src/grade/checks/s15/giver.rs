//! A peer that gives, for scripts in which it gets more pieces later.

use std::time::Duration;

use crate::actors::line::{Heard, Line};
use crate::actors::torrent::Torrent;
use crate::actors::wire;

/// The longest wait for a client's handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection to a client that is given pieces.
pub struct Giver<'a> {
    /// The connection.
    pub line: &'a mut Line,
    /// The pieces that it gives.
    pub has: Vec<bool>,
    torrent: &'a Torrent,
    unchoked: bool,
}

/// What the client did, beside what has been answered already.
pub enum News {
    /// It was given a block: of this piece, from here on.
    Took(u32, u32),
    /// It said something that is not answered here: an id, and what follows.
    Said(u8, Vec<u8>),
    /// Nothing for now.
    Nothing,
    /// It is gone, or has said something for which there is no answer.
    Gone,
}

impl<'a> Giver<'a> {
    /// Shakes hands, and says which pieces there are. `None` if the client wants another torrent.
    pub fn meet(
        line: &'a mut Line,
        torrent: &'a Torrent,
        peer_id: [u8; 20],
        has: Vec<bool>,
    ) -> Option<Giver<'a>> {
        let theirs = line.handshake(HANDSHAKE).ok()?;
        if theirs[28..48] != torrent.info_hash {
            return None;
        }
        let hello = wire::handshake([0; 8], torrent.info_hash, peer_id);
        let bitfield = wire::message(wire::BITFIELD, &wire::bitfield(&has));
        line.send(&[hello, bitfield].concat()).ok()?;
        Some(Giver { line, has, torrent, unchoked: false })
    }

    /// Says that there is one more piece.
    pub fn gets(&mut self, piece: usize) {
        self.has[piece] = true;
        let _ = self.line.send(&wire::have(piece as u32));
    }

    /// Answers what comes within this time.
    pub fn goes_on(&mut self, time: Duration) -> News {
        match self.line.hear_within(time) {
            Heard::Message(wire::INTERESTED, _) if !self.unchoked => {
                self.unchoked = true;
                self.say(&wire::message(wire::UNCHOKE, &[]), News::Nothing)
            }
            Heard::Message(wire::REQUEST, payload) if self.unchoked => self.give(&payload),
            Heard::Message(id, payload) => News::Said(id, payload),
            Heard::KeepAlive | Heard::Silence => News::Nothing,
            Heard::Closed => News::Gone,
        }
    }

    fn give(&mut self, payload: &[u8]) -> News {
        let Some((piece, begin, length)) = wire::three(payload) else { return News::Gone };
        let all = self.torrent.piece(piece as usize);
        let end = (begin as usize).saturating_add(length as usize);
        match all.get(begin as usize..end) {
            Some(block) if self.has[piece as usize] && block.len() <= 16_384 => {
                self.say(&wire::block(piece, begin, block), News::Took(piece, begin))
            }
            _ => News::Gone,
        }
    }

    fn say(&mut self, bytes: &[u8], news: News) -> News {
        if self.line.send(bytes).is_ok() { news } else { News::Gone }
    }
}
