//! The peers in a tracker's answer: compact, in a list, or by name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::TrackerError;
use crate::s01_bencode::Value;
use crate::s01_bencode::forgiving::PassedOver;

/// The most peers that are used of each key of one answer. Stage 14 keeps no more, and trackers
/// name 50 to 200.
pub const MAX_PEERS: usize = 2_000;
/// The most peers of one answer that may be named by host. Each costs a lookup.
const MAX_NAMED: usize = 50;
/// The longest host name, in bytes (RFC 1035).
const MAX_HOST_LENGTH: usize = 255;

/// A peer by host name or IP address, and port: in a tracker's list, or in a magnet link (stage 6).
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
        // At the last colon, since an IPv6 address has colons of its own.
        let (host, port) = text.rsplit_once(':')?;
        // `parse` alone would also read "+6881".
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(|_| v6)?,
            None if host.contains(':') => return None, // which colon is the port's?
            None => host,
        };
        PeerAddress::new(host, port)
    }

    /// Makes an address from host and port; `None` if either cannot be valid. A name is not checked
    /// further: the resolver knows better what it can look up.
    pub fn new(host: &str, port: u16) -> Option<PeerAddress> {
        // Brackets, slashes, blanks and control characters are in no host name.
        let is_odd = |letter: char| "[]/".contains(letter) || letter <= ' ' || letter.is_control();
        let good = port != 0
            && !host.is_empty()
            && host.len() <= MAX_HOST_LENGTH
            && !host.contains(is_odd);
        good.then(|| PeerAddress { host: host.to_owned(), port })
    }
}

/// Writes `host:port`, as [`PeerAddress::parse`] reads it.
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
    /// By IP address, in the order of the answer.
    pub addresses: Vec<SocketAddr>,
    /// By host name: still to be looked up.
    pub named: Vec<PeerAddress>,
}

/// Reads all peers of an answer: `peers`, and after them `peers6` (BEP 7). An answer with neither
/// is valid: the tracker knows no other peer.
pub(super) fn of_answer(top: &Value, notes: &mut PassedOver) -> Result<Peers, TrackerError> {
    let mut peers = match top.get("peers") {
        Some(peers) => compact_or_list(peers, notes)?,
        None => Peers::default(),
    };
    // A broken `peers6` is dropped alone: the IPv4 peers may be good. Its notes are collected
    // apart, since `notes` is borrowed meanwhile.
    let mut more = PassedOver::default();
    let six = |value: &Value| compact(value.bytes()?, "peers6", address_v6, &mut more).ok();
    let six = notes.read(top, "peers6", "a multiple of 18 bytes", six);
    peers.addresses.extend(six.unwrap_or_default());
    more.into_notes().into_iter().for_each(|note| notes.add(|| note));
    // Port 0 is no port: it cannot be dialed.
    peers.addresses.retain(|peer| peer.port() != 0);
    Ok(peers)
}

/// Reads `peers` in either of its two forms: a string with six bytes for each
/// peer (BEP 23), or a list of dictionaries (BEP 3).
///
/// ```text
/// 5:peers 12: <7f 00 00 02  1a e1> <7f 00 00 03  1a e1>                    compact
/// 5:peers l d 2:ip 9:127.0.0.2 7:peer id 20:... 4:port i6881e e  d .. e e  a list
/// ```
/// The type of the value says which form it is. A tracker need not heed `compact=1`. A broken
/// entry of a list costs only itself, but a string that is not a multiple of six cannot be
/// cut: nobody knows where the error is.
fn compact_or_list(peers: &Value, notes: &mut PassedOver) -> Result<Peers, TrackerError> {
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
    // `peer id` is not read: the handshake says it, and only then is it worth anything.
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
            _ => unusable += 1, // no port, or too many names already
        }
    }
    let all = list.len().min(MAX_PEERS);
    too_many(list.len(), "peers", notes);
    if unusable > 0 {
        notes.add(|| format!("peers has {unusable} of {all} entries without a usable ip and port; they are passed over"));
    }
    Ok(peers)
}

/// Reads compact peers, `N` bytes each, and takes the first [`MAX_PEERS`]. `N` is 6 or 18, and
/// `read` turns that many bytes into an address. Cut by count and never by content: any byte
/// may be part of an address.
fn compact<const N: usize>(
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
