//! From a tracker's URL to the addresses to try.
//!
//! std looks names up with no limit of time, so it is done on a thread of its own,
//! which may outlive our interest in it. There are only so many such threads.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use super::UdpError;

/// How many names are looked up at a time.
const MOST_LOOKUPS: usize = 64;
/// How many addresses of one name are tried.
const MOST_ADDRESSES: usize = 4;
/// The longest path and query, in bytes: all of a request must fit into one packet.
const LONGEST_PATH: usize = 1_000;
/// What each thread gets of the address space.
const STACK: usize = 512 << 10;

/// The parts of a tracker's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// Path and query: `/announce?key=1`.
    pub path: String,
}

impl Place {
    /// Takes a URL apart. There is no usual port for UDP trackers, so one must be there.
    pub fn parse(url: &str) -> Result<Place, UdpError> {
        let wrong = |expected| UdpError::Url { expected };
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| wrong("a host and a port"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']']) || bracketed.is_none() && host.contains(':') {
            return Err(wrong("a host name or address, IPv6 in brackets"));
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(|| wrong("a port from 1 to 65535"))?;
        if path.len() > LONGEST_PATH {
            return Err(wrong("a path and query of at most 1000 bytes"));
        }
        Ok(Place { host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Looks up names, a bounded number at a time.
#[derive(Debug, Default)]
pub(super) struct Lookups(Arc<AtomicUsize>);

/// One of the threads that look up. Dropping it makes room for the next.
struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lookups {
    /// The addresses to try, in this order; at least one.
    pub fn find(&self, place: &Place, until: Instant) -> Result<Vec<SocketAddr>, UdpError> {
        if let Ok(ip) = place.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip.to_canonical(), place.port)]);
        }
        let failed = |error| UdpError::Lookup { host: place.host.clone(), error };
        let ticket = Ticket(Arc::clone(&self.0));
        if self.0.fetch_add(1, Ordering::Relaxed) >= MOST_LOOKUPS {
            return Err(failed(io::Error::other("too many names are being looked up already")));
        }
        let (send, found) = mpsc::channel();
        let name = (place.host.clone(), place.port);
        let look_up = move || {
            let _ticket = ticket;
            let found = (name.0.as_str(), name.1).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            let _ = send.send(found); // nobody listens any more if it took too long
        };
        thread::Builder::new().name("look up".to_owned()).stack_size(STACK).spawn(look_up).map_err(failed)?;
        let found = match found.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(found) => spread(found.map_err(failed)?),
            Err(RecvTimeoutError::Timeout) => return Err(failed(io::Error::other("no answer in time"))),
            Err(RecvTimeoutError::Disconnected) => Vec::new(),
        };
        if found.is_empty() { Err(failed(io::Error::other("it has no address"))) } else { Ok(found) }
    }
}

/// The first address of each family, then others: a machine without a way to the IPv6
/// internet must come to an IPv4 address while there is time, and the other way round.
fn spread(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut order: Vec<SocketAddr> = Vec::new();
    let found = found.into_iter().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
    for address in found {
        if !order.contains(&address) {
            order.push(address);
        }
    }
    if let Some(first) = order.first().copied()
        && let Some(other) = order.iter().position(|address| address.is_ipv4() != first.is_ipv4())
        && let Some(to_front) = order.get_mut(1..=other)
    {
        to_front.rotate_right(1);
    }
    order.truncate(MOST_ADDRESSES);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_family_comes_first() {
        let order = |found: &[&str]| -> Vec<String> {
            let found = found.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 1));
            spread(found.collect()).iter().map(|address| address.ip().to_string()).collect()
        };
        assert_eq!(order(&["::1", "::2", "::3", "::4", "::5", "192.0.2.1"]), ["::1", "192.0.2.1", "::2", "::3"]);
        assert_eq!(order(&["192.0.2.1", "192.0.2.2", "192.0.2.1", "::1"]), ["192.0.2.1", "::1", "192.0.2.2"]);
        assert_eq!(order(&["192.0.2.1", "::1"]), ["192.0.2.1", "::1"]);
        assert_eq!(order(&["::ffff:192.0.2.1", "192.0.2.1"]), ["192.0.2.1"]);
        assert!(order(&[]).is_empty());
    }
}
