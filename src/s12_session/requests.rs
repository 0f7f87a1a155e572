//! The half of a session that downloads: requests out, blocks in.
//!
//! A session holds leases on pieces, the oldest first, and a list of requests that the peer has not
//! answered. New requests are for the newest lease. When it has no block left to request, the next
//! piece is claimed at once: the peer sees no pieces, only requests, so the line never runs empty
//! between two pieces.
//!
//! ```text
//! leases        | piece 4          | piece 9              |
//! blocks        | x  x  x  o  o  o | o  o  o  .  .  .  .  |    x written, o outstanding
//!                          ^ the oldest request                . not requested yet
//! ```

mod blocks;

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Session;
use super::deadlines::Deadlines;
use super::host::Report;
use super::request_depth::RequestDepth;
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::DEFAULT_REQQ;
use crate::s11_work_queue::claimant::Claim;
use crate::s11_work_queue::lease::Lease;

/// The most requests outstanding while other peers also fetch the newest piece.
const MAX_SHARED: usize = 8;
/// The most allowed pieces, and the most suggested ones, that are remembered. BEP 6 proposes to
/// allow ten; a stranger could send any number.
const MAX_ADVICE: usize = 64;
/// The number of unexpected blocks that are forgiven from the start.
const FORGIVEN: usize = 64;

/// What a session has claimed and requested.
pub(super) struct Requests {
    /// Pieces on loan to this session, the oldest first.
    leases: Vec<Lease>,
    /// Requests without an answer, the oldest first. A list, not a set: most peers answer in order,
    /// so the first comparison nearly always matches.
    outstanding: VecDeque<Request>,
    /// Requests that were rejected once. After a second reject we assume the piece is not there.
    rejected: HashSet<Request>,
    /// Pieces that the peer sends even while it chokes us.
    allowed_fast: Vec<u32>,
    /// Pieces that the peer suggests.
    suggested: Vec<u32>,
    /// How many may be outstanding, as measured.
    depth: RequestDepth,
    /// When our own rate limit lets us request more, if it kept us from it in this turn.
    pub held_until: Option<Instant>,
    /// The number of unexpected blocks that may still arrive. Each request that we take back adds
    /// one, because its block may be on its way.
    forgiven: usize,
}

impl Requests {
    pub fn new(now: Instant) -> Requests {
        Requests {
            leases: Vec::new(),
            outstanding: VecDeque::new(),
            rejected: HashSet::new(),
            allowed_fast: Vec::new(),
            suggested: Vec::new(),
            depth: RequestDepth::new(now),
            held_until: None,
            forgiven: FORGIVEN,
        }
    }

    /// The number of requests without an answer.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The oldest piece on loan, if the peer owes us blocks. While nothing is outstanding it owes
    /// nothing, even if we hold a lease: we may be waiting for our own rate limit.
    pub fn owed(&self) -> Option<PieceIndex> {
        self.leases.first().map(Lease::piece).filter(|_| !self.outstanding.is_empty())
    }

    /// BEP 6: "you may ask for this piece while choked".
    pub fn allow(&mut self, index: u32) {
        remember(&mut self.allowed_fast, index);
    }

    /// BEP 6: "this piece is cheap for me to send".
    pub fn suggest(&mut self, index: u32) {
        remember(&mut self.suggested, index);
    }

    /// A piece of ours that another peer has taken over.
    fn taken_over(&self) -> Option<u32> {
        self.leases.iter().find(|lease| lease.is_taken_over()).map(|lease| lease.piece().get())
    }

    /// Adds a lease, as the newest.
    fn add(&mut self, lease: Lease, clock: &mut Deadlines) {
        if self.leases.is_empty() {
            clock.next_piece();
        }
        self.leases.push(lease);
    }

    /// Gives back all leases but those to `keep`; returns whether any went.
    fn retain(&mut self, keep: impl Fn(&Lease) -> bool, clock: &mut Deadlines) -> bool {
        let (before, oldest) = (self.leases.len(), self.leases.first().map(Lease::piece));
        self.leases.retain(keep);
        if self.leases.first().map(Lease::piece) != oldest {
            clock.next_piece();
        }
        self.leases.len() < before
    }

    /// Gives back leases with nothing outstanding and nothing left to request: other peers are
    /// fetching the missing blocks.
    fn drop_idle(&mut self, clock: &mut Deadlines) {
        // Taken out for a moment: `retain` needs all of `self`.
        let outstanding = std::mem::take(&mut self.outstanding);
        let owed =
            |lease: &Lease| outstanding.iter().any(|request| request.index == lease.piece().get());
        self.retain(|lease| !lease.is_fully_requested() || owed(lease), clock);
        self.outstanding = outstanding;
    }

    /// Removes an answered request; returns whether it was outstanding. Usually it is the oldest
    /// one.
    fn take_outstanding(&mut self, request: Request) -> bool {
        let position = self.outstanding.iter().position(|asked| *asked == request);
        position.and_then(|position| self.outstanding.remove(position)).is_some()
    }
}

/// Keeps the latest few pieces of a peer's advice.
fn remember(advice: &mut Vec<u32>, index: u32) {
    if advice.len() == MAX_ADVICE {
        advice.remove(0); // the oldest, of at most 64
    }
    advice.push(index);
}

