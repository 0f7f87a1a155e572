//! The packets, encoded and decoded for both sides: the client and the tracker.
//!
//! Pure functions over bytes. The layouts are in the header of the stage; `requests` has what a
//! client sends, and `answers` what a tracker sends. A client needs only half of each. The other
//! half is for a tracker of our own, and for programs that explain a captured packet.
//!
//! A packet comes whole or not at all, so there is no "wait for more" here: a packet that is too
//! short is an error. One that is too long need not be. BEP 15: "Clients and trackers should not
//! assume packets to be of a certain size", so that fields can be added later.

mod answers;
mod requests;

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::AnnounceRequest;

/// The number that a connect request has in place of a connection id: there is none yet. It tells a
/// tracker that the sender speaks this protocol.
pub const PROTOCOL_ID: u64 = 0x417_2710_1980;
/// The most torrents in one scrape. BEP 15: "Up to about 74 torrents can be scraped at once." That
/// is 16 + 74 x 20 = 1,496 bytes, about as much as one Ethernet frame carries.
pub const MAX_SCRAPED: usize = 74;

/// What a client sends.
#[derive(Debug, Clone)]
pub struct Request {
    /// [`PROTOCOL_ID`], or the id that the tracker answered.
    pub connection_id: u64,
    /// Matches the answer to its request: the tracker copies it. Chosen at random, since an
    /// attacker that cannot see our packets has to guess it.
    pub transaction_id: u32,
    /// The request itself.
    pub ask: RequestBody,
}

/// The three requests of a client.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// Asks for a connection id. Only this request works without one.
    Connect,
    /// Asks for peers, and enters us into the tracker's list.
    Announce {
        /// The same values as over HTTP; the packet has no field for `tracker_id`.
        announce: AnnounceRequest,
        /// The path and query of the tracker's URL (BEP 41); may be empty.
        url_data: Vec<u8>,
    },
    /// Asks for the counts of these torrents: 1 to [`MAX_SCRAPED`].
    Scrape(Vec<InfoHash>),
}

/// What a tracker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The transaction id of the request. Every answer has one, even an error.
    pub transaction_id: u32,
    /// The answer itself.
    pub said: ResponseBody,
}

/// The four answers of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseBody {
    /// The answer to a connect.
    Connected {
        /// The id for the requests of the next minute. It means something only to the tracker.
        connection_id: u64,
    },
    /// The answer to an announce.
    Announced {
        /// When to announce again.
        interval: Duration,
        /// The number of peers that are still downloading.
        leechers: u32,
        /// The number of peers that have everything.
        seeders: u32,
        /// The peers, all of the address family of the socket.
        peers: Vec<SocketAddr>,
    },
    /// The answer to a scrape: one for each torrent, in the order of the request. Unlike over
    /// HTTP, no info hash is repeated.
    Scraped(Vec<ScrapeCounts>),
    /// An error, which can answer any request. The bytes should be text, in no particular encoding.
    Failed(Vec<u8>),
}

/// The numbers of peers that have a torrent, have ever finished it, and still want it. 64 bits wide
/// for HTTP; a packet has 32 for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Peers that have everything (`complete`).
    pub seeders: u64,
    /// Peers that have ever reported that they finished (`downloaded`).
    pub downloads: u64,
    /// Peers that are still downloading (`incomplete`).
    pub leechers: u64,
}

/// IPv4 or IPv6. No packet says how long its addresses are; that depends on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 6 bytes for each peer.
    V4,
    /// 18 bytes for each peer.
    V6,
}

impl Family {
    /// Returns the family of a tracker's or a client's address. An IPv4 address that is written as
    /// IPv6 counts as IPv6: make it canonical first.
    pub fn of(address: SocketAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

// The actions. An answer has the number of its request; `ERROR` is an answer only.
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// The unread part of a packet. `of` checks the length once, and then fields are taken without a
/// check. Chapter 5 could not do that: a stream may end, for now, in the middle of a field.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    /// Begins at the packet's first byte, if it has at least `expected` bytes. `what` names the
    /// packet in the error.
    fn of(packet: &'p [u8], what: &'static str, expected: usize) -> Result<Rest<'p>, PacketError> {
        if packet.len() < expected {
            return Err(PacketError::Short { what, expected, found: packet.len() });
        }
        Ok(Rest(packet))
    }

    /// Returns the next bytes. After the end it would return zeros, but that never happens:
    /// every caller has checked the length.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (bytes, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *bytes
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}

/// What is wrong with a packet. A client only notes it, since anyone can send it packets. A tracker
/// tells the sender, whose client may have a bug.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum PacketError {
    /// It ends too early.
    #[error("{what} has at least {expected} bytes, but this one has {found}")]
    Short { what: &'static str, expected: usize, found: usize },
    /// A field has a value that is not allowed.
    #[error("{field} must be {expected}, but is {found}")]
    Value { field: &'static str, expected: &'static str, found: String },
}

impl PacketError {
    fn value(field: &'static str, expected: &'static str, found: impl ToString) -> PacketError {
        PacketError::Value { field, expected, found: found.to_string() }
    }
}
