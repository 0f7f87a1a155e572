//! `piecemeal info`: what a .torrent file says. (stage 2)

use std::path::PathBuf;

use super::describing::describe;
use super::failure::Failure;
use super::opening::open;
use super::{Answer, Options};

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
