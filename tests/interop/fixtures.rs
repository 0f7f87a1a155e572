//! The torrents: what is in them, and whether a download is it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::content::Content;

/// How the metainfo is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    V1,
    /// v1 and v2 in one info dictionary, with padding files.
    Hybrid,
    /// A piece length that libtorrent reads but will not write.
    ByHand,
}

/// A torrent that is not made yet.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The name for the table and for the .torrent file.
    pub label: &'static str,
    /// The `name` in the torrent.
    pub name: &'static str,
    pub kind: Kind,
    pub piece_length: u64,
    /// Paths below `name`; a single-file torrent has one, which is empty.
    pub files: Vec<(&'static str, u64)>,
}

/// One of everything that a client may trip over.
pub fn every_fixture() -> Vec<Fixture> {
    vec![
        Fixture {
            label: "single file",
            name: "single.bin",
            kind: Kind::V1,
            piece_length: 65_536,
            files: vec![("", 5_255_225)],
        },
        Fixture {
            label: "many files",
            name: "many",
            kind: Kind::V1,
            piece_length: 32_768,
            files: vec![
                ("empty", 0),
                ("first.txt", 700),
                ("nested/deeper/last.bin", 1_234_567),
                ("süß 日本/ファイル.bin", 2_000_000),
            ],
        },
        Fixture {
            label: "hybrid, padded",
            name: "hybrid",
            kind: Kind::Hybrid,
            piece_length: 65_536,
            files: vec![
                ("a.txt", 700),
                ("b.bin", 2_100_000),
                ("c/empty", 0),
                ("c/tail.bin", 300_001),
            ],
        },
        Fixture {
            // 50,000 is also no multiple of a block: each piece ends in a short one.
            label: "piece length 50,000",
            name: "odd piece length.bin",
            kind: Kind::ByHand,
            piece_length: 50_000,
            files: vec![("", 3_333_333)],
        },
        Fixture {
            label: "last piece 1 byte",
            name: "one-byte-more.bin",
            kind: Kind::V1,
            piece_length: 262_144,
            files: vec![("", 1_048_577)],
        },
    ]
}

/// A single file of this length.
pub fn one_file(name: &'static str, length: u64, piece_length: u64) -> Fixture {
    Fixture { label: name, name, kind: Kind::V1, piece_length, files: vec![("", length)] }
}

impl Fixture {
    pub fn length(&self) -> u64 {
        self.files.iter().map(|(_, length)| length).sum()
    }

    pub fn is_folder(&self) -> bool {
        self.files != [("", self.length())]
    }

    fn contents(&self) -> impl Iterator<Item = (&'static str, Content)> {
        let seed = self
            .name
            .bytes()
            .fold(0, |seed: u64, byte| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
        let files = self.files.iter().enumerate();
        files.map(move |(index, &(path, length))| {
            (path, Content { seed: seed ^ ((index as u64) << 40), length })
        })
    }

    /// The bytes of a single-file torrent.
    pub fn content(&self) -> Content {
        self.contents().next().expect("every fixture has a file").1
    }

    /// Writes the files below `folder`, under the torrent's name. Outside
    /// `held`, a single file is zeros: a client that checks it finds a part.
    pub fn write(&self, folder: &Path, held: &Range<u64>) {
        for (path, content) in self.contents() {
            content
                .write(&join(&folder.join(self.name), path), held)
                .expect("the content can be written");
        }
    }

    /// Compares a download with what was seeded: every file byte for byte, and
    /// no file besides, so that padding on the disk is an error too.
    pub fn compare(&self, out: &Path) -> Result<(), String> {
        let mut expected = BTreeSet::new();
        for (path, content) in self.contents() {
            let path = join(out, path);
            content.compare(&path)?;
            expected.insert(path);
        }
        self.nothing_besides(out, &expected)
    }

    /// The same for a client that leaves empty files out and keeps padding.
    /// Returns what it did of that.
    pub fn compare_loosely(&self, out: &Path) -> Result<String, String> {
        let mut expected = BTreeSet::new();
        let (mut empty, mut padding) = ("", "");
        for (path, content) in self.contents() {
            let path = join(out, path);
            if content.length == 0 && !path.exists() {
                empty = ", but for an empty file";
            } else {
                content.compare(&path)?;
            }
            expected.insert(path);
        }
        for pad in files_below(&out.join(".pad")).into_iter().filter(|path| path.exists()) {
            padding = ", and the padding";
            expected.insert(pad);
        }
        self.nothing_besides(out, &expected)?;
        Ok(format!("{empty}{padding}"))
    }

    fn nothing_besides(&self, out: &Path, expected: &BTreeSet<PathBuf>) -> Result<(), String> {
        let found = files_below(out);
        match found.iter().find(|path| !expected.contains(*path)) {
            Some(extra) => Err(format!("{} should not be there", extra.display())),
            None => Ok(()),
        }
    }
}

/// A torrent that exists.
#[derive(Clone, Debug)]
pub struct Torrent {
    pub fixture: Fixture,
    /// In 40 hex digits, computed by the Python file and not by us.
    pub info_hash: String,
    /// A hybrid's second name, which clients that know v2 announce too.
    pub info_hash_v2: Option<String>,
    pub announced: PathBuf,
    /// The same torrent without a tracker, so that seeders do not meet.
    pub trackerless: PathBuf,
    announce: String,
    /// Whom a client is told of by hand.
    pub peers: Vec<SocketAddrV4>,
}

impl Torrent {
    pub fn magnet(&self) -> String {
        let announce = self.announce.replace(':', "%3A").replace('/', "%2F");
        format!("{}&tr={announce}", self.magnet_without_tracker())
    }

