//! Stage 2: read a .torrent file, and compute the 20 bytes that identify a torrent.
//!
//! A .torrent file says two things: which trackers to ask for peers
//! (`announce`), and what the content is (`info`): its files, and a SHA-1 for
//! every piece of them. The SHA-1 of `info` itself is the *info hash*, the
//! torrent's name in every later conversation.
//!
//! * **Run it:** `piecemeal info lab/sample.torrent`
//! * **Spec:** BEP 3, "metainfo files"; BEP 12, 27, 47; **chapter:** `docs/02-metainfo.md`
//! * **Builds on:** [`Value`] from stage 1
//!
//! # In the file
//! ```text
//! d
//!   8:announce       the URL of a tracker
//!   13:announce-list tiers of such URLs (BEP 12); replaces announce
//!   5:nodes, 8:url-list   other places to look (BEP 5, 19)
//!   4:info           d                                   <- from this d ..
//!                      4:name         a file, or a folder
//!                      12:piece length bytes in a piece
//!                      6:pieces       20 bytes for each piece
//!                      6:length       one file: its size
//!                      5:files        or a list of  d 6:length .. 4:path l .. e e
//!                      7:private      1: peers from the tracker only
//!                    e                                   <- .. to this e: hash exactly these bytes
//! e
//! ```
//! # Decisions
//! * **Hash the bytes, not the meaning.** Unknown keys are hashed like the rest.
//!   A client that decodes into a struct and encodes that again gets a wrong
//!   info hash for the first torrent with a key it does not know.
//! * **[`PieceIndex`] is made only by [`Info`],** so holding one proves that the piece
//!   exists.
//! * **Seams.** [`piece_check`] hashes pieces for all stages: SHA-1 need not be the only way.
//!   [`InfoReader`] reads info dictionaries, and [`Parts`] makes an [`Info`], for other formats.
//! * **Names are untrusted.** [`paths`] turns them into paths that are safe to
//!   join to an output folder.
//! * **Left out:** version 2 torrents (BEP 52). A hybrid one is read as version 1.
//!
//! # In two sittings
//! 1. This file, `keys`, `names`, `pieces`, `paths` and `trackers`: what every download needs.
//! 2. `piece_check` and `parts`, through which other kinds of torrents plug in; `other_sources`.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub(crate) mod keys;
mod names;
pub mod other_sources;
mod parts;
pub mod paths;
pub mod piece_check;
mod pieces;
pub mod trackers;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use self::keys::{TEXT, broken, need, shortened};
pub use self::names::{InfoHash, InfoReader, Names};
pub use self::parts::Parts;
use self::piece_check::{PieceCheck, PieceHashes};
pub use self::pieces::PieceIndex;
use self::pieces::Shape;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::{BencodeError, Value, counted, decode, decode_prefix, printable};

/// The largest .torrent file that is read, in bytes. All of it is in memory while it is read.
pub const MAX_TORRENT_FILE: u64 = 64 << 20;
/// The most pieces a torrent may have. The hashes of this many take 40 of the 64 MiB that a
/// file may have.
pub const MAX_PIECES: u64 = 1 << 21;
/// The longest piece, in bytes.
pub const MAX_PIECE_LENGTH: u64 = 512 << 20;
/// The longest comment or program name that is kept, in bytes: more than anyone reads. The
/// rest is cut off.
pub const MAX_TEXT_LENGTH: usize = 16 << 10;

/// A whole .torrent file.
#[derive(Debug, Clone, PartialEq)]
pub struct Metainfo {
    /// Tracker URLs in tiers: those of one tier are alternatives. From `announce-list` if it has a
    /// usable URL, else the single URL of `announce`.
    pub tiers: Vec<Vec<String>>,
    /// `nodes`: ways into the DHT, each a host and a port (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// `url-list`: web servers that also have the content (BEP 19).
    pub web_seeds: Vec<String>,
    /// What the content is.
    pub info: Info,
    /// `comment`: free text from whoever made the torrent.
    pub comment: Option<String>,
    /// `created by`: the program that made the torrent.
    pub created_by: Option<String>,
    /// `creation date`, in seconds since 1970 (UTC).
    pub creation_date: Option<u64>,
    /// What was broken outside the info dictionary but is not needed: a few notes at most.
    /// [`Info::passed_over`] has what was broken inside.
    pub passed_over: Vec<String>,
}

impl Metainfo {
    /// Reads a .torrent file of at most [`MAX_TORRENT_FILE`] bytes.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a torrent.
    pub fn read(path: &Path) -> Result<Metainfo, MetainfoError> {
        Metainfo::from_bytes(&Metainfo::bytes_at(path)?)
    }

