//! Stage 6: magnet links, a torrent's name without the torrent.
//!
//! A magnet link carries the info hash and some hints where to find peers. That
//! is enough: the peers have the info dictionary (stage 8), and its SHA-1 must be
//! the info hash, so it does not matter who they are.
//!
//! * **Run it:** `piecemeal magnet_parse 'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&dn=sample'`
//! * **Spec:** BEP 9, "magnet URI format"; BEP 53; **chapter:** `docs/06-magnet.md`
//! * **Builds on:** [`InfoHash`] from stage 2
//!
//! # In the link
//! ```text
//! magnet:?xt=urn:btih:<40 hex or 32 base32>   exact topic: the info hash
//!        &xt=urn:btmh:1220<64 hex>            the same for version 2: a SHA-256
//!        &dn=<name>                           display name, advisory
//!        &tr=<URL>                            a tracker, any number of them
//!        &x.pe=<host:port>                    a peer, any number of them
//!        &xl=<bytes> &so=<0,2-4> &ws=<URL>    length, select only, web seed
//! ```
//! # Decisions
//! * **Unknown parameters are ignored,** as in any URL; a broken info hash is not.
//! * **`+` is a space in `dn` only.** Browsers write it so in forms; in a tracker
//!   URL or an address it is a plus.
//! * **Left out:** obeying `so` and `ws`, which are read and shown; downloading by
//!   `btmh` alone.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::s01_bencode::excerpt;
use crate::s02_metainfo::InfoHash;

/// What a magnet link says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Magnet {
    /// `xt=urn:btih:`, the version 1 info hash.
    pub info_hash: Option<InfoHash>,
    /// `xt=urn:btmh:`, the version 2 info hash: a SHA-256.
    pub info_hash_v2: Option<[u8; 32]>,
    /// `dn`, a name to show until the real one is known.
    pub name: Option<String>,
    /// `tr`, in the order of the link. Each is a tier of its own.
    pub trackers: Vec<String>,
    /// `x.pe`, peers to ask directly.
    pub peers: Vec<PeerAddress>,
    /// `xl`, the content's length in bytes.
    pub length: Option<u64>,
    /// `so`, the files that are wanted, as first and last index (BEP 53).
    pub select_only: Vec<(u32, u32)>,
    /// `ws`, web seeds.
    pub web_seeds: Vec<String>,
}

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
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(|_| v6)?,
            None if host.is_empty()
                || host.contains(|letter: char| ":[]/".contains(letter) || letter <= ' ' || letter.is_control()) =>
            {
                return None;
            }
            None => host,
        };
        (port != 0).then(|| PeerAddress { host: host.to_owned(), port })
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

impl Magnet {
    /// Reads a magnet link.
    ///
    /// # Errors
    /// If it is not one, if a value that is used is broken, or if it names no torrent.
    pub fn parse(link: &str) -> Result<Magnet, MagnetError> {
        let (scheme, query) = link.trim().split_once(":?").ok_or_else(|| MagnetError::NotMagnet(excerpt(link.as_bytes())))?;
        if !scheme.eq_ignore_ascii_case("magnet") {
            return Err(MagnetError::NotMagnet(excerpt(link.as_bytes())));
        }
        let mut magnet = Magnet::default();
        for pair in query.split('&') {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            // Some programs number what repeats: `tr.1=`, `tr.2=`.
            let name = key.to_ascii_lowercase();
            let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('.');
            let text = || decoded(key, raw);
            match name {
                "xt" => magnet.exact_topic(&text()?)?,
                "dn" => magnet.name = Some(decoded(key, &raw.replace('+', " "))?),
                "tr" => magnet.trackers.push(text()?),
                "x.pe" => {
                    let text = text()?;
                    magnet.peers.push(
                        PeerAddress::parse(&text)
                            .ok_or_else(|| value_error(key, "host:port, with a port from 1 to 65535", &text))?,
                    );
                }
                "xl" => {
                    let text = text()?;
                    magnet.length = Some(digits(&text).ok_or_else(|| value_error(key, "a number of bytes", &text))?);
                }
                "so" => {
                    magnet.select_only = select_only(&text()?).ok_or_else(|| value_error(key, "indices like 0,2,4-6", raw))?
                }
                "ws" => magnet.web_seeds.push(text()?),
                _ => {}
            }
        }
        if magnet.info_hash.is_none() && magnet.info_hash_v2.is_none() {
            return Err(MagnetError::NoTopic);
        }
        Ok(magnet)
    }

