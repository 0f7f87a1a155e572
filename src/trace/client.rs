//! Finds the program that a peer id belongs to, by the conventions in BEP 20.
//!
//! ```text
//! -TR3000-............   dash, two letters, four digits of version, dash: most programs
//! M7-10-5--...........   a letter and a version with dashes: BitTorrent itself
//! A2-1-36-0-..........   the same, by aria2
//! ```
//! The meaning of the four digits depends on the program. Most use one for each part of the
//! version. Ours are two and two, as are the lab's: `-PM0001-` is piecemeal 0.1.
//!
//! A peer can claim any peer id, so nothing here is certain.

use crate::s03_tracker::PeerId;

/// The two letters of common programs.
const KNOWN: [(&[u8; 2], &str); 22] = [
    (b"AZ", "Vuze"),
    (b"BC", "BitComet"),
    (b"BI", "BiglyBT"),
    (b"BT", "BitTorrent"),
    (b"DE", "Deluge"),
    (b"FD", "Free Download Manager"),
    (b"KT", "KTorrent"),
    (b"LB", "lab"),
    (b"LT", "libtorrent"),
    (b"MO", "MonoTorrent"),
    (b"PI", "PicoTorrent"),
    (b"PM", "piecemeal"),
    (b"TR", "Transmission"),
    (b"TX", "Tixati"),
    (b"UM", "uTorrent Mac"),
    (b"UT", "uTorrent"),
    (b"UW", "uTorrent Web"),
    (b"WW", "WebTorrent"),
    (b"XL", "Xunlei"),
    (b"lt", "rTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
];

/// The programs that use two digits for each part of the version.
const PAIRS: [&[u8; 2]; 2] = [b"LB", b"PM"];

/// The program named by the first bytes of a peer id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The bytes that follow the convention, safe to print: `-TR3000-`.
    pub tag: String,
    /// The program, if it is known.
    pub name: Option<&'static str>,
    /// Its version: `3.0`.
    pub version: Option<String>,
}

impl Client {
    /// Parses a peer id; `None` if it follows none of the conventions.
    pub fn of(peer_id: &PeerId) -> Option<Client> {
        let tag =
            peer_id.0.first_chunk::<8>().filter(|tag| tag.iter().all(u8::is_ascii_graphic))?;
        match *tag {
            [b'-', a, b, ref digits @ .., b'-'] => {
                let name = KNOWN.iter().find(|(known, _)| **known == [a, b]).map(|(_, name)| *name);
                let version =
                    if PAIRS.contains(&&[a, b]) { pairs(digits) } else { version(digits) };
                Some(Client { tag: text(tag), name, version })
            }
            [b'M', ..] => dashed(peer_id, 1, "BitTorrent"),
            [b'A', b'2', b'-', ..] => dashed(peer_id, 3, "aria2"),
            _ => None,
        }
    }
}

/// `Transmission 3.0`, or the tag if the program is not known.
impl std::fmt::Display for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        match (self.name, &self.version) {
            (Some(name), Some(version)) => write!(out, "{name} {version}"),
            (Some(name), None) => out.write_str(name),
            (None, _) => write!(out, "{}, a program that is not known here", self.tag),
        }
    }
}

/// Returns the program in a word or two, for use inside a line: `Transmission 3.0`, the start of
/// the peer id, or `unnamed`.
pub fn named(peer_id: &PeerId) -> String {
    let tag = peer_id.0.get(..8).unwrap_or_default();
    match Client::of(peer_id) {
        Some(client) if client.name.is_some() => client.to_string(),
        Some(client) => client.tag,
        None if tag.iter().all(u8::is_ascii_graphic) => text(tag),
        None => "unnamed".to_owned(),
    }
}

/// Parses four digits, with letters above 9: `3000` is 3.0, `20B0` is 2.0.11.
fn version(digits: &[u8]) -> Option<String> {
    let mut parts: Vec<u32> =
        digits.iter().map(|digit| char::from(*digit).to_digit(36)).collect::<Option<_>>()?;
    while parts.len() > 2 && parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

/// Parses two pairs of digits: `0012` is 0.12.
fn pairs(digits: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (major, minor) = digits.split_at_checked(2)?;
    Some(format!("{}.{}", major.parse::<u8>().ok()?, minor.parse::<u8>().ok()?))
}

/// Parses numbers between dashes, up to the first non-number: `M7-10-5--` is 7.10.5.
fn dashed(peer_id: &PeerId, start: usize, name: &'static str) -> Option<Client> {
    let mut end = start;
    let mut parts = Vec::new();
    for part in peer_id.0.get(start..)?.split(|byte| *byte == b'-') {
        let number = std::str::from_utf8(part).ok().filter(|part| (1..=4).contains(&part.len()));
        let Some(number) = number.filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            break;
        };
        parts.push(number);
        end += part.len() + 1;
    }
    let tag = text(peer_id.0.get(..end.min(20))?);
    (parts.len() >= 2).then(|| Client { tag, name: Some(name), version: Some(parts.join(".")) })
}

fn text(tag: &[u8]) -> String {
    String::from_utf8_lossy(tag).into_owned()
}
