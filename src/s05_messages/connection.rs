//! A peer whose handshake is done: messages in, messages out.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Message, MessageError, MessageReader};
use crate::s02_metainfo::Names;
use crate::s04_handshake::transport::{Dial, Hangup, ReadHalf, Transport, WriteHalf};
use crate::s04_handshake::{Handshake, HandshakeError, exchange};

/// The longest time for connecting and the handshake together.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection on which both handshakes have been exchanged. Dropping it, or its
/// [`Line`], hangs up.
///
/// The fields are public so that it can be taken apart: a session reads on one thread while
/// another one writes, and each owns its half.
pub struct Connection {
    /// The other side's address.
    pub peer: SocketAddr,
    /// Our handshake.
    pub ours: Handshake,
    /// The peer's handshake. If the torrent has several names, this connection goes by the one in
    /// here.
    pub theirs: Handshake,
    /// What they send.
    pub input: MessageReader<Box<dyn ReadHalf>>,
    /// What we send.
    pub output: Box<dyn WriteHalf>,
    /// Ends the connection.
    pub line: Line,
}

/// Hangs up when it is dropped: however a session ends, by an error, a panic or a `return`, the
/// peer and the thread that still waits for it hear of it.
pub struct Line(pub Hangup);

impl Drop for Line {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Connection {
    /// Dials and shakes hands, about the torrent that `ours` names. The earlier deadline then stays
    /// in force.
    ///
    /// # Errors
    /// If the peer cannot be reached, or does not serve this torrent.
    pub fn open(
        dial: &dyn Dial,
        peer: SocketAddr,
        ours: &Handshake,
        deadline: Instant,
    ) -> Result<Connection, HandshakeError> {
        Connection::open_any(dial, peer, ours, &ours.info_hash.into(), deadline)
    }

    /// Dials and shakes hands as [`Connection::open`] does, except that the peer may answer with
    /// any of these names.
    ///
    /// # Errors
    /// If the peer cannot be reached, or does not serve this torrent.
    pub fn open_any(
        dial: &dyn Dial,
        peer: SocketAddr,
        ours: &Handshake,
        names: &Names,
        deadline: Instant,
    ) -> Result<Connection, HandshakeError> {
        let deadline = deadline.min(Instant::now() + HANDSHAKE_TIMEOUT);
        let mut transport = dial.dial(peer, deadline)?;
        transport.set_deadline(deadline);
        let theirs = exchange(&mut transport, ours, names)?;
        Ok(Connection::new(transport, *ours, theirs))
    }

    /// Makes a connection from a transport whose handshakes have been exchanged.
    pub fn new(transport: Transport, ours: Handshake, theirs: Handshake) -> Connection {
        let Transport { peer, reader, writer, hang_up } = transport;
        Connection {
            peer,
            ours,
            theirs,
            input: MessageReader::new(reader),
            output: writer,
            line: Line(hang_up),
        }
    }

    /// Whether both sides have set a reserved bit: then its extension is agreed on.
    pub fn has_bit(&self, bit: usize) -> bool {
        self.ours.has_bit(bit) && self.theirs.has_bit(bit)
    }

    /// Whether the other side has hung up, even if messages are left to read. Does not wait.
    pub fn has_ended(&mut self) -> bool {
        self.input.get_mut().has_ended()
    }

    /// Sets one deadline for both directions.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.input.get_mut().set_deadline(deadline);
        self.output.set_deadline(deadline);
    }

    /// Sends one message.
    ///
    /// # Errors
    /// If the connection breaks, or the deadline comes.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        message.write_to(&mut self.output)
    }

    /// Sends messages that are already encoded.
    ///
    /// # Errors
    /// If the connection breaks, or the deadline comes.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// Reads one message.
    ///
    /// # Errors
    /// As [`MessageReader::read`].
    pub fn read(&mut self) -> Result<Message<'_>, MessageError> {
        self.input.read()
    }
}
