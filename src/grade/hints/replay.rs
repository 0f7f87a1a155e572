//! One connection between a client and a peer, played again: what each side knew at each message.

use std::time::Duration;

use super::{Cause, Known, Shown};
use crate::actors::recording::{Recording, Way};
use crate::lab::content::Content;
use crate::s02_metainfo::MAX_PIECES;
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake, PROTOCOL};
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::kinds::longest;
use crate::s05_messages::{FAST_BIT, Message, MessageError};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, ExtensionHandshake, PeerExtensions};
use crate::s08_metadata::NAME;
use crate::trace::{Context, s05};

/// The most bytes of a connection that are played, both ways together. Mistakes are at the start.
const MAX_PLAYED: usize = 1 << 20;

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
    keep_alive: bool,
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
    lost: bool,
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
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes the handshake off the front, if all of it is there and it is one.
    fn take_handshake(&mut self) -> Option<Handshake> {
        let handshake = Handshake::read_from(&mut self.rest()).ok()?;
        self.at += HANDSHAKE_LENGTH;
        self.handshake = Some(handshake);
        self.handshake
    }

    fn has_bit(&self, bit: usize) -> bool {
        self.handshake.is_some_and(|handshake| handshake.has_bit(bit))
    }
}

impl<'k> Replay<'k> {
    /// Plays a recording.
    pub fn of(recording: &Recording, known: &'k Known) -> Replay<'k> {
        let mut replay = Replay::default();
        let mut played = 0;
        for chunk in recording.chunks() {
            played += chunk.bytes.len();
            if played > MAX_PLAYED {
                return replay;
            }
            match chunk.way {
                Way::FromClient => {
                    replay.client.bytes.extend_from_slice(&chunk.bytes);
                    replay.hear_client(known);
                }
                Way::ToClient => {
                    replay.peer.bytes.extend_from_slice(&chunk.bytes);
                    replay.hear_peer();
                }
            }
        }
        let end = recording.ended().unwrap_or_else(std::time::Instant::now);
        replay.facts.lasted = end.saturating_duration_since(recording.begun());
        replay.ends(known);
        replay
    }

    /// Whether both sides have set a reserved bit.
    pub fn has_bit(&self, bit: usize) -> bool {
        self.client.has_bit(bit) && self.peer.has_bit(bit)
    }

    /// The number of pieces; as long as it is unknown, the most there can be.
    pub fn pieces(&self) -> u32 {
        self.content.map_or(MAX_PIECES as u32, |content| content.info.piece_count())
    }

    fn hear_client(&mut self, known: &'k Known) {
        if self.client.lost {
            return;
        }
        if self.client.handshake.is_none() {
            let begin = self.client.bytes.get(..HANDSHAKE_LENGTH);
            let Some(begin) = begin.map(<[u8]>::to_vec) else { return };
            match super::handshake::mistake(&begin, known) {
                Some(cause) => {
                    self.broken = Some(cause);
                    self.client.lost = true;
                    return;
                }
                None => {
                    let hash = self.client.take_handshake().map(|theirs| theirs.info_hash);
                    let mut contents = known.contents.iter();
                    self.content = contents.find(|content| Some(content.info_hash()) == hash);
                }
            }
        }
        while !self.client.lost && self.next_message().is_some() {}
    }

    /// Takes the next message of the client, if all of it is there.
    fn next_message(&mut self) -> Option<()> {
        let (prefix, behind) = self.client.rest().split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*prefix) as usize;
        let at = self.client.at;
        if length == 0 {
            self.keep_alive = true;
            self.client.at += 4;
            return Some(());
        }
        let limit = longest(Some(*behind.first()?), self.pieces());
        let too_long = (length > limit).then_some(MessageError::TooLong { length, limit });
        let frame = match too_long {
            Some(_) => Vec::new(),
            None => behind.get(..length)?.to_vec(),
        };
        let error = too_long.or_else(|| Message::decode(&frame).err());
        if let Some(error) = error {
            self.client.lost = true;
            let cause = super::messages::unreadable(&error, self.keep_alive, self.object_at(at));
            self.broken.get_or_insert(cause);
            return None;
        }
        self.keep_alive = false;
        self.client.at += 4 + length;
        if let Ok(message) = Message::decode(&frame) {
            super::messages::judge(self, &message, at);
            self.note(&message);
        }
        Some(())
    }

