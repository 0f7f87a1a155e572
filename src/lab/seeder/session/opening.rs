//! The first bytes of a connection: our handshake, and the messages that come unasked.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Session;
use crate::actors::peer_plan::PAUSE;
use crate::actors::{Greeting, Metadata, Unchoke};
use crate::lab::seeder::end::{End, WRITE_TIMEOUT};
use crate::s05_messages::connection::Connection;
use crate::s07_extension::encode_extended;

/// The pause after each byte of [`Greeting::Drip`].
const DRIP: Duration = Duration::from_secs(1);

impl Session<'_> {
    /// Sends our handshake.
    pub(super) fn shake(&self, connection: &mut Connection) -> Result<(), End> {
        let (ours, theirs) = (connection.ours, connection.theirs);
        let plan = &self.holding.plan;
        let bytes = plan.handshake(ours.info_hash.0, ours.reserved, theirs.peer_id.0);
        if plan.greeting == Greeting::Drip {
            for byte in bytes {
                connection.output.set_deadline(Instant::now() + WRITE_TIMEOUT);
                connection.send_bytes(&[byte])?;
                thread::sleep(DRIP);
            }
            return Ok(());
        }
        self.write(connection, &bytes)?;
        if plan.greeting == Greeting::Half { Err(End::Quirk) } else { Ok(()) }
    }

    /// Sends bytes, in one write or in parts.
    pub(super) fn write(&self, connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
        let plan = &self.holding.plan;
        for write in plan.writes(bytes) {
            connection.send_bytes(write)?;
            if !plan.chunks.is_empty() {
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Queues the messages that come unasked.
    pub(super) fn open(&mut self, connection: &Connection) {
        let plan = &self.holding.plan;
        let mut greeting = Vec::new();
        if self.extended {
            let mut ours = self.extensions.greeting(connection.peer.ip());
            if let Metadata::Size(size) = plan.metadata {
                ours.metadata_size = size.try_into().ok();
            }
            encode_extended(0, &ours.encode(), &mut greeting);
        }
        // Clients of the tutorials insist on the bitfield first.
        self.queue_encoded(&plan.in_order(plan.pieces(false), greeting));
        if plan.unchoke == Unchoke::Early {
            self.unchoke();
        }
    }
}
