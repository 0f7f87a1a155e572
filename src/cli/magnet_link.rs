//! Reads the magnet link of a command, or says why that fails. (stage 6)

use piecemeal::s06_magnet::Magnet;

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
