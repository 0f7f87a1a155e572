//! What many strangers can cost us that ask for hashes: memory, work, and what we send.

use super::super::support::{assert_number, insist, wire};
use super::giving::{CLAUSE, ours_without_content};
use super::memory::{Memory, bits, queue_of};
use super::net::{EXTENDED, Names, Net, Talk, US, run_into};
use super::torrents::V2;
use super::tree::request;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s04_handshake::transport::Dial;
use piecemeal::s07_extension::extension::Reply;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s12_session::host::Torrent;
use piecemeal::s12_session::rate::Rate;
use piecemeal::s15_swarm::Plan;
use piecemeal::s16_uploading::{UnchokeAll, Uploader};
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s23_v2::trees;
use piecemeal::s24_hash_transfer::giving::{Allowance, Asker, Giver};
use piecemeal::s24_hash_transfer::message::{HashMessage, HashRequest};
use piecemeal::s24_hash_transfer::subtree::Subtree;
use piecemeal::s24_hash_transfer::upper::TopLayers;
use piecemeal::s24_hash_transfer::{HashTransfer, Hashes, plug};
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const BLOCK: usize = 16_384;
const MIB: usize = 1 << 20;

/// A store that notes how many read it at the same time.
struct Watched {
    content: Arc<Memory>,
    /// How long a read takes.
    pause: Duration,
    readers: AtomicUsize,
    most: AtomicUsize,
}

impl Store for Watched {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.content.write(offset, data)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let readers = self.readers.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(readers, Ordering::SeqCst);
        thread::sleep(self.pause);
        let read = self.content.read(offset, buffer);
        self.readers.fetch_sub(1, Ordering::SeqCst);
        read
    }
}

/// A torrent of which we have all, in a store that is watched.
fn seeded(v2: &V2, upload_limit: Option<u64>, pause: Duration) -> (Arc<Hashes>, Arc<Watched>) {
    let info = v2.info();
    let layer = v2.tree[v2.piece_layer as usize][..v2.pieces].iter().copied().map(Hash);
    let known = trees(&info).expect("it is of version 2");
    known.learn(Hash(v2.root()), layer.collect()).expect("it is right");
    let content = Memory::of(&v2.torrent);
    content.write(0, &v2.torrent.content).expect("there is room");
    let (readers, most) = Default::default();
    let store = Arc::new(Watched { content, pause, readers, most });
    let torrent = Arc::new(Torrent {
        queue: queue_of(info.clone(), 0..v2.pieces as u32),
        store: Arc::clone(&store) as Arc<dyn Store>,
        upload_only: false,
    });
    let info = Arc::new(info);
    let hashes = Hashes::limited(
        move || Some(Arc::clone(&info)),
        move || Some(Arc::clone(&torrent)),
        move || upload_limit,
    );
    (hashes, store)
}

/// A new connection from the stranger with this number.
fn stranger(v2: &V2, hashes: &Arc<Hashes>, number: u8) -> HashTransfer {
    let name = InfoHash(v2.torrent.info_hash);
    HashTransfer::new(Arc::clone(hashes), name).at(Ipv4Addr::new(192, 0, 2, number).into())
}

fn asked(v2: &V2, [base_layer, index, length, proof_layers]: [u32; 4]) -> HashRequest {
    HashRequest { root: Hash(v2.root()), base_layer, index, length, proof_layers }
}

/// How many bytes the answer to a request has; 0 for a reject.
fn bytes(peer: &mut HashTransfer, request: HashRequest, now: Instant) -> usize {
    let mut reply = Reply::default();
    peer.hear(HashMessage::Request(request), now, &mut reply).expect("a request has an answer");
    match reply.plain[4] {
        22 => reply.plain.len(),
        id => {
            assert_eq!((id, reply.plain.len()), (23, 53), "a reject");
            0
        }
    }
}

