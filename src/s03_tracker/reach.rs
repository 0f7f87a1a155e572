//! How far away an address is, and which addresses we do not contact.
//!
//! An address is a claim. A torrent, a magnet link, a tracker's answer, or a redirect may
//! name any address and any port, and a whole swarm would knock there. Our own machine and
//! its network are behind the firewall that keeps those same strangers out. So the farther
//! away the source of an address, the fewer addresses it may name:
//!
//! | what is named | by whom | rule | why |
//! |---|---|---|---|
//! | a peer | the user | any address, any port | they know their network |
//! | a peer near us, port below 1024 | anyone else | refused | routers, printers, mail servers |
//! | a peer near us | a link | refused if its info hash contains a command | the info hash is all that a link makes us send |
//! | a peer near us | a tracker or a peer farther away | refused | it cannot know which peers are here |
//! | a peer, port below 1024 | a tracker or a peer on the internet | refused | a swarm that knocks there is an attack |
//! | a tracker near us, HTTP | a torrent or link | only `/announce`, or `/KEY/announce` | other services obey a GET |
//! | a tracker near us, UDP, port below 1024 | a torrent or link | refused | name servers, management |
//! | a tracker nearer to us | a redirect | refused | as for peers |
//! | more than 100 trackers | a torrent or link | the first 100 | each peer of a swarm would ask them all |
//!
//! *Near us* is this machine or its network. The rules apply to the address that is really
//! dialed, after its name has been looked up: a name may lead anywhere, and somewhere else
//! the second time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::s01_bencode::counted;
use crate::s02_metainfo::InfoHash;

/// Ports below this one are for a system's own services. On Unix only its administrator can
/// listen there, so no ordinary peer does.
const PRIVILEGED: u16 = 1024;

/// How far away an address is. Nearer is less, so `reach < Reach::Internet` is *near us*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reach {
    /// This machine.
    Machine,
    /// This machine's own network.
    Network,
    /// Anywhere else. An address that is not known to be nearer counts as this.
    #[default]
    Internet,
}

impl Reach {
    /// Returns how far away an address is. An IPv6 address that only wraps an IPv4 address is not
    /// farther away than the IPv4 address.
    pub fn of(ip: IpAddr) -> Reach {
        match ip {
            IpAddr::V4(ip) => Reach::of_v4(ip),
            // The nearer of the two: a link-local address that wraps one of the internet does not
            // leave our network.
            IpAddr::V6(ip) => {
                wrapped(ip).map_or(Reach::Internet, Reach::of_v4).min(Reach::of_v6(ip))
            }
        }
    }

    /// std has `is_private` and `is_loopback`, but not all such methods are stable, and a table can
    /// be compared with the registry of special addresses (RFC 6890).
    fn of_v4(ip: Ipv4Addr) -> Reach {
        match ip.octets() {
            // Loopback. On Linux, dialing 0.0.0.0 also reaches this machine.
            [0 | 127, ..] => Reach::Machine,
            // Private: RFC 1918. Without a DHCP server: RFC 3927.
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [169, 254, ..] => Reach::Network,
            // Behind a provider's NAT: RFC 6598, RFC 6333.
            [100, 64..=127, ..] | [192, 0, 0, _] => Reach::Network,
            // Multicast, reserved, broadcast: none of them is one machine on the internet.
            [224..=255, ..] => Reach::Network,
            _ => Reach::Internet,
        }
    }

    /// For an IPv6 address as such, whatever it wraps.
    fn of_v6(ip: Ipv6Addr) -> Reach {
        match ip.segments() {
            // :: and ::1
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Reach::Machine,
            // Unique local: RFC 4193. Link-local and, formerly, site-local: RFC 4291.
            [0xfc00..=0xfdff, ..] | [0xfe80..=0xfeff, ..] => Reach::Network,
            // Multicast.
            [0xff00..=0xffff, ..] => Reach::Network,
            // A network's own NAT64, which leads to any of its IPv4 addresses: RFC 8215.
            [0x64, 0xff9b, 1, ..] => Reach::Network,
            _ => Reach::Internet,
        }
    }
}

/// Returns the IPv4 address that an IPv6 address wraps, if it wraps one. Whoever dials such an
/// address may end up at 127.0.0.1 by a detour, so each way of wrapping needs its row.
fn wrapped(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None, // no IPv4 address, but :: and ::1
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)), // compatible and mapped: RFC 4291
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),     // translated: RFC 2765
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),  // NAT64: RFC 6052
        [0x2002, high, low, ..] => Some(v4(high, low)),                // 6to4: RFC 3056
        // Teredo writes the bits inverted, so that a NAT does not take them for its own: RFC 4380.
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)), // ISATAP: RFC 5214
        _ => None,
    }
}

/// Where a peer's address comes from. Whatever looks an address up says this with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The user, on the command line.
    User,
    /// A magnet link with this info hash. Someone else wrote it; the user only passed it on.
    Link(InfoHash),
    /// A tracker that is this far away.
    Tracker(Reach),
    /// Another peer, this far away.
    Peer(Reach),
}

