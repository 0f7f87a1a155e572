//! Listening: peers that come by themselves.
//!
//! A peer that connects has not said anything yet. So until its handshake is done, it takes up
//! nothing of ours but a thread with a deadline, and the number of these threads is limited. When
//! the limit is reached, they are shared by address: the address with the most loses the one that
//! we have waited for longest. If no address has too many, the longest wait of all ends, after a
//! second at least; until then newcomers stay in the system's queue. The time that our own thread
//! takes does not count: on a busy machine it may be the slower one.
//!
//! ```text
//!   listener, a thread for each way in     handshake, a thread for each connection
//!   accept --> is there room? --> start -----> handshakes ------> the lobby (stage 15)
//!     ^             |                             |
//!     |             | no: a peer goes,           | another torrent, too slow,
//!     |             v or we wait 5 ms             v or sent away: hung up on
//!     +-------------+
//! ```
//! The thread that accepts never reads from a peer. Otherwise one silent connection would keep all
//! others out. So what is put around a connection ([`Wrap`]), and may want to read first, also runs
//! on the connection's own thread.

use std::cmp::Reverse;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::accept::Accept;
use crate::s03_tracker::DEFAULT_PORT;
use crate::s04_handshake::HandshakeError;
use crate::s04_handshake::origin::Origin;
use crate::s04_handshake::transport::{Hangup, ReadHalf, Transport};
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use crate::s07_extension::BoxError;
use crate::s13_peer_sources::signals::Wake;
use crate::s13_peer_sources::source::{IncomingPeers, PeerSource, SourceHandle};
use crate::s14_peer_list::sharing::{Holder, makes_way};
use crate::s16_uploading::incoming::answer;

/// How long each peer may keep us waiting, even if others wait: a whole swarm may come at
/// once, and a second is enough for an answer from the other end of the world.
const MIN_HANDSHAKE_TIME: Duration = Duration::from_secs(1);
/// How long to wait before checking again whether a peer is done. A pause, and not a condition
/// variable: it matters only while we are overrun.
const ACCEPT_RETRY: Duration = Duration::from_millis(5);
/// How long to wait when the system has no room for another connection. Without a pause the thread
/// would take a whole core: the connection stays in the queue, and `accept` fails at once.
const NO_ROOM: Duration = Duration::from_millis(100);
/// BEP 3: "if that port is taken try 6882, then 6883, etc. and give up after 6889".
const LAST_PORT: u16 = 6889;
/// The stack of a listener's or a handshake's thread, in bytes. A handshake needs little.
const STACK: usize = 256 << 10;

/// Puts something around a connection that comes in: a wiretap, for one. It runs on the peer's own
/// thread, before the handshake and by the same deadline. So it may read from the peer, and write
/// to it, but wait for nothing else. If it fails, the connection ends.
pub type Wrap = Box<dyn Fn(Transport) -> Result<Transport, HandshakeError> + Send + Sync>;

/// Sockets that listen, of both families if the system has them.
pub struct Listener {
    /// One, or one for each family. At least one.
    sockets: Vec<TcpListener>,
    /// The port of all of them, never 0: the one that the system has picked.
    port: u16,
    /// Ways in other than TCP.
    others: Vec<Arc<dyn Accept>>,
    /// What is put around each connection, from the inside out.
    wraps: Vec<Wrap>,
}

impl Listener {
    /// Listens at an address of ours, or at all of them; at this port (0: any), or at
    /// the first of BEP 3's that is free, or else at any.
    ///
    /// # Errors
    /// If there is no such address, or the port is taken.
    pub fn bind(ip: Option<IpAddr>, port: Option<u16>) -> io::Result<Listener> {
        match port {
            Some(port) => Listener::at(ip, port),
            None => (DEFAULT_PORT..=LAST_PORT)
                .find_map(|port| Listener::at(ip, port).ok())
                .map_or_else(|| Listener::at(ip, 0), Ok),
        }
    }

    /// Listens at one address, or at all of them, at this port; 0 is any.
    fn at(ip: Option<IpAddr>, port: u16) -> io::Result<Listener> {
        if let Some(ip) = ip {
            return Listener::over(TcpListener::bind((ip, port))?, None);
        }
        // On most systems a socket for IPv6 also takes IPv4, and then there is no room
        // for a second one. On others, and without IPv6, it is needed.
        let six = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).ok();
        // The second socket must have the port of the first, which the system may have picked.
        let port =
            six.as_ref().map_or(Ok(port), |six| six.local_addr().map(|address| address.port()))?;
        let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        match six {
            None => Listener::over(four?, None),
            Some(six) => Listener::over(six, four.ok()),
        }
    }

    /// Listens at these sockets, which have the same port.
    fn over(first: TcpListener, second: Option<TcpListener>) -> io::Result<Listener> {
        let port = first.local_addr()?.port();
        let sockets = [first].into_iter().chain(second).collect();
        Ok(Listener { sockets, port, others: Vec::new(), wraps: Vec::new() })
    }

    /// Adds another way in: peers that come there are treated like those that come over TCP.
    pub fn also(mut self, way: Arc<dyn Accept>) -> Listener {
        self.others.push(way);
        self
    }

    /// Puts something around each connection that comes in, outside of what is there already.
    pub fn through(mut self, wrap: Wrap) -> Listener {
        self.wraps.push(wrap);
        self
    }

    /// The port at which it listens, to be announced to trackers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All addresses at which it listens for TCP, to be shown.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

