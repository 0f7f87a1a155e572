//! The datagram: a BT-SEARCH, read and written.
//!
//! It looks like the head of an HTTP request, but it only borrows the form. A parser for HTTP, such
//! as `httparse`, wants to know the largest number of headers, and refuses a whole request for one
//! strange byte in a header that nobody reads. What is needed here are lines with a colon.
//!
//! What clients send differs, and we take all of it:
//!
//! | client | info hash | cookie |
//! |---|---|---|
//! | libtorrent | lower case | 8 hex digits |
//! | Transmission | upper case | none |
//! | aria2 | lower case | none |

use std::net::SocketAddr;

use thiserror::Error;

use crate::s01_bencode::excerpt;
use crate::s02_metainfo::InfoHash;

/// The most bytes of a datagram (BEP 14): one that is longer would be cut in two on the way.
pub const MAX_LENGTH: usize = 1_400;
/// The most info hashes that always fit into a datagram.
pub const MAX_INFO_HASHES: usize = 25;

/// How every datagram begins; the line goes on with `* HTTP/1.1`.
const METHOD: &[u8] = b"BT-SEARCH ";

/// "I have these torrents, at this port."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BtSearch {
    /// Where the sender listens for peers, over TCP. Never 0.
    pub port: u16,
    /// The sender's torrents, in its order; at least one.
    pub info_hashes: Vec<InfoHash>,
    /// Any text, by which the sender recognizes its own datagrams.
    pub cookie: Option<Vec<u8>>,
}

impl BtSearch {
    /// Parses a datagram. Unknown headers are passed over, and so are broken info hashes, as long
    /// as there is one that is not.
    ///
    /// # Errors
    /// If it is too long, is no BT-SEARCH, or lacks its port, an info hash or its end.
    pub fn parse(datagram: &[u8]) -> Result<BtSearch, SearchError> {
        if datagram.len() > MAX_LENGTH {
            return Err(SearchError::TooLong(datagram.len()));
        }
        let mut lines = datagram.split_inclusive(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        if !is_search(first) {
            return Err(SearchError::Method(excerpt(first.trim_ascii_end())));
        }
        let (mut port, mut cookie, mut ended) = (None, None, false);
        let (mut info_hashes, mut strange) = (Vec::new(), None);
        for line in lines {
            // BEP 14 asks for two empty lines, but some clients send one.
            ended = is_end(line);
            if ended {
                break;
            }
            match header(line) {
                Some((name, value)) if name.eq_ignore_ascii_case(b"port") => {
                    port = port.or(Some(value));
                }
                Some((name, value)) if name.eq_ignore_ascii_case(b"infohash") => {
                    match info_hash(value) {
                        Some(info_hash) => info_hashes.push(info_hash),
                        None => strange = strange.or(Some(value)),
                    }
                }
                Some((name, value)) if name.eq_ignore_ascii_case(b"cookie") => {
                    cookie = cookie.or(Some(value.to_vec()));
                }
                _ => {}
            }
        }
        // A datagram comes whole, so one without an end was cut by its sender.
        if !ended {
            return Err(SearchError::NoEnd);
        }
        let found = |value: Option<&[u8]>| value.map_or("missing".to_owned(), excerpt);
        let port = port.and_then(port_number).ok_or_else(|| SearchError::Port(found(port)))?;
        if info_hashes.is_empty() {
            return Err(SearchError::InfoHash(found(strange)));
        }
        Ok(BtSearch { port, info_hashes, cookie })
    }

    /// Writes the datagram for a group. Info hashes after the first [`MAX_INFO_HASHES`] are left
    /// out.
    pub fn encode(&self, group: SocketAddr) -> Vec<u8> {
        let mut text = format!("BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {}\r\n", self.port)
            .into_bytes();
        for info_hash in self.info_hashes.iter().take(MAX_INFO_HASHES) {
            text.extend(format!("Infohash: {info_hash}\r\n").into_bytes());
        }
        if let Some(cookie) = &self.cookie {
            text.extend([b"cookie: ", cookie.as_slice(), b"\r\n"].concat());
        }
        text.extend(b"\r\n\r\n");
        text
    }
}

/// Whether a first line is that of a BT-SEARCH. Its version says nothing: there is only one.
pub fn is_search(line: &[u8]) -> bool {
    line.get(..METHOD.len()).is_some_and(|method| method.eq_ignore_ascii_case(METHOD))
}

/// Whether a line ends the headers.
pub fn is_end(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

/// Splits `Name: value`, without the blanks around them; `None` without a colon.
pub fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// Returns the info hash in 40 hex digits of either case.
pub fn info_hash(value: &[u8]) -> Option<InfoHash> {
    let mut hash = [0; 20];
    hex::decode_to_slice(value, &mut hash).ok()?;
    Some(InfoHash(hash))
}

/// Returns the port, if it is one from 1 to 65535.
pub fn port_number(value: &[u8]) -> Option<u16> {
    // `parse` alone would take "+6881".
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok()?.parse().ok()?;
    (digits && number != 0).then_some(number)
}

/// Why a datagram is no BT-SEARCH.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    /// It is longer than BEP 14 allows.
    #[error("at most {MAX_LENGTH} bytes were expected, but there are {0}")]
    TooLong(usize),
    /// Its first line is that of something else.
    #[error("the first line must begin with BT-SEARCH, but is \"{0}\"")]
    Method(String),
    /// The headers do not end.
    #[error("an empty line must end it, but there is none")]
    NoEnd,
    /// The port is missing, or is not one.
    #[error("Port must be a number from 1 to 65535, but is {0}")]
    Port(String),
    /// There is no info hash, or all of them are broken.
    #[error("Infohash must be 40 hex digits, but is {0}")]
    InfoHash(String),
}
