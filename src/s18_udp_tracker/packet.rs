//! The packets, encoded and decoded for both sides: the client and the tracker.
//!
//! Pure functions over bytes. The layouts are in the header of the stage. A packet
//! comes whole or not at all, so there is no "wait for more" here: a packet that is
//! too short is an error.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::s01_bencode::excerpt;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::peers::{MAX_PEERS, address_v4, address_v6};
use crate::s03_tracker::{AnnounceRequest, Event, PeerId};

/// The number that a connect request has in place of a connection id: there is none yet.
pub const PROTOCOL_ID: u64 = 0x417_2710_1980;
/// The most torrents in one scrape, so that its packet is not fragmented.
pub const MAX_SCRAPED: usize = 74;

/// What a client sends.
#[derive(Debug, Clone)]
pub struct Request {
    /// [`PROTOCOL_ID`], or the id that the tracker answered.
    pub connection_id: u64,
    /// Matches the answer to its request.
    pub transaction_id: u32,
    /// The request itself.
    pub ask: RequestBody,
}

/// The three requests of a client.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// A connection id.
    Connect,
    /// Peers.
    Announce {
        /// The same values as over HTTP; the packet has no field for `tracker_id`.
        announce: AnnounceRequest,
        /// The path and query of the tracker's URL (BEP 41); may be empty.
        url_data: Vec<u8>,
    },
    /// Counts.
    Scrape(Vec<InfoHash>),
}

/// What a tracker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The transaction id of the request.
    pub transaction_id: u32,
    /// The answer itself.
    pub said: ResponseBody,
}

/// The four answers of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseBody {
    /// The answer to a connect.
    Connected {
        /// The id for the requests of the next minute.
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
    /// The answer to a scrape: one for each torrent, in the order of the request.
    Scraped(Vec<ScrapeCounts>),
    /// An error, which can answer any request. The bytes should be text.
    Failed(Vec<u8>),
}

/// The numbers of peers that have a torrent, have ever finished it, and still want it.
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
    /// The family of a tracker's or a client's address.
    pub fn of(address: SocketAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

const END_OF_OPTIONS: u8 = 0;
const NO_OPTION: u8 = 1;
const URL_DATA: u8 = 2;

impl Request {
    /// Encodes the packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = self.connection_id.to_be_bytes().to_vec();
        let action = match self.ask {
            RequestBody::Connect => CONNECT,
            RequestBody::Announce { .. } => ANNOUNCE,
            RequestBody::Scrape(_) => SCRAPE,
        };
        packet.extend(action.to_be_bytes());
        packet.extend(self.transaction_id.to_be_bytes());
        match &self.ask {
            RequestBody::Connect => {}
            RequestBody::Announce { announce, url_data } => {
                encode_announce(announce, url_data, &mut packet)
            }
            RequestBody::Scrape(torrents) => {
                packet.extend(torrents.iter().flat_map(|info_hash| info_hash.0))
            }
        }
        packet
    }

    /// Decodes a client's packet, as a tracker does.
    ///
    /// # Errors
    /// If it is too short, or has a value that is not allowed.
    pub fn decode(packet: &[u8]) -> Result<Request, PacketError> {
        let mut rest = Rest::of(packet, "a request", 16)?;
        let connection_id = rest.u64();
        let action = rest.u32();
        let transaction_id = rest.u32();
        let ask = match action {
            CONNECT if connection_id != PROTOCOL_ID => {
                let expected = "41727101980 (hex), high byte first, in a connect request";
                return Err(PacketError::Value {
                    field: "the protocol id",
                    expected,
                    found: format!("{connection_id:x}"),
                });
            }
            CONNECT => RequestBody::Connect,
            ANNOUNCE => decode_announce(packet)?,
            SCRAPE => {
                let (torrents, over) = rest.0.as_chunks::<20>();
                if torrents.is_empty() || torrents.len() > MAX_SCRAPED || !over.is_empty() {
                    let found = format!("{} bytes", rest.0.len());
                    return Err(PacketError::Value {
                        field: "a scrape",
                        expected: "1 to 74 times 20 bytes",
                        found,
                    });
                }
                RequestBody::Scrape(torrents.iter().copied().map(InfoHash).collect())
            }
            other => {
                let expected = "0 (connect), 1 (announce) or 2 (scrape)";
                return Err(PacketError::Value {
                    field: "the action",
                    expected,
                    found: other.to_string(),
                });
            }
        };
        Ok(Request { connection_id, transaction_id, ask })
    }
}

