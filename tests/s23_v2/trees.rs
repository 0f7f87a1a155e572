//! Trees of hashes, from the leaves up. The hashes are from `sha256sum`, as chapter 23 computes
//! them, and from libtorrent.

use crate::support::{assert_chosen, assert_number, assert_value};
use piecemeal::s23_v2::merkle::{BLOCK_LENGTH, Hash, Tree, height_of, root_of_layer, zeros};

const CLAUSE: &str = "BEP 52, trees of hashes";

/// Of the five blocks of `seq 20000 | head -c 70000`.
const LEAVES: [&str; 5] = [
    "3e3919efec61528963cb268b48bf26d7704350951b0433a6a49578d5e019a356",
    "8ebb94d5c1ecb2e9c8c4b62f8f8302a24c8f5f1ec74120f28c2990c610cbfc9f",
    "ba48bffcb65b171c8aa968e52c0658a9dab05b1eea8eaae1a372540733f2f863",
    "022325e8410ee10b9ae7b2976da457ff422bdc31d255d0cdc5186036c10f09f6",
    "c2423d184835b433a378b2f1abad395dfd5f763652ac4a8b9d20a43d42a27f8b",
];
/// Of its pieces of 32 KiB.
const PIECES: [&str; 3] = [
    "2dc75d6d6cc9ec3a9f07c93c86527bf1a36087b2faeede92cc79cde621a3b918",
    "8491da2b5b6ef66596dc31e52aeaf5e2a0881c88dd0252da5e331267365b2d30",
    "509b280c99cdd77327c5110de15ae88bcda8f9129e34e6d6a12e98493f290bfe",
];
const ROOT: &str = "8f346920c489241f583500a5d0a8f1632a46f8bda4932012a5e5cc01228c7484";

fn hash(digits: &str) -> Hash {
    Hash(hex::decode(digits).expect("hex").try_into().expect("32 bytes"))
}

/// A tree over the first of these leaves.
fn tree(leaves: &[&str]) -> Tree {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.push(hash(leaf)));
    tree
}

#[track_caller]
fn is(what: &str, found: Hash, expected: &str) {
    assert_value(what, found, hash(expected), CLAUSE);
}

#[test]
fn a_block_is_hashed_as_short_as_it_is() {
    let text: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let blocks = text.as_bytes()[..70_000].chunks(BLOCK_LENGTH);
    for (number, (block, leaf)) in blocks.zip(LEAVES).enumerate() {
        is(&format!("leaf {number}, of {} bytes", block.len()), Hash::of_block(block), leaf);
    }
    let zero = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    is("the leaf of one zero byte", Hash::of_block(&[0]), zero);
    let zeros = "4fe7b59af6de3b665b67788cc2f99892ab827efae3a467342b3bb4e3bc8e5bfe";
    is("the leaf of 16 KiB of zeros", Hash::of_block(&[0; BLOCK_LENGTH]), zeros);
}

#[test]
fn a_parent_is_the_hash_of_both_children_the_left_one_first() {
    let [a, b, c, d, _] = LEAVES.map(hash);
    is("the parent of leaves 0 and 1", Hash::parent(a, b), PIECES[0]);
    is("the parent of leaves 2 and 3", Hash::parent(c, d), PIECES[1]);
}

#[test]
fn a_missing_leaf_is_zero_and_not_the_hash_of_zeros() {
    let expected = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b",
        "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71",
        "c78009fdf07fc56a11f122370658a353aaa542ed63e44c4bc15ff4cd105ab33c",
    ];
    for (height, expected) in (0..).zip(expected) {
        is(&format!("the hash over {} missing leaves", 1 << height), zeros(height), expected);
    }
    is("the hash over leaf 4 and a missing one", tree(&LEAVES[4..]).root(1), PIECES[2]);
    is("the root of five leaves", tree(&LEAVES).root(3), ROOT);
}

#[test]
fn a_tree_has_the_same_root_whether_it_was_filled_up_by_hand_or_not() {
    for count in 0..=5 {
        let mut by_hand = tree(&LEAVES[..count]);
        (count..8).for_each(|_| by_hand.push(Hash::ZERO));
        let what = format!("the root of {count} leaves of 8");
        assert_value(&what, tree(&LEAVES[..count]).root(3), by_hand.root(3), CLAUSE);
    }
}

#[test]
fn a_piece_layer_leads_to_the_root() {
    let layer = PIECES.map(hash);
    is("the root over three pieces of two blocks", root_of_layer(&layer, 1, 70_000), ROOT);
    let leaves = LEAVES.map(hash);
    is("the root over five pieces of one block", root_of_layer(&leaves, 0, 70_000), ROOT);
    let swapped = [layer[1], layer[0], layer[2]];
    let found = root_of_layer(&swapped, 1, 70_000) == hash(ROOT);
    let why = "the order of the pieces is a part of what the root stands for";
    assert_chosen("the same root for pieces in another order", found, false, why, CLAUSE);
}

#[test]
fn a_tree_is_as_high_as_its_blocks_need() {
    for (length, height) in [(1, 0), (16_384, 0), (16_385, 1), (49_152, 2), (70_000, 3)] {
        let what = format!("the height of a tree over {length} bytes");
        assert_number(&what, height_of(length), height, CLAUSE, &[]);
    }
}
