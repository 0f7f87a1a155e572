//! Stage 8: fetch the info dictionary from a peer, knowing only its hash.
//!
//! A magnet link has no piece hashes and no file names. Peers have them: the raw bytes of the info
//! dictionary, here called the *metadata*. They come in pieces of 16 KiB. All of it must hash to
//! the info hash, so no peer need be trusted.
//!
//! * **Run it:** `piecemeal magnet_info 'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&x.pe=127.0.0.2:6881'`
//! * **Spec:** BEP 9; **chapter:** `docs/08-metadata.md`
//! * **Builds on:** [`Extensions`] from stage 7, [`Info`] from stage 2
//!
//! # On the wire
//! ```text
//! | length | 20 | id | d 8:msg_type i0e 5:piece i0e e                                   request
//! | length | 20 | id | d 8:msg_type i1e 5:piece i0e 10:total_size i31235e e | bytes ..  data
//! | length | 20 | id | d 8:msg_type i2e 5:piece i0e e                                   reject
//! ```
//! # Decisions
//! * **The bytes start where the dictionary ends,** by the decoder's own count.
//!   Encoding the dictionary again to get its length fails as soon as a peer sends
//!   a key that we do not know.
//! * **Memory grows with the bytes received,** never with the size a peer claims.
//! * **Any message in any order.** A bitfield may come in between; it is put aside
//!   and read again when the download begins.
//! * **A metadata piece is not a piece.** [`MetadataPieceIndex`] keeps them apart: the
//!   classic mistake is to ask for metadata piece 7 instead of piece 7.
//! * **Left out:** `LT_metadata`, libtorrent's first design, except for its codec in
//!   [`lt_metadata`], which says why it lost.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod lt_metadata;
pub mod message;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::message::MetadataMessage;
use crate::s02_metainfo::{Info, MetainfoError, Names};
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError};
use crate::s07_extension::extension::{Extension, Reply};
use crate::s07_extension::{
    BoxError, EXTENDED, ExtensionError, ExtensionHandshake, Extensions, encode_extended,
};

/// The extension's name in `m`, the dictionary of the extension handshake (stage 7).
pub const NAME: &str = "ut_metadata";
/// The length of every metadata piece but the last, in bytes.
pub const METADATA_PIECE_LENGTH: usize = 16 * 1024;
/// The largest info dictionary that is fetched, in bytes. Real ones reach 14 MB.
pub const MAX_METADATA: u64 = 48 << 20;
/// The longest time that a peer may take for each metadata piece.
pub const METADATA_PIECE_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of requests that are outstanding at once: 80 KiB of answers. One at a time would
/// cost a round trip for each 16 KiB.
const AHEAD: u32 = 5;
/// The time after which a waiting fetch checks whether it is still wanted.
const TICK: Duration = Duration::from_millis(250);

/// The number of a 16 KiB part of the info dictionary, counted from 0. As received: it may not
/// exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetadataPieceIndex(pub u32);

/// The raw info dictionary, once it is known. One value is shared by all sessions of a torrent. It
/// is set once, and from then on all of them offer it.
pub type Metadata = Arc<OnceLock<Arc<[u8]>>>;

/// Offers the metadata to a peer: answers each request with data if we have it,
/// with a reject if not.
pub struct UtMetadata {
    /// Empty until the info dictionary is known.
    metadata: Metadata,
    /// The number of data messages sent.
    given: usize,
}

/// The number of times a peer may fetch all the metadata. A request is 31 bytes, its answer 16 KiB:
/// a peer that asks endlessly would use us as an amplifier.
const MAX_TIMES: usize = 8;

impl UtMetadata {
    /// Offers the raw info dictionary; with `None`, rejects every request.
    pub fn new(metadata: Option<Arc<[u8]>>) -> UtMetadata {
        UtMetadata {
            metadata: Arc::new(metadata.map_or_else(OnceLock::new, OnceLock::from)),
            given: 0,
        }
    }

    /// Offers metadata that may not be known yet: another thread may be fetching it.
    pub fn shared(metadata: &Metadata) -> UtMetadata {
        UtMetadata { metadata: Arc::clone(metadata), given: 0 }
    }
}

impl Extension for UtMetadata {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Says the size, but only if we have the metadata: the size is what invites requests.
    fn offer(&self, ours: &mut ExtensionHandshake) {
        ours.metadata_size = self.metadata.get().map(|metadata| metadata.len() as u64);
    }

    /// Answers a request. Data and rejects do not come here while a fetch runs: it takes them
    /// first. Afterwards they are late answers, and ignored.
    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        if let MetadataMessage::Request { piece } = MetadataMessage::decode(payload)? {
            let metadata = self.metadata.get().map(|metadata| &**metadata).unwrap_or_default();
            // The limit is in whole copies. Without metadata this is 0 >= 0, and there is nothing
            // to give.
            let enough = self.given >= MAX_TIMES * metadata.len().div_ceil(METADATA_PIECE_LENGTH);
            let data =
                metadata.chunks(METADATA_PIECE_LENGTH).nth(piece.0 as usize).filter(|_| !enough);
            self.given += usize::from(data.is_some());
            let answer = match data {
                Some(data) => {
                    MetadataMessage::Data { piece, total_size: Some(metadata.len() as u64), data }
                }
                None => MetadataMessage::Reject { piece },
            };
            reply.send.push(answer.encode());
        }
        Ok(())
    }
}