    /// Returns the bytes of a .torrent file of at most [`MAX_TORRENT_FILE`].
    ///
    /// # Errors
    /// If the file cannot be read, or is larger.
    pub fn bytes_at(path: &Path) -> Result<Vec<u8>, MetainfoError> {
        let mut bytes = Vec::new();
        // One byte more than allowed shows that there is more. Asking for the file's size
        // first would not do: a pipe has none.
        File::open(path)?.take(MAX_TORRENT_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_TORRENT_FILE {
            return Err(MetainfoError::TooLarge);
        }
        Ok(bytes)
    }

    /// Reads the bytes of a .torrent file. Bytes after its dictionary are passed over: some servers
    /// append an error message or a few zeros.
    ///
    /// # Errors
    /// If they are not bencode, or not a torrent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Metainfo, MetainfoError> {
        Metainfo::from_bytes_by(bytes, |_, info| Info::from_value(info))
    }

    /// Reads the bytes of a .torrent file of any format. `read` takes the whole dictionary and the
    /// value of `info`; all else is the same in every format.
    ///
    /// # Errors
    /// If they are not bencode or not a torrent, or `read` fails.
    pub fn from_bytes_by(
        bytes: &[u8],
        read: impl FnOnce(&Value, &Value) -> Result<Info, MetainfoError>,
    ) -> Result<Metainfo, MetainfoError> {
        let top = decode_prefix(bytes)?;
        if top.dictionary().is_none() {
            return Err(broken("the file", "a dictionary".to_owned(), top.type_name()));
        }
        // Keep the value, not its pairs: its raw bytes are what gets hashed.
        let info =
            need(&top, "", "info", "a dictionary", |value| value.dictionary().map(|_| value))?;
        let info = read(&top, info)?;
        let mut notes = PassedOver::default();
        // An editor's newline is not worth a note.
        let rest = bytes.get(top.raw.len()..).unwrap_or_default().trim_ascii_end().len();
        if rest > 0 {
            notes.add(|| {
                format!("{} after the end of the torrent: passed over", counted(rest, "byte"))
            });
        }
        let tiers = trackers::tiers(&top, &mut notes);
        let nodes = other_sources::nodes(&top, &mut notes);
        let web_seeds = other_sources::web_seeds(&top, &mut notes);
        let mut text = |key: &str| {
            let text = notes.read(&top, key, TEXT, Value::text)?;
            Some(shortened(key, text, &mut notes))
        };
        let (comment, created_by) = (text("comment"), text("created by"));
        let creation_date =
            notes.read(&top, "creation date", "seconds since 1970", Value::unsigned);
        Ok(Metainfo {
            tiers,
            nodes,
            web_seeds,
            info,
            comment,
            created_by,
            creation_date,
            passed_over: notes.into_notes(),
        })
    }

    /// Every tracker URL, first tier first.
    pub fn trackers(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().flatten().map(String::as_str)
    }
}

/// What the content is: the info dictionary.
///
/// ```text
/// files    | first       | second   | third                  |   end to end, in this order
/// pieces   | 0     | 1     | 2     | 3     | 4     | 5     | 6|   one length, but for the last
/// ```
#[derive(Debug, Clone)]
pub struct Info {
    /// Identifies the torrent everywhere.
    pub info_hash: InfoHash,
    /// The dictionary's bytes, `d` to `e`: the bytes that were hashed. They are kept because
    /// peers with only a magnet link ask us for them (stage 8).
    pub raw: Vec<u8>,
    /// The suggested name of the file or folder: one safe path component.
    pub name: String,
    /// The length of every piece but the last, in bytes.
    pub piece_length: u32,
    /// The length of all pieces together, in bytes. Padding counts if a piece covers it, as it
    /// does in a torrent of version 1.
    pub length: u64,
    /// The files in order, one after the other without gaps. A piece may cover
    /// the end of one and the start of the next.
    pub files: Vec<FileEntry>,
    /// Whether there is a `files` list. Then `name` is a folder, even if it holds
    /// a single file.
    pub multi_file: bool,
    /// `private`: peers may come from the torrent's trackers only (BEP 27).
    pub private: bool,
    /// What was broken inside and is not needed, or was repaired in a way that the user
    /// should know about: a sentence each, a few at most.
    pub passed_over: Vec<String>,
    /// Recognizes each piece by its hash.
    pub check: Arc<dyn PieceCheck>,
    /// All names that peers may use for the torrent. One of version 1 has one.
    pub names: Names,
    /// How the pieces cover the files.
    shape: Shape,
}

impl PartialEq for Info {
    /// Compares the bytes that were hashed: everything else was read from them.
    fn eq(&self, other: &Info) -> bool {
        self.raw == other.raw
    }
}

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it goes, below the output folder (or, without `files`, the name of
    /// the single file). Safe to join. Empty for padding.
    pub path: PathBuf,
    /// Where it starts in the whole content, in bytes.
    pub offset: u64,
    /// Its size in bytes. An empty file has a place in the list, but no piece touches it.
    pub length: u64,
    /// Padding (BEP 47) makes the next file start at a piece boundary. It counts
    /// as zeros and is never written.
    pub padding: bool,
}

impl Info {
    /// Reads the bytes of an info dictionary, as stage 8 fetches them from a peer.
    ///
    /// # Errors
    /// If they are not bencode, or not an info dictionary.
    pub fn from_bytes(raw: &[u8]) -> Result<Info, MetainfoError> {
        Info::from_value(&decode(raw)?)
    }

