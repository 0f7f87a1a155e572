//! A UDP tracker that sends what it is told, and records what it receives.

use super::jitter;
use super::recording::{Recording, Way};
use super::tracker::compact;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The fake's reaction to a packet, step by step.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Sends these bytes to the client.
    Send(Vec<u8>),
    /// Sends these bytes from another port, as a stranger that guesses would.
    Forge(Vec<u8>),
    /// Sends these bytes for as long as the fake lives, as fast as it can.
    Flood(Vec<u8>),
    /// Waits.
    Wait(Duration),
}

/// The connection id that the good fake gives.
pub const ID: [u8; 8] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];

/// Bytes 8 to 11 of a request, if they are a small number.
pub fn action(packet: &[u8]) -> Option<u8> {
    match packet.get(8..12)? {
        [0, 0, 0, action] => Some(*action),
        _ => None,
    }
}

/// Bytes 12 to 15 of a request.
pub fn transaction(packet: &[u8]) -> Option<[u8; 4]> {
    packet.get(12..16)?.try_into().ok()
}

/// An answer with this action and the request's transaction id, or zeros if it has none.
pub fn answer(request: &[u8], action: u8, rest: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, action][..], &transaction(request).unwrap_or_default(), rest].concat()
}

/// The rest of an announce's answer: 1800 s, 2 leechers, 3 seeders, and peers.
pub fn announced(peers: &[SocketAddr]) -> Vec<u8> {
    [&[0, 0, 7, 8, 0, 0, 0, 2, 0, 0, 0, 3][..], &compact(peers)].concat()
}

/// A good tracker's answer to a request; `None` if it is not one.
pub fn good(request: &[u8], peers: &[SocketAddr]) -> Option<Vec<u8>> {
    transaction(request)?;
    match action(request)? {
        0 => Some(answer(request, 0, &ID)),
        _ if request[..8] != ID => Some(answer(request, 3, b"connect first")),
        1 => Some(answer(request, 1, &announced(peers))),
        2 => {
            let torrents = (request.len() - 16) / 20;
            // 5 seeders, 7 downloads, 1 leecher each.
            Some(answer(request, 2, &[0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 1].repeat(torrents)))
        }
        _ => None,
    }
}

/// A wait is cut into slices, so that the end of the tracker is noticed.
const SLICE: Duration = Duration::from_millis(20);
/// The most packets that are kept.
const MAX_PACKETS: usize = 1_000;
/// The most bytes of a packet that are kept. The longest request, a scrape, has 1,496.
const MAX_PACKET: usize = 2_048;
/// The most clients with a recording.
const MAX_CLIENTS: usize = 1_000;

/// A running UDP tracker. Dropping it ends it.
#[derive(Debug)]
pub struct FakeUdpTracker {
    address: SocketAddr,
    heard: Arc<Mutex<Packets>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What came.
#[derive(Debug, Default)]
struct Packets {
    kept: Vec<Vec<u8>>,
    /// The number of packets, those that are not kept included.
    counted: usize,
    /// A recording for each client.
    recordings: Vec<Recording>,
}

impl FakeUdpTracker {
    /// A good tracker that knows these peers. What is no request gets no answer.
    ///
    /// # Errors
    /// Like all that start: if there is no free port on 127.0.0.1.
    pub fn knowing(peers: &[SocketAddr]) -> io::Result<FakeUdpTracker> {
        let peers = peers.to_vec();
        FakeUdpTracker::start(move |packet, _| {
            good(packet, &peers).map(Deed::Send).into_iter().collect()
        })
    }

    /// Takes packets and says nothing.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn silent() -> io::Result<FakeUdpTracker> {
        FakeUdpTracker::start(|_, _| Vec::new())
    }

    /// Starts a tracker. `deeds` sees the packet, and how many came before it.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn start(
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> io::Result<FakeUdpTracker> {
        FakeUdpTracker::start_at("127.0.0.1:0", deeds)
    }

