//! What `info` and `magnet_info` print about a torrent, as text and for programs. (stage 2)

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
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
        writeln!(out, "Length: {}\nInfo Hash: {}", info.length, info.info_hash)?;
        writeln!(out, "Piece Length: {}\nPiece Hashes:", info.piece_length)?;
        info.pieces().try_for_each(|piece| writeln!(out, "{}", hex::encode(info.piece_hash(piece))))
    })
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
        let files: Vec<_> = files
            .map(|file| json!({ "path": file.path.to_string_lossy(), "length": file.length }))
            .collect();
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("trackers", self.trackers)?;
        object.serialize_entry("name", &info.name)?;
        object.serialize_entry("length", &info.length)?;
        object.serialize_entry("info_hash", &info.info_hash.to_string())?;
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
        serializer.collect_seq(self.0.pieces().map(|piece| hex::encode(self.0.piece_hash(piece))))
    }
}
