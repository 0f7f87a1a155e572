//! Stage 6: magnet links, a torrent's name without the torrent.
//!
//! A magnet link carries the info hash and hints on where to find peers. That is enough: the peers
//! have the info dictionary (stage 8), and its SHA-1 must be the info hash, so it can come from any
//! peer.
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
//! * **Unknown parameters are ignored,** as in any URL. A broken one is passed over with
//!   a note, as long as the link still names a torrent: people cut, quote and copy links,
//!   and one bad tracker says nothing against the others.
//! * **`magnet:///?` is also a magnet link.** GLib, and so every GTK program, puts three
//!   slashes there.
//! * **`+` is a space in `dn` only.** Web forms encode a space that way; in a tracker
//!   URL or an address it is a plus.
//! * **Left out:** obeying `so` and `ws`, which are read and shown. What to do with `btmh` is the
//!   subject of stage 23.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::s01_bencode::excerpt;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s02_metainfo::InfoHash;
use crate::s02_metainfo::trackers::{MAX_TIERS, MAX_URL_LENGTH};
use crate::s03_tracker::peers::PeerAddress;

/// The most `x.pe`, and the most `ws`, taken from a link. A thread is started for each peer.
pub const MAX_NAMED: usize = 100;
/// What a magnet link says. Everything but the info hash is a hint: whatever a peer sends is
/// checked against the hash alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Magnet {
    /// `xt=urn:btih:`, the version 1 info hash.
    pub info_hash: Option<InfoHash>,
    /// `xt=urn:btmh:`, the version 2 info hash: a SHA-256.
    pub info_hash_v2: Option<[u8; 32]>,
    /// `dn`, a name to show until the real one is known. Never used for a path.
    pub name: Option<String>,
    /// `tr`, in the order of the link. Each is a tier of its own.
    pub trackers: Vec<String>,
    /// `x.pe`, peers to ask directly. Not looked up yet, and only dialed if stage 3's rules for
    /// links allow it ([`reach`](crate::s03_tracker::reach)).
    pub peers: Vec<PeerAddress>,
    /// `xl`, the content's length in bytes. Shown only.
    pub length: Option<u64>,
    /// `so`, the files that are wanted, as first and last index (BEP 53). Both ends are included.
    pub select_only: Vec<(u32, u32)>,
    /// `ws`, web seeds.
    pub web_seeds: Vec<String>,
    /// What is broken in the link and was passed over: a sentence each, a few at most.
    pub passed_over: Vec<String>,
    /// The link as it should be, if it was copied from HTML, where `&` is written `&amp;`.
    pub should_be: Option<String>,
}

impl Magnet {
    /// Reads a magnet link. A broken parameter is passed over.
    ///
    /// ```
    /// use piecemeal::s06_magnet::Magnet;
    ///
    /// let link = "magnet:?xt=urn:btih:d59f91e6b2ae4c542468d1073a71d4ea13879a7f&dn=a+b&xl=1.5e9";
    /// let magnet = Magnet::parse(link).unwrap();
    /// assert_eq!(magnet.name.as_deref(), Some("a b"));
    /// assert_eq!((magnet.length, magnet.passed_over.len()), (None, 1));
    /// ```
    ///
    /// # Errors
    /// If it is no magnet link or names no torrent.
    pub fn parse(link: &str) -> Result<Magnet, MagnetError> {
        let link = link.trim();
        let query = query_at(link).and_then(|at| link.get(at..));
        let query = query.ok_or_else(|| MagnetError::NotMagnet(excerpt(link.as_bytes())))?;
        let mut magnet = Magnet::default();
        let mut passed_over = PassedOver::default();
        let mut broken_topic = None; // the first one: the best answer if no other topic is right
        // Split first, then decode: an encoded `%26` is part of a value.
        for pair in query.split('&') {
            if pair.starts_with("amp;") {
                // The user will paste it into a shell, in single quotes.
                magnet
                    .should_be
                    .get_or_insert_with(|| link.replace("&amp;", "&").replace('\'', "%27"));
                continue;
            }
            if let Err(error) = magnet.parameter(pair) {
                passed_over.add(|| format!("{error}; it is passed over"));
                broken_topic = broken_topic.or(Some(error).filter(MagnetError::is_topic));
            }
        }
        if magnet.info_hash.is_none() && magnet.info_hash_v2.is_none() {
            return Err(
                broken_topic.unwrap_or(MagnetError::NoTopic { should_be: magnet.should_be })
            );
        }
        if let Some(link) = &magnet.should_be {
            passed_over.add(|| {
                format!("it was copied from HTML, where & is written &amp;, and should be {link}")
            });
        }
        magnet.passed_over = passed_over.into_notes();
        Ok(magnet)
    }

