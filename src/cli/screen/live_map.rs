//! Draws the pieces of a running download as a map. (stage 15)

use std::ops::Range;

use piecemeal::s11_work_queue::{PeerNumber, Places};

use super::piece_map::{self, grid};

/// The most rows of the map.
const ROWS: usize = 16;

/// Returns rows of characters and a line that explains them, in at most `width` columns and
/// `height` lines. `letter` returns the letter of a peer.
pub fn lines(
    places: &Places,
    letter: &dyn Fn(PeerNumber) -> char,
    width: usize,
    height: usize,
) -> Vec<String> {
    let rows = height.saturating_sub(1).min(ROWS);
    if rows == 0 {
        return Vec::new();
    }
    let (mut lines, each) = grid(places.pieces, width, rows, |pieces| cell(places, letter, pieces));
    let (done, on_loan) = (places.done.count() as usize, places.on_loan.len());
    let missing = places.pieces as usize - done - on_loan;
    let counts = [
        (true, "#", done, "verified"),
        (true, ".", missing, "missing"),
        (missing + on_loan > 0, "a-z", on_loan, "on loan"),
        (!places.bad.is_empty(), "!", places.bad.len(), "bad"),
    ];
    let counts = counts.into_iter().filter(|(there, ..)| *there);
    // Every number is padded to the widest one possible, so that no word moves.
    let digits = places.pieces.to_string().len();
    let mut long: Vec<String> = counts
        .clone()
        .map(|(_, sign, count, word)| format!("{sign} {count:>digits$} {word}"))
        .collect();
    let short: Vec<String> = counts.map(|(_, sign, count, _)| format!("{sign} {count}")).collect();
    if each > 1 {
        long.insert(1, format!("+ some of {each}"));
    }
    let legend = [long.join("  "), short.join(" ")];
    lines.push(legend.into_iter().find(|legend| legend.len() <= width).unwrap_or_default());
    lines
}

/// Returns the character for some pieces. What deserves attention wins: a bad piece, then
/// one that is being fetched.
fn cell(places: &Places, letter: &dyn Fn(PeerNumber) -> char, pieces: Range<u32>) -> char {
    let first_bad = places.bad.partition_point(|piece| piece.get() < pieces.start);
    if places.bad.get(first_bad).is_some_and(|piece| pieces.contains(&piece.get())) {
        return '!';
    }
    let first_loan = places.on_loan.partition_point(|(piece, _)| piece.get() < pieces.start);
    if let Some((_, holders)) =
        places.on_loan.get(first_loan).filter(|(piece, _)| pieces.contains(&piece.get()))
    {
        return holders.first().map_or('*', |peer| letter(*peer));
    }
    piece_map::cell(&places.done, pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use piecemeal::s02_metainfo::{Info, Metainfo};
    use piecemeal::s05_messages::bitfield::Bitfield;

    /// Returns a torrent of this many pieces, a byte each.
    fn info(pieces: usize) -> Info {
        let hashes = vec![b'h'; pieces * 20];
        let head = format!(
            "d4:infod6:lengthi{pieces}e4:name1:t12:piece lengthi1e6:pieces{}:",
            hashes.len()
        );
        Metainfo::from_bytes(&[head.as_bytes(), &hashes, b"ee"].concat())
            .expect("it is a torrent")
            .info
    }

    fn places(pieces: u32, done: &[u32], on_loan: &[(u32, u32)], bad: &[u32]) -> Places {
        let info = info(pieces as usize);
        let piece = |index: u32| info.piece(index).expect("the test names pieces that exist");
        let mut bits = Bitfield::new(pieces);
        for index in done {
            bits.set(*index, true);
        }
        let on_loan = on_loan.iter().map(|(index, peer)| (piece(*index), vec![*peer])).collect();
        Places { pieces, done: bits, on_loan, bad: bad.iter().map(|index| piece(*index)).collect() }
    }

    fn drawn(places: &Places, width: usize, height: usize) -> Vec<String> {
        lines(places, &|peer| char::from(b'a' + peer as u8), width, height)
    }

    #[test]
    fn each_piece_is_a_character() {
        let places = places(20, &[0, 1, 2, 7, 19], &[(3, 0), (4, 1), (6, 25)], &[5, 6, 19]);
        let expected =
            ["0  ###ab!!#...........!", "#  5 verified  . 12 missing  a-z  3 on loan  !  3 bad"];
        assert_eq!(drawn(&places, 79, 24), expected);
    }

    #[test]
    fn rows_say_with_which_piece_they_begin() {
        let done: Vec<u32> = (0..33).collect();
        let places = places(70, &done, &[(33, 2)], &[]);
        let expected = [
            " 0  ################",
            "16  ################",
            "32  #c..............",
            "48  ................",
            "64  ......",
            "# 33 . 36 a-z 1",
        ];
        assert_eq!(drawn(&places, 20, 24), expected);
    }

    #[test]
    fn many_pieces_share_a_character() {
        let done: Vec<u32> = (0..1000).collect();
        let places = places(4000, &done, &[(2000, 3)], &[3999]);
        let expected = [
            "   0  ##############################################################+.",
            "1024  .............................................................d..",
            "2048  ................................................................",
            "3072  .........................................................!",
            "# 1000 verified  + some of 16  . 2999 missing  a-z    1 on loan  !    1 bad",
        ];
        assert_eq!(drawn(&places, 79, 5), expected);
    }

    #[test]
    fn a_map_fits_whatever_room_there_is() {
        let places = places(300, &[7], &[(8, 0)], &[9]);
        for (width, height) in (0..90).flat_map(|width| (0..24).map(move |height| (width, height)))
        {
            let lines = drawn(&places, width, height);
            assert!(
                lines.len() <= height && lines.iter().all(|line| line.len() <= width),
                "{width}x{height}: {lines:#?}"
            );
        }
    }
}
