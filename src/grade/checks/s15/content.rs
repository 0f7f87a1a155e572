//! Says what is wrong with a file that should hold a torrent's content.

use crate::actors::torrent::Torrent;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::s01_bencode::counted;

/// Insists on all of a torrent's content, and no more.
pub fn is_whole(torrent: &Torrent, found: &[u8]) -> Finding {
    let wrong: Vec<usize> = (0..torrent.pieces())
        .filter(|piece| part(torrent, found, *piece) != torrent.piece(*piece))
        .collect();
    if let Some(first) = wrong.first() {
        let miss = Miss::new(format!(
            "the output has {} of {} pieces wrong; the first is piece {first}",
            wrong.len(),
            torrent.pieces()
        ))
        .instead(
            counted(torrent.content.len() as u64, "byte"),
            counted(found.len() as u64, "byte"),
        );
        return Err(match cause(torrent, found, *first) {
            Some(cause) => miss.likely(cause),
            None => miss,
        });
    }
    ensure(found.len() == torrent.content.len(), || {
        Miss::new("the output is too long: all pieces are right, and more follows")
            .instead(
                counted(torrent.content.len() as u64, "byte"),
                counted(found.len() as u64, "byte"),
            )
            .likely("the last piece is shorter than the others: it has what is left of `length`")
    })
}

/// Returns what the file has at the place of a piece.
fn part<'a>(torrent: &Torrent, found: &'a [u8], piece: usize) -> &'a [u8] {
    let begin = found.len().min(piece * torrent.piece_length);
    let end = found.len().min(begin + torrent.piece(piece).len());
    &found[begin..end]
}

/// Returns the mistake that puts these bytes at the place of a piece.
fn cause(torrent: &Torrent, found: &[u8], piece: usize) -> Option<String> {
    let (expected, part) = (torrent.piece(piece), part(torrent, found, piece));
    if part.len() < expected.len() {
        return Some(if expected.starts_with(part) && found.len().is_multiple_of(16_384) {
            "the last block of the last piece is shorter than 16 KiB: it was left out".to_owned()
        } else {
            "the file was ended before the last piece was written".to_owned()
        });
    }
    if part.iter().all(|byte| *byte == 0) {
        return Some(format!(
            "piece {piece} was never written: the file was made long enough, and the end came \
             before it was there"
        ));
    }
    // A last piece of a few bytes would be found anywhere by chance.
    let start = &expected[..expected.len().min(64)];
    let elsewhere = found.windows(start.len()).position(|bytes| bytes == start);
    if let Some(place) = elsewhere.filter(|_| start.len() >= 16) {
        return Some(format!(
            "piece {piece} is at byte {place} of the file, and not at byte {}: pieces come in any \
             order, and each begins at its index times the piece length",
            piece * torrent.piece_length
        ));
    }
    if part.iter().zip(expected).all(|(found, expected)| *found == !expected) {
        return Some(
            "these are the liar's bytes: a piece counts only when its SHA-1 is right".to_owned(),
        );
    }
    Some("a piece counts only when the SHA-1 of all of it is right".to_owned())
}
