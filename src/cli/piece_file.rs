//! Turns a number into a piece, and writes a piece to a file. (stage 9)

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Instant;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::{Info, PieceIndex};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s09_pieces::PieceFetcher;
use serde_json::json;

use super::Answer;
use super::exit_codes::{LOCAL, USAGE};
use super::failure::Failure;
use super::output_file::make;
use super::screen::narrator::Narrator;

/// Parses the number of a piece.
pub fn index(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "the number of a piece was expected: 0, 1, 2 and so on".to_owned())
}

/// Returns the piece with a number from the command line.
pub fn piece_of(info: &Info, index: u32) -> Result<PieceIndex, Failure> {
    info.piece(index).ok_or_else(|| {
        let count = info.piece_count();
        let what =
            format!("there is no piece {index}: the torrent has {}", counted(count, "piece"));
        let help =
            format!("pieces are counted from 0, so the last one is {}", count.saturating_sub(1));
        Failure::new(USAGE, what)
            .help(if count == 0 { "there is nothing in it to download".to_owned() } else { help })
            .see("09-pieces")
    })
}

/// Fetches a verified piece from this peer, and explains each step.
pub fn fetch_from(
    connection: &mut Connection,
    info: &Info,
    piece: PieceIndex,
    deadline: Instant,
    say: Narrator,
) -> Result<Vec<u8>, Failure> {
    super::version_two::need_hashes_of_link(info)?; // version_two is plugged in
    let address = connection.peer;
    let size = counted(info.piece_size(piece), "byte");
    say.say(5, format!("telling {address} that we are interested, and waiting for its unchoke: before that it sends no block"));
    say.say(
        9,
        format!(
            "then asking for the {size} of piece {piece} in blocks of 16 KiB, several at a time"
        ),
    );
    let mut peer = PieceFetcher::new(connection);
    let data = peer.fetch_piece(info, piece, deadline);
    if let Some(what) = peer.passed_over {
        say.say(5, format!("{address}: {what}"));
    }
    Ok(data?)
}

/// Writes a piece to a file, but never over different content unless `force` is set.
pub fn save(
    output: &Path,
    data: &[u8],
    piece: PieceIndex,
    force: bool,
    say: Narrator,
) -> Result<Answer, Failure> {
    say.say(9, format!("piece {piece} has the hash that the torrent gives for it, so it does not matter who sent it"));
    let shown = printable(&output.to_string_lossy());
    let taken = fs::metadata(output).is_ok_and(|there| there.is_file() && there.len() > 0);
    if taken && !force && !fs::read(output).is_ok_and(|there| there == data) {
        let failure = Failure::new(LOCAL, format!("{shown}: exists, with other content"));
        return Err(failure
            .help("choose another -o, or overwrite it with --force")
            .see("09-pieces"));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = folder
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| make(output, false)?.write_all(data));
    written.map_err(|error| {
        let help = match error.kind() {
            ErrorKind::IsADirectory => "choose another -o: a file, in this folder or elsewhere",
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                "choose another -o: a part of this path is a file"
            }
            _ => "check the folder, its permissions and its free space",
        };
        Failure::new(LOCAL, format!("{shown}: {error}")).help(help).see("09-pieces")
    })?;
    let text = format!("Piece {piece} downloaded to {shown}.");
    Ok(Answer {
        text,
        json: json!({ "piece": piece.get(), "length": data.len(), "output": shown }),
    })
}
