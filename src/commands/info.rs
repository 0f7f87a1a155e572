//! `piecemeal info`: what a .torrent file says. (stage 2)

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::cli::torrent_file::open;
use crate::cli::torrent_text::describe;
use crate::cli::{Answer, Options};

/// Show a .torrent file: length, hashes (stage 2)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal info lab/sample.torrent")]
pub struct Args {
    /// The .torrent file
    torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let metainfo = open(&self.torrent, options)?;
        describe(&metainfo.info, metainfo.trackers(), options)
    }
}