#[test]
fn what_is_kept_of_a_layer_is_computed_by_one_thread_and_once() {
    let (tops, computed) = (TopLayers::default(), AtomicUsize::new(0));
    let together = Barrier::new(8);
    let ask = || {
        together.wait();
        tops.of(Hash([1; 32]), || {
            computed.fetch_add(1, Ordering::SeqCst);
            // All the others have long come to the same place.
            thread::sleep(Duration::from_millis(100));
            Subtree::new(0, 0, vec![Hash([2; 32]); 4], 2)
        })
    };
    let roots: Vec<Option<Hash>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| ask().root())).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    assert_number("times it was computed", computed.into_inner(), 1, CLAUSE, &[]);
    assert!(roots.iter().all(|root| *root == roots[0]), "all got the same: {roots:?}");
}

#[test]
fn little_is_kept_of_a_large_layer_and_nothing_of_a_small_one() {
    let now = Instant::now();
    let asker = Asker { origin: Origin::of(Ipv4Addr::LOCALHOST.into()), upload_limit: None, now };
    for (pieces, most) in [(2, 0), (500, 0), (512, 0), (513, 3), (65_536, 2 * 65_536 / 512)] {
        let v2 = V2::without_content(pieces);
        let (_, trees) = ours_without_content(&v2);
        let (giver, mut allowance) = (Giver::default(), Allowance::new(pieces));
        let height = pieces.next_power_of_two().ilog2();
        for base in 0..height {
            let request = asked(&v2, [base, 0, 2, height - base - 1]);
            let given = giver.give(&request, &trees, None, &mut allowance, &asker);
            assert!(given.is_ok(), "{pieces} pieces, layer {base}: {given:?}");
        }
        let kept = giver.kept();
        assert!(kept <= most, "{kept} hashes are kept of {pieces} pieces, {most} are expected");
    }
}

#[test]
fn whoever_hangs_up_and_dials_again_has_no_more_pieces_hashed() {
    // The piece that was asked about last is kept, so it is another one each time.
    let v2 = V2::new(4 * MIB, 8 * MIB);
    let (hashes, store) = seeded(&v2, None, Duration::ZERO);
    let start = Instant::now();
    let piece = |number: u32| asked(&v2, [0, number * 256, 2, 0]);
    let dial = |number: &u32| bytes(&mut stranger(&v2, &hashes, 1), piece(number % 2), start) > 0;
    let given = (0..100).filter(dial).count();
    // Every second of the others is for the piece that is kept, and so costs nothing.
    assert_number("answers for one stranger", given, 16 + 84 / 2, CLAUSE, &[]);
    assert_number("bytes read", store.content.bytes_read(), 64 * MIB as u64, CLAUSE, &[]);
    // Somebody else gets the hashes of a piece at the same time, and the first one does later.
    let last =
        (99..103).map(|number| bytes(&mut stranger(&v2, &hashes, 2), piece(number % 2), start));
    assert!(last.clone().next().is_some_and(|bytes| bytes > 0), "another one: {:?}", last);
    let later = start + Duration::from_secs(60);
    let mut first = stranger(&v2, &hashes, 1);
    assert!((0..2).all(|number| bytes(&mut first, piece(number), later) > 0), "a minute later");
}

#[test]
fn one_piece_is_hashed_at_a_time_however_many_ask() {
    let v2 = V2::new(2 * BLOCK, 16 * BLOCK);
    // Long enough for another thread to come in, if nothing keeps it out.
    let (hashes, store) = seeded(&v2, None, Duration::from_millis(20));
    let together = Barrier::new(8);
    let ask = |number: u32| {
        let mut peer = stranger(&v2, &hashes, number as u8);
        together.wait();
        bytes(&mut peer, asked(&v2, [0, number * 2, 2, 0]), Instant::now())
    };
    let given: Vec<usize> = thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    assert!(given.iter().all(|bytes| *bytes > 0), "each got its hashes: {given:?}");
    assert_number("read at once", store.most.load(Ordering::SeqCst), 1, CLAUSE, &[]);
}

