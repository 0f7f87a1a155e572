//! The group that we have joined: a socket that hears all of the room, and speaks to all of it.
//!
//! Two things here are new. A datagram to a multicast address reaches every computer that has
//! joined the group, and our own as well. And all clients on one computer listen at the same port,
//! 6771, so each of them must allow the others to. std can do that only after binding, when it is
//! too late; the crate `socket2` does it before.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::s18_udp_tracker::line::receive_within;

/// How many networks a datagram may cross: none but this one. Each router on the way takes one off,
/// and drops a datagram that has none left.
const HOPS: u32 = 1;

/// The number of the loopback device, which is the first of every system.
const LOOPBACK_CARD: u32 = 1;

/// A group that we have joined. A seam: tests have a room without a network.
pub trait Room: Send {
    /// Returns the address of the group.
    fn group(&self) -> SocketAddr;

    /// Sends a datagram to everybody in the group.
    ///
    /// # Errors
    /// If the system cannot: perhaps there is no network at the moment.
    fn send(&self, datagram: &[u8]) -> io::Result<()>;

    /// Waits for the next datagram and copies it to the start of the buffer. Returns its length and
    /// its sender; `None` if none comes within this time, or a signal interrupts the wait.
    ///
    /// # Errors
    /// If the socket can no longer receive.
    fn receive(&self, time: Duration, buffer: &mut [u8])
    -> io::Result<Option<(usize, SocketAddr)>>;
}

/// A socket in a multicast group.
pub struct MulticastSocket {
    socket: UdpSocket,
    group: SocketAddr,
}

impl MulticastSocket {
    /// Joins a group, on the network of an address of this computer if one of the group's family is
    /// given. Otherwise the system chooses: the network with the default route, for IPv6 the first.
    ///
    /// # Errors
    /// If the system has no such address, or no network that takes multicast.
    pub fn join(group: SocketAddr, on: Option<IpAddr>) -> io::Result<MulticastSocket> {
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        match group {
            SocketAddr::V4(group) => {
                let on = match on {
                    Some(IpAddr::V4(ip)) => ip,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                socket.set_multicast_ttl_v4(HOPS)?;
                if !on.is_unspecified() {
                    socket.set_multicast_if_v4(&on)?;
                }
                // Not to the group's own address. The socket would then hear only the group, which
                // is better, but not every system lets such a socket send.
                socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into())?;
                socket.join_multicast_v4(group.ip(), &on)?;
            }
            SocketAddr::V6(group) => {
                // Otherwise it would want port 6771 of IPv4 as well.
                socket.set_only_v6(true)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, group.port())).into())?;
                // A network card is given by its number here, and std cannot find that of an
                // address. 0 leaves the choice to the system.
                let loopback = on.is_some_and(|ip| ip.is_loopback());
                let card = if loopback { LOOPBACK_CARD } else { 0 };
                socket.set_multicast_if_v6(card)?;
                socket.join_multicast_v6(group.ip(), card)?;
            }
        }
        Ok(MulticastSocket { socket: socket.into(), group })
    }
}

impl Room for MulticastSocket {
    fn group(&self) -> SocketAddr {
        self.group
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, self.group).map(drop)
    }

    fn receive(
        &self,
        time: Duration,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        receive_within(&self.socket, time, buffer)
    }
}
