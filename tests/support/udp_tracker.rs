//! A UDP tracker that sends what the test wants, and records what it receives.

use super::jitter;
use super::tracker::compact;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// Bytes 8 to 11 of a request.
pub fn action(packet: &[u8]) -> u8 {
    assert_eq!(packet[8..11], [0, 0, 0], "the action is a small number");
    packet[11]
}

/// Bytes 12 to 15 of a request.
pub fn transaction(packet: &[u8]) -> [u8; 4] {
    packet[12..16].try_into().expect("four bytes are four bytes")
}

/// An answer with this action and the request's transaction id.
pub fn answer(request: &[u8], action: u8, rest: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, action][..], &transaction(request), rest].concat()
}

/// The rest of an announce's answer: 1800 s, 2 leechers, 3 seeders, and peers.
pub fn announced(peers: &[SocketAddr]) -> Vec<u8> {
    [&[0, 0, 7, 8, 0, 0, 0, 2, 0, 0, 0, 3][..], &compact(peers)].concat()
}

/// A good tracker's answer to a request.
pub fn good(request: &[u8], peers: &[SocketAddr]) -> Vec<u8> {
    match action(request) {
        0 => answer(request, 0, &ID),
        _ if request[..8] != ID => answer(request, 3, b"connect first"),
        1 => answer(request, 1, &announced(peers)),
        2 => {
            let torrents = (request.len() - 16) / 20;
            // 5 seeders, 7 downloads, 1 leecher each.
            answer(request, 2, &[0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 1].repeat(torrents))
        }
        other => panic!("a request has action 0, 1 or 2, not {other}"),
    }
}

/// A running tracker. Dropping it ends it.
pub struct FakeUdpTracker {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeUdpTracker {
    /// A good tracker that knows these peers.
    pub fn knowing(peers: &[SocketAddr]) -> FakeUdpTracker {
        let peers = peers.to_vec();
        FakeUdpTracker::start(move |packet, _| vec![Deed::Send(good(packet, &peers))])
    }

    /// Takes packets and says nothing.
    pub fn silent() -> FakeUdpTracker {
        FakeUdpTracker::start(|_, _| Vec::new())
    }

    /// `deeds` sees the packet, and how many came before it.
    pub fn start(deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static) -> FakeUdpTracker {
        FakeUdpTracker::start_at("127.0.0.1:0", deeds).expect("loopback has a free port")
    }

    /// Starts the fake on `::1`; `None` if there is no IPv6.
    pub fn start_v6(
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> Option<FakeUdpTracker> {
        FakeUdpTracker::start_at("[::1]:0", deeds)
    }

    /// Starts the fake on this address; `None` if it is not available.
    pub fn start_at(
        place: &str,
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> Option<FakeUdpTracker> {
        let socket = UdpSocket::bind(place).ok()?;
        let other = UdpSocket::bind((socket.local_addr().ok()?.ip(), 0)).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket takes a timeout");
        let address = socket.local_addr().expect("a bound socket has an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (heard, stop) = (heard.clone(), stop.clone());
            move || serve(&socket, &other, &deeds, &heard, &stop)
        });
        Some(FakeUdpTracker { address, heard, stop, thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("udp://{}/announce", self.address)
    }

    /// The packets that came, in order.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        jitter::lock(&self.heard).clone()
    }

    /// Their actions.
    pub fn actions(&self) -> Vec<u8> {
        self.heard().iter().map(|packet| action(packet)).collect()
    }
}

impl Drop for FakeUdpTracker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    socket: &UdpSocket,
    other: &UdpSocket,
    deeds: &dyn Fn(&[u8], usize) -> Vec<Deed>,
    heard: &Mutex<Vec<Vec<u8>>>,
    stop: &AtomicBool,
) {
    let mut buffer = [0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let packet = &buffer[..length];
        let number = {
            let mut heard = jitter::lock(heard);
            heard.push(packet.to_vec());
            heard.len() - 1
        };
        // The client may have closed its socket meanwhile.
        for deed in deeds(packet, number) {
            match deed {
                Deed::Send(bytes) => drop(jitter::around(|| socket.send_to(&bytes, from))),
                Deed::Forge(bytes) => drop(other.send_to(&bytes, from)),
                Deed::Wait(time) => std::thread::sleep(time),
                Deed::Flood(bytes) => {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = socket.send_to(&bytes, from);
                    }
                }
            }
        }
    }
}