/// Fetches the info dictionary from one peer and checks that it is the one of these names.
///
/// The extension handshakes must have been exchanged. `over` is called after each
/// message, and a few times a second; when it returns true, the fetch stops and
/// returns `None`, and the connection stays usable. The peer has
/// [`METADATA_PIECE_TIMEOUT`] for each new metadata piece, and until `deadline` for all.
///
/// # Errors
/// If the peer does not have the metadata, refuses, lies, or is too slow.
pub fn fetch_metadata(
    connection: &mut Connection,
    extensions: &mut Extensions,
    names: &Names,
    deadline: Instant,
    over: &dyn Fn() -> bool,
) -> Result<Option<Info>, MetadataError> {
    let size = offered_size(extensions)?;
    extensions.theirs.id(NAME).ok_or(MetadataError::NotOffered)?;
    let count = u32::try_from(size.div_ceil(METADATA_PIECE_LENGTH)).expect("48 MiB was checked");
    // `asked` counts from the front: each metadata piece is requested once, in order. The
    // bitfield is stage 5's, since what is needed is the same: a bit for each piece.
    let (mut metadata, mut here) = (Vec::new(), Bitfield::new(count));
    let (mut asked, mut come) = (0, 0);
    let piece_deadline = || deadline.min(Instant::now() + METADATA_PIECE_TIMEOUT);
    let mut next = piece_deadline();
    while come < count {
        // Looked up each time: a later handshake may change it.
        let id = extensions.theirs.id(NAME).ok_or(MetadataError::NotOffered)?;
        let mut requests = Vec::new();
        // An answer makes room for the next request, as in stage 9.
        while asked < count && asked < come + AHEAD {
            let request = MetadataMessage::Request { piece: MetadataPieceIndex(asked) };
            encode_extended(id, &request.encode(), &mut requests);
            asked += 1;
        }
        // All new requests in one write. After the first, a write holds one request at most.
        connection.set_deadline(next);
        connection.send_bytes(&requests)?;
        // What has come so far is given up with the fetch: it could not be checked in part.
        let Some((piece, data)) = next_data(connection, extensions, size, next, over)? else {
            return Ok(None);
        };
        // A metadata piece that comes twice, or that was not asked for, changes nothing, and
        // does not give the peer more time.
        if piece.0 < asked && here.set(piece.0, true) {
            place(&mut metadata, piece, &data);
            come += 1;
            next = piece_deadline();
        }
    }
    // Up to here, nothing was believed or used. A wrong hash does not say which metadata piece is
    // wrong; but all came from one peer, and it has lied.
    if let Some((expected, found)) = names.mismatch(&metadata) {
        return Err(MetadataError::WrongHash { expected, found });
    }
    Ok(Some(names.read(&metadata)?))
}

/// Copies a metadata piece to its place in the buffer. Joining separate pieces at the end would
/// need twice the memory.
///
/// ```text
/// | 0 | 1 | zeros | 3 |      3 came before 2: the bitfield knows that 2 is missing
/// ```
fn place(metadata: &mut Vec<u8>, piece: MetadataPieceIndex, data: &[u8]) {
    let start = piece.0 as usize * METADATA_PIECE_LENGTH;
    metadata.resize(metadata.len().max(start + data.len()), 0);
    if let Some(room) = metadata.get_mut(start..start + data.len()) {
        room.copy_from_slice(data);
    }
}

/// Returns the size of the metadata that the peer offers, in bytes, if it is within the limit. It
/// is a claim: it says how much to request, and no buffer is allocated for it.
pub(crate) fn offered_size(extensions: &Extensions) -> Result<usize, MetadataError> {
    let size = extensions.theirs.said.metadata_size.ok_or(MetadataError::NotOffered)?;
    if size == 0 || size > MAX_METADATA {
        return Err(MetadataError::Size { found: size });
    }
    Ok(usize::try_from(size).expect("48 MiB fit in memory"))
}

