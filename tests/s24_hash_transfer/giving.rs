//! What a peer gets that asks for hashes: requests at and over every limit, one by one and by the
//! thousand.

use super::super::support::{assert_number, assert_value};
use super::memory::{Memory, queue_of};
use super::torrents::V2;
use super::tree::{Plain, request};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s05_messages::Message;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s10_storage::Store;
use piecemeal::s12_session::host::Torrent;
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s23_v2::trees;
use piecemeal::s23_v2::trees::Trees;
use piecemeal::s24_hash_transfer::{HashTransfer, Hashes};
use std::sync::Arc;

pub const CLAUSE: &str = "BEP 52, hash proofs";

/// A torrent of which we have these pieces, and the hashes of all if `layer` says so.
fn ours(v2: &V2, have: impl IntoIterator<Item = u32>, layer: bool) -> (Arc<Hashes>, Arc<Memory>) {
    let info = v2.info();
    if layer {
        let trees = trees(&info).expect("it is of version 2");
        if trees.is_incomplete() {
            let pieces = v2.torrent.pieces();
            let layer = v2.tree[v2.piece_layer as usize][..pieces].iter().copied().map(Hash);
            trees.learn(Hash(v2.root()), layer.collect()).expect("it is right");
        }
    }
    let store = Memory::of(&v2.torrent);
    store.write(0, &v2.torrent.content).expect("there is room");
    let known = Arc::new(info.clone());
    let torrent = Arc::new(Torrent {
        queue: queue_of(info, have),
        store: Arc::clone(&store) as Arc<dyn Store>,
        upload_only: false,
    });
    let hashes = Hashes::new(move || Some(Arc::clone(&known)), move || Some(Arc::clone(&torrent)));
    (hashes, store)
}

/// A torrent of which we have no piece, but all hashes.
pub fn ours_without_content(v2: &V2) -> (Arc<Hashes>, Arc<Trees>) {
    let known = Arc::new(v2.info());
    let trees = Arc::clone(trees(&known).expect("it is of version 2"));
    let layer = v2.tree[v2.piece_layer as usize][..v2.pieces].iter().copied().map(Hash);
    trees.learn(Hash(v2.root()), layer.collect()).expect("it is right");
    (Hashes::new(move || Some(Arc::clone(&known)), || None), trees)
}

/// A peer that goes by the name of version 2.
fn peer(v2: &V2, hashes: &Arc<Hashes>) -> HashTransfer {
    HashTransfer::new(Arc::clone(hashes), InfoHash(v2.torrent.info_hash))
}

/// What we say to a request: the message's id, and its payload.
fn answer(peer: &mut HashTransfer, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut reply = Reply::default();
    let taken = peer.plain(&Message::Unknown { id: 21, payload }, &mut reply);
    assert!(matches!(taken, Ok(true)), "a request never ends a connection: {taken:?}");
    let (length, message) = reply.plain.split_first_chunk().expect("there is an answer");
    assert_eq!(u32::from_be_bytes(*length) as usize, message.len(), "one answer, and no more");
    (message[0], message[1..].to_vec())
}

#[track_caller]
fn assert_given(v2: &V2, peer: &mut HashTransfer, numbers: [u32; 4]) {
    let asked = request(v2.root(), numbers);
    let (id, payload) = answer(peer, &asked);
    assert_value(&format!("id of the answer to {numbers:?}"), id, 22, CLAUSE);
    assert_value(&format!("the answer to {numbers:?}"), payload, v2.answer(&asked), CLAUSE);
}

#[track_caller]
fn assert_rejected(root: Plain, peer: &mut HashTransfer, numbers: [u32; 4]) {
    let asked = request(root, numbers);
    let (id, payload) = answer(peer, &asked);
    assert_value(&format!("id of the answer to {numbers:?}"), id, 23, CLAUSE);
    assert_value(&format!("the reject of {numbers:?}"), payload, asked, CLAUSE);
}