/// Returns why a peer's address is not dialed, if it is not: the rows about peers in the table
/// above.
pub fn refusal(address: SocketAddr, by: NamedBy) -> Option<&'static str> {
    let (reach, privileged) = (Reach::of(address.ip()), address.port() < PRIVILEGED);
    let near = reach < Reach::Internet;
    // A peer is believed as much as a tracker at the same distance. Either may lie, and either may
    // have been lied to: whom it names is where somebody else wants us to knock.
    match by {
        NamedBy::User => None,
        NamedBy::Link(_)
        | NamedBy::Tracker(Reach::Machine | Reach::Network)
        | NamedBy::Peer(Reach::Machine | Reach::Network)
            if privileged && near =>
        {
            Some(
                "a port below 1024 of this machine or its network is dialed only where the user names it",
            )
        }
        NamedBy::Link(info_hash) if near && has_command(&info_hash) => Some(
            "the info hash of the link has a command in it, which a service of this network might obey",
        ),
        NamedBy::Tracker(Reach::Internet) | NamedBy::Peer(Reach::Internet) if privileged => Some(
            "a port below 1024 is dialed only where the user or a tracker of our own network names it",
        ),
        NamedBy::Tracker(tracker) if reach < tracker => {
            Some("a tracker farther away does not know who is on this machine or its network")
        }
        NamedBy::Peer(peer) if reach < peer => {
            Some("a peer farther away does not know who is on this machine or its network")
        }
        NamedBy::Link(_) | NamedBy::Tracker(_) | NamedBy::Peer(_) => None,
    }
}

/// Returns the addresses to dial, and a sentence about the others, if there are any. One of
/// them is the example: a tracker may name two thousand, and the reason is mostly the same.
pub fn part(addresses: Vec<SocketAddr>, by: NamedBy) -> (Vec<SocketAddr>, Option<String>) {
    let (refused, dialed): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| refusal(*address, by).is_some());
    let example = refused.first().and_then(|address| Some((address, refusal(*address, by)?)));
    let count = counted(refused.len(), "peer");
    let told =
        example.map(|(address, why)| format!("{count} not dialed, for one {address}: {why}"));
    (dialed, told)
}

/// Whether a new line begins within the 20 bytes and has a word of four letters: some services skip
/// our handshake's start as unknown, and obey the next line. One real info hash in 700 looks like
/// that. The author of a link is free to choose the 20 bytes, since a link's torrent need not
/// exist.
fn has_command(InfoHash(hash): &InfoHash) -> bool {
    let lines = hash.splitn(2, |byte| matches!(byte, b'\n' | b'\r')).nth(1);
    lines.is_some_and(|lines| lines.windows(4).any(|word| word.iter().all(u8::is_ascii_alphabetic)))
}

/// Returns why a tracker at this address is not asked over UDP, if it is not. There is no path
/// to check: a packet goes out before anything shows that a tracker is there.
pub fn packet_refusal(address: SocketAddr) -> Option<&'static str> {
    let privileged = address.port() < PRIVILEGED;
    (privileged && Reach::of(address.ip()) < Reach::Internet).then_some(
        "a tracker of this machine or its network is not asked over UDP at a port below 1024",
    )
}

/// Returns why a tracker this far away is not asked over HTTP for this path, if it is not. A
/// GET of `http://192.168.1.1/reboot` would be obeyed by some routers.
pub fn path_refusal(reach: Reach, path: &str) -> Option<&'static str> {
    (reach < Reach::Internet && !is_announce(path)).then_some(
        "a tracker of this machine or its network is asked only for /announce, or /KEY/announce",
    )
}

/// Returns why a redirect from a tracker at one distance to one at another is not followed, if it
/// is not. Outward, or at the same distance, all are followed.
pub fn redirect_refusal(from: Reach, to: Reach) -> Option<&'static str> {
    (to < from)
        .then_some("a redirect to this machine or its network, from farther away, is not followed")
}

/// Whether a path is a tracker's. Not if a server might resolve it to another path, or take it for
/// the name of a program: `/announce/../x`, `/x.php/announce`.
fn is_announce(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    // A step up or down, plain, hidden by an encoding, or in the spelling of Windows.
    let escapes = ["/.", "\\", "%2e", "%2f", "%5c"].iter().any(|escape| path.contains(escape));
    let mut parts = path.split('/').skip(1); // "" before the first slash
    let is_key =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    // `announce.php` is also a tracker's; parts after it are its own.
    let is_named = |part: &str| ["announce", "scrape"].iter().any(|name| part.starts_with(name));
    !escapes && parts.find(|part| is_named(part) || !is_key(part)).is_some_and(is_named)
}

/// The most tracker URLs of a torrent or a link that are asked at all.
const MAX_URLS: usize = 100;

/// Returns the first hundred URLs, in their tiers. A torrent's author chooses where all its peers
/// announce. Without a limit, each of them could be made to send thousands of requests to one host.
pub fn first_urls(tiers: Vec<Vec<String>>) -> impl Iterator<Item = Vec<String>> {
    let mut left = MAX_URLS;
    let take = move |mut urls: Vec<String>| {
        urls.truncate(left);
        left -= urls.len();
        (!urls.is_empty()).then_some(urls)
    };
    tiers.into_iter().filter(|urls| !urls.is_empty()).map_while(take)
}