/// Returns the next data message; `None` if `over` says to stop. Meanwhile it answers the
/// peer's requests, and puts everything else aside.
///
/// | message | what becomes of it |
/// |---|---|
/// | 20, with data for us | returned; a reject is an error |
/// | 20, any other | the extension it belongs to hears it, and may answer |
/// | an unknown id | the extensions hear it; one of them may answer |
/// | keep-alive | dropped |
/// | everything else: `bitfield`, `have`, `unchoke` | put aside for the download (`defer`) |
fn next_data(
    connection: &mut Connection,
    extensions: &mut Extensions,
    size: usize, // of all the metadata, in bytes
    deadline: Instant,
    over: &dyn Fn() -> bool,
) -> Result<Option<(MetadataPieceIndex, Vec<u8>)>, MetadataError> {
    let mut answers = Vec::new();
    while !over() {
        // Short, so that `over` is called often. A message read in part by then is kept.
        connection.input.get_mut().set_deadline(deadline.min(Instant::now() + TICK));
        match connection.input.read() {
            Ok(Message::Unknown { id: EXTENDED, payload }) => {
                if let Some(data) = data_of(payload, extensions, size)? {
                    return Ok(Some(data));
                }
                extensions.hear(payload, &mut answers)?;
            }
            Ok(message @ Message::Unknown { .. }) => {
                extensions.hear_plain(&message, &mut answers)?;
            }
            Ok(Message::KeepAlive) => {}
            Ok(_) => connection.input.defer()?,
            Err(error) if error.is_timeout() && Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        // What an extension answers is sent at once: the peer may be waiting for it.
        connection.output.set_deadline(deadline);
        connection.send_bytes(&std::mem::take(&mut answers))?;
    }
    Ok(None)
}

/// Returns the content of a message 20 that brings metadata; `None` if it is another message, which
/// then goes to the extension that it is for.
///
/// # Errors
/// If it is broken, a reject, or does not fit the size that the peer offered.
fn data_of(
    payload: &[u8],
    extensions: &Extensions,
    size: usize,
) -> Result<Option<(MetadataPieceIndex, Vec<u8>)>, MetadataError> {
    let Some((&id, payload)) = payload.split_first() else { return Ok(None) };
    // The id is the one that *we* chose: each side is sent its own numbers (stage 7).
    if extensions.our_id(NAME) != Some(id) {
        return Ok(None);
    }
    match MetadataMessage::decode(payload)? {
        MetadataMessage::Data { piece, total_size, data } => {
            // A full piece's length, the last one's, or 0 if there is no such piece.
            let start = (piece.0 as usize).saturating_mul(METADATA_PIECE_LENGTH);
            let expected = size.saturating_sub(start).min(METADATA_PIECE_LENGTH);
            if let Some(total) = total_size.filter(|total| *total != size as u64) {
                return Err(MetadataError::TotalSize { expected: size, found: total });
            }
            if data.len() != expected {
                return Err(MetadataError::Data { piece: piece.0, expected, found: data.len() });
            }
            Ok(Some((piece, data.to_vec())))
        }
        MetadataMessage::Reject { piece } => Err(MetadataError::Rejected { piece: piece.0 }),
        MetadataMessage::Request { .. } | MetadataMessage::Unknown { .. } => Ok(None),
    }
}

/// Why a peer did not give us the info dictionary.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum MetadataError {
    /// The extension protocol failed (stage 7), or the connection below it.
    #[error("{}", match .0 {
        ExtensionError::Message(error) => format!("the info dictionary was expected, but {error}"),
        error => error.to_string(),
    })]
    Extension(#[from] ExtensionError),
    /// A metadata message is broken.
    #[error(transparent)]
    Codec(#[from] message::MetadataMessageError),
    /// The peer does not speak `ut_metadata`, or has no metadata itself.
    #[error("the peer does not offer the info dictionary")]
    NotOffered,
    /// `metadata_size` is zero, or more than any real torrent's.
    #[error("metadata_size must be 1 to {MAX_METADATA} bytes, but is {found}")]
    Size { found: u64 },
    /// The peer refused to send a metadata piece. That is its right: it may not have the
    /// dictionary yet, or have sent it often enough.
    #[error("the peer rejected the request for metadata piece {piece}")]
    Rejected { piece: u32 },
    /// The length of a metadata piece does not fit `metadata_size`.
    #[error("{}", match expected {
        0 => format!("there is no metadata piece {piece}, but {found} bytes of it came"),
        _ => format!("metadata piece {piece} must be {expected} bytes, but is {found}"),
    })]
    Data { piece: u32, expected: usize, found: usize },
    /// A data message disagrees with the peer's own extension handshake.
    #[error("total_size must be {expected} bytes as metadata_size said, but is {found}")]
    TotalSize { expected: usize, found: u64 },
    /// The peer's info dictionary is not the one that the link names.
    #[error("the info dictionary has the wrong hash: expected {expected}, found {found}")]
    WrongHash { expected: String, found: String },
    /// The info dictionary is the one the link names, but not a torrent we can use (stage 2). No
    /// other peer could send a better one.
    #[error("the info dictionary is right, but cannot be used: {0}")]
    Metainfo(#[from] MetainfoError),
}

impl From<MessageError> for MetadataError {
    fn from(error: MessageError) -> MetadataError {
        ExtensionError::from(error).into()
    }
}

impl From<std::io::Error> for MetadataError {
    fn from(error: std::io::Error) -> MetadataError {
        ExtensionError::from(error).into()
    }
}
