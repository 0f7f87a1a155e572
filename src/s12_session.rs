//! Stage 12: one peer, one thread, one loop.
//!
//! Each peer has a thread, and this is what the thread does from the first message after the
//! handshakes to the last. It claims pieces from the queue of stage 11, keeps requests on their way,
//! writes and hashes each block as it comes, and tells the peer what we have. Nothing here knows of
//! any other peer.
//!
//! * **Run it:** `piecemeal download_from -o sample.txt lab/sample.torrent 127.0.0.2:6881`
//! * **Spec:** BEP 3, "peer messages"; BEP 6, 10, 21, 54; **chapter:** `docs/12-session.md`
//! * **Builds on:** `Connection` from stage 5, [`Extensions`] from stage 7, [`Claimant`] and its
//!   leases from stage 11
//!
//! # The loop
//! ```text
//!   news of finished pieces -> keep requests outstanding -> send -> check the deadlines
//!        ^                                                        |
//!        +-------- take in one message, or a moment of nothing <--+
//! ```
//! # Decisions
//! * **The thread that reads a block also hashes and writes it.** So there is no queue of blocks
//!   anywhere, and the work spreads over the cores without a plan.
//! * **A session never waits in a write** ([`send_path`]). Two peers that both write and do not read
//!   meanwhile would wait for each other forever.
//! * **It knows a [`Host`], not a swarm.** The host has the limits that sessions share, and takes
//!   their reports.
//! * **Deadlines are on progress** (`deadlines`). A byte now and then does not count.
//! * **Left out:** whom to dial (stage 15), and what to give (stage 16). [`uploads`] is the seam for
//!   it; until something is plugged in, requests are rejected, or ignored.
//!
//! # In two sittings
//! 1. This file, `requests`, `deadlines`, [`host`], [`send_path`] and [`uploads`]: the conversation.
//! 2. [`request_depth`], which finds the number of requests that fills the line (with a fixed 16, a
//!    peer that is 50 ms away gives 5 MiB/s instead of 91); [`rate`] and [`stats`], which count.

mod deadlines;
pub mod host;
pub mod rate;
pub mod request_depth;
mod requests;
pub mod send_path;
pub mod stats;
pub mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::deadlines::Deadlines;
pub use self::deadlines::IDLE_TIMEOUT;
use self::host::{Host, Report, SessionEnd, Torrent};
use self::requests::Requests;
use self::send_path::{Direct, SendPath};
use self::stats::PeerStats;
use self::uploads::Upload;
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces, SPARE_BITS, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{FAST_BIT, Message, Rest};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, dont_have, encode_extended};
use crate::s11_work_queue::PeerNumber;
use crate::s11_work_queue::claimant::Claimant;
use crate::s11_work_queue::trust::Contributor;

/// Longest sleep in a read while pieces are missing. A peer hears of a finished piece at most this
/// late.
const TICK: Duration = Duration::from_millis(250);
/// The same, once no piece is missing.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// The same, while something is unsent.
const UNSENT_TICK: Duration = Duration::from_millis(10);
/// How long haves wait for company. Each sent alone is a system call; but until they know, other
/// peers ask a seed for what they could get from us.
const HAVE_DELAY: Duration = Duration::from_millis(25);

/// A peer's session, as it begins.
pub struct Start<'s> {
    /// What all sessions share.
    pub host: &'s Arc<Host>,
    /// What is shared with the peer.
    pub torrent: &'s Arc<Torrent>,
    /// The peer, as the queue knows it.
    pub number: PeerNumber,
    /// The peer, as everybody may see it.
    pub stats: &'s Arc<PeerStats>,
    /// Our extensions, and what the peer has said of its own.
    pub extensions: Extensions,
    /// Whether the connection began without the info dictionary. Then both sides have sent an
    /// extension handshake, and we have sent no bitfield.
    pub from_magnet: bool,
}

/// The state of one connection.
struct Session<'s> {
    host: &'s Arc<Host>,
    torrent: &'s Arc<Torrent>,
    stats: &'s Arc<PeerStats>,
    peer: SocketAddr,
    /// Whether both sides speak the extension protocol (BEP 10).
    extended: bool,
    /// Whether both sides speak the fast extension (BEP 6).
    fast: bool,
    extensions: Extensions,
    claimant: Claimant,
    state: State,
    requests: Requests,
    /// What the peer gets from us, once it was interested.
    upload: Option<Box<dyn Upload>>,
    out: Vec<u8>,
    /// Whether what is in `out` must not wait for company.
    urgent: bool,
    /// When the first have went into `out`.
    waiting_since: Instant,
    clock: Deadlines,
}

/// What the two sides have said. `am` is we, `peer` is the other side.
struct State {
    /// The peer does not answer our requests. A connection starts this way.
    peer_choking: bool,
    /// We have told the peer that it has something that we lack.
    am_interested: bool,
    /// The peer has said which pieces it has, all at once.
    said_pieces: bool,
    /// The host has heard of a choke, and of an unchoke: once of each, or a peer could fill the
    /// host's channel by flipping the two.
    reported_choke: bool,
    reported_unchoke: bool,
}