fn encode_announce(announce: &AnnounceRequest, url_data: &[u8], packet: &mut Vec<u8>) {
    packet.extend(announce.info_hash.0);
    packet.extend(announce.peer_id.0);
    for count in [announce.downloaded, announce.left, announce.uploaded] {
        packet.extend(count.to_be_bytes());
    }
    // BEP 15's numbers. They follow neither the order of BEP 3 nor the order of events.
    let event: u32 = match announce.event {
        None => 0,
        Some(Event::Completed) => 1,
        Some(Event::Started) => 2,
        Some(Event::Stopped) => 3,
    };
    let address: u32 = 0; // the one that the packet comes from
    let numwant = announce.numwant.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
    packet.extend(event.to_be_bytes());
    packet.extend(address.to_be_bytes());
    packet.extend(announce.key.unwrap_or_default().to_be_bytes());
    packet.extend(numwant.to_be_bytes());
    packet.extend(announce.port.to_be_bytes());
    // An option's length is one byte, so a long path takes several options. They end
    // where the packet ends.
    for part in url_data.chunks(255) {
        packet.extend([URL_DATA, part.len() as u8]);
        packet.extend(part);
    }
}

fn decode_announce(packet: &[u8]) -> Result<RequestBody, PacketError> {
    let mut rest = Rest::of(packet, "an announce", 98)?;
    rest.skip(16);
    let (info_hash, peer_id) = (InfoHash(rest.take()), PeerId(rest.take()));
    let (downloaded, left, uploaded) = (rest.u64(), rest.u64(), rest.u64());
    let event = match rest.u32() {
        0 => None,
        1 => Some(Event::Completed),
        2 => Some(Event::Started),
        3 => Some(Event::Stopped),
        other => {
            let expected = "0 (none), 1 (completed), 2 (started) or 3 (stopped)";
            return Err(PacketError::Value {
                field: "the event",
                expected,
                found: other.to_string(),
            });
        }
    };
    rest.skip(4); // an IP address: ignored, since a client could send someone else's
    let key = Some(rest.u32());
    let numwant = u32::try_from(i32::from_be_bytes(rest.take())).ok();
    let port = u16::from_be_bytes(rest.take());
    let url_data = decode_options(rest.0)?;
    let announce = AnnounceRequest {
        port,
        uploaded,
        downloaded,
        event,
        numwant,
        key,
        ..AnnounceRequest::new(info_hash, peer_id, left)
    };
    Ok(RequestBody::Announce { announce, url_data })
}

/// Decodes the options after an announce (BEP 41). Unknown ones are passed over.
fn decode_options(mut rest: &[u8]) -> Result<Vec<u8>, PacketError> {
    let mut url_data = Vec::new();
    while let Some((&kind, behind)) = rest.split_first() {
        rest = match kind {
            END_OF_OPTIONS => break,
            NO_OPTION => behind,
            _ => {
                let option = behind
                    .split_first()
                    .and_then(|(&length, behind)| behind.split_at_checked(length.into()));
                let found = || excerpt(behind);
                let expected = "a length and this many bytes";
                let (data, behind) = option.ok_or_else(|| PacketError::Value {
                    field: "an option",
                    expected,
                    found: found(),
                })?;
                if kind == URL_DATA {
                    url_data.extend(data);
                }
                behind
            }
        };
    }
    Ok(url_data)
}

