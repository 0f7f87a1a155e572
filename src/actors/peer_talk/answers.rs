//! The answers of a fake peer to requests for blocks and metadata.

use super::super::bencode;
use super::super::peer_plan::{Blocks, Hashes, Metadata, Unchoke};
use super::super::talk::Heard;
use super::super::tree::{Asked, REQUEST_SIZE};
use super::super::twists::noise;
use super::super::{jitter, wire};
use super::{Talker, done};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The length of each metadata piece but the last.
const METADATA_PIECE: usize = 16_384;
/// The most bytes that a request may ask for.
const MAX_BLOCK: u32 = 16_384;
/// Requests that come within this time are answered together. On a busy machine, it may be the time
/// between two that are sent at once.
const TOGETHER: Duration = Duration::from_secs(1);
/// The most requests that are collected to be answered in another order.
const MAX_HELD: usize = 1_000;

impl Talker<'_> {
    /// Does what a message asks for, as the plan has it.
    pub(super) fn answer(&mut self, message: &Heard) -> io::Result<()> {
        match message.id {
            Some(wire::INTERESTED) => match self.plan.unchoke {
                Unchoke::OnInterest if !self.unchoked && self.unchoke_at.is_none() => {
                    if self.plan.unchoke_after.is_zero() {
                        return self.unchoke();
                    }
                    self.unchoke_at = Some(Instant::now() + self.plan.unchoke_after);
                    Ok(())
                }
                Unchoke::Never => {
                    self.mischief();
                    Ok(())
                }
                _ => Ok(()),
            },
            Some(wire::REQUEST) => match wire::three(&message.payload) {
                Some((piece, begin, length)) => self.request(piece, begin, length),
                None => Err(done()),
            },
            Some(wire::CANCEL) => {
                let canceled = wire::three(&message.payload);
                self.held.first.retain(|request| Some(*request) != canceled);
                Ok(())
            }
            Some(wire::EXTENDED) => self.extended(&message.payload),
            Some(wire::HASH_REQUEST) => self.hash_request(&message.payload),
            _ => Ok(()),
        }
    }

    fn request(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        let three = [piece.to_be_bytes(), begin.to_be_bytes(), length.to_be_bytes()].concat();
        if !self.unchoked {
            if self.is_fast() {
                return self.send(&wire::message(wire::REJECT, &three));
            }
            jitter::lock(self.talk).choked_requests += 1;
            return Ok(());
        }
        if self.plan.hold_until.is_some() && !self.held.let_go {
            self.held.since.get_or_insert_with(Instant::now);
            self.held.first.push((piece, begin, length));
            return Ok(());
        }
        self.line.rest(self.plan.pace);
        if self.plan.noise {
            self.send(&noise())?;
        }
        let served = self.shared.served();
        match self.plan.blocks.clone() {
            Blocks::Backwards => {
                self.held.backwards.push((piece, begin, length));
                Ok(())
            }
            Blocks::ChokeAfter(n, again) if served >= n && !self.choked_once => {
                self.choked_once = true;
                self.unchoked = false;
                self.send(&wire::message(wire::CHOKE, &[]))?;
                if self.is_fast() {
                    self.send(&wire::message(wire::REJECT, &three))?;
                } else {
                    self.pending.clear();
                    self.pending_bytes = 0;
                }
                if again {
                    self.unchoke_at = Some(Instant::now() + Duration::from_millis(100));
                }
                self.mischief();
                Ok(())
            }
            Blocks::ResetAfter(n) if served >= n => {
                // Closing while unread bytes wait makes the kernel send a reset.
                self.line.wait_unread(Duration::from_millis(300));
                self.die()
            }
            Blocks::CloseAfter(n) if served >= n => self.die(),
            Blocks::SilentAfter(n) if served >= n => {
                self.mute = true;
                self.mischief();
                Ok(())
            }
            Blocks::SayAfter(n, raw) if served >= n => {
                self.mute = true;
                self.count();
                self.send(&raw)?;
                self.mischief();
                Ok(())
            }
            Blocks::Reject => {
                self.mischief();
                self.send(&wire::message(wire::REJECT, &three))
            }
            Blocks::KilobytesPerSecond(limit) => {
                self.wait_for_turn(length, limit);
                self.block(piece, begin, length)
            }
            _ => self.block(piece, begin, length),
        }
    }

    /// Answers the requests that were held back, if it is time.
    pub(super) fn let_go(&mut self, quiet: bool) -> io::Result<()> {
        if let (Some((requests, time)), Some(since)) = (self.plan.hold_until, self.held.since)
            && !self.held.let_go
            && (self.held.first.len() >= requests || since.elapsed() >= time)
        {
            self.held.let_go = true;
            for (piece, begin, length) in std::mem::take(&mut self.held.first) {
                self.request(piece, begin, length)?;
            }
        }
        let last = self.held.hashes.last().map(|(_, came)| came.elapsed());
        if last.is_some_and(|last| last >= TOGETHER) {
            while let Some((asked, _)) = self.held.hashes.pop() {
                self.hashes(&asked)?;
            }
        }
        if (quiet || self.held.backwards.len() > MAX_HELD) && !self.held.backwards.is_empty() {
            self.mischief();
            while let Some((piece, begin, length)) = self.held.backwards.pop() {
                self.block(piece, begin, length)?;
            }
        }
        Ok(())
    }

    /// Waits until the limit, which all connections share, has room for a block.
    fn wait_for_turn(&mut self, length: u32, limit: u32) {
        let cost = Duration::from_secs_f64(f64::from(length) / (f64::from(limit.max(1)) * 1000.0));
        let turn = {
            let mut paid_until = jitter::lock(&self.shared.paid_until);
            let turn = (*paid_until).max(Instant::now());
            *paid_until = turn + cost;
            turn
        };
        self.line.rest(turn.saturating_duration_since(Instant::now()));
    }

    /// Answers a request for hashes. On a connection of version 1 it is no message, and the peer
    /// hangs up as libtorrent does.
    fn hash_request(&mut self, payload: &[u8]) -> io::Result<()> {
        let asked = Asked::read(payload).filter(|_| payload.len() == REQUEST_SIZE);
        let Some(asked) = asked.filter(|_| self.is_version_two()) else { return Err(done()) };
        if self.plan.hashes == Hashes::Backwards && self.held.hashes.len() < MAX_HELD {
            self.held.hashes.push((asked, Instant::now()));
            return Ok(());
        }
        self.hashes(&asked)
    }

    /// Sends what the plan makes of the hashes, and reports it to the test if that is wrong.
    fn hashes(&mut self, asked: &Asked) -> io::Result<()> {
        let two = self.plan.torrent.version_two.as_ref();
        let right = two.and_then(|two| two.answer(asked));
        self.send(&self.plan.hashes.messages(asked, right).concat())?;
        if self.plan.hashes != Hashes::Good {
            self.mischief();
        }
        Ok(())
    }

    fn die(&mut self) -> io::Result<()> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.mischief();
        Err(done())
    }

    /// The requested bytes of the torrent; a request out of range ends the connection.
    fn data(&self, piece: u32, begin: u32, length: u32) -> io::Result<Vec<u8>> {
        let torrent = &self.plan.torrent;
        let has = self.plan.have.get(piece as usize).is_some_and(|has| *has);
        if !has || length > MAX_BLOCK {
            return Err(done());
        }
        let piece = torrent.piece(piece as usize);
        let end = (begin as usize).saturating_add(length as usize);
        piece.get(begin as usize..end).map(<[u8]>::to_vec).ok_or_else(done)
    }

    /// Sends what the plan makes of a block, and reports it to the test if that is not the block.
    fn block(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        let block = self.data(piece, begin, length)?;
        let messages = self.plan.blocks.messages(self.shared.served(), (piece, begin), &block);
        let is_right = messages == [wire::block(piece, begin, &block)];
        for message in messages {
            self.count();
            self.send(&message)?;
            if !is_right {
                self.mischief();
            }
        }
        Ok(())
    }

    fn count(&self) {
        self.shared.served.fetch_add(1, Ordering::SeqCst);
        jitter::lock(self.talk).blocks += 1;
    }

    fn extended(&mut self, payload: &[u8]) -> io::Result<()> {
        let Some((&id, rest)) = payload.split_first() else { return Err(done()) };
        // What an id stands for that we never gave is not ours to judge.
        if id != 0 && id != self.plan.metadata_id {
            return Ok(());
        }
        let Some((value, _)) = bencode::decode(rest) else { return Err(done()) };
        let number = |key| value.get(key).and_then(bencode::Value::int);
        if id == 0 {
            let wanted = value.get("m").and_then(|m| m.get("ut_metadata"));
            // A later handshake that does not mention it changes nothing.
            if let Some(id) = wanted.and_then(bencode::Value::int) {
                self.their_metadata_id = u8::try_from(id).ok().filter(|id| *id != 0);
            }
            return Ok(());
        }
        match (number("msg_type"), number("piece")) {
            (Some(0), Some(piece)) => self.metadata(piece),
            (Some(0), None) => Err(done()),
            _ => Ok(()),
        }
    }

    fn metadata(&mut self, piece: i64) -> io::Result<()> {
        let Some(their_id) = self.their_metadata_id else { return Err(done()) };
        let info = &self.plan.torrent.info;
        let total = match self.plan.metadata {
            Metadata::Size(size) => size,
            _ => info.len() as i64,
        };
        let begin = usize::try_from(piece).unwrap_or(usize::MAX).saturating_mul(METADATA_PIECE);
        let length = usize::try_from(total).unwrap_or(0).saturating_sub(begin).min(METADATA_PIECE);
        let mut data: Vec<u8> = info.iter().skip(begin).take(length).copied().collect();
        data.resize(length, 0);
        if let Some(answer) = self.plan.metadata.answer(piece, total, data) {
            self.metadata_sent += 1;
            self.send(&wire::extended(their_id, &answer))?;
        }
        if self.plan.metadata != Metadata::Good {
            self.mischief();
        }
        Ok(())
    }
}
