//! Micro-benchmarks: bencode, message framing, the work queue, what a block costs, and a wiretap.
//!
//! `cargo bench --locked --bench micro`, and a word behind `--` to run only some.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use piecemeal::s01_bencode::decode;
use piecemeal::s01_bencode::encode::{bytes, dictionary, integer, list};
use piecemeal::s02_metainfo::piece_check::sha1_hasher;
use piecemeal::s02_metainfo::{Info, Metainfo};
use piecemeal::s04_handshake::transport::{Transport, pair};
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s05_messages::{BLOCK_LENGTH, Message, MessageReader, Request};
use piecemeal::s07_extension::Extensions;
use piecemeal::s07_extension::dont_have::DontHave;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::trace::wiretap::{Form, Sink, Tap};
use sha1::{Digest, Sha1};

fn main() {
    divan::main();
}

/// The info dictionary of a torrent with so many pieces of one zero byte each.
fn info(pieces: u32) -> Vec<u8> {
    let hashes = Sha1::digest([0]).repeat(pieces as usize);
    dictionary([
        ("name", bytes("n")),
        ("length", integer(pieces)),
        ("piece length", integer(1)),
        ("pieces", bytes(hashes)),
    ])
}

#[divan::bench(args = [100, 10_000])]
fn bencode_decode_list_of_files(bencher: Bencher, files: u32) {
    let file = |number: u32| {
        let path = list([bytes("folder"), bytes(format!("file {number}"))]);
        dictionary([("length", integer(number)), ("path", path)])
    };
    let input = list((0..files).map(file));
    bencher.counter(BytesCount::new(input.len())).bench(|| decode(black_box(&input)).is_ok());
}

#[divan::bench(args = [1_000, 1_000_000])]
fn metainfo_of_pieces(bencher: Bencher, pieces: u32) {
    let torrent = dictionary([("info", info(pieces))]);
    bencher
        .counter(BytesCount::new(torrent.len()))
        .bench(|| Metainfo::from_bytes(black_box(&torrent)).is_ok());
}

#[divan::bench(args = [1_000])]
fn messages_read_blocks(bencher: Bencher, count: u32) {
    let block = vec![0; BLOCK_LENGTH as usize];
    let mut stream = Vec::new();
    (0..count)
        .for_each(|index| Message::Piece { index, begin: 0, block: &block }.encode_to(&mut stream));
    bencher.counter(BytesCount::new(stream.len())).bench(|| read_all(&stream, count));
}

#[divan::bench(args = [1_000])]
fn messages_read_haves(bencher: Bencher, count: u32) {
    let mut stream = Vec::new();
    (0..count).for_each(|index| Message::Have { index }.encode_to(&mut stream));
    bencher.counter(ItemsCount::new(count)).bench(|| read_all(&stream, count));
}

fn read_all(mut stream: &[u8], count: u32) -> bool {
    let mut messages = MessageReader::new(&mut stream);
    (0..count).all(|_| messages.read().is_ok())
}

#[divan::bench(args = [1_000])]
fn messages_write_requests(bencher: Bencher, count: u32) {
    bencher.counter(ItemsCount::new(count)).with_inputs(Vec::new).bench_refs(|out| {
        (0..count).for_each(|index| {
            Message::Request(Request { index, begin: 0, length: BLOCK_LENGTH }).encode_to(out)
        });
    });
}

/// A queue, and 200 peers: seeds, or peers with every second piece.
fn queue(pieces: u32, seeds: bool) -> Vec<Claimant> {
    let info = Info::from_bytes(&info(pieces)).expect("the torrent is right");
    let (none, all) = (Bitfield::new(pieces), Bitfield::full(pieces));
    let queue = WorkQueue::new(Arc::new(info), &none, &all);
    (0..200).map(|peer| join(&queue, peer, pieces, seeds)).collect()
}

fn join(queue: &Arc<WorkQueue>, peer: u32, pieces: u32, seed: bool) -> Claimant {
    let mut bits = Bitfield::new(pieces);
    let mixed = |piece: u32| (piece ^ peer.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    (0..pieces).filter(|piece| mixed(*piece) >> 31 == 0).for_each(|piece| {
        bits.set(piece, true);
    });
    let mut share = Claimant::join(queue, peer);
    share.set_pieces(if seed { PeerPieces::All } else { PeerPieces::Some(bits) });
    share
}

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

#[divan::bench(args = SIZES)]
fn queue_claim_and_give_back_from_seeds(bencher: Bencher, pieces: u32) {
    claim_and_give_back(bencher, queue(pieces, true));
}

#[divan::bench(args = SIZES)]
fn queue_claim_and_give_back_from_halves(bencher: Bencher, pieces: u32) {
    claim_and_give_back(bencher, queue(pieces, false));
}

/// A hundred pieces are on loan at any time.
fn claim_and_give_back(bencher: Bencher, mut shares: Vec<Claimant>) {
    let mut turn = 0;
    let mut loans: Vec<Claim> = Vec::new();
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        turn += 1;
        let place = turn % shares.len();
        let claim = shares[place].claim(false);
        if loans.len() < 100 {
            loans.push(claim);
        } else {
            loans[turn % 100] = claim;
        }
    });
}

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

