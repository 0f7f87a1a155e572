//! Peers without a network: each claims pieces and "fetches" them from a file. (stage 11)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::ValueEnum;
use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::{Info, PieceIndex};
use piecemeal::s05_messages::Request;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s10_storage::{Storage, StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::board::Why;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::exit_codes::USAGE;
use super::failure::Failure;

/// The chance, in percent, that a peer has a piece at the start.
const HAS: u32 = 60;
/// A peer with that fault spoils one block in this many.
const SPOILS: u32 = 4;
/// A peer with that fault dies before one block in this many.
const DIES: u32 = 5;

/// What a peer does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Nothing.
    None,
    /// Leaves in the middle of a piece.
    Die,
    /// Spoils some of its blocks.
    Corrupt,
    /// Gets a turn less often.
    Slow,
}

/// The peers, the queue, and the files of one run.
pub struct QueueRun {
    /// The queue that the peers share.
    pub queue: Arc<WorkQueue>,
    /// The peers, `A` first.
    pub peers: Vec<Peer>,
    /// The random numbers, as they are after the pieces have been dealt.
    pub dice: StdRng,
    /// Where blocks come from and go to.
    pub files: Files,
}

/// Where blocks come from and go to.
pub struct Files {
    /// The torrent.
    pub info: Arc<Info>,
    /// What the peers give.
    pub content: Storage,
    /// What has come, until its piece is verified.
    pub scratch: Scratch,
}

impl QueueRun {
    /// Draws the pieces of each peer. Every piece has a peer, if possible one that will neither
    /// die nor spoil it.
    pub fn draw(
        info: Info,
        content: Storage,
        peers: u8,
        faults: &[Fault],
        seed: u64,
    ) -> Result<QueueRun, Failure> {
        if faults.len() > usize::from(peers) {
            let what = format!(
                "--faults names {} faults, but there are {}",
                faults.len(),
                counted(peers, "peer")
            );
            let help = format!("add --peers {}, or leave some faults out", faults.len());
            return Err(Failure::new(USAGE, what).help(help).see("11-work-queue"));
        }
        let mut dice = StdRng::seed_from_u64(seed);
        let pieces = info.piece_count();
        let mut has = vec![Bitfield::new(pieces); usize::from(peers)];
        let faults: Vec<Fault> =
            faults.iter().copied().chain(std::iter::repeat(Fault::None)).take(has.len()).collect();
        let safe: Vec<usize> = (0..has.len())
            .filter(|peer| !matches!(faults[*peer], Fault::Die | Fault::Corrupt))
            .collect();
        for piece in 0..pieces {
            for set in &mut has {
                set.set(piece, dice.random_range(0..100) < HAS);
            }
            if !safe.iter().any(|peer| has[*peer].has(piece)) {
                let last = if safe.is_empty() { 0..has.len() } else { 0..safe.len() };
                let drawn = dice.random_range(last);
                has[safe.get(drawn).copied().unwrap_or(drawn)].set(piece, true);
            }
        }
        let info = Arc::new(info);
        let (none, all) = (Bitfield::new(pieces), Bitfield::full(pieces));
        let queue = WorkQueue::new(Arc::clone(&info), &none, &all);
        let parts = (0u8..).zip(has).zip(faults);
        let peers =
            parts.map(|((number, has), fault)| Peer::join(&queue, number, has, fault)).collect();
        Ok(QueueRun {
            queue,
            peers,
            dice,
            files: Files { info, content, scratch: Scratch::default() },
        })
    }
}

/// What a peer did in a turn.
#[derive(Debug)]
pub enum Move {
    /// It got a piece.
    Claims(PieceIndex, Why),
    /// It found no piece to claim.
    Waits,
    /// It brought a block; `true` if the block is spoilt.
    Brings(Request, bool),
    /// It brought a block that another peer had brought before.
    TooLate(Request),
    /// Its block completed a piece.
    Completes(PieceIndex),
    /// Its block completed a piece with the wrong hash, and these peers brought parts of it.
    Spoils(PieceIndex, Vec<char>),
    /// It gave a piece back: no block is left to request.
    GivesBack(PieceIndex),
    /// It died with this piece on loan.
    Dies(PieceIndex),
}

