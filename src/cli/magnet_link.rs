//! Reads the magnet link of a command, or says why that fails. (stage 6)

use piecemeal::s02_metainfo::Names;
use piecemeal::s06_magnet::{Magnet, MagnetError};

use super::Options;
use super::failure::Failure;
use super::torrent_file::tell_passed_over;

/// Reads a magnet link, and reports what is passed over in it.
pub fn read(link: &str, options: &Options) -> Result<Magnet, Failure> {
    let magnet = Magnet::parse(link)?;
    let is_mended =
        |note: &String| magnet.should_be.as_ref().is_some_and(|link| note.ends_with(link));
    let (mended, others): (Vec<_>, Vec<_>) =
        magnet.passed_over.iter().cloned().partition(is_mended);
    tell_passed_over("the magnet link", &others, options);
    mended.iter().for_each(|note| options.note_to_paste(&format!("note: the magnet link: {note}")));
    Ok(magnet)
}

/// A way to get the names of a link's torrent.
type NamesOf = fn(&Magnet) -> Result<Names, MagnetError>;

/// Returns the names of the link's torrent.
pub fn names(magnet: &Magnet) -> Result<Names, Failure> {
    // The first of them takes all links that the others do.
    let ways: &[NamesOf] = &[
        piecemeal::s23_v2::names::of_link, // s23_v2 is plugged in
        // Without it, version 1 alone:
        |magnet| magnet.need_info_hash().map(Names::from),
    ];
    Ok(ways[0](magnet)?)
}