/// Downloads from a peer, and uploads to it, until one side has had enough.
///
/// # Errors
/// Why it ended, if it was not the host that stopped it.
pub fn run(start: Start, connection: Connection) -> Result<(), SessionEnd> {
    let mut session = Session::new(start, &connection);
    let Connection { mut input, output, line, .. } = connection;
    let mut path: Box<dyn SendPath> = Box::new(Direct::new(output));
    input.set_limit(session.torrent.queue.info().piece_count());
    while !session.host.is_stopping() {
        // Whatever the peer asks for now, its answer would wait as well. Two peers never wait for each
        // other here: of messages that are not blocks, nobody owes both sides this much.
        if path.is_behind() {
            path.send(&[])?;
            thread::sleep(UNSENT_TICK);
            continue;
        }
        // News first: a piece that another peer has finished frees requests here. Then requests, so
        // that they leave in the same write as the haves. The deadlines come last, when the peer has
        // been asked for everything that it may owe us.
        session.take_news();
        session.request_ahead();
        session.stats.flags().set_requests(session.requests.outstanding());
        session.send(&mut *path)?;
        session.clock.now = Instant::now();
        session.check_deadlines(!input.begun().is_empty())?;
        session.leave_if_useless()?;
        input.get_mut().set_deadline(session.clock.now + session.tick(path.has_unsent()));
        match input.read_with_rest() {
            Ok((message, rest)) => {
                if message == Message::Interested && session.upload.is_none() {
                    path = session.open_upload(path, &line.0);
                }
                session.receive(message, rest)?;
            }
            Err(error) if error.is_timeout() => session.urgent = true,
            Err(error) => return Err(path.take_failure().map_or_else(|| error.into(), SessionEnd::from)),
        }
    }
    Ok(())
}