#[test]
fn the_piece_layer_and_all_above_it_are_given_whatever_pieces_we_have() {
    // 11 pieces of four blocks, the last one of a block and a byte: a tree of 64 leaves.
    let v2 = V2::new(65_536, 10 * 65_536 + 16_385);
    let (hashes, store) = ours(&v2, [], true);
    let mut peer = peer(&v2, &hashes);
    for numbers in [
        [2, 0, 16, 3],
        [2, 0, 2, 3],
        [2, 8, 8, 0],
        [2, 12, 4, 1], // beyond the end of the file
        [3, 4, 4, 2],
        [5, 0, 2, 0],
    ] {
        assert_given(&v2, &mut peer, numbers);
    }
    assert_number("bytes read from disk", store.bytes_read(), 0, CLAUSE, &[]);
}

#[test]
fn hashes_of_blocks_are_given_of_pieces_that_we_have_and_read_once() {
    let v2 = V2::new(65_536, 10 * 65_536 + 16_385);
    let (hashes, store) = ours(&v2, [3, 10], true);
    let mut peer = peer(&v2, &hashes);
    assert_given(&v2, &mut peer, [0, 12, 4, 5]);
    assert_given(&v2, &mut peer, [0, 14, 2, 1]);
    assert_given(&v2, &mut peer, [1, 6, 2, 4]);
    assert_number("bytes read for three requests", store.bytes_read(), 65_536, CLAUSE, &[]);
    // The last piece is a block and a byte, and the rest of its leaves are zeros.
    assert_given(&v2, &mut peer, [0, 40, 4, 5]);
    assert_number("bytes read in all", store.bytes_read(), 65_536 + 16_385, CLAUSE, &[]);
    for piece in [0, 2, 4, 9] {
        assert_rejected(v2.root(), &mut peer, [0, piece * 4, 4, 5]);
    }
    assert_rejected(v2.root(), &mut peer, [0, 44, 4, 5]); // a piece beyond the end
    assert_rejected(v2.root(), &mut peer, [0, 8, 8, 5]); // two pieces
}

#[test]
fn a_file_shorter_than_a_piece_is_a_tree_of_its_own_height() {
    // Five blocks in pieces of 64: eight leaves, and no piece layer.
    let v2 = V2::new(1 << 20, 70_000);
    let (hashes, _) = ours(&v2, [0], true);
    let mut peer = peer(&v2, &hashes);
    assert_given(&v2, &mut peer, [0, 0, 8, 2]);
    assert_given(&v2, &mut peer, [0, 4, 4, 2]);
    assert_given(&v2, &mut peer, [2, 0, 2, 0]);
    assert_rejected(v2.root(), &mut peer, [6, 0, 2, 0]);
    // A file of one block has no hash but its root.
    let one = V2::new(16_384, 16_384);
    let (hashes, _) = ours(&one, [0], true);
    assert_rejected(one.root(), &mut self::peer(&one, &hashes), [0, 0, 2, 0]);
}

#[test]
fn requests_over_a_limit_are_rejected_and_the_connection_stays() {
    let v2 = V2::new(16_384, 1_200 * 16_384);
    let (hashes, store) = ours(&v2, 0..1_200, true);
    let mut peer = peer(&v2, &hashes);
    let most = u32::MAX;
    for numbers in [
        [0, 0, 0, 0],
        [0, 0, 1, 10],
        [0, 0, 3, 0],
        [0, 0, 1024, 10], // BEP 52: "should not exceed 512"
        [0, 0, 2048, 0],
        [0, 0, 1 << 31, 0],
        [0, 1, 2, 0],
        [0, 2048, 2, 0],
        [0, most - 1, 2, 0],
        [11, 0, 2, 0],
        [most, 0, 2, 0],
        [0, 0, 2, 11],
        [0, 0, 2, most],
        [most; 4],
    ] {
        assert_rejected(v2.root(), &mut peer, numbers);
    }
    assert_rejected([7; 32], &mut peer, [0, 0, 512, 10]); // a root that nobody knows
    assert_rejected([0; 32], &mut peer, [0, 0, 512, 10]);
    assert_given(&v2, &mut peer, [0, 512, 512, 10]);
    assert_number("bytes read from disk", store.bytes_read(), 0, CLAUSE, &[]);
}

#[test]
fn hashes_that_we_do_not_know_are_rejected() {
    let v2 = V2::new(16_384, 9 * 16_384);
    // The layer is still missing.
    let (hashes, _) = ours(&v2, [], false);
    assert_rejected(v2.root(), &mut peer(&v2, &hashes), [0, 0, 8, 3]);
    // Not even the info dictionary is known.
    let hashes = Hashes::new(|| None, || None);
    assert_rejected(v2.root(), &mut peer(&v2, &hashes), [0, 0, 8, 3]);
}