    /// Reads an info dictionary that has been decoded already. Each key is checked on its own, and
    /// last `pieces` against the files.
    ///
    /// # Errors
    /// If it is not an info dictionary.
    pub fn from_value(info: &Value) -> Result<Info, MetainfoError> {
        let mut notes = PassedOver::default();
        check_version(info, &mut notes)?;
        let piece_length =
            need(info, "info", "piece length", "a positive integer", Value::unsigned)?;
        if !(1..=MAX_PIECE_LENGTH).contains(&piece_length) {
            return Err(broken(
                "info.piece length",
                format!("1 to {MAX_PIECE_LENGTH}"),
                piece_length,
            ));
        }
        let hashes = need(info, "info", "pieces", "a byte string", Value::bytes)?;

        let multi_file = info.get("files").is_some();
        // With both, two clients could see two different contents under one info hash.
        if let (Some(_), Some(files)) = (info.get("length"), info.get("files")) {
            return Err(broken(
                "info.files",
                "left out where info.length is (BEP 3)".to_owned(),
                files.type_name(),
            ));
        }
        let (name, files) =
            if multi_file { paths::many(info, &mut notes)? } else { paths::one(info, &mut notes)? };
        let length = files.last().map_or(0, |last| last.offset + last.length);
        let pieces = count(hashes.len() as u64, length, piece_length)?;
        let info_hash = InfoHash::of(info.raw);
        Ok(Info {
            info_hash,
            names: info_hash.into(),
            raw: info.raw.to_vec(),
            name,
            piece_length: u32::try_from(piece_length).expect("at most 512 MiB was checked above"),
            length,
            files,
            multi_file,
            // As in libtorrent: whatever a number other than 0 means, it is not "no".
            private: notes
                .read_inside(info, "info", "private", "0 or 1", Value::integer)
                .is_some_and(|private| private != 0),
            passed_over: notes.into_notes(),
            check: Arc::new(PieceHashes(hashes.as_chunks().0.to_vec())), // a multiple of 20
            shape: Shape { pieces, is_aligned: false },
        })
    }
}

/// Refuses a format that we cannot read. BEP 52: check the version before anything else, since
/// another version may give every key a new meaning.
fn check_version(info: &Value, notes: &mut PassedOver) -> Result<(), MetainfoError> {
    match notes.read_inside(info, "info", "meta version", "an integer", Value::integer) {
        // It says that it is of some version. Without pieces, that is what is wrong with it.
        None if info.get("pieces").is_none() && info.get("meta version").is_some() => {
            need(info, "info", "meta version", "the integer 2", Value::integer).map(drop)
        }
        None => Ok(()),
        // A hybrid torrent has a complete version 1 part.
        Some(2) if info.get("pieces").is_some() => Ok(()),
        Some(2) => Err(MetainfoError::VersionTwo),
        Some(found) => Err(MetainfoError::NewerFormat { found }),
    }
}

/// Returns the number of pieces that the files make, and checks that `pieces`, of `found` bytes,
/// has 20 for each of them (BEP 3). Content of no bytes has no pieces.
fn count(found: u64, length: u64, piece_length: u64) -> Result<u32, MetainfoError> {
    let count = length.div_ceil(piece_length);
    if count > MAX_PIECES {
        return Err(broken("info.pieces", format!("at most {MAX_PIECES} pieces"), count));
    }
    if found != count * 20 {
        let expected = format!("{} bytes for {count} pieces", count * 20);
        return Err(broken("info.pieces", expected, format!("{found} bytes")));
    }
    Ok(u32::try_from(count).expect("at most 2^21 was checked above"))
}

/// Why some bytes are not a torrent we can use.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the error texts say what they are
pub enum MetainfoError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is over [`MAX_TORRENT_FILE`].
    #[error("the file is over {MAX_TORRENT_FILE} bytes: no torrent is that large")]
    TooLarge,
    /// It is not bencode (stage 1).
    #[error(transparent)]
    Bencode(#[from] BencodeError),
    /// A key that every torrent has is missing.
    #[error("the key {path} is missing; it must be {expected}")]
    Missing { path: String, expected: &'static str },
    /// A key's value breaks a rule.
    #[error("{} must be {expected}, but is {}", printable(path), printable(found))]
    Broken { path: String, expected: String, found: String },
    /// A name that must not become a path.
    #[error("{path}: {why}: \"{}\"", printable(name))]
    UnsafePath { path: String, why: &'static str, name: String },
    /// A `meta version` other than 2 (BEP 52).
    #[error(
        "info.meta version is {found}, but only 2 is known (BEP 52): the torrent is of an unknown format"
    )]
    NewerFormat { found: i64 },
    /// Version 2 only (BEP 52).
    #[error(
        "this is a version 2 torrent (BEP 52) without a version 1 part: it cannot be downloaded yet"
    )]
    VersionTwo,
    /// A rule of a format that another stage reads.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
