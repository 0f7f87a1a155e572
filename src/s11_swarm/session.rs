//! One peer's thread, from the first message after the handshakes to the last.
//!
//! ```text
//!   hear of finished pieces -> keep requests ahead -> send -> look at the clock
//!        ^                                                        |
//!        +------- take in one message, or a moment of nothing <---+
//! ```
//! The thread that reads a block also hashes and writes it. So there is no queue
//! of blocks anywhere, and the work spreads over the cores by itself.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::depth::Depth;
use super::held::Held;
use super::lease::{Lease, Written};
use super::outbox::{Outlet, Upload};
use super::rarest::Have;
use super::work_queue::{Claim, PeerNumber, Share};
use super::{Ended, Stats, Swarm, Torrent};
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::connection::{Connection, Line};
use crate::s05_messages::{FAST_BIT, Message, Request};
use crate::s07_extension::{DEFAULT_REQQ, EXTENDED, Extensions};

/// How long to sleep in a read while we want a piece and there is none to claim.
const TICK: Duration = Duration::from_millis(250);
/// And how long while we do not: finished pieces are then told with this delay.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// The most requests on their way for pieces that other peers are fetching, too.
const SHARED_DEPTH: usize = 8;
/// How many requests a peer may refuse.
const MOST_REFUSED: usize = 10_000;
/// How many blocks that were not asked for are forgiven.
const FORGIVEN: usize = 64;

/// The state of one connection.
pub(super) struct Session<'s> {
    swarm: &'s Swarm,
    torrent: &'s Torrent,
    stats: &'s Stats,
    address: SocketAddr,
    /// What the peer gets from us, once it wanted anything.
    upload: Option<Box<dyn Upload>>,
    extensions: Extensions,
    share: Share,
    /// Whether it has said what it has, all at once.
    said_have: bool,
    /// Whether both sides speak the fast extension.
    fast: bool,
    choked: bool,
    interested: bool,
    /// The pieces we are fetching, the oldest first.
    held: Held,
    /// What we have asked for, the oldest first.
    asked: Vec<Request>,
    /// What was refused once. A second time, and the piece is not to be had here.
    refused: HashSet<Request>,
    depth: Depth,
    /// Blocks that may still come although they are no longer wanted.
    forgiven: usize,
    /// Messages to be sent, and whether they can wait for company.
    out: Vec<u8>,
    urgent: bool,
    clock: Clock,
}

/// Downloads from a peer until one side has had enough.
pub(super) fn run(
    swarm: &Swarm,
    torrent: &Torrent,
    peer: (PeerNumber, &Stats),
    connection: Connection,
    extensions: Extensions,
    from_magnet: bool,
) -> Result<(), Ended> {
    let mut session = Session::new(swarm, torrent, peer, &connection, extensions, from_magnet);
    let Connection { mut input, output, line, .. } = connection;
    let mut outlet = Outlet::Direct(output);
    input.set_limit(torrent.queue.info().piece_count());
    loop {
        session.take_news();
        session.ask();
        session.send(&mut outlet)?;
        session.clock.now = Instant::now();
        session.check_clock(input.begun())?;
        input.get_mut().set_deadline(session.clock.now + session.tick());
        match input.read() {
            Ok(message) => {
                if message == Message::Interested && session.upload.is_none() {
                    session.open_upload(&mut outlet, &line);
                }
                session.hear(message)?;
            }
            Err(error) if error.is_timeout() && swarm.is_stopping() => return Ok(()),
            Err(error) if error.is_timeout() => session.urgent = true,
            Err(error) => return Err(error.into()),
        }
    }
}

