//! Sixty-four threads that do everything wrong that a peer's thread can do.

use super::super::support::{Recipe, Torrent, content};
use super::memory::{Dice, Memory, join, queue, within};
use piecemeal::s05_messages::bitfield::PeerPieces;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PIECES: usize = 150;
/// Two blocks, the second one short.
const PIECE_LENGTH: usize = 20_000;
const THREADS: u64 = 64;

struct World {
    torrent: Torrent,
    queue: Arc<WorkQueue>,
    store: Arc<Memory>,
    next_peer: AtomicU32,
    /// How often each thing happened, so that we know that the test tests it.
    verified: AtomicUsize,
    corrupt: AtomicUsize,
    stale: AtomicUsize,
    panics: AtomicUsize,
    runs: AtomicUsize,
    over: AtomicBool,
}

/// Panics in the middle of a write, with the piece's progress locked.
struct Bug<'m>(&'m Memory);

impl Store for Bug<'_> {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.0.write(offset, &data[..data.len() / 2])?;
        resume_unwind(Box::new("a bug"))
    }
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, buffer)
    }
}

impl World {
    /// The invariant: each piece in exactly one place.
    fn check(&self) {
        let (waiting, on_loan, done) = self.queue.counts();
        assert_eq!(
            waiting + on_loan + done,
            PIECES,
            "{waiting} wait, {on_loan} are on loan, {done} are done"
        );
    }