    /// Adds a parameter, `key=value`.
    ///
    /// | key | value | how often |
    /// |---|---|---|
    /// | `xt` | `urn:btih:` and a hash, `urn:btmh:` and a hash | once each |
    /// | `dn` | text, in which a plus is a space | once |
    /// | `tr`, `ws` | a URL | up to 100 times |
    /// | `x.pe` | an address, or a name that is looked up later | up to 100 times |
    /// | `xl` | a number of bytes | once |
    /// | `so` | indices and ranges of them | once |
    /// | any other | anything, even what is not UTF-8 | ignored |
    ///
    /// # Errors
    /// If the value of a known key is broken, or the key is repeated where it must not be.
    pub(crate) fn parameter(&mut self, pair: &str) -> Result<(), MagnetError> {
        let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
        let pair = Pair { key, raw };
        match pair.name().as_str() {
            "xt" => self.exact_topic(&pair.text()?)?,
            "dn" => {
                pair.at_most(1, self.name.is_some().into())?;
                self.name = Some(Pair { key, raw: &raw.replace('+', " ") }.text()?);
            }
            "tr" => {
                pair.at_most(MAX_TIERS, self.trackers.len())?;
                self.trackers.push(pair.url()?);
            }
            "x.pe" => {
                pair.at_most(MAX_NAMED, self.peers.len())?;
                let text = pair.text()?;
                let peer = PeerAddress::parse(&text);
                let expected = "host:port, with a port from 1 to 65535";
                self.peers.push(peer.ok_or_else(|| value_error(key, expected, &text))?);
            }
            "xl" => {
                pair.at_most(1, self.length.is_some().into())?;
                let text = pair.text()?;
                let length = digits(&text);
                let expected = "a number of bytes";
                self.length = Some(length.ok_or_else(|| value_error(key, expected, &text))?);
            }
            "so" => {
                pair.at_most(1, (!self.select_only.is_empty()).into())?;
                let ranges = select_only(&pair.text()?);
                self.select_only =
                    ranges.ok_or_else(|| value_error(key, "indices like 0,2,4-6", raw))?;
            }
            "ws" => {
                pair.at_most(MAX_NAMED, self.web_seeds.len())?;
                self.web_seeds.push(pair.url()?);
            }
            _ => {} // `kt`, `as`, `mt` and whatever else there is
        }
        Ok(())
    }

