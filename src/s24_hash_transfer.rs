//! Stage 24: ask a peer for hashes, and believe none of them without proof.
//!
//! The info dictionary of a version 2 torrent has one hash for each file, the root of its tree.
//! Those of the pieces are somewhere else: in the .torrent file, or with the peers. So after a
//! magnet link, a client asks for them, before it asks for the first block. Each answer comes with
//! the hashes that lead from it to the root. So one answer can be checked without the others, and
//! nobody need be trusted.
//!
//! * **Run it:** `piecemeal hashes lab/v2.torrent 127.0.0.2:6881`
//! * **Spec:** BEP 52; **chapter:** `docs/24-hash-transfer.md`
//! * **Builds on:** the trees of stage 23, [`Extension`] and [`Offer`] from stage 7, [`Watch`] from
//!   stage 15
//!
//! # On the wire
//! ```text
//! us                                    the peer
//!    hash request  root, 0, 0, 512, 9    ->
//!                                        <-  hashes  512 of the layer, and 1 uncle
//!    hash request  root, 0, 512, 512, 9  ->
//!                                        <-  hashes  512 of the layer, and 1 uncle
//!    the layer is complete: now blocks can be requested, and checked
//!
//!    hash request  of another root       ->
//!                                        <-  hash reject
//! ```
//! # Decisions
//! * **Hashes are metadata.** They are fetched on the connection that has brought the info
//!   dictionary, or on any other, before a piece is lent. So no piece is ever on loan whose hash is
//!   unknown, and neither queue nor session knows of this stage.
//! * **An answer is checked before it is kept** ([`proof`]), and each alone. A peer that lies loses
//!   its connection; one that refuses is asked again later, and others meanwhile ([`layers`]).
//! * **Nobody keeps hashes from us by saying nothing.** After half a second, others are asked for
//!   the same: hashes are few, and without them nothing begins.
//! * **Which block was wrong** (`blame`). If several peers brought a wrong piece, the hashes of its
//!   blocks are asked for: only the wrong blocks are fetched again, and exactly their senders are
//!   banned. In version 1, the whole piece must come a second time to show that. The queue holds
//!   the piece back until the answer comes, and knows only that there is a [`Witness`] to wait for.
//! * **Layers are kept, blocks' hashes are not** ([`giving`]). These are computed when somebody
//!   asks, of pieces that we have, and one piece at a time. What all peers together can make us
//!   hash and send has a limit in time ([`budget`]); beyond it, they get a reject.
//! * **Every request has an answer,** hashes or a reject, on a connection by either name.
//!   libtorrent hangs up on one that goes by the SHA-1; a reject costs us 53 bytes.
//! * **The better name.** A hybrid torrent has two, and these messages need the one of version 2.
//!   Whoever dials with the SHA-1 sets a bit, and the answer may then have the other name.
//! * **Left out:** asking for hashes between the layers; proofs of single pieces, with which a
//!   download could begin a little earlier.
//!
//! # In two sittings
//! 1. This card, [`message`], [`proof`] and [`subtree`], which makes proofs; then [`layers`] and
//!    `asking`: what is asked for next, and of whom.
//! 2. [`giving`] with [`upper`] and [`budget`], for peers that ask us; `blame`; [`one_peer`], the
//!    same without a swarm. Last, the code of this file, which connects them.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

mod asking;
mod blame;
pub mod budget;
pub mod giving;
pub mod layers;
pub mod message;
pub mod one_peer;
pub mod proof;
pub mod subtree;
pub mod upper;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

use self::asking::Owed;
use self::blame::SpoiltPiece;
use self::giving::{Allowance, Asker, Giver};
use self::layers::{Lacking, MissingLayers};
use self::message::{HashMessage, HashMessageError, HashRequest};
use self::proof::{ProofError, check};
use crate::s02_metainfo::{Info, InfoHash, MetainfoError};
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::Message;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s07_extension::extension::{Extension, Offer, PeerLied, Reply};
use crate::s11_work_queue::explained::Witness;
use crate::s12_session::host::Torrent;
use crate::s15_swarm::Plan;
use crate::s15_swarm::view::Watch;
use crate::s23_v2::merkle::{Hash, height_of};
use crate::s23_v2::trees::Trees;
use crate::s23_v2::{V2Error, trees};

