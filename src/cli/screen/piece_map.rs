//! Shows how content compares with its torrent: a map of pieces, a line for a file. (stage 10)

use std::ops::Range;
use std::path::Path;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::damage::{FileReport, State};
use serde_json::{Value, json};

use crate::cli::Answer;

/// The assumed width of a screen, and the rows of the map that fit on it above the other lines.
const SCREEN: (usize, usize) = (80, 16);

/// Returns the map, a line for each file that is not whole, and the total.
pub fn describe(info: &Info, path: &Path, right: &Bitfield, files: &[FileReport]) -> Answer {
    let (good, all) = (right.count(), info.piece_count());
    let name = |file: &FileReport| match info.multi_file {
        true => info.files[file.number].path.to_string_lossy().into_owned(),
        false => path.to_string_lossy().into_owned(),
    };
    let mut lines = map(right, all);
    for file in files.iter().filter(|file| file.state != State::Whole) {
        lines.push(format!(
            "{}: {}",
            printable(&name(file)),
            fault(file, info.files[file.number].length)
        ));
    }
    lines.push(format!("{good} of {all} pieces are right."));
    let files: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "path": name(file), "length": info.files[file.number].length, "found": file.found, "state": word(file.state),
                "pieces": file.pieces.len(), "wrong": file.wrong,
                "first_wrong": file.first_wrong.as_ref().map(|bytes| [bytes.start, bytes.end.saturating_sub(1)]),
            })
        })
        .collect();
    let wrong: Vec<[u32; 2]> = runs(right, all).map(|run| [run.start, run.end - 1]).collect();
    Answer {
        text: lines.join("\n"),
        json: json!({ "pieces": all, "right": good, "wrong": wrong, "files": files }),
    }
}

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
fn map(right: &Bitfield, all: u32) -> Vec<String> {
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

/// Returns the runs of wrong pieces.
fn runs(right: &Bitfield, all: u32) -> impl Iterator<Item = Range<u32>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = (next..all).find(|piece| !right.has(*piece))?;
        next = (first..all).find(|piece| right.has(*piece)).unwrap_or(all);
        Some(first..next)
    })
}

/// Says what is wrong with a file that should have `length` bytes.
fn fault(file: &FileReport, length: u64) -> String {
    let found = file.found.unwrap_or(0);
    let wrong = file.first_wrong.as_ref().map(|bytes| {
        let (pieces, last) = (file.pieces.len(), bytes.end.saturating_sub(1));
        format!(
            "{} of its {pieces} pieces wrong, first in bytes {} to {last}",
            file.wrong, bytes.start
        )
    });
    let what = match file.state {
        State::Missing => return "missing".to_owned(),
        State::TooShort => Some(format!("too short, {found} of {length} bytes")),
        State::TooLong => Some(format!("too long, {} instead of {length}", counted(found, "byte"))),
        State::Wrong | State::Whole => None,
    };
    what.into_iter().chain(wrong).collect::<Vec<_>>().join("; ")
}

/// Returns the name of a state for programs.
fn word(state: State) -> &'static str {
    match state {
        State::Whole => "whole",
        State::Missing => "missing",
        State::TooShort => "too short",
        State::TooLong => "too long",
        State::Wrong => "wrong",
    }
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
