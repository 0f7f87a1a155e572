//! Content that others may have from us: it is verified first. (stage 16)

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::Storage;

use super::Options;
use super::content_at::{hash, right_path};
use super::exit_codes::{LOCAL, WRONG_HASH};
use super::failure::Failure;
use super::screen::progress::Progress;
use super::waiting_json::tell_look;

/// Opens content and hashes it. Returns it with the pieces that are right: one at least, or
/// there is nothing to give.
pub fn verified_content(
    info: &Info,
    path: &Path,
    stop: &AtomicBool,
    options: &Options,
) -> Result<(Storage, Bitfield), Failure> {
    let shown = printable(&path.to_string_lossy());
    if let Err(error) = fs::metadata(path) {
        return Err(Failure::new(LOCAL, format!("{shown}: {error}"))
            .help(right_path(info, path))
            .see("16-uploading"));
    }
    let storage = Storage::through_links(info, path);
    // Before the hashing, or a change in between would go unnoticed.
    storage.seal();
    options.narrator().say(10, "hashing what is there, since only what is verified is given");
    let purpose = "each piece is hashed; peers are let in after that";
    let checking = Progress::hashing(options, "verifying", info.length, purpose);
    let have = hash(info, &storage, path, stop, &checking, &|news| tell_look(news, options))?;
    let (good, all) = (have.count(), info.piece_count());
    if good == 0 && all > 0 {
        let what = format!("{shown}: none of its {all} pieces is there");
        return Err(Failure::new(WRONG_HASH, what)
            .help(right_path(info, path))
            .see("16-uploading"));
    }
    options.note(&format!("{shown}: {good} of {all} pieces are right"));
    Ok((storage, have))
}