    /// Reads `urn:btih:` or `urn:btmh:`. Other topics belong to other networks. The same topic
    /// twice does no harm; two different ones would be two torrents.
    fn exact_topic(&mut self, topic: &str) -> Result<(), MagnetError> {
        let lower = topic.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("urn:btih:") {
            // The length tells the two spellings of 20 bytes apart.
            let hash = match text.len() {
                40 => hex::decode(text).ok(),
                32 => base32(text),
                _ => None,
            };
            let expected = match text.len() {
                // A SHA-256: some programs write it here.
                64 => "urn:btmh:1220 and 64 hex digits for version 2, or urn:btih: and 40",
                _ => "40 hex digits or 32 of base32 after urn:btih:",
            };
            let hash = hash.and_then(|bytes| bytes.try_into().ok());
            let hash = InfoHash(hash.ok_or_else(|| value_error("xt", expected, text))?);
            if *self.info_hash.get_or_insert(hash) != hash {
                return Err(MagnetError::SecondTorrent { found: excerpt(text.as_bytes()) });
            }
        } else if let Some(text) = lower.strip_prefix("urn:btmh:") {
            // A multihash: 0x12 says SHA-256, 0x20 says 32 bytes.
            let hash =
                text.strip_prefix("1220").and_then(|text| hex::decode(text).ok()?.try_into().ok());
            let expected = "1220 and 64 hex digits after urn:btmh:";
            let hash = hash.ok_or_else(|| value_error("xt", expected, text))?;
            if *self.info_hash_v2.get_or_insert(hash) != hash {
                return Err(MagnetError::SecondTorrent { found: excerpt(text.as_bytes()) });
            }
        }
        Ok(())
    }

    /// Returns the version 1 info hash, which a download needs.
    ///
    /// # Errors
    /// If the link has only a version 2 info hash.
    pub fn need_info_hash(&self) -> Result<InfoHash, MagnetError> {
        self.info_hash.ok_or(MagnetError::VersionTwo)
    }
}

/// Writes a link that [`Magnet::parse`] can read: percent-encoded, so that nothing in a name
/// or a URL can end its parameter. What was passed over is left out.
impl fmt::Display for Magnet {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let text = urlencoding::encode;
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.info_hash.map(|hash| ("xt", format!("urn:btih:{hash}"))));
        pairs.extend(
            self.info_hash_v2.map(|hash| ("xt", format!("urn:btmh:1220{}", hex::encode(hash)))),
        );
        pairs.extend(self.name.iter().map(|name| ("dn", text(name).into_owned())));
        pairs.extend(self.trackers.iter().map(|url| ("tr", text(url).into_owned())));
        // These three need no encoding, and are easier to read without it.
        let address = |peer: &PeerAddress| {
            text(&peer.to_string()).replace("%3A", ":").replace("%5B", "[").replace("%5D", "]")
        };
        pairs.extend(self.peers.iter().map(|peer| ("x.pe", address(peer))));
        pairs.extend(self.length.map(|length| ("xl", length.to_string())));
        let range = |(first, last): &(u32, u32)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let ranges: Vec<String> = self.select_only.iter().map(range).collect();
        pairs.extend((!ranges.is_empty()).then(|| ("so", ranges.join(","))));
        pairs.extend(self.web_seeds.iter().map(|url| ("ws", text(url).into_owned())));
        let pairs: Vec<String> =
            pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        write!(out, "magnet:?{}", pairs.join("&"))
    }
}

/// Returns where the parameters of a magnet link begin, after `magnet:?`; `None` if it is no magnet
/// link. The scheme may be in capitals. There may be up to three slashes before the question mark.
pub(crate) fn query_at(link: &str) -> Option<usize> {
    const SCHEME: &str = "magnet:";
    let rest = link.get(SCHEME.len()..).filter(|_| {
        link.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    })?;
    let slashes = rest.bytes().take(3).take_while(|byte| *byte == b'/').count();
    rest.get(slashes..)?.starts_with('?').then_some(SCHEME.len() + slashes + 1)
}

/// A parameter of a link as it is written: nothing is decoded before its key is known, so that the
/// value of an unknown key can be anything.
struct Pair<'l> {
    key: &'l str,
    /// The value, percent-encoded.
    raw: &'l str,
}