#[test]
fn on_a_connection_by_the_sha1_nobody_gets_hashes() {
    let v2 = V2::hybrid(16_384, 9 * 16_384);
    let (hashes, _) = ours(&v2, 0..9, true);
    let mut by_sha1 = HashTransfer::new(Arc::clone(&hashes), InfoHash(v2.sha1));
    assert_rejected(v2.root(), &mut by_sha1, [0, 0, 8, 3]);
    assert_given(&v2, &mut peer(&v2, &hashes), [0, 0, 8, 3]);
}

#[test]
fn a_piece_that_was_changed_on_disk_is_not_hashed_for_anybody() {
    let v2 = V2::new(32_768, 5 * 32_768);
    let (hashes, store) = ours(&v2, 0..5, true);
    store.write(2 * 32_768 + 20_000, b"changed").expect("there is room");
    let mut peer = peer(&v2, &hashes);
    assert_rejected(v2.root(), &mut peer, [0, 4, 2, 3]);
    assert_given(&v2, &mut peer, [0, 6, 2, 3]);
}

#[test]
fn a_thousand_requests_have_a_thousand_answers_and_a_flood_ends_in_rejects() {
    let v2 = V2::new(32_768, 600 * 32_768);
    let (hashes, _) = ours(&v2, 0..600, true);
    let mut flood = peer(&v2, &hashes);
    for number in 0..1_000 {
        assert_given(&v2, &mut flood, [1, 598 - number % 300 * 2, 2, 0]);
    }
    // All of the layers four times, as long as twice 600 hashes, and 65,536 hashes beside.
    let left = 4 * 2 * 600 + 65_536 - 1_000 * 2;
    let asked = request(v2.root(), [1, 0, 512, 9]);
    let given = (0..10_000).filter(|_| answer(&mut flood, &asked).0 == 22).count();
    assert_number("answers of 513 hashes", given, left / 513, CLAUSE, &[]);
    // Another one gets its own.
    assert_given(&v2, &mut peer(&v2, &hashes), [1, 0, 512, 9]);
}

#[test]
fn hashes_of_every_layer_are_right_in_a_file_of_more_than_512_pieces() {
    // 13 layers above the pieces, of which the upper ones are kept, and the others are not.
    let v2 = V2::without_content(5_000);
    let (hashes, _) = ours_without_content(&v2);
    let mut peer = peer(&v2, &hashes);
    for base in 0..13 {
        let width = 1 << (13 - base);
        for length in [2, 8, 512].map(|length: u32| length.min(width)) {
            for index in [0, width / 2, width / 8 * 5, width - 1] {
                let index = index / length * length;
                assert_given(&v2, &mut peer, [base, index, length, 12 - base]);
            }
        }
    }
}

#[test]
fn a_request_of_a_wrong_size_ends_the_connection() {
    let v2 = V2::new(16_384, 9 * 16_384);
    let (hashes, _) = ours(&v2, [], true);
    for size in (0..60).filter(|size| *size != 48) {
        let payload = vec![0; size];
        for id in [21, 22, 23] {
            let heard = peer(&v2, &hashes)
                .plain(&Message::Unknown { id, payload: &payload }, &mut Reply::default());
            assert!(heard.is_err(), "message {id} of {size} bytes");
        }
    }
    for id in [18, 19, 20, 24, 255] {
        let heard =
            peer(&v2, &hashes).plain(&Message::Unknown { id, payload: &[] }, &mut Reply::default());
        assert!(matches!(heard, Ok(false)), "message {id} is for others");
    }
}

#[test]
fn in_a_torrent_of_version_1_these_ids_mean_nothing() {
    let info = Arc::new(super::memory::of_bytes(3));
    let hashes = Hashes::new(move || Some(Arc::clone(&info)), || None);
    let mut peer = HashTransfer::new(hashes, InfoHash([1; 20]));
    for id in [21, 22, 23] {
        let mut reply = Reply::default();
        let heard = peer.plain(&Message::Unknown { id, payload: b"whatever" }, &mut reply);
        assert!(matches!(heard, Ok(false)), "message {id}");
        assert_eq!(reply, Reply::default());
    }
}
