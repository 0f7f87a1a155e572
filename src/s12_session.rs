//! Stage 12: one peer, one thread, one loop.
//!
//! Each peer has a thread, and this is what the thread does from the first message after the
//! handshakes to the last. It claims pieces from the queue of stage 11, keeps requests outstanding,
//! writes and hashes each block as it arrives, and tells the peer which pieces we have. Nothing
//! here knows about any other peer.
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
//!        +-------- receive one message, or wait for a moment <----+
//! ```
//! # Decisions
//! * **The thread that reads a block also hashes and writes it.** So there is no queue of blocks
//!   anywhere, and the work spreads over the cores on its own.
//! * **A session never waits in a write** ([`send_path`]). Two peers that both write without
//!   reading would wait for each other forever.
//! * **It knows a [`Host`], not a swarm.** The host has the limits that sessions share, and takes
//!   their reports.
//! * **Deadlines are on progress** (`deadlines`). A byte now and then does not count.
//! * **Left out:** which peers to dial (stage 15), and uploading (stage 16). [`host::Uploads`] is
//!   the seam for uploading; until something is plugged in, requests are rejected or ignored.
//!
//! # In two sittings
//! 1. This file, `our_pieces`, `requests` with `blocks`, and `deadlines`: the conversation.
//! 2. What it is given: [`host`] and [`send_path`]; `uploads`, the half that uploads; `extended`,
//!    the extensions.
//!    [`request_depth`], which finds the number of requests that fills the line (with a fixed 16, a
//!    peer 50 ms away sends 5 MiB/s instead of 91); [`rate`], a limit; [`stats`], the counters.

pub mod deadlines;
mod extended;
pub mod host;
mod our_pieces;
pub mod rate;
pub mod request_depth;
mod requests;
pub mod send_path;
pub mod stats;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::deadlines::Deadlines;
use self::host::{Host, Report, SessionEnd, Torrent, Upload};
use self::requests::Requests;
use self::send_path::{Direct, SendPath};
use self::stats::PeerStats;
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces, SPARE_BITS, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::rest::Rest;
use crate::s05_messages::{FAST_BIT, Message};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions};
use crate::s11_work_queue::PeerNumber;
use crate::s11_work_queue::claimant::Claimant;
use crate::s11_work_queue::trust::Contributor;

/// Longest sleep in a read while pieces are missing. A peer hears of a finished piece within this
/// plus [`HAVE_DELAY`].
const TICK: Duration = Duration::from_millis(250);
/// The same, once we want no more pieces: then only withdrawn pieces are news, and they are rare.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// The same, while something is unsent. It can only be sent between two reads.
const UNSENT_TICK: Duration = Duration::from_millis(10);
/// Longest time that a `have` waits, so that others can leave with it. Sending each alone costs a
/// system call; but until told, peers ask a seed for pieces that they could get from us.
const HAVE_DELAY: Duration = Duration::from_millis(25);

/// A peer's session, as it begins: what its thread passes to [`run`].
pub struct Start<'s> {
    /// What all sessions share.
    pub host: &'s Arc<Host>,
    /// The torrent that we share with the peer.
    pub torrent: &'s Arc<Torrent>,
    /// The peer's number in the queue. Each connection has a new one, even to the same address.
    pub number: PeerNumber,
    /// The peer's counters, visible to all threads.
    pub stats: &'s Arc<PeerStats>,
    /// Our extensions, and what the peer has said of its own.
    pub extensions: Extensions,
    /// Whether the connection began without the info dictionary. Then the extension handshakes, if
    /// any, are already done, and we have sent no bitfield.
    pub from_magnet: bool,
}

/// The state of one connection. Only its own thread uses it, so nothing in it needs a lock.
/// Dropping it gives back whatever the peer still owes.
struct Session<'s> {
    host: &'s Arc<Host>,
    torrent: &'s Arc<Torrent>,
    stats: &'s Arc<PeerStats>,
    /// The address, for reports.
    peer: SocketAddr,
    /// Whether both sides speak the extension protocol (BEP 10).
    extended: bool,
    /// Whether both sides speak the fast extension (BEP 6).
    fast: bool,
    extensions: Extensions,
    /// Which pieces the peer has, and our side of the queue.
    claimant: Claimant,
    state: State,
    /// What we have claimed and requested.
    requests: Requests,
    /// The upload to the peer, usually from the first time it was interested. `None` also if it
    /// gets nothing.
    upload: Option<Box<dyn Upload>>,
    /// Encoded messages that have not been handed to the send path yet.
    out: Vec<u8>,
    /// Whether `out` must be sent at once, instead of collecting more haves.
    urgent: bool,
    /// When the first `have` was added to `out`. Means nothing while `out` is empty.
    waiting_since: Instant,
    /// The time of this turn, and of the last events.
    clock: Deadlines,
}

