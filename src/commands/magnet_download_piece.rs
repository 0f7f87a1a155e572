//! `piecemeal magnet_download_piece`: a piece, starting from a magnet link. (stage 9)

use std::path::PathBuf;

use piecemeal::s05_messages::connection::Connection;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::info_from::info_from;
use crate::cli::magnet_link::{names, read};
use crate::cli::magnet_peers::start;
use crate::cli::piece_file::{fetch_from, piece_of, save};
use crate::cli::{Answer, Options};

/// Download one piece of a magnet link (stage 9)
#[derive(clap::Args)]
#[command(after_help = concat!(
    "Example:\n  piecemeal magnet_download_piece -o piece-0 --peer 127.0.0.2:6881 \\\n",
    "    'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c' 0"
))]
pub struct Args {
    /// The file to write the piece to
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Overwrite the output, whatever it holds
    #[arg(long)]
    force: bool,
    /// The magnet link, in quotes
    magnet: String,
    /// The piece, counted from 0
    #[arg(value_parser = crate::cli::piece_file::index)]
    index: u32,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        crate::cli::tracing::keep_apart(&self.output, options)?; // plugged in
        let magnet = read(&self.magnet, options)?;
        let (names, (ours, search)) = (names(&magnet)?, start(&magnet, options, deadline)?);
        let say = options.narrator();
        let (piece, data) = search.ask(deadline, move |peer| {
            let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
            let info = info_from(&mut connection, &names, deadline, say)?;
            // The same connection continues: messages that came during the fetch are read now.
            let piece = piece_of(&info, self.index)?;
            Ok((piece, fetch_from(&mut connection, &info, piece, deadline, say)?))
        })?;
        save(&self.output, &data, piece, self.force, say)
    }
}