/// The whole torrent, claimed and done piece by piece by 200 seeds.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn queue_claim_and_done_of_all(bencher: Bencher, pieces: u32) {
    bencher
        .counter(ItemsCount::new(pieces))
        .with_inputs(|| queue(pieces, true))
        .bench_local_values(|mut shares| {
            for turn in 0..pieces as usize {
                let place = turn % shares.len();
                if let Claim::Lease(mut lease) = shares[place].claim(false) {
                    black_box(lease.write(0, &[&[0]], &Nowhere).is_ok());
                }
            }
            shares
        });
}

const BLOCK: usize = BLOCK_LENGTH as usize;

/// What each block costs to hash, if the hash is known when this is compiled.
#[divan::bench]
fn block_sha1(bencher: Bencher) {
    let (block, mut hash) = ([0; BLOCK], Sha1::new());
    bencher
        .counter(BytesCount::new(BLOCK))
        .bench_local(|| Digest::update(&mut hash, black_box(&block)));
}

/// The same behind [`PieceHasher`], as a piece of any torrent is hashed.
#[divan::bench]
fn block_piece_hasher(bencher: Bencher) {
    let (block, mut hash) = ([0; BLOCK], black_box(sha1_hasher()));
    bencher.counter(BytesCount::new(BLOCK)).bench_local(|| hash.update(black_box(&block)));
}

/// What a session spends before each read on extensions that may speak by the clock.
#[divan::bench]
fn block_extensions_tick(bencher: Bencher) {
    let mut extensions = Extensions::new(vec![Box::new(DontHave)]);
    let (now, mut out) = (Instant::now(), Vec::new());
    bencher.bench_local(|| extensions.tick(black_box(now), &mut out));
}

/// A wiretap that writes to nobody.
fn tap(form: Form, trace: bool) -> Arc<Tap> {
    let sink = |name: &str, wanted: bool| {
        wanted.then(|| Sink { name: name.to_owned(), out: Box::new(std::io::sink()) })
    };
    Tap::new(sink("the trace", trace), form, sink("the capture", !trace), |_| {})
}

/// Sends blocks through a connection in memory and reads them; `around` may put
/// something around the receiver's end.
fn blocks_over_a_pair(
    bencher: Bencher,
    count: u32,
    around: impl Fn(Transport) -> Transport + Sync,
) {
    let handshake = [&b"\x13BitTorrent protocol"[..], &[0; 48]].concat();
    let mut stream = handshake.clone();
    let block = vec![0; BLOCK_LENGTH as usize];
    (0..count)
        .for_each(|index| Message::Piece { index, begin: 0, block: &block }.encode_to(&mut stream));
    let place = SocketAddr::from(([127, 0, 0, 1], 1));
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let (mut theirs, ours) = pair(stream.len(), place, place);
        let mut ours = around(ours);
        theirs.write_all(&stream).expect("there is room");
        let mut first = [0; 68];
        ours.reader.read_exact(&mut first).expect("it is there");
        let mut messages = MessageReader::new(&mut ours.reader);
        (0..count).all(|_| messages.read().is_ok())
    });
}

/// As the stages are by themselves: nothing is around it, and nobody looks whether there is.
#[divan::bench(args = [100])]
fn transport_no_wiretap(bencher: Bencher, count: u32) {
    blocks_over_a_pair(bencher, count, |transport| transport);
}

/// As a command is that was not asked for a trace: it looks once for each connection.
#[divan::bench(args = [100])]
fn transport_wiretap_off(bencher: Bencher, count: u32) {
    asked_for(bencher, count, None);
}

/// `--trace`
#[divan::bench(args = [100])]
fn transport_wiretap_text(bencher: Bencher, count: u32) {
    asked_for(bencher, count, Some(tap(Form::Text { color: false }, true)));
}

/// `--trace --json`
#[divan::bench(args = [100])]
fn transport_wiretap_json(bencher: Bencher, count: u32) {
    asked_for(bencher, count, Some(tap(Form::Json, true)));
}

/// `--capture`
#[divan::bench(args = [100])]
fn transport_wiretap_capture(bencher: Bencher, count: u32) {
    asked_for(bencher, count, Some(tap(Form::Json, false)));
}

fn asked_for(bencher: Bencher, count: u32, tap: Option<Arc<Tap>>) {
    blocks_over_a_pair(bencher, count, |transport| match black_box(&tap) {
        Some(tap) => tap.transport(transport, "connected"),
        None => transport,
    });
}
