//! Whom not to dial: politeness, and the reasons for it.
//!
//! An address is a claim, too. A tracker's answer or a magnet link may name any address
//! and any port, and a whole swarm would knock there. So the further away a
//! name comes from, the less it may ask of us:
//!
//! * **Nobody but the user** sends us to a port below 1024 on this machine or its network:
//!   that is where routers, printers and mail servers are.
//! * **A tracker of the internet** sends us neither to this machine and its network, which it
//!   cannot know, nor to any port below 1024. A tracker on such a network may: peers of a
//!   class are there.
//! * **A tracker on this machine** is asked only for a path with `announce` in it. Other
//!   services here would take a GET request for an order.
//! * **An address with many ports** and nobody at any of them is not a swarm: after
//!   [`MOST_VAIN`] of them it is left alone, until somebody from there comes to us. Twenty programs
//!   on one machine are a swarm, and the first that answers shows it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::sharing::Origin;

/// The ports that only a system's own services use.
const PRIVILEGED: u16 = 1024;
/// How many ports of an address are dialled in vain before the others are left alone.
pub const MOST_VAIN: u32 = 30;

/// How many addresses are counted for.
const REMEMBERED: usize = 2000;

/// How far away an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine.
    Machine,
    /// Its own network.
    Network,
    /// Anywhere.
    Internet,
}

impl Reach {
    /// Of an address.
    pub fn of(ip: IpAddr) -> Reach {
        let (machine, network) = match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let shared = matches!(ip.octets(), [100, 64..=127, ..]); // RFC 6598
                (ip.is_loopback() || ip.is_unspecified(), ip.is_private() || ip.is_link_local() || ip.is_broadcast() || shared)
            }
            IpAddr::V6(ip) => (ip.is_loopback() || ip.is_unspecified(), ip.is_unique_local() || ip.is_unicast_link_local()),
        };
        match (machine, network) {
            (true, _) => Reach::Machine,
            (false, true) => Reach::Network,
            (false, false) => Reach::Internet,
        }
    }

    /// Of a tier of trackers: of the one that is farthest away, since any of them may have
    /// answered. One that cannot be looked up counts as one of our network.
    pub fn of_trackers(urls: &[String]) -> Reach {
        urls.iter().map(|url| Reach::of_tracker(url)).max().unwrap_or(Reach::Network)
    }

    fn of_tracker(url: &str) -> Reach {
        let Some(rest) = after_scheme(url, &["http", "https", "udp"]) else { return Reach::Network };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // The port does not matter, but there must be one.
        let with_port = if host.parse::<SocketAddr>().is_ok() { host.to_owned() } else { format!("{}:80", without_port(host)) };
        let found = with_port.to_socket_addrs();
        found.ok().and_then(|found| found.map(|address| Reach::of(address.ip())).max()).unwrap_or(Reach::Network)
    }
}

/// What follows the scheme of a URL, if it is one of these, in any spelling.
fn after_scheme<'u>(url: &'u str, schemes: &[&str]) -> Option<&'u str> {
    let (scheme, rest) = url.trim().split_once("://")?;
    schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Where an address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedBy {
    /// The user, on the command line.
    User,
    /// A magnet link, which others write and the user passes on.
    Link,
    /// A tracker that is this far away.
    Tracker(Reach),
}

/// Why an address is not dialled, if it is not.
pub fn refusal(address: SocketAddr, by: &NamedBy) -> Option<&'static str> {
    let (reach, privileged) = (Reach::of(address.ip()), address.port() < PRIVILEGED);
    match by {
        NamedBy::User => None,
        NamedBy::Link | NamedBy::Tracker(Reach::Machine | Reach::Network) if privileged && reach < Reach::Internet => {
            Some("a port below 1024 of this machine or its network is dialled only where the user names it")
        }
        NamedBy::Link => None,
        NamedBy::Tracker(Reach::Internet) if privileged => {
            Some("a port below 1024 is dialled only where the user or a tracker of our own network names it")
        }
        NamedBy::Tracker(tracker) if reach < *tracker => {
            Some("a tracker farther away does not know who is on this machine or its network")
        }
        NamedBy::Tracker(_) => None,
    }
}

/// Whether a tracker is asked: on this machine, only one whose path has a part that begins with
/// `announce`.
pub fn may_ask(url: &str) -> bool {
    let Some(rest) = after_scheme(url, &["http", "https"]) else { return true };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = without_port(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| Reach::of(ip) == Reach::Machine);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    !here || path.split('/').any(|part| part.starts_with("announce"))
}

/// The addresses at which many ports have been dialled, and what came of it.
#[derive(Debug, Default)]
pub struct Knocks {
    /// How many were dialled in vain; nothing once there was a peer at one.
    vain: HashMap<Origin, Option<u32>>,
}

impl Knocks {
    /// A port of this address has been dialled for the first time, and there was no peer.
    pub fn in_vain(&mut self, ip: IpAddr) {
        self.make_room();
        if let Some(vain) = self.vain.entry(Origin::of(ip)).or_insert(Some(0)) {
            *vain += 1;
        }
    }

    /// There is a peer at this address.
    pub fn answered(&mut self, ip: IpAddr) {
        self.make_room();
        self.vain.insert(Origin::of(ip), None);
    }

    /// Whether no more ports of this address are dialled.
    pub fn is_enough(&self, ip: IpAddr) -> bool {
        self.vain.get(&Origin::of(ip)).is_some_and(|vain| vain.is_some_and(|vain| vain >= MOST_VAIN))
    }

    fn make_room(&mut self) {
        if self.vain.len() >= REMEMBERED {
            self.vain.clear();
        }
    }
}