impl PeerSource for Listener {
    fn name(&self) -> String {
        format!("port {}", self.port)
    }

    fn is_passive(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, mut finder: SourceHandle) -> Result<(), BoxError> {
        let (incoming, (closed, next_number, pending)) = (finder.incoming(), Default::default());
        let wraps = self.wraps;
        let acceptor = Arc::new(Acceptor { incoming, wraps, closed, next_number, pending });
        let tcp = self.sockets.into_iter().map(|socket| Arc::new(socket) as Arc<dyn Accept>);
        let mut ways: Vec<_> = tcp.chain(self.others).collect();
        // Without a thread, nobody is let in there.
        ways.retain(|way| {
            let (acceptor, way) = (Arc::clone(&acceptor), Arc::clone(way));
            let work = move || acceptor.accept_all(&*way);
            thread::Builder::new().name("listener".to_owned()).stack_size(STACK).spawn(work).is_ok()
        });
        // This thread only waits for the end. Hunger and completion do not matter to a listener.
        while finder.wait(Duration::from_secs(3600)) != Wake::Stop {}
        // Closed before the threads are woken, or they would accept our own connection as a peer's.
        acceptor.closed.store(true, Ordering::SeqCst);
        let hang_ups: Vec<Hangup> =
            acceptor.pending().iter().map(|peer| Arc::clone(&peer.hang_up)).collect();
        hang_ups.iter().for_each(|hang_up| hang_up());
        ways.iter().for_each(|way| way.close());
        Ok(())
    }
}

/// Where peers come in. The threads of all ways in and of all handshakes share it.
struct Acceptor {
    /// The way to the swarm, and how many handshakes there may be at a time.
    incoming: IncomingPeers,
    wraps: Vec<Wrap>,
    /// Set once, when the listener ends.
    closed: AtomicBool,
    /// The next peer's number. Positions in the list shift, so a handshake's thread cannot use
    /// those.
    next_number: AtomicU64,
    /// Those that are shaking hands, the oldest first. A leaf lock.
    pending: Mutex<Vec<Pending>>,
}

/// A connection that is shaking hands.
struct Pending {
    number: u64,
    /// What its place counts against.
    origin: Origin,
    /// How long we have waited for it, until it last said something.
    waited: Duration,
    /// Since when we wait for what it says next; nothing while we are at work ourselves.
    since: Option<Instant>,
    /// Ends the connection, and so wakes its thread.
    hang_up: Hangup,
}

/// The half of a connection that we read from. It notes when we wait for the peer: from the start
/// of a read to its end. It is inside of all that is put around the connection, so neither a
/// [`Wrap`] nor `answer` of stage 16 needs to know that anybody keeps time.
struct Timed {
    reader: Box<dyn ReadHalf>,
    number: u64,
    /// Where it notes that; nowhere once the peer is off the list. So a session's reads take no
    /// lock.
    acceptor: Weak<Acceptor>,
}

impl Timed {
    fn note(&mut self, change: impl FnOnce(&mut Pending)) {
        let acceptor = self.acceptor.upgrade();
        if !acceptor.is_some_and(|acceptor| acceptor.edit(self.number, change)) {
            self.acceptor = Weak::new();
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Only reads count. A write waits for the system's buffers, and a handshake always fits.
        self.note(|peer| peer.since = Some(Instant::now()));
        let read = self.reader.read(buffer);
        self.note(|peer| {
            peer.waited += peer.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        });
        read
    }
}

impl ReadHalf for Timed {
    fn set_deadline(&mut self, deadline: Instant) {
        self.reader.set_deadline(deadline);
    }

    fn has_ended(&self) -> bool {
        self.reader.has_ended()
    }
}

impl Acceptor {
    fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a peer off the list, if it is still there.
    fn remove(&self, number: u64) {
        self.pending().retain(|peer| peer.number != number);
    }

    /// Changes a peer, and returns whether it is on the list. One that has been sent away is not,
    /// and its thread is about to find that out.
    fn edit(&self, number: u64, change: impl FnOnce(&mut Pending)) -> bool {
        self.pending().iter_mut().find(|peer| peer.number == number).map(change).is_some()
    }

