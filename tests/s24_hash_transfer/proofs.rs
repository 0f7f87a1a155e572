//! Proofs against trees that are computed the plainest way: every range of small trees, and one of
//! a file of 9 MB, as libtorrent 2.1.1 has it.

use super::super::support::{assert_number, assert_value};
use super::tree::{self, Plain, answer, layers, leaves};
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s24_hash_transfer::message::HashRequest;
use piecemeal::s24_hash_transfer::proof::{
    Impossible, ProofError, check, climb, positions, possible, proved_layer,
};
use piecemeal::s24_hash_transfer::subtree::{self, Subtree};

const CLAUSE: &str = "BEP 52, hash proofs";

fn asked([base_layer, index, length, proof_layers]: [u32; 4], root: Plain) -> HashRequest {
    HashRequest { root: Hash(root), base_layer, index, length, proof_layers }
}

fn hashes(plain: &[Plain]) -> Vec<Hash> {
    plain.iter().copied().map(Hash).collect()
}

/// All requests that make sense in a tree of this height, and so have an answer.
fn sensible(height: u32) -> Vec<[u32; 4]> {
    let mut all = Vec::new();
    for base in 0..height {
        let width = 1 << (height - base);
        let lengths = (1..=height - base).map(|log| 1 << log);
        for length in lengths {
            for index in (0..width).step_by(length as usize) {
                all.extend((0..height - base).map(|proof| [base, index, length, proof]));
            }
        }
    }
    all
}

/// A tree of this many leaves, none of which is like another.
fn of_leaves(count: u8) -> Vec<Vec<Plain>> {
    layers((0..count).map(|number| tree::sha256(&[number])).collect())
}

#[test]
fn every_range_of_every_small_tree_is_answered_and_proved() {
    for count in [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32] {
        let tree = of_leaves(count);
        let (height, root) = (tree.len() as u32 - 1, tree[tree.len() - 1][0]);
        let leaves = hashes(&tree[0][..usize::from(count)]);
        let whole = Subtree::new(0, 0, leaves, height);
        assert_eq!(whole.root(), Some(Hash(root)), "{count} leaves");
        for numbers in sensible(height) {
            let what = format!("{count} leaves, request {numbers:?}");
            let request = asked(numbers, root);
            assert_eq!(possible(&request, height), Ok(()), "{what}");
            let right = hashes(&answer(&tree, numbers));
            let ours = subtree::answer(&request, &[&whole]).expect("all hashes are in the tree");
            assert_value(&what, &ours[..], &right[..], CLAUSE);
            // What follows from them is the hash that the tree has there.
            let (layer, place) =
                (proved_layer(&request), numbers[1] >> (proved_layer(&request) - numbers[0]));
            let above = Hash(tree[layer as usize][place as usize]);
            let led = climb(&request, &right);
            assert_value(
                &format!("{what}: where its hashes lead"),
                led,
                Ok::<_, ProofError>(above),
                CLAUSE,
            );
            assert_eq!(check(&request, &right, above), Ok(()), "{what}");
            if numbers[3] == height - numbers[0] - 1 {
                assert_value(&format!("{what}: the layer proved"), layer, height, CLAUSE);
            }
        }
    }
}

#[test]
fn one_wrong_byte_in_any_hash_is_noticed() {
    let tree = of_leaves(13);
    let root = tree[4][0];
    for numbers in sensible(4).into_iter().filter(|numbers| numbers[3] == 3 - numbers[0]) {
        let request = asked(numbers, root);
        let right = hashes(&answer(&tree, numbers));
        for wrong in 0..right.len() {
            let mut hashes = right.clone();
            hashes[wrong].0[31] ^= 1;
            let found = climb(&request, &hashes).expect("their number is right");
            let error = ProofError::Wrong { expected: Hash(root), found };
            assert_eq!(check(&request, &hashes, Hash(root)), Err(error), "{numbers:?}, {wrong}");
        }
        // Hashes in another order are other hashes.
        let mut swapped = right.clone();
        swapped.swap(0, 1);
        assert_eq!(check(&request, &swapped, Hash(root)).is_ok(), right[0] == right[1]);
    }
}

#[test]
fn an_answer_with_more_or_fewer_hashes_is_refused() {
    let tree = of_leaves(16);
    let request = asked([0, 4, 4, 3], tree[4][0]);
    let right = hashes(&answer(&tree, [0, 4, 4, 3]));
    assert_eq!(right.len(), 6, "four hashes, and the uncles in layers 2 and 3");
    for count in 0..right.len() {
        let error = ProofError::Count { expected: 6, found: count };
        assert_eq!(climb(&request, &right[..count]), Err(error));
    }
    let more = [&right[..], &right[..1]].concat();
    assert_eq!(climb(&request, &more), Err(ProofError::Count { expected: 6, found: 7 }));
    // A request that nobody may make proves nothing.
    for length in [0, 1, 3] {
        let request = HashRequest { length, ..request };
        assert!(climb(&request, &right[..length as usize]).is_err(), "length {length}");
    }
}

