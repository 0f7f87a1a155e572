//! A map of pieces: a character for each, or for several. (stage 10)

use std::ops::Range;

use piecemeal::s05_messages::bitfield::Bitfield;

/// The assumed width of a screen, and the rows of the map that fit on it above the other lines.
const SCREEN: (usize, usize) = (80, 16);

/// Returns rows of characters, each after the number of its first piece, in at most
/// `columns` and `rows`; and the number of pieces for which a character stands.
pub fn grid(
    all: u32,
    columns: usize,
    rows: usize,
    cell: impl Fn(Range<u32>) -> char,
) -> (Vec<String>, u32) {
    let width = all.saturating_sub(1).to_string().len();
    // Groups of eight are easier to count. Longer rows are harder, but show more of many pieces.
    let row = match columns.saturating_sub(width + 2) as u32 {
        128.. if all > 64 * rows as u32 => 128,
        64.. => 64,
        room @ 8.. => room / 8 * 8,
        room => room,
    };
    if row == 0 || rows == 0 {
        return (Vec::new(), 1);
    }
    let each = all.div_ceil(row * rows as u32).max(1);
    let starts: Vec<u32> = (0..all).step_by((row * each) as usize).collect();
    let width = starts.last().map_or(0, |last| last.to_string().len());
    let line = |start: &u32| {
        let cells = (*start..all.min(start + row * each)).step_by(each as usize);
        let cells: String = cells.map(|first| cell(first..all.min(first + each))).collect();
        format!("{start:>width$}  {cells}")
    };
    (starts.iter().map(line).collect(), each)
}

/// Returns the map of right pieces. If they do not all fit, a character stands for several.
pub fn map(right: &Bitfield, all: u32) -> Vec<String> {
    let (mut lines, each) = grid(all, SCREEN.0, SCREEN.1, |pieces| cell(right, pieces));
    if each > 1 {
        lines.push(format!("A character is {each} pieces: # all are right, + some, . none."));
    }
    lines
}

/// Returns the character for these pieces: `#` if all are right, `+` some, `.` none.
pub fn cell(right: &Bitfield, pieces: Range<u32>) -> char {
    match count(right, &pieces) {
        0 => '.',
        good if good == pieces.len() as u32 => '#',
        _ => '+',
    }
}

/// Counts the pieces that are in the set, 64 at a time: there may be millions, and the map
/// of a download is drawn several times a second.
fn count(set: &Bitfield, pieces: &Range<u32>) -> u32 {
    let first = pieces.start / 64;
    let words =
        set.words().iter().take(pieces.end.div_ceil(64) as usize).enumerate().skip(first as usize);
    let inside = words.map(|(at, word)| {
        let start = at as u32 * 64;
        let after = (start + 64).saturating_sub(pieces.end);
        let before = pieces.start.saturating_sub(start);
        (word >> after << after << before).count_ones()
    });
    inside.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_as_one_by_one() {
        let mut set = Bitfield::new(300);
        for piece in (0..300).filter(|piece| piece * piece % 7 < 3 || *piece >= 290) {
            set.set(piece, true);
        }
        for pieces in (0..300).flat_map(|start| (start + 1..=300).map(move |end| start..end)) {
            let expected = pieces.clone().filter(|piece| set.has(*piece)).count() as u32;
            assert_eq!(count(&set, &pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_wide_screen_has_longer_rows_only_if_they_show_more() {
        let rows = |all, columns| grid(all, columns, 16, |_| '#').0.len();
        assert_eq!((rows(1024, 200), rows(1024, 80)), (16, 16));
        let (lines, each) = grid(4096, 200, 16, |_| '#');
        assert_eq!((lines.len(), lines[0].len(), each), (16, "3840  ".len() + 128, 2));
        assert_eq!(grid(4096, 80, 16, |_| '#').1, 4);
    }
}
