//! The send path: how a session's messages get to the socket.
//!
//! Two peers that both write without reading wait for each other forever, as soon as they write
//! more than the buffers between them hold. So a session never waits in a write. A session that
//! only downloads writes a few requests now and then ([`Direct`]). Bytes that cannot leave at once
//! are kept, and the session reads on before it tries again. Once it uploads, another path takes
//! over (stage 16).
//!
//! If a peer sends requests but does not read, we stop reading from it until some of the unsent
//! answers have left ([`BEHIND`]).

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::s04_handshake::transport::WriteHalf;

/// Longest time for which a peer may leave a block, or the messages of one write, unread before we
/// hang up.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// With more unsent bytes than this, we do not read from the peer until some have left. The longest
/// answer to one message, a metadata piece, is an eighth of this.
pub const BEHIND: usize = 128 << 10;
/// The most bytes of messages that may be unsent. Only our own haves can add up to more than
/// [`BEHIND`].
pub const MAX_UNSENT: usize = 1 << 20;
/// Longest time in a write before the session checks whether there is something to read.
const WRITE_TICK: Duration = Duration::from_millis(50);

/// Takes encoded messages, and sends them in that order.
pub trait SendPath {
    /// Sends messages, or as many bytes as can leave now; the next call sends the rest.
    ///
    /// # Errors
    /// If the connection has ended, or too much is unsent.
    fn send(&mut self, messages: &[u8]) -> io::Result<()>;

    /// Whether something is unsent that only another [`SendPath::send`] will send.
    fn has_unsent(&self) -> bool;

    /// Whether so much is unsent that we must not read further requests.
    fn is_behind(&self) -> bool;

    /// Returns why the connection ended, if a write ended it on another thread. `None` otherwise,
    /// and on a second call.
    fn take_failure(&self) -> Option<io::Error>;

    /// Returns the socket and the unsent bytes, so that another path can take over. `None` if this
    /// path cannot give them up.
    fn into_socket(self: Box<Self>) -> Option<(Box<dyn WriteHalf>, Vec<u8>)>;
}

/// Writes to the socket itself, on the session's own thread.
pub struct Direct {
    output: Box<dyn WriteHalf>,
    /// What could not leave yet. It may start in the middle of a message.
    unsent: Vec<u8>,
    /// When bytes last left, or when the oldest unsent ones were added.
    stuck_since: Instant,
}

impl Direct {
    /// Makes a path to this socket.
    pub fn new(output: Box<dyn WriteHalf>) -> Direct {
        Direct { output, unsent: Vec::new(), stuck_since: Instant::now() }
    }

    /// Writes what can leave at once, or nearly so.
    fn flush(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + WRITE_TICK;
        let (written, ended) = write(&mut *self.output, &self.unsent, WRITE_TICK, deadline);
        if written > 0 {
            self.stuck_since = Instant::now();
        }
        match ended {
            // A timeout is normal here: the socket's buffer is full.
            Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
            _ => self.unsent.drain(..written),
        };
        let stuck = !self.unsent.is_empty() && self.stuck_since.elapsed() > WRITE_TIMEOUT;
        if stuck { Err(does_not_read()) } else { Ok(()) }
    }
}

impl SendPath for Direct {
    fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            self.stuck_since = Instant::now();
        }
        self.unsent.extend_from_slice(messages);
        // What is new may be of any length, a bitfield for example. The limit is on what stayed
        // before.
        if self.unsent.len() > messages.len() + MAX_UNSENT {
            return Err(does_not_read());
        }
        self.flush()
    }

    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn is_behind(&self) -> bool {
        self.unsent.len() > BEHIND
    }

    fn take_failure(&self) -> Option<io::Error> {
        None
    }

    fn into_socket(self: Box<Self>) -> Option<(Box<dyn WriteHalf>, Vec<u8>)> {
        Some((self.output, self.unsent))
    }
}

/// The error of a connection whose peer leaves too much unread.
pub fn does_not_read() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it does not read what we send")
}

/// Writes all `bytes` by the deadline, and never waits longer than `pause` for any of them to
/// leave. Returns the number that have left, and the error if some have not.
pub fn write(
    output: &mut dyn WriteHalf,
    bytes: &[u8],
    pause: Duration,
    deadline: Instant,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        output.set_deadline(deadline.min(Instant::now() + pause));
        match output.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