#[test]
fn requests_at_and_over_every_limit() {
    let most = u32::MAX;
    let height = 10;
    let rows: &[([u32; 4], Option<Impossible>)] = &[
        ([0, 0, 2, 0], None),
        ([0, 1022, 2, 9], None),
        ([0, 0, 1024, 9], None),
        ([9, 0, 2, 0], None),
        ([0, 0, 0, 0], Some(Impossible::Length { found: 0 })),
        ([0, 0, 1, 0], Some(Impossible::Length { found: 1 })),
        ([0, 0, 3, 0], Some(Impossible::Length { found: 3 })),
        ([0, 0, most, 0], Some(Impossible::Length { found: most })),
        ([0, 0, 2048, 0], Some(Impossible::End { width: 1024, end: 2048 })),
        ([0, 0, 1 << 31, 0], Some(Impossible::End { width: 1024, end: 1 << 31 })),
        ([0, 1024, 2, 0], Some(Impossible::End { width: 1024, end: 1026 })),
        ([0, most - 1, 2, 0], Some(Impossible::End { width: 1024, end: u64::from(most) + 1 })),
        ([0, 1, 2, 0], Some(Impossible::Index { length: 2, found: 1 })),
        ([0, most, 2, 0], Some(Impossible::Index { length: 2, found: most })),
        ([10, 0, 2, 0], Some(Impossible::Layer { height, found: 10 })),
        ([11, 0, 2, 0], Some(Impossible::Layer { height, found: 11 })),
        ([most, 0, 2, 0], Some(Impossible::Layer { height, found: most })),
        ([0, 0, 2, 10], Some(Impossible::Proof { most: 9, found: 10 })),
        ([9, 0, 2, 1], Some(Impossible::Proof { most: 0, found: 1 })),
        ([0, 0, 2, most], Some(Impossible::Proof { most: 9, found: most })),
    ];
    for (numbers, error) in rows {
        let found = &possible(&asked(*numbers, [1; 32]), height).err();
        assert_value(&format!("request {numbers:?}"), found, error, CLAUSE);
    }
    // A file of 64 TiB and more: places that 32 bits can just count, and a root far above them.
    let last = asked([0, most - 1, 2, 35], [1; 32]);
    assert_eq!(possible(&last, 36), Ok(()));
    let places: Vec<_> = positions(&last).collect();
    assert_value("its places", (places[1], places[35]), ((0, most), (34, 1)), CLAUSE);
    assert_eq!(proved_layer(&asked([most; 4], [1; 32])), most);
    // A file of one block has no hash but its root.
    let error = Impossible::Layer { height: 0, found: 0 };
    assert_eq!(possible(&asked([0, 0, 2, 0], [1; 32]), 0), Err(error));
}

#[test]
fn hashes_come_from_the_piece_s_own_subtree_and_from_the_one_above() {
    // Eleven blocks in pieces of four: the upper subtree has three pieces, the last one is short.
    let tree = of_leaves(11);
    let upper = Subtree::new(2, 0, hashes(&tree[2][..3]), 4);
    assert_eq!(upper.root(), Some(Hash(tree[4][0])));
    let lower = |piece: u32, leaves: std::ops::Range<usize>| {
        Subtree::new(0, piece * 4, hashes(&tree[0][leaves]), 2)
    };
    for (piece, leaves) in [(0, 0..4), (1, 4..8), (2, 8..11)] {
        let lower = lower(piece, leaves);
        assert_eq!(lower.root(), Some(Hash(tree[2][piece as usize])), "piece {piece}");
        for numbers in [[0, piece * 4, 4, 3], [0, piece * 4 + 2, 2, 3], [1, piece * 2, 2, 2]] {
            let request = asked(numbers, tree[4][0]);
            let ours = subtree::answer(&request, &[&lower, &upper]).expect("the two have all");
            assert_value(
                &format!("{numbers:?}"),
                &ours[..],
                &hashes(&answer(&tree, numbers))[..],
                CLAUSE,
            );
            assert_eq!(subtree::answer(&request, &[&upper]), None, "leaves are not above");
        }
        let other = asked([0, (piece + 1) % 3 * 4, 4, 3], tree[4][0]);
        assert_eq!(subtree::answer(&other, &[&lower, &upper]), None, "leaves of another piece");
    }
    assert_eq!(upper.at(2, 3), Some(Hash(tree[2][3])), "beyond the end, inside the tree");
    assert_eq!([upper.at(2, 4), upper.at(4, 1), upper.at(5, 0), upper.at(1, 0)], [None; 4]);
}

#[test]
fn the_last_128_of_601_hashes_are_proved_by_three_uncles() {
    let root = hex::decode("8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45");
    let root: Plain = root.expect("hex").try_into().expect("32 bytes");
    let leaves = leaves(&tree::file(9_830_405));
    let tree = layers(leaves.clone());
    assert_value("root by libtorrent 2.1.1", tree[10][0], root, CLAUSE);
    let numbers = [0, 512, 128, 9];
    let request = asked(numbers, root);
    let ours = Subtree::new(0, 0, hashes(&leaves), 10);
    let sent = subtree::answer(&request, &[&ours]).expect("all are in the tree");
    assert_number("hashes in the answer", sent.len(), 131, CLAUSE, &[]);
    assert_value("the answer", &sent[..], &hashes(&answer(&tree, numbers))[..], CLAUSE);
    // The file ends at hash 601; the rest of the range is zeros, as leaves that are not there.
    assert_value("the hashes beyond the end", &sent[601 - 512..128], [Hash::ZERO; 39], CLAUSE);
    let uncles: Vec<_> = positions(&request).skip(128).collect();
    assert_value("uncles: layer and place", &uncles[..], [(7, 5), (8, 3), (9, 0)], CLAUSE);
    assert_eq!(check(&request, &sent, Hash(root)), Ok(()));
}
