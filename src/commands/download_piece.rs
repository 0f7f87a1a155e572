//! `piecemeal download_piece`: one verified piece from one peer. (stage 9)

use std::path::PathBuf;

use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::connection::Connection;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::find_peers::{given, search};
use crate::cli::piece_file::{fetch_from, piece_of, save};
use crate::cli::torrent_file::open_whole;
use crate::cli::{Answer, Options};

/// Download one piece and verify it (stage 9)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal download_piece -o piece-0 lab/sample.torrent 0")]
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
    #[arg(value_parser = crate::cli::piece_file::index)]
    index: u32,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        crate::cli::tracing::keep_apart(&self.output, options)?; // plugged in
        let metainfo = open_whole(&self.torrent, options)?;
        let piece = piece_of(&metainfo.info, self.index)?;
        let ours = Handshake::new(metainfo.info.info_hash, PeerId::random());
        let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, metainfo.info.length.max(1));
        let info = metainfo.info;
        let say = options.narrator();
        let data = search(metainfo.tiers, given(options), &ask, deadline, say).ask(
            deadline,
            move |peer| {
                let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
                fetch_from(&mut connection, &info, piece, deadline, say)
            },
        )?;
        save(&self.output, &data, piece, self.force, say)
    }
}
