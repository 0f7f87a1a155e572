//! `piecemeal magnet_parse`: what a magnet link says. (stage 6)

use piecemeal::s01_bencode::printable;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::magnet_link::read;
use crate::cli::{Answer, Options};

/// Show a magnet link: trackers, info hash (stage 6)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal magnet_parse \\\n    'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c'"
)]
pub struct Args {
    /// The magnet link, in quotes
    magnet: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let magnet = read(&self.magnet, options)?;
        let v1 = magnet.info_hash.map(|hash| hash.to_string());
        let v2 = magnet.info_hash_v2.map(hex::encode);
        let peers: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
        let ranges = magnet.select_only.iter().map(|(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        let files: Vec<String> = ranges.collect();
        let mut lines: Vec<String> =
            magnet.trackers.iter().map(|url| format!("Tracker URL: {}", printable(url))).collect();
        lines.extend(v1.iter().map(|hash| format!("Info Hash: {hash}")));
        lines.extend(v2.iter().map(|hash| format!("Info Hash v2: {hash}")));
        lines.extend(peers.iter().map(|peer| format!("Peer: {}", printable(peer))));
        lines.extend(
            Some(files.join(","))
                .filter(|files| !files.is_empty())
                .map(|files| format!("Select Only: {files} (not obeyed yet)")),
        );
        lines.extend(
            magnet
                .web_seeds
                .iter()
                .map(|url| format!("Web Seed: {} (not used yet)", printable(url))),
        );
        let json = json!({
            "trackers": magnet.trackers, "info_hash": v1, "info_hash_v2": v2, "name": magnet.name, "length": magnet.length,
            "peers": peers, "select_only": files, "web_seeds": magnet.web_seeds,
        });
        Ok(Answer { text: lines.join("\n"), json })
    }
}
