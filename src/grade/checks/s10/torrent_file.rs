//! A .torrent file that the learner's client made: whether it is the right one, and if not, why.

use crate::actors::bencode::{Value, bytes, decode, int, list};
use crate::actors::torrent::{Torrent, sha1};
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::s01_bencode::{counted, printable};

/// A torrent that `create` has made.
pub(super) struct Created {
    /// Where it is.
    pub path: String,
    /// All of its bytes.
    pub raw: Vec<u8>,
    /// The same, decoded.
    pub value: Value,
    /// The first line on stdout.
    line: String,
}

impl Created {
    /// Reads a torrent, which must be bencode in its one form.
    pub(super) fn read(path: String, raw: Vec<u8>, outcome: &Outcome) -> Result<Created, Miss> {
        let Some((value, used)) = decode(&raw) else {
            let start = String::from_utf8_lossy(raw.get(..40).unwrap_or(&raw)).into_owned();
            return Err(Miss::new("the file that it made is no bencode")
                .instead("d8:announce… or d4:info…", printable(&start)));
        };
        let extra = raw.len() - used;
        ensure(extra == 0, || {
            let extra = counted(extra, "byte");
            Miss::new(format!("after the end of the torrent, the file goes on for {extra}"))
        })?;
        ensure(is_sorted(&value), || {
            Miss::new("the keys of a dictionary are not sorted")
                .likely("write the keys sorted by their bytes: every client does, and hashes them")
        })?;
        ensure(encoded(&value) == raw, || {
            Miss::new("a number or a length in the file has leading zeros")
        })?;
        let line = outcome.text().lines().next().unwrap_or_default().to_owned();
        Ok(Created { path, raw, value, line })
    }

    pub(super) fn info(&self) -> Option<&Value> {
        self.value.get("info")
    }

    pub(super) fn info_hash(&self) -> String {
        hex::encode(sha1(&self.info().map(encoded).unwrap_or_default()))
    }

    /// Insists on the info dictionary of this torrent, and that stdout has its hash.
    pub(super) fn is(&self, torrent: &Torrent) -> Finding {
        let Some(info @ Value::Dict(found)) = self.info() else {
            return Err(Miss::new("the torrent that it made has no dictionary `info`"));
        };
        let Some((Value::Dict(expected), _)) = decode(&torrent.info) else { return Ok(()) };
        for (key, expected) in &expected {
            let name = printable(&String::from_utf8_lossy(key));
            let Some(found) = info.get(&name) else {
                return Err(Miss::new(format!("info has no key `{name}`")).likely(match &*name {
                    "files" => "a folder has `files`, also if there is only one",
                    "length" => "a single file has `length`, and no `files`",
                    _ => "info needs `name`, `piece length`, `pieces`, and `length` or `files`",
                }));
            };
            ensure(found == expected, || differs(&name, expected, found, torrent))?;
        }
        if let Some((key, _)) =
            found.iter().find(|(key, _)| !expected.iter().any(|(k, _)| k == key))
        {
            let key = printable(&String::from_utf8_lossy(key));
            return Err(Miss::new(format!("info has a key too many: `{key}`")).likely(
                "each key in info changes the info hash: put it next to info, or leave it out",
            ));
        }
        let line = format!("Info Hash: {}", torrent.hex());
        ensure(self.line == line, || {
            Miss::new("the torrent is right, but the first line of stdout is not")
                .instead(line, printable(&self.line))
        })
    }
}

/// Says what is wrong with the value of a key.
fn differs(key: &str, expected: &Value, found: &Value, torrent: &Torrent) -> Miss {
    let miss =
        Miss::new(format!("`{key}` in info is not right")).instead(show(expected), show(found));
    let cause = match (key, expected, found) {
        ("name", _, Value::Bytes(name)) if name.contains(&b'/') => {
            "only the last part of the path is the name"
        }
        ("piece length", ..) => {
            "without --piece-length: the smallest power of two, from 16 KiB, with which there are at \
             most 2,048 pieces"
        }
        ("files", Value::List(expected), Value::List(found)) => cause_in_files(expected, found),
        ("pieces", Value::Bytes(expected), Value::Bytes(found)) => {
            return cause_in_pieces(miss, expected, found, torrent);
        }
        _ => return miss,
    };
    miss.likely(cause)
}

