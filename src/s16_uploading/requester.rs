//! One peer that requests blocks: what was decided about it, what it was told, and its queue.
//!
//! The choker may decide on one thread while the peer's session reads requests on another, and a
//! second decision may follow before the first is sent. If each decision were a message in a queue,
//! "unchoke, choke" could leave as "choke, unchoke", and the two sides would disagree for as long
//! as the connection lasts. So the decision is a flag. [`Requester::tell`] compares it with what
//! the peer was told last, and queues the difference.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::allowed_fast;
use super::send_queue::{Queued, SendQueue};
use crate::s05_messages::{Message, Request};
use crate::s12_session::host::UploadPeer;

/// A peer that is or was interested, as its own threads and the choker share it.
///
/// | `unchoked` | `told_unchoked` | what follows |
/// |---|---|---|
/// | either | same | nothing: the peer knows |
/// | yes | no | the next [`Requester::tell`] queues an `unchoke` |
/// | no | yes | the next one queues a `choke`, and drops requests; until then, requests are let in |
pub struct Requester {
    peer: UploadPeer,
    /// What is to be sent to the peer.
    pub(super) send_queue: Arc<SendQueue>,
    /// The pieces that it may request while it is choked (BEP 6).
    allowed_fast: Vec<u32>,
    /// Bytes of these that it may still request while choked: at first, all of them.
    allowed_bytes: AtomicU64,
    /// What was decided last.
    unchoked: AtomicBool,
    /// What the peer was told last. Read and written only while its send queue is being edited.
    told_unchoked: AtomicBool,
}

impl Requester {
    /// Takes in a peer. It is choked, and is told which pieces it may request all the same.
    pub(super) fn new(peer: UploadPeer) -> Requester {
        let allowed_fast = if peer.fast { allowed_fast::set_for(&peer) } else { Vec::new() };
        let info = peer.torrent.queue.info();
        // Without this limit a choked peer could request the same ten pieces forever.
        let pieces = allowed_fast.iter().filter_map(|index| info.piece(*index));
        let allowed_bytes =
            AtomicU64::new(pieces.map(|piece| u64::from(info.piece_size(piece))).sum());
        let send_queue: Arc<SendQueue> = Arc::default();
        send_queue.edit(|queued| {
            for index in &allowed_fast {
                Message::AllowedFast { index: *index }.encode_to(&mut queued.messages);
            }
        });
        let (unchoked, told_unchoked) = Default::default();
        Requester { peer, send_queue, allowed_fast, allowed_bytes, unchoked, told_unchoked }
    }

    /// The peer's host, torrent and counters.
    pub fn peer(&self) -> &UploadPeer {
        &self.peer
    }

    /// Sets a decision. The peer hears of it at the next [`Requester::tell`]. May be called under
    /// the choker's lock.
    pub fn set_unchoked(&self, yes: bool) {
        self.unchoked.store(yes, Ordering::SeqCst);
    }

    /// Whether the last decision was to unchoke the peer. It may not have heard of it.
    pub fn is_unchoked(&self) -> bool {
        self.unchoked.load(Ordering::SeqCst)
    }

    /// Tells the peer what was decided last, unless it knows. An unchoke may come with a
    /// suggestion: a piece for the peer to begin with (BEP 6).
    pub fn tell(&self, suggestion: Option<u32>) {
        self.send_queue.edit(|queued| {
            let unchoked = self.is_unchoked();
            if self.told_unchoked.swap(unchoked, Ordering::SeqCst) == unchoked {
                return;
            }
            // For whoever watches: what the peer knows, not what was decided.
            self.peer.stats.flags().set_am_choking(!unchoked);
            if unchoked {
                Message::Unchoke.encode_to(&mut queued.messages);
                if let Some(index) = suggestion {
                    Message::Suggest { index }.encode_to(&mut queued.messages);
                }
            } else {
                self.choke(queued);
            }
        });
    }

    /// Queues a `choke`, and drops the requests that need an unchoke. In BEP 3 the peer concludes
    /// that from the choke; in BEP 6 it is told of each one.
    fn choke(&self, queued: &mut Queued) {
        Message::Choke.encode_to(&mut queued.messages);
        // BEP 6: requests for pieces that are allowed fast survive a choke.
        let stays = |index: u32| self.allowed_fast.contains(&index);
        if self.peer.fast {
            for request in queued.blocks.iter().filter(|request| !stays(request.index)) {
                Message::Reject(*request).encode_to(&mut queued.messages);
            }
        }
        queued.blocks.retain(|request| stays(request.index));
    }

    /// Returns whether the peer may request this block now: it has been told that it is unchoked,
    /// or the piece is allowed fast. The latter is counted against the limit on such bytes.
    ///
    /// `_editing` only proves that the caller edits the queue: elsewhere the answer could be out of
    /// date before it is used.
    pub(super) fn may_request(&self, request: Request, _editing: &Queued) -> bool {
        self.told_unchoked.load(Ordering::SeqCst) || self.spend_allowed(request)
    }

    /// Counts a request for a piece that is allowed fast. Returns false if it is for another piece,
    /// or for more bytes than are left.
    fn spend_allowed(&self, request: Request) -> bool {
        let length = u64::from(request.length);
        let spend = |left: u64| left.checked_sub(length);
        self.allowed_fast.contains(&request.index)
            && self.allowed_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).is_ok()
    }
}