    /// Waits until there is room for one more from this address, or until one of the pending peers
    /// has to go. With several ways in, each of their threads may let one in at the same time, so
    /// the limit may be exceeded by one for each.
    fn make_room(&self, newcomer: Origin) {
        while !self.closed.load(Ordering::SeqCst) {
            let mut pending = self.pending();
            let crowded = pending.len() >= self.incoming.max_handshakes();
            let goes = if crowded { evicted(&pending, newcomer) } else { None };
            let peer = goes.map(|position| pending.remove(position));
            // Released before we hang up or sleep: the peers' threads need it to get on.
            drop(pending);
            match peer {
                Some(peer) => return (peer.hang_up)(),
                None if crowded => thread::sleep(ACCEPT_RETRY),
                None => return,
            }
        }
    }

    /// Takes in connections until the acceptor is closed. Runs on the thread of one way in.
    fn accept_all(self: &Arc<Acceptor>, way: &dyn Accept) {
        loop {
            let accepted = way.accept();
            // The connection that woke us is our own (`wake`), or comes too late.
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            match accepted {
                Ok(transport) => self.receive(transport),
                // The peer has gone while it was in the queue. The next one may be there.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // No descriptor is free, most likely: others have theirs. One will be.
                Err(_) => thread::sleep(NO_ROOM),
            }
        }
    }

    /// Takes in a connection, and shakes hands on a thread of its own, which ends with the
    /// handshake.
    fn receive(self: &Arc<Acceptor>, transport: Transport) {
        let origin = Origin::of(transport.peer.ip());
        // May wait. Meanwhile the system's queue fills, and then lets nobody in: the right place
        // for a flood.
        self.make_room(origin);
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let hang_up = Arc::clone(&transport.hang_up);
        let timed = Timed { reader: transport.reader, number, acceptor: Arc::downgrade(self) };
        let transport = Transport { reader: Box::new(timed), ..transport };
        // Added here and not on its thread, or the next `make_room` would not see it yet.
        self.pending().push(Pending {
            number,
            origin,
            waited: Duration::ZERO,
            since: None,
            hang_up,
        });
        if self.closed.load(Ordering::SeqCst) {
            // Closed since `accept_all` looked, so the hang-up of all may have come too early for
            // it.
            return self.remove(number);
        }
        let acceptor = Arc::clone(self);
        let work = move || {
            let met = acceptor.shake_hands(number, transport);
            // From here on it cannot be sent away for another peer.
            acceptor.remove(number);
            // A connection that failed is not worth a word: we hang up by dropping it.
            if let Ok(connection) = met {
                acceptor.incoming.met(connection);
            }
        };
        // Without a thread, the connection is dropped.
        if thread::Builder::new()
            .name("handshake".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .is_err()
        {
            self.remove(number);
        }
    }

    /// Puts around a connection what belongs there, and shakes hands. All of it has one deadline.
    fn shake_hands(
        &self,
        number: u64,
        mut transport: Transport,
    ) -> Result<Connection, HandshakeError> {
        // Not the one that it came with: the thread may have waited for a core, which is not the
        // peer's fault.
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        transport.set_deadline(deadline);
        for wrap in &self.wraps {
            transport = wrap(transport)?;
        }
        // The outermost one: a wiretap, for one, tells a hang-up of ours from one of theirs.
        self.edit(number, |peer| peer.hang_up = Arc::clone(&transport.hang_up));
        transport.set_deadline(deadline);
        let ours = self.incoming.handshake();
        let theirs = answer(&mut transport, &ours, self.incoming.names())?;
        Ok(Connection::new(transport, ours, theirs))
    }
}

/// Returns the position of the peer that makes way for a newcomer, if any has to by now. Only
/// peers that we wait for can go: one whose bytes we are just handling is not the slow side.
fn evicted(pending: &[Pending], newcomer: Origin) -> Option<usize> {
    // Looked at once for all, since the clock runs between two looks.
    let waited: Vec<_> =
        pending.iter().map(|peer| Some(peer.waited + peer.since?.elapsed())).collect();
    let place = |(peer, waited): (&Pending, &Option<Duration>)| Holder {
        origin: peer.origin,
        worth: waited.map(Reverse), // the longest wait goes first
    };
    let places: Vec<_> = pending.iter().zip(&waited).map(place).collect();
    // First the address with too many; its peers are granted no minimum time.
    makes_way(&places, newcomer).or_else(|| {
        let (longest, waited) = waited.iter().enumerate().max_by_key(|(_, waited)| **waited)?;
        waited.is_some_and(|waited| waited >= MIN_HANDSHAKE_TIME).then_some(longest)
    })
}
