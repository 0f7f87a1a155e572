//! Stage 2 in a file: a torrent.

use super::s01::{self, Meaning};
use super::{Object, counted, hex_text};
use crate::s01_bencode::{Kind, decode, decode_prefix};
use crate::s02_metainfo::{Info, InfoHash, MetainfoError};
use crate::s23_v2::{from_bytes, trees};

/// Describes a .torrent file. Bytes after its dictionary are passed over.
pub fn torrent(bytes: &[u8]) -> Object {
    let mut object = Object::new("torrent", bytes.len(), 2, "BEP 3");
    let end = decode_prefix(bytes).map_or(bytes.len(), |top| top.raw.len());
    let (dictionary, rest) = bytes.split_at(end);
    s01::whole(&mut object, dictionary, lexicon);
    if object.broken.is_none() && !rest.is_empty() {
        let what = if rest.trim_ascii().is_empty() { "white space" } else { "more bytes" };
        object.add(bytes.len(), "", what, "not part of the torrent: passed over");
    }
    let read = from_bytes(bytes);
    name_info(&mut object, dictionary, read.as_ref().ok().map(|metainfo| &metainfo.info));
    match read {
        Ok(metainfo) => {
            let (info, files) =
                (&metainfo.info, metainfo.info.files.iter().filter(|file| !file.padding).count());
            let content =
                if info.multi_file { counted(files, "file") } else { "one file".to_owned() };
            if trees(info).is_some() {
                (object.stage, object.spec) = (23, "BEP 52");
            }
            object.summary = format!(
                "{content}, {} bytes, {}",
                info.length,
                counted(info.piece_count(), "piece")
            );
        }
        Err(error) => breaks(&mut object, error),
    }
    object
}

/// Adds the info hash to `info`, and the bytes that it covers. Version 2 has another one.
fn name_info(object: &mut Object, bytes: &[u8], read: Option<&Info>) {
    let Ok(top) = decode(bytes) else { return };
    let Some(info) = top.get("info").filter(|info| info.dictionary().is_some()) else { return };
    if let Some(field) =
        object.fields.iter_mut().find(|field| field.name == "info" && field.value == "{")
    {
        let start = field.range.end - 1; // after the key, at the `d`
        let sha1 = InfoHash::of(info.raw);
        let bytes = format!("bytes {start} to {}", start + info.raw.len() - 1);
        let trees = read.and_then(|info| Some((info.info_hash, hex::encode(trees(info)?.name))));
        field.note = match trees {
            None => format!("info hash {sha1}: the SHA-1 of {bytes}"),
            Some((name, long)) if name == sha1 => {
                format!("info hash {sha1}: the SHA-1 of {bytes}; {long}: their SHA-256")
            }
            Some((_, long)) => format!("info hash {long}: the SHA-256 of {bytes}"),
        };
    }
}

/// Records a broken rule of torrents in valid bencode.
fn breaks(object: &mut Object, error: MetainfoError) {
    match error {
        MetainfoError::Missing { path, expected } => {
            // A missing key is reported at the end of the dictionary that should hold it.
            let end = format!("end of {}", path.rsplit_once('.').map_or("", |(before, _)| before));
            let end =
                object.fields.iter().rev().find(|field| field.note == end).or(object.fields.last());
            let at = end.map_or(0, |field| field.range.start);
            object.break_at(at..at + 1, format!("{path}, {expected}"), "nothing of that name");
        }
        MetainfoError::Broken { path, expected, found } => {
            object.break_field(&path, format!("{path} to be {expected}"), found)
        }
        MetainfoError::UnsafePath { path, why, name } => {
            object.break_field(
                &path,
                format!("a name for {path} that is safe to use"),
                format!("{name:?}: {why}"),
            );
        }
        MetainfoError::Bencode(_)
        | MetainfoError::TooLarge
        | MetainfoError::Io(_)
        | MetainfoError::VersionTwo
        | MetainfoError::NewerFormat { .. }
        | MetainfoError::Other(_) => {
            object.break_at(0..object.length, "a torrent", error.to_string());
        }
    }
}

/// Returns the meaning of a torrent's keys.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    match (path, value) {
        ("info.pieces", Kind::Bytes(_)) => Meaning {
            note: "a SHA-1 for each piece".to_owned(),
            ..Meaning::items("piece", 20, |hash| (hex_text(hash), String::new()))
        },
        (path, Kind::Bytes(_)) if path.starts_with("piece layers.") => {
            Meaning::items("piece", 32, |hash| (hex_text(hash), String::new()))
        }
        // The file's name ends before the two dots: between them is the empty key.
        (path, _) if path.starts_with("info.file tree.") => Meaning::note(match path {
            _ if path.ends_with("..length") => "bytes",
            _ if path.ends_with("..pieces root") => "the top of the file's tree",
            _ => "",
        }),
        ("info.files[].length" | "info.length" | "info.piece length", _) => Meaning::note("bytes"),
        _ => Meaning::note(match path {
            "announce" => "whom to ask for peers",
            "announce-list[][]" => "BEP 12: a tracker; the ones of a tier are alternatives",
            "comment" => "any text from the creator",
            "created by" => "the program that made it",
            "creation date" => "seconds since 1970",
            "info.name" => "suggested name of the file or folder",
            "info.name.utf-8" | "info.files[].path.utf-8[]" => {
                "the same in UTF-8, which is preferred"
            }
            "info.private" => "BEP 27: 1 says peers from the tracker only",
            "info.files[].path[]" => "one folder or name of the path",
            "info.files[].attr" => "BEP 47: p is padding, x executable, l a symbolic link",
            "info.meta version" => "BEP 52: a version 2 torrent",
            "url-list" | "url-list[]" => "BEP 19: a web seed",
            "nodes[][]" => "BEP 5: where to enter the DHT",
            _ => "",
        }),
    }
}