/// What the two sides have said: `am` is our side, `peer` the other. The other two of the
/// protocol's four flags, `am_choking` and `peer_interested`, are about the upload, and are kept
/// only in [`PeerStats`].
///
/// | the peer says | what changes | what follows |
/// |---|---|---|
/// | `choke` | `peer_choking` | leases go back; requests are forgotten, and late blocks forgiven |
/// | `unchoke` | not `peer_choking` | the next turn claims and requests |
/// | `bitfield`, `have all`, `have none` | what it has, once only | `am_interested` may change |
/// | `have` | one more piece | the same |
/// | `allowed fast` | a piece may be requested while choked | the next turn may claim it |
/// | `piece` | one request fewer is outstanding | written; the next turn may request more |
/// | `reject` | the same | asked again, or given back |
///
/// Hardly any message is answered on the spot. Most only change the state, and the next turn acts
/// on it. So messages may come in any order.
struct State {
    /// The peer does not answer our requests. A connection starts this way.
    peer_choking: bool,
    /// We have told the peer that it has something that we lack.
    am_interested: bool,
    /// The peer has said which pieces it has, all at once: by a bitfield, `have all` or `have
    /// none`.
    bitfield_received: bool,
    /// We have reported a choke to the host. Once only, or a peer that keeps choking and unchoking
    /// could fill the host's channel.
    reported_choke: bool,
    /// We have reported an unchoke to the host.
    reported_unchoke: bool,
}

