//! The answers to requests for blocks and for the info dictionary, right or wrong.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{BATCH, CHOKE_TIME, MAX_UNSENT, Session};
use crate::actors::twists::noise;
use crate::actors::{Blocks, Metadata};
use crate::lab::hints;
use crate::lab::seeder::Fault;
use crate::lab::seeder::end::End;
use crate::lab::seeder::outgoing::Sent;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::encode_extended;
use crate::s08_metadata::message::MetadataMessage;
use crate::s08_metadata::{METADATA_PIECE_LENGTH, NAME};
use crate::s19_pex;

impl Session<'_> {
    /// Fills the next batch of blocks. With a rate limit it is a single block, since nothing
    /// else can be sent before it is out.
    pub(super) fn fill(&mut self) -> Result<(), End> {
        let plan = &self.holding.plan;
        let batch = if self.seeder.rate.is_limited() { 1 } else { BATCH };
        while self.blocks.count() < batch
            && let Some(request) = self.next_request()
        {
            match plan.blocks {
                Blocks::CloseAfter(count) if self.given >= count => {
                    if self.blocks.is_empty() {
                        return Err(End::Quirk);
                    }
                    self.queue.push_front(request);
                    break;
                }
                Blocks::SilentAfter(count) | Blocks::SayAfter(count, _) if self.given >= count => {
                    continue;
                }
                _ => {}
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
            match &plan.blocks {
                Blocks::ChokeAfter(count, _) if self.given == *count => self.choke(),
                Blocks::SayAfter(count, raw) if self.given == *count => self.queue_encoded(raw),
                _ => {}
            }
            if plan.noise {
                self.queue_encoded(&noise());
            }
        }
        Ok(())
    }

    fn next_request(&mut self) -> Option<Request> {
        match self.holding.plan.blocks {
            Blocks::Backwards => self.queue.pop_back(),
            _ => self.queue.pop_front(),
        }
    }

    /// Adds what the plan makes of a block to what is on its way.
    fn give(&mut self, Request { index, begin, length }: Request) {
        let content = &self.holding.content;
        let offset = u64::from(index) * u64::from(content.info.piece_length) + u64::from(begin);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let block =
            content.data.get(start..start.saturating_add(length as usize)).unwrap_or_default();
        for message in self.holding.plan.blocks.messages(self.given, (index, begin), block) {
            self.log.sent(&message);
            self.blocks.add(&message);
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
        let metadata = &self.holding.content.metadata;
        let offered = self.extensions.our_id(NAME);
        // It may also name its other peers. Nobody here wants to know.
        let is_pex = payload.first().copied() == self.extensions.our_id(s19_pex::NAME);
        if let Some(ours) = offered.filter(|_| !is_pex)
            && let Some(mistake) =
                hints::extended(payload, ours, &self.extensions.theirs, metadata.len())
        {
            self.log.mistake(mistake);
        }
        let mut answer = Vec::new();
        self.extensions.hear(payload, &mut answer)?;
        if answer.is_empty() {
            // After its extension handshake it may hear of the other seeders.
            let mut news = Vec::new();
            self.extensions.tick(Instant::now(), &mut news);
            self.queue_encoded(&news);
            return Ok(());
        }
        match self.holding.plan.metadata {
            Metadata::Good | Metadata::None | Metadata::Size(_) => self.partner.metadata_given += 1,
            _ => answer = self.twisted(payload),
        }
        self.queue_encoded(&answer);
        if self.messages.len() > MAX_UNSENT { Err(End::TooMany) } else { Ok(()) }
    }

    /// Returns the encoded answer that the plan has for a request for metadata.
    fn twisted(&self, payload: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        let asked = payload.get(1..).and_then(|rest| MetadataMessage::decode(rest).ok());
        if let (Some(MetadataMessage::Request { piece }), Some(id)) =
            (asked, self.extensions.theirs.id(NAME))
        {
            let all = &self.holding.content.metadata;
            let data = all.chunks(METADATA_PIECE_LENGTH).nth(piece.0 as usize).unwrap_or_default();
            let (piece, size) = (i64::from(piece.0), all.len() as i64);
            let answer = self.holding.plan.metadata.answer(piece, size, data.to_vec());
            answer.iter().for_each(|answer| encode_extended(id, answer, &mut encoded));
        }
        encoded
    }
}
