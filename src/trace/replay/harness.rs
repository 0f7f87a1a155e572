//! The harness that runs a script: a connection in memory, a client, and a store for its
//! pieces.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::player::{Played, play};
use super::script::{Script, whole_pieces};
use super::side_record::differences;
use super::{MAX_DIFFERENCES, ReplayError, Report};
use crate::s02_metainfo::Info;
use crate::s04_handshake::transport::{Dial, Transport, pair};
use crate::s05_messages::bitfield::Bitfield;
use crate::s10_storage::{StorageError, Store};
use crate::s13_peer_sources::source::Given;
use crate::s15_swarm::{Event, Plan, SwarmError, download};
use crate::s19_pex::{self, Gossip, PexOffer};

/// Blocks, as (piece, begin, length).
type Blocks = BTreeSet<(u32, u32, u32)>;

/// The most bytes in transit in each direction.
const ROOM: usize = 1 << 20;

/// Runs a script, and reports what differs.
pub(super) fn run(
    script: Script,
    info: Option<Info>,
    patience: Duration,
) -> Result<Report, ReplayError> {
    let number = script.connection;
    let unfit =
        |expected, found: &str| ReplayError::Unfit { number, expected, found: found.to_owned() };
    match &info {
        Some(info) if info.info_hash != script.info_hash() => {
            let (expected, found) = (script.info_hash().to_string(), info.info_hash.to_string());
            return Err(ReplayError::OtherTorrent { number, expected, found });
        }
        Some(info) if whole_pieces(&script.given, info).count() == 0 => {
            return Err(unfit("a piece that came whole from this peer", "none"));
        }
        None if script.metadata.is_empty() => {
            return Err(unfit("the info dictionary in the capture, or --torrent FILE", "neither"));
        }
        _ => {}
    }
    let us = SocketAddr::from((Ipv4Addr::LOCALHOST, 6881));
    let (client, transport) = pair(ROOM, us, script.peer);
    let stop = Arc::new(AtomicBool::new(false));
    let mut plan = Plan::new(script.info_hash(), info, script.peer_id());
    plan.dial = Arc::new(DialOnce(Mutex::new(Some(client))));
    plan.sources = vec![Box::new(Given(script.peer.to_string()))];
    plan.stop = Arc::clone(&stop);
    if script
        .ours
        .extension_handshake
        .as_ref()
        .is_some_and(|ours| ours.m.contains_key(s19_pex::NAME))
    {
        // There is nobody else to tell the peer of, and nobody whom it names is dialed.
        plan.extensions.push(Arc::new(PexOffer(Gossip::new(Vec::new))));
    }
    let (given, mut recorded, peer, program) =
        (script.given.clone(), script.ours.clone(), script.peer, script.client.clone());
    let (over, is_over) = mpsc::channel::<()>();
    // The blocks of complete pieces, once the size of a piece is known.
    let complete_blocks = Arc::new(OnceLock::new());
    let all = Arc::clone(&complete_blocks);
    let work = move || {
        let played = play(script, transport, patience);
        // A client that has all pieces may be about to say so, and a client that hung up needs a
        // moment to end. One that waits for more waits in vain.
        if !played.gave_up
            || all.get().is_some_and(|all: &Blocks| all.is_subset(&played.now.blocks))
        {
            let _ = is_over.recv_timeout(patience);
        }
        stop.store(true, Ordering::SeqCst);
        played
    };
    let playing = thread::Builder::new().name("played peer".to_owned()).spawn(work);
    let Ok(playing) = playing else { return Err(unfit("a thread from the system", "none")) };
    let (mut pieces, mut found) = (0, Vec::new());
    let prepare = |info: &Info| -> Result<(Arc<dyn Store>, Bitfield), StorageError> {
        let whole = whole_pieces(&given, info);
        pieces = whole.count();
        let mut there = Bitfield::full(info.piece_count());
        for piece in whole.iter() {
            there.set(piece, false);
        }
        // Requests without an answer (another peer brought the block, or the capture ends) are not
        // repeated.
        recorded.blocks.retain(|(piece, _, _)| whole.has(*piece));
        let _ = complete_blocks
            .set(given.iter().copied().filter(|(piece, _, _)| whole.has(*piece)).collect());
        Ok((Arc::new(MemoryStore::default()), there))
    };
    let mut completed = false;
    let outcome = download(plan, prepare, &mut |event| match event {
        Event::Completed => completed = true,
        Event::Left(_, why) if !completed => {
            found.push(format!("our side ended the conversation: {why}"))
        }
        Event::Corrupt(piece, _) => found.push(format!("piece {piece} had the wrong hash")),
        _ => {}
    });
    drop(over);
    let Played { now, blocks, waited, .. } = playing.join().unwrap_or_default();
    match outcome {
        Ok(_) => {}
        Err(SwarmError::Stopped) => found.push("not all pieces came".to_owned()),
        Err(error) => found.push(error.to_string()),
    }
    found.extend(waited);
    found.extend(differences(&recorded, &now));
    let more = found.len().saturating_sub(MAX_DIFFERENCES);
    found.truncate(MAX_DIFFERENCES);
    let bytes = now.blocks.intersection(&given).map(|(_, _, length)| u64::from(*length)).sum();
    Ok(Report {
        connection: number,
        peer,
        client: program,
        pieces,
        blocks,
        bytes,
        differences: found,
        more,
    })
}

/// A connection that can be dialed once.
struct DialOnce(Mutex<Option<Transport>>);

impl Dial for DialOnce {
    fn dial(&self, _: SocketAddr, _: Instant) -> io::Result<Transport> {
        let transport = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        transport.ok_or_else(|| ErrorKind::ConnectionRefused.into())
    }
}

/// The size of a page in bytes. Pages exist only where something was written.
const PAGE: usize = 16 * 1024;

/// A store in memory for the pieces, which are no larger than the capture.
#[derive(Default)]
struct MemoryStore(Mutex<HashMap<u64, Vec<u8>>>);

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the pages under `length` bytes from `offset`, each with its range.
fn pages(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = usize::try_from(at % PAGE as u64).unwrap_or_default();
        let size = (PAGE - inside).min(length - done);
        done += size;
        (size > 0).then_some((at / PAGE as u64, inside, size))
    })
}

impl Store for MemoryStore {
    fn write(&self, offset: u64, mut data: &[u8]) -> Result<(), StorageError> {
        let mut all = self.lock();
        for (page, inside, size) in pages(offset, data.len()) {
            let (now, rest) = data.split_at_checked(size).unwrap_or_default();
            let page = all.entry(page).or_insert_with(|| vec![0; PAGE]);
            if let Some(place) = page.get_mut(inside..inside + size) {
                place.copy_from_slice(now);
            }
            data = rest;
        }
        Ok(())
    }

    fn read(&self, offset: u64, mut buffer: &mut [u8]) -> Result<(), StorageError> {
        let all = self.lock();
        for (page, inside, size) in pages(offset, buffer.len()) {
            let (now, rest) =
                std::mem::take(&mut buffer).split_at_mut_checked(size).unwrap_or_default();
            match all.get(&page).and_then(|page| page.get(inside..inside + size)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            buffer = rest;
        }
        Ok(())
    }
}