    /// Starts a tracker on `::1`.
    ///
    /// # Errors
    /// If there is no IPv6.
    pub fn start_v6(
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> io::Result<FakeUdpTracker> {
        FakeUdpTracker::start_at("[::1]:0", deeds)
    }

    /// Starts a tracker on this address.
    ///
    /// # Errors
    /// If the address is not available.
    pub fn start_at(
        place: &str,
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> io::Result<FakeUdpTracker> {
        let socket = UdpSocket::bind(place)?;
        let other = UdpSocket::bind((socket.local_addr()?.ip(), 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let address = socket.local_addr()?;
        let heard = Arc::new(Mutex::default());
        let stop = Arc::new(AtomicBool::new(false));
        let serving = Serving {
            socket,
            other,
            deeds: Box::new(deeds),
            url: url_of(address),
            heard: Arc::clone(&heard),
            stop: stop.clone(),
        };
        let thread = Builder::new().name("actor".into()).spawn(move || serving.run())?;
        Ok(FakeUdpTracker { address, heard, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The announce URL.
    pub fn url(&self) -> String {
        url_of(self.address)
    }

    /// The packets that came, in order.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        jitter::lock(&self.heard).kept.clone()
    }

    /// The recordings so far, in order: one for each address that a packet came from.
    pub fn recordings(&self) -> Vec<Recording> {
        jitter::lock(&self.heard).recordings.clone()
    }
}

impl Drop for FakeUdpTracker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.recordings().iter().for_each(Recording::end);
    }
}

fn url_of(address: SocketAddr) -> String {
    format!("udp://{address}/announce")
}

/// The deeds for a packet, and for how many came before it.
type Script = dyn Fn(&[u8], usize) -> Vec<Deed> + Send;

/// What the thread of a tracker needs.
struct Serving {
    socket: UdpSocket,
    /// A socket of another port, for forged answers.
    other: UdpSocket,
    deeds: Box<Script>,
    url: String,
    heard: Arc<Mutex<Packets>>,
    stop: Arc<AtomicBool>,
}

impl Serving {
    fn run(&self) {
        let mut buffer = [0; 65_536];
        while !self.is_over() {
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let packet = &buffer[..length];
            let (recording, number) = self.record(packet, from);
            for deed in (self.deeds)(packet, number) {
                self.act(&deed, from, recording.as_ref());
            }
        }
    }

    /// Keeps a packet; returns the recording of its client, and how many packets came before it.
    fn record(&self, packet: &[u8], from: SocketAddr) -> (Option<Recording>, usize) {
        let mut heard = jitter::lock(&self.heard);
        heard.counted += 1;
        if heard.kept.len() < MAX_PACKETS {
            heard.kept.push(packet[..packet.len().min(MAX_PACKET)].to_vec());
        }
        let known = heard.recordings.iter().find(|known| known.client() == Some(from)).cloned();
        let recording = known.or_else(|| {
            let new = Recording::new(self.url.clone(), Some(from));
            let has_room = heard.recordings.len() < MAX_CLIENTS;
            has_room.then(|| {
                heard.recordings.push(new.clone());
                new
            })
        });
        if let Some(recording) = &recording {
            recording.add_packet(Way::FromClient, packet);
        }
        (recording, heard.counted - 1)
    }

    /// Does something. The client may have closed its socket meanwhile.
    fn act(&self, deed: &Deed, from: SocketAddr, recording: Option<&Recording>) {
        let send = |socket: &UdpSocket, bytes: &[u8]| {
            if let Some(recording) = recording {
                recording.add_packet(Way::ToClient, bytes);
            }
            let _ = jitter::around(|| socket.send_to(bytes, from));
        };
        match deed {
            Deed::Send(bytes) => send(&self.socket, bytes),
            Deed::Forge(bytes) => send(&self.other, bytes),
            Deed::Wait(time) => {
                let begun = Instant::now();
                while !self.is_over() && begun.elapsed() < *time {
                    std::thread::sleep((*time - begun.elapsed().min(*time)).min(SLICE));
                }
            }
            Deed::Flood(bytes) => {
                while !self.is_over() {
                    let _ = self.socket.send_to(bytes, from);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
