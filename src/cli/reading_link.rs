//! Reads the magnet link of a command, or says why that fails. (stage 6)

use piecemeal::s01_bencode::printable;
use piecemeal::s06_magnet::Magnet;

use super::Options;
use super::failure::Failure;
use super::opening::tell_passed_over;

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

/// Returns the advice for a link that was copied from HTML.
pub fn mend(should_be: &str) -> String {
    let should_be = printable(should_be);
    format!("it was copied from HTML, where & is written &amp;; it should be '{should_be}'")
}

/// Returns the advice for something that is not a magnet link.
pub fn instead(text: &str) -> &'static str {
    let is_hash =
        matches!(text.len(), 32 | 40) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text {
        _ if is_hash => {
            "an info hash goes into a link, with a peer or a tracker: 'magnet:?xt=urn:btih:HASH&x.pe=HOST:PORT'"
        }
        _ if text.contains("://") => {
            "fetch the .torrent that a URL leads to, and give it to a command without magnet_ in its name"
        }
        _ if text.ends_with(".torrent") => {
            "commands without magnet_ in their names take a .torrent file: info, download"
        }
        _ => "copy the whole link, and put it in quotes: the shell would cut it at &",
    }
}