impl Answer {
    /// Encodes the packet for a client of this address family: peers of the other family
    /// are left out.
    pub fn encode(&self, family: Family) -> Vec<u8> {
        let action = match self.said {
            ResponseBody::Connected { .. } => CONNECT,
            ResponseBody::Announced { .. } => ANNOUNCE,
            ResponseBody::Scraped(_) => SCRAPE,
            ResponseBody::Failed(_) => ERROR,
        };
        let mut packet = action.to_be_bytes().to_vec();
        packet.extend(self.transaction_id.to_be_bytes());
        match &self.said {
            ResponseBody::Connected { connection_id } => packet.extend(connection_id.to_be_bytes()),
            ResponseBody::Announced { interval, leechers, seeders, peers } => {
                let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
                packet
                    .extend([interval, *leechers, *seeders].into_iter().flat_map(u32::to_be_bytes));
                for peer in peers.iter().filter(|peer| Family::of(**peer) == family) {
                    match peer.ip() {
                        IpAddr::V4(ip) => packet.extend(ip.octets()),
                        IpAddr::V6(ip) => packet.extend(ip.octets()),
                    }
                    packet.extend(peer.port().to_be_bytes());
                }
            }
            ResponseBody::Scraped(torrents) => {
                let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
                for counts in torrents {
                    let three = [counts.seeders, counts.downloads, counts.leechers];
                    packet.extend(three.into_iter().flat_map(|count| narrow(count).to_be_bytes()));
                }
            }
            ResponseBody::Failed(text) => packet.extend(text),
        }
        packet
    }

    /// Decodes a tracker's packet that came over a socket of this family. Peers with
    /// port 0 are left out.
    ///
    /// # Errors
    /// If it is too short, ends within a peer, or has another action.
    pub fn decode(packet: &[u8], family: Family) -> Result<Answer, PacketError> {
        let mut rest = Rest::of(packet, "an answer", 8)?;
        let action = rest.u32();
        let transaction_id = rest.u32();
        let said = match action {
            CONNECT => {
                let mut rest = Rest::of(packet, "the answer to a connect", 16)?;
                rest.skip(8);
                ResponseBody::Connected { connection_id: rest.u64() }
            }
            ANNOUNCE => {
                let mut rest = Rest::of(packet, "the answer to an announce", 20)?;
                rest.skip(8);
                let (interval, leechers, seeders) = (rest.u32(), rest.u32(), rest.u32());
                let mut peers = match family {
                    Family::V4 => whole(rest.0, "6 bytes for each peer", address_v4)?,
                    Family::V6 => whole(rest.0, "18 bytes for each peer", address_v6)?,
                };
                peers.retain(|peer| peer.port() != 0);
                // A packet has room for ten thousand, more than any client asks for.
                peers.truncate(MAX_PEERS);
                peers.shrink_to_fit();
                ResponseBody::Announced {
                    interval: Duration::from_secs(interval.into()),
                    leechers,
                    seeders,
                    peers,
                }
            }
            SCRAPE => ResponseBody::Scraped(whole(
                rest.0,
                "12 bytes for each torrent",
                |twelve: &[u8; 12]| {
                    let mut rest = Rest(twelve);
                    let [seeders, downloads, leechers] =
                        [rest.u32(), rest.u32(), rest.u32()].map(u64::from);
                    ScrapeCounts { seeders, downloads, leechers }
                },
            )?),
            ERROR => ResponseBody::Failed(rest.0.to_vec()),
            other => {
                let expected = "0 (connect), 1 (announce), 2 (scrape) or 3 (error)";
                return Err(PacketError::Value {
                    field: "the action",
                    expected,
                    found: other.to_string(),
                });
            }
        };
        Ok(Answer { transaction_id, said })
    }
}

/// Reads items of `N` bytes each; the last one must not be shorter.
fn whole<T, const N: usize>(
    bytes: &[u8],
    expected: &'static str,
    read: impl Fn(&[u8; N]) -> T,
) -> Result<Vec<T>, PacketError> {
    let (chunks, over) = bytes.as_chunks::<N>();
    if !over.is_empty() {
        return Err(PacketError::Value {
            field: "the answer's list",
            expected,
            found: format!("{} bytes", bytes.len()),
        });
    }
    Ok(chunks.iter().map(read).collect())
}

/// The unread part of a packet whose length was checked before.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
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

/// What is wrong with a packet.
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
