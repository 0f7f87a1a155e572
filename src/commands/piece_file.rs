//! From a number to a piece, and from a piece to a file. (stage 9)

use std::fs;
use std::path::Path;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::{Info, PieceIndex};
use serde_json::json;

use super::Answer;
use super::failure::{Failure, LOCAL, USAGE};

/// The piece with a number from the command line.
pub fn piece_of(info: &Info, index: u32) -> Result<PieceIndex, Failure> {
    info.piece(index).ok_or_else(|| {
        let what = format!("there is no piece {index}: the torrent has {} pieces", info.piece_count());
        Failure::new(USAGE, what).help("pieces are counted from 0").see("09-pieces")
    })
}

/// Writes a piece to a file, but never over content that is not the same.
pub fn save(output: &Path, data: &[u8], piece: PieceIndex, force: bool) -> Result<Answer, Failure> {
    let shown = printable(&output.to_string_lossy());
    let taken = fs::metadata(output).is_ok_and(|there| there.is_file() && there.len() > 0);
    if taken && !force && fs::read(output).is_ok_and(|there| there != data) {
        let failure = Failure::new(LOCAL, format!("{shown}: exists, with other content"));
        return Err(failure.help("choose another -o, or overwrite it with --force").see("09-pieces"));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(output, data));
    written.map_err(|error| {
        Failure::new(LOCAL, format!("{shown}: {error}")).help("check the folder and its free space").see("09-pieces")
    })?;
    let text = format!("Piece {piece} downloaded to {shown}.");
    Ok(Answer { text, json: json!({ "piece": piece.get(), "length": data.len(), "output": shown }) })
}
