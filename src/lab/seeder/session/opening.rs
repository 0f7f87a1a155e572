//! The first bytes of a connection: our handshake, and the messages that come unasked.

use std::io;
use std::thread;
use std::time::Duration;

use super::Session;
use crate::lab::seeder::Holds;
use crate::lab::seeder::end::End;
use crate::lab::seeder::quirk::Quirk;
use crate::s02_metainfo::InfoHash;
use crate::s05_messages::Message;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::EXTENDED;

/// The pause after each byte of [`Quirk::Drip`].
const DRIP: Duration = Duration::from_secs(1);
/// The first parts that [`Quirk::Chopped`] sends, and then all others, in bytes.
const PARTS: [usize; 11] = [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1_000];
/// The pause after each part.
const PART_PAUSE: Duration = Duration::from_millis(1);
/// The size of the info dictionary as [`Quirk::MetaHuge`] says it.
const HUGE: u64 = 4_000_000_000;

impl Session<'_> {
    /// Sends our handshake.
    pub(super) fn shake(&self, connection: &mut Connection) -> Result<(), End> {
        let mut ours = connection.ours;
        match self.quirk {
            Some(Quirk::OtherTorrent) => ours.info_hash = InfoHash(*b"another torrent's !!"),
            Some(Quirk::Echo) => ours.peer_id = connection.theirs.peer_id,
            Some(Quirk::Reserved) => ours.reserved[..4].fill(0xff),
            _ => {}
        }
        let bytes = ours.encode();
        match self.quirk {
            Some(Quirk::HalfShake) => {
                connection.send_bytes(&bytes[..30])?;
                Err(End::Quirk)
            }
            Some(Quirk::Drip) => bytes.iter().try_for_each(|byte| {
                connection.send_bytes(&[*byte])?;
                thread::sleep(DRIP);
                Ok(())
            }),
            _ => Ok(self.write(connection, &bytes)?),
        }
    }

    /// Sends bytes, in one write or in parts.
    pub(super) fn write(&self, connection: &mut Connection, mut bytes: &[u8]) -> io::Result<()> {
        if self.quirk != Some(Quirk::Chopped) {
            return connection.send_bytes(bytes);
        }
        let last = PARTS.last().copied().unwrap_or(1);
        let mut parts = PARTS.into_iter().chain(std::iter::repeat(last));
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(parts.next().unwrap_or(last)));
            connection.send_bytes(part)?;
            thread::sleep(PART_PAUSE);
            bytes = rest;
        }
        Ok(())
    }

    /// Queues the messages that come unasked.
    pub(super) fn open(&mut self, connection: &Connection) {
        let extension = self.extended.then(|| {
            let mut greeting = self.extensions.greeting(connection.peer.ip());
            if self.quirk == Some(Quirk::MetaHuge) {
                greeting.metadata_size = Some(HUGE);
            }
            [&[0], greeting.encode().as_slice()].concat()
        });
        let greet = |session: &mut Self| {
            if let Some(payload) = &extension {
                session.queue_message(&Message::Unknown { id: EXTENDED, payload });
            }
        };
        if self.quirk == Some(Quirk::ExtFirst) {
            greet(self);
            self.name_pieces();
        } else {
            // Clients of the tutorials insist on the bitfield first.
            self.name_pieces();
            greet(self);
        }
        if self.quirk == Some(Quirk::EarlyUnchoke) {
            self.unchoke();
        }
    }

    /// Queues the bitfield, or what comes in its place.
    fn name_pieces(&mut self) {
        let mut bits = self.has.encode();
        match self.quirk {
            Some(Quirk::NoBitfield) => return,
            Some(Quirk::Haves) => {
                let has = self.has;
                has.iter().for_each(|index| self.queue_message(&Message::Have { index }));
                return;
            }
            Some(Quirk::SpareBits) => {
                let spare = bits.len() * 8 - self.content.info.piece_count() as usize;
                if let Some(last) = bits.last_mut() {
                    *last |= ((1_u16 << spare) - 1) as u8;
                }
            }
            Some(Quirk::LongBitfield) => bits.push(0),
            _ => {}
        }
        self.queue_message(&Message::Bitfield { bits: &bits });
    }
}

/// Returns the pieces that a seeder with this quirk has, if the quirk says so.
pub fn holds(quirk: Option<Quirk>) -> Option<Holds> {
    match quirk {
        Some(Quirk::Half) => Some(Holds::FirstHalf),
        Some(Quirk::Empty) => Some(Holds::Only(Vec::new())),
        _ => None,
    }
}
