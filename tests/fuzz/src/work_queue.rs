//! The work queue: peers that come and go, claim, give, give wrongly and give back, in any order.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arbitrary::{Result, Unstructured};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::Request;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use piecemeal::s11_work_queue::{PeerNumber, WorkQueue};

use super::memory::Memory;
use super::torrent::{self, Made};

/// How many peers there are at a time.
const PEERS: usize = 5;

/// The input is a torrent's size, and what happens.
pub fn check(input: &[u8]) {
    let mut from = Unstructured::new(input);
    let sizes = [(7, 1), (200, 1), (90, 100), (6, 16_384), (4, 40_000), (1, 70_000)];
    let Ok((pieces, piece_length)) = from.choose(&sizes).copied() else { return };
    let mut world = World::new(torrent::plain(pieces, piece_length));
    while !from.is_empty() && world.step(&mut from).is_ok() {
        world.holds();
    }
    world.ends();
}

struct World {
    made: Made,
    info: Arc<Info>,
    queue: Arc<WorkQueue>,
    store: Memory,
    peers: Vec<Peer>,
    next: PeerNumber,
    withdrawn: HashSet<u32>,
    /// A piece has been wrong, so a peer may leave pieces to others for a while.
    distrust: bool,
}

struct Peer {
    number: PeerNumber,
    share: Claimant,
    /// What it has, kept a second time.
    have: Vec<bool>,
    leases: Vec<Lease>,
}

impl World {
    fn new(made: Made) -> World {
        let info = Arc::new(Info::from_bytes(&made.info).expect("it is a good torrent"));
        let (none, all) = (Bitfield::new(info.piece_count()), Bitfield::full(info.piece_count()));
        let queue = WorkQueue::new(Arc::clone(&info), &none, &all);
        let store = Memory::of(vec![0; made.content.len()]);
        World {
            made,
            info,
            queue,
            store,
            peers: Vec::new(),
            next: 0,
            withdrawn: HashSet::new(),
            distrust: false,
        }
    }

    /// One thing happens.
    fn step(&mut self, from: &mut Unstructured) -> Result<()> {
        let pieces = self.info.piece_count();
        let what = from.int_in_range(0..=15u8)?;
        if what == 0 || self.peers.is_empty() {
            self.join(from.arbitrary()?);
            return Ok(());
        }
        let who = from.choose_index(self.peers.len())?;
        let index = |from: &mut Unstructured| from.int_in_range(0..=pieces);
        match what {
            1 => self.set_pieces(who, from)?,
            2 => self.have(who, index(from)?, true),
            3 => self.have(who, index(from)?, false),
            4..=6 => self.claim(who, from.arbitrary()?),
            7 => self.claim_piece(who, index(from)?),
            8..=11 => self.write(who, from)?,
            12 => {
                let leases = &mut self.peers[who].leases;
                if !leases.is_empty() {
                    let which = from.choose_index(leases.len())?;
                    drop(leases.swap_remove(which));
                }
            }
            13 => self.news(who),
            14 => {
                if let Some(piece) = self
                    .info
                    .piece(index(from)?)
                    .filter(|piece| self.queue.places().done.has(piece.get()))
                {
                    self.queue.withdraw(piece);
                    self.withdrawn.insert(piece.get());
                }
            }
            _ => drop(self.peers.swap_remove(who)),
        }
        Ok(())
    }

    fn join(&mut self, from_start: bool) {
        if self.peers.len() == PEERS {
            return;
        }
        let join = if from_start { Claimant::join_from_start } else { Claimant::join };
        let share = join(&self.queue, self.next);
        let have = vec![false; self.info.piece_count() as usize];
        self.peers.push(Peer { number: self.next, share, have, leases: Vec::new() });
        self.next += 1;
    }

