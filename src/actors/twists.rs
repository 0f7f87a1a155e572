//! The twists of a plan: what it makes of the bytes of a good peer.
//!
//! There is no socket and no clock in here. So whatever plays a plan, an actor or a seeder of the
//! lab, says the same wrong bytes.

use super::bencode::{dict, int};
use super::peer_plan::{Blocks, Greeting, Hashes, Metadata, Order, Plan};
use super::tree::{Asked, Hash};
use super::wire;

/// The number of bytes of half a handshake.
const HALF: usize = 30;
/// A block that nobody asked for.
const UNASKED: [u8; 100] = [0xAA; 100];

impl Plan {
    /// The handshake with these reserved bytes, for the client with this peer id. `right` is the
    /// torrent's name, or one of them.
    pub fn handshake(&self, right: [u8; 20], reserved: [u8; 8], client: [u8; 20]) -> Vec<u8> {
        let ours = self.peer_id;
        match self.greeting {
            Greeting::WrongInfoHash => wire::handshake(reserved, *b"another torrent's !!", ours),
            Greeting::Echo => wire::handshake(reserved, right, client),
            Greeting::Half => wire::handshake(reserved, right, ours)[..HALF].to_vec(),
            _ => wire::handshake(reserved, right, ours),
        }
    }

    /// The message or messages that name its pieces. `fast`: both sides speak the fast extension.
    pub fn pieces(&self, fast: bool) -> Vec<u8> {
        match &self.opening {
            Some(raw) => raw.clone(),
            None if self.order == Order::NoBitfield => Vec::new(),
            None if fast && self.have.iter().all(|has| *has) => wire::message(wire::HAVE_ALL, &[]),
            None if self.by_haves => {
                let pieces = (0..).zip(&self.have).filter(|(_, has)| **has);
                pieces.flat_map(|(piece, _)| wire::have(piece)).collect()
            }
            None => wire::message(wire::BITFIELD, &wire::bitfield(&self.have)),
        }
    }

    /// The first messages in their order.
    pub fn in_order(&self, pieces: Vec<u8>, extension_handshake: Vec<u8>) -> Vec<u8> {
        match self.order {
            Order::ExtensionFirst => [extension_handshake, pieces].concat(),
            Order::BitfieldFirst | Order::NoBitfield => [pieces, extension_handshake].concat(),
        }
    }

    /// The writes in which bytes go out.
    pub fn writes<'b>(&self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let Some(last) = self.chunks.last() else { return vec![bytes] };
        let mut sizes = self.chunks.iter().chain(std::iter::repeat(last));
        let mut writes = Vec::new();
        while !bytes.is_empty() {
            let size = sizes.next().unwrap_or(last);
            let (write, rest) = bytes.split_at(bytes.len().min((*size).max(1)));
            writes.push(write);
            bytes = rest;
        }
        writes
    }
}

/// Bytes of which none is right.
fn flipped(block: &[u8]) -> Vec<u8> {
    block.iter().map(|byte| !byte).collect()
}

impl Blocks {
    /// The messages that answer a request, of which this is the right block. So many were served
    /// before.
    pub fn messages(
        &self,
        served: usize,
        (piece, begin): (u32, u32),
        block: &[u8],
    ) -> Vec<Vec<u8>> {
        let with = |block: &[u8]| wire::block(piece, begin, block);
        match self {
            Blocks::Corrupt => vec![with(&flipped(block))],
            Blocks::WrongAt(at) if *at == begin => vec![with(&flipped(block))],
            Blocks::WrongFirst if served == 0 => vec![with(&flipped(block))],
            Blocks::TooLong => vec![with(&[block, &[0]].concat())],
            Blocks::TooShort => vec![with(block.split_last().map_or(block, |(_, short)| short))],
            Blocks::Unasked => {
                // An offset inside the block, where no request begins.
                let unasked = &UNASKED[..block.len().min(UNASKED.len())];
                vec![wire::block(piece, begin.wrapping_add(1), unasked), with(block)]
            }
            Blocks::OutOfRange => vec![wire::block(u32::MAX, begin, &UNASKED), with(block)],
            Blocks::Twice => vec![with(block), with(block)],
            _ => vec![with(block)],
        }
    }
}

impl Metadata {
    /// The answer to the request for this metadata piece, of which this is the right data. `None`
    /// is silence.
    pub fn answer(&self, piece: i64, total_size: i64, mut data: Vec<u8>) -> Option<Vec<u8>> {
        let head = |piece| {
            let (kind, piece, total_size) = (int(1), int(piece), int(total_size));
            dict(&[("msg_type", kind), ("piece", piece), ("total_size", total_size)])
        };
        let answer = match self {
            Metadata::Silent => return None,
            Metadata::Reject => dict(&[("msg_type", int(2)), ("piece", int(piece))]),
            Metadata::Garbage => b"this is no dictionary".to_vec(),
            Metadata::OutOfRange => [head(1_000_000), data].concat(),
            Metadata::Corrupt => {
                data.iter_mut().rev().take(1).for_each(|last| *last = !*last);
                [head(piece), data].concat()
            }
            Metadata::TooLong => [head(piece), data, vec![0]].concat(),
            Metadata::Good | Metadata::None | Metadata::Size(_) => [head(piece), data].concat(),
        };
        Some(answer)
    }
}

impl Hashes {
    /// The messages that answer a request, to which these are the right hashes; `None` if there are
    /// none.
    pub fn messages(self, asked: &Asked, right: Option<Vec<Hash>>) -> Vec<Vec<u8>> {
        let Some(mut hashes) = right else { return vec![asked.reject()] };
        match self {
            Hashes::Silent => return Vec::new(),
            Hashes::Reject => return vec![asked.reject()],
            Hashes::WrongHash => flip(hashes.first_mut()),
            Hashes::WrongLater if asked.index > 0 => flip(hashes.first_mut()),
            Hashes::TooShort => drop(hashes.pop()),
            Hashes::TooLong => hashes.push([0x55; 32]),
            Hashes::OtherRoot => {
                let other = Asked { root: [0x55; 32], ..*asked };
                return vec![other.hashes(&vec![[0x33; 32]; hashes.len()]), asked.hashes(&hashes)];
            }
            Hashes::OtherRange => {
                let other = Asked { index: asked.index.wrapping_add(asked.length), ..*asked };
                return vec![other.hashes(&vec![[0x33; 32]; hashes.len()]), asked.hashes(&hashes)];
            }
            Hashes::Good | Hashes::WrongLater | Hashes::Backwards => {}
        }
        vec![asked.hashes(&hashes)]
    }
}

/// Makes one bit of a hash wrong.
fn flip(hash: Option<&mut Hash>) {
    if let Some(byte) = hash.and_then(|hash| hash.first_mut()) {
        *byte ^= 1;
    }
}

/// Messages that a client must ignore: a keep-alive, an unknown id, an extended message with an id
/// that was never assigned, a DHT port.
pub fn noise() -> Vec<u8> {
    [
        wire::keep_alive(),
        wire::message(77, b"what is this"),
        wire::extended(99, b"d1:xi1ee"),
        wire::message(9, &[0x1A, 0xE1]),
        wire::keep_alive(),
    ]
    .concat()
}
