//! A whole session: a download, a magnet link or a seed, against peers that say anything.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::Store;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::{Ended, Event, Plan, SwarmError, download};
use piecemeal::s17_seeding::{Rules, Seeder};

use super::memory::Memory;
use super::script::Peer;
use super::torrent::{self, Made};

/// How long a session may take: nobody waits in it, but the machine may be busy.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The torrents: many small pieces, and few of several blocks.
const SIZES: [(usize, usize); 4] = [(20, 1000), (3, 40_000), (70, 20), (1, 16_384)];

/// The input is what is to be done, how many peers there are, what each of them can do, and
/// their scripts.
pub fn check(input: &[u8]) {
    let Some((&[how, count], rest)) = input.split_first_chunk() else { return };
    let (pieces, piece_length) = SIZES[usize::from(how >> 4) % SIZES.len()];
    let made = Arc::new(torrent::plain(pieces, piece_length));
    let info = Info::from_bytes(&made.info).expect("it is a good torrent");
    if rest.is_empty() {
        return; // nobody comes, so nobody leaves, and a seed stays
    }
    let count = usize::from(count % 3) + 1;
    let share = rest.len().div_ceil(count).max(1);
    let (magnet, seed) = (how & 1 == 1, how & 2 == 2);
    let scripts: Vec<(u8, Arc<Peer>)> = rest
        .chunks(share)
        .filter_map(|part| part.split_first())
        .map(|(bits, script)| (*bits, Peer::new(&made, script, magnet)))
        .collect();
    run(&made, info, scripts, magnet, seed);
}

/// Runs it, and looks at what it came to.
fn run(made: &Arc<Made>, info: Info, scripts: Vec<(u8, Arc<Peer>)>, magnet: bool, seed: bool) {
    let begun = Instant::now();
    let content = if seed { made.content.clone() } else { vec![0; made.content.len()] };
    let store = Arc::new(Memory::of(content));
    let have =
        if seed { Bitfield::full(info.piece_count()) } else { Bitfield::new(info.piece_count()) };
    let mut plan = Plan::new(
        info.info_hash,
        (!magnet).then(|| info.clone()),
        PeerId(*b"-US0001-us us us us!"),
    );
    plan.patience = Duration::from_secs(5);
    plan.uploads = uploader(seed);
    let (stop, left) = (Arc::clone(&plan.stop), AtomicUsize::new(scripts.len()));
    plan.sources.push(Box::new(Comers(scripts)));
    let mut panicked = false;
    let mut event = |event: Event| match event {
        // Nobody is waited for who has just been given something.
        Event::Completed => stop.store(true, Ordering::SeqCst),
        Event::Left(_, why) => {
            panicked |= matches!(why, Ended::Panic);
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                stop.store(true, Ordering::SeqCst);
            }
        }
        _ => {}
    };
    let kept = Arc::clone(&store) as Arc<dyn Store>;
    let result = download(plan, move |_| Ok((kept, have)), &mut event);
    assert!(!panicked, "a peer's thread has panicked");
    match result {
        Ok(_) => assert!(store.content() == made.content, "what is complete is right"),
        Err(SwarmError::NoHope { .. } | SwarmError::Stopped) => {}
        Err(error) => panic!("no peer can do this: {error}"),
    }
    assert!(begun.elapsed() < MAX_TIME, "it took {:?}", begun.elapsed());
}

/// What is given. One for all sessions: each has a thread that ends a moment later.
fn uploader(stay: bool) -> Arc<Seeder> {
    static UPLOADERS: OnceLock<[Arc<Seeder>; 2]> = OnceLock::new();
    let both = UPLOADERS.get_or_init(|| {
        [false, true].map(|stay| Arc::new(Seeder::new(Rules { stay, ..Rules::default() })))
    });
    Arc::clone(&both[usize::from(stay)])
}

/// Peers that have come by themselves, and what each of them can do.
struct Comers(Vec<(u8, Arc<Peer>)>);

impl PeerSource for Comers {
    fn name(&self) -> String {
        "the script".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        let incoming = finder.incoming();
        for (number, (bits, peer)) in (1..).zip(self.0) {
            let ours = incoming.handshake();
            let mut peer_id = [b'a'; 20];
            peer_id[19] = number;
            let mut theirs = Handshake::new(ours.info_hash, PeerId(peer_id));
            for bit in [2, 20]
                .into_iter()
                .enumerate()
                .filter_map(|(place, bit)| (bits >> place & 1 == 0).then_some(bit))
            {
                theirs = theirs.with_bit(bit);
            }
            let address = SocketAddr::from(([10, 0, 0, number], 6881));
            incoming.met(Connection::new(peer.transport(address), ours, theirs));
        }
        Ok(())
    }
}