    /// `urn:btih:` or `urn:btmh:`. Other topics belong to other networks.
    fn exact_topic(&mut self, topic: &str) -> Result<(), MagnetError> {
        let lower = topic.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("urn:btih:") {
            let hash = match text.len() {
                40 => hex::decode(text).ok(),
                32 => base32(text),
                _ => None,
            };
            let hash = hash.and_then(|bytes| bytes.try_into().ok());
            let hash = hash.ok_or_else(|| value_error("xt", "40 hex digits or 32 of base32 behind urn:btih:", text))?;
            self.info_hash.get_or_insert(InfoHash(hash));
        } else if let Some(text) = lower.strip_prefix("urn:btmh:") {
            // A multihash: 0x12 says SHA-256, 0x20 says 32 bytes.
            let hash = text.strip_prefix("1220").and_then(|text| hex::decode(text).ok()?.try_into().ok());
            let hash = hash.ok_or_else(|| value_error("xt", "1220 and 64 hex digits behind urn:btmh:", text))?;
            self.info_hash_v2.get_or_insert(hash);
        }
        Ok(())
    }

    /// The info hash by which we can download.
    ///
    /// # Errors
    /// If the link has only a version 2 one.
    pub fn need_info_hash(&self) -> Result<InfoHash, MagnetError> {
        self.info_hash.ok_or(MagnetError::VersionTwo)
    }
}

/// The link, as [`Magnet::parse`] reads it: percent-encoded, so that nothing in a name
/// or a URL can end its parameter.
impl fmt::Display for Magnet {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let text = urlencoding::encode;
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.info_hash.map(|hash| ("xt", format!("urn:btih:{hash}"))));
        pairs.extend(self.info_hash_v2.map(|hash| ("xt", format!("urn:btmh:1220{}", hex::encode(hash)))));
        pairs.extend(self.name.iter().map(|name| ("dn", text(name).into_owned())));
        pairs.extend(self.trackers.iter().map(|url| ("tr", text(url).into_owned())));
        // The characters of an address need no encoding, and are easier to read.
        let address = |peer: &PeerAddress| text(&peer.to_string()).replace("%3A", ":").replace("%5B", "[").replace("%5D", "]");
        pairs.extend(self.peers.iter().map(|peer| ("x.pe", address(peer))));
        pairs.extend(self.length.map(|length| ("xl", length.to_string())));
        let range = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
        let ranges: Vec<String> = self.select_only.iter().map(range).collect();
        pairs.extend((!ranges.is_empty()).then(|| ("so", ranges.join(","))));
        pairs.extend(self.web_seeds.iter().map(|url| ("ws", text(url).into_owned())));
        let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        write!(out, "magnet:?{}", pairs.join("&"))
    }
}

/// Takes percent-encoding off. A `%` without two hex digits stays as it is.
fn decoded(key: &str, raw: &str) -> Result<String, MagnetError> {
    match urlencoding::decode_binary(raw.as_bytes()) {
        Cow::Borrowed(_) => Ok(raw.to_owned()),
        Cow::Owned(bytes) => String::from_utf8(bytes).map_err(|_| value_error(key, "UTF-8", raw)),
    }
}

/// RFC 4648 base32, in lower case here: 5 bits a letter, so 32 letters are 20 bytes.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(20);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes() {
        let five = match letter {
            b'a'..=b'z' => letter - b'a',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(five);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8); // the upper bits are done with
        }
    }
    Some(bytes)
}

/// A number of digits alone: `parse` by itself would take "+5".
fn digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `0,2,4-6` (BEP 53)
fn select_only(text: &str) -> Option<Vec<(u32, u32)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (digits(first)?, digits(last)?);
        (first <= last).then_some((first, last))
    };
    text.split(',').map(range).collect()
}

fn value_error(key: &str, expected: &'static str, found: &str) -> MagnetError {
    MagnetError::Value { key: excerpt(key.as_bytes()), expected, found: excerpt(found.as_bytes()) }
}

/// Why a magnet link is refused.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum MagnetError {
    /// It does not start with `magnet:?`.
    #[error("a magnet link starts with \"magnet:?\", but found \"{0}\"")]
    NotMagnet(String),
    /// There is no `xt` of BitTorrent's.
    #[error("the link names no torrent: xt=urn:btih: is missing")]
    NoTopic,
    /// A parameter that we use is broken.
    #[error("{key} must be {expected}, but is \"{found}\"")]
    Value { key: String, expected: &'static str, found: String },
    /// Only `btmh`: BEP 52.
    #[error("the link has only a version 2 info hash (btmh), by which nothing can be downloaded yet")]
    VersionTwo,
}
