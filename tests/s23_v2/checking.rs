//! Pieces and their hashes.

use super::super::support::bencode::{bytes, dict};
use super::super::support::{assert_chosen, assert_value};
use super::made::{BLOCK, Made};
use super::reading::read;
use piecemeal::s02_metainfo::piece_check::Judgment;
use piecemeal::s02_metainfo::{Info, PieceIndex};
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s23_v2::{info_from_bytes, trees};

const CLAUSE: &str = "BEP 52, hybrid torrents";

/// Two blocks in a piece; files that are shorter than a block, than a piece, and longer.
pub fn made() -> Made {
    Made::folder(
        2 * BLOCK,
        &[("a", 5 * BLOCK + 7), ("b", 0), ("c/d", 100), ("c/e", 2 * BLOCK), ("f", BLOCK + 1)],
    )
}

/// The bytes of a piece.
pub fn piece_of<'r>(info: &Info, row: &'r [u8], piece: PieceIndex) -> &'r [u8] {
    let begin = info.piece_offset(piece) as usize;
    &row[begin..begin + info.piece_size(piece) as usize]
}

/// Hashes some bytes as this piece, so many blocks at a time.
fn judge(info: &Info, piece: PieceIndex, data: &[u8], blocks: usize) -> Judgment {
    let mut hasher = info.check.begin(piece);
    data.chunks(blocks * BLOCK).for_each(|blocks| hasher.update(blocks));
    info.check.judge(piece, &hasher.finish())
}

#[test]
fn a_piece_is_right_if_its_tree_is() {
    let made = made();
    for info in [made.v2_info(), made.hybrid_info()] {
        let (info, row) = (read(&made.file(&info)), made.row());
        assert_eq!(info.piece_count(), 6);
        for piece in info.pieces() {
            let data = piece_of(&info, &row, piece);
            for blocks in [1, 2, 16] {
                assert_eq!(judge(&info, piece, data, blocks), Judgment::Right, "piece {piece}");
            }
            for byte in [0, data.len() / 2, data.len() - 1] {
                let mut wrong = data.to_vec();
                wrong[byte] ^= 1;
                // Unless it is padding, which the tree of a hybrid does not cover.
                assert_eq!(
                    judge(&info, piece, &wrong, 1),
                    Judgment::Wrong,
                    "piece {piece}, {byte}"
                );
            }
            // A hybrid's may end with padding. But a piece that is cut short is never hashed.
            if info.names.all().count() == 1 {
                assert_eq!(judge(&info, piece, &data[..data.len() - 1], 1), Judgment::Wrong);
            }
            let other = info.piece((piece.get() + 1) % 6).expect("it is one of them");
            assert_eq!(judge(&info, other, data, 1), Judgment::Wrong, "another piece's bytes");
        }
    }
}

#[test]
fn several_pieces_in_progress_do_not_mix() {
    let made = made();
    let (info, row) = (read(&made.file(&made.v2_info())), made.row());
    let mut hashers: Vec<_> = info.pieces().map(|piece| (piece, info.check.begin(piece))).collect();
    for block in 0..2 {
        for (piece, hasher) in &mut hashers {
            let block = piece_of(&info, &row, *piece).chunks(BLOCK).nth(block).unwrap_or_default();
            hasher.update(block);
        }
    }
    for (piece, mut hasher) in hashers {
        assert_eq!(hasher.finish(), info.piece_hash(piece), "piece {piece}");
    }
}

#[test]
fn a_piece_whose_hash_is_not_known_is_never_right() {
    let made = made();
    let info = info_from_bytes(&made.v2_info()).expect("it is right");
    let row = made.row();
    let verdicts: Vec<Judgment> =
        info.pieces().map(|piece| judge(&info, piece, piece_of(&info, &row, piece), 1)).collect();
    let (right, wrong) = (Judgment::Right, Judgment::Wrong);
    assert_eq!(verdicts, [wrong, wrong, wrong, right, right, right], "a has three pieces");
    assert!(info.piece_hash(info.piece(0).expect("it is one")).is_empty());
    let mut nothing = info.check.begin(info.piece(0).expect("it is one"));
    assert_eq!(info.check.judge(info.piece(0).expect("it is one"), &nothing.finish()), wrong);
}

