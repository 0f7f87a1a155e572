//! One connection between a client and a peer, played again: what each side knew at each message.

use std::time::Instant;

use super::state::Replay;
use super::{Cause, Known, handshake, messages};
use crate::actors::recording::{Recording, Way};
use crate::lab::hints::unfinished;
use crate::s04_handshake::HANDSHAKE_LENGTH;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::kinds::longest;
use crate::s05_messages::{Message, MessageError};
use crate::s07_extension::{EXTENDED, ExtensionHandshake};
use crate::s08_metadata::NAME;

/// The most bytes of a connection that are played, both ways together. Mistakes are at the start.
const MAX_PLAYED: usize = 1 << 20;

impl<'k> Replay<'k> {
    /// Plays a recording. A client that was dialed is hung up on, perhaps in the middle of a
    /// message: what it leaves unfinished says nothing.
    pub fn of(recording: &Recording, known: &'k Known, is_dialed: bool) -> Replay<'k> {
        let mut replay = Replay::default();
        let mut played = 0;
        for chunk in recording.beginning(MAX_PLAYED) {
            played += chunk.bytes.len() as u64;
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
        let end = recording.ended().unwrap_or_else(Instant::now);
        replay.facts.lasted = end.saturating_duration_since(recording.begun());
        // What a recording has lost, the client has not left unfinished.
        let all = recording.counted(Way::FromClient) + recording.counted(Way::ToClient);
        if played == all {
            replay.ends(known, is_dialed);
        }
        replay
    }

    fn hear_client(&mut self, known: &'k Known) {
        if self.client.lost {
            return;
        }
        if self.client.handshake.is_none() {
            let begin = self.client.bytes.get(..HANDSHAKE_LENGTH);
            let Some(begin) = begin.map(<[u8]>::to_vec) else { return };
            match handshake::mistake(&begin, known) {
                Some(cause) => {
                    self.broken = Some(cause);
                    self.client.lost = true;
                    return;
                }
                None => {
                    let hash = self.client.take_handshake().map(|theirs| theirs.info_hash);
                    let mut contents = known.contents.iter();
                    self.content = contents
                        .find(|content| hash.is_some_and(|hash| content.info.names.has(hash)));
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
            let cause = messages::unreadable(&error, self.keep_alive, self.object_at(at));
            self.broken.get_or_insert(cause);
            return None;
        }
        self.keep_alive = false;
        self.client.at += 4 + length;
        if let Ok(message) = Message::decode(&frame) {
            messages::judge(self, &message, at);
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
    fn ends(&mut self, known: &Known, is_dialed: bool) {
        let sent = &self.client.bytes;
        if self.client.lost || sent.is_empty() {
            return;
        }
        if self.client.handshake.is_none() {
            self.broken = handshake::mistake(sent, known);
            return;
        }
        if !self.client.rest().is_empty() && !is_dialed {
            let hint = unfinished(self.client.rest());
            let shown = Some(self.object_at(self.client.at));
            self.broken.get_or_insert(Cause::new(hint, shown));
        }
    }
}