    fn set_pieces(&mut self, who: usize, from: &mut Unstructured) -> Result<()> {
        let peer = &mut self.peers[who];
        let mut bits = Bitfield::new(self.info.piece_count());
        let all: bool = from.arbitrary()?;
        for (index, has) in (0..).zip(&mut peer.have) {
            *has = all || from.arbitrary()?;
            bits.set(index, *has);
        }
        peer.share.set_pieces(if all { PeerPieces::All } else { PeerPieces::Some(bits) });
        Ok(())
    }

    fn have(&mut self, who: usize, index: u32, has: bool) {
        let peer = &mut self.peers[who];
        if has {
            peer.share.have(index)
        } else {
            peer.share.lost(index)
        }
        if let Some(place) = peer.have.get_mut(index as usize) {
            *place = has;
        }
    }

    /// The pieces that wait, by what the queue says of all others.
    fn waiting(&self) -> HashSet<u32> {
        let places = self.queue.places();
        let on_loan: HashSet<u32> = places.on_loan.iter().map(|(piece, _)| piece.get()).collect();
        (0..places.pieces)
            .filter(|piece| !places.done.has(*piece) && !on_loan.contains(piece))
            .collect()
    }

    fn claim(&mut self, who: usize, idle: bool) {
        let waiting = self.waiting();
        let peer = &mut self.peers[who];
        match peer.share.claim(idle) {
            Claim::Over => assert!(self.queue.is_complete()),
            Claim::Later => {
                let missed = waiting.iter().find(|piece| peer.have[**piece as usize]);
                assert_eq!(
                    missed.filter(|_| !self.distrust),
                    None,
                    "a piece waits, the peer has it, and gets nothing to do"
                );
            }
            Claim::Lease(lease) => {
                let piece = lease.piece().get();
                assert!(peer.have[piece as usize]);
                assert_eq!(lease.is_shared(), !waiting.contains(&piece));
                assert!(
                    !lease.is_shared() || idle && waiting.is_empty(),
                    "pieces are shared at the end only"
                );
                peer.leases.push(lease);
            }
        }
    }

    fn claim_piece(&mut self, who: usize, index: u32) {
        let waiting = self.waiting();
        let peer = &mut self.peers[who];
        if let Some(lease) = peer.share.claim_piece(index) {
            assert!(
                lease.piece().get() == index
                    && waiting.contains(&index)
                    && peer.have[index as usize]
            );
            peer.leases.push(lease);
        }
    }

