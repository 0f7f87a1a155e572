//! The tracker over UDP (BEP 15): the same phone book, at the same port number.
//!
//! One thread and one socket serve everybody, and remember nothing of anybody. That is
//! the point of a connection id: it is made from a secret and the client's address, so
//! that who shows it has received a packet at that address, and the tracker need not
//! keep a list.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use super::announce::Heard;
use super::desk::Desk;
use super::hints;
use super::tracker::own_address;
use crate::s18_udp_tracker::packet::{Answer, Ask, Family, PROTOCOL_ID, Request, Said};
use crate::trace::stream::Way;

/// What the thread gets of the address space.
const STACK: usize = 512 << 10;
/// The largest request that is read; what is longer is cut. It has room for 74 torrents.
const LARGEST_REQUEST: usize = 4_096;
/// The thread looks up so often, should it have missed that it is to end.
const LOOK_UP: Duration = Duration::from_secs(1);
/// The bytes of an error before its text: the action and the transaction id.
const ERROR_HEAD: usize = 8;
/// A connection id is made anew after so long, ...
const EPOCH: Duration = Duration::from_secs(60);
/// ... and this many older ones are good, too: so each is good for two minutes at least.
const OLDER_EPOCHS: u64 = 2;

/// Listens at one port number over TCP and UDP; port 0 lets the system choose one.
pub(super) fn bind_both(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut tries = 0;
    loop {
        let listener = TcpListener::bind(address)?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(socket) => return Ok((listener, socket)),
            // The system has chosen by what is free over TCP.
            Err(_) if address.port() == 0 && tries < 20 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The thread that answers. Dropping it ends it.
pub(super) struct UdpDesk {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpDesk {
    /// Answers at this socket, from this desk.
    pub fn start(socket: UdpSocket, desk: Arc<Desk>) -> io::Result<UdpDesk> {
        let address = socket.local_addr()?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        let stop = Arc::new(AtomicBool::new(false));
        let clerk = Clerk { desk, secret: rand::random(), born: Instant::now() };
        let stopped = Arc::clone(&stop);
        let work = move || clerk.serve(&socket, &stopped);
        let thread = thread::Builder::new().name("tracker udp".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(UdpDesk { address, stop, thread: Some(thread) })
    }
}

impl Drop for UdpDesk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A packet wakes the thread. If it does not arrive, the thread looks up by itself.
        let (ip, any): (IpAddr, IpAddr) = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()),
            ip @ IpAddr::V4(_) => (ip, Ipv4Addr::UNSPECIFIED.into()),
            ip @ IpAddr::V6(_) => (ip, Ipv6Addr::UNSPECIFIED.into()),
        };
        let _ = UdpSocket::bind((any, 0)).and_then(|socket| socket.send_to(b"", (ip, self.address.port())));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who answers the packets.
struct Clerk {
    desk: Arc<Desk>,
    secret: [u8; 20],
    born: Instant,
}

impl Clerk {
    fn serve(&self, socket: &UdpSocket, stop: &AtomicBool) {
        let mut buffer = [0; LARGEST_REQUEST];
        while !stop.load(Ordering::Relaxed) {
            match socket.recv_from(&mut buffer) {
                Ok((0, _)) => {}
                Ok((length, from)) => {
                    // A socket for both families sees IPv4 as a part of IPv6.
                    let asker = SocketAddr::new(from.ip().to_canonical(), from.port());
                    let (packet, tap) = (buffer.get(..length).unwrap_or_default(), self.desk.notes.tap());
                    tap.inspect(|tap| tap.packet(asker, Way::In, packet));
                    if let Some(answer) = self.answer(packet, asker) {
                        let packet = answer.encode(Family::of(asker));
                        tap.inspect(|tap| tap.packet(asker, Way::Out, &packet));
                        // Who has closed the socket meanwhile does not want it.
                        let _ = socket.send_to(&packet, from);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // An earlier answer did not arrive, or there is no memory for a moment.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// One packet, one answer.
    ///
    /// The sender's address on a packet is whatever the sender wrote there. Until it is proved, by a
    /// connection id, an answer is never longer than what came: otherwise anybody could make this
    /// tracker send more to a victim than they send themselves. What is too short to have
    /// a transaction id gets no answer.
    fn answer(&self, packet: &[u8], from: SocketAddr) -> Option<Answer> {
        let request = match Request::decode(packet) {
            Ok(request) => request,
            Err(error) => {
                let reason = format!("{error}{}", hints::packet(packet));
                let begins = packet.first_chunk().is_some_and(|id| self.gave(u64::from_be_bytes(*id), from));
                let said = if begins { self.refuse(from, "", reason) } else { self.refuse_stranger(from, packet, reason) };
                let transaction_id = u32::from_be_bytes(packet.get(12..16)?.try_into().ok()?);
                return Some(Answer { transaction_id, said: Said::Failed(said.into_bytes()) });
            }
        };
        let said = match request.ask {
            Ask::Connect => Ok(Said::Connected { connection_id: self.connection_id(from, self.epoch()) }),
            _ if !self.gave(request.connection_id, from) => {
                let id = request.connection_id;
                let hint = match id {
                    PROTOCOL_ID => "; this is the protocol id, which only a connect has",
                    _ if self.gave(id.swap_bytes(), from) => "; this one was sent low byte first",
                    _ => "",
                };
                let reason = "the connection id is not one that this tracker gave you lately: connect first";
                Err(self.refuse_stranger(from, packet, format!("{reason}{hint}")))
            }
            Ask::Announce { announce, url_data } => {
                let target = String::from_utf8_lossy(&url_data).into_owned();
                if announce.port == 0 {
                    Err(self.refuse(from, &target, "port must be 1 to 65535, but is 0".to_owned()))
                } else {
                    let heard = Heard { announce, compact: Some(true), ip: None, nan: false };
                    // std does not tell which of our addresses a packet came to; this is the one
                    // from which the answer goes.
                    let reached = own_address(from.ip()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
                    let page = self.desk.announce(from, reached, heard, &target, None);
                    Ok(Said::Announced {
                        interval: page.interval,
                        leechers: page.incomplete as u32,
                        seeders: page.complete as u32,
                        peers: page.peers.into_iter().map(|(address, _)| address).collect(),
                    })
                }
            }
            Ask::Scrape(torrents) => {
                Ok(Said::Scraped(self.desk.scrape(from, torrents).into_iter().map(|(_, counts)| counts).collect()))
            }
        };
        let said = said.unwrap_or_else(|reason| Said::Failed(reason.into_bytes()));
        Some(Answer { transaction_id: request.transaction_id, said })
    }

    fn refuse(&self, from: SocketAddr, target: &str, reason: String) -> String {
        self.desk.refuse(from, target, reason, hints::UDP_TRACKER)
    }

    /// Notes a packet of somebody who may be somebody else, and returns what to answer: as
    /// much of the reason as keeps the answer shorter than the packet. Shorter and not as
    /// long, or two trackers that are each made to believe that the other one asks would
    /// answer each other forever.
    fn refuse_stranger(&self, from: SocketAddr, packet: &[u8], reason: String) -> String {
        self.desk.refuse_stranger(from, &reason, hints::UDP_TRACKER);
        let room = packet.len().saturating_sub(ERROR_HEAD + 1);
        let short = reason.split(';').next().unwrap_or_default();
        let said = [reason.as_str(), short, "the tracker's log says why", "refused"];
        said.into_iter().find(|text| text.len() <= room).unwrap_or_default().to_owned()
    }

    /// How many minutes the tracker is old.
    fn epoch(&self) -> u64 {
        self.born.elapsed().as_secs() / EPOCH.as_secs()
    }

    /// The port is not in it: a client may ask from a new socket each time.
    fn connection_id(&self, from: SocketAddr, epoch: u64) -> u64 {
        let ip = from.ip().to_canonical().to_string();
        let hash: [u8; 20] = Sha1::digest([&self.secret[..], &epoch.to_be_bytes(), ip.as_bytes()].concat()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn gave(&self, connection_id: u64, from: SocketAddr) -> bool {
        let now = self.epoch();
        (now.saturating_sub(OLDER_EPOCHS)..=now).any(|epoch| self.connection_id(from, epoch) == connection_id)
    }
}
