//! Whether the stages accept some bytes. These tests and the fuzzer compare the trace's verdict with
//! that.

use piecemeal::s01_bencode::decode;
use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::{AnnounceResponse, TrackerError};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::{Message, MessageError, MessageReader};
use piecemeal::s06_magnet::Magnet;
use piecemeal::s07_extension::ExtensionHandshake;
use piecemeal::s08_metadata::message::MetadataMessage;
use piecemeal::s18_udp_tracker::packet::{Answer, Family, Request};
use piecemeal::s20_lsd::search::BtSearch;
use piecemeal::s21_dht_lookup::krpc::Packet;
use piecemeal::s24_hash_transfer::message::HashMessage;
use piecemeal::trace::kind::Kind;

/// Whether the stages accept these bytes; `None` if no stage decodes this kind.
pub fn taken(kind: Kind, bytes: &[u8]) -> Option<bool> {
    Some(match kind {
        Kind::Bencode => decode(bytes).is_ok(),
        Kind::Torrent => Metainfo::from_bytes(bytes).is_ok(),
        // The answer to a scrape belongs to another stage; breaks.rs has that.
        Kind::Answer if bytes.starts_with(b"d5:files") => return None,
        // A failure reason is also a valid answer.
        Kind::Answer => {
            matches!(AnnounceResponse::decode(bytes), Ok(_) | Err(TrackerError::Failure { .. }))
        }
        Kind::Handshake => bytes.len() == 68 && Handshake::read_from(&mut &*bytes).is_ok(),
        Kind::Extension => ExtensionHandshake::decode(bytes).is_ok(),
        Kind::Metadata => MetadataMessage::decode(bytes).is_ok(),
        Kind::Magnet => Magnet::parse(std::str::from_utf8(bytes).ok()?.trim_end()).is_ok(),
        Kind::Udp => match bytes {
            [0, 0, 0, 0..=3, ..] => Answer::decode(bytes, Family::V4).is_ok(),
            _ => Request::decode(bytes).is_ok(),
        },
        Kind::BtSearch => BtSearch::parse(bytes).is_ok(),
        Kind::Krpc => Packet::decode(bytes).is_ok(),
        Kind::Messages => return messages(bytes),
        _ => return None,
    })
}

/// Whether all of these bytes are messages. The content of an extension message belongs to
/// another stage.
fn messages(bytes: &[u8]) -> Option<bool> {
    let mut messages = MessageReader::new(bytes);
    loop {
        match messages.read() {
            Ok(Message::Unknown { id: 20, .. }) => return None,
            Ok(Message::Unknown { id, payload }) if HashMessage::decode(id, payload).is_err() => {
                return Some(false);
            }
            Ok(_) => {}
            Err(MessageError::HungUp { inside }) => return Some(!inside && !bytes.is_empty()),
            Err(_) => return Some(false),
        }
    }
}