/// What all sessions of a torrent share: what is missing, and what is kept to be given.
pub struct Hashes {
    /// Returns the info dictionary, once it is known.
    info: Box<dyn Fn() -> Option<Arc<Info>> + Send + Sync>,
    /// Returns the content, once we know where it is.
    torrent: Box<dyn Fn() -> Option<Arc<Torrent>> + Send + Sync>,
    /// Returns our upload limit in bytes a second, if there is one.
    upload_limit: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    /// The layers that are missing; `None` until the info dictionary is known. A leaf lock.
    missing: Mutex<Option<MissingLayers>>,
    /// What is kept for peers that ask, and how much they may still get: all of them together, so
    /// that nobody gets more by dialing again.
    giver: Giver,
}

impl Hashes {
    /// Begins with two functions: one returns the info dictionary of the torrent, the other its
    /// content, as soon as each is known. Without an upload limit.
    pub fn new(
        info: impl Fn() -> Option<Arc<Info>> + Send + Sync + 'static,
        torrent: impl Fn() -> Option<Arc<Torrent>> + Send + Sync + 'static,
    ) -> Arc<Hashes> {
        Hashes::limited(info, torrent, || None)
    }

    /// Does the same with a function that returns our upload limit in bytes a second. Hashes get
    /// only a part of it ([`giving`]): a peer needs no slot to ask for them, so those that have one
    /// would get no blocks while others ask for hashes.
    pub fn limited(
        info: impl Fn() -> Option<Arc<Info>> + Send + Sync + 'static,
        torrent: impl Fn() -> Option<Arc<Torrent>> + Send + Sync + 'static,
        upload_limit: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Arc<Hashes> {
        Arc::new(Hashes {
            info: Box::new(info),
            torrent: Box::new(torrent),
            upload_limit: Box::new(upload_limit),
            missing: Mutex::default(),
            giver: Giver::default(),
        })
    }

    /// Begins for a download, which the watch shows.
    fn of(watch: &Arc<Watch>) -> Arc<Hashes> {
        let [knows, has, limits] = [(); 3].map(|()| Arc::clone(watch));
        Hashes::limited(move || knows.info(), move || has.torrent(), move || limits.upload_limit())
    }

    /// The trees of the torrent, once they are known. `None` also if it has none: it is of version
    /// 1.
    fn trees(&self) -> Option<Arc<Trees>> {
        trees(&*(self.info)()?).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, Option<MissingLayers>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is missing.
    fn missing<R>(&self, trees: &Trees, change: impl FnOnce(&mut MissingLayers) -> R) -> R {
        change(self.lock().get_or_insert_with(|| MissingLayers::new(lacking(trees))))
    }

    /// Adds the hashes of blocks that show which peer has spoilt a piece.
    fn want_block_hashes(&self, trees: &Trees) {
        let Some(torrent) = (self.torrent)() else { return };
        let spoilt = torrent.queue.unexplained().into_iter();
        let asked = spoilt.filter_map(|it| Some(SpoiltPiece::of_piece(trees, it.get())?.request));
        self.missing(trees, |missing| missing.want_too(&asked.collect::<Vec<_>>()));
    }

    /// Keeps an answer, if it is right.
    ///
    /// # Errors
    /// If it is not.
    fn keep(
        &self,
        trees: &Trees,
        request: &HashRequest,
        hashes: &[Hash],
    ) -> Result<(), HashTransferError> {
        // The hashes of a piece's blocks lead to the hash of the piece, which is known.
        let spoilt = SpoiltPiece::of_request(trees, request);
        if let Some(piece) = spoilt.first() {
            check(request, hashes, piece.expected)?;
            self.missing(trees, |missing| missing.keep(request, hashes));
            let torrent = (self.torrent)();
            torrent.iter().for_each(|it| spoilt.iter().for_each(|one| one.explain(hashes, it)));
            return Ok(());
        }
        // A part of a layer has a proof up to the root. Computed before the lock is taken.
        check(request, hashes, request.root)?;
        match self.missing(trees, |missing| missing.keep(request, hashes)) {
            // Each part has led to the root. So what does not fit is the file's length.
            Some((root, layer)) => {
                trees.learn(root, layer).map_err(|_| V2Error::Longer { root }.into())
            }
            None => Ok(()),
        }
    }
}

/// Returns the files whose piece layer is missing.
fn lacking(trees: &Trees) -> impl Iterator<Item = Lacking> {
    trees.unknown().map(|file| Lacking {
        root: file.root,
        pieces: file.pieces,
        piece_layer: trees.piece_height(),
        height: height_of(file.length),
    })
}

/// Adds the exchange of hashes to a download or a seed.
pub fn plug(plan: &mut Plan) {
    plan.extensions.push(Arc::new(HashOffer(Hashes::of(&plan.watch))));
}

/// Gives hashes to each peer, and asks it for those that are missing.
pub struct HashOffer(pub Arc<Hashes>);

impl Offer for HashOffer {
    /// Each part counts once, and only a right one. So a peer cannot hold us up with it for long.
    fn progress(&self) -> u64 {
        self.0.lock().as_ref().map_or(0, MissingLayers::received)
    }

    fn open(&self, peer: &Connection) -> Option<Box<dyn Extension>> {
        let transfer = HashTransfer::new(Arc::clone(&self.0), peer.theirs.info_hash);
        Some(Box::new(transfer.at(peer.peer.ip())))
    }
}

/// The exchange of hashes with one peer.
pub struct HashTransfer {
    hashes: Arc<Hashes>,
    /// The name by which the two sides know the torrent here.
    name: InfoHash,
    /// Where the peer is. What it gets is counted for its IP, and not for the connection.
    origin: Origin,
    /// What the peer owes us.
    owed: Owed,
    /// What it may still ask for. `None` until it asks for something.
    allowance: Option<Allowance>,
    /// Exists while the peer can be asked which block of a piece is wrong: the queue holds such
    /// pieces back as long as there is one.
    witness: Option<Witness>,
}

impl HashTransfer {
    /// Begins with a peer that has agreed on this name of the torrent.
    pub fn new(hashes: Arc<Hashes>, name: InfoHash) -> HashTransfer {
        let (owed, origin) = (Owed::default(), Origin::of(Ipv4Addr::UNSPECIFIED.into()));
        HashTransfer { hashes, name, origin, owed, allowance: None, witness: None }
    }

    /// Does the same for a peer at this IP. All peers there share what they may ask for. And once
    /// one of them has left without an answer, all of them are asked last.
    pub fn at(mut self, ip: IpAddr) -> HashTransfer {
        self.origin = Origin::of(ip);
        self.owed = Owed::at(self.origin);
        self
    }

    /// Asks the peer for more of what is missing, as far as it owes us little enough.
    pub fn ask(&mut self, now: Instant, reply: &mut Reply) {
        let Some(trees) = self.hashes.trees() else { return };
        // By the other name it is a version 1 connection, on which libtorrent hangs up.
        if trees.info_hash() != self.name {
            return;
        }
        self.be_witness(&trees, now);
        self.hashes.want_block_hashes(&trees);
        for request in self.hashes.missing(&trees, |missing| self.owed.ask(missing, now)) {
            HashMessage::Request(request).encode_to(&mut reply.plain);
        }
    }

    /// Lets wrong pieces wait for what the peer can tell of them, or no longer. Decided again at
    /// each tick: a peer that has refused is asked again later.
    fn be_witness(&mut self, trees: &Trees, now: Instant) {
        // A hybrid is downloaded before all layers are known. Until then nothing can be told by
        // the hashes of blocks: it is not known what they must lead to.
        if trees.is_incomplete() || self.owed.rests(now) {
            self.witness = None;
        } else if self.witness.is_none() {
            self.witness = (self.hashes.torrent)().map(|torrent| Witness::join(&torrent.queue));
        }
    }

    /// Answers a request with hashes or a reject. It may wait until a piece is hashed, for this
    /// peer or for another one. Meanwhile nothing more is read from this peer. Its blocks go on
    /// coming, from a thread of their own, and nobody else is held up.
    fn answer(&mut self, request: HashRequest, now: Instant) -> HashMessage {
        let given = self.hashes.trees().filter(|trees| trees.info_hash() == self.name);
        let given = given.and_then(|trees| {
            let torrent = (self.hashes.torrent)();
            let pieces = trees.files().iter().map(|file| file.pieces);
            let allowance =
                self.allowance.get_or_insert_with(|| Allowance::new(pieces.sum::<u32>()));
            let upload_limit = (self.hashes.upload_limit)();
            let asker = Asker { origin: self.origin, upload_limit, now };
            self.hashes.giver.give(&request, &trees, torrent.as_deref(), allowance, &asker).ok()
        });
        match given {
            Some(hashes) => HashMessage::Hashes(request, hashes),
            None => HashMessage::Reject(request),
        }
    }

    /// Handles a message about hashes.
    ///
    /// # Errors
    /// If hashes are wrong that we have asked for.
    pub fn hear(
        &mut self,
        message: HashMessage,
        now: Instant,
        reply: &mut Reply,
    ) -> Result<(), HashTransferError> {
        match message {
            HashMessage::Request(request) => {
                self.answer(request, now).encode_to(&mut reply.plain);
            }
            HashMessage::Hashes(request, hashes) => {
                // Hashes that nobody has asked for are of no use, and cost nothing.
                if !self.owed.given(&request) {
                    return Ok(());
                }
                if let Some(trees) = self.hashes.trees() {
                    // Checked without the lock: an answer is up to a thousand hashes to compute.
                    let kept = self.hashes.keep(&trees, &request, &hashes);
                    self.hashes.missing(&trees, |missing| {
                        // Not by `drop`: the peer does not owe it any more.
                        let lies = kept.is_err() && missing.put_back(&request);
                        self.owed.proved(missing, !lies);
                    });
                    kept?;
                }
                self.ask(now, reply);
            }
            HashMessage::Reject(request) => {
                let trees = self.hashes.trees().filter(|_| self.owed.refused(&request, now));
                if let Some(trees) = trees {
                    self.hashes.missing(&trees, |missing| missing.put_back(&request));
                    self.be_witness(&trees, now);
                }
            }
        }
        Ok(())
    }
}

impl Extension for HashTransfer {
    fn name(&self) -> &'static str {
        "hash transfer"
    }

    /// It has no message 20.
    fn is_listed(&self) -> bool {
        false
    }

    /// Never called: nobody has an id for it.
    fn message(&mut self, _payload: &[u8], _reply: &mut Reply) -> Result<(), BoxError> {
        Ok(())
    }

    fn plain(&mut self, message: &Message, reply: &mut Reply) -> Result<bool, BoxError> {
        let Message::Unknown { id, payload } = *message else { return Ok(false) };
        // In a torrent of version 1 these ids mean nothing, and so nothing is wrong with them.
        if (self.hashes.info)().is_some_and(|info| trees(&info).is_none()) {
            return Ok(false);
        }
        let Some(message) = HashMessage::decode(id, payload)? else { return Ok(false) };
        self.hear(message, Instant::now(), reply).map_err(|error| match error {
            // For the swarm: the download ends, and no peer is to blame.
            HashTransferError::Torrent(error) => BoxError::from(MetainfoError::from(error)),
            error @ HashTransferError::Proof(_) => PeerLied(error.into()).into(),
            error => error.into(),
        })?;
        Ok(true)
    }

    fn tick(&mut self, now: Instant, reply: &mut Reply) {
        self.ask(now, reply);
    }
}

impl Drop for HashTransfer {
    /// What the peer has not given, others are asked for at once.
    fn drop(&mut self) {
        if let Some(missing) = &mut *self.hashes.lock() {
            self.owed.leave(missing);
        }
    }
}

/// Why the exchange of hashes with a peer fails.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say it
pub enum HashTransferError {
    #[error(transparent)]
    Message(#[from] HashMessageError),
    #[error("its hashes are wrong: {0}")]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Torrent(#[from] V2Error),
}
