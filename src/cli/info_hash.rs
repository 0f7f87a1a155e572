//! Reads the info hash of a command that needs nothing else of a torrent. (stage 21)

use piecemeal::s01_bencode::excerpt;
use piecemeal::s02_metainfo::InfoHash;

use super::Options;
use super::exit_codes::BAD_INPUT;
use super::failure::Failure;
use super::magnet_link::{names, read};

/// Returns the info hash that is given in hex, or in a magnet link.
pub fn info_hash(text: &str, options: &Options) -> Result<InfoHash, Failure> {
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:")) {
        return Ok(names(&read(text, options)?)?.first());
    }
    let mut hash = [0; 20];
    if hex::decode_to_slice(text, &mut hash).is_ok() {
        return Ok(InfoHash(hash));
    }
    let help = if text.ends_with(".torrent") {
        "`piecemeal info FILE` prints the info hash of a .torrent file"
    } else {
        "copy all 40 digits; `piecemeal info` and `piecemeal magnet_parse` print them"
    };
    let found = excerpt(text.as_bytes());
    let what = format!("40 hex digits or a magnet link were expected, but found \"{found}\"");
    Err(Failure::new(BAD_INPUT, what).help(help).see("21-dht-lookup"))
}
