//! The peers in a tracker's answer: compact, in a list, or by name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::TrackerError;
use crate::s01_bencode::Value;
use crate::s01_bencode::forgiving::PassedOver;

/// The most peers that are used of each key of one answer. A swarm remembers no more, and
/// trackers name 50 to 200.
pub const MAX_PEERS: usize = 2_000;
/// The most peers of one answer that may be named by host. Each costs a lookup.
const MAX_NAMED: usize = 50;
/// The longest host name, in bytes (RFC 1035).
const MAX_HOST_LENGTH: usize = 255;

/// A peer by host name or IP address, and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// `example.org`, `192.0.2.1` or `2001:db8::1` (without brackets).
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl PeerAddress {
    /// Reads `host:port`, with an IPv6 address in brackets.
    pub fn parse(text: &str) -> Option<PeerAddress> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(|_| v6)?,
            None if host.contains(':') => return None,
            None => host,
        };
        PeerAddress::new(host, port)
    }

    /// A host and a port; `None` if either cannot be valid.
    pub fn new(host: &str, port: u16) -> Option<PeerAddress> {
        let is_odd = |letter: char| "[]/".contains(letter) || letter <= ' ' || letter.is_control();
        let good = port != 0
            && !host.is_empty()
            && host.len() <= MAX_HOST_LENGTH
            && !host.contains(is_odd);
        good.then(|| PeerAddress { host: host.to_owned(), port })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// The peers that an answer names.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub addresses: Vec<SocketAddr>,
    pub named: Vec<PeerAddress>,
}

/// Reads `peers` in either of its two forms: a string with six bytes for each
/// peer (BEP 23), or a list of dictionaries (BEP 3).
pub(super) fn compact_or_list(
    peers: &Value,
    notes: &mut PassedOver,
) -> Result<Peers, TrackerError> {
    if let Some(bytes) = peers.bytes() {
        return Ok(Peers {
            addresses: compact(bytes, "peers", address_v4, notes)?,
            named: Vec::new(),
        });
    }
    let expected = "a byte string or a list";
    let list = peers.list().ok_or(TrackerError::Answer {
        key: "peers",
        expected,
        found: peers.type_name().to_owned(),
    })?;
    let (mut peers, mut unusable) = (Peers::default(), 0);
    for peer in list.iter().take(MAX_PEERS) {
        let host = peer.get("ip").and_then(Value::text).unwrap_or_default();
        let port =
            peer.get("port").and_then(Value::unsigned).and_then(|port| u16::try_from(port).ok());
        match (host.parse::<IpAddr>(), port) {
            (Ok(ip), Some(port)) => peers.addresses.push(SocketAddr::new(ip, port)),
            // BEP 3 also allows "dns name as a string".
            (Err(_), Some(port)) if peers.named.len() < MAX_NAMED => {
                match PeerAddress::new(host, port) {
                    Some(peer) => peers.named.push(peer),
                    None => unusable += 1,
                }
            }
            _ => unusable += 1,
        }
    }
    let all = list.len().min(MAX_PEERS);
    too_many(list.len(), "peers", notes);
    if unusable > 0 {
        notes.add(|| format!("peers has {unusable} of {all} entries without a usable ip and port; they are passed over"));
    }
    Ok(peers)
}

/// Reads compact peers, `N` bytes each, and takes the first [`MAX_PEERS`].
pub(super) fn compact<const N: usize>(
    bytes: &[u8],
    key: &'static str,
    read: fn(&[u8; N]) -> SocketAddr,
    notes: &mut PassedOver,
) -> Result<Vec<SocketAddr>, TrackerError> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        let expected = if N == 6 { "a multiple of 6 bytes" } else { "a multiple of 18 bytes" };
        return Err(TrackerError::Answer {
            key,
            expected,
            found: format!("{} bytes", bytes.len()),
        });
    }
    too_many(chunks.len(), key, notes);
    Ok(chunks.iter().take(MAX_PEERS).map(read).collect())
}

/// Notes that an answer names more peers than are used.
fn too_many(found: usize, key: &str, notes: &mut PassedOver) {
    if found > MAX_PEERS {
        notes.add(|| {
            format!("{key} has {found} entries; those after the first {MAX_PEERS} are passed over")
        });
    }
}

/// Reads 4 bytes of address and 2 of port, both in network byte order (BEP 23).
pub(crate) fn address_v4(&[a, b, c, d, high, low]: &[u8; 6]) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
}

/// Reads 16 bytes of address and 2 of port (BEP 7).
pub(crate) fn address_v6(bytes: &[u8; 18]) -> SocketAddr {
    let [ip @ .., high, low] = *bytes;
    SocketAddr::new(Ipv6Addr::from(ip).into(), u16::from_be_bytes([high, low]))
}
