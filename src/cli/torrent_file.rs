//! Reads the .torrent file of a command, or says why that fails. (stage 2)

use std::fmt::Display;
use std::path::Path;

use piecemeal::s01_bencode::{counted, excerpt};
use piecemeal::s02_metainfo::{Info, Metainfo, MetainfoError};

use super::Options;
use super::exit_codes::USAGE;
use super::failure::Failure;

/// A way to read a .torrent file.
type Read = fn(&Path) -> Result<Metainfo, MetainfoError>;

/// Reads a .torrent file.
pub fn open(torrent: &Path, options: &Options) -> Result<Metainfo, Failure> {
    let shown = torrent.to_string_lossy();
    // The first of them reads all that the others do.
    let readers: &[Read] = &[
        piecemeal::s23_v2::read, // s23_v2 is plugged in
        // Without it, version 1 alone:
        Metainfo::read,
    ];
    let metainfo = readers[0](torrent).map_err(|error| match &error {
        MetainfoError::Io(_) => {
            something_else(&shown).unwrap_or_else(|| Failure::from(error).about(&shown))
        }
        _ => Failure::from(error).about(&shown),
    })?;
    tell(&shown, &metainfo.info, options);
    super::tracing::learn(&metainfo.info); // plugged in
    tell_passed_over(&shown, &metainfo.passed_over, options);
    tell_passed_over(&shown, &metainfo.info.passed_over, options);
    Ok(metainfo)
}

/// Reads a .torrent file for a command that asks nobody for the hashes of pieces.
pub fn open_whole(torrent: &Path, options: &Options) -> Result<Metainfo, Failure> {
    let metainfo = open(torrent, options)?;
    super::version_two::need_hashes(&metainfo.info, torrent)?; // version_two is plugged in
    Ok(metainfo)
}

/// Explains what a torrent is.
fn tell(shown: &str, info: &Info, options: &Options) {
    let say = options.narrator();
    let (all, pieces) = (counted(info.length, "byte"), counted(info.piece_count(), "piece"));
    let hashes = if info.is_whole() { "each with its hash" } else { "some without their hashes" };
    say.say(2, format!("{shown} describes {all} in {pieces}, {hashes}"));
    let by = "the hash of its info dictionary";
    let by = super::version_two::known_by(info).unwrap_or(by); // version_two is plugged in
    say.say(2, format!("trackers and peers know it by {by}, {}", info.info_hash));
}

/// Reports broken parts of a torrent or a link that were not needed.
pub fn tell_passed_over(object: impl Display, passed_over: &[String], options: &Options) {
    passed_over.iter().for_each(|note| options.note(&format!("note: {object}: {note}")));
}

/// Returns the failure for something that names a torrent but is no path.
fn something_else(given: &str) -> Option<Failure> {
    let is_hash = given.len() == 40 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (what, help) = match given {
        _ if given.starts_with("magnet:") => {
            ("a magnet link", "a link is for the commands whose names begin with magnet_")
        }
        _ if given.contains("://") => {
            ("a URL", "fetch the file first, with a browser or `curl -LO URL`, and give that")
        }
        _ if is_hash => (
            "an info hash",
            "put it into a link, 'magnet:?xt=urn:btih:HASH', for the commands whose names begin with magnet_",
        ),
        _ => return None,
    };
    let what = format!("a .torrent file was expected, but this is {what}");
    Some(Failure::new(USAGE, what).about(excerpt(given.as_bytes())).help(help).see("02-metainfo"))
}
