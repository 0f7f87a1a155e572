//! One peer's thread, from the first message after the handshakes to the last.
//!
//! ```text
//!   hear of finished pieces -> keep requests ahead -> send -> look at the clock
//!        ^                                                        |
//!        +------- take in one message, or a moment of nothing <---+
//! ```
//! The thread that reads a block also hashes and writes it. So there is no queue
//! of blocks anywhere, and the work spreads over the cores by itself.
//!
//! Here is what both directions share; [`taking`] and [`giving`] are the two.

mod giving;
mod taking;

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::depth::Depth;
use super::held::Held;
use super::outbox::Outlet;
use super::rarest::Have;
use super::sharing::Origin;
use super::traffic::Traffic;
use super::uploads::Upload;
use super::work_queue::PeerNumber;
use super::work_queue::share::Share;
use super::{Ended, Note, Swarm, Torrent};
use crate::s05_messages::bitfield::{Bitfield, SPARE_BITS, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{FAST_BIT, Message, Request, Rest};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, dont_have, encode_extended};

/// How long to sleep in a read while pieces are missing: so late, at most, a peer is
/// told of a finished one.
const TICK: Duration = Duration::from_millis(250);
/// And how long when none is.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// And while something has not left yet.
const SHORT_TICK: Duration = Duration::from_millis(10);
/// How long haves wait for company. Each sent by itself is a system call; but until they
/// know, others ask a seed for what they could get from us.
const HAVE_TIME: Duration = Duration::from_millis(25);
/// How many blocks that were not asked for are forgiven.
const FORGIVEN: usize = 64;

/// The state of one connection.
pub(super) struct Session<'s> {
    swarm: &'s Arc<Swarm>,
    torrent: &'s Arc<Torrent>,
    traffic: &'s Arc<Traffic>,
    peer: SocketAddr,
    /// What the peer gets from us, once it wanted anything.
    upload: Option<Box<dyn Upload>>,
    extensions: Extensions,
    /// Whether both sides speak the extension protocol, and the fast extension.
    speaks: bool,
    fast: bool,
    share: Share,
    /// Whether it has said what it has, all at once.
    said_have: bool,
    choked: bool,
    /// Whether the swarm has heard that it unchoked us, and that it choked us again: once
    /// of each, or a peer could fill its channel.
    heard: [bool; 2],
    interested: bool,
    /// The pieces we are fetching, the oldest first.
    held: Held,
    /// What we have asked for, the oldest first.
    asked: VecDeque<Request>,
    /// What was refused once. A second time, and the piece is not to be had here.
    refused: HashSet<Request>,
    /// Pieces that the peer gives in spite of a choke, and those it advises to take.
    allowed: Vec<u32>,
    suggested: Vec<u32>,
    depth: Depth,
    /// Blocks that may still come although they are no longer wanted.
    forgiven: usize,
    /// Messages to be sent, whether they can wait for company, and since when haves do.
    out: Vec<u8>,
    urgent: bool,
    waiting_since: Instant,
    clock: Clock,
}

/// Takes from a peer, and gives to it, until one side has had enough.
pub(super) fn run(
    swarm: &Arc<Swarm>,
    torrent: &Arc<Torrent>,
    peer: (PeerNumber, &Arc<Traffic>),
    connection: Connection,
    extensions: Extensions,
    from_magnet: bool,
) -> Result<(), Ended> {
    let mut session = Session::new(swarm, torrent, peer, &connection, extensions, from_magnet);
    let Connection { mut input, output, line, .. } = connection;
    let mut outlet = Outlet::direct(output);
    input.set_limit(torrent.queue.info().piece_count());
    loop {
        // Whatever the peer asks for now, its answer waits as well. Two peers never wait for each
        // other here: of messages that are no blocks, nobody owes both sides so many.
        if outlet.is_behind() {
            outlet.send(&[])?;
            thread::sleep(SHORT_TICK);
            continue;
        }
        session.take_news();
        session.ask();
        session.traffic.terms().asked(session.asked.len());
        session.send(&mut outlet)?;
        session.clock.now = Instant::now();
        session.check_clock(!input.begun().is_empty())?;
        session.part()?;
        let tick = if outlet.keeps_some() { SHORT_TICK } else { session.tick() };
        let tick = if session.out.is_empty() { tick } else { tick.min(HAVE_TIME) };
        input.get_mut().set_deadline(session.clock.now + tick);
        match input.read_with_rest() {
            Ok((message, rest)) => {
                if message == Message::Interested && session.upload.is_none() {
                    session.open_upload(&mut outlet, &line);
                }
                session.hear(message, rest)?;
            }
            Err(error) if error.is_timeout() && swarm.is_stopping() => return Ok(()),
            Err(error) if error.is_timeout() => session.urgent = true,
            Err(error) => return Err(outlet.failure().map_or_else(|| error.into(), Ended::from)),
        }
    }
}