impl<'s> Session<'s> {
    /// Starts a session with its first messages: what we have, and our extension handshake.
    fn new(start: Start<'s>, connection: &Connection) -> Session<'s> {
        let Start { host, torrent, number, stats, extensions, from_magnet } = start;
        let now = Instant::now();
        let who = Contributor { peer: number, origin: Some(Origin::of(connection.peer.ip())) };
        let mut session = Session {
            host,
            torrent,
            stats,
            peer: connection.peer,
            extended: connection.has_bit(EXTENSION_BIT),
            fast: connection.has_bit(FAST_BIT),
            extensions,
            // Joined before the bitfield is made: a piece that is finished in between is told twice,
            // not never. After a magnet link we send no bitfield, and haves make up for it.
            claimant: match from_magnet {
                true => Claimant::join_from_start(&torrent.queue, who),
                false => Claimant::join(&torrent.queue, who),
            },
            state: State {
                peer_choking: true,
                am_interested: false,
                said_pieces: false,
                reported_choke: false,
                reported_unchoke: false,
            },
            requests: Requests::new(now),
            upload: None,
            out: Vec::new(),
            urgent: true,
            waiting_since: now,
            clock: Deadlines::new(now),
        };
        if !from_magnet {
            session.say_what_we_have();
        }
        session.send_extension_handshake();
        session
    }

    /// BEP 6: exactly one of three messages. BEP 3: an empty bitfield is left out.
    fn say_what_we_have(&mut self) {
        let pieces = self.torrent.queue.given_pieces();
        match pieces.count() {
            0 if self.fast => Message::HaveNone.encode_to(&mut self.out),
            0 => {}
            _ if self.fast && pieces.is_full() => Message::HaveAll.encode_to(&mut self.out),
            _ => Message::Bitfield { bits: &pieces.encode() }.encode_to(&mut self.out),
        }
    }

    /// Sends our extension handshake, as it is now. BEP 10 allows any number of them.
    fn send_extension_handshake(&mut self) {
        self.extensions.upload_only = self.torrent.is_upload_only();
        if self.extended {
            encode_extended(0, &self.extensions.greeting(self.peer.ip()).encode(), &mut self.out);
            self.urgent = true;
        }
    }

    /// Tells the peer of pieces that are finished, or lost. Finished pieces that it was helping with
    /// are no longer wanted from it.
    fn take_news(&mut self) {
        for piece in self.claimant.news() {
            // A seed does not need our haves.
            if !self.claimant.is_seed() {
                if self.out.is_empty() {
                    self.waiting_since = self.clock.now;
                }
                Message::Have { index: piece.get() }.encode_to(&mut self.out);
            }
            self.let_go(piece.get());
        }
        for piece in self.claimant.withdrawn() {
            if let Some(id) = self.extensions.theirs.id(dont_have::NAME) {
                encode_extended(id, &dont_have::encode(piece.get()), &mut self.out);
                self.urgent = true;
            }
        }
        if self.extensions.upload_only != self.torrent.is_upload_only() {
            self.send_extension_handshake();
        }
    }

    /// Ends the session if neither side wants anything.
    fn leave_if_useless(&self) -> Result<(), SessionEnd> {
        let theirs = self.claimant.is_seed() || self.extensions.theirs.said.upload_only == Some(true);
        if theirs && self.torrent.is_upload_only() { Err(SessionEnd::BothComplete) } else { Ok(()) }
    }

    /// Sends what has gathered, if it is urgent or has waited long enough, and what is still unsent.
    fn send(&mut self, path: &mut dyn SendPath) -> Result<(), SessionEnd> {
        let due = self.urgent || self.clock.now.duration_since(self.waiting_since) >= HAVE_DELAY;
        if due && !self.out.is_empty() {
            path.send(&self.out)?;
            self.out.clear();
            self.urgent = false;
            self.clock.message_sent();
        } else if path.has_unsent() {
            path.send(&[])?;
        }
        Ok(())
    }

    /// How long the next read may sleep.
    fn tick(&self, unsent: bool) -> Duration {
        let tick = if unsent {
            UNSENT_TICK
        } else if self.torrent.is_upload_only() {
            IDLE_TICK
        } else {
            // Wake up when our own limit allows the next request.
            let allowed = self.host.download_limit.wait_until(self.clock.now);
            allowed.map_or(TICK, |allowed| TICK.min(allowed.duration_since(self.clock.now)))
        };
        if self.out.is_empty() { tick } else { tick.min(HAVE_DELAY) }
    }

    /// Ends the session of a peer that takes too long, and keeps ours alive.
    fn check_deadlines(&mut self, begun: bool) -> Result<(), SessionEnd> {
        let owing = self.requests.outstanding() > 0;
        let size = |piece| self.torrent.queue.info().piece_size(piece);
        let piece = self.requests.oldest().filter(|_| owing).map(|(piece, since)| (since, size(piece)));
        self.clock.check(begun, owing, piece)?;
        if self.clock.needs_keep_alive() {
            Message::KeepAlive.encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    fn receive(&mut self, message: Message, rest: Rest) -> Result<(), SessionEnd> {
        self.clock.message_received();
        match message {
            Message::Choke => self.choked(),
            Message::Unchoke => self.set_peer_choking(false),
            Message::Have { index } => {
                self.claimant.have(index);
                self.show_pieces();
            }
            Message::Bitfield { bits } => {
                if !self.state.said_pieces && has_spare_bits(bits, self.pieces()) {
                    (self.host.report)(Report::PassedOver(self.peer, SPARE_BITS.to_owned()));
                }
                self.set_pieces(PeerPieces::Some(Bitfield::decode(bits, self.pieces())?));
            }
            Message::HaveAll => self.set_pieces(PeerPieces::All),
            Message::HaveNone => self.set_pieces(PeerPieces::Some(Bitfield::new(self.pieces()))),
            Message::Piece { index, begin, block } => return self.blocks(index, begin, block, rest),
            Message::Reject(request) => return self.rejected(request),
            Message::Suggest { index } => self.requests.suggest(index),
            Message::AllowedFast { index } => self.requests.allow(index),
            Message::Interested => self.peer_interested(true),
            Message::NotInterested => self.peer_interested(false),
            Message::Request(request) => return self.requested(request),
            Message::Cancel(request) => self.cancelled(request),
            Message::Unknown { id: EXTENDED, payload } => return self.receive_extended(payload),
            _ => {} // keep-alives, and messages unknown to us
        }
        Ok(())
    }

    /// An extension message (BEP 10).
    fn receive_extended(&mut self, payload: &[u8]) -> Result<(), SessionEnd> {
        let before = self.out.len();
        for piece in self.extensions.hear(payload, &mut self.out)? {
            self.claimant.lost(piece);
        }
        self.host.report_passed_over(self.peer, &mut self.extensions);
        self.show_pieces();
        if let Some(port) = self.extensions.theirs.said.p.filter(|port| *port != 0) {
            self.stats.set_listen_port(port);
        }
        // The info dictionary may be large, and is limited as blocks are.
        self.host.upload_limit.spend(self.out.len() - before, self.clock.now);
        self.urgent |= self.out.len() > before;
        Ok(())
    }

    /// The peer says at the start which pieces it has. Each time costs a look at all pieces, so it is
    /// believed once.
    fn set_pieces(&mut self, pieces: PeerPieces) {
        if !self.state.said_pieces {
            self.state.said_pieces = true;
            self.claimant.set_pieces(pieces);
            self.show_pieces();
        }
    }

    fn show_pieces(&self) {
        self.stats.flags().set_pieces(self.claimant.count_pieces());
    }

    fn pieces(&self) -> u32 {
        self.torrent.queue.info().piece_count()
    }
}
