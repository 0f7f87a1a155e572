//! The three packets of a client, encoded and decoded.
//!
//! They share their first 16 bytes, and a connect has no others:
//!
//! ```text
//! 0               8        12               16
//! | connection id | action | transaction id | the request's own fields
//! ```
//! The connection id comes first so that a tracker can drop a packet with a false sender before it
//! reads anything else.

use super::{
    ANNOUNCE, CONNECT, MAX_SCRAPED, PROTOCOL_ID, PacketError, Request, RequestBody, Rest, SCRAPE,
};
use crate::s01_bencode::excerpt;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{AnnounceRequest, Event, PeerId};

// The options after an announce (BEP 41). The first two are a single byte each. The third has a
// length and data after it, and so has every option that is yet to be invented. BEP 15 has no
// options, and no place for a passkey either.
const END_OF_OPTIONS: u8 = 0;
const NO_OPTION: u8 = 1;
const URL_DATA: u8 = 2;

impl Request {
    /// Encodes the packet, ready to be sent. A scrape is as long as its list: whoever makes one
    /// keeps to [`MAX_SCRAPED`].
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
            // 20 bytes each, and no count before them: the packet's length is the count.
            RequestBody::Scrape(torrents) => {
                packet.extend(torrents.iter().flat_map(|info_hash| info_hash.0))
            }
        }
        packet
    }

    /// Decodes a client's packet, as a tracker does.
    ///
    /// The id of a connect is checked here. Whether any other id is good, only the tracker that
    /// gave it can say.
    ///
    /// # Errors
    /// If it is too short, or has a value that is not allowed.
    pub fn decode(packet: &[u8]) -> Result<Request, PacketError> {
        // Every request has these 16 bytes, so that even an error can repeat the transaction id.
        let mut rest = Rest::of(packet, "a request", 16)?;
        let connection_id = rest.u64();
        let action = rest.u32();
        let transaction_id = rest.u32();
        let ask = match action {
            CONNECT if connection_id != PROTOCOL_ID => {
                // In hex, because the most common mistake is the byte order: low byte first, it
                // begins with 8019.
                let expected = "41727101980 (hex), high byte first, in a connect request";
                let found = format!("{connection_id:x}");
                return Err(PacketError::value("the protocol id", expected, found));
            }
            // Anything after the 16 bytes is ignored: a later version may put something there.
            CONNECT => RequestBody::Connect,
            // The whole packet again: its minimum length includes those 16 bytes.
            ANNOUNCE => decode_announce(packet)?,
            // A scrape of no torrent does not mean all of them, as it can over HTTP. BEP 15: "A
            // full scrape can't be done with this protocol."
            SCRAPE => {
                let (torrents, over) = rest.0.as_chunks::<20>();
                if torrents.is_empty() || torrents.len() > MAX_SCRAPED || !over.is_empty() {
                    let found = format!("{} bytes", rest.0.len());
                    return Err(PacketError::value("a scrape", "1 to 74 times 20 bytes", found));
                }
                RequestBody::Scrape(torrents.iter().copied().map(InfoHash).collect())
            }
            other => {
                let expected = "0 (connect), 1 (announce) or 2 (scrape)";
                return Err(PacketError::value("the action", expected, other));
            }
        };
        Ok(Request { connection_id, transaction_id, ask })
    }
}

/// Appends the fields of an announce, bytes 16 to 98, and then the URL's path and query. What the
/// request leaves open is 0, but for the number of peers.
fn encode_announce(announce: &AnnounceRequest, url_data: &[u8], packet: &mut Vec<u8>) {
    packet.extend(announce.info_hash.0); // at 16
    packet.extend(announce.peer_id.0); // at 36
    // At 56, 64 and 72. `left` is in the middle, unlike in the query of an HTTP announce.
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
    // 0 is the address that the packet comes from. Another one would enter somebody else into the
    // swarm, so trackers ignore it.
    let address: u32 = 0;
    // Signed: -1 leaves the number to the tracker, while 0 asks for no peers, as a goodbye does.
    let numwant = announce.numwant.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
    packet.extend(event.to_be_bytes()); // at 80
    packet.extend(address.to_be_bytes()); // at 84
    packet.extend(announce.key.unwrap_or_default().to_be_bytes()); // at 88
    packet.extend(numwant.to_be_bytes()); // at 92
    packet.extend(announce.port.to_be_bytes()); // at 96
    // An option's length is one byte, so a long path takes several options. They end where the
    // packet ends, so END_OF_OPTIONS is not needed. A tracker that does not know BEP 41 reads 98
    // bytes and stops.
    for part in url_data.chunks(255) {
        // `chunks` makes no part longer than 255, so the cast loses nothing.
        packet.extend([URL_DATA, part.len() as u8]);
        packet.extend(part);
    }
}

/// Decodes an announce, from the packet's first byte on: 98 bytes, and then options.
fn decode_announce(packet: &[u8]) -> Result<RequestBody, PacketError> {
    // One check for the ten fields that follow.
    let mut rest = Rest::of(packet, "an announce", 98)?;
    rest.skip(16); // connection id, action, transaction id
    let (info_hash, peer_id) = (InfoHash(rest.take()), PeerId(rest.take()));
    let (downloaded, left, uploaded) = (rest.u64(), rest.u64(), rest.u64());
    // An unknown event is refused, and not taken for 0: its sender would believe that we have noted
    // a stop or a completion.
    let event = match rest.u32() {
        0 => None,
        1 => Some(Event::Completed),
        2 => Some(Event::Started),
        3 => Some(Event::Stopped),
        other => {
            let expected = "0 (none), 1 (completed), 2 (started) or 3 (stopped)";
            return Err(PacketError::value("the event", expected, other));
        }
    };
    rest.skip(4); // an IP address: ignored, since a client could send someone else's
    // The packet cannot leave the key out. A client without one sends 0.
    let key = Some(rest.u32());
    // -1 means that the tracker decides, and so does any other negative number.
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

/// Decodes the options after an announce (BEP 41), and returns the path and query of the tracker's
/// URL, its parts joined; empty if there are none.
///
/// ```text
/// 02 09 "/announce"    an option, its length, its data
/// 01                   nothing: a filler
/// 00                   the end; what follows is ignored
/// ```
fn decode_options(mut rest: &[u8]) -> Result<Vec<u8>, PacketError> {
    let mut url_data = Vec::new();
    // Without a first byte there is no option: the list may end where the packet ends.
    while let Some((&kind, behind)) = rest.split_first() {
        rest = match kind {
            END_OF_OPTIONS => break,
            NO_OPTION => behind,
            // Unknown options have a length as well, so that we can find the next one.
            _ => {
                let option = behind
                    .split_first()
                    .and_then(|(&length, behind)| behind.split_at_checked(length.into()));
                let expected = "a length and this many bytes";
                let (data, behind) = option
                    .ok_or_else(|| PacketError::value("an option", expected, excerpt(behind)))?;
                if kind == URL_DATA {
                    url_data.extend(data);
                }
                behind
            }
        };
    }
    Ok(url_data)
}
