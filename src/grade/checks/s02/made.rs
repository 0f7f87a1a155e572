//! A .torrent file that is made for one question, with hashes of nothing in particular; what `info`
//! says about it; and which mistake makes which wrong info hash.

use std::borrow::Cow;

use crate::actors::bencode::{bytes, dict, int, list};
use crate::actors::torrent::sha1;
use crate::grade::check::Finding;
use crate::grade::scene::Scene;

/// The keys of an info dictionary that everybody knows.
const KNOWN: [&str; 5] = ["files", "length", "name", "piece length", "pieces"];

/// What a .torrent file is made of.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The URLs in the order of the file, the one of `announce` first.
    pub trackers: Vec<String>,
    pub length: u64,
    /// The length of each file, if there are several.
    pub files: Vec<u64>,
    pub piece_length: u64,
    pub hashes: Vec<u8>,
    /// The info dictionary, in its order in the file.
    pub info: Vec<(&'static str, Vec<u8>)>,
    /// The keys between `announce` and `info`.
    pub before: Vec<(&'static str, Vec<u8>)>,
    /// The keys after `info`.
    pub behind: Vec<(&'static str, Vec<u8>)>,
}

impl Made {
    /// Returns a torrent of one file, whose last piece is short.
    pub(super) fn of_pieces(scene: &mut Scene, pieces: u64) -> Made {
        let piece_length = *scene.dice.one_of(&[16_384, 32_768, 49_152, 65_536, 262_144]);
        let length = (pieces - 1) * piece_length + scene.dice.number(1, piece_length - 1);
        let hashes = scene.dice.bytes(20 * pieces as usize);
        let name = format!("{}.bin", scene.dice.word(8));
        let info = vec![
            ("length", int(length as i64)),
            ("name", bytes(name)),
            ("piece length", int(piece_length as i64)),
            ("pieces", bytes(&hashes)),
        ];
        let trackers = vec![url(scene)];
        let (files, before, behind) = (Vec::new(), Vec::new(), Vec::new());
        Made { trackers, length, files, piece_length, hashes, info, before, behind }
    }

    /// Puts a key into the info dictionary, in its sorted place, or gives it another value.
    pub(super) fn set(&mut self, key: &'static str, value: Vec<u8>) {
        self.unset(key);
        self.info.push((key, value));
        self.info.sort_by_key(|(key, _)| *key);
    }

    /// Takes a key out of the info dictionary.
    pub(super) fn unset(&mut self, key: &str) {
        self.info.retain(|(other, _)| *other != key);
    }

    /// Returns the bytes of the .torrent file.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut pairs: Vec<_> =
            self.trackers.first().map(|url| ("announce", bytes(url))).into_iter().collect();
        pairs.extend(self.before.iter().cloned());
        pairs.push(("info", dict(&self.info)));
        pairs.extend(self.behind.iter().cloned());
        dict(&pairs)
    }

    /// Returns what `info` prints about it.
    fn lines(&self) -> String {
        let mut lines: Vec<String> =
            self.trackers.iter().map(|url| format!("Tracker URL: {url}")).collect();
        lines.push(format!("Length: {}", self.length));
        lines.push(format!("Info Hash: {}", hex::encode(sha1(&dict(&self.info)))));
        lines.push(format!("Piece Length: {}", self.piece_length));
        lines.push("Piece Hashes:".to_owned());
        lines.extend(self.hashes.chunks(20).map(hex::encode));
        lines.join("\n")
    }

    /// Insists that `info` prints exactly this.
    pub(super) fn is_told(&self, scene: &mut Scene) -> Finding {
        let name = format!("{}.torrent", scene.dice.word(6));
        let path = scene.file(&name, self.file())?;
        let outcome = scene.run(&["info".to_owned(), path])?;
        let (expected, found) = (self.lines(), outcome.text());
        outcome.prints(&expected).map_err(|miss| {
            let mut lines = expected.lines().zip(found.lines());
            let parted = lines.find(|(expected, found)| expected != found);
            match parted.and_then(|(expected, found)| self.cause(expected, found)) {
                Some(cause) => miss.likely(cause),
                None => miss,
            }
        })
    }

    /// Returns the likely cause of a wrong line.
    fn cause(&self, expected: &str, found: &str) -> Option<String> {
        let value = found.rsplit(' ').next()?;
        if expected.starts_with("Info Hash: ") {
            return self.cause_of_hash(value);
        }
        let cause = if found.to_lowercase() == expected {
            "hashes are shown in small letters"
        } else if expected.starts_with("Tracker URL: ") && found.contains("'") {
            "that is your language's own spelling of bytes: turn them into text first"
        } else if expected.starts_with("Tracker URL: ") && found.starts_with("Length: ") {
            "announce-list has all trackers, in tiers; announce is for clients that do not know it"
        } else if expected.starts_with("Length: ") && value == self.sum_of_pieces() {
            "the last piece is as short as it has to be: the length is a key of its own"
        } else if expected.starts_with("Length: ") && !self.files.is_empty() {
            "without `length`, add up the lengths in `files`"
        } else if !expected.contains(' ') && value.len() > 40 {
            "each 20 bytes of `pieces` are one hash, on a line of its own"
        } else {
            return None;
        };
        Some(cause.to_owned())
    }

    fn sum_of_pieces(&self) -> String {
        (self.hashes.len() as u64 / 20 * self.piece_length).to_string()
    }

    /// Returns the mistake that makes this wrong info hash.
    fn cause_of_hash(&self, found: &str) -> Option<String> {
        let (file, info) = (self.file(), dict(&self.info));
        let mut sorted = self.info.clone();
        sorted.sort_by_key(|(key, _)| *key);
        let known: Vec<_> = sorted.iter().filter(|(key, _)| KNOWN.contains(key)).cloned().collect();
        let others: Vec<&str> =
            sorted.iter().map(|(key, _)| *key).filter(|key| !KNOWN.contains(key)).collect();
        let is = |bytes: &[u8]| found.eq_ignore_ascii_case(&hex::encode(sha1(bytes)));
        let after = |place: Option<usize>| place.and_then(|at| file.get(at + 6..));
        let first = after(file.windows(6).position(|part| part == b"4:info")).unwrap_or_default();
        let latin: String = info.iter().map(|byte| char::from(*byte)).collect();
        let as_text = match String::from_utf8_lossy(&info) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        };
        let cause = if is(&info) {
            "hashes are shown in small letters".to_owned()
        } else if !others.is_empty() && is(&dict(&known)) {
            format!(
                "that is the dictionary encoded again without {}: hash the bytes in the file",
                others.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
            )
        } else if sorted != self.info && is(&dict(&sorted)) {
            "that is the dictionary encoded again with its keys sorted: hash the bytes in the file"
                .to_owned()
        } else if is(&file) {
            "that is the hash of the whole file: only the info dictionary is hashed".to_owned()
        } else if !first.starts_with(&info)
            && (0..=first.len()).any(|end| first.get(..end).is_some_and(is))
        {
            "`4:info` was searched for, and found inside a comment: read key by key".to_owned()
        } else if first.starts_with(&info) && first.get(..first.len() - 1).is_some_and(is) {
            "all bytes up to the end of the file are in that hash: stop where the dictionary ends"
                .to_owned()
        } else if is(first) || is(&info[..info.len() - 1]) || is(&info[1..info.len() - 1]) {
            "the hash begins with the d of the info dictionary, and ends with its e".to_owned()
        } else if is(&self.hashes) {
            "that is the hash of `pieces`: all of the info dictionary is hashed".to_owned()
        } else if as_text.is_some_and(|text| is(text.as_bytes())) || is(latin.as_bytes()) {
            "that is the dictionary after it was turned into text: hash bytes, not text".to_owned()
        } else {
            return None;
        };
        Some(cause)
    }
}

/// Returns one of the entries of `files`.
pub(super) fn file(length: u64, path: &[&str]) -> Vec<u8> {
    let path: Vec<Vec<u8>> = path.iter().map(bytes).collect();
    dict(&[("length", int(length as i64)), ("path", list(&path))])
}

/// Returns the URL of a tracker where nobody listens.
pub(super) fn url(scene: &mut Scene) -> String {
    let port = scene.dice.number(40_000, 65_000);
    format!("http://127.0.0.1:{port}/{}/announce", scene.dice.word(5))
}

/// Insists that `info` refuses a file with these bytes.
pub(super) fn refused(scene: &mut Scene, file: &[u8], cause: &str) -> Finding {
    let name = format!("{}.torrent", scene.dice.word(6));
    let path = scene.file(&name, file)?;
    let outcome = scene.run(&["info".to_owned(), path])?;
    outcome.refuses_silently().map_err(|miss| miss.likely(cause))
}
