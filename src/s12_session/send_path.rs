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
    /// What the peer must read next.
    due: Due,
    /// How much of the first messages is unsent. `None` before the first.
    opening: Option<usize>,
}

/// Bytes that the peer must read within [`WRITE_TIMEOUT`]: all that were unsent at one moment. Once
/// they have left, those that were added in the meantime are due.
pub struct Due {
    length: usize,
    since: Instant,
}

impl Due {
    /// Begins with nothing.
    pub fn new(now: Instant) -> Due {
        Due { length: 0, since: now }
    }

    /// Takes in that `written` bytes have left and that `unsent` have not. Returns whether the peer
    /// has had its time.
    pub fn is_late(&mut self, written: usize, unsent: usize, now: Instant) -> bool {
        match self.length.checked_sub(written) {
            None | Some(0) => *self = Due { length: unsent, since: now },
            Some(left) => self.length = left,
        }
        self.length > 0 && now.duration_since(self.since) > WRITE_TIMEOUT
    }
}

impl Direct {
    /// Makes a path to this socket.
    pub fn new(output: Box<dyn WriteHalf>) -> Direct {
        Direct { output, unsent: Vec::new(), due: Due::new(Instant::now()), opening: None }
    }

    /// Writes what can leave at once, or nearly so.
    fn flush(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + WRITE_TICK;
        let (written, ended) = write(&mut *self.output, &self.unsent, WRITE_TICK, deadline);
        match ended {
            // A timeout is normal here: the socket's buffer is full.
            Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
            _ => self.unsent.drain(..written),
        };
        self.opening = self.opening.map(|length| length.saturating_sub(written));
        let late = self.due.is_late(written, self.unsent.len(), Instant::now());
        if late { Err(does_not_read()) } else { Ok(()) }
    }
}

impl SendPath for Direct {
    fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        self.opening.get_or_insert(messages.len());
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
        // Our bitfield does not count. Nobody has requested it, and it may be longer than this: two
        // peers that both stopped to read because of it would wait for each other.
        self.unsent.len() - self.opening.unwrap_or_default() > BEHIND
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