    /// Writes a block, or a run of blocks from it on, right or wrong; returns whether the lease is
    /// still good.
    fn write(&self, lease: &mut Lease, begin: u32, count: usize, wrong: Option<usize>) -> bool {
        let piece = lease.piece().position();
        let all = self.torrent.piece(piece);
        let mut blocks: Vec<Vec<u8>> =
            all[begin as usize..].chunks(16_384).take(count).map(<[u8]>::to_vec).collect();
        if let Some(block) = wrong.and_then(|wrong| blocks.get_mut(wrong)) {
            block[0] ^= 1;
        }
        self.runs.fetch_add(usize::from(blocks.len() > 1), Ordering::Relaxed);
        let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let written = lease.write(begin, &blocks, &*self.store).expect("memory takes it");
        match written {
            Written::More => return true,
            Written::Stale => {
                self.stale.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Written::Verified => {
                self.verified.fetch_add(1, Ordering::Relaxed);
                let start = (piece * PIECE_LENGTH) as u64;
                self.store.seal(start..start + all.len() as u64);
            }
            Written::Corrupt(by) => {
                assert!(!by.is_empty());
                self.corrupt.fetch_add(1, Ordering::Relaxed);
            }
        }
        false
    }

    /// One peer's life: it joins, does this and that, and leaves or panics.
    fn live(&self, dice: &mut Dice) {
        let number = self.next_peer.fetch_add(1, Ordering::Relaxed);
        let mut share = join(&self.queue, number, dice.one_in(2));
        let mut held: Vec<Lease> = Vec::new();
        // One peer in four lies now and then.
        let liar = number.is_multiple_of(4);
        for _ in 0..dice.roll(60) {
            match dice.roll(12) {
                0 => share.set_pieces(PeerPieces::All),
                1 => share.have(dice.roll(PIECES as u32)),
                2 => share.lost(dice.roll(PIECES as u32)),
                3 => drop(share.news()),
                4 if !held.is_empty() => {
                    drop(held.swap_remove(dice.roll(held.len() as u32) as usize))
                }
                5 if dice.one_in(4) && !held.is_empty() => {
                    self.panics.fetch_add(1, Ordering::Relaxed);
                    let mut lease = held.pop().expect("it is not empty");
                    if dice.one_in(2) {
                        let blocks: [&[u8]; 2] = [&[0; 16_384], &[0; 600]];
                        let _ =
                            lease.write(0, &blocks[..1 + dice.roll(2) as usize], &Bug(&self.store));
                    }
                    resume_unwind(Box::new("a bug"));
                }
                6 | 7 => {
                    if let Claim::Lease(lease) = share.claim(dice.one_in(2)) {
                        held.push(lease);
                    }
                }
                _ if !held.is_empty() => {
                    let which = dice.roll(held.len() as u32) as usize;
                    let asked = held[which].next_request().map(|request| request.begin);
                    // Requested, or a second time, or in the wrong order.
                    let begin = asked.unwrap_or(16_384 * dice.roll(2));
                    let count = 1 + usize::from(dice.one_in(3));
                    let wrong = (liar && dice.one_in(3)).then(|| dice.roll(count as u32) as usize);
                    if !self.write(&mut held[which], begin, count, wrong) && dice.one_in(2) {
                        held.swap_remove(which);
                    }
                }
                _ => {}
            }
            self.check();
        }
    }
}

#[test]
fn the_invariant_holds_whatever_sixty_four_threads_do() {
    // Each takes two seconds, and then as long as sixty-four lives take to their end: on a
    // machine that is busy with other things, longer than those two.
    within(Duration::from_secs(180), || (0..3).for_each(one_world));
}

fn one_world(round: u64) {
    let torrent =
        Recipe::single("t", PIECE_LENGTH, content(PIECES * PIECE_LENGTH - 3000, 8)).build();
    let world = World {
        queue: queue(&torrent),
        store: Memory::of(&torrent),
        torrent,
        next_peer: AtomicU32::new(1),
        verified: AtomicUsize::new(0),
        corrupt: AtomicUsize::new(0),
        stale: AtomicUsize::new(0),
        panics: AtomicUsize::new(0),
        runs: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    let end = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        let mut peers = Vec::new();
        for thread in 0..THREADS {
            let world = &world;
            let peer = scope.spawn(move || {
                let mut dice = Dice::new(round * THREADS + thread + 1);
                while !world.over.load(Ordering::Relaxed) && Instant::now() < end {
                    let lived = catch_unwind(AssertUnwindSafe(|| world.live(&mut dice)));
                    let lived = match lived {
                        Err(panic) if panic.downcast_ref::<&str>() != Some(&"a bug") => Err(panic),
                        _ => catch_unwind(AssertUnwindSafe(|| world.check())),
                    };
                    if lived.is_err() || world.queue.bytes_left() == 0 {
                        world.over.store(true, Ordering::Relaxed);
                    }
                    lived?;
                }
                std::thread::Result::Ok(())
            });
            peers.push(peer);
        }
        for peer in peers {
            if let Err(panic) = peer.join().and_then(|lived| lived) {
                resume_unwind(panic);
            }
        }
    });
    // All peers are gone, and every lease is back.
    let (waiting, on_loan, done) = world.queue.counts();
    assert_eq!((waiting + done, on_loan), (PIECES, 0));
    assert_eq!(world.verified.load(Ordering::Relaxed), done, "each piece is verified once");
    assert!(done > 0 && world.corrupt.load(Ordering::Relaxed) > 0, "{done} done");
    assert!(world.stale.load(Ordering::Relaxed) > 0 && world.panics.load(Ordering::Relaxed) > 0);
    assert!(world.runs.load(Ordering::Relaxed) > 0);
    // One good peer finishes what is left.
    let mut share = Claimant::join(&world.queue, world.next_peer.fetch_add(1, Ordering::Relaxed));
    share.set_pieces(PeerPieces::All);
    while let Claim::Lease(mut lease) = share.claim(true) {
        while let Some(request) = lease.next_request() {
            world.write(&mut lease, request.begin, 1, None);
        }
    }
    assert_eq!((world.queue.counts(), world.queue.bytes_left()), ((0, 0, PIECES), 0));
    assert!(world.store.content() == world.torrent.content, "what is verified is there");
    assert_eq!(world.store.broken(), [0; 0], "nobody wrote into a verified piece");
}
