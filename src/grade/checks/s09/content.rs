//! Content that came out wrong: where it differs, and which mistake makes such bytes.

use crate::actors::torrent::Torrent;
use crate::grade::check::Finding;
use crate::grade::miss::Miss;

/// The length of a block.
const BLOCK: usize = 16_384;

/// Insists that these are the bytes of a piece.
pub(super) fn is_piece(torrent: &Torrent, index: usize, found: &[u8]) -> Finding {
    let expected = torrent.piece(index);
    if found == expected {
        return Ok(());
    }
    let other = (0..torrent.pieces()).find(|piece| torrent.piece(*piece) == found);
    let miss = differs("the file", expected, found);
    Err(match other {
        Some(other) => miss.likely(format!("this is piece {other}, and {index} was asked for")),
        None if found == torrent.content => {
            miss.likely("this is all of the torrent, not one piece")
        }
        None => explained(miss, expected, found),
    })
}

/// Insists that these are the bytes of a file that was downloaded.
pub(in crate::grade::checks) fn is(name: &str, expected: &[u8], found: &[u8]) -> Finding {
    if found == expected {
        return Ok(());
    }
    Err(explained(differs(name, expected, found), expected, found))
}

/// Says where they part.
fn differs(name: &str, expected: &[u8], found: &[u8]) -> Miss {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    if expected.len() != found.len() {
        let count = |bytes: &[u8]| format!("{} bytes", bytes.len());
        let miss = Miss::new(format!("{name} has the wrong length"));
        return miss.instead(count(expected), format!("{}, right up to {same}", count(found)));
    }
    let wrong = expected.iter().zip(found).filter(|(a, b)| a != b).count();
    let part = |bytes: &[u8]| {
        hex::encode(bytes.get(same..expected.len().min(same + 16)).unwrap_or_default())
    };
    Miss::new(format!("{name} has {wrong} wrong bytes, the first at {same}"))
        .instead(part(expected), part(found))
}

/// Adds the mistake that makes such bytes.
fn explained(miss: Miss, expected: &[u8], found: &[u8]) -> Miss {
    let sorted = |bytes: &[u8]| {
        let mut blocks: Vec<Vec<u8>> = bytes.chunks(BLOCK).map(<[u8]>::to_vec).collect();
        blocks.sort();
        blocks
    };
    if found.is_empty() {
        return miss.likely("the file was made, and nothing was written to it");
    }
    if found.len() > expected.len() && found.starts_with(expected) {
        return miss.likely(
            "the last piece is shorter than the others: it has what is left of the length",
        );
    }
    if found.len() == expected.len() && sorted(found) == sorted(expected) {
        return miss.likely(
            "the blocks are in the order in which they came: each belongs at its own begin",
        );
    }
    let hole = found.len() == expected.len()
        && expected.iter().zip(found).all(|(expected, found)| expected == found || *found == 0);
    if hole {
        return miss
            .likely("there are zeros where blocks are missing: it was over before all had come");
    }
    miss
}