#[test]
fn a_hybrid_whose_layers_are_not_known_is_checked_as_version_1() {
    let made = made();
    let (info, row) = (info_from_bytes(&made.hybrid_info()).expect("it is right"), made.row());
    let piece = info.piece(0).expect("it is one");
    let data = piece_of(&info, &row, piece);
    assert!(info.is_whole(), "nothing is missing to check it");
    assert_eq!(judge(&info, piece, data, 1), Judgment::Right);
    let mut wrong = data.to_vec();
    wrong[9] ^= 1;
    assert_eq!(judge(&info, piece, &wrong, 1), Judgment::Wrong);
    // The layer comes while a piece is being hashed.
    let mut hasher = info.check.begin(piece);
    let trees = trees(&info).expect("it has trees");
    for (root, hashes) in made.layers() {
        trees
            .learn(Hash(root), hashes.as_chunks().0.iter().copied().map(Hash).collect())
            .expect("right");
    }
    hasher.update(data);
    assert_eq!(info.check.judge(piece, &hasher.finish()), Judgment::Right);
    assert_eq!(judge(&info, piece, data, 1), Judgment::Right);
}

/// A hybrid whose halves have other hashes: those of version 1 are of this row.
pub fn contradictory(made: &Made, row: &[u8]) -> Vec<u8> {
    made.hybrid_with(made.list(), row)
}

#[test]
fn a_hybrid_with_one_right_hash_contradicts_itself() {
    let made = made();
    let mut other = made.row();
    other[3 * BLOCK] ^= 1; // in piece 1
    let info = read(&made.file(&contradictory(&made, &other)));
    let (piece, row) = (info.piece(1).expect("it is one"), made.row());
    let (v2, v1) = (piece_of(&info, &row, piece), piece_of(&info, &other, piece));
    for (data, right) in [(v2, "only the tree is right"), (v1, "only the SHA-1 is right")] {
        let what = format!("piece 1 of a hybrid, of which {right}");
        assert_value(&what, judge(&info, piece, data, 1), Judgment::Contradiction, CLAUSE);
    }
    let mut wrong = v1.to_vec();
    wrong[1] ^= 1;
    assert_eq!(judge(&info, piece, &wrong, 1), Judgment::Wrong, "neither is");
    let first = info.piece(0).expect("it is one");
    assert_eq!(judge(&info, first, piece_of(&info, &row, first), 1), Judgment::Right);
}

#[test]
fn padding_that_is_not_zeros_is_a_lie_and_no_contradiction() {
    let made = made();
    let (info, row) = (read(&made.file(&made.hybrid_info())), made.row());
    // Piece 3 is the file of 100 bytes, and padding.
    for (piece, byte) in [(3, 100), (3, BLOCK), (3, 2 * BLOCK - 1), (2, BLOCK + 7)] {
        let piece = info.piece(piece).expect("it is one");
        let mut data = piece_of(&info, &row, piece).to_vec();
        assert_eq!((data.len(), data[byte]), (2 * BLOCK, 0), "it is padding");
        data[byte] = 1;
        for blocks in [1, 2] {
            let what = format!("piece {piece} of a hybrid, with a 1 at byte {byte} of its padding");
            let why = "a peer that makes up padding must not end the download";
            assert_chosen(&what, judge(&info, piece, &data, blocks), Judgment::Wrong, why, CLAUSE);
        }
    }
}

#[test]
fn a_hash_of_another_length_is_wrong() {
    let made = made();
    for file in [made.v2_info(), made.hybrid_info()] {
        let info = read(&made.file(&file));
        let piece = info.piece(0).expect("it is one");
        for length in [0, 1, 19, 20, 21, 31, 32, 33, 51, 52, 53] {
            let found = vec![7; length];
            assert_eq!(info.check.judge(piece, &found), Judgment::Wrong, "{length} bytes");
        }
    }
    // The SHA-1 alone does not stand in for both.
    let info = dict(&[("info", bytes("not a dictionary"))]);
    assert!(piecemeal::s23_v2::from_bytes(&info).is_err());
}
