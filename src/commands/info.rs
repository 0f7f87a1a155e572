//! `piecemeal info`: what a .torrent file says. (stage 2)

use std::path::PathBuf;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use serde_json::json;

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
        Ok(describe(&metainfo.info, metainfo.trackers()))
    }
}

/// The torrent as `info` and `magnet_info` show it.
pub fn describe<'t>(info: &Info, trackers: impl Iterator<Item = &'t str>) -> Answer {
    let trackers: Vec<&str> = trackers.collect();
    let hashes: Vec<String> = info.pieces().map(|piece| hex::encode(info.piece_hash(piece))).collect();
    let mut lines: Vec<String> = trackers.iter().map(|url| format!("Tracker URL: {}", printable(url))).collect();
    lines.push(format!("Length: {}", info.length));
    lines.push(format!("Info Hash: {}", info.info_hash));
    lines.push(format!("Piece Length: {}", info.piece_length));
    lines.push("Piece Hashes:".to_owned());
    lines.extend(hashes.iter().cloned());
    let files = info.files.iter().filter(|file| !file.padding);
    let files: Vec<_> = files.map(|file| json!({ "path": file.path.to_string_lossy(), "length": file.length })).collect();
    let json = json!({
        "trackers": trackers, "name": info.name, "length": info.length, "info_hash": info.info_hash.to_string(),
        "piece_length": info.piece_length, "piece_hashes": hashes, "private": info.private, "files": files,
    });
    Answer { text: lines.join("\n"), json }
}