    /// Notes what a message of the client says.
    fn note(&mut self, message: &Message) {
        match message {
            Message::Interested => self.facts.interested = true,
            Message::Unchoke => self.facts.unchokes = true,
            Message::Request(_) => self.facts.requests += 1,
            Message::Unknown { id: EXTENDED, payload: [0, rest @ ..] } => {
                self.facts.extended = true;
                if let Ok(said) = ExtensionHandshake::decode(rest) {
                    self.client.extensions.update(said);
                }
            }
            Message::Unknown { id: EXTENDED, payload: [id, ..] } => {
                self.facts.asked_metadata |= self.peer.extensions.id(NAME) == Some(*id);
            }
            _ => {}
        }
        self.bitfield_is_late |=
            !matches!(message, Message::KeepAlive | Message::Port { .. } | Message::Unknown { .. });
    }

    fn hear_peer(&mut self) {
        if self.peer.lost {
            return;
        }
        if self.peer.handshake.is_none() {
            if self.peer.bytes.len() < HANDSHAKE_LENGTH {
                return;
            }
            self.peer.lost = self.peer.take_handshake().is_none();
        }
        while !self.peer.lost
            && let Some((prefix, behind)) = self.peer.rest().split_first_chunk::<4>()
        {
            let length = u32::from_be_bytes(*prefix) as usize;
            let Some(frame) = behind.get(..length).map(<[u8]>::to_vec) else { return };
            self.peer.at += 4 + length;
            match Message::decode(&frame) {
                Ok(message) => self.tell(&message),
                // Peers of a check may send nonsense on purpose.
                Err(_) => self.peer.lost = true,
            }
        }
    }

    /// Notes what the peer tells the client.
    fn tell(&mut self, message: &Message) {
        self.facts.told += usize::from(*message != Message::KeepAlive);
        let pieces = self.pieces();
        let has = self.has.take();
        self.has = match message {
            Message::Bitfield { bits } => Bitfield::decode(bits, pieces).ok(),
            Message::HaveAll => Some(Bitfield::full(pieces)),
            Message::HaveNone => Some(Bitfield::new(pieces)),
            Message::Have { index } => {
                let mut has = has.unwrap_or_else(|| Bitfield::new(pieces));
                has.set(*index, true);
                Some(has)
            }
            _ => has,
        };
        match message {
            Message::Unchoke => self.facts.unchoked = true,
            Message::Piece { .. } => self.facts.blocks += 1,
            Message::Unknown { id: EXTENDED, payload: [0, rest @ ..] } => {
                if let Ok(said) = ExtensionHandshake::decode(rest) {
                    self.peer.extensions.update(said);
                }
            }
            _ => {}
        }
    }

    /// Looks at what was left unfinished.
    fn ends(&mut self, known: &Known) {
        let sent = &self.client.bytes;
        if self.client.lost || sent.is_empty() {
            return;
        }
        if self.client.handshake.is_none() {
            self.broken = super::handshake::mistake(sent, known);
            return;
        }
        if !self.client.rest().is_empty() {
            let hint = crate::lab::hints::unfinished(self.client.rest());
            let shown = Some(self.object_at(self.client.at));
            self.broken.get_or_insert(Cause::new(hint, shown));
        }
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
        self.client.bytes.get(..HANDSHAKE_LENGTH).map(super::handshake::without_bit_20)
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

/// Whether these bytes begin as a handshake does.
pub fn is_handshake(bytes: &[u8]) -> bool {
    bytes.starts_with(PROTOCOL)
}
