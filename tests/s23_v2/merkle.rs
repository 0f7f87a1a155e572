//! Trees of hashes, by what libtorrent 2.1.1 has for the same bytes.

use piecemeal::s23_v2::merkle::{BLOCK_LENGTH, Hash, Tree, height_of, root_of_layer, zeros};

/// The leaves of some content.
fn leaves(content: &[u8]) -> impl Iterator<Item = Hash> {
    content.chunks(BLOCK_LENGTH).map(Hash::of_block)
}

fn root(content: &[u8]) -> String {
    let mut tree = Tree::new();
    leaves(content).for_each(|leaf| tree.push(leaf));
    tree.root(height_of(content.len() as u64)).to_string()
}

#[test]
fn subtrees_of_zero_leaves_have_the_hashes_that_libtorrent_has() {
    let zero = "00".repeat(32);
    for (height, expected) in [
        (0, zero.as_str()),
        (1, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"),
        (2, "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71"),
        (3, "c78009fdf07fc56a11f122370658a353aaa542ed63e44c4bc15ff4cd105ab33c"),
        (5, "9efde052aa15429fae05bad4d0b1d7c64da64d03d7a1854a588c2cb8430c0d30"),
        (8, "26846476fd5fc54a5d43385167c95144f2643f533cc85bb9d16b782f8d7db193"),
    ] {
        assert_eq!(zeros(height).to_string(), expected, "of height {height}");
        assert_eq!(Tree::new().root(height).to_string(), expected, "no leaf, height {height}");
    }
}

#[test]
fn files_have_the_roots_that_libtorrent_has() {
    let counting: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
    for (content, expected) in [
        (vec![0; 1], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (vec![0; 16_384], "4fe7b59af6de3b665b67788cc2f99892ab827efae3a467342b3bb4e3bc8e5bfe"),
        (vec![0; 16_385], "477e14ff3453ec4ec3855f8753cb07288aade5618a473ccc2ab1208886e460ec"),
        (vec![0; 49_152], "1cb5a249f6e721060aae623d21d3eca23056bda8c19e4e89f9a086151553713d"),
        (counting, "505fc9a922f60ae071450b07256a4ba760612bffc38c27584ed03fd96c69841b"),
    ] {
        assert_eq!(root(&content), expected, "of {} bytes", content.len());
    }
}

#[test]
fn a_piece_layer_has_the_hashes_and_the_root_that_libtorrent_has() {
    let content: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
    let pieces = content.chunks(32_768).map(|piece| {
        let mut tree = Tree::new();
        leaves(piece).for_each(|leaf| tree.push(leaf));
        tree.root(1)
    });
    let layer: Vec<Hash> = pieces.collect();
    let starts: Vec<String> = layer.iter().map(|h| h.to_string()[..8].to_owned()).collect();
    assert_eq!(starts, ["d9e13d0b", "e28097ea", "c6522496", "ef72b5ef"]);
    assert_eq!(
        root_of_layer(&layer, 1, 100_000).to_string(),
        "505fc9a922f60ae071450b07256a4ba760612bffc38c27584ed03fd96c69841b"
    );
}

#[test]
fn a_layer_has_the_same_root_at_every_height_and_for_every_number_of_blocks() {
    // The definition, without the counter: all leaves of the whole tree, level by level.
    fn plain(mut level: Vec<Hash>, height: u32) -> Hash {
        level.resize(1 << height, Hash::ZERO);
        while level.len() > 1 {
            level = level.chunks(2).map(|two| Hash::parent(two[0], two[1])).collect();
        }
        level[0]
    }
    for blocks in 1..=40_usize {
        let file_length = (blocks * BLOCK_LENGTH) as u64;
        let height = height_of(file_length);
        let all: Vec<Hash> = (0..blocks).map(|i| Hash::of_block(&[i as u8])).collect();
        let expected = plain(all.clone(), height);
        for layer_height in 0..=height {
            let pieces = all.chunks(1 << layer_height);
            let layer: Vec<Hash> = pieces
                .map(|piece| {
                    let mut tree = Tree::new();
                    piece.iter().for_each(|&leaf| tree.push(leaf));
                    tree.root(layer_height)
                })
                .collect();
            let found = root_of_layer(&layer, layer_height, file_length);
            assert_eq!(found, expected, "{blocks} blocks, pieces of height {layer_height}");
        }
    }
}

#[test]
fn a_tree_has_the_height_of_its_number_of_blocks_rounded_up() {
    for (length, expected) in
        [(0, 0), (1, 0), (16_384, 0), (16_385, 1), (32_769, 2), (9_830_405, 10), (u64::MAX, 50)]
    {
        assert_eq!(height_of(length), expected, "{length} bytes");
    }
}

#[test]
fn a_tree_with_more_leaves_than_its_height_has_room_for_is_higher() {
    let mut tree = Tree::new();
    let mut three = Tree::new();
    for byte in 0..3 {
        tree.push(Hash::of_block(&[byte]));
        three.push(Hash::of_block(&[byte]));
    }
    assert_eq!(tree.root(0), three.root(2));
}
