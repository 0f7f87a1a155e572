//! Replay: one peer of a capture, played again to the client, with no network.
//!
//! A capture shows what two programs once said to each other. Played again, it shows
//! whether ours would still say the same. So a change that breaks the conversation with
//! Transmission is found without Transmission.
//!
//! * **Run it:** `piecemeal replay session.capture --torrent sample.torrent`
//! * **Builds on:** [`capture`](super::capture), the swarm of stage 15 and its `Dial`
//!
//! # What is played
//! The peer's handshake follows ours. Its blocks answer our requests, matched by content: a
//! request for block 3 gets block 3, in any order. Its answers for the info dictionary
//! work in the same way. Everything else that it said (bitfield, unchoke, haves, extension
//! handshakes) comes in the recorded order, each message once we have said what came before
//! it (our handshakes, `interested` and `not interested`) and as many blocks have been sent.
//! Times are not played: each message is sent as soon as it can be.
//!
//! # What is "the same"
//! The client takes part as in the capture, with the same peer id, and with peer exchange only if
//! it offered that. It must
//!
//! * send the same reserved bytes in its handshake;
//! * send the same names and ids, `reqq` and `metadata_size` in its first extension
//!   handshake, if it sent one;
//! * say `interested` and `not interested` in the same order, until the last block;
//! * verify all pieces that the capture holds whole;
//! * request the same set of blocks of these, and of parts of the info dictionary.
//!
//! # Decisions
//! * **What depends on chance and time is not compared:** the order of requests (it is
//!   random), haves, cancels and keep-alives, the program's version, addresses and ports.
//! * **Only our downloading is replayed.** The peer's requests come again, and are refused.
//! * **Pieces that came from other peers are there already.** One connection of many brings
//!   only a part, so the client starts with the rest.
//! * **We dial,** even if the peer dialed us in the capture.

mod harness;
mod player;
mod script;
mod side_record;

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::capture::Capture;
use crate::s02_metainfo::Info;

pub use script::Script;

/// The time that the played peer waits for us to say something.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The most differences that are listed.
const MAX_DIFFERENCES: usize = 20;

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The connection that was played.
    pub connection: u64,
    /// The peer that was played.
    pub peer: SocketAddr,
    /// The program that it claims to be.
    pub client: Option<String>,
    /// The number of pieces that the client received and verified.
    pub pieces: u32,
    /// The number of blocks in them.
    pub blocks: usize,
    /// The number of bytes in these blocks.
    pub bytes: u64,
    /// The first differences, a sentence each.
    pub differences: Vec<String>,
    /// The number of further differences.
    pub more: usize,
}

/// Plays a connection of a capture to the client: the one with this number, or else the
/// one with the most bytes received. Without `info` the client has to get it from the peer,
/// as with a magnet link.
///
/// # Errors
/// If the capture has nothing that can be played.
pub fn replay(
    capture: &Capture,
    connection: Option<u64>,
    info: Option<Info>,
    patience: Duration,
) -> Result<Report, ReplayError> {
    let script = Script::of(capture, connection)?;
    harness::run(script, info, patience)
}

/// Why a capture cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum ReplayError {
    /// No connection has this number.
    #[error("there is no connection {number}: {known}")]
    NoConnection { number: u64, known: String },
    /// The connection lacks something that is needed.
    #[error("connection {number}: expected {expected}, found {found}")]
    Unfit { number: u64, expected: &'static str, found: String },
    /// The torrent is a different one.
    #[error("connection {number} is about the torrent {expected}, and this one is {found}")]
    OtherTorrent { number: u64, expected: String, found: String },
}
