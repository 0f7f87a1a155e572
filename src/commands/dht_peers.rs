//! `piecemeal dht_peers`: ask the DHT who has the torrent. (stage 21)

use std::path::PathBuf;

use crate::cli::ask_dht::ask;
use crate::cli::failure::Failure;
use crate::cli::info_hash::info_hash;
use crate::cli::lookup_map::draw;
use crate::cli::{Answer, Options};

/// Find peers in the DHT, without a tracker (stage 21)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal dht_peers --dht-bootstrap 127.0.0.1:6881 cda492889448d540ee036365137eedd24308d22c"
)]
pub struct Args {
    /// Also draw the lookup: who was asked, and who had named them
    #[arg(long, value_name = "FILE.svg", value_parser = crate::cli::lookup_map::named)]
    map: Option<PathBuf>,
    /// The info hash in hex, or the magnet link in quotes
    #[arg(value_name = "INFOHASH|MAGNET")]
    torrent: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (deadline, say) = (options.deadline(), options.narrator());
        let info_hash = info_hash(&self.torrent, options)?;
        let from = options.dht.addresses(deadline, say)?;
        let found = ask(info_hash, &from, deadline, options);
        // A lookup that finds nobody is the one to look at.
        self.map.iter().try_for_each(|path| draw(path, info_hash, &found.steps))?;
        found.answer()
    }
}
