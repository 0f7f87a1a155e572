//! A wiretap: listens in on live connections, and nobody on them notices.
//!
//! It is a [`Transport`] around a Transport, a [`Dial`] around a Dial. What passes is
//! annotated, in both directions: who, when, on which thread, what it is, and what it
//! changes. Whoever does not ask for it has no wrapper in the way.
//!
//! * **Run it:** `piecemeal handshake --trace lab/sample.torrent 127.0.0.2:6881`
//! * **Page:** `docs/reading-a-trace.md`
//! * **Builds on:** the transport of stage 4, the descriptions of [`trace`](super)
//!
//! # Where the bytes are taken
//! ```text
//! peers           Tap::transport, around both halves of a connection
//! HTTP trackers   Tap::get, around the one GET request of stage 3
//! UDP trackers    Tap::packets, around the socket of stage 13
//! ```
//! # Decisions
//! * **One event, one write,** under one lock that also gives out the numbers. So events of
//!   several threads do not run into each other, and are in the order of their numbers.
//! * **What goes out is told before it goes,** when it is handed to the system. Told
//!   afterwards, the peer's answer could come first: another thread may read it. What a
//!   write leaves over is not told again when it is handed over again.
//! * **Little is kept:** of each direction the message that is not whole yet, and of a block
//!   only its first 13 bytes.
//! * **A trace that cannot be written ends,** with one warning. The conversation does not.

mod overheard;
mod sink;
mod trackers;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

pub use self::sink::{Form, Sink, Tap};
use super::stream::Way;
use crate::s04_handshake::transport::{Dial, ReadHalf, Transport, WriteHalf};

impl Tap {
    /// The same connection, listened in on.
    pub fn transport(self: &Arc<Tap>, transport: Transport, how: &str) -> Transport {
        let Transport { peer, reader, writer, hang_up } = transport;
        let line = Arc::new(Line { number: self.opened(peer, how), tap: Arc::clone(self) });
        let reader = Box::new(Listening { inner: reader, line: Arc::clone(&line), ended: false });
        let writer = Box::new(Speaking { inner: writer, line, told: 0, ended: false });
        Transport { peer, reader, writer, hang_up }
    }

    /// Dials, and listens in on all that is dialled.
    pub fn dial(self: &Arc<Tap>, dial: Arc<dyn Dial>) -> Arc<dyn Dial> {
        Arc::new(Tapped { tap: Arc::clone(self), inner: dial })
    }
}

struct Tapped {
    tap: Arc<Tap>,
    inner: Arc<dyn Dial>,
}

impl Dial for Tapped {
    fn dial(&self, peer: SocketAddr, until: Instant) -> io::Result<Transport> {
        self.tap.say_of(peer, "dialling");
        let dialled = self.inner.dial(peer, until);
        dialled
            .map(|transport| self.tap.transport(transport, "connected"))
            .inspect_err(|error| self.tap.say_of(peer, &format!("could not connect: {error}")))
    }
}

/// A connection that is listened in on. It is over when both halves have let go of it.
struct Line {
    number: u64,
    tap: Arc<Tap>,
}

impl Line {
    /// Tells once how a direction has ended. A deadline that has come is no end: whoever
    /// set it may set another one.
    fn broke(&self, error: &io::Error, ended: &mut bool) {
        let goes_on = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted);
        if !goes_on && !std::mem::replace(ended, true) {
            self.tap.say(self.number, &format!("the connection broke: {error}"));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tap.closed(self.number);
    }
}

/// What they send.
struct Listening {
    inner: Box<dyn ReadHalf>,
    line: Arc<Line>,
    ended: bool,
}

impl Read for Listening {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(0) if !buffer.is_empty() && !self.ended => {
                self.ended = true;
                self.line.tap.say(self.line.number, "the peer has said all that it will say: the end of its stream");
            }
            Ok(count) => self.line.tap.pass(self.line.number, Way::In, buffer.get(..*count).unwrap_or_default()),
            Err(error) => self.line.broke(error, &mut self.ended),
        }
        read
    }
}

impl ReadHalf for Listening {
    fn set_deadline(&mut self, until: Instant) {
        self.inner.set_deadline(until);
    }
}

/// What we send.
struct Speaking {
    inner: Box<dyn WriteHalf>,
    line: Arc<Line>,
    /// How many bytes have been told of and not left yet. They come again.
    told: usize,
    ended: bool,
}

impl Write for Speaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(new) = bytes.get(self.told..).filter(|new| !new.is_empty()) {
            self.line.tap.pass(self.line.number, Way::Out, new);
            self.told = bytes.len();
        }
        let written = self.inner.write(bytes);
        match &written {
            Ok(count) => self.told = self.told.saturating_sub(*count),
            Err(error) => self.line.broke(error, &mut self.ended),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteHalf for Speaking {
    fn set_deadline(&mut self, until: Instant) {
        self.inner.set_deadline(until);
    }
}