/// Downloads from a peer, and uploads to it, until one side ends the session.
///
/// The end of this function is the end of the connection: it drops everything that was given to it.
///
/// # Errors
/// The reason for the end, unless the host stopped it.
pub fn run(start: Start, connection: Connection) -> Result<(), SessionEnd> {
    let mut session = Session::new(start, &connection);
    // The parts are used separately. `line` must live until the end, because dropping it hangs up.
    let Connection { mut input, output, line, .. } = connection;
    let mut path = session.begin_upload(Box::new(Direct::new(output)), &line.0)?;
    input.set_limit(session.torrent.queue.info().piece_count());
    while !session.host.is_stopping() {
        // The thread may have slept since the last message.
        session.clock.now = Instant::now();
        // Do not read more requests while over 128 KiB are unsent: the answers would only wait as
        // well. If both ends got here at once, neither would read, and the path of one would hang
        // up (WRITE_TIMEOUT). They hardly can. Long answers are metadata, and only one side lacks
        // that. The rest are haves of 9 bytes: 14,564 would have to be unsent on each side.
        if path.is_behind() {
            path.send(&[])?;
            thread::sleep(UNSENT_TICK);
            continue;
        }
        // News first: a piece that another peer has finished frees requests here. Then requests, so
        // that they leave in the same write as the haves. The deadlines come last, when everything
        // that the peer may owe us has been requested.
        session.take_news();
        session.request_ahead();
        session.tick_extensions();
        session.stats.flags().set_requests(session.requests.outstanding());
        session.send(&mut *path)?;
        // The time again: sending may have taken a while, and the read's deadline counts from now.
        session.clock.now = Instant::now();
        session.check_deadlines(!input.begun().is_empty())?;
        // After the send, so that the peer hears of our `upload_only` before we leave.
        session.leave_if_useless()?;
        // Here the thread sleeps. The peer's bytes wake it, and so does a hang-up by another
        // thread; it hears of pieces that other threads finish at the next tick.
        input.get_mut().set_deadline(session.clock.now + session.tick(path.has_unsent()));
        match input.read_with_rest() {
            Ok((message, rest)) => {
                // Before the message is handled, so that the upload gets it.
                if message == Message::Interested && session.upload.is_none() {
                    path = session.open_upload(path, &line.0);
                }
                session.receive(message, rest)?;
            }
            // Nothing came. Haves that were being collected have waited long enough.
            Err(error) if error.is_timeout() => session.urgent = true,
            Err(error) => {
                // If a writer thread has hung up, the read only sees the end, and the path knows
                // why.
                return Err(path.take_failure().map_or_else(|| error.into(), SessionEnd::from));
            }
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
            // Join before making the bitfield: a piece that is finished in between is announced
            // twice, instead of never. After a magnet link we send haves instead of a bitfield.
            claimant: match from_magnet {
                true => Claimant::join_from_start(&torrent.queue, who),
                false => Claimant::join(&torrent.queue, who),
            },
            state: State {
                peer_choking: true,
                am_interested: false,
                bitfield_received: false,
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
        // Asked before we say what we have: it may not show all of it.
        session.upload = host.uploads.joined(session.upload_peer());
        if !from_magnet {
            session.say_what_we_have();
        }
        session.send_extension_handshake();
        session.open_extensions(&connection.theirs);
        session
    }

    /// Ends the session if neither side wants anything: a seed and a seed, or a peer that wants no
    /// more (BEP 21). The place is worth more to a peer that wants something.
    fn leave_if_useless(&self) -> Result<(), SessionEnd> {
        let theirs =
            self.claimant.is_seed() || self.extensions.theirs.said.upload_only == Some(true);
        if theirs && self.torrent.is_upload_only() { Err(SessionEnd::BothComplete) } else { Ok(()) }
    }

    /// Sends `out` if it is urgent or has waited long enough, and anything still unsent. Whatever
    /// someone waits for is urgent. Haves are not: they ride along with the next request.
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

    /// The longest time that the next read may sleep. Each reason to wake up earlier makes it
    /// shorter.
    fn tick(&self, unsent: bool) -> Duration {
        let tick = if unsent {
            UNSENT_TICK
        } else if self.torrent.is_upload_only() {
            IDLE_TICK
        } else {
            // Wake up when our own limit allows the next request. That may be right now.
            let held = self.requests.held_until;
            held.map_or(TICK, |until| TICK.min(until.duration_since(self.clock.now)))
        };
        if self.out.is_empty() { tick } else { tick.min(HAVE_DELAY) }
    }

    /// Ends the session if the peer is too slow. Keeps it alive otherwise. `begun` says whether
    /// part of a message has arrived.
    fn check_deadlines(&mut self, begun: bool) -> Result<(), SessionEnd> {
        let info = self.torrent.queue.info();
        self.clock.check(begun, self.requests.owed().map(|piece| info.piece_size(piece)))?;
        if self.clock.needs_keep_alive() {
            Message::KeepAlive.encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    /// Handles one message. `rest` is what was received after it, where more blocks may follow.
    fn receive(&mut self, message: Message, rest: Rest) -> Result<(), SessionEnd> {
        self.clock.message_received(Instant::now());
        match message {
            Message::Choke => self.choked(),
            Message::Unchoke => self.set_peer_choking(false),
            Message::Have { index } => {
                self.claimant.have(index);
                self.peer_has([index]);
                self.show_pieces();
            }
            Message::Bitfield { bits } => {
                // BEP 3 requires the spare bits to be zero, but they do no harm. Noted once.
                if !self.state.bitfield_received && has_spare_bits(bits, self.pieces()) {
                    (self.host.report)(Report::PassedOver(self.peer, SPARE_BITS.to_owned()));
                }
                self.set_pieces(PeerPieces::Some(Bitfield::decode(bits, self.pieces())?));
            }
            Message::HaveAll => self.set_pieces(PeerPieces::All),
            Message::HaveNone => self.set_pieces(PeerPieces::Some(Bitfield::new(self.pieces()))),
            Message::Piece { index, begin, block } => {
                return self.blocks(index, begin, block, rest);
            }
            Message::Reject(request) => return self.rejected(request),
            Message::Suggest { index } => self.requests.suggest(index),
            Message::AllowedFast { index } => self.requests.allow(index),
            Message::Interested => self.peer_interested(true),
            Message::NotInterested => self.peer_interested(false),
            Message::Request(request) => return self.requested(request),
            Message::Cancel(request) => self.cancelled(request),
            Message::Unknown { id: EXTENDED, payload } => return self.receive_extended(payload),
            Message::KeepAlive => {}
            other => return self.receive_plain(&other),
        }
        Ok(())
    }

    /// Sets which pieces the peer has. It can say so only once: each time costs a pass over all
    /// pieces.
    fn set_pieces(&mut self, pieces: PeerPieces) {
        if !self.state.bitfield_received {
            self.state.bitfield_received = true;
            self.peer_has((0..self.pieces()).filter(|index| pieces.has(*index)));
            self.claimant.set_pieces(pieces);
            self.show_pieces();
        }
    }

    /// Shows other threads how many pieces the peer has.
    fn show_pieces(&self) {
        self.stats.flags().set_pieces(self.claimant.count_pieces());
    }

    /// The number of pieces in the torrent.
    fn pieces(&self) -> u32 {
        self.torrent.queue.info().piece_count()
    }
}