/// A peer, and its claims on the queue.
pub struct Peer {
    /// `A`, `B`, ..
    pub name: char,
    /// What it does wrong.
    pub fault: Fault,
    /// What it has.
    pub has: Bitfield,
    /// `None` once it is gone.
    claimant: Option<Claimant>,
    lease: Option<Lease>,
    blocks: u32,
}

impl Peer {
    fn join(queue: &Arc<WorkQueue>, number: u8, has: Bitfield, fault: Fault) -> Peer {
        let mut claimant = Claimant::join(queue, u32::from(number));
        claimant.set_pieces(PeerPieces::Some(has.clone()));
        Peer {
            name: name(u32::from(number)),
            fault,
            has,
            claimant: Some(claimant),
            lease: None,
            blocks: 0,
        }
    }

    /// Whether the peer has died or was sent away.
    pub fn is_gone(&self) -> bool {
        self.claimant.is_none()
    }

    /// Makes one move: claims a piece, or brings a block of the one it has.
    pub fn step(
        &mut self,
        files: &Files,
        now: Instant,
        dice: &mut StdRng,
    ) -> Result<Vec<Move>, StorageError> {
        let Some(claimant) = &mut self.claimant else { return Ok(Vec::new()) };
        // A piece that another peer has finished is no longer wanted.
        let news = claimant.news();
        self.lease.take_if(|lease| news.contains(&lease.piece()));
        if let Some(lease) = &mut self.lease {
            return match lease.next_request() {
                Some(request) => self.bring(request, files, now, dice),
                None => Ok(self
                    .lease
                    .take()
                    .map(|lease| Move::GivesBack(lease.piece()))
                    .into_iter()
                    .collect()),
            };
        }
        match claimant.claim_at(true, now, &mut |below| dice.random_range(0..below)) {
            Claim::Lease(lease) => {
                let claimed = Move::Claims(lease.piece(), lease.why());
                self.lease = Some(lease);
                Ok(vec![claimed])
            }
            Claim::Later | Claim::Over => Ok(vec![Move::Waits]),
        }
    }

    fn bring(
        &mut self,
        request: Request,
        files: &Files,
        now: Instant,
        dice: &mut StdRng,
    ) -> Result<Vec<Move>, StorageError> {
        let Some(lease) = &mut self.lease else { return Ok(Vec::new()) };
        let piece = lease.piece();
        if self.fault == Fault::Die && self.blocks > 0 && dice.random_range(0..DIES) == 0 {
            self.leave();
            return Ok(vec![Move::Dies(piece)]);
        }
        let mut block = vec![0; request.length as usize];
        let offset = files.info.piece_offset(piece);
        files.content.read(offset + u64::from(request.begin), &mut block)?;
        let spoilt = self.fault == Fault::Corrupt && dice.random_range(0..SPOILS) == 0;
        if let Some(last) = block.last_mut().filter(|_| spoilt) {
            *last ^= 1;
        }
        self.blocks += 1;
        let brought = Move::Brings(request, spoilt);
        Ok(match lease.write_at(request.begin, &[&block], &files.scratch, now)? {
            Written::More => vec![brought],
            Written::Stale => vec![Move::TooLate(request)],
            Written::Verified => {
                files.scratch.forget(offset, files.info.piece_size(piece));
                self.lease = None;
                vec![brought, Move::Completes(piece)]
            }
            Written::Corrupt(by) => {
                let alone = by.len() == 1;
                self.lease = None;
                let spoils = Move::Spoils(piece, by.into_iter().map(name).collect());
                if alone {
                    self.leave();
                }
                vec![brought, spoils]
            }
        })
    }

    fn leave(&mut self) {
        self.lease = None;
        self.claimant = None;
    }
}

/// Returns the name of the peer with this number.
pub fn name(number: u32) -> char {
    (b'A'..=b'Z').nth(number as usize).map_or('?', char::from)
}

/// The blocks of unverified pieces, in memory. Those of verified pieces are dropped.
#[derive(Default)]
pub struct Scratch(Mutex<BTreeMap<u64, Vec<u8>>>);

impl Scratch {
    fn forget(&self, offset: u64, length: u32) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = blocks.split_off(&offset);
        blocks.append(&mut rest.split_off(&(offset + u64::from(length))));
    }
}

impl Store for Scratch {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(offset, data.to_vec());
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.get(&offset).filter(|block| block.len() == buffer.len());
        buffer.copy_from_slice(block.expect("a block is read back as it was written"));
        Ok(())
    }
}
