//! A room on loopback, for the checks of local discovery: neighbors that send what they are told,
//! and a thread that listens for the client.
//!
//! All rooms are one: several checks run side by side in the same group. So a client's datagram is
//! known by its info hash, and not by where it comes from, and no two rooms are for one torrent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// The group and the port of BEP 14.
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 152, 143), 6771);
/// The network on which it meets: nothing leaves this computer.
pub const NETWORK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Longest wait in a read, so that the end is noticed.
const SLICE: Duration = Duration::from_millis(20);
/// Pause between a client's datagram and the neighbors'.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause after which the neighbors speak to a client that has said nothing: it may only listen.
const SILENCE: Duration = Duration::from_secs(1);
/// The most datagrams of a client that are kept.
const MAX_HEARD: usize = 100;

/// A neighbor: where it sends from, and what.
pub struct Neighbor {
    /// Its address on loopback.
    pub ip: IpAddr,
    /// Its datagram.
    pub says: Vec<u8>,
}

/// A room with neighbors. Dropping it ends it.
pub struct Room {
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Room {
    /// Opens a room. Its neighbors send their datagrams once, when the client has sent its own,
    /// which has this text in it; if it sends none, they send them every second.
    ///
    /// # Errors
    /// If this computer has no multicast, or no port left.
    pub fn open(marked: &str, neighbors: Vec<Neighbor>) -> io::Result<Room> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, GROUP.port())).into())?;
        socket.join_multicast_v4(GROUP.ip(), &NETWORK)?;
        socket.set_read_timeout(Some(SLICE))?;
        let mouths = neighbors.into_iter().map(Mouth::open).collect::<io::Result<_>>()?;
        let (heard, stop): (Arc<Mutex<_>>, Arc<AtomicBool>) = Default::default();
        let (hears, stops) = (Arc::clone(&heard), Arc::clone(&stop));
        let marked = marked.to_ascii_lowercase();
        let attending =
            Attending { ears: socket.into(), mouths, marked, heard: hears, stop: stops };
        let thread = Builder::new().name("room".into()).spawn(move || attending.run())?;
        Ok(Room { heard, stop, thread: Some(thread) })
    }

    /// Returns the client's datagrams so far.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        lock(&self.heard).clone()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a neighbor speaks with.
struct Mouth {
    socket: UdpSocket,
    says: Vec<u8>,
}

impl Mouth {
    fn open(neighbor: Neighbor) -> io::Result<Mouth> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_multicast_if_v4(&NETWORK)?;
        socket.set_multicast_ttl_v4(1)?;
        socket.bind(&SocketAddr::new(neighbor.ip, 0).into())?;
        Ok(Mouth { socket: socket.into(), says: neighbor.says })
    }
}

/// What the thread of a room needs.
struct Attending {
    ears: UdpSocket,
    mouths: Vec<Mouth>,
    marked: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl Attending {
    fn run(&self) {
        let mut buffer = vec![0; 65_536];
        // When the neighbors speak next; `None` when they have answered the client.
        let mut due = Some(Instant::now() + SILENCE);
        while !self.stop.load(Ordering::Relaxed) {
            let received = self.ears.recv_from(&mut buffer);
            if let Ok((length, from)) = received
                && self.is_client(&buffer[..length], from)
            {
                let mut heard = lock(&self.heard);
                if heard.is_empty() {
                    due = Some(Instant::now() + PAUSE);
                }
                if heard.len() < MAX_HEARD {
                    heard.push(buffer[..length].to_vec());
                }
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                for mouth in &self.mouths {
                    let _ = mouth.socket.send_to(&mouth.says, GROUP);
                }
                let silent = lock(&self.heard).is_empty();
                due = silent.then(|| Instant::now() + SILENCE);
            }
        }
    }

    /// Whether a datagram is the client's: it has the mark, and is not a neighbor's.
    fn is_client(&self, datagram: &[u8], from: SocketAddr) -> bool {
        let text = String::from_utf8_lossy(datagram).to_ascii_lowercase();
        let ours = |mouth: &Mouth| mouth.socket.local_addr().is_ok_and(|address| address == from);
        text.contains(&self.marked) && !self.mouths.iter().any(ours)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
