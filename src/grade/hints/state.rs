//! The state of a connection that is played again: what each side has said so far.

use std::time::Duration;

use super::handshake::without_bit_20;
use super::{Cause, Shown};
use crate::lab::content::Content;
use crate::s02_metainfo::MAX_PIECES;
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake};
use crate::s05_messages::FAST_BIT;
use crate::s05_messages::bitfield::Bitfield;
use crate::s07_extension::{EXTENSION_BIT, PeerExtensions};
use crate::trace::{Context, s05};

/// A connection, and what has come of it so far.
#[derive(Default)]
pub struct Replay<'k> {
    /// The first rule that the client broke.
    pub broken: Option<Cause>,
    /// The first odd thing that it did, which most peers forgive.
    pub odd: Option<Cause>,
    /// What happened.
    pub facts: Facts,
    /// What the connection is about, once the client has said so.
    pub content: Option<&'k Content>,
    /// What the client sent.
    pub client: Side,
    /// What it was sent.
    pub peer: Side,
    /// The pieces that the peer has, if it has said so.
    pub has: Option<Bitfield>,
    /// Whether a bitfield of the client may no longer come.
    pub bitfield_is_late: bool,
    /// Whether the client's last message was a keep-alive.
    pub keep_alive: bool,
}

/// One direction.
#[derive(Default)]
pub struct Side {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Where the next object begins.
    pub at: usize,
    /// The handshake, once all of it has come.
    pub handshake: Option<Handshake>,
    /// What it has said about its extensions.
    pub extensions: PeerExtensions,
    /// Whether the rest makes no sense.
    pub lost: bool,
}

/// What happened on a connection.
#[derive(Default)]
pub struct Facts {
    /// How long it lasted.
    pub lasted: Duration,
    /// The messages that the peer sent.
    pub told: usize,
    /// Whether the peer has ever unchoked the client.
    pub unchoked: bool,
    /// Whether the client is interested.
    pub interested: bool,
    /// Whether the client has sent an `unchoke` itself.
    pub unchokes: bool,
    /// The client's requests, and the blocks that it was sent.
    pub requests: usize,
    pub blocks: usize,
    /// Whether the client has sent an extension handshake, and asked for metadata.
    pub extended: bool,
    pub asked_metadata: bool,
}

impl Side {
    /// Returns what comes after the objects so far.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes the handshake off the front, if all of it is there and it is one.
    pub fn take_handshake(&mut self) -> Option<Handshake> {
        let handshake = Handshake::read_from(&mut self.rest()).ok()?;
        self.at += HANDSHAKE_LENGTH;
        self.handshake = Some(handshake);
        self.handshake
    }

    fn has_bit(&self, bit: usize) -> bool {
        self.handshake.is_some_and(|handshake| handshake.has_bit(bit))
    }
}

impl Replay<'_> {
    /// Whether both sides have set a reserved bit.
    pub fn has_bit(&self, bit: usize) -> bool {
        self.client.has_bit(bit) && self.peer.has_bit(bit)
    }

    /// The number of pieces; as long as it is unknown, the most there can be.
    pub fn pieces(&self) -> u32 {
        self.content.map_or(MAX_PIECES as u32, |content| content.info.piece_count())
    }

    /// Describes the message that begins here in what the client sent.
    pub fn object_at(&self, at: usize) -> Shown {
        let bytes = self.client.bytes.get(at..).unwrap_or_default();
        let length = s05::length(bytes).unwrap_or(bytes.len());
        let bytes = bytes.get(..length).unwrap_or(bytes).to_vec();
        let said = self.peer.extensions.said.m.iter();
        let context = Context {
            pieces: self.content.map(|content| content.info.piece_count()),
            extensions: said.map(|(name, id)| (*id, name.clone())).collect(),
        };
        let object = s05::message(&bytes, &context);
        Shown { at, bytes, object }
    }

    /// Shows that bit 20 is not set in the client's handshake.
    pub fn without_bit_20(&self) -> Option<Shown> {
        self.client.bytes.get(..HANDSHAKE_LENGTH).map(without_bit_20)
    }

    /// Whether the fast extension is agreed on.
    pub fn is_fast(&self) -> bool {
        self.has_bit(FAST_BIT)
    }

    /// Whether the extension protocol is agreed on.
    pub fn is_extended(&self) -> bool {
        self.has_bit(EXTENSION_BIT)
    }

    /// Whether the peer has set the bit of the extension protocol, and the client has not.
    pub fn lacks_extension_bit(&self) -> bool {
        self.peer.has_bit(EXTENSION_BIT)
            && self.client.handshake.is_some()
            && !self.client.has_bit(EXTENSION_BIT)
    }
}