    pub fn magnet_without_tracker(&self) -> String {
        format!("magnet:?xt=urn:btih:{}&dn={}", self.info_hash, self.fixture.name.replace(' ', "+"))
    }
}

impl Torrent {
    /// The same torrent for a client that is told of these peers.
    pub fn with_peers(&self, peers: &[SocketAddrV4]) -> Self {
        Self { peers: peers.to_vec(), ..self.clone() }
    }

    /// A magnet link that names the peers itself.
    pub fn magnet_with_peers(&self) -> String {
        let peers: String = self.peers.iter().map(|peer| format!("&x.pe={peer}")).collect();
        self.magnet_without_tracker() + &peers
    }
}

/// Has the Python file make the torrents, with `content` as a place to work.
pub fn make(
    python: &Path,
    fixtures: &[Fixture],
    folder: &Path,
    announce: &str,
) -> Result<Vec<Torrent>, String> {
    let content = folder.join("content");
    let (mut torrents, mut wishes) = (Vec::new(), Vec::new());
    for fixture in fixtures {
        if !content.join(fixture.name).exists() {
            fixture.write(&content, &(0..u64::MAX));
        }
        let announced = folder.join(format!("{}.torrent", fixture.label));
        let trackerless = folder.join(format!("{}, no tracker.torrent", fixture.label));
        wishes.push(json!({
            "content": content.join(fixture.name),
            "piece_length": fixture.piece_length,
            "kind": match fixture.kind { Kind::V1 => "v1", Kind::Hybrid => "hybrid", Kind::ByHand => "by_hand" },
            "announce": announce,
            "announced": announced,
            "trackerless": trackerless,
        }));
        torrents.push(Torrent {
            fixture: fixture.clone(),
            info_hash: String::new(),
            info_hash_v2: None,
            announced,
            trackerless,
            announce: announce.to_owned(),
            peers: Vec::new(),
        });
    }
    let mut child = Command::new(python)
        .arg(python_file())
        .arg("make")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin
        .write_all(Value::from(wishes).to_string().as_bytes())
        .map_err(|error| error.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let answer: Vec<Vec<String>> = serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .and_then(|lists| lists.as_array().map(|lists| lists.iter().map(strings).collect()))
        .ok_or("make_and_join.py made no torrents")?;
    for (torrent, hashes) in torrents.iter_mut().zip(answer) {
        let mut hashes = hashes.into_iter();
        torrent.info_hash = hashes.next().ok_or("make_and_join.py printed no info hash")?;
        torrent.info_hash_v2 = hashes.next();
    }
    Ok(torrents)
}

/// libtorrent's side of this suite.
pub fn python_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/make_and_join.py")
}

/// WebTorrent's side of this suite.
pub fn webtorrent_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/webtorrent.js")
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// Like `Path::join`, but an empty path adds no slash.
fn join(folder: &Path, path: &str) -> PathBuf {
    if path.is_empty() { folder.to_owned() } else { folder.join(path) }
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.flat_map(|entry| files_below(&entry.path())).collect()
}