    /// The peer gives some of the blocks that are asked of it.
    fn write(&mut self, who: usize, from: &mut Unstructured) -> Result<()> {
        let (skip, count, wrong, fails) = (
            from.int_in_range(0..=2)?,
            from.int_in_range(1..=3)?,
            from.ratio(1, 4)?,
            from.ratio(1, 16)?,
        );
        let peer = &mut self.peers[who];
        if peer.leases.is_empty() {
            return Ok(());
        }
        let which = from.choose_index(peer.leases.len())?;
        let lease = &mut peer.leases[which];
        let asked: Vec<Request> =
            std::iter::from_fn(|| lease.next_request()).skip(skip).take(count).collect();
        self.store.fails.store(fails, Ordering::SeqCst);
        for run in asked.chunk_by(|one, next| one.begin + one.length == next.begin) {
            let written = give(lease, run, wrong, &self.info, &self.made, &self.store);
            let piece = lease.piece();
            let range = self.info.piece_offset(piece) as usize..;
            let range = range.start..range.start + self.info.piece_size(piece) as usize;
            let right = self.store.content()[range.clone()] == self.made.content[range];
            match written {
                Some(Written::Verified) => {
                    assert!(right && self.queue.places().done.has(piece.get()))
                }
                Some(Written::Corrupt(by)) => {
                    assert!(!right && !self.queue.places().done.has(piece.get()));
                    assert!(by.contains(&peer.number));
                    self.distrust = true;
                }
                Some(Written::More) => assert!(!self.queue.places().done.has(piece.get())),
                Some(Written::Stale) | None => {}
            }
        }
        self.store.fails.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn news(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        for piece in peer.share.news() {
            assert!(self.queue.places().done.has(piece.get()));
        }
        for piece in peer.share.withdrawn() {
            assert!(self.withdrawn.contains(&piece.get()));
        }
        let done = self.queue.places().done;
        let wanted = (0..).zip(&peer.have).any(|(piece, has)| *has && !done.has(piece));
        assert_eq!(peer.share.is_interesting(), wanted);
        let has = peer.have.iter().filter(|has| **has).count();
        assert_eq!(
            (peer.share.count_pieces() as usize, peer.share.is_seed()),
            (has, has == peer.have.len())
        );
    }

    /// Every piece is in exactly one of three places: waiting, on loan, or done.
    fn holds(&self) {
        let places = self.queue.places();
        let (waiting, on_loan, done) = self.queue.counts();
        assert_eq!(
            waiting + on_loan + done,
            places.pieces as usize,
            "{waiting} waiting, {on_loan} on loan, {done} done"
        );
        assert_eq!((on_loan, done), (places.on_loan.len(), places.done.count() as usize));
        assert_eq!(waiting, self.waiting().len(), "none is in two places");
        for (piece, holders) in &places.on_loan {
            let different: HashSet<&PeerNumber> = holders.iter().collect();
            assert!(
                (1..=3).contains(&holders.len()) && different.len() == holders.len(),
                "{holders:?}"
            );
            for holder in holders {
                let peer = self
                    .peers
                    .iter()
                    .find(|peer| peer.number == *holder)
                    .expect("who holds a piece is here");
                assert!(
                    peer.leases.iter().any(|lease| lease.piece() == *piece),
                    "who holds a piece has its lease"
                );
            }
        }
        let left: u64 = self
            .info
            .pieces()
            .filter(|piece| !places.done.has(piece.get()))
            .map(|piece| u64::from(self.info.piece_size(piece)))
            .sum();
        assert_eq!((self.queue.bytes_left(), self.queue.is_complete()), (left, left == 0));
        let given = self.queue.given_pieces();
        assert!((0..places.pieces).all(|piece| given.has(piece)
            == (places.done.has(piece) && !self.withdrawn.contains(&piece))));
    }

    /// Whatever has happened: when all have gone, a peer that has everything can bring the rest.
    fn ends(mut self) {
        self.peers.clear();
        self.holds();
        assert_eq!(self.queue.counts().1, 0, "nobody is left who could hold a piece");
        self.join(true);
        let peer = &mut self.peers[0];
        peer.share.set_pieces(PeerPieces::All);
        for _ in 0..=self.info.piece_count() * 2 {
            match peer.share.claim(true) {
                Claim::Over => break,
                Claim::Later => panic!("there is something to do"),
                Claim::Lease(mut lease) => {
                    let asked: Vec<Request> = std::iter::from_fn(|| lease.next_request()).collect();
                    for run in asked.chunk_by(|one, next| one.begin + one.length == next.begin) {
                        give(&mut lease, run, false, &self.info, &self.made, &self.store);
                    }
                }
            }
        }
        assert!(
            self.queue.is_complete() && self.store.content() == self.made.content,
            "all of it is there"
        );
    }
}

/// Writes the blocks of these requests, which follow one another; the last byte may be wrong.
fn give(
    lease: &mut Lease,
    run: &[Request],
    wrong: bool,
    info: &Info,
    made: &Made,
    store: &Memory,
) -> Option<Written> {
    let first = run.first()?;
    let length: u32 = run.iter().map(|request| request.length).sum();
    let start = info.piece_offset(lease.piece()) as usize + first.begin as usize;
    let mut bytes = made.content[start..start + length as usize].to_vec();
    if let (true, Some(last)) = (wrong, bytes.last_mut()) {
        *last ^= 1;
    }
    let mut left = &bytes[..];
    let blocks: Vec<&[u8]> = run
        .iter()
        .map(|request| {
            let block;
            (block, left) = left.split_at(request.length as usize);
            block
        })
        .collect();
    lease.write(first.begin, &blocks, store).ok()
}
