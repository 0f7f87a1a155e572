//! What every command that takes a .torrent file does first: read it, or say why not. (stage 2)

use std::io::{self, ErrorKind};
use std::path::Path;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::{Info, Metainfo, MetainfoError};

use super::Options;
use super::failure::{BAD_INPUT, Failure, LOCAL};

/// Reads a .torrent file.
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
