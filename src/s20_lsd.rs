//! Stage 20: find peers in the same room, with no tracker.
//!
//! Two computers on one network could exchange a file at full speed, yet they ask a tracker across
//! the ocean to introduce them. Local service discovery asks the room instead: one datagram to a
//! multicast group reaches every client on the network that listens. It says "I have this torrent,
//! at this port", and whoever has it as well dials.
//!
//! * **Run it:** `piecemeal lsd_peers lab/sample.torrent`
//! * **Spec:** BEP 14; BEP 27 (private torrents); **chapter:** `docs/20-lsd.md`
//! * **Builds on:** [`PeerSource`] from stage 13, [`Reach`] from stage 3, sockets as in stage 18
//!
//! # On the wire
//! One kind of datagram, to one of two groups. It is at most 1,400 bytes long.
//! ```text
//! BT-SEARCH * HTTP/1.1\r\n
//! Host: 239.192.152.143:6771\r\n                       or [ff15::efc0:988f]:6771
//! Port: 6881\r\n                                       where we listen, over TCP
//! Infohash: cda492889448d540ee036365137eedd24308d22c\r\n         any number of these
//! cookie: 1f0c93ab\r\n                                 optional; we know our own by it
//! \r\n
//! \r\n
//! ```
//! # Decisions
//! * **The IP address comes from the datagram, the port from its text.** So a sender names nobody
//!   but itself, and nobody can make a whole room dial a victim.
//! * **Only neighbors count.** A datagram with a sender outside of this network was not multicast
//!   here, whatever it says ([`is_near`]).
//! * **Everything is counted.** At most 50 addresses an hour are dialed, and at most one answer a
//!   minute is sent. What else comes is dropped, so a flood costs one read for each datagram.
//! * **A socket and a thread for each family.** One thread with two sockets would have to poll.
//! * **Never for a private torrent.** Its peers come from its trackers only ([`allowed`]).
//! * **Left out:** several torrents in one datagram, which only [`search`] can do; more than one
//!   network card, since std cannot list them.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod neighbors;
pub mod pace;
pub mod room;
pub mod search;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::neighbors::Neighbors;
use self::pace::Pace;
use self::room::{MulticastSocket, Room};
use self::search::BtSearch;
use crate::s02_metainfo::{Info, Names};
use crate::s03_tracker::reach::{NamedBy, Reach};
use crate::s07_extension::BoxError;
use crate::s13_peer_sources::signals::Wake;
use crate::s13_peer_sources::source::{PeerSource, SourceHandle};
use crate::s18_udp_tracker::line::LARGEST_DATAGRAM;

/// The group for IPv4. The range is for one organization (RFC 2365), and routers between
/// organizations do not pass it on.
pub const GROUP_V4: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), 6771);
/// The group for IPv6: `ff15` is a group of one site, not one that a registry has assigned.
pub const GROUP_V6: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)), 6771);

/// Longest wait in a read. A stop is noticed at most this late: it cannot wake a thread that waits
/// at a socket.
const TICK: Duration = Duration::from_millis(100);

/// Checks that the network may be asked about a torrent.
///
/// # Errors
/// If the torrent is private.
pub fn allowed(info: &Info) -> Result<(), LsdError> {
    if info.private { Err(LsdError::Private) } else { Ok(()) }
}

/// Joins the group of each family; with an address of this computer, only on its network. A family
/// that this computer does not have is no error, as long as the other can be joined.
///
/// # Errors
/// If neither can: the error of the first.
pub fn join(on: Option<IpAddr>) -> Result<Vec<Box<dyn Room>>, LsdError> {
    let groups = [GROUP_V4, GROUP_V6];
    let fits = |group: &SocketAddr| on.is_none_or(|ip| ip.is_ipv4() == group.is_ipv4());
    let (mut rooms, mut failed): (Vec<Box<dyn Room>>, _) = (Vec::new(), None);
    for group in groups.into_iter().filter(fits) {
        match MulticastSocket::join(group, on) {
            Ok(socket) => rooms.push(Box::new(socket)),
            Err(error) => failed = failed.or(Some(LsdError::Join { group, error })),
        }
    }
    match failed {
        Some(error) if rooms.is_empty() => Err(error),
        _ => Ok(rooms),
    }
}

/// Finds peers of one torrent in one group, and lets them find us.
pub struct LocalDiscovery {
    /// The group that we have joined.
    room: Box<dyn Room>,
    names: Names,
    /// Where we listen. With 0, we do not, and then we only listen to the others.
    port: u16,
    /// Marks our datagrams. The group sends them back to us as well.
    cookie: Vec<u8>,
    /// Our own address on this network, once one of our datagrams has come back. std cannot list a
    /// computer's addresses, but the sender of that datagram is one.
    ourselves: Option<IpAddr>,
    neighbors: Neighbors,
    pace: Pace,
}

impl LocalDiscovery {
    /// Makes the source for a torrent whose peers are at `port`. The first datagram is due at once.
    pub fn new(room: Box<dyn Room>, names: impl Into<Names>, port: u16) -> LocalDiscovery {
        LocalDiscovery {
            room,
            names: names.into(),
            port,
            cookie: format!("{:08x}", rand::random::<u32>()).into_bytes(),
            ourselves: None,
            neighbors: Neighbors::default(),
            pace: Pace::new(Instant::now()),
        }
    }