impl<'s> Session<'s> {
    /// The first messages are made here. A connection that began with a magnet
    /// link has greeted already, without a bitfield: `have`s make up for it.
    fn new(
        swarm: &'s Arc<Swarm>,
        torrent: &'s Arc<Torrent>,
        (number, traffic): (PeerNumber, &'s Arc<Traffic>),
        connection: &Connection,
        extensions: Extensions,
        from_magnet: bool,
    ) -> Session<'s> {
        let now = Instant::now();
        let fast = connection.has_bit(FAST_BIT);
        // Joined first: a piece that is finished in between is told twice, not never.
        let origin = Origin::of(connection.peer.ip());
        let share = Share::join(&torrent.queue, number, from_magnet).from_origin(origin);
        let mut out = Vec::new();
        if !from_magnet {
            let pieces = torrent.queue.given_pieces();
            match pieces.count() {
                // BEP 6: exactly one of the three. BEP 3: an empty bitfield is left out.
                0 if fast => Message::HaveNone.encode_to(&mut out),
                0 => {}
                _ if fast && pieces.is_full() => Message::HaveAll.encode_to(&mut out),
                _ => Message::Bitfield { bits: &pieces.encode() }.encode_to(&mut out),
            }
        }
        let mut session = Session {
            swarm,
            torrent,
            traffic,
            peer: connection.peer,
            upload: None,
            extensions,
            speaks: connection.has_bit(EXTENSION_BIT),
            fast,
            share,
            said_have: false,
            choked: true,
            heard: [false; 2],
            interested: false,
            held: Held::new(now),
            asked: VecDeque::new(),
            refused: HashSet::new(),
            allowed: Vec::new(),
            suggested: Vec::new(),
            depth: Depth::new(now),
            forgiven: FORGIVEN,
            out,
            urgent: true,
            waiting_since: now,
            clock: Clock::new(now),
        };
        // From a magnet link it is the second greeting: now we have the metadata.
        session.greet();
        session
    }

    /// Sends our extension handshake, as it is now.
    fn greet(&mut self) {
        self.extensions.upload_only = self.torrent.is_upload_only();
        if self.speaks {
            encode_extended(0, &self.extensions.greeting(self.peer.ip()).encode(), &mut self.out);
            self.urgent = true;
        }
    }

    /// Tells the peer of pieces that are finished, or lost. Finished ones that it was
    /// helping with are no longer wanted from it.
    fn take_news(&mut self) {
        for piece in self.share.news() {
            // Who has everything needs no news.
            if !self.share.is_seed() {
                if self.out.is_empty() {
                    self.waiting_since = self.clock.now;
                }
                Message::Have { index: piece.get() }.encode_to(&mut self.out);
            }
            self.let_go(piece.get());
        }
        for piece in self.share.withdrawn() {
            if let Some(id) = self.extensions.theirs.id(dont_have::NAME) {
                encode_extended(id, &dont_have::encode(piece.get()), &mut self.out);
                self.urgent = true;
            }
        }
        if self.extensions.upload_only != self.torrent.is_upload_only() {
            self.greet();
        }
    }

