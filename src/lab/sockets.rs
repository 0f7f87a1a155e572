//! The sockets a tracker listens on, and the addresses at which others reach them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// The two sockets of a tracker, with one port number.
pub type Sockets = (TcpListener, UdpSocket);

/// Listens on an address; port 0 lets the system choose one.
///
/// # Errors
/// If it is taken, or not ours.
pub fn at(address: SocketAddr) -> io::Result<Vec<Sockets>> {
    Ok(vec![bind_both(address)?])
}

/// Listens on all of the machine's addresses, with two pairs of sockets if one pair does
/// not serve both IPv4 and IPv6.
///
/// # Errors
/// If the port is taken.
pub fn everywhere(port: u16) -> io::Result<Vec<Sockets>> {
    let six = bind_both((Ipv6Addr::UNSPECIFIED, port).into());
    // Use the same port, in case the system chose it.
    let port = six
        .as_ref()
        .ok()
        .and_then(|(six, _)| six.local_addr().ok())
        .map_or(port, |address| address.port());
    match (six, bind_both((Ipv4Addr::UNSPECIFIED, port).into())) {
        (Ok(six), Ok(four)) => Ok(vec![six, four]),
        (Ok(both), Err(_)) => Ok(vec![both]),
        (Err(_), four) => Ok(vec![four?]),
    }
}

/// Returns the error for a place of a room that cannot be had.
pub(super) fn not_there(place: SocketAddr, error: &io::Error) -> io::Error {
    let what = match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{place}: it is taken, perhaps by another lab in that room")
        }
        ErrorKind::AddrNotAvailable => {
            format!("{place}: this system has no loopback address but 127.0.0.1, and so no rooms")
        }
        _ => format!("{place}: {error}"),
    };
    io::Error::new(error.kind(), what)
}

/// Listens on one port number over TCP and UDP; port 0 lets the system choose one.
fn bind_both(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut tries = 0;
    loop {
        let listener = TcpListener::bind(address)?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(socket) => return Ok((listener, socket)),
            // The system has chosen a port that is free over TCP; over UDP it may be taken.
            Err(_) if address.port() == 0 && tries < 20 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Returns the addresses from which this machine would dial others, over IPv4 and perhaps
/// IPv6. The addresses to dial are from the ranges for documentation.
pub(super) fn own_addresses(also_six: bool) -> Vec<IpAddr> {
    let four = Some(Ipv4Addr::new(192, 0, 2, 1).into());
    let six = also_six.then_some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let own = [four, six].into_iter().flatten().filter_map(own_address);
    own.filter(|ip| !ip.is_loopback()).collect()
}

/// Returns the address from which this machine would dial `peer`. Connecting a UDP socket
/// sends nothing: it only makes the system choose a route.
pub(super) fn own_address(peer: IpAddr) -> Option<IpAddr> {
    let from: IpAddr =
        if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect((peer, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}
