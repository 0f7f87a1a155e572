//! A wiretap: listens in on live connections, and neither side notices.
//!
//! It is a [`Transport`] around a Transport, a [`Dial`] around a Dial. Each object is
//! annotated, in both directions: the peer, the time, the thread, the fields and the
//! changes. Without a trace there is no wrapper at all.
//!
//! * **Run it:** `piecemeal handshake --trace lab/sample.torrent 127.0.0.2:6881`
//! * **Page:** `docs/reading-a-trace.md`
//! * **Builds on:** the transport of stage 4, and `conversation`, which makes objects of the bytes
//!
//! # Where the bytes are taken
//! ```text
//! peers            Tap::transport, around both halves of a connection
//! HTTP trackers    Tap::get, around the one GET request of stage 3
//! UDP trackers     Tap::udp, around the socket of stage 18
//! the DHT          Tap::datagrams, around the socket of stage 21
//! the lab's own    Tap::asked, Tap::answered, Tap::packet, called by the tracker itself
//! ```
//! # Decisions
//! * **One event, one write,** under one lock that also gives out the numbers. So events of
//!   several threads do not run into each other, and are in the order of their numbers.
//! * **Outgoing bytes are recorded before they are written.** Afterwards would be too late:
//!   another thread might read the peer's answer first. The rest of a partial write is not
//!   recorded twice.
//! * **A trace that cannot be written ends,** with one warning. The conversation does not.

mod nodes;
mod sink;
mod trackers;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use self::sink::{Form, Sink, Tap};
use super::stream::Way;
use crate::s04_handshake::transport::{Dial, Hangup, ReadHalf, Transport, WriteHalf};

impl Tap {
    /// Wraps a connection in the wiretap.
    pub fn transport(self: &Arc<Tap>, transport: Transport, how: &str) -> Transport {
        let Transport { peer, reader, writer, hang_up } = transport;
        let (number, tap, hung_up) =
            (self.opened(peer, how), Arc::clone(self), Arc::<AtomicBool>::default());
        let hang_up: Hangup = {
            let (tap, hung_up) = (Arc::clone(self), Arc::clone(&hung_up));
            Arc::new(move || {
                if !hung_up.swap(true, Ordering::SeqCst) {
                    tap.say(number, "we hang up");
                }
                hang_up();
            })
        };
        let connection = Arc::new(TappedConnection { number, tap, hung_up });
        let reader = Box::new(TappedReader {
            inner: reader,
            connection: Arc::clone(&connection),
            ended: false,
        });
        let writer =
            Box::new(TappedWriter { inner: writer, connection, recorded: 0, ended: false });
        Transport { peer, reader, writer, hang_up }
    }

    /// Returns a dialer that listens in on all its connections.
    pub fn dial(self: &Arc<Tap>, dial: Arc<dyn Dial>) -> Arc<dyn Dial> {
        Arc::new(TappedDial { tap: Arc::clone(self), inner: dial })
    }
}

struct TappedDial {
    tap: Arc<Tap>,
    inner: Arc<dyn Dial>,
}

impl Dial for TappedDial {
    fn dial(&self, peer: SocketAddr, deadline: Instant) -> io::Result<Transport> {
        self.tap.say_of(peer, "dialing");
        let dialed = self.inner.dial(peer, deadline);
        dialed
            .map(|transport| self.tap.transport(transport, "connected"))
            .inspect_err(|error| self.tap.say_of(peer, &format!("could not connect: {error}")))
    }
}

/// A connection with a wiretap, which ends when both halves are dropped.
struct TappedConnection {
    number: u64,
    tap: Arc<Tap>,
    hung_up: Arc<AtomicBool>,
}

impl TappedConnection {
    /// Records once how a direction ended, unless we ended it ourselves.
    fn ended(&self, how: &str, ended: &mut bool) {
        if !std::mem::replace(ended, true) && !self.hung_up.load(Ordering::SeqCst) {
            self.tap.say(self.number, how);
        }
    }

    /// Records a broken connection. A passed deadline is not an end: it may be set again.
    fn broke(&self, error: &io::Error, ended: &mut bool) {
        if !matches!(
            error.kind(),
            ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted
        ) {
            self.ended(&format!("the connection broke: {error}"), ended);
        }
    }
}

impl Drop for TappedConnection {
    fn drop(&mut self) {
        self.tap.closed(self.number);
    }
}

/// The half that receives.
struct TappedReader {
    inner: Box<dyn ReadHalf>,
    connection: Arc<TappedConnection>,
    ended: bool,
}

impl Read for TappedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(0) if !buffer.is_empty() => {
                self.connection.ended(
                    "the peer has said all that it will say: the end of its stream",
                    &mut self.ended,
                );
            }
            Ok(count) => self.connection.tap.pass(
                self.connection.number,
                Way::In,
                buffer.get(..*count).unwrap_or_default(),
            ),
            Err(error) => self.connection.broke(error, &mut self.ended),
        }
        read
    }
}

impl ReadHalf for TappedReader {
    fn set_deadline(&mut self, deadline: Instant) {
        self.inner.set_deadline(deadline);
    }

    fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }
}

/// The half that sends.
struct TappedWriter {
    inner: Box<dyn WriteHalf>,
    connection: Arc<TappedConnection>,
    /// The number of bytes that were recorded but not sent yet. They are written again.
    recorded: usize,
    ended: bool,
}

impl Write for TappedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(new) = bytes.get(self.recorded..).filter(|new| !new.is_empty()) {
            self.connection.tap.pass(self.connection.number, Way::Out, new);
            self.recorded = bytes.len();
        }
        let written = self.inner.write(bytes);
        match &written {
            Ok(count) => self.recorded = self.recorded.saturating_sub(*count),
            Err(error) => self.connection.broke(error, &mut self.ended),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WriteHalf for TappedWriter {
    fn set_deadline(&mut self, deadline: Instant) {
        self.inner.set_deadline(deadline);
    }
}
