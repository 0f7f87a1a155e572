//! From a name to addresses, by a deadline.
//!
//! std looks names up without a time limit: it asks the system's resolver, which may try
//! several silent name servers for half a minute, and cannot be interrupted. So each lookup
//! gets a thread of its own, which may outlive our interest in it. The number of such
//! threads is bounded.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use super::peers::PeerAddress;

/// The most names that are looked up at the same time, including those that no one still waits for.
const MAX_LOOKUPS: usize = 64;
/// The most addresses of one name that are tried. The first of each family is among them.
const MAX_ADDRESSES: usize = 4;
/// The stack of each thread, in bytes. std's default is four times as much.
const STACK: usize = 512 << 10;

/// Looks up names, a bounded number at the same time. It holds the number of running threads.
#[derive(Debug, Default)]
pub struct Lookups(Arc<AtomicUsize>);

/// The right to run one lookup thread. Dropping it makes room for the next, also after a panic.
struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed); // only a count: it guards no other data
    }
}

impl Lookups {
    /// Returns the addresses to try, in this order; at least one.
    ///
    /// # Errors
    /// If the name leads nowhere, or there is no answer by `deadline`.
    pub fn find(&self, host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        // An address needs no lookup, and no thread.
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip.to_canonical(), port)]);
        }
        // Counted first, then checked, so that two threads cannot both take the last place. An
        // early return drops the ticket, which takes the count back.
        let ticket = Ticket(Arc::clone(&self.0));
        if self.0.fetch_add(1, Ordering::Relaxed) >= MAX_LOOKUPS {
            return Err(io::Error::other("too many names are being looked up already"));
        }
        let (send, found) = mpsc::channel();
        let name = (host.to_owned(), port);
        let look_up = move || {
            let _ticket = ticket; // dropped when the system answers, however late
            let found =
                (name.0.as_str(), name.1).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            let _ = send.send(found); // the receiver is gone if it took too long
        };
        thread::Builder::new().name("look up".to_owned()).stack_size(STACK).spawn(look_up)?;
        let found = match found.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(found) => spread(found?),
            Err(RecvTimeoutError::Timeout) => return Err(io::Error::other("no answer in time")),
            Err(RecvTimeoutError::Disconnected) => Vec::new(), // the thread ended without a word
        };
        if found.is_empty() { Err(io::Error::other("it has no address")) } else { Ok(found) }
    }

    /// Returns the addresses of peers that are named by host, and a sentence for each name
    /// that leads nowhere. Each name gets its share of the time left, so one without an
    /// answer cannot use it all up.
    pub fn find_peers(
        &self,
        named: &[PeerAddress],
        deadline: Instant,
    ) -> (Vec<SocketAddr>, Vec<String>) {
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        // In turn: peers by name are rare, and a thread for each of fifty would take most places.
        for (number, peer) in named.iter().enumerate() {
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / (named.len() - number) as u32;
            match self.find(&peer.host, peer.port, now + share) {
                Ok(addresses) => found.extend(addresses),
                Err(error) => lost
                    .push(format!("it names the peer {peer}, which cannot be looked up: {error}")),
            }
        }
        (found, lost)
    }
}

/// Returns the first address of each family, then others: a machine that cannot reach the
/// IPv6 internet must get to an IPv4 address while there is time, and vice versa. Otherwise
/// the order is the system's, which puts first what it thinks reachable (RFC 6724).
fn spread(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut order: Vec<SocketAddr> = Vec::new();
    let found = found
        .into_iter()
        .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
    // Each address once: an IPv4 address may also be there wrapped in IPv6.
    for address in found {
        if !order.contains(&address) {
            order.push(address);
        }
    }
    // The first of the other family moves to the second place, and those before it move back by
    // one: the order within a family stays.
    if let Some(first) = order.first().copied()
        && let Some(other) = order.iter().position(|address| address.is_ipv4() != first.is_ipv4())
        && let Some(to_front) = order.get_mut(1..=other)
    {
        to_front.rotate_right(1);
    }
    order.truncate(MAX_ADDRESSES);
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
        assert_eq!(
            order(&["::1", "::2", "::3", "::4", "::5", "192.0.2.1"]),
            ["::1", "192.0.2.1", "::2", "::3"]
        );
        assert_eq!(
            order(&["192.0.2.1", "192.0.2.2", "192.0.2.1", "::1"]),
            ["192.0.2.1", "::1", "192.0.2.2"]
        );
        assert_eq!(order(&["192.0.2.1", "::1"]), ["192.0.2.1", "::1"]);
        assert_eq!(order(&["::ffff:192.0.2.1", "192.0.2.1"]), ["192.0.2.1"]);
        assert!(order(&[]).is_empty());
    }
}
