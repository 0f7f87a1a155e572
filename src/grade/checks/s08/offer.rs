//! A peer that offers an info dictionary, and gives it in the way of a script.

use std::time::Duration;

use super::described::Described;
use crate::actors::bencode::{self, bytes, dict, int};
use crate::actors::line::{Heard, Line};
use crate::actors::wire;
use crate::grade::scene::Scene;

/// How long the peer waits for whatever comes next.
const PATIENCE: Duration = Duration::from_secs(30);

/// The types of metadata messages.
const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

/// What a peer offers, and with which extension id.
#[derive(Clone)]
pub(super) struct Offer {
    pub what: Described,
    peer_id: [u8; 20],
    /// The peer's own extension id for ut_metadata.
    pub id: u8,
}

/// A request for metadata.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub piece: usize,
    /// The client's extension id for ut_metadata.
    pub theirs: u8,
    /// All extension ids that the client has assigned.
    pub numbers: Vec<u8>,
}

impl Offer {
    /// Returns the offer of a peer with ids of its own.
    pub fn of(scene: &mut Scene, what: &Described) -> Offer {
        Offer { what: what.clone(), peer_id: scene.dice.peer_id(), id: scene.dice.extension_id() }
    }

    /// Greets, says what it has, and then calls `answer` for each request, until the client leaves.
    pub fn serve(&self, line: &mut Line, mut answer: impl FnMut(&mut Line, &Asked)) {
        if self.greet(line).is_none() {
            return;
        }
        let mut numbers = Numbers::default();
        loop {
            match line.hear_within(PATIENCE) {
                Heard::Message(wire::EXTENDED, payload) => {
                    if let Some(asked) = self.asked(&payload, &mut numbers) {
                        answer(line, &asked);
                    }
                }
                Heard::Closed | Heard::Silence => return,
                Heard::Message(..) | Heard::KeepAlive => {}
            }
        }
    }

    /// Shakes hands, and sends what a seed sends first.
    fn greet(&self, line: &mut Line) -> Option<()> {
        let theirs = line.handshake(PATIENCE).ok()?;
        if theirs[28..48] != self.what.torrent.info_hash {
            return None;
        }
        let reserved = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0];
        line.send(&wire::handshake(reserved, self.what.torrent.info_hash, self.peer_id)).ok()?;
        line.send(&wire::message(wire::BITFIELD, &wire::bitfield(&self.what.have()))).ok()?;
        if theirs[25] & wire::EXTENSION_BIT != 0 {
            let hello = dict(&[
                ("m", dict(&[("ut_metadata", int(self.id.into()))])),
                ("metadata_size", int(self.what.torrent.info.len() as i64)),
                ("v", bytes("a peer of the judge")),
            ]);
            line.send(&wire::extended(0, &hello)).ok()?;
        }
        Some(())
    }

    /// Takes an extended message; returns the request if it is one.
    pub fn asked(&self, payload: &[u8], numbers: &mut Numbers) -> Option<Asked> {
        let (&id, rest) = payload.split_first()?;
        let (said, _) = bencode::decode(rest)?;
        if id == 0 {
            numbers.learn(&said);
            return None;
        }
        let number = |key: &str| said.get(key).and_then(bencode::Value::int);
        if id != self.id || number("msg_type") != Some(REQUEST) {
            return None;
        }
        let piece = usize::try_from(number("piece")?).ok()?;
        Some(Asked { piece, theirs: numbers.ut_metadata?, numbers: numbers.all.clone() })
    }

    /// Returns the right answer: data, or a reject if there is no such metadata piece.
    pub fn answer(&self, asked: &Asked) -> Vec<u8> {
        let data = self.what.metadata_piece(asked.piece);
        if data.is_empty() {
            let head = [("msg_type", int(REJECT)), ("piece", int(asked.piece as i64))];
            return wire::extended(asked.theirs, &dict(&head));
        }
        self.data(asked, data, &[])
    }

    /// Returns a data message with these bytes, and with further keys.
    pub fn data(&self, asked: &Asked, data: &[u8], more: &[(&str, Vec<u8>)]) -> Vec<u8> {
        self.message(asked.theirs, DATA, asked.piece, data, more)
    }

    /// Returns a metadata message of any type, with any extension id.
    pub fn message(
        &self,
        number: u8,
        kind: i64,
        piece: usize,
        data: &[u8],
        more: &[(&str, Vec<u8>)],
    ) -> Vec<u8> {
        let size = self.what.torrent.info.len() as i64;
        let mut head =
            vec![("msg_type", int(kind)), ("piece", int(piece as i64)), ("total_size", int(size))];
        head.extend_from_slice(more);
        wire::extended(number, &[dict(&head), data.to_vec()].concat())
    }
}

/// The extension ids that a client has assigned in its extension handshakes.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    ut_metadata: Option<u8>,
    all: Vec<u8>,
}

impl Numbers {
    /// Returns what is known from an earlier request.
    pub fn known(asked: &Asked) -> Numbers {
        Numbers { ut_metadata: Some(asked.theirs), all: asked.numbers.clone() }
    }

    fn learn(&mut self, said: &bencode::Value) {
        let Some(bencode::Value::Dict(m)) = said.get("m") else { return };
        for (name, number) in m {
            let Some(number) = number.int().and_then(|number| u8::try_from(number).ok()) else {
                continue;
            };
            self.all.push(number);
            if name == b"ut_metadata" {
                self.ut_metadata = (number != 0).then_some(number);
            }
        }
    }
}