fn cause_in_files(expected: &[Value], found: &[Value]) -> &'static str {
    let all_in = |some: &[Value], all: &[Value]| some.iter().all(|file| all.contains(file));
    if expected.len() == found.len() && all_in(expected, found) {
        "sort the names of each folder by their bytes: capitals first, then small letters"
    } else if all_in(found, expected)
        && expected
            .iter()
            .all(|file| found.contains(file) || file.get("length") == Some(&Value::Int(0)))
    {
        "files of no bytes are listed as well"
    } else {
        "each entry has just `length`, and `path`: a list of the folders' names and the file's, \
         without the name of the torrent"
    }
}

fn cause_in_pieces(miss: Miss, expected: &[u8], found: &[u8], torrent: &Torrent) -> Miss {
    let hashes = |content: &[u8]| -> Vec<u8> {
        content.chunks(torrent.piece_length).flat_map(sha1).collect()
    };
    let mut padded = torrent.content.clone();
    padded.resize(torrent.pieces() * torrent.piece_length, 0);
    let cause = if found == hex::encode(expected).as_bytes() {
        "each hash is 20 raw bytes, not 40 digits"
    } else if found == hashes(&padded) {
        "the last piece is hashed as short as it is, without zeros to fill it up"
    } else if found == file_by_file(torrent) {
        "pieces run across the files: hash the files as one row of bytes, end to end"
    } else {
        let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count() / 20;
        return miss.detail(format!("the first hash that differs is that of piece {same}"));
    };
    miss.likely(cause)
}

/// Returns the hashes of pieces that each begin at a file.
fn file_by_file(torrent: &Torrent) -> Vec<u8> {
    let info = decode(&torrent.info).map(|(info, _)| info);
    let Some(Value::List(files)) = info.as_ref().and_then(|info| info.get("files")) else {
        return Vec::new();
    };
    let mut rest = &torrent.content[..];
    let mut hashes = Vec::new();
    for file in files {
        let length = file.get("length").and_then(Value::int).unwrap_or_default() as usize;
        let (content, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        hashes.extend(content.chunks(torrent.piece_length).flat_map(sha1));
        rest = behind;
    }
    hashes
}

/// Returns a value in a few words.
pub(super) fn show(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::Int(number) => number.to_string(),
        Value::Bytes(text) if std::str::from_utf8(text).is_ok() => {
            format!("\"{}\"", printable(&String::from_utf8_lossy(text)))
        }
        Value::Bytes(bytes) => format!("{} bytes: {}", bytes.len(), hex::encode(bytes)),
        Value::List(items) => items.iter().map(show).collect::<Vec<_>>().join(" "),
        Value::Dict(pairs) => {
            let path = value.get("path").filter(|path| matches!(path, Value::List(_)));
            let shown = path.map(|path| show(path).replace("\" \"", "/").replace('"', ""));
            shown.unwrap_or_else(|| format!("a dictionary of {} keys", pairs.len()))
        }
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Encodes a value, with its keys in the order that they have.
fn encoded(value: &Value) -> Vec<u8> {
    match value {
        Value::Int(number) => int(*number),
        Value::Bytes(text) => bytes(text),
        Value::List(items) => list(&items.iter().map(encoded).collect::<Vec<_>>()),
        Value::Dict(pairs) => {
            let pairs = pairs.iter().flat_map(|(key, value)| [bytes(key), encoded(value)]);
            [b"d".to_vec(), pairs.collect::<Vec<_>>().concat(), b"e".to_vec()].concat()
        }
    }
}

/// Whether the keys of all dictionaries are sorted, and none is there twice.
fn is_sorted(value: &Value) -> bool {
    match value {
        Value::List(items) => items.iter().all(is_sorted),
        Value::Dict(pairs) => {
            pairs.iter().all(|(_, value)| is_sorted(value)) && pairs.is_sorted_by(|a, b| a.0 < b.0)
        }
        Value::Int(_) | Value::Bytes(_) => true,
    }
}