#[test]
fn hashes_get_a_quarter_of_the_upload_limit_and_each_stranger_gets_some() {
    let v2 = V2::new(BLOCK, 600 * BLOCK);
    let (hashes, _) = seeded(&v2, Some(100 << 10), Duration::ZERO);
    let start = Instant::now();
    let part = asked(&v2, [0, 0, 512, 9]);
    // 250 KiB are saved up in ten seconds, and one stranger gets half of that.
    let mut flood = stranger(&v2, &hashes, 1);
    let at_once: usize = (0..100).map(|_| bytes(&mut flood, part, start)).sum();
    assert!(at_once <= 125 << 10, "{at_once} bytes at once, for a limit of 102,400 a second");
    let answer = 4 + 1 + 48 + 513 * 32;
    for number in 2..=6 {
        let got = bytes(&mut stranger(&v2, &hashes, number), part, start);
        assert_number("bytes for another stranger", got, answer, CLAUSE, &[]);
    }
    // A hundred times a second, for a minute; with new connections, which have new allowances.
    let minute: usize = (0..6_000)
        .map(|tick| {
            let mut peer = stranger(&v2, &hashes, 1 + (tick % 50) as u8);
            bytes(&mut peer, part, start + Duration::from_millis(10) * tick)
        })
        .sum();
    let most = (250 << 10) + 60 * (25 << 10);
    assert!(minute <= most, "{minute} bytes in a minute, {most} are allowed");
    assert!(minute > most / 2, "{minute} bytes in a minute, of {most}");
}

/// A seed that lacks one piece, so that it stays, with an upload limit of 4 KiB a second.
#[test]
fn a_choked_peer_that_asks_for_hashes_neither_exceeds_the_upload_limit_nor_uses_it_up() {
    let (net, v2) = (Net::new(), V2::new(BLOCK, 600 * BLOCK));
    let info = v2.info();
    let layer = v2.tree[0][..v2.pieces].iter().copied().map(Hash).collect();
    trees(&info).expect("it is of version 2").learn(Hash(v2.root()), layer).expect("it is right");
    let mut plan = Plan::new(info.names.clone(), Some(info), PeerId(US));
    plan.dial = Arc::clone(&net) as Arc<dyn Dial>;
    plan.uploads = Arc::new(Uploader::new(UnchokeAll));
    plan.upload_rate = Rate::new(Some(4 << 10));
    plug(&mut plan);
    let (stop, content) = (Arc::clone(&plan.stop), v2.clone());
    let taker = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content.torrent)?;
        talk.send(&wire::extended(0, b"de"))?;
        // 100 answers would be 1.6 MiB.
        let part = wire::message(21, &request(content.root(), [0, 0, 512, 9]));
        let given = answers(talk, &part, 100)?;
        insist!((1..=3).contains(&given), "{given} of 100 requests got hashes, a few should");
        // 3,000 rejects are 155 KiB, 39 s of the limit. The block that has come before is 4 s.
        let unknown = wire::message(21, &request([7; 32], [0, 0, 512, 9]));
        insist!(answers(talk, &unknown, 3_000)? == 0, "nobody knows this root");
        talk.send(&wire::message(wire::INTERESTED, &[]))?;
        talk.until(wire::UNCHOKE)?;
        let asked = Instant::now();
        talk.send(&wire::message(
            wire::REQUEST,
            &[1u32, 0, BLOCK as u32].map(u32::to_be_bytes).concat(),
        ))?;
        talk.until(wire::PIECE)?;
        let took = asked.elapsed();
        insist!(
            took < Duration::from_secs(25),
            "the block came after {took:?}, as if it waited for rejects"
        );
        stop.store(true, Ordering::SeqCst);
        Ok(())
    });
    plan.sources.push(Box::new(Names(vec![taker])));
    let store = Memory::of(&v2.torrent);
    store.write(0, &v2.torrent.content).expect("there is room");
    run_into(&net, plan, store, bits(600, 1..600));
}

/// Sends a request this many times; returns how many answers have hashes.
fn answers(talk: &mut Talk, message: &[u8], count: usize) -> io::Result<usize> {
    let mut given = 0;
    for _ in 0..count / 20 {
        talk.send(&message.repeat(20))?;
        let mut left = 20;
        while left > 0 {
            let (id, _) = talk.next()?;
            given += usize::from(id == 22);
            left -= usize::from(id == 22 || id == 23);
        }
    }
    Ok(given)
}
