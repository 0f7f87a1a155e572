//! Stage 4: agree on the torrent with a 68-byte handshake.
//!
//! The first thing each side sends. It names the torrent and the sender. If
//! the torrents differ, there is nothing to talk about: the connection ends.
//!
//! * **Run it:** `piecemeal handshake lab/sample.torrent 127.0.0.2:6881`
//! * **Spec:** BEP 3, "peer protocol"; **chapter:** `docs/04-handshake.md`
//! * **Builds on:** [`InfoHash`] from stage 2, [`PeerId`] from stage 3
//!
//! # On the wire
//! ```text
//! 0    1                       20         28          48        68
//! | 19 | "BitTorrent protocol" | reserved | info hash | peer id |
//! ```
//! # Decisions
//! * **The first byte decides.** If it is not 19, this is not BitTorrent: a web server
//!   is recognized at once, without waiting for more. After it come exactly 67 bytes:
//!   no parser state.
//! * **Reserved bytes stay raw.** Each later stage knows its own bit and asks
//!   for it with [`Handshake::has_bit`].
//! * **Deadlines, not timeouts.** A peer that sends a byte a second never lets a read time out;
//!   [`transport`] reads until a point in time instead.
//! * **Left out:** answering. The side that was dialed reads before it writes (stage 16).

pub mod descriptors;
pub mod origin;
pub mod race;
pub mod transport;

use std::io::{self, Read, Write};

use thiserror::Error;

use crate::s01_bencode::excerpt;
use crate::s02_metainfo::{InfoHash, Names};
use crate::s03_tracker::PeerId;

/// What every handshake starts with: a length byte, 19 (0x13), and the protocol's name.
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The size of a handshake in bytes.
pub const HANDSHAKE_LENGTH: usize = 68;

/// What one side says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// Eight bytes, all zero in BEP 3. Extensions have since taken a bit each.
    pub reserved: [u8; 8],
    /// The torrent this connection is about, from its first message to its last.
    pub info_hash: InfoHash,
    /// The sender. Only a claim: two peers may say the same id.
    pub peer_id: PeerId,
}

impl Handshake {
    /// A handshake without any extension.
    pub fn new(info_hash: InfoHash, peer_id: PeerId) -> Handshake {
        Handshake { reserved: [0; 8], info_hash, peer_id }
    }

    /// The same handshake with one reserved bit (0 to 63) set. Bits are counted from the right,
    /// as in the specifications: bit 0 is the last bit of the last byte.
    pub fn with_bit(mut self, bit: usize) -> Handshake {
        self.reserved[7 - bit / 8] |= 1 << (bit % 8);
        self
    }

    /// Whether the reserved bit (0 to 63) is set, counted from the right.
    pub fn has_bit(&self, bit: usize) -> bool {
        self.reserved[7 - bit / 8] & 1 << (bit % 8) != 0
    }

    /// Encodes the 68 bytes.
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH]; // 1 + 19 + 8 + 20 + 20
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }

    /// Reads one handshake: 68 bytes and not one more, since messages may follow at once.
    ///
    /// # Errors
    /// If the stream ends or fails first, or the other side speaks another protocol.
    pub fn read_from(stream: &mut impl Read) -> Result<Handshake, HandshakeError> {
        let (reserved, info_hash) = Handshake::read_opening(stream)?;
        Ok(Handshake { reserved, info_hash, peer_id: Handshake::read_peer_id(stream)? })
    }

    /// Reads the first 48 bytes, which include the reserved ones and the info hash. The side
    /// that was dialed can answer as soon as it knows these.
    ///
    /// # Errors
    /// As [`Handshake::read_from`].
    pub fn read_opening(stream: &mut impl Read) -> Result<([u8; 8], InfoHash), HandshakeError> {
        // One plain read first: `read_exact` would wait for all 20 bytes.
        let mut name = [0; 20];
        let come = stream.read(&mut name).map_err(HandshakeError::ended)?;
        // A server of another protocol may send a few bytes and then wait for us, so the
        // first byte decides.
        if come > 0 && name[0] == PROTOCOL[0] {
            stream.read_exact(&mut name[come..]).map_err(HandshakeError::ended)?;
        }
        match come {
            0 => return Err(HandshakeError::HungUp),
            _ if name != *PROTOCOL => {
                return Err(HandshakeError::OtherProtocol {
                    found: excerpt(name.get(..come).unwrap_or(&name)),
                });
            }
            _ => {}
        }
        let (mut reserved, mut info_hash) = ([0; 8], [0; 20]);
        stream.read_exact(&mut reserved).map_err(HandshakeError::ended)?;
        stream.read_exact(&mut info_hash).map_err(HandshakeError::ended)?;
        Ok((reserved, InfoHash(info_hash)))
    }

    /// Reads the last 20 bytes: the peer id.
    ///
    /// # Errors
    /// If the stream ends or fails first.
    pub fn read_peer_id(stream: &mut impl Read) -> Result<PeerId, HandshakeError> {
        let mut peer_id = [0; 20];
        stream.read_exact(&mut peer_id).map_err(HandshakeError::ended)?;
        Ok(PeerId(peer_id))
    }
}

/// Sends our handshake, then waits for the peer's. The peer may answer with any of the torrent's
/// names.
///
/// We write before we read. A peer that offers several torrents cannot answer
/// until it knows which one we mean. If both sides read first, they would
/// wait for each other forever.
///
/// # Errors
/// If the peer hangs up, speaks another protocol, or serves another torrent.
pub fn exchange<S: Read + Write>(
    stream: &mut S,
    ours: &Handshake,
    names: &Names,
) -> Result<Handshake, HandshakeError> {
    stream.write_all(&ours.encode()).map_err(HandshakeError::ended)?;
    let theirs = Handshake::read_from(stream)?;
    if !names.has(theirs.info_hash) {
        return Err(HandshakeError::OtherTorrent {
            expected: ours.info_hash,
            found: theirs.info_hash,
        });
    }
    // Trackers name us to ourselves, like any other peer of the torrent.
    if theirs.peer_id == ours.peer_id {
        return Err(HandshakeError::Ourselves);
    }
    Ok(theirs)
}

/// Why a handshake failed.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum HandshakeError {
    /// The connection could not be made, or broke, or was too slow.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection, most often because it does not have the torrent.
    #[error("the peer hung up before its handshake was complete")]
    HungUp,
    /// Whatever answers there is not a BitTorrent peer.
    #[error("a BitTorrent handshake was expected, but found \"{found}\"")]
    OtherProtocol { found: String },
    /// The peer answered for a torrent other than ours.
    #[error("the peer serves another torrent: expected info hash {expected}, found {found}")]
    OtherTorrent { expected: InfoHash, found: InfoHash },
    /// Our own peer id came back: a tracker had given us our own address.
    #[error("the peer is ourselves")]
    Ourselves,
}

impl HandshakeError {
    /// Gives an I/O error during a handshake its meaning. The ways to report that the other side
    /// has gone become `HungUp`; a deadline's error says what was expected.
    fn ended(error: io::Error) -> HandshakeError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => HandshakeError::HungUp,
            kind @ io::ErrorKind::TimedOut => HandshakeError::Io(io::Error::new(
                kind,
                format!("its handshake was expected, but {error}"),
            )),
            _ => HandshakeError::Io(error),
        }
    }
}
