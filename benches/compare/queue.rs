//! What a step of the work queue costs with a million pieces and 200 peers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use piecemeal::s01_bencode::encode::{bytes, dictionary, integer};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use sha1::{Digest, Sha1};

use crate::Summary;
use crate::options::Options;
use crate::table::Table;

pub const CLAIM: &str = "claim";
pub const GIVE_BACK: &str = "give back";
pub const DONE: &str = "done, its one byte hashed";
const WORK: &str = "work queue, 1M pieces, 200 peers";
const PIECES: u32 = 1_000_000;
const PEERS: u32 = 200;
const STEPS: u32 = 100_000;

/// Takes everything and keeps nothing.
struct Nowhere;

impl Store for Nowhere {
    fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }

    fn read(&self, _offset: u64, _buffer: &mut [u8]) -> Result<(), StorageError> {
        Ok(())
    }
}

/// A torrent of so many pieces of one zero byte each.
fn torrent() -> Summary<Arc<Info>> {
    let hashes = Sha1::digest([0]).repeat(PIECES as usize);
    let pairs = [
        ("name", bytes("n")),
        ("length", integer(PIECES)),
        ("piece length", integer(1)),
        ("pieces", bytes(hashes)),
    ];
    Ok(Arc::new(Info::from_bytes(&dictionary(pairs))?))
}

/// Measures the three, if they are wanted; the median of the rounds counts. Every peer
/// has another half of the pieces, which is the hardest case that is likely.
pub fn run(options: &Options, table: &mut Table) -> Summary<()> {
    if !options.wants(WORK) {
        return Ok(());
    }
    let info = torrent()?;
    let queue = WorkQueue::new(Arc::clone(&info), &Bitfield::new(PIECES), &Bitfield::full(PIECES));
    let mut shares: Vec<Claimant> = (0..PEERS).map(|peer| half(&queue, peer)).collect();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..options.rounds {
        let start = Instant::now();
        let leases: Vec<Claim> =
            (0..STEPS).map(|step| shares[(step % PEERS) as usize].claim(false)).collect();
        times[0].push(start.elapsed());
        let start = Instant::now();
        drop(black_box(leases));
        times[1].push(start.elapsed());

        let mut leases: Vec<Claim> =
            (0..STEPS).map(|step| shares[(step % PEERS) as usize].claim(false)).collect();
        let start = Instant::now();
        for claim in &mut leases {
            let Claim::Lease(lease) = claim else {
                return Err("the queue has nothing for a peer".into());
            };
            black_box(lease.write(0, &[&[0]], &Nowhere)?);
        }
        times[2].push(start.elapsed());
        drop(leases);
    }
    for (name, mut times) in [CLAIM, GIVE_BACK, DONE].into_iter().zip(times) {
        times.sort();
        let cost = times[times.len() / 2].as_secs_f64() * 1e9 / f64::from(STEPS);
        eprintln!("{WORK:44} {name}: {cost:.0} ns");
        table.costs.push((name, cost));
    }
    Ok(())
}

/// A peer with every second piece, by a rule of its own.
fn half(queue: &Arc<WorkQueue>, peer: u32) -> Claimant {
    let mut bits = Bitfield::new(PIECES);
    for piece in 0..PIECES {
        let mixed = (piece ^ peer.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        bits.set(piece, mixed >> 31 == 0);
    }
    let mut share = Claimant::join(queue, peer);
    share.set_pieces(PeerPieces::Some(bits));
    share
}
