//! `piecemeal download_piece`: one verified piece from one peer. (stage 9)

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::{Info, PieceIndex};
use piecemeal::s03_tracker::{Announce, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::Tcp;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s09_pieces::{OnePeer, PieceError};
use serde_json::json;

use super::failure::{Failure, LOCAL, NO_PEER, USAGE, WRONG_HASH};
use super::find_peers::search;
use super::info::open;
use super::{Answer, Options};

/// Download one piece and verify it (stage 9)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal download_piece -o piece-0 sample.torrent 0")]
pub struct Args {
    /// The file to write the piece to
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Overwrite the output, whatever it holds
    #[arg(long)]
    force: bool,
    /// The .torrent file
    torrent: PathBuf,
    /// The piece, counted from 0
    index: u32,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until = Instant::now() + options.stage_time();
        let metainfo = open(&self.torrent)?;
        let piece = piece_of(&metainfo.info, self.index)?;
        let ours = Handshake::new(metainfo.info.info_hash, PeerId::random());
        let ask = Announce::new(ours.info_hash, ours.peer_id, metainfo.info.length.max(1));
        let info = metainfo.info;
        let data = search(metainfo.tiers, options.peers.clone(), &ask, until).ask(until, move |peer| {
            let mut connection = Connection::open(&Tcp, peer, &ours, until)?;
            Ok(OnePeer::new(&mut connection).fetch_piece(&info, piece, until)?)
        })?;
        save(&self.output, &data, piece, self.force)
    }
}

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
    fs::write(output, data)
        .map_err(|error| Failure::new(LOCAL, format!("{shown}: {error}")).help("check the folder and its free space"))?;
    let text = format!("Piece {piece} downloaded to {shown}.");
    Ok(Answer { text, json: json!({ "piece": piece.get(), "length": data.len(), "output": shown }) })
}

impl From<PieceError> for Failure {
    fn from(error: PieceError) -> Failure {
        match error {
            PieceError::WrongHash { .. } => {
                Failure::new(WRONG_HASH, error).help("the peer sent bad data; try another").see("09-pieces")
            }
            _ => Failure::new(NO_PEER, error)
                .help("try another peer, or allow for more time with --timeout SECONDS")
                .see("09-pieces"),
        }
    }
}
