//! A way in: takes connections that others make.
//!
//! [`Dial`] makes connections, and [`Accept`] takes them in. Here the only way in is TCP. To the
//! listener it does not matter: another protocol, or a test in memory, is another [`Accept`].
//!
//! [`Dial`]: crate::s04_handshake::transport::Dial

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::s04_handshake::transport::{Transport, over_tcp};
use crate::s05_messages::connection::HANDSHAKE_TIMEOUT;

/// Takes in connections that others make. The other side must be reachable at its address, which
/// TCP's handshake proves: places are shared by address, so a forged one would take another's.
pub trait Accept: Send + Sync {
    /// Waits for the next connection. Called by one thread, again and again.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionAborted`] if a connection has ended before it was taken in; the next
    /// one may be there already. After any other error, the caller tries again a little later.
    fn accept(&self) -> io::Result<Transport>;

    /// Ends a wait in [`Accept::accept`], from another thread. A thread that comes there later does
    /// not wait either. What it is given does not matter.
    fn close(&self);
}

impl Accept for TcpListener {
    fn accept(&self) -> io::Result<Transport> {
        // This one is std's. Until somebody calls it, connections wait in the system's queue.
        let (stream, _) = TcpListener::accept(self)?;
        // It fails if the peer has gone. That must not cost the next one the pause that follows an
        // error of ours.
        over_tcp(stream, Instant::now() + HANDSHAKE_TIMEOUT)
            .map_err(|error| io::Error::new(ErrorKind::ConnectionAborted, error))
    }

    fn close(&self) {
        if let Ok(address) = self.local_addr() {
            wake(address);
        }
    }
}

/// Wakes a thread that waits in `accept`, which cannot be interrupted in std, by a connection of
/// our own. The thread must already have been told why.
pub fn wake(listener: SocketAddr) {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Refused means that nobody waits there any more; a full queue, that the thread has
    // enough to wake it.
    let _ = TcpStream::connect_timeout(
        &SocketAddr::new(ip, listener.port()),
        Duration::from_millis(500),
    );
}
