//! The tracker over UDP (BEP 15): the same phone book, on the same port number.
//!
//! One thread and one socket serve all clients, and keep no list of them. That is the
//! point of a connection id: it is made from a secret and the client's address, so a client
//! that sends it back has received a packet at that address.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use super::announce::ReceivedAnnounce;
use super::hints;
use super::sockets::own_address;
use super::tracker_state::TrackerState;
use crate::s18_udp_tracker::packet::{
    Answer, Family, PROTOCOL_ID, Request, RequestBody, ResponseBody,
};
use crate::trace::stream::Way;

/// The stack of the thread, in bytes.
const STACK: usize = 512 << 10;
/// The largest request in bytes; a longer one is cut. It has room for 74 torrents.
const LARGEST_REQUEST: usize = 4_096;
/// The thread checks this often whether it should end, in case it missed the wake-up.
const LOOK_UP: Duration = Duration::from_secs(1);
/// The bytes of an error before its text: the action and the transaction id.
const ERROR_HEAD: usize = 8;
/// The time after which connection ids change.
const EPOCH: Duration = Duration::from_secs(60);
/// The number of older ids that are also accepted, so each is good for at least two minutes.
const OLDER_EPOCHS: u64 = 2;

/// The thread that answers. Dropping it ends it.
pub(super) struct UdpService {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpService {
    /// Starts the thread that answers on this socket, from this state.
    pub fn start(socket: UdpSocket, state: Arc<TrackerState>) -> io::Result<UdpService> {
        let address = socket.local_addr()?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        let stop = Arc::new(AtomicBool::new(false));
        let responder = UdpResponder { state, secret: rand::random(), born: Instant::now() };
        let stopped = Arc::clone(&stop);
        let work = move || responder.serve(&socket, &stopped);
        let thread =
            thread::Builder::new().name("tracker udp".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(UdpService { address, stop, thread: Some(thread) })
    }
}

impl Drop for UdpService {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A packet wakes the thread. If the packet is lost, the thread still checks on its own.
        let (ip, any): (IpAddr, IpAddr) = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => {
                (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into())
            }
            IpAddr::V6(ip) if ip.is_unspecified() => {
                (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into())
            }
            ip @ IpAddr::V4(_) => (ip, Ipv4Addr::UNSPECIFIED.into()),
            ip @ IpAddr::V6(_) => (ip, Ipv6Addr::UNSPECIFIED.into()),
        };
        let _ = UdpSocket::bind((any, 0))
            .and_then(|socket| socket.send_to(b"", (ip, self.address.port())));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the answering thread.
struct UdpResponder {
    state: Arc<TrackerState>,
    secret: [u8; 20],
    born: Instant,
}

impl UdpResponder {
    fn serve(&self, socket: &UdpSocket, stop: &AtomicBool) {
        let mut buffer = [0; LARGEST_REQUEST];
        while !stop.load(Ordering::Relaxed) {
            match socket.recv_from(&mut buffer) {
                Ok((0, _)) => {}
                Ok((length, from)) => {
                    // A socket for both families shows IPv4 addresses as IPv6.
                    let asker = SocketAddr::new(from.ip().to_canonical(), from.port());
                    let (packet, tap) =
                        (buffer.get(..length).unwrap_or_default(), self.state.notes.tap());
                    tap.inspect(|tap| tap.packet(asker, Way::In, packet));
                    if let Some(answer) = self.answer(packet, asker) {
                        let packet = answer.encode(Family::of(asker));
                        tap.inspect(|tap| tap.packet(asker, Way::Out, &packet));
                        // A client that has closed its socket meanwhile does not want the answer.
                        let _ = socket.send_to(&packet, from);
                    }
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // An earlier answer did not arrive, or the system is briefly out of memory.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Returns the answer to one packet.
    ///
    /// The address on a packet is whatever its sender wrote there. Until a connection id proves
    /// it, an answer is never longer than the packet: otherwise anyone could make this tracker
    /// send a victim more than they send themselves. A packet that is too short for a
    /// transaction id gets no answer.
    fn answer(&self, packet: &[u8], from: SocketAddr) -> Option<Answer> {
        let request = match Request::decode(packet) {
            Ok(request) => request,
            Err(error) => {
                let reason = format!("{error}{}", hints::packet(packet));
                let begins =
                    packet.first_chunk().is_some_and(|id| self.gave(u64::from_be_bytes(*id), from));
                let said = if begins {
                    self.refuse(from, "", reason)
                } else {
                    self.refuse_stranger(from, packet, reason)
                };
                let transaction_id = u32::from_be_bytes(packet.get(12..16)?.try_into().ok()?);
                return Some(Answer {
                    transaction_id,
                    said: ResponseBody::Failed(said.into_bytes()),
                });
            }
        };
        let said = match request.ask {
            RequestBody::Connect => Ok(ResponseBody::Connected {
                connection_id: self.connection_id(from, self.epoch()),
            }),
            _ if !self.gave(request.connection_id, from) => {
                let id = request.connection_id;
                let hint = match id {
                    PROTOCOL_ID => "; this is the protocol id, which only a connect has",
                    _ if self.gave(id.swap_bytes(), from) => "; this one was sent low byte first",
                    _ => "",
                };
                let reason =
                    "the connection id is not one that this tracker gave you lately: connect first";
                Err(self.refuse_stranger(from, packet, format!("{reason}{hint}")))
            }
            RequestBody::Announce { announce, url_data } => {
                let target = String::from_utf8_lossy(&url_data).into_owned();
                if announce.port == 0 {
                    Err(self.refuse(from, &target, "port must be 1 to 65535, but is 0".to_owned()))
                } else {
                    let received =
                        ReceivedAnnounce { announce, compact: Some(true), ip: None, nan: false };
                    // std does not report which of our addresses a packet came to, so take the one
                    // from which the answer is sent.
                    let reached = own_address(from.ip()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
                    let reply = self.state.announce(from, reached, received, &target, None);
                    Ok(ResponseBody::Announced {
                        interval: reply.interval,
                        leechers: reply.incomplete as u32,
                        seeders: reply.complete as u32,
                        peers: reply.peers.into_iter().map(|(address, _)| address).collect(),
                    })
                }
            }
            RequestBody::Scrape(torrents) => Ok(ResponseBody::Scraped(
                self.state.scrape(from, torrents).into_iter().map(|(_, counts)| counts).collect(),
            )),
        };
        let said = said.unwrap_or_else(|reason| ResponseBody::Failed(reason.into_bytes()));
        Some(Answer { transaction_id: request.transaction_id, said })
    }

    fn refuse(&self, from: SocketAddr, target: &str, reason: String) -> String {
        self.state.refuse(from, target, reason, hints::UDP_TRACKER)
    }

    /// Notes a packet with an unproved address, and returns as much of the reason as keeps the
    /// answer shorter than the packet. With equal lengths, two trackers that each believe that
    /// the other one asks would answer each other forever.
    fn refuse_stranger(&self, from: SocketAddr, packet: &[u8], reason: String) -> String {
        self.state.refuse_stranger(from, &reason, hints::UDP_TRACKER);
        let room = packet.len().saturating_sub(ERROR_HEAD + 1);
        let short = reason.split(';').next().unwrap_or_default();
        let said = [reason.as_str(), short, "the tracker's log says why", "refused"];
        said.into_iter().find(|text| text.len() <= room).unwrap_or_default().to_owned()
    }

    /// Returns the age of the tracker in epochs.
    fn epoch(&self) -> u64 {
        self.born.elapsed().as_secs() / EPOCH.as_secs()
    }

    /// Returns the connection id of an address. The port is not in it: a client may ask from a
    /// new socket each time.
    fn connection_id(&self, from: SocketAddr, epoch: u64) -> u64 {
        let ip = from.ip().to_canonical().to_string();
        let hash: [u8; 20] =
            Sha1::digest([&self.secret[..], &epoch.to_be_bytes(), ip.as_bytes()].concat()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn gave(&self, connection_id: u64, from: SocketAddr) -> bool {
        let now = self.epoch();
        (now.saturating_sub(OLDER_EPOCHS)..=now)
            .any(|epoch| self.connection_id(from, epoch) == connection_id)
    }
}