impl<'s> Session<'s> {
    /// The first messages are made here. A connection that began with a magnet
    /// link has greeted already, without a bitfield: `have`s make up for it.
    fn new(
        swarm: &'s Swarm,
        torrent: &'s Torrent,
        (number, stats): (PeerNumber, &'s Stats),
        connection: &Connection,
        extensions: Extensions,
        from_magnet: bool,
    ) -> Session<'s> {
        let now = Instant::now();
        let fast = connection.theirs.has_bit(FAST_BIT) && !from_magnet;
        // Joined first: a piece that is finished in between is told twice, not never.
        let share = Share::join(&torrent.queue, number, from_magnet);
        let mut out = Vec::new();
        if !from_magnet {
            let done = torrent.queue.done_pieces();
            match done.count() {
                // BEP 6: exactly one of the three. BEP 3: an empty bitfield is left out.
                0 if fast => Message::HaveNone.encode_to(&mut out),
                0 => {}
                _ => Message::Bitfield { bits: &done.encode() }.encode_to(&mut out),
            }
            swarm.greet(connection, &extensions, &mut out);
        }
        Session {
            swarm,
            torrent,
            stats,
            address: connection.peer,
            upload: None,
            extensions,
            share,
            said_have: false,
            fast,
            choked: true,
            interested: false,
            held: Held::new(now),
            asked: Vec::new(),
            refused: HashSet::new(),
            depth: Depth::new(now),
            forgiven: FORGIVEN,
            urgent: !out.is_empty(),
            out,
            clock: Clock::new(now),
        }
    }

    /// Tells the peer of pieces that are finished. Those that it was helping with are
    /// no longer wanted from it.
    fn take_news(&mut self) {
        for piece in self.share.news() {
            Message::Have { index: piece.get() }.encode_to(&mut self.out);
            self.let_go(piece.get());
        }
    }

    /// Gives a piece back, if we hold it, and cancels what was asked for of it.
    fn let_go(&mut self, index: u32) {
        if !self.held.retain(|lease| lease.piece().get() != index, self.clock.now) {
            return;
        }
        let (gone, asked) = std::mem::take(&mut self.asked).into_iter().partition(|request| request.index == index);
        self.asked = asked;
        for request in gone {
            self.forgiven += 1; // it may be on its way already
            Message::Cancel(request).encode_to(&mut self.out);
            self.urgent = true;
        }
    }

