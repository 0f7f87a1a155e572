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
//!   listener, a thread for each socket     handshake, a thread for each connection
//!   accept --> is there room? --> start -----> handshakes ------> the lobby (stage 15)
//!     ^             |                             |
//!     |             | no: a peer goes,           | another torrent, too slow,
//!     |             v or we wait 5 ms             v or sent away: hung up on
//!     +-------------+
//! ```
//! The thread that accepts never reads from a peer. Otherwise one silent connection would keep all
//! others out.

use std::cmp::Reverse;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::s03_tracker::DEFAULT_PORT;
use crate::s04_handshake::origin::Origin;
use crate::s04_handshake::transport::{Hangup, Transport, over_tcp};
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

/// Puts something around each connection that comes in: a wiretap, for one.
pub type Wrap = Box<dyn Fn(Transport) -> Transport + Send + Sync>;

/// Sockets that listen, of both families if the system has them.
pub struct Listener {
    /// One, or one for each family. At least one.
    sockets: Vec<TcpListener>,
    /// The port of all of them, never 0: the one that the system has picked.
    port: u16,
    wrap: Option<Wrap>,
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
            let socket = TcpListener::bind((ip, port))?;
            return Ok(Listener {
                port: socket.local_addr()?.port(),
                sockets: vec![socket],
                wrap: None,
            });
        }
        // On most systems a socket for IPv6 also takes IPv4, and then there is no room
        // for a second one. On others, and without IPv6, it is needed.
        let six = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).ok();
        // The second socket must have the port of the first, which the system may have picked.
        let port =
            six.as_ref().map_or(Ok(port), |six| six.local_addr().map(|address| address.port()))?;
        let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        match (six, four) {
            (None, four) => {
                let four = four?;
                Ok(Listener { port: four.local_addr()?.port(), sockets: vec![four], wrap: None })
            }
            (Some(six), four) => Ok(Listener {
                port,
                sockets: [six].into_iter().chain(four.ok()).collect(),
                wrap: None,
            }),
        }
    }

    /// Puts something around each connection that comes in.
    pub fn through(self, wrap: Wrap) -> Listener {
        Listener { wrap: Some(wrap), ..self }
    }

    /// The port at which it listens, to be announced to trackers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All addresses it listens at, to be shown, and to be woken by.
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
        let addresses = self.addresses();
        let (incoming, (closed, next_number, pending)) = (finder.incoming(), Default::default());
        let acceptor =
            Arc::new(Acceptor { incoming, wrap: self.wrap, closed, next_number, pending });
        for socket in self.sockets {
            let acceptor = Arc::clone(&acceptor);
            let work = move || acceptor.accept_all(&socket);
            // Without a thread, nobody is let in there.
            let _ =
                thread::Builder::new().name("listener".to_owned()).stack_size(STACK).spawn(work);
        }
        // This thread only waits for the end. Hunger and completion do not matter to a listener.
        while finder.wait(Duration::from_secs(3600)) != Wake::Stop {}
        // Closed before the threads are woken, or they would accept our own connection as a peer's.
        acceptor.closed.store(true, Ordering::SeqCst);
        let hang_ups: Vec<Hangup> =
            acceptor.pending().iter().map(|peer| Arc::clone(&peer.hang_up)).collect();
        hang_ups.iter().for_each(|hang_up| hang_up());
        addresses.into_iter().for_each(wake);
        Ok(())
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

/// Where peers come in. The threads of all sockets and of all handshakes share it.
struct Acceptor {
    /// The way to the swarm, and how many handshakes there may be at a time.
    incoming: IncomingPeers,
    wrap: Option<Wrap>,
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

/// A peer's connection. It notes when we wait for the peer: from the start of a read to its end.
/// So `answer` of stage 16 need not know that anybody keeps time.
struct Timed<'d> {
    acceptor: &'d Acceptor,
    number: u64,
    transport: &'d mut Transport,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Only reads count. A write waits for the system's buffers, and 68 bytes always fit.
        self.acceptor.edit(self.number, |peer| peer.since = Some(Instant::now()));
        let read = self.transport.read(buffer);
        self.acceptor.edit(self.number, |peer| {
            peer.waited += peer.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        });
        read
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.transport.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()
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

    /// Changes a peer. One that has been sent away is not on the list any more, and its thread is
    /// about to find that out.
    fn edit(&self, number: u64, change: impl FnOnce(&mut Pending)) {
        if let Some(peer) = self.pending().iter_mut().find(|peer| peer.number == number) {
            change(peer);
        }
    }

    /// Waits until there is room for one more from this address, or until one of the pending peers
    /// has to go. With several sockets, each of their threads may let one in at the same time, so
    /// the limit may be exceeded by one.
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

    /// Takes in connections until the acceptor is closed. Runs on the thread of one socket.
    fn accept_all(self: &Arc<Acceptor>, socket: &TcpListener) {
        loop {
            let accepted = socket.accept();
            // The connection that woke us is our own (`wake`), or comes too late.
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            match accepted {
                Ok((stream, peer)) => self.receive(stream, peer),
                // The peer has gone while it was in the queue. The next one may be there.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // No descriptor is free, most likely: others have theirs. One will be.
                Err(_) => thread::sleep(NO_ROOM),
            }
        }
    }

    /// Shakes hands on a thread of its own, which ends when the handshake does.
    fn receive(self: &Arc<Acceptor>, stream: TcpStream, peer: SocketAddr) {
        let origin = Origin::of(peer.ip());
        // May wait. Meanwhile the system's queue fills, and then lets nobody in: the right place
        // for a flood.
        self.make_room(origin);
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let Ok(transport) = over_tcp(stream, Instant::now() + HANDSHAKE_TIMEOUT) else { return };
        let transport = match &self.wrap {
            Some(wrap) => wrap(transport),
            None => transport,
        };
        let hang_up = Arc::clone(&transport.hang_up);
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
            let mut transport = transport;
            // Set again: the thread may have waited for a core, which is not the peer's fault.
            transport.set_deadline(Instant::now() + HANDSHAKE_TIMEOUT);
            let ours = acceptor.incoming.handshake();
            let answered = answer(
                &mut Timed { acceptor: &acceptor, number, transport: &mut transport },
                &ours,
            );
            // From here on it cannot be sent away for another peer.
            acceptor.remove(number);
            // A connection that failed is not worth a word: we hang up by dropping it.
            if let Ok(theirs) = answered {
                acceptor.incoming.met(Connection::new(transport, ours, theirs));
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