impl Session<'_> {
    /// Keeps our interest up to date, and enough requests outstanding.
    pub(super) fn request_ahead(&mut self) {
        self.requests.held_until = None;
        // First: a piece given back may leave room for requests.
        if let Some(index) = self.requests.taken_over() {
            self.give_back(index);
        }
        let interested = !self.torrent.is_upload_only() && self.claimant.is_interesting();
        // Only a change is sent. A peer unchokes the interested, so what we say must be true.
        if interested != self.state.am_interested {
            self.state.am_interested = interested;
            self.stats.flags().set_am_interested(interested);
            let message = if interested { Message::Interested } else { Message::NotInterested };
            message.encode_to(&mut self.out);
            self.urgent = true;
        }
        let may_ask =
            interested && (!self.state.peer_choking || !self.requests.allowed_fast.is_empty());
        // Ask again only when half of the requests are answered. Asking after every block would
        // cost one system call a block; asking at zero would leave the line idle for a round trip.
        if !may_ask || self.requests.outstanding() > self.request_limit() / 2 {
            return;
        }
        if self.requests.outstanding() == 0 {
            self.clock.nothing_owed();
            self.requests.depth.resume(self.clock.now);
        }
        let now = self.clock.now;
        while self.requests.outstanding() < self.request_limit() {
            // Kept, because the thread sleeps until then. Asked a second time, with a later time,
            // the limit could answer that there is nothing to wait for.
            self.requests.held_until = self.host.download_limit.wait_until(now);
            if self.requests.held_until.is_some() {
                break;
            }
            if let Some(request) = self.requests.leases.last_mut().and_then(Lease::next_request) {
                // Counted when it is requested, not when it arrives: what we request will come.
                self.host.download_limit.spend(request.length as usize, now);
                Message::Request(request).encode_to(&mut self.out);
                self.requests.outstanding.push_back(request);
                self.urgent = true;
                continue;
            }
            // The newest lease has nothing left to request: on to the next piece.
            let Some(lease) = self.claim() else { break };
            // If we already hold a lease on this piece, the piece was wrong and that lease is dead.
            // Its requests are taken back, or blocks would be requested twice and answered once.
            self.give_back(lease.piece().get());
            self.requests.add(lease, &mut self.clock);
        }
        self.requests.drop_idle(&mut self.clock);
    }

    /// Claims a piece: while we are choked, one that the peer allows anyway; otherwise preferably
    /// one that it suggests.
    fn claim(&mut self) -> Option<Lease> {
        if self.state.peer_choking {
            return self
                .requests
                .allowed_fast
                .iter()
                .find_map(|index| self.claimant.claim_piece(*index));
        }
        // The latest suggestion first: it is most likely still in the peer's cache. Each is tried
        // once.
        while let Some(index) = self.requests.suggested.pop() {
            if let Some(lease) = self.claimant.claim_piece(index) {
                return Some(lease);
            }
        }
        // A peer that was fast, but has owed us a block for longer than its block time, is slow
        // now.
        let owed = match self.requests.outstanding() {
            0 => Duration::ZERO,
            _ => self.clock.owed_for(),
        };
        let block_time = self.requests.depth.block_time().map(|time| time.max(owed));
        self.claimant.set_block_time(block_time);
        // Nearly idle counts as idle: with nothing outstanding, a round trip would be lost already.
        match self.claimant.claim(self.requests.outstanding() < MAX_SHARED / 2) {
            Claim::Lease(lease) => Some(lease),
            Claim::Later | Claim::Over => None,
        }
    }

    /// The number of requests that may be outstanding. In the end game there are few, because each
    /// may be wasted: another peer was asked for the same block.
    fn request_limit(&self) -> usize {
        let limit = self.requests.depth.get().min(self.peer_queue().max(1));
        let shared = self.requests.leases.last().is_some_and(Lease::is_shared);
        if shared { limit.min(MAX_SHARED) } else { limit }
    }

    /// The number of requests that the peer says it queues (`reqq`, BEP 10). Beyond that it drops
    /// them.
    fn peer_queue(&self) -> usize {
        self.extensions.theirs.said.reqq.unwrap_or(DEFAULT_REQQ) as usize
    }

    /// Gives a piece back, if we hold it, and cancels our requests for it.
    pub(super) fn give_back(&mut self, index: u32) {
        if !self.requests.retain(|lease| lease.piece().get() != index, &mut self.clock) {
            return;
        }
        let outstanding = std::mem::take(&mut self.requests.outstanding);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            outstanding.into_iter().partition(|request| request.index == index);
        self.requests.outstanding = kept;
        for request in gone {
            self.requests.forgiven += 1; // it may be on its way already
            self.host.download_limit.refund(request.length as usize);
            Message::Cancel(request).encode_to(&mut self.out);
            self.urgent = true;
        }
    }

    /// Gives everything back when the peer chokes us. BEP 3: a choke discards our requests. BEP 6:
    /// it does not, and each still gets an answer; but that is usually a reject, and some peers
    /// never send it. So the pieces go back at once, and a late answer of either kind does no harm.
    pub(super) fn choked(&mut self) {
        self.set_peer_choking(true);
        // It owed us blocks, and has stopped: its speed until now says nothing.
        if self.requests.outstanding() > 0 {
            self.requests.depth.forget_block_time();
        }
        self.requests.forgiven += self.requests.outstanding();
        let refund =
            self.requests.outstanding.drain(..).map(|request| request.length as usize).sum();
        self.host.download_limit.refund(refund);
        // No `cancel` for any of them: the peer has dropped our requests (BEP 3) or answers them
        // (BEP 6).
        self.requests.leases.clear();
    }

    /// Takes in a choke or unchoke, and reports the first of each.
    pub(super) fn set_peer_choking(&mut self, choking: bool) {
        let reported = match choking {
            true => &mut self.state.reported_choke,
            false => &mut self.state.reported_unchoke,
        };
        if self.state.peer_choking != choking && !*reported {
            *reported = true;
            (self.host.report)(Report::Choked(self.peer, choking));
        }
        self.state.peer_choking = choking;
        self.stats.flags().set_peer_choking(choking);
    }
}
