//! `piecemeal peers`: ask the trackers who has the torrent. (stage 3)

use std::path::PathBuf;

use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::find_peers::{given, search};
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Ask the torrent's trackers for peers (stage 3)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal peers lab/sample.torrent")]
pub struct Args {
    /// The .torrent file
    torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        let metainfo = open(&self.torrent, options)?;
        let ask = AnnounceRequest::new(
            metainfo.info.info_hash,
            PeerId::random(),
            metainfo.info.length.max(1),
        );
        let peers = search(metainfo.tiers, given(options), &ask, deadline, options.narrator())
            .first(deadline)?;
        if peers.is_empty() {
            options.note("no peer's address is in the tracker's answer; others may come later");
        }
        let lines: Vec<String> = peers.iter().map(ToString::to_string).collect();
        Ok(Answer { text: lines.join("\n"), json: json!({ "peers": lines }) })
    }
}