    /// Two that want nothing of each other part.
    fn part(&self) -> Result<(), Ended> {
        let theirs = self.share.is_seed() || self.extensions.theirs.said.upload_only == Some(true);
        if theirs && self.torrent.is_upload_only() { Err(Ended::BothComplete) } else { Ok(()) }
    }

    /// Sends what has gathered, if it is urgent or has waited for long enough, and what has
    /// not left yet.
    fn send(&mut self, outlet: &mut Outlet) -> Result<(), Ended> {
        let due = self.urgent || self.clock.now.duration_since(self.waiting_since) >= HAVE_TIME;
        let now = due && !self.out.is_empty();
        if !now && !outlet.keeps_some() {
            return Ok(());
        }
        outlet.send(if now { &self.out } else { &[] })?;
        if now {
            self.out.clear();
            self.urgent = false;
            self.clock.sent();
        }
        Ok(())
    }

    /// How long the next read may sleep.
    fn tick(&self) -> Duration {
        if self.torrent.is_upload_only() {
            return IDLE_TICK;
        }
        let paid = self.swarm.download_rate.wait_until(self.clock.now);
        paid.map_or(TICK, |paid| TICK.min(paid.duration_since(self.clock.now)))
    }

    /// Ends the session of a peer that takes too long, and keeps ours alive.
    fn check_clock(&mut self, begun: bool) -> Result<(), Ended> {
        let owing = !self.asked.is_empty();
        let size = |piece| self.torrent.queue.info().piece_size(piece);
        let piece = self.held.first().filter(|_| owing).map(|(lease, since)| (since, size(lease.piece())));
        self.clock.check(begun, owing, piece)?;
        if self.clock.must_speak() {
            Message::KeepAlive.encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    fn hear(&mut self, message: Message, rest: Rest) -> Result<(), Ended> {
        self.clock.heard();
        match message {
            Message::Choke => self.choke(),
            Message::Unchoke => self.set_choked(false),
            Message::Have { index } => {
                self.share.have(index);
                self.show_have();
            }
            Message::Bitfield { bits } => {
                if !self.said_have && has_spare_bits(bits, self.pieces()) {
                    self.swarm.note(Note::PassedOver(self.peer, SPARE_BITS.to_owned()));
                }
                self.said(Have::Some(Bitfield::decode(bits, self.pieces())?));
            }
            Message::HaveAll => self.said(Have::All),
            Message::HaveNone => self.said(Have::Some(Bitfield::new(self.pieces()))),
            Message::Piece { index, begin, block } => return self.blocks(index, begin, block, rest),
            Message::Reject(request) => return self.rejected(request),
            Message::Suggest { index } => self.suggests(index),
            Message::AllowedFast { index } => self.allows(index),
            Message::Interested | Message::NotInterested => self.peer_interested(message == Message::Interested),
            Message::Request(request) => return self.requested(request),
            Message::Cancel(request) => self.cancelled(request),
            Message::Unknown { id: EXTENDED, payload } => {
                let before = self.out.len();
                for piece in self.extensions.hear(payload, &mut self.out)? {
                    self.share.lost(piece);
                }
                self.swarm.tell_passed_over(self.peer, &mut self.extensions);
                self.show_have();
                if let Some(port) = self.extensions.theirs.said.p.filter(|port| *port != 0) {
                    self.traffic.listens_at(port);
                }
                // The info dictionary may be large, and is given as blocks are.
                self.swarm.upload_rate.spend(self.out.len() - before, self.clock.now);
                self.urgent |= self.out.len() > before;
            }
            _ => {} // messages we do not know, and nothing
        }
        Ok(())
    }

    /// What the peer has, all at once: said at the start. Each time costs a look at all
    /// pieces, so a second one is not taken in.
    fn said(&mut self, have: Have) {
        if !std::mem::replace(&mut self.said_have, true) {
            self.share.set_have(have);
            self.show_have();
        }
    }

    /// For who watches.
    fn show_have(&self) {
        self.traffic.terms().has(self.share.count_have());
    }

    fn pieces(&self) -> u32 {
        self.torrent.queue.info().piece_count()
    }
}
