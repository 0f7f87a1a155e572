//! A seeder's side of the handshake, and what is wrong with the peer's.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::end::{End, SHORTEST_WAIT};
use super::peer_log::PeerLog;
use super::shared::{Holding, Shared};
use crate::lab::hints;
use crate::s04_handshake::transport::Transport;
use crate::s04_handshake::{Handshake, HandshakeError};
use crate::s05_messages::MessageError;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::EXTENSION_BIT;

/// The longest time for a peer's handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most torrents named to a peer that asks for another one.
const MAX_NAMED: usize = 3;

/// Reads the peer's handshake, and returns what is here of the torrent that it asks for. The
/// session then sends our own handshake first.
pub fn receive<'s>(
    seeder: &'s Shared,
    mut transport: Transport,
    log: &mut PeerLog,
) -> Result<(Connection, &'s Holding), End> {
    let begun = Instant::now();
    transport.set_deadline(begun + HANDSHAKE_TIMEOUT);
    let mut reader = RecordingReader { transport: &mut transport, bytes: Vec::new() };
    let theirs = Handshake::read_from(&mut reader).map_err(|error| match error {
        HandshakeError::HungUp if reader.bytes.is_empty() => {
            match begun.elapsed() {
                // A look at whether anyone listens.
                waited if waited < SHORTEST_WAIT => MessageError::HungUp { inside: false }.into(),
                waited => End::Unspoken { seconds: waited.as_secs() },
            }
        }
        error => End::Handshake { error, hint: hints::handshake(&reader.bytes) },
    })?;
    let contents = || seeder.torrents.iter().map(|holding| &holding.content);
    let is_asked = |holding: &&Holding| holding.content.info.names.has(theirs.info_hash);
    let asked = seeder.torrents.iter().find(is_asked);
    let holding = asked.ok_or_else(|| {
        let wrong: Vec<_> =
            contents().flat_map(|content| hints::wrong_hashes(&content.metadata, None)).collect();
        let here = contents().take(MAX_NAMED).map(|content| content.info_hash().to_string());
        let here = here.collect::<Vec<_>>().join(" or ");
        End::OtherTorrent {
            found: theirs.info_hash,
            here,
            hint: hints::other_torrent(theirs.info_hash, &wrong),
        }
    })?;
    log.handshake(theirs.peer_id, &holding.content.info);
    // By the name that the peer uses, if there are two.
    let mut ours = Handshake::new(theirs.info_hash, seeder.peer_id);
    ours.reserved = holding.plan.extra_reserved;
    if theirs.has_bit(EXTENSION_BIT) && holding.plan.extension {
        ours = ours.with_bit(EXTENSION_BIT);
    }
    Ok((Connection::new(transport, ours, theirs), holding))
}

/// A reader that keeps the bytes of a handshake, in case they are something else.
struct RecordingReader<'t> {
    transport: &'t mut Transport,
    bytes: Vec<u8>,
}

impl Read for RecordingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.transport.read(buffer)?;
        self.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