    /// Keeps our interest true, and requests on their way. They are sent in batches,
    /// when half of them are answered, across the borders of pieces.
    fn ask(&mut self) {
        let wanted = self.share.is_interesting();
        if wanted != self.interested {
            self.interested = wanted;
            let message = if wanted { Message::Interested } else { Message::NotInterested };
            message.encode_to(&mut self.out);
            self.urgent = true;
        }
        if self.choked || self.asked.len() > self.room() / 2 {
            return;
        }
        if self.asked.is_empty() {
            self.clock.block = self.clock.now; // from now on it owes us one
            self.depth.resume(self.clock.now);
        }
        while self.asked.len() < self.room() {
            let request = self.held.last_mut().and_then(Lease::next_request);
            if let Some(request) = request {
                Message::Request(request).encode_to(&mut self.out);
                self.asked.push(request);
                self.urgent = true;
                continue;
            }
            match self.share.claim(self.asked.len() < SHARED_DEPTH / 2) {
                Claim::Lease(lease) => self.held.push(lease, self.clock.now),
                Claim::Later | Claim::Over => break,
            }
        }
        self.drop_idle();
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

    /// Sends what has gathered, if any of it is urgent.
    fn send(&mut self, outlet: &mut Outlet) -> Result<(), Ended> {
        if self.out.is_empty() || !self.urgent {
            return Ok(());
        }
        outlet.send(&self.out)?;
        self.out.clear();
        self.urgent = false;
        self.clock.sent();
        Ok(())
    }

    /// How long the next read may sleep.
    fn tick(&self) -> Duration {
        let wants = self.interested && !self.choked && self.asked.len() < self.depth.get();
        if wants { TICK } else { IDLE_TICK }
    }

    /// Ends the session of a peer that takes too long, and keeps ours alive.
    fn check_clock(&mut self, begun: bool) -> Result<(), Ended> {
        let owing = !self.asked.is_empty();
        let size = |lease: &Lease| self.torrent.queue.info().piece_size(lease.piece());
        let piece = self.held.first().filter(|_| owing).map(|(lease, since)| (since, size(lease)));
        self.clock.check(begun, owing, piece)?;
        if self.clock.must_speak() {
            Message::KeepAlive.encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    fn hear(&mut self, message: Message) -> Result<(), Ended> {
        self.clock.heard();
        match message {
            Message::Choke => self.choke(),
            Message::Unchoke => self.choked = false,
            Message::Have { index } => self.share.have(index),
            Message::Bitfield { bits } => self.said(Have::Some(Bitfield::decode(bits, self.pieces())?)),
            Message::HaveAll => self.said(Have::All),
            Message::HaveNone => self.said(Have::Some(Bitfield::new(self.pieces()))),
            Message::Piece { index, begin, block } => return self.block(index, begin, block),
            Message::Reject(request) => return self.rejected(request),
            Message::Interested | Message::NotInterested => {
                if let Some(upload) = &mut self.upload {
                    upload.interested(message == Message::Interested);
                }
            }
            Message::Request(request) => return self.requested(request),
            Message::Cancel(request) => {
                if let Some(upload) = &mut self.upload {
                    upload.cancel(request);
                }
            }
            Message::Unknown { id: EXTENDED, payload } => {
                let before = self.out.len();
                for piece in self.extensions.hear(payload, &mut self.out)? {
                    self.share.lost(piece);
                }
                self.urgent |= self.out.len() > before;
            }
            _ => {} // advice we do not need, and messages we do not know
        }
        Ok(())
    }

    /// What the peer has, all at once: said at the start. Each time costs a look at all
    /// pieces, so a second one is not taken in.
    fn said(&mut self, have: Have) {
        if !std::mem::replace(&mut self.said_have, true) {
            self.share.set_have(have);
        }
    }

    fn pieces(&self) -> u32 {
        self.torrent.queue.info().piece_count()
    }

    /// The peer wants something for the first time.
    fn open_upload(&mut self, outlet: &mut Outlet, line: &Line) {
        let outbox = Arc::default();
        self.upload = self.swarm.uploads.open(self.address, &outbox);
        if self.upload.is_some() {
            outlet.start_writer(&outbox, &self.swarm.uploads, &line.0);
        }
    }

    /// Who gets nothing is told so, if both speak the fast extension.
    fn requested(&mut self, request: Request) -> Result<(), Ended> {
        if let Some(upload) = &mut self.upload {
            return upload.request(request).map_err(Ended::Upload);
        }
        if self.fast {
            Message::Reject(request).encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    /// BEP 3: a choke throws our requests away. BEP 6: it does not, each still gets its
    /// answer; but mostly that is a reject, and some peers owe it for ever. So the
    /// pieces go back at once, and a late answer of either kind does no harm.
    fn choke(&mut self) {
        self.choked = true;
        self.forgiven += self.asked.len();
        self.asked.clear();
        self.held.clear();
    }

    /// A request is refused. The first time it may be the late answer to one from
    /// before a choke, and is asked again. The second time, the peer does not have the
    /// piece, whatever it says.
    fn rejected(&mut self, request: Request) -> Result<(), Ended> {
        if !self.answered(request) {
            return Ok(());
        }
        if !self.refused.insert(request) {
            self.share.lost(request.index);
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

    /// Takes a request off the list, if it is on it.
    fn answered(&mut self, request: Request) -> bool {
        let position = self.asked.iter().position(|asked| *asked == request);
        position.map(|position| self.asked.remove(position)).is_some()
    }

    fn block(&mut self, index: u32, begin: u32, block: &[u8]) -> Result<(), Ended> {
        let request = Request { index, begin, length: block.len() as u32 };
        if !self.answered(request) {
            // After a choke, a cancel or a give-back this is normal. It is not for ever.
            self.forgiven = self.forgiven.checked_sub(1).ok_or(Ended::Rule("it sends blocks that nobody asked for"))?;
            return Ok(());
        }
        self.clock.block = self.clock.now;
        let most = self.extensions.theirs.said.reqq.unwrap_or(DEFAULT_REQQ);
        self.depth.block_came(self.clock.now, most as usize);
        self.swarm.count_block(self.stats, block.len(), self.clock.now);
        let Some(lease) = self.held.get_mut(index) else { return Ok(()) };
        let piece = lease.piece();
        match lease.write(begin, block, &*self.torrent.store).map_err(Ended::Local)? {
            Written::More | Written::Stale => {}
            Written::Verified => {
                self.let_go(index);
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
