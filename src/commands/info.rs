//! `piecemeal info`: what a .torrent file says. (stage 2)

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::{Info, Metainfo, MetainfoError};
use serde_json::json;

use super::failure::{BAD_INPUT, Failure, LOCAL};
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

/// Reads a .torrent file, for every command that takes one.
pub fn open(torrent: &Path, options: &Options) -> Result<Metainfo, Failure> {
    let shown = torrent.to_string_lossy();
    let metainfo = Metainfo::read(torrent).map_err(|error| Failure::from(error).about(printable(&shown)))?;
    let Info { info_hash, length, .. } = &metainfo.info;
    let say = options.narrator();
    say.say(2, format!("{shown} is about {length} bytes in {} pieces, each with its hash", metainfo.info.piece_count()));
    say.say(2, format!("trackers and peers know it by the hash of its info dictionary, {info_hash}"));
    super::tracing::learn(&metainfo.info); // plugged in
    Ok(metainfo)
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

fn missing(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::IsADirectory => "give the .torrent file itself",
        ErrorKind::NotFound => "check the path, and the folder you are in; `piecemeal lab` makes lab/sample.torrent",
        _ => "check the path and its permissions",
    }
}

impl From<MetainfoError> for Failure {
    fn from(error: MetainfoError) -> Failure {
        let help = match &error {
            MetainfoError::Bencode(error) => {
                return Failure::from(error.clone()).help("it is damaged, or no torrent; download it again");
            }
            MetainfoError::Io(error) => return Failure::new(LOCAL, error).help(missing(error)).see("02-metainfo"),
            MetainfoError::UnsafePath { .. } => "this torrent may be meant to harm; get it from somewhere else",
            MetainfoError::VersionTwo => "look for a version 1 or hybrid torrent of the same content",
            _ => "it is damaged, or no torrent; download it again",
        };
        Failure::new(BAD_INPUT, error).help(help).see("02-metainfo")
    }
}
