//! What `info` and `magnet_info` print about a torrent, as text and for programs. (stage 2)

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::{Info, PieceIndex};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::failure::Failure;
use super::{Answer, Options, print_long, write_json};

/// Prints a torrent as `info` and `magnet_info` show it. There may be two million hashes,
/// so they are printed one by one.
pub fn describe<'t>(
    info: &Info,
    trackers: impl Iterator<Item = &'t str>,
    options: &Options,
) -> Result<Answer, Failure> {
    let trackers: &[&str] = &trackers.collect::<Vec<_>>();
    print_long(|out| {
        if options.json {
            write_json(out, &Described { info, trackers })?;
            return writeln!(out);
        }
        trackers.iter().try_for_each(|url| writeln!(out, "Tracker URL: {}", printable(url)))?;
        let mut names = format!("Info Hash: {}", info.info_hash);
        super::version_two::name(info, &mut names); // version_two is plugged in
        writeln!(out, "Length: {}\n{names}", info.length)?;
        writeln!(out, "Piece Length: {}\nPiece Hashes:", info.piece_length)?;
        let hash = |piece| piece_hash(info, piece).unwrap_or("(not in the torrent)".to_owned());
        info.pieces().try_for_each(|piece| writeln!(out, "{}", hash(piece)))?;
        super::version_two::roots(info, out)?; // version_two is plugged in
        Ok(())
    })
}

/// Returns the hash of a piece in hex, if it is known.
fn piece_hash(info: &Info, piece: PieceIndex) -> Option<String> {
    let hash = info.piece_hash(piece);
    (!hash.is_empty()).then(|| hex::encode(hash))
}

/// A torrent as JSON, for programs.
struct Described<'t> {
    info: &'t Info,
    trackers: &'t [&'t str],
}

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = self.info;
        let files = info.files.iter().filter(|file| !file.padding);
        let mut files: Vec<_> = files
            .map(|file| json!({ "path": file.path.to_string_lossy(), "length": file.length }))
            .collect();
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("trackers", self.trackers)?;
        object.serialize_entry("name", &info.name)?;
        object.serialize_entry("length", &info.length)?;
        let mut names = json!({ "info_hash": info.info_hash.to_string() });
        super::version_two::add_to_json(info, &mut names, &mut files); // version_two is plugged in
        names
            .as_object()
            .into_iter()
            .flatten()
            .try_for_each(|(key, name)| object.serialize_entry(key, name))?;
        object.serialize_entry("piece_length", &info.piece_length)?;
        object.serialize_entry("piece_hashes", &Hashes(info))?;
        object.serialize_entry("private", &info.private)?;
        object.serialize_entry("files", &files)?;
        object.end()
    }
}

struct Hashes<'t>(&'t Info);

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.pieces().map(|piece| piece_hash(self.0, piece)))
    }
}
