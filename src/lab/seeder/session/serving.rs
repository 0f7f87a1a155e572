//! The answers to requests for blocks and for the info dictionary, right or wrong.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{BATCH, CHOKE_TIME, MAX_UNSENT, Session};
use crate::lab::hints;
use crate::lab::seeder::Fault;
use crate::lab::seeder::end::End;
use crate::lab::seeder::outgoing::Sent;
use crate::lab::seeder::quirk::Quirk;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::{EXTENDED, encode_extended};
use crate::s08_metadata::NAME;
use crate::s08_metadata::message::MetadataMessage;

impl Session<'_> {
    /// Fills the next batch of blocks. With a rate limit it is a single block, since nothing
    /// else can be sent before it is out.
    pub(super) fn fill(&mut self) -> Result<(), End> {
        let batch = if self.seeder.rate.is_limited() { 1 } else { BATCH };
        while self.blocks.count() < batch
            && let Some(request) = self.next_request()
        {
            if self.given > 0 {
                match self.quirk {
                    Some(Quirk::HangUp) if self.blocks.is_empty() => return Err(End::Quirk),
                    Some(Quirk::HangUp) => {
                        self.queue.push_front(request);
                        break;
                    }
                    Some(Quirk::Mute | Quirk::Giant) => continue,
                    _ => {}
                }
            }
            let number = self.seeder.begun.fetch_add(1, Ordering::Relaxed);
            if matches!(self.seeder.fault, Fault::Dies { after_blocks } if number >= after_blocks) {
                // Another connection's last block may still be on its way, but ours is not.
                if self.blocks.is_empty() {
                    return Err(End::Died);
                }
                break;
            }
            self.give(request);
            let Request { index, begin, .. } = request;
            if matches!(self.seeder.fault, Fault::Corrupt { every } if number.is_multiple_of(every.max(1)))
            {
                self.blocks.spoil_last();
                self.log.spoiled(index, begin);
            }
            self.given += 1;
            self.since_unchoke += 1;
            if matches!(self.seeder.fault, Fault::Chokes { every } if self.since_unchoke >= every) {
                self.choke();
                self.unchoke_at = Some(Instant::now() + CHOKE_TIME);
            }
            match self.quirk {
                Some(Quirk::ChokeForever) => self.choke(),
                Some(Quirk::Giant) => self.messages.extend([0x80, 0, 0, 0, 7]),
                Some(Quirk::Noise) => self.noise(),
                _ => {}
            }
        }
        Ok(())
    }

    fn next_request(&mut self) -> Option<Request> {
        match self.quirk {
            Some(Quirk::Backwards) => self.queue.pop_back(),
            _ => self.queue.pop_front(),
        }
    }

    /// Adds the block that was asked for to those on their way, and what else the quirk gives.
    fn give(&mut self, Request { index, begin, length }: Request) {
        let offset =
            u64::from(index) * u64::from(self.content.info.piece_length) + u64::from(begin);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let content = self.content;
        let block =
            content.data.get(start..start.saturating_add(length as usize)).unwrap_or_default();
        let piece = |index, begin, block: &[u8], session: &mut Self| {
            let message = Message::Piece { index, begin, block };
            session.blocks.add(&message, block.len() as u32);
            session.log.sent(&message);
        };
        match self.quirk {
            // No request begins at such an offset.
            Some(Quirk::Unasked) => piece(index, begin + 1, &[0xaa; 100], self),
            Some(Quirk::NoSuchPiece) => piece(u32::MAX, begin, &[0xaa; 100], self),
            Some(Quirk::Twice) => piece(index, begin, block, self),
            _ => {}
        }
        match self.quirk {
            Some(Quirk::TooLong) => piece(index, begin, &[block, &[0]].concat(), self),
            Some(Quirk::TooShort) => {
                piece(index, begin, block.split_last().map_or(block, |(_, rest)| rest), self);
            }
            _ => piece(index, begin, block, self),
        }
        self.log.gives(index);
    }

    /// Chokes the peer. Without the fast extension that throws all requests away.
    fn choke(&mut self) {
        self.queue_message(&Message::Choke);
        self.log.choked(self.queue.len());
        self.partner.forgotten += self.queue.len();
        self.queue.clear();
        self.choking = true;
    }

    /// Queues messages that a client passes over.
    fn noise(&mut self) {
        self.queue_message(&Message::KeepAlive);
        self.queue_message(&Message::Unknown { id: 77, payload: b"what is this" });
        self.queue_message(&Message::Unknown { id: EXTENDED, payload: b"\x63d1:xi1ee" });
        self.queue_message(&Message::Port { port: 6881 });
    }

    /// Counts a batch that was sent whole.
    pub(super) fn count(&mut self, Sent { blocks, bytes }: Sent) -> Result<(), End> {
        if let Some(peer_id) = self.log.gave(blocks, bytes) {
            self.seeder.remember(peer_id);
        }
        self.seeder.bytes.fetch_add(bytes, Ordering::Relaxed);
        let all = self.seeder.blocks.fetch_add(blocks, Ordering::Relaxed) + blocks;
        match self.seeder.fault {
            Fault::Dies { after_blocks } if all >= after_blocks => Err(End::Died),
            _ => Ok(()),
        }
    }

    /// Answers a message of the extension protocol.
    pub(super) fn extended(&mut self, payload: &[u8]) -> Result<(), End> {
        let size = self.content.metadata.len();
        let offered = self.extensions.our_id(NAME);
        if let Some(ours) = offered
            && let Some(mistake) = hints::extended(payload, ours, &self.extensions.theirs, size)
        {
            self.log.mistake(mistake);
        }
        let mut answer = Vec::new();
        self.extensions.hear(payload, &mut answer)?;
        if answer.is_empty() {
            return Ok(());
        }
        match self.quirk {
            Some(Quirk::MetaSilent) => answer.clear(),
            Some(Quirk::MetaReject) => answer = self.reject(payload),
            Some(Quirk::MetaCorrupt) => {
                answer.iter_mut().rev().take(1).for_each(|last| *last ^= 0x55)
            }
            _ => self.partner.metadata_given += 1,
        }
        if let Some(payload) = answer.get(5..) {
            self.log.sent(&Message::Unknown { id: EXTENDED, payload });
        }
        self.messages.append(&mut answer);
        if self.messages.len() > MAX_UNSENT { Err(End::TooMany) } else { Ok(()) }
    }

    /// Returns the encoded refusal of a request for a piece of the info dictionary.
    fn reject(&self, payload: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let asked = payload.get(1..).and_then(|rest| MetadataMessage::decode(rest).ok());
        if let (Some(MetadataMessage::Request { piece }), Some(id)) =
            (asked, self.extensions.theirs.id(NAME))
        {
            encode_extended(id, &MetadataMessage::Reject { piece }.encode(), &mut answer);
        }
        answer
    }
}