impl Pair<'_> {
    /// The key in lower case, without a number. Some programs number repeated keys: `tr.1=`,
    /// `tr.2=`.
    fn name(&self) -> String {
        let name = self.key.to_ascii_lowercase();
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        name.trim_end_matches('.').to_owned()
    }

    /// Decodes the value. A `%` without two hex digits stays as it is, and a `+` is a plus.
    fn text(&self) -> Result<String, MagnetError> {
        match urlencoding::decode_binary(self.raw.as_bytes()) {
            Cow::Borrowed(_) => Ok(self.raw.to_owned()),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map_err(|_| value_error(self.key, "UTF-8", self.raw))
            }
        }
    }

    /// Decodes a value that is a URL. Whether anything can be done with it is not checked here.
    fn url(&self) -> Result<String, MagnetError> {
        let wrong = |expected| Err(value_error(self.key, expected, self.raw));
        match self.text()? {
            url if url.is_empty() => wrong("a URL"),
            url if url.len() > MAX_URL_LENGTH => wrong("a URL of at most 2048 bytes"),
            url => Ok(url),
        }
    }

    /// Returns an error if this is one too many: `kept` are there, and `most` are allowed. The
    /// first ones count, and each further one gets a note.
    fn at_most(&self, most: usize, kept: usize) -> Result<(), MagnetError> {
        if kept < most {
            return Ok(());
        }
        let (key, found) = (excerpt(self.key.as_bytes()), excerpt(self.raw.as_bytes()));
        Err(MagnetError::Repeated { key, most, found })
    }
}

/// Decodes RFC 4648 base32, in lower case: 5 bits for each character, so 32 of them are 20 bytes.
/// Every eight bits make a byte.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(20);
    let (mut bits, mut count) = (0u32, 0); // the lower `count` bits are not in a byte yet
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

/// Parses a number that is only digits: `parse` alone would accept "+5". Also `None` if it does not
/// fit the type.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads `0,2,4-6` (BEP 53); `None` if any part of it is broken. A range is kept as its two ends: a
/// link can name four billion files in twelve characters.
fn select_only(text: &str) -> Option<Vec<(u32, u32)>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (digits(first)?, digits(last)?);
        (first <= last).then_some((first, last))
    };
    text.split(',').map(range).collect()
}

/// `only once`, or `at most 100 times`.
fn times(most: usize) -> String {
    if most == 1 { "only once".to_owned() } else { format!("at most {most} times") }
}

/// Makes the error for a value that is not as `expected`, a phrase after "must be".
fn value_error(key: &str, expected: &'static str, found: &str) -> MagnetError {
    MagnetError::Value { key: excerpt(key.as_bytes()), expected, found: excerpt(found.as_bytes()) }
}

/// Why a magnet link is refused.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum MagnetError {
    /// It does not start with `magnet:?`. Holds the start of what was pasted instead.
    #[error("a magnet link starts with \"magnet:?\", but found \"{0}\"")]
    NotMagnet(String),
    /// No `xt` names a BitTorrent torrent. Holds the corrected link if it was copied from HTML:
    /// there an `&amp;` may hide the `xt`.
    #[error("the link names no torrent: xt=urn:btih: is missing")]
    NoTopic { should_be: Option<String> },
    /// A parameter that we use is broken. The link fails only if it is the `xt`, and no other `xt`
    /// is right.
    #[error("{key} must be {expected}, but is \"{found}\"")]
    Value { key: String, expected: &'static str, found: String },
    /// A parameter that we use is there too often.
    #[error("{key} may be given {}, but is there again: \"{found}\"", times(*most))]
    Repeated { key: String, most: usize, found: String },
    /// Another info hash of the same version.
    #[error("the link may name only one torrent, but also names \"{found}\"")]
    SecondTorrent { found: String },
    /// Only `btmh`: BEP 52.
    #[error("the link has only a version 2 info hash (btmh), which is not enough to download yet")]
    VersionTwo,
}

impl MagnetError {
    /// Whether the error is about `xt`, without which a link is useless.
    fn is_topic(&self) -> bool {
        matches!(self, MagnetError::Value { key, .. } if key.get(..2).is_some_and(|key| key.eq_ignore_ascii_case("xt")))
    }
}
