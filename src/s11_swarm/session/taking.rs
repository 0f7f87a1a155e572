//! The half of a session that takes: requests out, blocks in.

use std::time::Duration;

use super::Session;
use crate::s05_messages::{Message, Request, Rest};
use crate::s07_extension::DEFAULT_REQQ;
use crate::s11_swarm::lease::{Lease, Written};
use crate::s11_swarm::work_queue::share::Claim;
use crate::s11_swarm::{Ended, Note};

/// The most requests on their way for pieces that other peers are fetching, too.
const SHARED_DEPTH: usize = 8;
/// How many requests a peer may refuse: each is remembered, as a second refusal means more.
const MOST_REFUSED: usize = 2_000;
/// How many pieces are remembered that the peer offers in spite of a choke, or advises.
const MOST_ADVICE: usize = 64;

impl Session<'_> {
    /// Gives a piece back, if we hold it, and cancels what was asked for of it.
    pub(super) fn let_go(&mut self, index: u32) {
        if !self.held.retain(|lease| lease.piece().get() != index, self.clock.now) {
            return;
        }
        let (gone, asked) = std::mem::take(&mut self.asked).into_iter().partition(|request| request.index == index);
        self.asked = asked;
        for request in gone {
            self.forgiven += 1; // it may be on its way already
            self.swarm.download_rate.refund(request.length as usize);
            Message::Cancel(request).encode_to(&mut self.out);
            self.urgent = true;
        }
    }

    /// Keeps our interest true, and requests on their way. They are sent in batches,
    /// when half of them are answered, across the borders of pieces.
    pub(super) fn ask(&mut self) {
        if let Some(index) = self.held.taken_over() {
            self.let_go(index);
        }
        let wanted = !self.torrent.is_upload_only() && self.share.is_interesting();
        if wanted != self.interested {
            self.interested = wanted;
            self.traffic.terms().wanted(wanted);
            let message = if wanted { Message::Interested } else { Message::NotInterested };
            message.encode_to(&mut self.out);
            self.urgent = true;
        }
        let may_ask = wanted && (!self.choked || !self.allowed.is_empty());
        if !may_ask || self.asked.len() > self.room() / 2 {
            return;
        }
        if self.asked.is_empty() {
            self.clock.block = self.clock.now; // from now on it owes us one
            self.depth.resume(self.clock.now);
        }
        while self.asked.len() < self.room() && self.swarm.download_rate.wait_until(self.clock.now).is_none() {
            let request = self.held.last_mut().and_then(Lease::next_request);
            if let Some(request) = request {
                self.swarm.download_rate.spend(request.length as usize, self.clock.now);
                Message::Request(request).encode_to(&mut self.out);
                self.asked.push_back(request);
                self.urgent = true;
                continue;
            }
            match self.claim() {
                Some(lease) => {
                    // Held already, it is dead: others made the piece wrong. Its requests are
                    // taken back, so that no block is asked for twice and only answered once.
                    self.let_go(lease.piece().get());
                    self.held.push(lease, self.clock.now);
                }
                None => break,
            }
        }
        self.drop_idle();
    }

    /// A piece to ask for: while we are choked, one that the peer gives nevertheless;
    /// else rather one that it advises.
    fn claim(&mut self) -> Option<Lease> {
        if self.choked {
            return self.allowed.iter().find_map(|index| self.share.claim_piece(*index));
        }
        while let Some(index) = self.suggested.pop() {
            if let Some(lease) = self.share.claim_piece(index) {
                return Some(lease);
            }
        }
        // One that was fast once and owes us a block since is as slow as that.
        let owed = if self.asked.is_empty() { Duration::ZERO } else { self.clock.now.duration_since(self.clock.block) };
        self.share.set_block_time(self.depth.block_time().map(|time| time.max(owed)));
        match self.share.claim(self.asked.len() < SHARED_DEPTH / 2) {
            Claim::Lease(lease) => Some(lease),
            Claim::Later | Claim::Over => None,
        }
    }

    /// BEP 6: "you may ask for this piece while choked".
    pub(super) fn allows(&mut self, index: u32) {
        remember(&mut self.allowed, index);
    }

    /// BEP 6: "this piece is cheap for me to send".
    pub(super) fn suggests(&mut self, index: u32) {
        remember(&mut self.suggested, index);
    }

    /// How many requests may be on their way. In the end game each may be one too many,
    /// as another peer was asked for the same block.
    fn room(&self) -> usize {
        let shared = self.held.last().is_some_and(Lease::is_shared);
        let most = self.extensions.theirs.said.reqq.unwrap_or(DEFAULT_REQQ).max(1) as usize;
        let depth = self.depth.get().min(most);
        if shared { depth.min(SHARED_DEPTH) } else { depth }
    }

    /// Gives back the pieces that have nothing on its way and nothing to ask for:
    /// others hold what they lack.
    fn drop_idle(&mut self) {
        let asked = |lease: &Lease| self.asked.iter().any(|request| request.index == lease.piece().get());
        self.held.retain(|lease| !lease.is_asked() || asked(lease), self.clock.now);
    }

    /// BEP 3: a choke throws our requests away. BEP 6: it does not, each still gets its
    /// answer; but mostly that is a reject, and some peers owe it for ever. So the
    /// pieces go back at once, and a late answer of either kind does no harm.
    pub(super) fn choke(&mut self) {
        self.set_choked(true);
        if !self.asked.is_empty() {
            self.depth.forget_block_time();
        }
        self.forgiven += self.asked.len();
        self.swarm.download_rate.refund(self.asked.drain(..).map(|request| request.length as usize).sum());
        self.held.clear();
    }

    pub(super) fn set_choked(&mut self, choked: bool) {
        if self.choked != choked && !std::mem::replace(&mut self.heard[usize::from(choked)], true) {
            self.swarm.note(Note::Choked(self.peer, choked));
        }
        self.choked = choked;
        self.traffic.terms().chokes_us(choked);
    }

    /// A request is refused. The first time it may be the late answer to one from
    /// before a choke, and is asked again. The second time, the peer does not have the
    /// piece, whatever it says. While it chokes us, a reject says only that it gives no more of
    /// this piece for free: it has it, and may unchoke us later.
    pub(super) fn rejected(&mut self, request: Request) -> Result<(), Ended> {
        if !self.answered(request) {
            return Ok(());
        }
        self.swarm.download_rate.refund(request.length as usize);
        if self.choked {
            self.allowed.retain(|index| *index != request.index);
        } else if !self.refused.insert(request) {
            self.share.lost(request.index);
            self.show_have();
        }
        if self.refused.len() > MOST_REFUSED {
            return Err(Ended::Rule("it refuses to give what it says it has"));
        }
        let last = !self.asked.iter().any(|asked| asked.index == request.index);
        if last {
            self.let_go(request.index);
        }
        Ok(())
    }

    /// Takes a request off the list, if it is on it: mostly it is the oldest.
    fn answered(&mut self, request: Request) -> bool {
        let position = self.asked.iter().position(|asked| *asked == request);
        position.and_then(|position| self.asked.remove(position)).is_some()
    }

    /// A block, and those behind it that go on where it ends: each has been read already,
    /// and to write them at one go costs one system call instead of one for each.
    pub(super) fn blocks(&mut self, index: u32, begin: u32, block: &[u8], mut rest: Rest) -> Result<(), Ended> {
        let (mut blocks, mut length) = (Vec::new(), 0);
        let mut next = Some(block);
        while let Some(block) = next {
            if !self.answered(Request { index, begin: begin + length, length: block.len() as u32 }) {
                // After a choke, a cancel or a give-back this is normal. It is not for ever.
                self.swarm.download_rate.spend(block.len(), self.clock.now);
                self.forgiven = self.forgiven.checked_sub(1).ok_or(Ended::Rule("it sends blocks that nobody asked for"))?;
                break;
            }
            blocks.push(block);
            length += block.len() as u32;
            next = rest.block(index, begin + length);
        }
        if blocks.is_empty() {
            return Ok(());
        }
        self.clock.block = self.clock.now;
        let most = self.extensions.theirs.said.reqq.unwrap_or(DEFAULT_REQQ);
        self.depth.blocks_came(blocks.len(), self.clock.now, most as usize);
        self.swarm.count_blocks(self.traffic, length as usize, self.clock.now);
        let Some(lease) = self.held.get_mut(index) else { return Ok(()) };
        let piece = lease.piece();
        self.traffic.terms().storing(true);
        let written = lease.write(begin, &blocks, &*self.torrent.store);
        self.traffic.terms().storing(false);
        match written.map_err(Ended::Local)? {
            Written::More | Written::Stale => {}
            Written::Verified => {
                self.let_go(index);
                self.traffic.count_piece();
                self.swarm.piece_done(self.torrent);
            }
            Written::Corrupt(by) => {
                self.let_go(index);
                let alone = by.len() == 1;
                self.swarm.piece_corrupt(piece, by);
                if alone {
                    return Err(Ended::Corrupt(piece));
                }
            }
        }
        Ok(())
    }
}

/// Keeps the latest few pieces of a peer's advice.
fn remember(advice: &mut Vec<u32>, index: u32) {
    if advice.len() == MOST_ADVICE {
        advice.remove(0);
    }
    advice.push(index);
}