    /// Returns the source at another pace, such as that of a client that has been here for hours.
    pub fn at_pace(self, pace: Pace) -> LocalDiscovery {
        LocalDiscovery { pace, ..self }
    }

    /// Sends our datagram to the group, and reports when the next one follows.
    fn announce(&mut self, handle: &SourceHandle, now: Instant) {
        let pause = self.pace.announced(now);
        if self.port != 0 {
            let (info_hashes, cookie) = (self.names.all().collect(), Some(self.cookie.clone()));
            let search = BtSearch { port: self.port, info_hashes, cookie };
            // A network that is down may come back, so this does not end the source.
            if let Err(error) = self.room.send(&search.encode(self.room.group())) {
                handle.failed(format!("{}: {error}", self.name()));
            }
        }
        handle.again(now, pause);
    }

    /// Reads a datagram, and reports its sender if that is a neighbor with our torrent.
    ///
    /// | the datagram | what we do |
    /// |---|---|
    /// | is no BT-SEARCH, or a broken one | drop it: anyone can send anything |
    /// | has our cookie | drop it, and learn our own address from its sender |
    /// | names other torrents only | drop it |
    /// | has no cookie, and our address and port | drop it: it is ours, and lost its cookie |
    /// | has a sender outside of this network | drop it |
    /// | is from a neighbor | report the neighbor, and answer if it is new |
    fn hear(&mut self, datagram: &[u8], from: SocketAddr, now: Instant, handle: &SourceHandle) {
        let Ok(search) = BtSearch::parse(datagram) else { return };
        if search.cookie.as_ref() == Some(&self.cookie) {
            self.ourselves = Some(from.ip());
            return;
        }
        // Without a cookie there is only the address. With another one it is not ours, even if the
        // address is: a computer may run several clients.
        let is_ours = search.cookie.is_none()
            && (self.ourselves, self.port) == (Some(from.ip()), search.port);
        if !search.info_hashes.iter().any(|name| self.names.has(*name))
            || is_ours
            || !is_near(from.ip(), self.ourselves)
        {
            return;
        }
        // Changed in place: a link-local IPv6 address is of no use without its scope.
        let mut peer = from;
        peer.set_port(search.port);
        let heard = self.neighbors.hear(peer, search.cookie.as_deref(), now);
        if heard.answer {
            self.pace.asked(now);
        }
        if heard.dial {
            // A sender can be forged, so it is trusted no more than whoever wrote a magnet link: no
            // ports of services, and no info hash that a service would obey.
            let by = match Reach::of(peer.ip()) {
                Reach::Internet => NamedBy::Tracker(Reach::Internet),
                Reach::Machine | Reach::Network => NamedBy::Link(self.names.first()),
            };
            handle.found(by, vec![peer]);
        }
    }
}

impl PeerSource for LocalDiscovery {
    fn name(&self) -> String {
        let family = if self.room.group().is_ipv4() { "IPv4" } else { "IPv6" };
        format!("the local network ({family})")
    }

    /// The local network is not one of the torrent's trackers.
    fn is_open(&self) -> bool {
        true
    }

    /// Listens, and announces when that is due.
    ///
    /// # Errors
    /// If the socket can no longer receive.
    fn run(mut self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        loop {
            // Both are checked in every round, so that a flood of datagrams delays neither a stop
            // nor our own datagram.
            match handle.wait(Duration::ZERO) {
                Wake::Stop => return Ok(()),
                Wake::Hungry => self.pace.asked(Instant::now()),
                Wake::Completed | Wake::Due => {}
            }
            let now = Instant::now();
            if self.pace.due() <= now {
                self.announce(&handle, now);
            }
            let time = self.pace.due().saturating_duration_since(now).min(TICK);
            let received = self.room.receive(time, &mut buffer);
            let group = self.room.group();
            let received = received.map_err(|error| LsdError::Receive { group, error })?;
            if let Some((length, from)) = received {
                let datagram = buffer.get(..length).unwrap_or_default();
                self.hear(datagram, from, Instant::now(), &handle);
            }
        }
    }
}

/// Whether an address is on this network: it is private, or near our own.
///
/// Private addresses are not enough. A university may give each computer a public one, and with
/// IPv6 nearly every network does. So an address also counts if it begins like ours: 24 bits of
/// IPv4, 64 of IPv6, which are the usual sizes of one network.
pub fn is_near(ip: IpAddr, ourselves: Option<IpAddr>) -> bool {
    let same_network = match (ip, ourselves) {
        (IpAddr::V4(ip), Some(IpAddr::V4(ours))) => ip.to_bits() >> 8 == ours.to_bits() >> 8,
        (IpAddr::V6(ip), Some(IpAddr::V6(ours))) => ip.to_bits() >> 64 == ours.to_bits() >> 64,
        _ => false,
    };
    // 0.0.0.0 is nobody's address, and whoever dials it dials itself.
    !ip.is_unspecified() && (same_network || Reach::of(ip) < Reach::Internet)
}

/// Why the local network cannot be asked.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum LsdError {
    /// The group cannot be joined: there is no network, or none that takes multicast.
    #[error("cannot join {group}: {error}")]
    Join {
        group: SocketAddr,
        #[source]
        error: io::Error,
    },
    /// The socket can no longer receive.
    #[error("{group}: {error}")]
    Receive {
        group: SocketAddr,
        #[source]
        error: io::Error,
    },
    /// BEP 27: nobody but the trackers may name peers.
    #[error("this torrent is private, so only its trackers name peers")]
    Private,
}
