//! A peer whose handshake is done: messages in, messages out.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Message, MessageError, Messages};
use crate::s04_handshake::transport::{Dial, Hangup, ReadHalf, Transport, WriteHalf};
use crate::s04_handshake::{Handshake, HandshakeError, exchange};

/// The longest that connecting and shaking hands may take together.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// A connection on which both handshakes have been exchanged. Dropping it, or its
/// [`Line`], hangs up.
pub struct Connection {
    /// The other side's address.
    pub peer: SocketAddr,
    /// What we said in our handshake.
    pub ours: Handshake,
    /// What they said in theirs.
    pub theirs: Handshake,
    /// What they send.
    pub input: Messages<Box<dyn ReadHalf>>,
    /// What we send.
    pub output: Box<dyn WriteHalf>,
    /// Ends the connection.
    pub line: Line,
}

/// Hangs up when it is dropped.
pub struct Line(pub Hangup);

impl Drop for Line {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Connection {
    /// Dials a peer and shakes hands. The deadline then stays in force.
    ///
    /// # Errors
    /// If it cannot be reached, or is not a peer for this torrent.
    pub fn open(dial: &dyn Dial, peer: SocketAddr, ours: &Handshake, until: Instant) -> Result<Connection, HandshakeError> {
        let until = until.min(Instant::now() + HANDSHAKE_TIME);
        let mut transport = dial.dial(peer, until)?;
        transport.set_deadline(until);
        let theirs = exchange(&mut transport, ours)?;
        Ok(Connection::new(transport, *ours, theirs))
    }

    /// Goes on after a handshake that was exchanged by other means.
    pub fn new(transport: Transport, ours: Handshake, theirs: Handshake) -> Connection {
        let Transport { peer, reader, writer, hang_up } = transport;
        Connection { peer, ours, theirs, input: Messages::new(reader), output: writer, line: Line(hang_up) }
    }

    /// Whether both sides have set a reserved bit: what it stands for is agreed on.
    pub fn has_bit(&self, bit: usize) -> bool {
        self.ours.has_bit(bit) && self.theirs.has_bit(bit)
    }

    /// Whether the other side has hung up, even if messages are left to read. Does not wait.
    pub fn has_ended(&mut self) -> bool {
        self.input.get_mut().has_ended()
    }

    /// One deadline for both directions.
    pub fn set_deadline(&mut self, until: Instant) {
        self.input.get_mut().set_deadline(until);
        self.output.set_deadline(until);
    }

    /// Sends one message.
    ///
    /// # Errors
    /// If the connection breaks, or the deadline comes.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        message.write_to(&mut self.output)
    }

    /// Sends bytes that are messages already.
    ///
    /// # Errors
    /// If the connection breaks, or the deadline comes.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// Reads one message.
    ///
    /// # Errors
    /// As [`Messages::read`].
    pub fn read(&mut self) -> Result<Message<'_>, MessageError> {
        self.input.read()
    }
}
