//! Replay: one peer of a capture, played again to the client, with no network.
//!
//! A capture shows what two programs once said to each other. Played again, it shows
//! whether ours would still say the same: an error that a change brings into the
//! conversation with Transmission is seen without Transmission.
//!
//! * **Run it:** `piecemeal replay session.capture --torrent sample.torrent`
//! * **Builds on:** [`capture`](super::capture), the swarm of stage 15 and its `Dial`
//!
//! # What is played
//! The peer's handshake follows ours. Its blocks are given for requests, by content: whoever
//! asks for block 3 gets block 3, in whatever order. Its answers for the info dictionary are
//! given in the same way. Everything else that it said (bitfield, unchoke, haves, extension
//! handshakes) comes in its order, each once we have said what had come before it: our
//! handshakes, `interested` and `not interested`, and once as many blocks have gone.
//! Times are not played: what can be said is said.
//!
//! # What is "the same"
//! The client takes part as in the capture, with its peer id of then. It must
//!
//! * send the same reserved bytes in its handshake;
//! * send the same names and ids, `reqq` and `metadata_size` in its first extension
//!   handshake, if it sent one;
//! * say `interested` and `not interested` in the same order, until the last block;
//! * verify all pieces that the capture holds whole;
//! * ask for the same blocks of these, and for the same parts of the info dictionary, as a set.
//!
//! # Decisions
//! * **What depends on chance and time is not compared:** the order of requests (it is
//!   random), haves, cancels and keep-alives, the program's version, addresses and ports.
//! * **Only our taking is replayed.** What the peer asks of us it asks again, and is refused.
//! * **Pieces that came from others are there already.** One connection of many brings
//!   only a part; the client is told that it has the rest.
//! * **We dial,** even if in the capture the peer has.

mod player;
mod script;
mod sides;
mod stage;

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::capture::Capture;
use crate::s02_metainfo::Info;

pub use script::Script;

/// How long the played peer waits for us to say something.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The most differences that are told.
const MOST_DIFFERENCES: usize = 20;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The connection that was played.
    pub connection: u64,
    /// Who is played.
    pub peer: SocketAddr,
    /// The program that it says it is.
    pub client: Option<String>,
    /// How many pieces, blocks and bytes the client has taken and verified.
    pub pieces: u32,
    /// Blocks that it took.
    pub blocks: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// What is not the same, a sentence each, the first of them.
    pub differences: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// Plays a connection of a capture to the client: the one with this number, or else the
/// one that brought most. Without `info` the client has to get it from the peer, as from a
/// magnet link.
///
/// # Errors
/// If there is nothing in the capture that could be played.
pub fn replay(capture: &Capture, connection: Option<u64>, info: Option<Info>, patience: Duration) -> Result<Report, ReplayError> {
    let script = Script::of(capture, connection)?;
    stage::perform(script, info, patience)
}

/// Why a capture cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum ReplayError {
    /// There is none with this number.
    #[error("there is no connection {number}: {known}")]
    NoConnection { number: u64, known: String },
    /// It does not have what it takes.
    #[error("connection {number}: expected {expected}, found {found}")]
    Unfit { number: u64, expected: &'static str, found: String },
    /// The torrent is another one.
    #[error("connection {number} is about the torrent {expected}, and this one is {found}")]
    OtherTorrent { number: u64, expected: String, found: String },
}
